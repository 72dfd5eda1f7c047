"""HTTP GETs for metrics, bounded in time and size, with SourceError for every failure."""

import asyncio
import logging
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import httpx2

from orchestrator.errors import ConfigurationError, SourceError
from orchestrator.logs import get_logger
from orchestrator.tls import tls_failure
from workers.http import logged_request, open_client, read_body, tls_context, without_credentials

_LOGGER = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Body:
    """The text of a response, and whether it was cut at the byte limit."""

    text: str
    is_cut: bool = False


class MetricsHttp:
    """GETs below one base URL, without proxies and redirects; one client per event loop.

    Raises ConfigurationError for a CA bundle that cannot be read.
    """

    def __init__(self, base_url: str, *, token: str | None = None, ca_bundle: Path | None = None) -> None:
        parts = urlsplit(base_url)
        self.shown_url = without_credentials(base_url)
        """The base URL as it may be shown."""
        self._where = parts.netloc.rpartition("@")[2]
        self._base = urlunsplit((parts.scheme, self._where, parts.path, parts.query, ""))
        self._auth = httpx2.BasicAuth(parts.username, parts.password or "") if parts.username else None
        self._headers = {} if token is None else {"Authorization": f"Bearer {token}"}
        try:
            self._tls = tls_context(base_url, ca_bundle)
        except (OSError, ssl.SSLError) as error:
            raise ConfigurationError(
                "RESYNC_METRICS_CA_BUNDLE: {path} cannot be read: {detail}",
                path=str(ca_bundle),
                detail=str(error.strerror or error),
            ) from None
        self._client: httpx2.AsyncClient | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    async def get(
        self, path: str = "", params: Mapping[str, str] | None = None, *, timeout_seconds: float, max_bytes: int
    ) -> Body:
        """GET ``base + path``; at most ``max_bytes`` of the body are read.

        A response with status 400 or 422 is returned too: the Prometheus API explains the error in its body. Raises
        SourceError: ``timeout``, ``unreachable``, ``tls``, ``unauthorized`` or ``http_status``.
        """
        url = self._base.rstrip("/") + path if path else self._base
        try:
            with logged_request(
                *(_LOGGER, "metrics_request", self._where, urlsplit(url).path or "/"), level=logging.DEBUG
            ) as exchange:
                async with (
                    asyncio.timeout(timeout_seconds),
                    self._open().stream("GET", url, params=params, timeout=timeout_seconds) as response,
                ):
                    exchange.status = response.status_code
                    self._check(response.status_code)
                    content, is_cut = await read_body(response, max_bytes)
                    return Body(content.decode("utf-8", "replace"), is_cut)
        except (TimeoutError, httpx2.TimeoutException):
            raise self.late(timeout_seconds) from None
        except httpx2.HTTPError as error:
            raise self._unreachable(error) from None

    def late(self, timeout_seconds: float) -> SourceError:
        """The error for no answer within ``timeout_seconds``."""
        return SourceError(
            "{url} did not answer in {seconds:.1f} s", url=self.shown_url, seconds=timeout_seconds, reason="timeout"
        )

    async def close(self) -> None:
        """Close the connections."""
        client, self._client, self._loop = self._client, None, None
        if client is not None:
            await client.aclose()

    def _open(self) -> httpx2.AsyncClient:
        loop = asyncio.get_running_loop()
        if self._client is None or self._loop is not loop:
            # Connections are bound to the event loop that opened them.
            self._client = open_client(
                headers=self._headers,
                auth=self._auth,
                verify=self._tls,
                trust_env=False,
                follow_redirects=False,
                limits=httpx2.Limits(max_connections=8, max_keepalive_connections=4),
            )
            self._loop = loop
        return self._client

    def _check(self, status: int) -> None:
        if status in (401, 403):
            raise SourceError(
                "{url} answered {status}: check RESYNC_METRICS_TOKEN",
                url=self.shown_url,
                status=status,
                reason="unauthorized",
            )
        if not 200 <= status < 300 and status not in (400, 422):
            raise SourceError("{url} answered {status}", url=self.shown_url, status=status, reason="http_status")

    def _unreachable(self, error: httpx2.HTTPError) -> SourceError:
        if detail := tls_failure(error):
            return SourceError(
                "TLS to {url} failed ({detail}). Check RESYNC_METRICS_CA_BUNDLE",
                url=self.shown_url,
                detail=detail,
                reason="tls",
            )
        return SourceError(
            "{url} cannot be reached ({detail})", url=self.shown_url, detail=type(error).__name__, reason="unreachable"
        )
