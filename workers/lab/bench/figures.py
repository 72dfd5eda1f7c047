"""Percentiles, memory use, and the description of the machine."""

import os
import platform
from collections.abc import Sequence
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
