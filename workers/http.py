"""What the HTTP clients of the sources have in common: trust, bounded bodies, and telling a failed handshake apart."""

from __future__ import annotations

import ssl
from pathlib import Path

import httpx2


def trusting(bundle: str | Path | None) -> ssl.SSLContext:
    """A context that trusts the certificates of a file or folder and no others; None: the system's.

    Takes a tenth of a second for the system's, so it is made at start. Raises OSError or ssl.SSLError.
    """
    if bundle is None:
        return ssl.create_default_context()
    if Path(bundle).is_dir():
        return ssl.create_default_context(capath=str(bundle))
    return ssl.create_default_context(cafile=str(bundle))


def tls_failure(error: BaseException) -> str:
    """Why the handshake failed when that is what is behind ``error``, else an empty string; never empty for TLS."""
    seen: BaseException | None = error
    while seen is not None:
        if isinstance(seen, ssl.SSLError):
            return getattr(seen, "verify_message", "") or seen.reason or type(seen).__name__
        seen = seen.__cause__ or seen.__context__
    return ""


async def read_body(response: httpx2.Response, max_bytes: int) -> tuple[bytes, bool]:
    """The unpacked body up to ``max_bytes``, and whether there was more; the rest is not read. Raises HTTPError."""
    body = bytearray()
    async for chunk in response.aiter_bytes():
        body += chunk
        if len(body) > max_bytes:
            return bytes(body[:max_bytes]), True
    return bytes(body), False
