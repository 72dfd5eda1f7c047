"""A threaded HTTP server for simulated counterparts, which closes its threads and sockets."""

import socket
import ssl
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self


class QuietServer(ThreadingHTTPServer):
    """Tracks its open connections, so that closing it does not wait for idle clients."""

    daemon_threads = True
    block_on_close = True
    request_queue_size = 128
    tls: ssl.SSLContext | None = None

    def __init__(self, address: tuple[str, int], handler: type[BaseHTTPRequestHandler]) -> None:
        self._connections: set[socket.socket] = set()
        self._lock = threading.Lock()
        super().__init__(address, handler)

    def process_request(self, request: Any, client_address: Any) -> None:
        """Track the connection and serve it in a thread."""
        with self._lock:
            self._connections.add(request)
        super().process_request(request, client_address)

    def finish_request(self, request: Any, client_address: Any) -> None:
        """Perform the TLS handshake in the connection's thread: a stalled client must not block the others."""
        if self.tls is None:
            super().finish_request(request, client_address)
            return
        request.settimeout(10)
        wrapped = self.tls.wrap_socket(request, server_side=True, suppress_ragged_eofs=True)
        try:
            super().finish_request(wrapped, client_address)
        finally:
            wrapped.close()

    def shutdown_request(self, request: Any) -> None:
        """Close the connection."""
        with self._lock:
            self._connections.discard(request)
        super().shutdown_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Ignore clients that disconnect or reject the certificate."""

    def disconnect_all(self) -> None:
        """Shut down every open connection."""
        with self._lock:
            connections = list(self._connections)
        for connection in connections:
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                continue


class LocalServer:
    """A server on a loopback port in its own thread; a context manager."""

    def __init__(
        self,
        handler: type[BaseHTTPRequestHandler],
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self.host = host
        self._scheme = "http" if tls is None else "https"
        self._handler = handler
        self._requested_port = port
        self._tls = tls
        self._server: QuietServer | None = None
        self._thread: threading.Thread | None = None
        self.stopping = threading.Event()

    @property
    def port(self) -> int:
        """The listening port. Raises RuntimeError before ``start``."""
        if self._server is None:
            raise RuntimeError("the server has not been started")
        return int(self._server.server_address[1])

    @property
    def base_url(self) -> str:
        """Scheme, host and port."""
        return f"{self._scheme}://{self.host}:{self.port}"

    def start(self) -> Self:
        """Listen. Raises OSError when the port is taken."""
        self.stopping.clear()
        self._server = QuietServer((self.host, self._requested_port), self._handler)
        self._server.tls = self._tls
        self._thread = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.01}, name=type(self).__name__, daemon=True
        )
        self._thread.start()
        return self

    def stop(self) -> None:
        """Stop listening, end the connections and wait for the threads."""
        server, self._server = self._server, None
        if server is None:
            return
        self.stopping.set()
        server.shutdown()
        server.disconnect_all()
        server.server_close()
        if self._thread is not None:
            self._thread.join(5)

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()
