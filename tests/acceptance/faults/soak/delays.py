"""By how much the machine itself made an answer late: a process that only sleeps, and the waits for a processor."""

from __future__ import annotations

import bisect
import threading
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path

from tests.acceptance.faults.delay import MachineDelay

STEP_SECONDS = 0.1
NOTED_SECONDS = 0.005


class Delays:
    """Delays by time. ``pids`` names the processes through whose hands an answer goes.

    A process that sleeps is woken at once even on a busy machine, while those that have an answer to compute wait for
    a processor: Linux counts for each thread how long.
    """

    def __init__(self, sleeper: MachineDelay, pids: Callable[[], Iterable[int]]) -> None:
        self._machine = sleeper
        self.sleeper: list[tuple[float, float]] = []
        """When it woke, and how many seconds late."""
        self.waits: list[tuple[float, float]] = []
        self._pids = pids
        self._last: dict[int, int] = {}
        self._stop = threading.Event()
        threading.Thread(target=self._read_waits, daemon=True).start()

    def read(self) -> None:
        """Read what the sleeper has told up to now."""
        self.sleeper = [(due + late, late) for due, late in self._machine.samples(0.0) if late > NOTED_SECONDS]

    def between(self, began: float, ended: float) -> float:
        """Seconds of delay in a span of time: the sleeper's, or those of the processes together where they are more."""
        return max(_between(self.sleeper, began, ended), _between(self.waits, began, ended))

    def close(self) -> None:
        self._stop.set()

    def _read_waits(self) -> None:
        while not self._stop.wait(STEP_SECONDS):
            now, waited = time.monotonic(), 0
            for pid in self._pids():
                total = waited_ns(pid)
                waited += max(0, total - self._last.get(pid, total))  # a thread that has ended takes its own with it
                self._last[pid] = total
            # Threads wait side by side, an answer only once: no more than the time that has passed.
            if (seconds := min(STEP_SECONDS * 1.2, waited / 1e9)) > 0.001:
                self.waits.append((now, seconds))


def waited_ns(pid: int) -> int:
    """Nanoseconds for which the threads of a process have waited for a processor."""
    total = 0
    with suppress(OSError):
        for task in Path(f"/proc/{pid}/task").iterdir():
            with suppress(OSError, ValueError, IndexError):
                total += int((task / "schedstat").read_text().split()[1])
    return total


def _between(points: list[tuple[float, float]], began: float, ended: float) -> float:
    at, total = bisect.bisect_left(points, (began, 0.0)), 0.0
    while at < len(points) and points[at][0] - points[at][1] <= ended:
        total += points[at][1]
        at += 1
    return total
