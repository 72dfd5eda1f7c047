"""Following a run to its end on a clock of our own: a store that hangs never makes the reader hang."""

from __future__ import annotations

import logging
import queue
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from orchestrator.deadline import Deadline
from orchestrator.errors import StoreUnreachable
from orchestrator.models import Event
from orchestrator.store.connection import BLOCK_MS
from orchestrator.store.events import EventReader

_LOGGER = logging.getLogger(__name__)
RECONNECT_SECONDS = 0.1
END_BLOCK_MS = 250
GRACE_SECONDS = 0.2
"""How long after the deadline a reader still waits for the terminal event."""


def block_until(deadline: Deadline, longest_ms: int) -> int:
    """Milliseconds that a read may block: to the deadline, at most ``longest_ms``, and never 0, which is for ever."""
    return max(1, min(longest_ms, int(deadline.remaining() * 1000)))


@dataclass(slots=True)
class Follower:
    """Reads a run's events in a thread of its own; the caller waits on a queue, bounded by the deadline.

    At the deadline of a run that nobody has finished, the thread finishes it.
    """

    run_id: str
    reader: EventReader
    finish: Callable[[], bool]
    """Finishes the run at its deadline; True when it is closed."""
    deadline: Deadline
    """Of the run, on this process's clock."""
    patience: Deadline | None = None
    """When the caller wants to hear no more, whether the run has ended or not."""
    only_the_end: bool = False
    """Be woken by the end alone, and do not read it; what came before it is read every quarter of a second, in case
    the store goes away."""
    has_ended: bool = False
    """Set when the run has ended, as far as this reader has heard."""
    _queue: queue.SimpleQueue[Event | Exception | None] = field(default_factory=queue.SimpleQueue)
    _stop: threading.Event = field(default_factory=threading.Event)

    def events(self, after: str) -> Iterator[Event]:
        """Events after ``after`` up to the terminal one, or until the deadline and its grace are over.

        Raises RunNotFound.
        """
        thread = threading.Thread(target=self._pump, args=(after,), name=f"follow-{self.run_id[:8]}", daemon=True)
        thread.start()
        try:
            while True:
                item = self._next()
                if item is None:
                    return
                if isinstance(item, Exception):
                    raise item
                yield item
                if item.type.is_terminal:
                    return
        finally:
            self._stop.set()

    def _next(self) -> Event | Exception | None:
        wait = self.deadline.remaining() + GRACE_SECONDS
        if self.patience is not None:
            wait = min(wait, self.patience.remaining())
        try:
            return self._queue.get(timeout=wait)
        except queue.Empty:
            if self.patience is not None and self.patience.has_passed:
                return None
            _LOGGER.warning("stream_cut run_id=%s reason=store_unreachable", self.run_id)
            return None

    def _pump(self, after: str) -> None:
        closed: bool | None = None
        longest_ms = END_BLOCK_MS if self.only_the_end else BLOCK_MS
        try:
            while not self._stop.is_set():
                try:
                    if closed is None:
                        closed = self.reader.is_closed(self.run_id)
                    block_ms = 0 if closed else block_until(self.deadline, longest_ms)
                    if self.only_the_end:
                        closed = closed or self.reader.wait_end(self.run_id, block_ms=block_ms)
                        events = [] if closed else self.reader.read(self.run_id, after)
                    else:
                        events = self.reader.read(self.run_id, after, block_ms=block_ms)
                    for event in events:
                        self._queue.put(event)
                        after = event.id
                    if (events and events[-1].type.is_terminal) or (closed and not events):
                        self.has_ended = True
                        return
                    if not events:
                        # Silence: ended before the event we resumed after, gone, or at its deadline.
                        closed = self.reader.is_closed(self.run_id) or (self.deadline.has_passed and self.finish())
                except StoreUnreachable as error:
                    if self.deadline.has_passed:
                        _LOGGER.warning("stream_cut run_id=%s error=%s", self.run_id, error)
                        return
                    self._stop.wait(RECONNECT_SECONDS)
        except Exception as error:  # noqa: BLE001  # border of the thread: the caller raises it
            self._queue.put(error)
        finally:
            self._queue.put(None)
