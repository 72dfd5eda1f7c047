"""How long a reader of a run waits: to the deadline plus grace, and longer while the store answers."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from orchestrator.deadline import Deadline
from orchestrator.errors import OutOfConnections, StoreUnreachable
from orchestrator.store.connection import heeding_calls

GRACE_SECONDS = 0.2
"""Seconds after the deadline for which a reader waits for the terminal event while the store is silent."""
LATE_SECONDS = 0.8
"""Seconds for which a reader that comes after the deadline waits for a silent store: the run must be read, and perhaps
finished."""
MAX_OVERTIME_SECONDS, MAX_LATE_END_SECONDS = 2.0, 10.0
"""Most seconds by which a reader waits longer while the store answers: some calls, and every call since the deadline.
The end of the run is late then, as on a machine that has more to do than it can."""
LOST_SECONDS = 1.0
"""Seconds of silence of a failing store after which a reader does not wait for the rest of a run whose sources have all
answered; as the graphs do."""
RECONNECT_SECONDS = 0.1
"""Seconds between a failed try and the next one."""
COPY_SECONDS, PAUSE_SECONDS_A_READER = 0.25, 0.005
"""Seconds between two readings of an open run's copy, and the least for each reader of the client between two calls of
one kind: 200 calls of it a second. Five hundred readers at four a second would keep their process from its answers."""


@dataclass(slots=True)
class Pulse:
    """The readers of a client, and when the store last answered one of them."""

    answered_at: float = 0.0
    asked_at: float = 0.0
    """When one that works on an answer last sent the next call: until then the store was not silent."""
    _readers: set[object] = field(default_factory=set)
    """Those that read copies. A set, as its changes need no lock between threads."""
    _working: set[object] = field(default_factory=set)
    """Those that work on what the store has answered them."""

    def beat(self) -> None:
        """The store has answered."""
        self.answered_at = time.monotonic()

    @property
    def heard_at(self) -> float:
        """When the store was last known not to be silent: now, while this process has its answer and works on it."""
        return time.monotonic() if self._working else max(self.answered_at, self.asked_at)

    @contextmanager
    def working(self) -> Iterator[None]:
        """The block ends a run for the readers: only while it waits for the store is the store silent."""
        worker = object()

        def heed(is_sent: bool) -> None:
            if is_sent:
                # Before the discard: a reader that looks in between would see the silence of the whole work.
                if worker in self._working:
                    self.asked_at = time.monotonic()
                self._working.discard(worker)
            else:
                self.beat()
                self._working.add(worker)

        try:
            with heeding_calls(heed):
                yield
        finally:
            if worker in self._working:
                self.beat()
                self._working.discard(worker)

    @contextmanager
    def reading(self) -> Iterator[None]:
        """One more reader of a copy, for as long as the context lasts."""
        reader = object()
        self._readers.add(reader)
        try:
            yield
        finally:
            self._readers.discard(reader)

    @property
    def copy_seconds(self) -> float:
        """Seconds between two readings of a run's copy by the same reader."""
        return self.pause(COPY_SECONDS)

    def pause(self, least_seconds: float) -> float:
        """Seconds between two calls that each reader makes again and again."""
        return max(least_seconds, PAUSE_SECONDS_A_READER * len(self._readers))


@dataclass(slots=True)
class Waiting:
    """The wait of one reader.

    When time runs out while the store answers other callers of this process, the process is slow and the store is not
    gone: its readers wait on until the store has been silent for ``GRACE_SECONDS``. So they do while the process works
    on the end of the run, from an answer of the store to its next call.
    """

    deadline: Deadline
    """Deadline of the run, on this process's clock."""
    pulse: Pulse
    patience: Deadline | None = None
    """The caller's own timeout: the end of the wait whether the run has ended or not."""
    failure: StoreUnreachable | None = None
    """Error of the store at the deadline: the store counts as silent from then on, until it answers again."""
    _failed_at: float = 0.0
    _began: float = field(default_factory=time.monotonic)

    def begin(self) -> None:
        """The caller waits from now on."""
        self._began = time.monotonic()

    def resume(self) -> None:
        """The caller waits again: time in which it was busy with an event was no time of waiting."""
        if self.left() < GRACE_SECONDS / 2:
            self.begin()

    def left(self) -> float:
        """Seconds until this reader gives up, as known now; never below zero."""
        end = self._end()
        if not self._has_failed:
            end = min(max(end, self.pulse.heard_at + GRACE_SECONDS), end + self._overtime_seconds)
        if self.patience is not None:
            end = min(end, self.patience.at)
        return max(0.0, end - time.monotonic())

    def gives_up_after(self, error: StoreUnreachable, *, has_every_answer: bool = False) -> bool:
        """Whether ``error`` ends the wait; False while there is time for another try.

        ``has_every_answer``: what the sources say was read, so that a store that is gone has little to add.
        """
        if has_every_answer and time.monotonic() - self.pulse.answered_at >= LOST_SECONDS:
            return True
        if self.deadline.has_passed:
            self.failure, self._failed_at = error, time.monotonic()
        return self.left() == 0.0

    def pause_seconds(self) -> float:
        """Seconds before the next try; shorter near the deadline, where little time is left."""
        return min(RECONNECT_SECONDS, max(RECONNECT_SECONDS / 5, self.left() / 4))

    def check_refusal(self) -> None:
        """Raise the refused connection that ended the wait, if one did: the store may be well.

        Raises OutOfConnections.
        """
        if isinstance(self.failure, OutOfConnections) and not self.is_out_of_patience:
            raise self.failure

    @property
    def may_run_over(self) -> bool:
        """Whether the store may still turn out to be well although time is up."""
        over = self._end() + self._overtime_seconds
        return not self._has_failed and not self.is_out_of_patience and time.monotonic() < over

    @property
    def is_out_of_patience(self) -> bool:
        """Whether the caller's own timeout is over."""
        return self.patience is not None and self.patience.has_passed

    @property
    def is_silent(self) -> bool:
        """Whether the store does not serve, as far as known: it is not the end of the run that is late."""
        return self._has_failed or time.monotonic() - self.pulse.heard_at >= GRACE_SECONDS

    @property
    def _overtime_seconds(self) -> float:
        return MAX_OVERTIME_SECONDS if self.failure is not None else MAX_LATE_END_SECONDS

    @property
    def _has_failed(self) -> bool:
        return self.failure is not None and self._failed_at >= self.pulse.answered_at

    def _end(self) -> float:
        if self._began >= self.deadline.at:
            return self._began + LATE_SECONDS
        return self.deadline.at + GRACE_SECONDS
