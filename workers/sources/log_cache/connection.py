"""Redis clients of the log cache, and Redis errors as SourceError."""

from typing import Any
from urllib.parse import parse_qs, urlsplit

import redis as sync_redis
from redis import exceptions as redis_errors
from redis.asyncio import Redis
from redis.asyncio.connection import parse_url
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.retry import Retry as SyncRetry

from orchestrator.errors import ConfigurationError, InvalidValue, SourceError
from orchestrator.sentinel import describe_sentinel, is_sentinel
from orchestrator.store.connection import client_of, repeating, single_url
from orchestrator.tls import check_tls, tls_failure, without_tls_options
from orchestrator.validation import about

_RETRIES = 1
"""Without a pause, for a connection the server has closed; redis-py's default pauses would outlast a source's limit."""


def connect(url: str, *, timeout_seconds: float) -> Redis:
    """An asyncio client whose calls are bounded by ``timeout_seconds``; it connects at the first call.

    Raises ConfigurationError for a URL that is not Redis's.
    """
    retry = Retry(NoBackoff(), _RETRIES, supported_errors=(redis_errors.ConnectionError,))
    return client_of(Redis, _checked(url), **repeating(retry), **_options(timeout_seconds))


def connect_writer(url: str, *, timeout_seconds: float = 1.0) -> sync_redis.Redis:
    """The same for threads and the command line. Raises ConfigurationError for a URL that is not Redis's."""
    retry = SyncRetry(NoBackoff(), _RETRIES, supported_errors=(redis_errors.ConnectionError,))
    return client_of(sync_redis.Redis, _checked(url), **repeating(retry), **_options(timeout_seconds))


def _options(timeout_seconds: float) -> dict[str, Any]:
    return {
        "socket_timeout": timeout_seconds,
        "socket_connect_timeout": timeout_seconds,
        "client_name": "resync-troubleshoot-logs",
    }


def _checked(url: str) -> str:
    if url.startswith("redis+socket://"):  # kombu's form of unix://
        url = "unix://" + url.removeprefix("redis+socket://").replace("virtual_host=", "db=")
    if not url.startswith(("redis://", "rediss://", "unix://")) and not is_sentinel(url):
        raise ConfigurationError(
            "RESYNC_LOG_CACHE_URL (or REDIS_URL) must start with redis://, rediss://, redis+sentinel://, "
            "rediss+sentinel:// or unix://"
        )
    try:
        single = single_url(url)
        parse_url(without_tls_options(single))
        check_tls(single)
    except InvalidValue as error:
        raise ConfigurationError(about("RESYNC_LOG_CACHE_URL (or REDIS_URL)", error.message)) from None
    except ValueError:
        # Not the parser's message: it quotes the part it could not parse, possibly of the password.
        raise ConfigurationError(
            "RESYNC_LOG_CACHE_URL (or REDIS_URL) is not a Redis URL; expected redis://[user:password@]host:port/db"
        ) from None
    return url


def describe_url(url: str) -> str:
    """Server and database of a Redis URL, without user and password."""
    if is_sentinel(url):
        return describe_sentinel(url)
    parts = urlsplit(url)
    if parts.scheme in ("unix", "redis+socket"):
        query = parse_qs(parts.query)
        database = (query.get("db") or query.get("virtual_host") or ["0"])[0]
        return f"unix://{parts.path}?db={database}"
    host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname or "localhost"
    return f"{parts.scheme}://{host}:{parts.port or 6379}/{parts.path.strip('/') or '0'}"


def source_error(error: redis_errors.RedisError | TimeoutError) -> SourceError:
    """The SourceError for a Redis error, with a reason that shows where to look."""
    kind = type(error).__name__
    if isinstance(
        error, redis_errors.AuthenticationError | redis_errors.AuthorizationError | redis_errors.NoPermissionError
    ):
        return SourceError("Redis refuses the log cache's credentials ({detail})", detail=kind, reason="unauthorized")
    if detail := tls_failure(error):
        return SourceError("TLS to Redis failed ({detail})", detail=detail, reason="tls")
    if isinstance(error, redis_errors.TimeoutError | TimeoutError):
        return SourceError("Redis did not answer in time", reason="timeout")
    if isinstance(error, redis_errors.ConnectionError):
        return SourceError("Redis cannot be reached ({detail})", detail=kind, reason="unreachable")
    if isinstance(error, redis_errors.ResponseError) and str(error).startswith("NOAUTH"):
        return SourceError("Redis asks for a password that is not configured", reason="unauthorized")
    return SourceError("Redis refused the request ({detail})", detail=kind, reason="refused")
