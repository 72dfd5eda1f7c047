"""By how much the machine itself made an answer late: a process that only sleeps, and the waits for a processor."""

from __future__ import annotations

import bisect
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path

STEP_SECONDS = 0.1


class Delays:
    """Delays by time. ``pids`` names the processes through whose hands an answer goes.

    A process that sleeps is woken at once even on a busy machine, while those that have an answer to compute wait for
    a processor: Linux counts for each thread how long.
    """

    def __init__(self, pids: Callable[[], Iterable[int]]) -> None:
        self.sleeper: list[tuple[float, float]] = []
        self.waits: list[tuple[float, float]] = []
        self._pids = pids
        self._last: dict[int, int] = {}
        self._stop = threading.Event()
        self._probe = subprocess.Popen(
            [sys.executable, str(Path(__file__).with_name("probe.py"))], stdout=subprocess.PIPE, text=True
        )
        for loop in (self._read_probe, self._read_waits):
            threading.Thread(target=loop, daemon=True).start()

    def between(self, began: float, ended: float) -> float:
        """Seconds of delay in a span of time: the sleeper's, or those of the processes together where they are more."""
        return max(_between(self.sleeper, began, ended), _between(self.waits, began, ended))

    def close(self) -> None:
        self._stop.set()
        self._probe.kill()
        self._probe.wait()

    def _read_probe(self) -> None:
        assert self._probe.stdout is not None
        for line in self._probe.stdout:
            at, late = line.split()
            self.sleeper.append((float(at), float(late)))

    def _read_waits(self) -> None:
        while not self._stop.wait(STEP_SECONDS):
            now, waited = time.monotonic(), 0
            for pid in self._pids():
                total = waited_ns(pid)
                waited += total - self._last.get(pid, total)
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
