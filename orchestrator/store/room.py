"""The memory of Redis: for how many more runs there is room, and whether they expire before it is full."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any

import redis
from redis.exceptions import NoPermissionError, ResponseError

from orchestrator.config import Settings
from orchestrator.i18n.message import Message
from orchestrator.store.connection import session, store_errors, to_ms
from orchestrator.store.keys import Keys
from orchestrator.store.reading import read_number

DAY_SECONDS, HOUR_SECONDS = 86_400, 3_600
SAMPLE, LOOKED_AT = 20, 100
"""Runs whose memory is measured, among the newest that have ended."""
SETTLED_MS = 60_000
"""Milliseconds after its end from which a run takes the memory that it takes for the rest of its time."""
SHARED_BYTES = 400
"""Bytes that a run takes in the keys that runs share, and beside its own."""


@dataclass(frozen=True, slots=True)
class Room:
    """The memory of Redis and what runs take of it. What Redis does not tell this user is None."""

    used_bytes: int | None = None
    limit_bytes: int | None = None
    """``maxmemory``, or the memory of the machine of Redis where that is not set."""
    is_limited: bool = False
    """Whether ``maxmemory`` is set."""
    run_bytes: int | None = None
    """Mean of the newest runs that have ended."""
    runs: int = 0
    """Runs that are stored."""
    runs_per_day: int = 0
    """Runs that came within a day, or at the rate of what has come since the first."""
    kept_seconds: int = 0
    """For how long the newest runs are kept after their end, in the mean."""
    is_told: bool = True
    """Whether this user may ask what a run takes."""

    @property
    def more_runs(self) -> int | None:
        """Runs for which there is room beside those that are stored."""
        if self.used_bytes is None or not self.limit_bytes or not self.run_bytes:
            return None
        return max(0, self.limit_bytes - self.used_bytes) // self.run_bytes

    @property
    def runs_at_once(self) -> int:
        """Runs that are stored at once, at this rate, when each of them is kept for its time."""
        return round(self.runs_per_day * self.kept_seconds / DAY_SECONDS)

    @property
    def needed_bytes(self) -> int:
        """Bytes that all these runs take, with what is in Redis beside runs."""
        run_bytes = self.run_bytes or 0
        return max(0, (self.used_bytes or 0) - self.runs * run_bytes) + self.runs_at_once * run_bytes

    @property
    def is_tight(self) -> bool:
        """Whether the memory is full before runs expire."""
        return self.more_runs is not None and self.runs_at_once > self.runs + self.more_runs

    def facts(self) -> dict[str, object]:
        """What programs read."""
        return {
            "used_bytes": self.used_bytes,
            "limit_bytes": self.limit_bytes,
            "is_limited": self.is_limited,
            "run_bytes": self.run_bytes,
            "runs": self.runs,
            "more_runs": self.more_runs,
            "runs_per_day": self.runs_per_day,
            "kept_seconds": self.kept_seconds,
            "runs_at_once": self.runs_at_once,
            "is_tight": self.is_tight,
        }

    @property
    def text(self) -> Message:
        """For how many runs there is room, in words."""
        if self.used_bytes is None or not self.is_told:
            return Message("room for more runs: unknown, Redis does not tell its memory")
        if self.run_bytes is None:
            return Message("room for more runs: unknown until one has ended")
        room = Message(
            "room for {count} more run of {kilobytes} kB",
            plural="room for {count} more runs of {kilobytes} kB",
            count=self.more_runs or 0,
            kilobytes=_thousands(self.run_bytes),
        )
        if self.more_runs is None:
            return Message(
                "room for more runs of {kilobytes} kB: unknown, no maxmemory is set",
                kilobytes=_thousands(self.run_bytes),
            )
        if not self.is_limited:
            room = Message(
                "{room} in the {gigabytes:.1f} GB of the machine: no maxmemory is set",
                room=room,
                gigabytes=self.limit_bytes / 1e9 if self.limit_bytes else 0.0,
            )
        rate = Message("{count} a day comes", plural="{count} a day come", count=self.runs_per_day)
        kept = Message("{count} hour", plural="{count} hours", count=max(1, round(self.kept_seconds / HOUR_SECONDS)))
        return Message("{room}; {rate}, kept for {kept}", room=room, rate=rate, kept=kept)

    @property
    def problem(self) -> Message | None:
        """What is wrong where runs do not expire before the memory is full."""
        if not self.is_tight:
            return None
        return Message(
            "memory is full before runs expire: there is room for {count} run, at this rate {stored} are kept",
            plural="memory is full before runs expire: there is room for {count} runs, at this rate {stored} are kept",
            stored=self.runs_at_once,
            count=self.runs + (self.more_runs or 0),
        )

    @property
    def remedy(self) -> Message:
        """What to do about the problem."""
        if not self.is_limited:
            return Message("Give Redis a machine with more memory, or lower RESYNC_RUN_TTL_SECONDS.")
        return Message(
            "Raise maxmemory to {megabytes} MB, or lower RESYNC_RUN_TTL_SECONDS.",
            megabytes=-(-self.needed_bytes // 800_000),  # a fifth of it stays free
        )


def room_of(settings: Settings) -> Room:
    """The memory of the Redis of these settings.

    Raises StoreUnreachable.
    """
    with session(settings) as client:
        return read_room(client, Keys(settings.key_prefix), kept_seconds=settings.run_ttl_seconds)


def read_room(client: redis.Redis, keys: Keys, *, kept_seconds: int) -> Room:
    """The memory of Redis; ``kept_seconds`` counts where no run tells for how long it is kept.

    Raises StoreUnreachable.
    """
    with store_errors():
        try:
            info: Any = client.info("memory")
        except ResponseError:  # a managed server, or a user that may not
            return Room()
        now_ms = to_ms(client.time())
        with client.pipeline(transaction=False) as pipe:
            pipe.zrevrange(keys.index, 0, LOOKED_AT - 1)
            pipe.zrange(keys.index, 0, 0, withscores=True)
            pipe.zcard(keys.index)
            pipe.zcount(keys.leaving, "-inf", now_ms)
            pipe.zcount(keys.index, now_ms - DAY_SECONDS * 1000, "+inf")
            # A key of another type is told by other checks.
            replies = [[] if isinstance(reply, Exception) else reply for reply in pipe.execute(raise_on_error=False)]
        newest, first, runs, gone, within_day = replies
        run_bytes, kept, is_told = _measure(client, keys, _settled(client, keys, newest, now_ms))
    age_seconds = (now_ms - first[0][1]) / 1000 if first else 0
    limit = int(info.get("maxmemory") or 0)
    return Room(
        used_bytes=int(info.get("used_memory") or 0),
        limit_bytes=limit or int(info.get("total_system_memory") or 0) or None,
        is_limited=limit > 0,
        run_bytes=run_bytes,
        runs=max(0, (runs or 0) - (gone or 0)),
        runs_per_day=round((within_day or 0) * DAY_SECONDS / min(DAY_SECONDS, max(HOUR_SECONDS, age_seconds))),
        kept_seconds=kept or kept_seconds,
        is_told=is_told,
    )


def _settled(client: redis.Redis, keys: Keys, run_ids: Sequence[str], now_ms: int) -> dict[str, int]:
    """The newest of these runs that have ended, by the time of their end; best those whose memory stays as it is."""
    with client.pipeline(transaction=False) as pipe:
        for run_id in run_ids:
            pipe.hget(keys.run(run_id), "closed_ms")
        replies = pipe.execute(raise_on_error=False)
    ends = {run_id: read_number(end) for run_id, end in zip(run_ids, replies, strict=True) if isinstance(end, str)}
    settled = {run_id: end for run_id, end in ends.items() if end < now_ms - SETTLED_MS} or ends
    return dict(list(settled.items())[:SAMPLE])


def _measure(client: redis.Redis, keys: Keys, ends: dict[str, int]) -> tuple[int | None, int, bool]:
    """Mean bytes of runs, None: unknown; mean seconds for which they are kept, 0: unknown; if Redis tells bytes."""
    with client.pipeline(transaction=False) as pipe:
        for run_id in ends:
            pipe.zscore(keys.leaving, run_id)
            for key in (keys.run(run_id), keys.packed(run_id), keys.events(run_id), keys.ending(run_id)):
                pipe.memory_usage(key, samples=0)
        replies = pipe.execute(raise_on_error=False)
    sizes, kept = [], []
    for number, end in enumerate(ends.values()):
        leaves_ms, *parts = replies[5 * number : 5 * number + 5]
        # Of a key that does not exist there is none.
        if isinstance(parts[0], int):
            sizes.append(sum(part for part in parts if isinstance(part, int)) + SHARED_BYTES)
        if isinstance(leaves_ms, float):
            kept.append((leaves_ms - end) / 1000)
    is_told = not any(isinstance(reply, NoPermissionError) for reply in replies)
    return round(fmean(sizes)) if sizes else None, round(fmean(kept)) if kept else 0, is_told


def _thousands(size: int) -> int:
    return max(1, round(size / 1000))
