"""Ports of 127.0.0.1."""

from __future__ import annotations

import errno
import socket

from orchestrator.errors import ConfigurationError

HOST = "127.0.0.1"


def free_port() -> int:
    """A port that nothing listens on now; another process may take it before it is used."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
        return port


def require_free_port(port: int, *, option: str) -> None:
    """Raise ConfigurationError, naming ``option``, when something listens on the port or it may not be used."""
    with socket.socket() as probe:
        # As the servers do: a port whose last connections linger in TIME_WAIT is free.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError as error:
            problem = "is in use" if error.errno == errno.EADDRINUSE else f"cannot be used ({error.strerror})"
            raise ConfigurationError(f"{option}: port {port} of {HOST} {problem}; choose another") from None
