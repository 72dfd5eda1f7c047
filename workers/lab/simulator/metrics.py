"""A ``/metrics`` endpoint with a scenario's Prometheus text, in place of the Resync app's."""

from http.server import BaseHTTPRequestHandler
from typing import Any

from workers.lab.simulator.http import LocalServer

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


class AppMetricsServer(LocalServer):
    """Serves one text at ``/metrics``; a context manager."""

    def __init__(self, metrics_text: str, *, host: str = "127.0.0.1", port: int = 0) -> None:
        super().__init__(_handler(metrics_text.encode()), host=host, port=port)

    @property
    def url(self) -> str:
        """Address of the text."""
        return f"{self.base_url}/metrics"


def _handler(body: bytes) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        timeout = 30
        wbufsize = -1
        disable_nagle_algorithm = True

        def do_GET(self) -> None:
            is_metrics = self.path.split("?")[0] == "/metrics"
            self.send_response(200 if is_metrics else 404)
            self.send_header("Content-Type", CONTENT_TYPE)
            self.send_header("Content-Length", str(len(body) if is_metrics else 0))
            self.end_headers()
            if is_metrics:
                self.wfile.write(body)
            self.wfile.flush()

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  # the name http.server gives it
            pass

    return Handler
