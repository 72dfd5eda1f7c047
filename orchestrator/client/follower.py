"""Following a run to its end on a clock of our own: a store that hangs never makes the reader hang."""

from __future__ import annotations

import logging
import queue
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from orchestrator.client.single_flight import Ending
from orchestrator.client.waiting import Waiting
from orchestrator.deadline import Deadline
from orchestrator.errors import StoreUnreachable
from orchestrator.models import Event, Report
from orchestrator.store.connection import BLOCK_MS
from orchestrator.store.events import EventReader

_LOGGER = logging.getLogger(__name__)
END_BLOCK_MS = 250


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
                events, closed = self._read(after, closed)
                self.waiting.pulse.beat()
                for event in events:
                    self._queue.put(event)
                    after = event.id
                if events:
                    is_last = events[-1].type.is_terminal
                    closed, is_through = closed or is_last, is_last and not self.only_the_end
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

    def _read(self, after: str, closed: bool) -> tuple[list[Event], bool]:
        """The next events, waited for, and whether the run is known to be closed."""
        if not self.only_the_end:
            block_ms = 0 if closed else block_until(self.waiting.deadline, BLOCK_MS)
            return self.reader.read(self.run_id, after, block_ms=block_ms), closed
        block_ms = block_until(self.waiting.deadline, END_BLOCK_MS)
        closed = closed or self.reader.wait_end(self.run_id, block_ms=block_ms)
        return [] if closed or self.waiting.deadline.has_passed else self.reader.read(self.run_id, after), closed

    def _end(self, closed: bool) -> bool:
        """Whether the run is closed: one whose deadline has come is ended."""
        if not closed and not self.waiting.deadline.has_passed:
            return self.reader.is_closed(self.run_id)
        ending = self.end(closed)
        self.report = ending.report
        self.waiting.take_deadline(ending.remaining_seconds)
        return ending.report is not None
