"""``/livez``, ``/readyz`` and ``/metrics`` of one process, for supervisors and monitoring.

Off unless ``RESYNC_HEALTH_PORT`` is set. The pages contain nothing of a run and need no credentials; they listen on
127.0.0.1 unless ``RESYNC_HEALTH_ADDRESS`` is set.
"""

import errno
import socket
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socketserver import TCPServer
from typing import Any, Self

from pydantic import Field

from orchestrator.config import EnvironmentModel
from orchestrator.errors import ConfigurationError
from orchestrator.i18n.message import Message
from orchestrator.logs import get_logger

_LOGGER = get_logger(__name__)
TEXT = "text/plain; charset=utf-8"
READY_SECONDS = 10.0
"""Age of a process's last beat from which it is not ready."""
ALIVE_SECONDS = 60.0
"""Age of a process's last beat from which it should be restarted."""
ACCEPT_PAUSE_SECONDS = 0.1
"""Pause after a connection that could not be accepted."""


class HealthSettings(EnvironmentModel):
    """Port and address of a process's health pages."""

    port: int | None = Field(default=None, ge=1, le=65_535, validation_alias="RESYNC_HEALTH_PORT")
    """Port for `/livez`, `/readyz` and `/metrics`; one for each process of a host. Not set: no health pages."""
    address: str = Field(default="127.0.0.1", validation_alias="RESYNC_HEALTH_ADDRESS")
    """Address to listen on."""


class Beat:
    """The age of the last heartbeat; its construction counts as the first one."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._at = clock()

    def mark(self) -> None:
        """Record a heartbeat now."""
        self._at = self._clock()

    @property
    def age_seconds(self) -> float:
        """Seconds since the last heartbeat."""
        return self._clock() - self._at


@dataclass(frozen=True, slots=True)
class Page:
    """The response of a path."""

    body: bytes
    status: HTTPStatus = HTTPStatus.OK
    content_type: str = TEXT


def check_page(check: Callable[[], str | None]) -> Callable[[], Page]:
    """A page with ``ok``, or with status 503 and the problem that ``check`` returns."""

    def page() -> Page:
        problem = check()
        if problem is None:
            return Page(b"ok\n")
        return Page(f"{problem}\n".encode(), HTTPStatus.SERVICE_UNAVAILABLE)

    return page


class HealthServer:
    """Serves GET for the paths of ``pages``, in threads of its own, until it is closed."""

    def __init__(self, settings: HealthSettings, pages: Mapping[str, Callable[[], Page]]) -> None:
        """Start to listen.

        Raises ConfigurationError naming the variable when the address cannot be listened on.
        """
        try:
            self._server = _Server((settings.address, settings.port or 0), _handler(pages))
        except OSError as error:
            raise ConfigurationError(_refusal(settings, error)) from None
        # A process that ends waits for at most one such interval.
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.1,), name="health", daemon=True)
        self._thread.start()

    @classmethod
    def start(cls, settings: HealthSettings, pages: Mapping[str, Callable[[], Page]]) -> Self | None:
        """A server when a port is set, else None.

        Raises ConfigurationError as the constructor does.
        """
        return None if settings.port is None else cls(settings, pages)

    @property
    def url(self) -> str:
        """URL of the server, with the port that it listens on."""
        host, port = self._server.server_address[:2]
        return f"http://{host!s}:{port}"

    def close(self) -> None:
        """Stop listening."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(5)


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False  # a caller that stays connected must not keep the process alive

    def server_bind(self) -> None:
        # Not HTTPServer.server_bind, which looks up the host name: a missing name server would delay the start.
        TCPServer.server_bind(self)

    def get_request(self) -> tuple[socket.socket, Any]:
        """Accept a connection; without a descriptor for it, pause: the base class would try again at once."""
        try:
            return super().get_request()
        except OSError:
            time.sleep(ACCEPT_PAUSE_SECONDS)
            raise

    def handle_error(self, request: object, client_address: object) -> None:  # noqa: ARG002  # signature of the base class
        # No traceback on standard error: pages log their errors, so this is a caller that disconnected.
        _LOGGER.debug("health_caller_gone")


def _handler(pages: Mapping[str, Callable[[], Page]]) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        timeout = 5.0
        """Seconds in which a caller must send its request."""

        def do_GET(self) -> None:
            make = pages.get(self.path.partition("?")[0])
            page = Page(b"not found\n", HTTPStatus.NOT_FOUND) if make is None else _response(make)
            self.send_response(page.status)
            self.send_header("Content-Type", page.content_type)
            self.send_header("Content-Length", str(len(page.body)))
            self.send_header("Cache-Control", "no-store")
            self.end_headers()
            self.wfile.write(page.body)

        def version_string(self) -> str:
            return "resync-troubleshoot"

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # signature of the base class
            _LOGGER.debug("health_asked request=%s", format % args)

    return Handler


def _response(make: Callable[[], Page]) -> Page:
    try:
        return make()
    except Exception:  # border: whatever fails, the caller learns that this process is not healthy
        _LOGGER.exception("health_failed")
        return Page(b"the check itself failed; see the log\n", HTTPStatus.INTERNAL_SERVER_ERROR)


def _refusal(settings: HealthSettings, error: OSError) -> Message:
    facts = {"address": settings.address, "port": str(settings.port)}
    if error.errno == errno.EADDRINUSE:
        return Message("RESYNC_HEALTH_PORT: port {port} of {address} is in use; choose another", **facts)
    return Message(
        "RESYNC_HEALTH_ADDRESS: cannot listen on {address} port {port} ({detail})", **facts, detail=error.strerror
    )
