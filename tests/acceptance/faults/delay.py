"""How late the machine itself runs a process that is due: what no program on it can be blamed for."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path
from typing import Self

_SLEEPER = """
import time
while True:
    due = time.monotonic() + 0.005
    time.sleep(0.005)
    late = time.monotonic() - due
    if late > 0.001:
        print(due, late, flush=True)
"""


class MachineDelay:
    """A process that sleeps for five milliseconds at a time and writes down how late it woke; a context manager."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / "delay.txt"

    def __enter__(self) -> Self:
        with self._path.open("wb") as out:
            self._sleeper = subprocess.Popen([sys.executable, "-c", _SLEEPER], stdout=out)
        return self

    def __exit__(self, *_: object) -> None:
        self._sleeper.kill()
        self._sleeper.wait(10)

    def samples(self, since: float) -> list[tuple[float, float]]:
        """When it was due, by the monotonic clock, and how many seconds late it was."""
        lines = self._path.read_text("ascii").splitlines(keepends=True)
        pairs = (tuple(map(float, line.split())) for line in lines if line.endswith("\n"))
        return [(due, late) for due, late in pairs if due + late >= since]


def worst(samples: list[tuple[float, float]], since: float, until: float | None = None) -> float:
    """The most seconds by which it was late between two times."""
    end = time.monotonic() if until is None else until
    return max((late for due, late in samples if due + late >= since and due <= end), default=0.0)
