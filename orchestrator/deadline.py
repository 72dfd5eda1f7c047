"""Deadlines on the monotonic clock of this process; a run's absolute deadline is on the Redis clock."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Self

_REPEAT_SECONDS = 0.05


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


@asynccontextmanager
async def time_limit(left: Callable[[float], float]) -> AsyncIterator[None]:
    """Like ``asyncio.timeout``, but repeats its cancellation until the block ends, and its limit may move.

    For blocks that use redis-py: it sends in ``asyncio.wait_for``, which on Python 3.11 loses a cancellation that comes
    as it ends. ``left`` returns the seconds that are left, given the seconds by which the event loop runs late.

    Raises TimeoutError.
    """
    loop, task = asyncio.get_running_loop(), asyncio.current_task()
    timer: asyncio.TimerHandle | None = None

    def check(due: float) -> None:
        seconds = left(loop.time() - due)
        if seconds <= 0:
            if not limit.expired():
                limit.reschedule(loop.time())
            elif task is not None:
                task.uncancel()  # still one cancellation for ``limit`` to take back
                task.cancel()
        check_in(seconds if seconds > 0 else _REPEAT_SECONDS)

    def check_in(seconds: float) -> None:
        nonlocal timer
        timer = loop.call_later(seconds, check, loop.time() + seconds)

    first = left(0.0)
    if first <= 0:
        raise TimeoutError
    async with asyncio.timeout(None) as limit:
        check_in(first)
        try:
            yield
        finally:
            if timer is not None:
                timer.cancel()
