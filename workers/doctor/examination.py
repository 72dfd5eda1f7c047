"""Carries the checks out side by side, each within its time, and turns whatever happens into a finding."""

from __future__ import annotations

import asyncio
import logging
import time
import traceback
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from redis.exceptions import InvalidResponse
from redis.exceptions import TimeoutError as RedisTimeoutError

from orchestrator.errors import ConfigurationError, StoreUnreachable, TroubleshootError
from workers.doctor.check import Check, Surroundings
from workers.doctor.executor import DaemonExecutor
from workers.doctor.finding import CheckResult, Finding, Status
from workers.sources.log_cache.connection import describe_url

_LOGGER = logging.getLogger(__name__)
REDIS = "redis"
UNREACHABLE = StoreUnreachable.reason
CONFIGURATION = ConfigurationError.reason
TIMEOUT = "timeout"


def examine(checks: Sequence[Check], around: Surroundings) -> list[CheckResult]:
    """The results in the order of ``checks``; ends soon after ``around.timeout_seconds``."""
    return asyncio.run(_examine(checks, around))


async def _examine(checks: Sequence[Check], around: Surroundings) -> list[CheckResult]:
    asyncio.get_running_loop().set_default_executor(DaemonExecutor())
    results = await asyncio.gather(*(_timed(check, around) for check in checks))
    return _without_echoes(checks, results, around)


async def _timed(check: Check, around: Surroundings) -> CheckResult:
    started = time.monotonic()
    finding = await _bounded(check, around)
    return CheckResult(check.name, finding, round((time.monotonic() - started) * 1_000, 1))


async def _bounded(check: Check, around: Surroundings) -> Finding:
    text = around.text
    try:
        async with asyncio.timeout(around.timeout_seconds):
            return await check.examine()
    except TimeoutError:
        found = text("any.timeout", seconds=around.timeout_seconds)
        return Finding(Status.ERROR, found, text("fix.timeout"), TIMEOUT)
    except ConfigurationError as error:
        return Finding(Status.ERROR, around.scrub(str(error)), text("fix.configuration"), CONFIGURATION)
    except StoreUnreachable as error:
        return Finding(Status.ERROR, _unreachable(error, around), text("fix.redis_unreachable"), UNREACHABLE)
    except TroubleshootError as error:
        return Finding(Status.ERROR, around.scrub(str(error)), text("fix.as_named"), error.reason)
    except Exception as error:  # noqa: BLE001  # border: one check that breaks must not take the others along
        kind, at = type(error).__name__, _place(error)
        # Its message stays out: nobody has looked whether it holds a secret.
        _LOGGER.warning("doctor_check_failed check=%s error=%s at=%s", check.name, kind, at)
        found = text("any.unexpected", kind=kind)
        return Finding(Status.ERROR, found, text("fix.unexpected"), "unexpected", {"error": kind, "at": at})


def _place(error: BaseException) -> str:
    """File and line where it was raised."""
    frames = traceback.extract_tb(error.__traceback__)
    return f"{Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else "?"


def _unreachable(error: StoreUnreachable, around: Surroundings) -> str:
    settings = around.settings()
    where = describe_url(settings.redis_url)
    if isinstance(error.__cause__, RedisTimeoutError):
        return around.text("redis.timeout", where=where, seconds=settings.redis_timeout_seconds)
    if isinstance(error.__cause__, InvalidResponse):
        return around.text("redis.not_redis", where=where)
    seen: BaseException | None = error
    while seen is not None:
        if isinstance(seen, OSError) and seen.strerror:
            return around.text("redis.unreachable", where=where, detail=seen.strerror)
        seen = seen.__cause__ or seen.__context__
    return around.text("redis.unreachable", where=where, detail=type(error.__cause__ or error).__name__)


def _without_echoes(checks: Sequence[Check], results: Sequence[CheckResult], around: Surroundings) -> list[CheckResult]:
    """One cause is told once: with Redis away, what stands on it was not checked."""
    redis = next((result.finding for result in results if result.name == REDIS), None)
    if redis is None or redis.reason not in (UNREACHABLE, CONFIGURATION, TIMEOUT):
        return list(results)
    found = Finding(Status.OFF, around.text("any.not_checked", name=REDIS), reason=redis.reason)
    return [
        replace(result, finding=found)
        if check.needs_store and check.name != REDIS and result.finding.status is Status.ERROR
        else result
        for check, result in zip(checks, results, strict=True)
    ]


def exit_code(results: Sequence[CheckResult]) -> int:
    """0 all ok or warnings, 5 Redis unreachable, else 2 a setting is wrong, else 1 something is broken."""
    reasons = {result.finding.reason for result in results if result.finding.status is Status.ERROR}
    if UNREACHABLE in reasons:
        return StoreUnreachable.exit_code
    if CONFIGURATION in reasons:
        return ConfigurationError.exit_code
    return 1 if reasons else 0
