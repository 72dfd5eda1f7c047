"""Reads the Resync app's two keys of a job in the log cache.

``resync:errors:recent:{job or 'global'}`` and ``resync:job:history:{job}`` hold JSON of bounded size. An unreadable key
is reported, and the others are still served.
"""

import asyncio
import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from redis.asyncio import Redis

from orchestrator.codes.notation import bare_name
from workers.sources.log_cache.entries import Entry, UnreadableEntries, newest_first, parse_entries

ERRORS_KEY = "resync:errors:recent:{job}"
HISTORY_KEY = "resync:job:history:{job}"
GLOBAL = "global"
WRITTEN_BY, WRITER = "written_by", "resync-troubleshoot"
"""Field and value that mark entries written by this project (``feed``), which its own cache holds as well."""
MAX_VALUE_BYTES = 2 * 1024 * 1024
"""Longer values are not read: parsing them would exceed the time of a source."""


@dataclass(slots=True)
class AppEntries:
    """Entries of the app's keys for one job, or for all jobs."""

    errors: list[Entry] = field(default_factory=list)
    history: list[Entry] = field(default_factory=list)
    corrupt_keys: list[str] = field(default_factory=list)
    oversized_keys: list[str] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)
    unread: int = 0
    """Entries skipped in the middle of long lists."""


def job_names(job: str | None) -> tuple[str, ...]:
    """Names under which a job's keys may exist: as given, bare, and both in upper case."""
    if job is None:
        return ()
    bare = bare_name(job)
    return tuple(dict.fromkeys((job, bare, job.upper(), bare.upper())))


def asked_keys(job: str | None) -> list[str]:
    """The keys to report as queried; their upper-case variants are read too but not listed."""
    names = job_names(job)[:2]
    own = [key.format(job=name) for name in names for key in (ERRORS_KEY, HISTORY_KEY)]
    return [*own, ERRORS_KEY.format(job=GLOBAL)]


def keys_of(job: str) -> list[str]:
    """The app's own keys of a job, in all the spellings that are read."""
    return [key.format(job=name) for name in job_names(job) for key in (ERRORS_KEY, HISTORY_KEY)]


async def first_with_keys(redis: Redis, keys: Sequence[Sequence[str]]) -> int | None:
    """Which is the first group of keys of which one exists; one round trip. Raises redis.RedisError."""
    async with redis.pipeline(transaction=False) as pipe:
        for group in keys:
            pipe.exists(*group)
        counts = await pipe.execute()
    return next((index for index, count in enumerate(counts) if count), None)


async def read_app_entries(redis: Redis, jobs: Sequence[str | None], *, now: datetime) -> list[AppEntries]:
    """For each of ``jobs``, the app's keys of it, and of the global errors those that mention it; one round trip.

    Keys that do not hold JSON of a known shape are listed in ``corrupt_keys``. Raises redis.RedisError when the server
    cannot be queried.
    """
    shared = ERRORS_KEY.format(job=GLOBAL)
    keys = list(dict.fromkeys((*(key for job in jobs if job is not None for key in keys_of(job)), shared)))
    values = dict(zip(keys, await _values(redis, keys), strict=True))
    of_all = await _read_value(shared, values[shared], now)
    entries = []
    for job in jobs:
        read = [await _read_value(key, values[key], now) for key in (keys_of(job) if job is not None else ())]
        entries.append(_of_values(job, read, of_all))
    return entries


@dataclass(slots=True)
class _Value:
    """What a key holds."""

    key: str
    entries: list[Entry] = field(default_factory=list)
    unread: int = 0
    is_corrupt: bool = False
    is_oversized: bool = False


async def _read_value(key: str, raw: bytes | Exception | None, now: datetime) -> _Value:
    if raw is None:
        return _Value(key)
    if isinstance(raw, Exception):
        return _Value(key, is_corrupt=True)
    if len(raw) > MAX_VALUE_BYTES:
        return _Value(key, is_oversized=True)
    try:
        # In a thread: parsing the largest value takes tenths of a second, and the event loop is shared.
        parsed = await asyncio.to_thread(parse_entries, raw, now=now, leave_out=(WRITTEN_BY, WRITER))
    except UnreadableEntries:
        return _Value(key, is_corrupt=True)
    return _Value(key, list(parsed.entries), parsed.unread)


def _of_values(job: str | None, own: Sequence[_Value], of_all: _Value) -> AppEntries:
    """The entries of one job: those of its own keys, and of the key of all jobs those that mention it."""
    values = (*own, of_all)
    result = AppEntries(
        asked=asked_keys(job),
        corrupt_keys=[value.key for value in values if value.is_corrupt],
        oversized_keys=[value.key for value in values if value.is_oversized],
        unread=sum(value.unread for value in values),
    )
    history = {HISTORY_KEY.format(job=name) for name in job_names(job)}
    for value in own:
        (result.history if value.key in history else result.errors).extend(
            _of_job(entry, job) for entry in value.entries
        )
    result.errors += [entry for entry in of_all.entries if job is None or _mentions(entry, job)]
    result.errors = _unique(newest_first(result.errors))
    result.history = _unique(newest_first(result.history))
    return result


async def _values(redis: Redis, keys: Sequence[str]) -> list[bytes | Exception | None]:
    async with redis.pipeline(transaction=False) as pipe:
        for key in keys:
            # One byte beyond the limit shows that a value was cut. A missing key reads as "".
            pipe.getrange(key, 0, MAX_VALUE_BYTES)
        answers = await pipe.execute(raise_on_error=False)
    for answer in answers:
        # WRONGTYPE concerns one key; any other error concerns the server.
        if isinstance(answer, Exception) and not str(answer).startswith("WRONGTYPE"):
            raise answer
    return [answer or None for answer in answers]


def _of_job(entry: Entry, job: str | None) -> Entry:
    """An entry of a job's own key, which need not name it."""
    if entry.facts.job or job is None:
        return entry
    return replace(entry, facts=entry.facts.model_copy(update={"job": bare_name(job)}))


def _mentions(entry: Entry, job: str) -> bool:
    bare = bare_name(job)
    if entry.job:
        return bare_name(entry.job).upper() == bare.upper()
    word = rf"(?<![A-Za-z0-9_-]){re.escape(bare)}(?![A-Za-z0-9_-])"
    return re.search(word, entry.facts.text, re.IGNORECASE) is not None


def _unique(entries: Sequence[Entry]) -> list[Entry]:
    """Entries without repeats: writers often push one line to the job's key and to the global one."""
    seen: dict[tuple[object, ...], Entry] = {}
    for entry in entries:
        seen.setdefault((entry.facts.at, entry.facts.text, entry.facts.status, entry.run_id), entry)
    return list(seen.values())
