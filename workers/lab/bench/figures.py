"""Percentiles, memory use, and the description of the machine."""

import os
import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path


def percentiles(values: Sequence[float]) -> dict[str, float]:
    """``p50``, ``p95`` and ``p99`` by the nearest-rank method, rounded to 0.01."""
    ordered = sorted(values)
    if not ordered:
        raise ValueError("no values to take percentiles of")

    def rank(share: float) -> float:
        return round(ordered[max(0, -(-int(share * 100) * len(ordered) // 100) - 1)], 2)

    return {"p50": rank(0.50), "p95": rank(0.95), "p99": rank(0.99)}


def rss_mb(pid: int) -> float | None:
    """Resident memory of a process in MB (10^6 bytes), from ``/proc``; None when it is gone."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text("utf-8").splitlines()
    except OSError:
        return None
    kib = next((int(line.split()[1]) for line in lines if line.startswith("VmRSS:")), None)
    return None if kib is None else round(kib * 1024 / 1e6, 1)


def machine() -> dict[str, object]:
    """Description of the machine: figures compare within one run, not across machines."""
    models = [
        line.partition(":")[2].strip()
        for line in Path("/proc/cpuinfo").read_text("utf-8", "replace").splitlines()
        if line.startswith("model name")
    ]
    return {
        "cpu": models[0] if models else platform.processor(),
        "cores": os.cpu_count(),
        "load_average_1m": round(os.getloadavg()[0], 2),
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
        "celery": version("celery"),
        "kombu": version("kombu"),
        "redis_py": version("redis"),
    }


@dataclass(frozen=True, slots=True)
class CpuTimes:
    """Times of the machine's processors and of some processes, in clock ticks; a difference is what was spent."""

    total: int
    idle: int
    by_name: Mapping[str, int]

    def __sub__(self, before: "CpuTimes") -> "CpuTimes":
        spent = {name: ticks - before.by_name[name] for name, ticks in self.by_name.items() if name in before.by_name}
        return CpuTimes(self.total - before.total, self.idle - before.idle, spent)

    @property
    def busy(self) -> float:
        """Share of all processors that was busy."""
        return (self.total - self.idle) / max(1, self.total)

    @property
    def own(self) -> float:
        """Share of all processors that the processes took, and this one."""
        return sum(self.by_name.values()) / max(1, self.total)

    @property
    def processes(self) -> dict[str, float]:
        """Share of one processor that each process took."""
        one = max(1.0, self.total / (os.cpu_count() or 1))
        return {name: ticks / one for name, ticks in self.by_name.items()}


def cpu_times(pids: Mapping[str, int]) -> CpuTimes:
    """The times by now of the machine, of the processes by their names, and of this one as ``bench``."""
    fields = [int(field) for field in Path("/proc/stat").read_text("utf-8").split("\n", 1)[0].split()[1:9]]
    by_name = {}
    for name, pid in {**pids, "bench": os.getpid()}.items():
        try:
            # After the name of the program, which may contain anything, in parentheses.
            values = Path(f"/proc/{pid}/stat").read_text("utf-8", "replace").rpartition(")")[2].split()
        except OSError:
            continue
        by_name[name] = int(values[11]) + int(values[12])
    return CpuTimes(sum(fields), fields[3] + fields[4], by_name)
