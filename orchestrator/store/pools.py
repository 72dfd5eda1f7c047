"""Pools of Redis connections that notice what a network cut has left: connections that are open and lead nowhere.

Such a connection costs the call that uses it a time-out. redis-py would let each of a pool cost one, minutes later too.
"""

import time
from typing import Any
from weakref import WeakKeyDictionary

import redis
import redis.asyncio
from redis.exceptions import RedisError

IDLE_SECONDS = 5.0
"""Seconds without a use after which a connection must answer a PING before its next one. Not redis-py's health check,
which before version 6 calls itself without end where Redis asks for a password."""
PROBE_SECONDS = 0.25
"""Seconds for that answer; a connection without one is replaced, and the call goes on."""


class ConnectionPool(redis.ConnectionPool):
    """A pool whose idle connections are closed once one has failed, and one that was idle for long is tried first."""

    def __init__(self, *args: Any, **options: Any) -> None:
        self._released_at: WeakKeyDictionary[Any, float] = WeakKeyDictionary()
        super().__init__(*args, **options)

    def get_connection(self, *args: Any, **options: Any) -> Any:
        """A connection that is ready for a command."""
        connection = super().get_connection(*args, **options)
        try:
            if _is_doubtful(self._released_at.get(connection)) and not _answers(connection):
                self.disconnect(inuse_connections=False)
                _replace(connection)
        except BaseException:
            self.release(connection)
            raise
        return connection

    def release(self, connection: Any) -> None:
        """Put a connection back; one that has failed takes the idle ones with it."""
        has_failed = connection._sock is None  # noqa: SLF001  # redis-py 5 has no ``is_connected`` without a loop
        self._released_at[connection] = time.monotonic()
        super().release(connection)
        if has_failed:
            self.disconnect(inuse_connections=False)


class AsyncConnectionPool(redis.asyncio.ConnectionPool):
    """``ConnectionPool`` for an event loop."""

    def __init__(self, *args: Any, **options: Any) -> None:
        self._released_at: WeakKeyDictionary[Any, float] = WeakKeyDictionary()
        super().__init__(*args, **options)

    async def ensure_connection(self, connection: Any) -> None:
        """Connect, or make sure that a connection still leads somewhere."""
        await super().ensure_connection(connection)
        if _is_doubtful(self._released_at.get(connection)) and not await _answers_async(connection):
            await self._close_idle()
            await connection.disconnect(nowait=True)
            await connection.connect()

    async def release(self, connection: Any) -> None:
        """Put a connection back; one that has failed takes the idle ones with it."""
        has_failed = not connection.is_connected
        self._released_at[connection] = time.monotonic()
        await super().release(connection)
        if has_failed:
            await self._close_idle()

    async def _close_idle(self) -> None:
        # redis-py's ``disconnect`` makes a task for each connection of the pool, those that are closed included: of a
        # thousand readers that fail together, each would make a thousand. It raises what cancels one of them, too.
        for connection in [item for item in self._available_connections if item.is_connected]:
            await connection.disconnect(nowait=True)


def _replace(connection: Any) -> None:
    connection.disconnect()
    connection.connect()


def _is_doubtful(released_at: float | None) -> bool:
    return released_at is not None and time.monotonic() - released_at > IDLE_SECONDS


def _answers(connection: Any) -> bool:
    try:
        connection.send_command("PING", check_health=False)
        return connection.can_read(PROBE_SECONDS) and connection.read_response() is not None
    except (RedisError, OSError):
        return False


async def _answers_async(connection: Any) -> bool:
    try:
        await connection.send_command("PING", check_health=False)
        return await connection.read_response(timeout=PROBE_SECONDS) is not None
    except (RedisError, OSError):
        return False
