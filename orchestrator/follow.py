"""Following a run to its end on a clock of our own: a store that hangs never makes the reader hang."""

from __future__ import annotations

import logging
import queue
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from orchestrator.deadline import Deadline
from orchestrator.errors import StoreUnreachable, TroubleshootError
from orchestrator.models import Event
from orchestrator.store.connection import BLOCK_MS
from orchestrator.store.events import EventReader

_LOGGER = logging.getLogger(__name__)
RECONNECT_SECONDS = 0.1
GRACE_SECONDS = 0.2
"""How long after the deadline a reader still waits for the terminal event."""


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
        try:
            while not self._stop.is_set():
                try:
                    after, ended = self._read(after)
                except StoreUnreachable as error:
                    if self.deadline.has_passed:
                        _LOGGER.warning("stream_cut run_id=%s error=%s", self.run_id, error)
                        return
                    self._stop.wait(RECONNECT_SECONDS)
                    continue
                if ended:
                    return
        except TroubleshootError as error:
            self._queue.put(error)
        except Exception as error:  # noqa: BLE001  # border of the thread: the caller raises it
            self._queue.put(error)
        finally:
            self._queue.put(None)

    def _read(self, after: str) -> tuple[str, bool]:
        block_ms = max(1, min(BLOCK_MS, int(self.deadline.remaining() * 1000)))
        events = self.reader.read(self.run_id, after, block_ms=block_ms)
        for event in events:
            self._queue.put(event)
            after = event.id
            if event.type.is_terminal:
                return after, True
        if not events and self.deadline.has_passed:
            closed = self.finish()
            # A reader that resumed after the terminal event has nothing more to wait for.
            if closed and not self.reader.read(self.run_id, after, block_ms=0, count=1):
                return after, True
        return after, False
