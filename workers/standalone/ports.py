"""TCP ports of 127.0.0.1."""

import errno
import socket

from orchestrator.errors import ConfigurationError
from orchestrator.i18n.message import Message

HOST = "127.0.0.1"


def free_port() -> int:
    """A port that is free now; another process may take it before it is used."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
        return port


def require_free_port(port: int, *, option: str) -> None:
    """Raise ConfigurationError, naming ``option``, when the port is in use or not permitted."""
    with socket.socket() as probe:
        # As the servers do: a port with connections in TIME_WAIT is free.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                problem = Message("port {port} of {host} is in use; choose another")
            else:
                problem = Message("port {port} of {host} cannot be used ({detail}); choose another")
            problem = problem.with_facts(port=port, host=HOST, detail=error.strerror)
            raise ConfigurationError("{option}: {problem}", option=option, problem=problem) from None
