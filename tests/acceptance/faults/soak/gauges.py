"""What each process holds over time: memory, threads, descriptors, connections; and what Redis does. Is it flat?"""

from __future__ import annotations

import os
import re
import statistics
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import redis

PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
UNITS = ("rss_mb", "threads", "files", "sockets")
ALLOWED = {"rss_mb": (6.0, 0.06), "threads": (12.0, 0.15), "files": (12.0, 0.15), "sockets": (12.0, 0.15)}
"""Growth that counts as flat, over the judged part of a soak: this much, or this part of the value. A pool has as many
threads or connections as were ever needed at once."""
REDIS_ALLOWED = {"used_mb": (8.0, 0.25), "keys": (100.0, 0.25), "entries": (100.0, 0.25), "clients": (10.0, 0.25)}
SIZES = {"hash": "HLEN", "list": "LLEN", "set": "SCARD", "stream": "XLEN", "string": "STRLEN", "zset": "ZCARD"}
WARM_UP_SHARE = 0.4
EXPIRY_SECONDS = 330.0
"""Celery keeps a mark of each finished chord for five minutes: only then do keys go as fast as they come."""
_ID = re.compile(r"[0-9a-f]{8}-?[0-9a-f-]{24,}|soak-\d+|\d+-\d+|[0-9a-f]{12,}")


def of_process(pid: int) -> dict[str, float] | None:
    """The gauges of a process; None when it is gone."""
    with suppress(OSError, ValueError, IndexError):
        root = Path(f"/proc/{pid}")
        stat = (root / "stat").read_text().rpartition(")")[2].split()
        if stat[0] == "Z":
            return None
        links = []
        for entry in (root / "fd").iterdir():
            with suppress(OSError):
                links.append(str(entry.readlink()))
        return {
            "rss_mb": int(stat[21]) * PAGE_BYTES / 2**20,
            "threads": float(stat[17]),
            "files": float(len(links)),
            "sockets": float(sum(link.startswith("socket:") for link in links)),
        }
    return None


def children(pid: int) -> list[int]:
    """Processes that this one has started, oldest first."""
    with suppress(OSError):
        return [
            int(child)
            for task in Path(f"/proc/{pid}/task").iterdir()
            for child in (task / "children").read_text().split()
        ]
    return []


@dataclass
class Series:
    """The values of one gauge by time."""

    points: list[tuple[float, float]] = field(default_factory=list)

    def judged(self, allowed: tuple[float, float], began: float, ended: float) -> dict[str, object]:
        """First, last and fitted growth of the judged part, and whether it is flat."""
        points = [point for point in self.points if began <= point[0] <= ended]
        if len(points) < 6:
            first, last = round(self.points[0][1], 1), round(self.points[-1][1], 1)
            return {"first": first, "last": last, "growth": None, "flat": None}
        low = list(_lower_quartiles(points))
        slope = _slope(low)
        growth = slope * (points[-1][0] - points[0][0])
        limit = max(allowed[0], allowed[1] * statistics.median(value for _, value in points))
        return {
            "first": round(self.points[0][1], 1),
            "warm": round(low[0][1], 1),
            "last": round(low[-1][1], 1),
            "growth": round(growth, 2),
            "limit": round(limit, 1),
            "flat": growth <= limit,
        }


def _lower_quartiles(points: list[tuple[float, float]]) -> Iterator[tuple[float, float]]:
    """The lower quartile of each of up to ten spans: load comes and goes, what is lost stays."""
    size = max(2, -(-len(points) // 10))
    for start in range(0, len(points), size):
        part = points[start : start + size]
        yield statistics.mean(at for at, _ in part), sorted(value for _, value in part)[len(part) // 4]


def _slope(points: list[tuple[float, float]]) -> float:
    """By Theil and Sen: the median of the slopes of all pairs, which one odd value does not move."""
    slopes = [
        (later[1] - earlier[1]) / (later[0] - earlier[0])
        for i, earlier in enumerate(points)
        for later in points[i + 1 :]
        if later[0] > earlier[0]
    ]
    return statistics.median(slopes) if slopes else 0.0


class Gauges:
    """Samples of the processes that are never killed, and of Redis."""

    def __init__(self) -> None:
        self.series: dict[tuple[str, str], Series] = defaultdict(Series)
        self.key_kinds: list[tuple[float, Counter[str]]] = []
        self.client_names: list[tuple[float, Counter[str]]] = []
        self.children: dict[str, set[int]] = defaultdict(set)
        """Processes that each one has ever had in its pool."""
        self.for_ever: dict[str, int] = {}
        """Entries of the keys without a time to live, by kind, as last seen."""

    def sample(self, at: float, pids: Mapping[str, int]) -> None:
        """Add one sample of each process, and of the children of each."""
        for name, pid in pids.items():
            self._add(at, name, of_process(pid))
            for child in children(pid):
                self.children[name].add(child)
                self._add(at, f"{name}, child {child}", of_process(child))

    def _add(self, at: float, name: str, gauges: Mapping[str, float] | None) -> None:
        for unit, value in (gauges or {}).items():
            self.series[name, unit].points.append((at, value))

    def sample_redis(self, at: float, client: redis.Redis, *, with_keys: bool) -> None:
        """Memory, keys and connections of Redis; ``with_keys`` counts the keys by kind, too, and their entries."""
        with suppress(redis.RedisError):
            memory, clients = client.info("memory"), client.client_list()
            sample = {"used_mb": memory["used_memory"] / 2**20, "keys": client.dbsize(), "clients": len(clients)}
            if with_keys:
                sample["entries"] = self._sample_keys(at, client)
            self._add(at, "Redis", {unit: float(value) for unit, value in sample.items()})
            self.client_names.append((at, Counter(entry["name"] or "(no name)" for entry in clients)))

    def _sample_keys(self, at: float, client: redis.Redis) -> int:
        """Count the keys by kind; returns the entries of those that never expire."""
        keys = list(client.scan_iter(count=1000))
        pipeline = client.pipeline(transaction=False)
        for key in keys:
            pipeline.ttl(key)
            pipeline.type(key)
        replies = pipeline.execute()
        self.key_kinds.append((at, Counter(_kind(key) for key in keys)))
        self.for_ever = {}
        for key, ttl, kind in zip(keys, replies[::2], replies[1::2], strict=True):
            if ttl == -1 and kind in SIZES:
                name = _kind(key)
                self.for_ever[name] = self.for_ever.get(name, 0) + int(client.execute_command(SIZES[kind], key))
        return sum(self.for_ever.values())

    def table(self, began: float, ended: float) -> list[dict[str, object]]:
        """Each gauge with its growth after the warm-up of a soak from ``began`` to ``ended``."""
        rows, names = [], dict[str, str]()
        last = max((series.points[-1][0] for series in self.series.values()), default=ended)
        for (name, unit), series in self.series.items():
            if "child" in name and series.points[-1][0] < last - 30:
                continue  # a child of a pool that has ended; how many did is counted
            allowed = REDIS_ALLOWED.get(unit) or ALLOWED[unit]
            warm = max((ended - began) * WARM_UP_SHARE, EXPIRY_SECONDS if unit in ("keys", "used_mb", "entries") else 0)
            parent, _, child = name.partition(", child ")
            if child:
                names.setdefault(name, f"{parent}, child {sum(other.startswith(parent) for other in names) + 1}")
            rows.append(
                {"process": names.get(name, name), "gauge": unit, **series.judged(allowed, began + warm, ended)}
            )
        return rows


def _kind(key: str | bytes) -> str:
    text = key.decode("utf-8", "replace") if isinstance(key, bytes) else key
    return _ID.sub("*", text.partition(":")[2])
