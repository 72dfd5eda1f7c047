"""Following a run to its end, for a thread and for an event loop; a store that hangs never makes the reader hang."""

import asyncio
import queue
import threading
import time
from collections.abc import AsyncIterator, Callable, Generator, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from typing import Any

from orchestrator.client.waiting import Waiting
from orchestrator.deadline import Deadline, time_limit
from orchestrator.errors import StoreUnreachable
from orchestrator.logs import get_logger
from orchestrator.models import Event, Report
from orchestrator.store.connection import BLOCK_MS
from orchestrator.store.events import AsyncEventReader, EventReader, Page
from orchestrator.store.run_copy import RunCopy

_LOGGER = get_logger(__name__)
_LAG_SECONDS = 0.05
"""An event loop that runs this late may hold an answer of the store that it has not looked at yet."""
_Round = Generator[Any, Any, tuple[Page, bool]]


def block_until(deadline: Deadline, longest_ms: int) -> int:
    """Milliseconds for a blocking read: to the deadline, at most ``longest_ms``; never 0, which blocks for ever."""
    return min(longest_ms, int(deadline.remaining() * 1000) + 1)


@dataclass(slots=True)
class _Following:
    """The state of one reader and the order of its calls, shared by ``Follower`` and ``AsyncFollower``.

    ``_round`` is a generator: it yields what a call of ``reader`` or ``end`` returned, for the asynchronous ones an
    awaitable, and is sent its value.
    """

    run_id: str
    reader: EventReader | AsyncEventReader
    end: Callable[[bool], Any]
    """Finishes the run at its deadline, or reads the report of one that is known to be closed; None of an open one."""
    waiting: Waiting
    only_the_end: bool = False
    """Yield no events, wake up for the end alone and read the report; the copy is read every ``Pulse.copy_seconds``."""
    keeps_copy: bool = False
    """Read the copy too, whenever ``Pulse.copy_seconds`` bring no further event."""
    report: Report | None = None
    """The report of a run whose end this reader has seen; with ``only_the_end`` it is set whenever it has."""
    copy: RunCopy = field(init=False)
    """What was read of the run, for a report when the store goes away."""
    has_given_up: bool = False
    """Whether the wait was over before the end of the run was read."""
    _closed: bool | None = None
    _has_news: bool = False
    """Whether events have come since the copy was read."""
    _copied_at: float = 0.0

    def __post_init__(self) -> None:
        self.copy = RunCopy(self.run_id)

    def _round(self, after: str) -> _Round:
        """Read once, blocking: the next page of events, and whether there is nothing more to read."""
        if self._closed is None:
            self._closed = yield self.reader.is_closed(self.run_id)
        page = yield from self._read(after)
        self.waiting.pulse.beat()
        if page.last_id != after:
            self._closed = self._closed or page.is_last
            self._has_news = self.keeps_copy
            return page, page.is_last
        if self._closed and not self.only_the_end:
            # Closed before the event that this reader resumed after.
            return page, True
        # Silence: the run has ended, has expired, or is at its deadline.
        if self._closed or self.waiting.deadline.has_passed:
            self.report = yield self.end(bool(self._closed))
            self._closed = self.report is not None
        elif self.only_the_end or self._has_news:
            # Of many readers each reads less often than its blocking reads, which are bounded, wake it up.
            if time.monotonic() - self._copied_at >= self.waiting.pulse.copy_seconds - _LAG_SECONDS:
                self._closed, self._has_news = (yield self.reader.read_copy(self.copy)), False
                self._copied_at = time.monotonic()
        else:
            self._closed = yield self.reader.is_closed(self.run_id)
        return page, self.only_the_end and self.report is not None

    def _read(self, after: str) -> Generator[Any, Any, Page]:
        deadline, copy_ms = self.waiting.deadline, min(BLOCK_MS, round(self.waiting.pulse.copy_seconds * 1000))
        if self.only_the_end:
            if not self._closed:
                self._closed = yield self.reader.wait_end(self.run_id, block_ms=block_until(deadline, copy_ms))
            return Page([], after)
        block_ms = 0 if self._closed else block_until(deadline, copy_ms if self._has_news else BLOCK_MS)
        page: Page = yield self.reader.read(self.run_id, after, block_ms=block_ms)
        return page

    def _as_reader(self) -> AbstractContextManager[None]:
        return self.waiting.pulse.reading() if self.only_the_end or self.keeps_copy else nullcontext()

    def _gives_up_after(self, error: StoreUnreachable) -> bool:
        return self.waiting.gives_up_after(error, has_every_answer=self.copy.has_every_answer)

    def _give_up(self, error: object = None) -> None:
        error = error or ("the store was silent" if self.waiting.is_silent else "the run has not ended")
        self.has_given_up = True
        if not self.waiting.is_out_of_patience:
            _LOGGER.warning("stream_cut run_id=%s error=%s", self.run_id, error)


@dataclass(slots=True)
class Follower(_Following):
    """Reads the events of a run in a thread of its own; the caller waits on a queue, bounded by ``waiting``.

    ``reader`` is an ``EventReader`` and ``end`` a plain function: at the deadline of a run that nobody has finished,
    the thread finishes it.
    """

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
                if item.type.is_terminal:
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
                self._give_up()
                return None

    def _pump(self, after: str) -> None:
        try:
            with self._as_reader():
                self._read_to_the_end(after)
        except StoreUnreachable as error:
            self._give_up(error)
        except Exception as error:  # noqa: BLE001  # border of the thread: the caller raises it
            self._queue.put(error)
        finally:
            self._queue.put(None)

    def _read_to_the_end(self, after: str) -> None:
        is_through = False
        while not is_through and not self._stop.is_set():
            try:
                page, is_through = _run(self._round(after))
            except StoreUnreachable as error:
                if self._gives_up_after(error):
                    raise
                self._stop.wait(self.waiting.pause_seconds())
                continue
            after = page.last_id
            for event in page.events:
                self._queue.put(event)


@dataclass(slots=True)
class AsyncFollower(_Following):
    """Reads the events of a run on an event loop, without a thread; the loop's own timeout is the bound.

    ``reader`` is an ``AsyncEventReader`` and ``end`` a coroutine function.
    """

    async def events(self, after: str) -> AsyncIterator[Event]:
        """Events after ``after`` up to the terminal one, or until the wait is over.

        Raises RunNotFound, OutOfConnections.
        """
        self.waiting.begin()
        is_through = False
        with self._as_reader():
            while not is_through:
                try:
                    async with time_limit(self._left):
                        page, is_through = await _run_async(self._round(after))
                except StoreUnreachable as error:
                    if self._gives_up_after(error):
                        self._give_up(error)
                        self.waiting.check_refusal()
                        return
                    await asyncio.sleep(self.waiting.pause_seconds())
                    continue
                except TimeoutError:
                    self._give_up()
                    self.waiting.check_refusal()
                    return
                after = page.last_id
                for event in page.events:
                    yield event
                self.waiting.resume()

    def _left(self, late_seconds: float) -> float:
        left = self.waiting.left()
        is_late = left == 0 and late_seconds > _LAG_SECONDS and self.waiting.may_run_over
        return _LAG_SECONDS if is_late else left


def _run(steps: _Round) -> tuple[Page, bool]:
    result: Any = None
    while True:
        try:
            result = steps.send(result)
        except StopIteration as stop:
            outcome: tuple[Page, bool] = stop.value
            return outcome


async def _run_async(steps: _Round) -> tuple[Page, bool]:
    result: Any = None
    while True:
        try:
            call = steps.send(result)
        except StopIteration as stop:
            outcome: tuple[Page, bool] = stop.value
            return outcome
        result = await call
