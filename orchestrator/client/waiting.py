"""How long a reader of a run waits: to the deadline and its grace, and on while the store is heard."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

from orchestrator.deadline import Deadline
from orchestrator.errors import OutOfConnections, StoreUnreachable

GRACE_SECONDS = 0.2
"""How long after the deadline a reader waits for the terminal event while the store is silent."""
LATE_SECONDS = 0.8
"""How long a reader that comes after the deadline waits for a silent store: such a run has to be read, and may still
have to be finished."""
MAX_OVERTIME_SECONDS = 2.0
"""How much longer a reader waits, at most, while the store is heard."""
RECONNECT_SECONDS = 0.1
"""Between a try that failed and the next one."""


@dataclass(slots=True)
class Pulse:
    """When the store was last heard by anybody in this process."""

    heard_at: float = 0.0

    def beat(self) -> None:
        """The store has answered."""
        self.heard_at = time.monotonic()


@dataclass(slots=True)
class Waiting:
    """One reader's wait.

    Time that runs out while the store answers others of this process says that the process is slow, not that the store
    is gone: its readers wait on, until the store has been silent for ``GRACE_SECONDS``.
    """

    deadline: Deadline
    """Of the run, on this process's clock."""
    pulse: Pulse
    patience: Deadline | None = None
    """When the caller wants to hear no more, whether the run has ended or not."""
    failure: StoreUnreachable | None = None
    """Of the store at the deadline: it is silent from then on, until it is heard again."""
    _failed_at: float = 0.0
    _began: float = field(default_factory=time.monotonic)

    def begin(self) -> None:
        """The caller listens from now on."""
        self._began = time.monotonic()

    def resume(self) -> None:
        """The caller listens again: one that was busy with what it had heard has not used up its time with waiting."""
        if self.left() < GRACE_SECONDS / 2:
            self.begin()

    def left(self) -> float:
        """Seconds until this reader gives up, as far as is known now; never below zero."""
        end = self._end()
        if not self._has_failed:
            end = min(max(end, self.pulse.heard_at + GRACE_SECONDS), end + MAX_OVERTIME_SECONDS)
        if self.patience is not None:
            end = min(end, self.patience.at)
        return max(0.0, end - time.monotonic())

    def gives_up_after(self, error: StoreUnreachable) -> bool:
        """Whether ``error`` ends the wait; another try may do better while there is time."""
        if self.deadline.has_passed:
            self.failure, self._failed_at = error, time.monotonic()
        return self.left() == 0.0

    def pause_seconds(self) -> float:
        """How long to wait before the next try: not long at the deadline, where little time is left."""
        return min(RECONNECT_SECONDS, max(RECONNECT_SECONDS / 5, self.left() / 4))

    def check_refusal(self) -> None:
        """Raise the refusal of a connection that ended the wait: the store may be well.

        Raises OutOfConnections.
        """
        if isinstance(self.failure, OutOfConnections) and not self.is_unwanted:
            raise self.failure

    def take_deadline(self, remaining_seconds: float) -> None:
        """Take over the deadline by the store's clock: ours is a little earlier, it counts from before the submit."""
        if remaining_seconds > 0:
            self.deadline = Deadline.after(remaining_seconds)

    @property
    def may_run_over(self) -> bool:
        """Whether the store may still turn out to be well, though time is up."""
        over = self._end() + MAX_OVERTIME_SECONDS
        return not self._has_failed and not self.is_unwanted and time.monotonic() < over

    @property
    def is_unwanted(self) -> bool:
        """Whether the caller wants to hear no more."""
        return self.patience is not None and self.patience.has_passed

    @property
    def _has_failed(self) -> bool:
        return self.failure is not None and self._failed_at >= self.pulse.heard_at

    def _end(self) -> float:
        if self._began >= self.deadline.at:
            return self._began + LATE_SECONDS
        return self.deadline.at + GRACE_SECONDS
