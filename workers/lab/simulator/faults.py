"""Faults of the simulated server: latency, status codes, cut connections and garbage."""

import threading
from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Fault:
    """A fault for requests whose path contains ``path``, ``times`` times (None: always)."""

    path: str = ""
    times: int | None = None
    latency_seconds: float = 0.0
    status: int | None = None
    broken: Literal["", "cut", "reset", "garbage", "html"] = ""
    """``cut``: half of the body; ``reset``: no response; ``garbage``: invalid JSON; ``html``: a login page."""


class FaultBox:
    """The active faults. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._faults: list[Fault] = []
        self._used: list[int] = []

    def add(self, fault: Fault) -> None:
        """Activate a fault."""
        with self._lock:
            self._faults.append(fault)
            self._used.append(0)

    def clear(self) -> None:
        """Remove all faults."""
        with self._lock:
            self._faults.clear()
            self._used.clear()

    def take(self, path: str) -> Fault | None:
        """The first fault for ``path`` with uses left; counts its use."""
        with self._lock:
            for index, fault in enumerate(self._faults):
                if fault.path in path and (fault.times is None or self._used[index] < fault.times):
                    self._used[index] += 1
                    return fault
        return None
