"""The ``log_cache`` source: earlier errors and runs of a job, from the app's keys and the project's own cache."""

import asyncio
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Self

from redis.asyncio import Redis
from redis.exceptions import RedisError

from orchestrator.deadline import Deadline, time_limit
from orchestrator.errors import SourceError
from orchestrator.i18n.message import Message, join
from orchestrator.logs import get_logger
from orchestrator.models import SourceOutcome, SourceRequest
from orchestrator.payloads import LogPayload
from orchestrator.sources import FetchResult, SourceSpec, call_limit_seconds
from orchestrator.tracing import span
from workers.config import LogCacheSettings, TwsSettings
from workers.sources.log_cache.app_keys import AppEntries, asked_keys, first_with_keys, keys_of, read_app_entries
from workers.sources.log_cache.connection import connect, describe_url, source_error
from workers.sources.log_cache.evidence import build_evidence, describe
from workers.sources.log_cache.history import build_history
from workers.sources.log_cache.own_cache import OwnEntries, cache_key, read_own_entries

_LOGGER = get_logger(__name__)
BATCH_SIZE = 50
"""Jobs of one task."""
_CALL_SECONDS = 1.0
"""Socket timeout of one read or connect; the request's limit bounds the whole fetch."""


class LogCacheSource:
    """Reads the log cache, with one Redis client per event loop."""

    def __init__(self, settings: LogCacheSettings, *, default_instance: str = "default") -> None:
        self._settings = settings
        self._default_instance = default_instance
        self._client: Redis | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        # Validates the URL at start; nothing is connected yet.
        connect(settings.redis_url, timeout_seconds=_CALL_SECONDS)

    @classmethod
    def from_env(cls, environ: Mapping[str, str]) -> Self:
        """Build from the environment. Raises ConfigurationError naming the variable."""
        return cls(LogCacheSettings.from_env(environ), default_instance=TwsSettings.from_env(environ).default_instance)

    async def fetch(self, request: SourceRequest) -> FetchResult:
        """Read the job's recent errors and history within the request's limit.

        Of a question without a job, those of the first of its ``candidates`` that has any.

        Raises SourceError: ``unreachable``, ``unauthorized``, ``timeout``, ``refused``, or ``bad_format`` when keys
        exist and none is readable.
        """
        try:
            return await self._fetch(request)
        except SourceError as error:
            asked = [f"GET {key}" for key in asked_keys(request.job)]
            raise error.of(describe_url(self._settings.redis_url), asked) from None

    async def fetch_many(self, request: SourceRequest) -> AsyncIterator[tuple[str, FetchResult | SourceError]]:
        """Read what ``fetch`` reads for each of the request's jobs, in two round trips for all. Raises as it does."""
        try:
            entries = await self._read(request, request.jobs)
        except SourceError as error:
            raise error.of(describe_url(self._settings.redis_url), asked_keys(None)) from None
        for job, (app, own) in zip(request.jobs, entries, strict=True):
            given: FetchResult | SourceError
            began = time.monotonic()
            try:
                of_job = request.model_copy(update={"job": job, "jobs": ()})
                given = await asyncio.to_thread(self._result, of_job, app, own)
                given = replace(given, seconds=time.monotonic() - began)
            except SourceError as error:
                asked = [f"GET {key}" for key in asked_keys(job)]
                given = error.of(describe_url(self._settings.redis_url), asked)
            yield job, given

    async def _fetch(self, request: SourceRequest) -> FetchResult:
        redis, words = self._redis(), request.routing.entities.candidates
        if request.job is None and words:
            instance = request.tws_instance_id or self._default_instance
            prefix = self._settings.key_prefix
            keys = [[*keys_of(word), f"{cache_key(prefix, instance, word)}:values"] for word in words]
            deadline = Deadline.after(call_limit_seconds(request.limit_seconds))
            try:
                async with time_limit(lambda _: deadline.remaining()):
                    known = await first_with_keys(redis, keys)
            except (TimeoutError, RedisError) as error:
                raise source_error(error) from None
            request = request if known is None else request.model_copy(update={"job": words[known]})
        ((app, own),) = await self._read(request, (request.job,))
        # In a thread: to mask long entries takes its time, and the event loop is shared.
        return await asyncio.to_thread(self._result, request, app, own)

    async def _read(self, request: SourceRequest, jobs: Sequence[str | None]) -> list[tuple[AppEntries, OwnEntries]]:
        """What the app's keys and the own cache hold of each job."""
        now, deadline = datetime.now(UTC), Deadline.after(call_limit_seconds(request.limit_seconds))
        redis, prefix = self._redis(), self._settings.key_prefix
        instance = request.tws_instance_id or self._default_instance
        try:
            with span("log_cache_read", kind="client"):
                async with time_limit(lambda _: deadline.remaining()):
                    app = await read_app_entries(redis, jobs, now=now)
                    own = await read_own_entries(redis, key_prefix=prefix, instance=instance, jobs=jobs, now=now)
        except (TimeoutError, RedisError) as error:
            raise source_error(error) from None
        elapsed_ms = deadline.elapsed_ms(call_limit_seconds(request.limit_seconds))
        _LOGGER.debug("log_cache_read jobs=%s latency_ms=%.1f", len(jobs), elapsed_ms)
        return list(zip(app, own, strict=True))

    async def close(self) -> None:
        """Close the client's connections."""
        client, self._client, self._loop = self._client, None, None
        if client is not None:
            await client.aclose()

    def _redis(self) -> Redis:
        loop = asyncio.get_running_loop()
        if self._client is None or self._loop is not loop:
            # Connections are bound to the event loop that opened them.
            self._client = connect(self._settings.redis_url, timeout_seconds=_CALL_SECONDS)
            self._loop = loop
        return self._client

    def _result(self, request: SourceRequest, app: AppEntries, own: OwnEntries) -> FetchResult:
        unreadable = (*app.corrupt_keys, *app.oversized_keys, *own.corrupt_keys)
        job_history = build_history(
            app.errors, [*app.history, *own.history], own.findings, codes=request.routing.entities.codes
        )
        if job_history.is_empty and unreadable:
            raise SourceError("unreadable in the log cache: {keys}", keys=", ".join(unreadable), reason="bad_format")
        limit = self._settings.entry_limit
        errors = [entry.masked for entry in job_history.errors[:limit]]
        history = [entry.masked for entry in job_history.history[:limit]]
        payload = LogPayload(
            recent_errors=tuple(entry.facts for entry in errors),
            history=tuple(entry.facts for entry in history),
            last_success_at=job_history.last_success.facts.at if job_history.last_success else None,
            same_code={code: len(entries) for code, entries in job_history.cases.items()},
            elapsed_trend_ratio=job_history.elapsed_trend_ratio,
            newest_age_days=job_history.newest_age_days,
            corrupt_keys=unreadable,
        )
        older = len(job_history.errors) - len(errors) + len(job_history.history) - len(history)
        evidence, left_out = build_evidence(request, replace(job_history, errors=errors, history=history), limit=limit)
        cut_characters = sum(entry.cut_characters for entry in (*errors, *history))
        cuts = [
            cut
            for cut in (
                Message("{count} older entry", plural="{count} older entries", count=older),
                Message(
                    "{count} entry of long lists not read",
                    plural="{count} entries of long lists not read",
                    count=app.unread,
                ),
                Message(
                    "{count} entry not given as evidence",
                    plural="{count} entries not given as evidence",
                    count=left_out,
                ),
                Message(
                    "{count} character of long entries",
                    plural="{count} characters of long entries",
                    count=cut_characters,
                ),
            )
            if cut.facts["count"]
        ]
        if app.oversized_keys:
            cuts.append(Message("keys over the size limit: {keys}", keys=", ".join(app.oversized_keys)))
        return FetchResult(
            outcome=SourceOutcome.NO_DATA if job_history.is_empty else SourceOutcome.OK,
            data=payload.model_dump(mode="json"),
            evidence=evidence,
            finding=describe(request, payload),
            asked=(*(f"GET {key}" for key in app.asked), own.asked),
            where=describe_url(self._settings.redis_url),
            truncated=join(cuts, "; ") if cuts else None,
        )


SPEC = SourceSpec(name="log_cache", create=LogCacheSource.from_env, per_job=True, batch_size=BATCH_SIZE)
