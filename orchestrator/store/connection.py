"""Connections to the store: explicit timeouts and retries on every one of them."""

from __future__ import annotations

import errno
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import redis
import redis.asyncio
from redis.asyncio.retry import Retry as AsyncRetry
from redis.backoff import ExponentialBackoff, NoBackoff
from redis.exceptions import (
    AuthenticationError,
    ClusterDownError,
    MasterDownError,
    MaxConnectionsError,
    NoPermissionError,
    OutOfMemoryError,
    ReadOnlyError,
    RedisError,
    ResponseError,
)
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import TimeoutError as RedisTimeoutError
from redis.retry import Retry

from orchestrator.config import Settings
from orchestrator.errors import ConfigurationError, OutOfConnections, StoreUnreachable
from orchestrator.i18n.message import Message

BLOCK_MS = 1_000
"""Longest blocking read; a reader looks at its deadline at least this often."""
MAX_CONNECTIONS = 10_000
"""Every reader holds a connection while it waits, as does every thread while it calls, and redis-py's own limit of 100
would refuse the next one. This is Redis's own limit (``maxclients``)."""

_REFUSALS = re.compile(r"\b(OOM|READONLY|MISCONF|NOREPLICAS|CLUSTERDOWN|MASTERDOWN|BUSY)\b")
"""Error codes of a Redis that is there and does not serve: full, a replica, unable to save, busy with a script."""
_REFUSAL_OF: dict[type[RedisError], str] = {
    OutOfMemoryError: "OOM",
    ReadOnlyError: "READONLY",
    MasterDownError: "MASTERDOWN",
    ClusterDownError: "CLUSTERDOWN",  # after its subclass
}
"""redis-py takes these codes off the text; in the error of a script they are still there."""


def connect(settings: Settings, *, retries: int = 0) -> redis.Redis:
    """A pooled client that gives up after ``redis_timeout_seconds`` a try; ``retries`` covers a Redis restart.

    Every script may be sent twice: claims, leases and commits carry a token that makes the second one the first.
    """
    seconds = settings.redis_timeout_seconds
    retry = Retry(ExponentialBackoff(cap=0.5, base=0.05), retries) if retries else Retry(NoBackoff(), 0)
    client: redis.Redis = redis.Redis.from_url(
        settings.redis_url,
        decode_responses=True,
        socket_timeout=seconds,
        socket_connect_timeout=seconds,
        health_check_interval=30,
        retry=retry,
        client_name="resync-troubleshoot",
        max_connections=MAX_CONNECTIONS,
    )
    return client


def connect_reader(settings: Settings) -> redis.Redis:
    """A client whose reads may block for ``BLOCK_MS``: redis-py's socket timeout would cut them short."""
    client: redis.Redis = redis.Redis.from_url(
        settings.redis_url, **_reader_options(settings), retry=Retry(NoBackoff(), 0)
    )
    return client


def connect_async_reader(settings: Settings) -> redis.asyncio.Redis:
    """The same for an event loop."""
    client: redis.asyncio.Redis = redis.asyncio.Redis.from_url(
        settings.redis_url, **_reader_options(settings), retry=AsyncRetry(NoBackoff(), 0)
    )
    return client


def _reader_options(settings: Settings) -> dict[str, Any]:
    return {
        "decode_responses": True,
        "socket_timeout": settings.redis_timeout_seconds + BLOCK_MS / 1000,
        "socket_connect_timeout": settings.redis_timeout_seconds,
        "health_check_interval": 30,
        "client_name": "resync-troubleshoot-reader",
        "max_connections": MAX_CONNECTIONS,
    }


@contextmanager
def store_errors() -> Iterator[None]:
    """Turn redis-py's errors into ours; the URL stays out of the message, it holds the password."""
    try:
        yield
    except AuthenticationError as error:
        raise ConfigurationError("REDIS_URL: Redis refused the password or user name") from error
    except ResponseError as error:
        if "NOAUTH" in str(error) or "WRONGPASS" in str(error):
            raise ConfigurationError("REDIS_URL: Redis asks for a password") from error
        if isinstance(error, NoPermissionError) or "NOPERM" in str(error):
            raise ConfigurationError("REDIS_URL: Redis does not let this user do what is needed (NOPERM)") from error
        code = _refusal(error)
        if code is None:
            raise
        raise StoreUnreachable("Redis answers but refuses to work ({detail})", detail=code) from error
    except (RedisConnectionError, RedisTimeoutError) as error:
        if (limit := _limit_reached(error)) is not None:
            raise OutOfConnections("no further connection to Redis can be opened: {limit}", limit=limit) from error
        raise StoreUnreachable(
            "Redis does not answer; is it running, and is REDIS_URL right? ({detail} while talking to the store)",
            detail=type(error).__name__,
        ) from error
    except OSError as error:
        # redis-py opens a file of its own before it opens the socket.
        if (limit := _limit_reached(error)) is None:
            raise
        raise OutOfConnections("no further connection to Redis can be opened: {limit}", limit=limit) from error
    except RedisError as error:
        raise StoreUnreachable("Redis failed: {detail}", detail=type(error).__name__) from error


@contextmanager
def session(settings: Settings) -> Iterator[redis.Redis]:
    """A client for the block, closed at its end; redis-py's errors are raised as by ``store_errors``."""
    client = connect(settings)
    try:
        with store_errors():
            yield client
    finally:
        client.close()


def _limit_reached(error: Exception) -> Message | None:
    if isinstance(error, MaxConnectionsError):
        return Message("this process has {count}", count=f"{MAX_CONNECTIONS:,}")
    if "max number of clients" in str(error):
        return Message("Redis has as many clients as its maxclients allows")
    # The system's own error may stand behind redis-py's.
    causes = (error, error.__cause__, error.__context__)
    if any(isinstance(cause, OSError) and cause.errno in (errno.EMFILE, errno.ENFILE) for cause in causes):
        return Message("this process may open no more files (ulimit -n)")
    return None


def _refusal(error: ResponseError) -> str | None:
    for kind, code in _REFUSAL_OF.items():
        if isinstance(error, kind):
            return code
    found = _REFUSALS.search(str(error))
    return None if found is None else found.group()
