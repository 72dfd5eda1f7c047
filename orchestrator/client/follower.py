"""Following a run to its end on a clock of our own: a store that hangs never makes the reader hang."""

from __future__ import annotations

import asyncio
import logging
import queue
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import redis.asyncio

from orchestrator.client.single_flight import Ending
from orchestrator.client.waiting import Waiting
from orchestrator.deadline import Deadline
from orchestrator.errors import StoreUnreachable
from orchestrator.models import Event, Report
from orchestrator.store.connection import BLOCK_MS, store_errors
from orchestrator.store.events import START, EventReader, Page, check_closed, parse_reply
from orchestrator.store.keys import Keys

_LOGGER = logging.getLogger(__name__)
END_BLOCK_MS = 250
_LAG_SECONDS = 0.05
"""A loop that is so late may have the store's answer in hand and not have looked at it yet."""


def block_until(deadline: Deadline, longest_ms: int) -> int:
    """Milliseconds that a read may block: to the deadline, at most ``longest_ms``, and never 0, which is for ever."""
    return min(longest_ms, int(deadline.remaining() * 1000) + 1)


@dataclass(slots=True)
class Follower:
    """Reads a run's events in a thread of its own; the caller waits on a queue, bounded by ``waiting``.

    At the deadline of a run that nobody has finished, the thread has it finished.
    """

    run_id: str
    reader: EventReader
    end: Callable[[bool], Ending]
    """Ends the run at its deadline, or reads the report of one that is known to be closed."""
    waiting: Waiting
    only_the_end: bool = False
    """Be woken by the end alone, and read the report instead of the events; what came before it is read every quarter
    of a second, in case the store goes away."""
    report: Report | None = None
    """Of a run that this reader has seen the end of; with ``only_the_end``, set whenever it has."""
    _queue: queue.SimpleQueue[Event | Exception | None] = field(default_factory=queue.SimpleQueue)
    _stop: threading.Event = field(default_factory=threading.Event)

    def events(self, after: str) -> Iterator[Event]:
        """Events after ``after`` up to the terminal one, or until the wait is over.

        Raises RunNotFound, OutOfConnections.
        """
        self.waiting.begin()
        thread = threading.Thread(target=self._pump, args=(after,), name=f"follow-{self.run_id[:8]}", daemon=True)
        thread.start()
        try:
            while True:
                item = self._next()
                if item is None:
                    self.waiting.check_refusal()
                    return
                if isinstance(item, Exception):
                    raise item
                yield item
                if item.type.is_terminal and not self.only_the_end:
                    return
        finally:
            self._stop.set()

    def _next(self) -> Event | Exception | None:
        while True:
            try:
                return self._queue.get(timeout=self.waiting.left())
            except queue.Empty:
                if self.waiting.left() > 0:
                    continue
                if not self.waiting.is_unwanted:
                    _LOGGER.warning("stream_cut run_id=%s reason=store_unreachable", self.run_id)
                return None

    def _pump(self, after: str) -> None:
        try:
            self._read_to_the_end(after)
        except StoreUnreachable as error:
            if not self.waiting.is_unwanted:
                _LOGGER.warning("stream_cut run_id=%s error=%s", self.run_id, error)
        except Exception as error:  # noqa: BLE001  # border of the thread: the caller raises it
            self._queue.put(error)
        finally:
            self._queue.put(None)

    def _read_to_the_end(self, after: str) -> None:
        closed: bool | None = None
        is_through = False
        while not is_through and not self._stop.is_set():
            try:
                if closed is None:
                    closed = self.reader.is_closed(self.run_id)
                page, closed = self._read(after, closed)
                self.waiting.pulse.beat()
                for event in page.events:
                    self._queue.put(event)
                is_silent, after = page.last_id == after, page.last_id
                if not is_silent:
                    closed, is_through = closed or page.is_last, page.is_last and not self.only_the_end
                elif closed and not self.only_the_end:
                    # Ended before the event that we resumed after.
                    return
                else:
                    # Silence: ended, gone, or at its deadline.
                    closed = self._end(closed)
                    is_through = self.only_the_end and self.report is not None
            except StoreUnreachable as error:
                if self.waiting.gives_up_after(error):
                    raise
                self._stop.wait(self.waiting.pause_seconds())

    def _read(self, after: str, closed: bool) -> tuple[Page, bool]:
        """The next events, waited for, and whether the run is known to be closed."""
        if not self.only_the_end:
            block_ms = 0 if closed else block_until(self.waiting.deadline, BLOCK_MS)
            return self.reader.read(self.run_id, after, block_ms=block_ms), closed
        block_ms = block_until(self.waiting.deadline, END_BLOCK_MS)
        closed = closed or self.reader.wait_end(self.run_id, block_ms=block_ms)
        if closed or self.waiting.deadline.has_passed:
            return Page([], after), closed
        return self.reader.read(self.run_id, after), closed

    def _end(self, closed: bool) -> bool:
        """Whether the run is closed: one whose deadline has come is ended."""
        if not closed and not self.waiting.deadline.has_passed:
            return self.reader.is_closed(self.run_id)
        ending = self.end(closed)
        self.report = ending.report
        self.waiting.take_deadline(ending.remaining_seconds)
        return ending.report is not None


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
                    page, is_through = await self._round(after)
            except StoreUnreachable as error:
                if self.waiting.gives_up_after(error):
                    self._cut(str(error))
                    return
                await asyncio.sleep(self.waiting.pause_seconds())
                continue
            except TimeoutError:
                self._cut("the store was silent")
                return
            after = page.last_id
            for event in page.events:
                yield event
            self.waiting.resume()

    async def _round(self, after: str) -> tuple[Page, bool]:
        """The next part of the stream, and whether this reader is through."""
        if self._closed is None:
            self._closed = await self._is_closed()
        page = await self._read(after)
        self.waiting.pulse.beat()
        if page.last_id != after:
            self._closed = self._closed or page.is_last
            return page, page.is_last and not self.only_the_end
        if self._closed and not self.only_the_end:
            # Ended before the event that we resumed after.
            return page, True
        # Silence: ended, gone, or at its deadline.
        self._closed = await self._end()
        return page, self.only_the_end and self.report is not None

    def _cut(self, error: str) -> None:
        if not self.waiting.is_unwanted:
            _LOGGER.warning("stream_cut run_id=%s error=%s", self.run_id, error)
        self.waiting.check_refusal()

    async def _is_closed(self) -> bool:
        with store_errors():
            state = await self.reader.hget(self.keys.run(self.run_id), "state")
        return check_closed(self.run_id, state)

    async def _read(self, after: str) -> Page:
        """The next part of the stream, waited for; whether the run is known to be closed is noted."""
        if not self.only_the_end:
            return await self._events(after, block_ms=None if self._closed else self._block_ms(BLOCK_MS))
        self._closed = self._closed or await self._wait_end()
        if self._closed or self.waiting.deadline.has_passed:
            return Page([], after)
        return await self._events(after, block_ms=None)

    async def _wait_end(self) -> bool:
        with store_errors():
            block_ms = self._block_ms(END_BLOCK_MS)
            return bool(await self.reader.xread({self.keys.ending(self.run_id): START}, block=block_ms))

    async def _events(self, after: str, *, block_ms: int | None) -> Page:
        with store_errors():
            reply = await self.reader.xread({self.keys.events(self.run_id): after}, count=500, block=block_ms)
        return parse_reply(self.run_id, after, reply)

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
