"""The pool of connections of an event loop, where many fail at once."""

import asyncio

import pytest
import redis.asyncio
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from orchestrator.store.pools import AsyncConnectionPool
from workers.standalone.ports import free_port


def test_connections_that_fail_together_close_none_that_are_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    """A thousand readers that cannot connect would make a million tasks, and their app would answer nobody."""
    closed = 0
    disconnect = redis.asyncio.Connection.disconnect

    async def counted(connection: redis.asyncio.Connection, **options: bool) -> None:
        nonlocal closed
        closed += 1
        await disconnect(connection, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(redis.asyncio.Connection, "disconnect", counted)

    async def scenario() -> None:
        pool = AsyncConnectionPool(host="127.0.0.1", port=free_port(), retry=Retry(NoBackoff(), 0))
        client = redis.asyncio.Redis(connection_pool=pool)

        async def connect() -> None:
            with pytest.raises(RedisError):
                await client.ping()

        await asyncio.gather(*(connect() for _ in range(50)))

    asyncio.run(scenario())
    assert closed <= 100
