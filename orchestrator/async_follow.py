"""Following a run on an event loop, bounded by a clock of our own."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

import redis.asyncio

from orchestrator.client.follower import END_BLOCK_MS, block_until
from orchestrator.client.single_flight import Ending
from orchestrator.client.waiting import Waiting
from orchestrator.errors import StoreUnreachable
from orchestrator.models import Event, Report
from orchestrator.store.connection import BLOCK_MS, store_errors
from orchestrator.store.events import START, check_closed, parse_reply
from orchestrator.store.keys import Keys

_LOGGER = logging.getLogger(__name__)
_LAG_SECONDS = 0.05
"""A loop that is so late may have the store's answer in hand and not have looked at it yet."""


@dataclass(slots=True)
class AsyncFollower:
    """The async twin of ``Follower``: no thread, the loop's own timeout is the bound."""

    run_id: str
    reader: redis.asyncio.Redis
    keys: Keys
    end: Callable[[bool], Awaitable[Ending]]
    """Ends the run at its deadline, or reads the report of one that is known to be closed."""
    waiting: Waiting
    only_the_end: bool = False
    report: Report | None = None
    _closed: bool | None = None

    async def events(self, after: str) -> AsyncIterator[Event]:
        """Events after ``after`` up to the terminal one, or until the wait is over.

        Raises RunNotFound, OutOfConnections.
        """
        self.waiting.begin()
        is_through = False
        while not is_through:
            try:
                async with _until_given_up(self.waiting):
                    events, is_through = await self._round(after)
            except StoreUnreachable as error:
                if self.waiting.gives_up_after(error):
                    self._cut(str(error))
                    return
                await asyncio.sleep(self.waiting.pause_seconds())
                continue
            except TimeoutError:
                self._cut("the store was silent")
                return
            for event in events:
                after = event.id
                yield event
            self.waiting.resume()

    async def _round(self, after: str) -> tuple[list[Event], bool]:
        """The next events, and whether this reader is through."""
        if self._closed is None:
            self._closed = await self._is_closed()
        events = await self._read(after)
        self.waiting.pulse.beat()
        if events:
            is_last = events[-1].type.is_terminal
            self._closed = self._closed or is_last
            return events, is_last and not self.only_the_end
        if self._closed and not self.only_the_end:
            # Ended before the event that we resumed after.
            return [], True
        # Silence: ended, gone, or at its deadline.
        self._closed = await self._end()
        return [], self.only_the_end and self.report is not None

    def _cut(self, error: str) -> None:
        if not self.waiting.is_unwanted:
            _LOGGER.warning("stream_cut run_id=%s error=%s", self.run_id, error)
        self.waiting.check_refusal()

    async def _is_closed(self) -> bool:
        with store_errors():
            state = await self.reader.hget(self.keys.run(self.run_id), "state")
        return check_closed(self.run_id, state)

    async def _read(self, after: str) -> list[Event]:
        """The next events, waited for; whether the run is known to be closed is noted."""
        if not self.only_the_end:
            return await self._events(after, block_ms=None if self._closed else self._block_ms(BLOCK_MS))
        self._closed = self._closed or await self._wait_end()
        return [] if self._closed or self.waiting.deadline.has_passed else await self._events(after, block_ms=None)

    async def _wait_end(self) -> bool:
        with store_errors():
            block_ms = self._block_ms(END_BLOCK_MS)
            return bool(await self.reader.xread({self.keys.ending(self.run_id): START}, block=block_ms))

    async def _events(self, after: str, *, block_ms: int | None) -> list[Event]:
        with store_errors():
            reply = await self.reader.xread({self.keys.events(self.run_id): after}, count=500, block=block_ms)
        return parse_reply(self.run_id, reply)

    def _block_ms(self, longest_ms: int) -> int:
        return block_until(self.waiting.deadline, longest_ms)

    async def _end(self) -> bool:
        """Whether the run is closed: one whose deadline has come is ended."""
        if not self._closed and not self.waiting.deadline.has_passed:
            return await self._is_closed()
        ending = await self.end(bool(self._closed))
        self.report = ending.report
        self.waiting.take_deadline(ending.remaining_seconds)
        return ending.report is not None


@asynccontextmanager
async def _until_given_up(waiting: Waiting) -> AsyncIterator[None]:
    """Like ``asyncio.timeout``, but for a wait that gets longer while it lasts.

    Raises TimeoutError.
    """
    loop = asyncio.get_running_loop()
    watch: asyncio.TimerHandle | None = None

    def look(due: float) -> None:
        left = waiting.left()
        if left == 0 and loop.time() - due > _LAG_SECONDS and waiting.may_run_over:
            left = _LAG_SECONDS
        if left > 0:
            look_in(left)
        else:
            limit.reschedule(loop.time())

    def look_in(seconds: float) -> None:
        nonlocal watch
        watch = loop.call_later(seconds, look, loop.time() + seconds)

    async with asyncio.timeout(None) as limit:
        look_in(waiting.left())
        try:
            yield
        finally:
            if watch is not None:
                watch.cancel()
