"""The project's own log cache in Redis: bounded, expiring records of earlier runs of each job.

Two keys per job below ``<prefix>logs:<instance>:<JOB>``: a sorted set of record ids by time, and a hash of the records.
``<prefix>logs:<instance>:_recent`` holds the newest failures of all jobs in the same way. Job names begin with a letter
and have no colon, so the keys cannot clash.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import redis as sync_redis
from pydantic import ValidationError
from redis.asyncio import Redis
from redis.exceptions import RedisError

from orchestrator.codes.notation import JobName, bare_name
from orchestrator.errors import InvalidRequest
from orchestrator.logs import get_logger
from orchestrator.models import Report, SourceOutcome
from orchestrator.payloads import TwsPayload
from workers.sources.log_cache.entries import Entry, newest_first, parse_time
from workers.sources.log_cache.feed import feed_app as _feed
from workers.sources.log_cache.record import LogRecord, read_record, records_of_tws

_LOGGER = get_logger(__name__)

RECENT = "_recent"
MAX_RECORDS = 200
"""Records kept per job; the oldest are dropped."""
RETENTION_DAYS = 90
_INSTANCE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
_BATCH = 100

# KEYS: index, values. ARGV: cutoff (ms), now (ms), records kept, seconds to live, then (score or "", id, record) ...
# A record without a time keeps the time of its first write, so that writing it again changes nothing.
# Returns the number of new records kept, and of records known before.
_WRITE = """
local index, values = KEYS[1], KEYS[2]
local cutoff, now, limit = tonumber(ARGV[1]), ARGV[2], tonumber(ARGV[3])
local new, known = {}, 0
for i = 5, #ARGV, 3 do
  local score, id = ARGV[i], ARGV[i + 1]
  if score == '' then score = redis.call('ZSCORE', index, id) or now end
  if tonumber(score) >= cutoff then
    if redis.call('HSET', values, id, ARGV[i + 2]) == 1 then new[#new + 1] = id else known = known + 1 end
    redis.call('ZADD', index, score, id)
  end
end
local gone = redis.call('ZRANGEBYSCORE', index, '-inf', '(' .. ARGV[1])
local surplus = redis.call('ZCARD', index) - #gone - limit
if surplus > 0 then
  for _, id in ipairs(redis.call('ZRANGEBYSCORE', index, ARGV[1], '+inf', 'LIMIT', 0, surplus)) do
    gone[#gone + 1] = id
  end
end
for _, id in ipairs(gone) do
  redis.call('ZREM', index, id)
  redis.call('HDEL', values, id)
end
redis.call('EXPIRE', index, ARGV[4])
redis.call('EXPIRE', values, ARGV[4])
local stayed = 0
for _, id in ipairs(new) do stayed = stayed + redis.call('HEXISTS', values, id) end
return {stayed, known}
"""


@dataclass(frozen=True, slots=True)
class Written:
    """Result of a write. ``dropped``: expired, or beyond the number of records kept."""

    new: int = 0
    known: int = 0
    dropped: int = 0
    error: str | None = None


@dataclass(slots=True)
class OwnEntries:
    """Entries of the own cache, newest first: outcomes of runs, and errors found in job logs (``findings``)."""

    history: list[Entry] = field(default_factory=list)
    findings: list[Entry] = field(default_factory=list)
    corrupt_keys: list[str] = field(default_factory=list)
    asked: str = ""


def cache_key(prefix: str, instance: str, job: str | None) -> str:
    """The key of a job, or of the newest failures of all jobs.

    Raises InvalidRequest for an instance name that could break out of its place in the key.
    """
    if not _INSTANCE.fullmatch(instance):
        raise InvalidRequest(
            "{name!r} is not the name of a TWS instance: letters, digits, '.', '_' and '-'", name=instance
        )
    return f"{prefix}logs:{instance}:{RECENT if job is None else bare_name(job).upper()}"


class LogCacheWriter:
    """Writes records, redacted; writing is idempotent by record id.

    With ``feed_app`` the app's own keys of the job are written as well; ``redact_personal`` masks e-mail addresses and
    CPF/CNPJ numbers, too.
    """

    def __init__(
        self,
        client: sync_redis.Redis,
        *,
        key_prefix: str,
        instance: str,
        max_records: int = MAX_RECORDS,
        retention_days: float = RETENTION_DAYS,
        feed_app: bool = False,
        redact_personal: bool = False,
    ) -> None:
        self._feeds_app, self._redact_personal = feed_app, redact_personal
        self._client = client
        self._prefix = key_prefix
        self._instance = instance
        self._max_records = max_records
        self._retention = timedelta(days=retention_days)
        cache_key(key_prefix, instance, None)

    def write(self, records: Iterable[LogRecord], *, now: datetime | None = None) -> Written:
        """Store records of any number of jobs. Raises redis.RedisError."""
        moment = now or datetime.now(UTC)
        by_job: dict[str, list[LogRecord]] = {}
        total = 0
        for record in records:
            total += 1
            by_job.setdefault(record.job.upper(), []).append(record.redacted(personal=self._redact_personal))
        new = known = 0
        for job, group in by_job.items():
            for start in range(0, len(group), _BATCH):
                batch = group[start : start + _BATCH]
                stayed, repeated = self._write(cache_key(self._prefix, self._instance, job), batch, moment)
                new, known = new + stayed, known + repeated
        failures = [record for group in by_job.values() for record in group if record.failed]
        for start in range(0, len(failures), _BATCH):
            self._write(cache_key(self._prefix, self._instance, None), failures[start : start + _BATCH], moment)
        if self._feeds_app:
            current = [record for group in by_job.values() for record in group if self._is_kept(record, moment)]
            _feed(self._client, current, seconds_to_live=int(self._retention.total_seconds()) + 1)
        return Written(new=new, known=known, dropped=max(0, total - new - known))

    def _is_kept(self, record: LogRecord, now: datetime) -> bool:
        at = parse_time(record.at)
        return at is None or at >= now - self._retention

    def _write(self, key: str, records: Sequence[LogRecord], now: datetime) -> tuple[int, int]:
        arguments: list[str | int] = [
            _milliseconds(now - self._retention),
            _milliseconds(now),
            self._max_records,
            int(self._retention.total_seconds()) + 1,
        ]
        for record in records:
            at = parse_time(record.at)
            # A record dated in the future by a wrong clock must not stay newest for ever.
            score = "" if at is None else str(min(_milliseconds(at), _milliseconds(now)))
            arguments += [score, record.id, record.model_dump_json(exclude_defaults=True)]
        answer: Any = self._client.eval(_WRITE, 2, key, f"{key}:values", *arguments)
        return int(answer[0]), int(answer[1])


def write_back(
    report: Report,
    redis_client: sync_redis.Redis,
    *,
    key_prefix: str,
    default_instance: str = "default",
    max_records: int = MAX_RECORDS,
    retention_days: float = RETENTION_DAYS,
    feed_app: bool = False,
    redact_personal: bool = False,
    now: datetime | None = None,
) -> Written:
    """Store what TWS reported in a run, after its commit; ``redis_client`` is the log cache's Redis.

    Does not raise for Redis errors or payloads of another shape, as the run is answered already: they are logged and
    named in ``error``.
    """
    new = known = dropped = 0
    for envelope in report.parallel_results:
        if envelope.source != "tws_status" or envelope.outcome is not SourceOutcome.OK:
            continue
        try:
            payload = TwsPayload.model_validate(envelope.data)
            writer = LogCacheWriter(
                redis_client,
                key_prefix=key_prefix,
                instance=payload.instance or default_instance,
                max_records=max_records,
                retention_days=retention_days,
                feed_app=feed_app,
                redact_personal=redact_personal,
            )
            written = writer.write(records_of_tws(payload), now=now)
        except (RedisError, ValidationError, InvalidRequest) as error:
            _LOGGER.warning("log_cache_write_back_failed run_id=%s error=%s", report.run_id, type(error).__name__)
            return Written(new=new, known=known, dropped=dropped, error=type(error).__name__)
        new, known, dropped = new + written.new, known + written.known, dropped + written.dropped
    return Written(new=new, known=known, dropped=dropped)


async def read_own_entries(
    redis: Redis, *, key_prefix: str, instance: str, jobs: Sequence[str | None], now: datetime
) -> list[OwnEntries]:
    """For each of ``jobs``, its records, or the newest failures of all jobs; one round trip. Raises redis.RedisError.

    For a qualified job, records of another job stream or workstation are left out.
    """
    keys = [f"{cache_key(key_prefix, instance, job)}:values" for job in jobs]
    async with redis.pipeline(transaction=False) as pipe:
        for key in keys:
            pipe.hvals(key)
        answers = await pipe.execute(raise_on_error=False)
    return [_read_records(key, job, values, now) for key, job, values in zip(keys, jobs, answers, strict=True)]


def _read_records(key: str, job: str | None, values: Any, now: datetime) -> OwnEntries:
    result = OwnEntries(asked=f"HVALS {key}")
    if isinstance(values, Exception):
        if not str(values).startswith("WRONGTYPE"):
            raise values
        result.corrupt_keys.append(key)
        return result
    records = [read_record(value) for value in values]
    if None in records:
        result.corrupt_keys.append(key)
    of_job = [record for record in records if record is not None and _is_of(record, job)]
    result.history = newest_first(record.entry(now) for record in of_job if record.kind == "run")
    result.findings = newest_first(record.entry(now) for record in of_job if record.kind == "finding")
    return result


def _is_of(record: LogRecord, job: str | None) -> bool:
    if job is None or "." not in job:
        return True
    name = JobName.of_job(job)
    if record.job_stream and name.stream:
        return bare_name(record.job_stream).upper() == name.stream.upper()
    if not record.job_stream and record.workstation and name.workstation:
        return record.workstation.upper() == name.workstation.upper()
    return True


def _milliseconds(moment: datetime) -> int:
    return int(moment.timestamp() * 1_000)
