"""Asking a source again after an error that may pass, as often as its pipeline says."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from orchestrator.errors import ConfigurationError, SourceError, WorkersNotInstalled
from orchestrator.logs import bound, get_logger
from orchestrator.outcomes import NOT_CONFIGURED
from orchestrator.tracing import annotate

_LOGGER = get_logger(__name__)
PAUSE_SECONDS = 0.2
LASTING = frozenset(
    {
        NOT_CONFIGURED,
        *("unauthorized", "forbidden", "not_found", "unknown_instance", "invalid_value", "bad_request", "bad_query"),
        *("bad_format", "knowledge_schema", "knowledge_format", "too_large", "answer_too_large", "tls", "circuit_open"),
    }
)
"""Reasons of errors that another try within the same run does not mend."""
T = TypeVar("T")


async def with_retries(ask: Callable[[], Awaitable[T]], retries: int) -> T:
    """What ``ask`` gives, asked again up to ``retries`` times, with a pause, after an error that may pass.

    Raises the last error. The caller limits the time.
    """
    for attempt in range(1, retries + 1):
        try:
            with bound(attempt=attempt):
                annotate(attempt=attempt)
                return await ask()
        except Exception as error:  # border: a source may raise anything
            if not may_pass(error):
                raise
            _LOGGER.warning("source_asked_again attempt=%s reason=%s", attempt, getattr(error, "reason", "unexpected"))
        await asyncio.sleep(PAUSE_SECONDS)
    with bound(attempt=retries + 1):
        annotate(attempt=retries + 1)
        return await ask()


def may_pass(error: Exception) -> bool:
    """Whether another try within the same run may mend an error."""
    if isinstance(error, SourceError):
        return error.reason not in LASTING
    return not isinstance(error, ConfigurationError | WorkersNotInstalled)
