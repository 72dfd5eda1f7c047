"""One absolute deadline per run (Redis clock), monotonic time inside a process."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Self


@dataclass(frozen=True, slots=True)
class Deadline:
    """A moment on this process's monotonic clock, in seconds."""

    at: float

    @classmethod
    def after(cls, seconds: float) -> Self:
        """The moment ``seconds`` from now; negative values lie in the past."""
        return cls(time.monotonic() + seconds)

    def remaining(self) -> float:
        """Seconds left, never below zero."""
        return max(0.0, self.at - time.monotonic())

    @property
    def has_passed(self) -> bool:
        """True once no time is left."""
        return self.remaining() == 0.0

    def elapsed_ms(self, total_seconds: float) -> float:
        """Milliseconds since ``total_seconds`` before the moment."""
        return round((time.monotonic() - self.at + total_seconds) * 1000, 1)

    def sleep(self) -> None:
        """Wait for the moment, blocking this thread."""
        time.sleep(self.remaining())
