"""``log_cache``: whether the Redis with the logs of earlier runs answers, and how much it holds."""

import re
from collections.abc import Mapping
from typing import Any

from redis.asyncio import Redis
from redis.exceptions import RedisError

from orchestrator.deadline import Deadline, time_limit
from orchestrator.errors import ConfigurationError
from orchestrator.i18n.message import Message
from workers.config import LogCacheSettings
from workers.doctor.check import CheckContext, CheckResult, Status, Verdict
from workers.sources.log_cache.connection import connect, describe_url, source_error

SCAN_SHARE = 0.6
_FAILURES = {
    "unauthorized": (
        Message("{where} refuses the credentials"),
        Message("Correct user and password in RESYNC_LOG_CACHE_URL (or REDIS_URL)."),
    ),
    "timeout": (
        Message("{where} does not answer in time"),
        Message("Check the load of the Redis of RESYNC_LOG_CACHE_URL (or REDIS_URL)."),
    ),
    "unreachable": (
        Message("{where} cannot be reached"),
        Message("Start that Redis, or correct RESYNC_LOG_CACHE_URL (or REDIS_URL)."),
    ),
    "refused": (
        Message("{where} refused the request"),
        Message("Allow the user of RESYNC_LOG_CACHE_URL (or REDIS_URL) to read (ACL: +@read +scan)."),
    ),
}
"""Sentence and remedy for each reason of ``source_error``."""
_APP_PATTERNS = {"app_errors": "resync:errors:recent:*", "app_history": "resync:job:history:*"}


async def check_log_cache(context: CheckContext) -> CheckResult:
    """Counts the app's keys and the project's own."""
    settings = LogCacheSettings.from_env(context.environ)
    client = connect(settings.redis_url, timeout_seconds=context.call_seconds)
    where = describe_url(settings.redis_url)
    try:
        await client.ping()
        counts, is_whole = await _count(client, settings.key_prefix, context.timeout_seconds * SCAN_SHARE)
    except RedisError as error:
        failure = source_error(error)
        found, fix = _FAILURES[failure.reason]
        facts = {"where": where}
        return CheckResult(Status.ERROR, found.with_facts(where=where), fix, failure.reason, facts)
    finally:
        await client.aclose()
    verdict = Verdict()
    verdict.note(
        Message(
            "{where}: of the app {app_errors} (errors) and {app_history} (histories), jobs in our own cache {own_jobs}",
            where=where,
            **counts,
        )
    )
    if not is_whole:
        verdict.note(Message("there was no time to see all keys"))
    elif not any(counts.values()):
        verdict.note(Message("empty yet; finished runs fill it, and so does: resync-troubleshoot logs ingest FILE"))
    return verdict.result(where=where, whole=is_whole, **counts)


def is_the_store(context: CheckContext) -> bool:
    """Whether the log cache is in the Redis of REDIS_URL."""
    try:
        return LogCacheSettings.from_env(context.environ).redis_url == context.settings().redis_url
    except ConfigurationError:
        return context.environ.get("RESYNC_LOG_CACHE_URL", "") == ""


async def _count(client: Redis, prefix: str, seconds: float) -> tuple[Mapping[str, Any], bool]:
    """Number of keys of each kind, and whether the scan was complete within ``seconds``. Raises redis.RedisError."""
    own = re.sub(r"([\\*?\[\]])", r"\\\1", prefix) + "logs:*:values"
    counts, deadline = dict.fromkeys((*_APP_PATTERNS, "own_jobs"), 0), Deadline.after(seconds)
    try:
        async with time_limit(lambda _: deadline.remaining()):
            for kind, pattern in (*_APP_PATTERNS.items(), ("own_jobs", own)):
                async for name in client.scan_iter(match=pattern, count=1_000):
                    # The list of the newest failures of all jobs does not count as a job.
                    counts[kind] += not name.endswith(b":_recent:values")
    except TimeoutError:
        return counts, False
    return counts, True
