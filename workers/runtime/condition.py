"""What keeps this worker from working, for its probes and for ``queues`` and ``doctor``."""

import time
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import asdict
from typing import Any

from celery.worker import state as celery_state
from celery.worker.control import active_queues, inspect_command

from orchestrator.broker.queues import NO_PLACE, SOURCE_NOT_LOADED, WorkerProblem
from orchestrator.config import MAX_TOTAL_TIMEOUT_SECONDS
from orchestrator.errors import TroubleshootError
from orchestrator.logs import get_logger
from orchestrator.outcomes import LOOP_BLOCKED
from orchestrator.redaction.redact import redact
from orchestrator.sources import load_source, source_names
from orchestrator.store.keys import ORCHESTRATOR_QUEUE
from workers.runtime.event_loop import REPORTED_SECONDS
from workers.runtime.process import loop_blockage

_LOGGER = get_logger(__name__)
OVERDUE_SECONDS = 5.0
"""Seconds past its limit by which a task has lost its place in the pool: whatever waits in it has no end of its own."""
_places: list[int] = []
_logged: set[str] = set()


def set_places(count: int) -> None:
    """Note how many tasks the pool of this worker runs at once."""
    _places[:] = [count]


def able_places() -> int:
    """How many tasks this worker can run at once: none while a problem keeps it from taking any."""
    return 0 if not _places or any(problem.stops for problem in worker_problems()) else _places[0]


def worker_problems() -> list[WorkerProblem]:
    """What keeps this worker from taking a task: a blocked event loop, a pool without a place."""
    problems = []
    blockage = loop_blockage()
    if blockage is not None and blockage.seconds >= REPORTED_SECONDS:
        problems.append(WorkerProblem(LOOP_BLOCKED, blockage.key, blockage.seconds, blockage.where))
    overdue = _overdue_seconds()
    if _places and len(overdue) >= _places[0]:
        problems.append(WorkerProblem(NO_PLACE, seconds=round(max(overdue), 1)))
    return problems


def missing_sources(queues: Iterable[str]) -> list[WorkerProblem]:
    """The installed sources that this worker cannot plan, because their code cannot be loaded; it serves ``queues``."""
    problems: list[WorkerProblem] = []
    if ORCHESTRATOR_QUEUE in queues:
        for name in source_names():
            try:
                load_source(name)
            except TroubleshootError as error:
                problems.append(WorkerProblem(SOURCE_NOT_LOADED, name, detail=redact(str(error))))
    return problems


def log_problems() -> None:
    """Log each problem once, and its end."""
    problems = {problem.reason: problem for problem in worker_problems() if problem.reason != LOOP_BLOCKED}
    for reason in problems.keys() - _logged:
        _LOGGER.error("worker_takes_no_task reason=%s seconds=%.1f", reason, problems[reason].seconds)
    for reason in _logged - problems.keys():
        _LOGGER.warning("worker_takes_tasks_again reason=%s", reason)
    _logged.clear()
    _logged.update(problems)


def _overdue_seconds() -> list[float]:
    """For each task that ought to have ended, the seconds since its limit."""
    now, requests = time.time(), list[Any]()
    with suppress(RuntimeError):  # changed by another thread meanwhile: the next look will do
        requests = list(celery_state.active_requests)
    limits = [(request, request.time_limits[1] or MAX_TOTAL_TIMEOUT_SECONDS) for request in requests]
    overdue = [now - request.time_start - limit for request, limit in limits if request.time_start is not None]
    return [seconds for seconds in overdue if seconds > OVERDUE_SECONDS]


@inspect_command(name="active_queues")  # type: ignore[untyped-decorator]  # Celery is untyped
def _active_queues_with_problems(state: Any) -> list[dict[str, Any]]:
    """List the task queues a worker is currently consuming from, each with its places and what keeps it from work."""
    queues: list[dict[str, Any]] = active_queues(state)
    problems = [*worker_problems(), *missing_sources(queue["name"] for queue in queues)]
    more = {"problems": [asdict(problem) for problem in problems], "places": _places[0] if _places else None}
    return [{**queue, **more} for queue in queues]
