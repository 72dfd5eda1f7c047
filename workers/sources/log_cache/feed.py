"""Writes the app's two keys of a job from the project's records, for sites where no other program does.

The app reads JSON lists of objects. Entries of other writers in a list are kept, and a value of any other shape is not
touched. Our entries carry ``written_by``, so that ``app_keys`` does not count them twice.
"""

import json
from collections.abc import Iterable, Sequence
from typing import Any

import redis as sync_redis
from redis.exceptions import WatchError

from workers.sources.log_cache.app_keys import ERRORS_KEY, GLOBAL, HISTORY_KEY, MAX_VALUE_BYTES, WRITER, WRITTEN_BY
from workers.sources.log_cache.record import LogRecord

MAX_ENTRIES = 50
"""Entries of ours in one key."""
_TRIES = 5


def feed_app(client: sync_redis.Redis, records: Iterable[LogRecord], *, seconds_to_live: int) -> int:
    """Merge the records into the app's keys; returns the number of keys written. Raises redis.RedisError."""
    by_key: dict[str, list[LogRecord]] = {}
    for record in records:
        if record.kind == "run":
            by_key.setdefault(HISTORY_KEY.format(job=record.job), []).append(record)
        if record.kind == "finding":
            for name in (record.job, GLOBAL):
                by_key.setdefault(ERRORS_KEY.format(job=name), []).append(record)
    return sum(_merge(client, key, ours, seconds_to_live) for key, ours in by_key.items())


def _merge(client: sync_redis.Redis, key: str, records: Sequence[LogRecord], seconds_to_live: int) -> bool:
    """Replace our entries of the same id and add the others; False when the value is not ours to change.

    Optimistic locking with WATCH: given up after _TRIES attempts against other writers.
    """
    for _ in range(_TRIES):
        with client.pipeline() as pipe:
            try:
                pipe.watch(key)  # type: ignore[no-untyped-call]  # redis-py leaves it untyped
                kind: Any = pipe.type(key)
                if kind not in (b"none", b"string", "none", "string"):
                    return False
                value: Any = pipe.get(key)
                entries = _entries(value)
                if entries is None:
                    return False
                pipe.multi()
                pipe.set(key, _merged(entries, records), ex=seconds_to_live)
                pipe.execute()
            except WatchError:
                continue
            return True
    return False


def _entries(value: bytes | str | None) -> list[Any] | None:
    if value is None:
        return []
    if len(value) > MAX_VALUE_BYTES:
        return None
    try:
        entries = json.loads(value)
    except (ValueError, RecursionError):
        return None
    return entries if isinstance(entries, list) else None


def _merged(entries: Sequence[Any], records: Iterable[LogRecord]) -> str:
    ours = {entry.get("id"): entry for entry in entries if _is_ours(entry)}
    ours |= {record.id: _entry(record) for record in records}
    newest = sorted(ours.values(), key=lambda entry: str(entry.get("timestamp") or ""), reverse=True)[:MAX_ENTRIES]
    return json.dumps([*newest, *(entry for entry in entries if not _is_ours(entry))], ensure_ascii=False)


def _is_ours(entry: object) -> bool:
    return isinstance(entry, dict) and entry.get(WRITTEN_BY) == WRITER


def _entry(record: LogRecord) -> dict[str, Any]:
    entry = {
        "id": record.id,
        "timestamp": record.at,
        "job": record.job,
        "job_stream": record.job_stream,
        "workstation": record.workstation,
        "run_id": record.run_id,
        "status": record.status,
        "return_code": record.return_code,
        "codes": list(record.codes),
        "step": record.step,
        "elapsed_seconds": record.elapsed_seconds,
        "message": record.text,
        WRITTEN_BY: WRITER,
    }
    return {name: value for name, value in entry.items() if value not in (None, "", [])}
