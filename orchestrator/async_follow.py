"""Following a run on an event loop, bounded by a clock of our own."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass

import redis.asyncio

from orchestrator.deadline import Deadline
from orchestrator.errors import StoreUnreachable
from orchestrator.follow import END_BLOCK_MS, GRACE_SECONDS, RECONNECT_SECONDS, block_until
from orchestrator.models import Event
from orchestrator.store.connection import BLOCK_MS, store_errors
from orchestrator.store.events import START, check_closed, parse_reply
from orchestrator.store.keys import Keys

_LOGGER = logging.getLogger(__name__)


@dataclass(slots=True)
class AsyncFollower:
    """The async twin of ``Follower``: no thread, the loop's own timeout is the bound."""

    run_id: str
    reader: redis.asyncio.Redis
    keys: Keys
    finish: Callable[[], Awaitable[bool]]
    """Finishes the run at its deadline; True when it is closed."""
    deadline: Deadline
    patience: Deadline | None = None
    only_the_end: bool = False
    has_ended: bool = False

    async def events(self, after: str) -> AsyncIterator[Event]:
        """Events after ``after`` up to the terminal one, or until the deadline and its grace are over.

        Raises RunNotFound.
        """
        closed: bool | None = None
        while True:
            bound = self.deadline.remaining() + GRACE_SECONDS
            if self.patience is not None:
                bound = min(bound, self.patience.remaining())
            try:
                async with asyncio.timeout(bound):
                    if closed is None:
                        closed = await self._is_closed()
                    if self.only_the_end:
                        closed = closed or await self._wait_end()
                        events = [] if closed else await self._read(after, block_ms=None)
                    else:
                        block_ms = None if closed else block_until(self.deadline, BLOCK_MS)
                        events = await self._read(after, block_ms=block_ms)
                    ended = closed and not events
                    if not events and not closed:
                        # Silence: ended before the event we resumed after, gone, or at its deadline.
                        closed = await self._is_closed() or (self.deadline.has_passed and await self.finish())
            except StoreUnreachable:
                if self.deadline.has_passed:
                    return
                await asyncio.sleep(min(RECONNECT_SECONDS, self.deadline.remaining()))
                continue
            except TimeoutError:
                if self.patience is None or not self.patience.has_passed:
                    _LOGGER.warning("stream_cut run_id=%s reason=store_unreachable", self.run_id)
                return
            for event in events:
                after = event.id
                yield event
                ended = ended or event.type.is_terminal
            if ended:
                self.has_ended = True
                return

    async def _is_closed(self) -> bool:
        with store_errors():
            state = await self.reader.hget(self.keys.run(self.run_id), "state")
        return check_closed(self.run_id, state)

    async def _wait_end(self) -> bool:
        block_ms = block_until(self.deadline, END_BLOCK_MS)
        with store_errors():
            return bool(await self.reader.xread({self.keys.ending(self.run_id): START}, block=block_ms))

    async def _read(self, after: str, *, block_ms: int | None) -> list[Event]:
        with store_errors():
            reply = await self.reader.xread({self.keys.events(self.run_id): after}, count=500, block=block_ms)
        return parse_reply(self.run_id, reply)
