"""Runs checks concurrently, each within its time limit, and turns every outcome into a result."""

import asyncio
import threading
import time
import traceback
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import ParamSpec, TypeVar

from redis.exceptions import InvalidResponse
from redis.exceptions import TimeoutError as RedisTimeoutError

from orchestrator.errors import ConfigurationError, StoreUnreachable, TroubleshootError
from orchestrator.i18n.message import Message
from orchestrator.logs import get_logger
from orchestrator.store.connection import refusal
from orchestrator.tls import causes, tls_advice, tls_failure
from workers.doctor.check import Check, CheckContext, CheckResult, Status
from workers.sources.log_cache.connection import describe_url

_LOGGER = get_logger(__name__)
REDIS = "redis"
UNREACHABLE = StoreUnreachable.reason
CONFIGURATION = ConfigurationError.reason
TIMEOUT = "timeout"

P = ParamSpec("P")
T = TypeVar("T")


def run_checks(checks: Sequence[Check], context: CheckContext) -> list[CheckResult]:
    """The results in the order of ``checks``; returns soon after ``context.timeout_seconds``."""
    return asyncio.run(_run_checks(checks, context))


async def _run_checks(checks: Sequence[Check], context: CheckContext) -> list[CheckResult]:
    asyncio.get_running_loop().set_default_executor(DaemonExecutor())
    results = await asyncio.gather(*(_timed(check, context) for check in checks))
    return _without_echoes(checks, results)


async def _timed(check: Check, context: CheckContext) -> CheckResult:
    started = time.monotonic()
    result = await _bounded(check, context)
    return replace(result, name=check.name, took_ms=round((time.monotonic() - started) * 1_000, 1))


async def _bounded(check: Check, context: CheckContext) -> CheckResult:
    try:
        return await _examined(check, context)
    except Exception as error:  # noqa: BLE001  # border: one check that breaks must not take the others along
        kind, at = type(error).__name__, _place(error)
        # The exception's message is left out: it may hold a secret.
        _LOGGER.warning("doctor_check_failed check=%s error=%s at=%s", check.name, kind, at)
        found = Message("the check itself failed ({kind})", kind=kind)
        fix = Message("Run it again with --json and report what the facts of this check say.")
        return CheckResult(Status.ERROR, found, fix, "unexpected", {"error": kind, "at": at})


async def _examined(check: Check, context: CheckContext) -> CheckResult:
    try:
        async with asyncio.timeout(context.timeout_seconds):
            return await check.examine()
    except TimeoutError:
        found = Message("no answer within {seconds:g} s", seconds=context.timeout_seconds)
        fix = Message("Try --timeout 10; if that does not help, look at the counterpart.")
        return CheckResult(Status.ERROR, found, fix, TIMEOUT)
    except ConfigurationError as error:
        fix = Message("Correct the variable that is named.")
        return CheckResult(Status.ERROR, context.scrub.text(error.message), fix, CONFIGURATION)
    except StoreUnreachable as error:
        fix = tls_advice(error) or Message("Start Redis, or correct REDIS_URL (or --redis-url).")
        if refusal(error) is not None:
            fix = Message("Look at the log of Redis: the error in brackets is its own.")
        return CheckResult(Status.ERROR, _unreachable(error, context), fix, UNREACHABLE)
    except TroubleshootError as error:
        fix = Message("Correct what is named.")
        return CheckResult(Status.ERROR, context.scrub.text(error.message), fix, error.reason)


def _place(error: BaseException) -> str:
    """File and line where it was raised."""
    frames = traceback.extract_tb(error.__traceback__)
    return f"{Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else "?"


def _unreachable(error: StoreUnreachable, context: CheckContext) -> Message:
    settings = context.settings()
    where = describe_url(settings.redis_url)
    if code := refusal(error):
        return Message("Redis at {where} answers but refuses to work ({detail})", where=where, detail=code)
    if detail := tls_failure(error):
        return Message("no connection to Redis at {where}: TLS failed ({detail})", where=where, detail=detail)
    if isinstance(error.__cause__, RedisTimeoutError):
        return Message(
            "Redis at {where} did not answer within {seconds:g} s (RESYNC_REDIS_TIMEOUT_SECONDS)",
            where=where,
            seconds=settings.redis_timeout_seconds,
        )
    if isinstance(error.__cause__, InvalidResponse):
        return Message("{where} answers, but not as Redis does", where=where)
    reasons = (cause.strerror for cause in causes(error) if isinstance(cause, OSError) and cause.strerror)
    detail = next(reasons, type(error.__cause__ or error).__name__)
    return Message("no connection to Redis at {where} ({detail})", where=where, detail=detail)


def _without_echoes(checks: Sequence[Check], results: Sequence[CheckResult]) -> list[CheckResult]:
    """Report one cause once: with Redis unreachable, the checks that depend on it become ``off``."""
    redis = next((result for result in results if result.name == REDIS), None)
    if redis is None or redis.reason not in (UNREACHABLE, CONFIGURATION, TIMEOUT):
        return list(results)
    found = Message("not checked: see {name}", name=REDIS)
    return [
        replace(result, status=Status.OFF, found=found, fix="", reason=redis.reason, facts={})
        if check.needs_store and check.name != REDIS and result.status is Status.ERROR
        else result
        for check, result in zip(checks, results, strict=True)
    ]


def exit_code(results: Sequence[CheckResult]) -> int:
    """Exit code: 5 if Redis is unreachable, else 2 for a wrong setting, else 1 for any other error, else 0."""
    reasons = {result.reason for result in results if result.status is Status.ERROR}
    if UNREACHABLE in reasons:
        return StoreUnreachable.exit_code
    if CONFIGURATION in reasons:
        return ConfigurationError.exit_code
    return 1 if reasons else 0


class DaemonExecutor(ThreadPoolExecutor):
    """Starts a daemon thread for each call and joins none: a hanging name server must not keep ``doctor`` running.

    The base class joins its threads when the loop is closed and when the interpreter ends.
    """

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """Start the call."""
        future: Future[T] = Future()

        def work() -> None:
            if not future.set_running_or_notify_cancel():
                return
            try:
                result = fn(*args, **kwargs)
            except BaseException as error:  # noqa: BLE001  # border of the thread: the future carries it over
                future.set_exception(error)
            else:
                future.set_result(result)

        threading.Thread(target=work, name="doctor", daemon=True).start()
        return future

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:  # noqa: ARG002  # the base's signature
        """Do not wait for any thread."""
        super().shutdown(wait=False)
