"""Deadlines on the monotonic clock of this process; a run's absolute deadline is on the Redis clock."""

import time
from dataclasses import dataclass
from typing import Self


@dataclass(frozen=True, slots=True)
class Deadline:
    """A point in time on this process's monotonic clock.

    ``Deadline.after(2.5).remaining()`` is 2.5 at first and 0 at the end.
    """

    at: float

    @classmethod
    def after(cls, seconds: float) -> Self:
        """The deadline in ``seconds`` from now; negative for one in the past."""
        return cls(time.monotonic() + seconds)

    def remaining(self) -> float:
        """Seconds left, never below zero."""
        return max(0.0, self.at - time.monotonic())

    @property
    def has_passed(self) -> bool:
        """True once no time is left."""
        return self.remaining() == 0.0

    def elapsed_ms(self, total_seconds: float) -> float:
        """Milliseconds since the start of a period of ``total_seconds`` that ends at the deadline."""
        return round((time.monotonic() - self.at + total_seconds) * 1000, 1)
