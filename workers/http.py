"""What HTTP clients share: TLS contexts, bounded bodies, URLs without credentials."""

import logging
import ssl
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import httpx2

from orchestrator.logs import mask_log
from orchestrator.tracing import span


def tls_context(url: str, ca_bundle: str | Path | None = None) -> ssl.SSLContext:
    """The TLS context for requests to ``url``, trusting the certificates of a file or folder, or else the system's.

    Loading the system's certificates takes a tenth of a second, so call it at start, outside the event loop. A URL
    without TLS gets a context that trusts nobody. Raises OSError or ssl.SSLError.
    """
    if urlsplit(url).scheme != "https":
        return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    if ca_bundle is None:
        return ssl.create_default_context()
    if Path(ca_bundle).is_dir():
        return ssl.create_default_context(capath=str(ca_bundle))
    return ssl.create_default_context(cafile=str(ca_bundle))


def open_client(**options: Any) -> httpx2.AsyncClient:
    """An HTTP client whose requests are logged without secrets."""
    mask_log("httpx2")
    return httpx2.AsyncClient(**options)


async def read_body(response: httpx2.Response, max_bytes: int) -> tuple[bytes, bool]:
    """The decompressed body up to ``max_bytes``, and whether it was longer; the rest is not read. Raises HTTPError."""
    body = bytearray()
    async for chunk in response.aiter_bytes():
        body += chunk
        if len(body) > max_bytes:
            return bytes(body[:max_bytes]), True
    return bytes(body), False


@dataclass(slots=True)
class Exchange:
    """One HTTP request and what came of it."""

    status: int | None = None
    """None while there is no response."""


@contextmanager
def logged_request(
    logger: logging.Logger, event: str, where: str, path: str, *, attempt: int = 1, level: int = logging.INFO
) -> Iterator[Exchange]:
    """Log the GET that is made in the block, without its query: at ``level``, at INFO at least when it fails."""
    exchange, began, reason = Exchange(), time.monotonic(), "ok"
    try:
        with span(event, kind="client", method="GET", path=path, where=where, attempt=attempt) as traced:
            try:
                yield exchange
            finally:
                traced.set(status=exchange.status)
    except BaseException as error:
        reason = str(getattr(error, "reason", type(error).__name__))
        raise
    finally:
        logger.log(
            level if reason == "ok" else max(level, logging.INFO),
            f"{event} method=GET path=%s status=%s reason=%s latency_ms=%.1f attempt=%s where=%s",
            path,
            exchange.status,
            reason,
            (time.monotonic() - began) * 1000,
            attempt,
            where,
        )


def without_credentials(url: str) -> str:
    """The URL without user, password, query and fragment."""
    parts = urlsplit(url)
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))
