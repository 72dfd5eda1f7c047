"""``log_cache``: whether the Redis with the logs of earlier runs answers, and what is in it."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping

from redis.asyncio import Redis
from redis.exceptions import RedisError

from orchestrator.errors import ConfigurationError
from workers.config import LogCacheSettings
from workers.doctor.check import Check, Surroundings
from workers.doctor.finding import Finding, Status, Verdict
from workers.sources.log_cache.connection import connect, describe_url, source_error

SCAN_SHARE = 0.6
_APP_PATTERNS = {"app_errors": "resync:errors:recent:*", "app_history": "resync:job:history:*"}


def check_log_cache(around: Surroundings) -> Check:
    """Counts the app's keys and the project's own."""

    async def examine() -> Finding:
        settings = LogCacheSettings.from_env(around.environ)
        client = connect(settings.redis_url, timeout_seconds=around.call_seconds)
        where = describe_url(settings.redis_url)
        text = around.text
        try:
            await client.ping()
            counts, is_whole = await _count(client, settings.key_prefix, around.timeout_seconds * SCAN_SHARE)
        except RedisError as error:
            failure = source_error(error)
            found = text(f"log_cache.{failure.reason}", where=where)
            fix = text(f"fix.log_cache_{failure.reason}")
            return Finding(Status.ERROR, found, fix, failure.reason, {"where": where})
        finally:
            await client.aclose()
        verdict = Verdict()
        verdict.note(text("log_cache.found", where=where, **counts))
        if not is_whole:
            verdict.note(text("keys.partly"))
        elif not any(counts.values()):
            verdict.note(text("log_cache.empty"))
        return verdict.finding(where=where, whole=is_whole, **counts)

    return Check("log_cache", examine, needs_store=_is_the_store(around))


def _is_the_store(around: Surroundings) -> bool:
    try:
        return LogCacheSettings.from_env(around.environ).redis_url == around.settings().redis_url
    except ConfigurationError:
        return around.environ.get("RESYNC_LOG_CACHE_URL", "") == ""


async def _count(client: Redis, prefix: str, seconds: float) -> tuple[Mapping[str, int], bool]:
    """Keys of each kind; False when the time was over before all had been seen. Raises redis.RedisError."""
    own = re.sub(r"([\\*?\[\]])", r"\\\1", prefix) + "logs:*:values"
    counts = dict.fromkeys((*_APP_PATTERNS, "own_jobs"), 0)
    try:
        async with asyncio.timeout(seconds):
            for kind, pattern in (*_APP_PATTERNS.items(), ("own_jobs", own)):
                async for name in client.scan_iter(match=pattern, count=1_000):
                    # The list of all jobs' newest failures is no job.
                    counts[kind] += not name.endswith(b":_recent:values")
    except TimeoutError:
        return counts, False
    return counts, True
