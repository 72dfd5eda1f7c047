"""``workers``: which queues have a worker that answers."""

import asyncio
from collections.abc import Mapping, Sequence

from orchestrator.broker.app import queue_names
from orchestrator.broker.queues import (
    SOURCE_NOT_LOADED,
    WorkerProblem,
    able_workers,
    ask_workers,
    consumers_by_queue,
    problems_by_worker,
)
from orchestrator.i18n.message import Message
from workers.doctor.check import CheckContext, CheckResult, Verdict

ANSWER_SECONDS = 1.0
"""Wait for each further reply; workers reply within milliseconds."""
ANSWER_SHARE = 0.4


async def check_workers(context: CheckContext) -> CheckResult:
    """Asks all workers which queues they consume."""
    settings = context.settings()
    seconds = min(ANSWER_SECONDS, ANSWER_SHARE * context.timeout_seconds)
    replies = await asyncio.to_thread(ask_workers, settings, seconds)
    consumers, problems = consumers_by_queue(able_workers(replies)), problems_by_worker(replies)
    return judge_workers(consumers, queue_names(), seconds=seconds, problems=problems)


def judge_workers(
    consumers: Mapping[str, Sequence[str]],
    queues: Sequence[str],
    *,
    seconds: float,
    problems: Mapping[str, Sequence[WorkerProblem]] | None = None,
) -> CheckResult:
    """The result for the workers of each queue that take tasks, and for what they say of themselves.

    ``seconds`` was the wait for replies.
    """
    verdict = Verdict()
    for worker, told in (problems or {}).items():
        for problem in told:
            found = Message("{worker} {problem}", worker=worker, problem=problem.text)
            if problem.reason == SOURCE_NOT_LOADED:
                fix = Message("Install what the source {name} needs, or remove its package.", name=problem.source)
            else:
                fix = Message("Restart {worker}; its log says what it waits for.", worker=worker)
            verdict.fail(found, fix, reason=problem.reason)
    idle = [queue for queue in queues if not consumers.get(queue)]
    if not idle:
        verdict.note(Message("each of the {queues} queues has a worker", queues=len(queues)))
    served = [f"{queue} {len(consumers[queue])}" for queue in queues if consumers.get(queue)]
    if served:
        verdict.note(", ".join(served))
    if idle:
        if served:
            found = Message("no worker for {queues}", queues=", ".join(idle))
            fix = Message("Start one: resync-troubleshoot worker {queues}", queues=" ".join(idle))
        else:
            found = Message("no worker answered within {seconds:g} s", seconds=seconds)
            fix = Message("Start one: resync-troubleshoot worker --all, with the same REDIS_URL and RESYNC_KEY_PREFIX.")
        verdict.fail(found, fix, reason="no_worker")
    return verdict.result(queues={queue: list(consumers.get(queue, ())) for queue in queues})
