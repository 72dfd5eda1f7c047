"""``workers``: which queues have a worker that answers."""

import asyncio
from collections.abc import Mapping, Sequence

from orchestrator.broker.app import queue_names
from orchestrator.broker.queues import ask_workers, consumers_by_queue
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
    return judge_workers(consumers_by_queue(replies), queue_names(), seconds=seconds)


def judge_workers(consumers: Mapping[str, Sequence[str]], queues: Sequence[str], *, seconds: float) -> CheckResult:
    """The result for the workers of each queue; ``seconds`` was the wait for replies."""
    verdict = Verdict()
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
