"""``workers``: which queues have a worker that answers."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence

from kombu.exceptions import OperationalError

from orchestrator.broker.app import make_celery, queue_names
from orchestrator.broker.queues import consumers_by_queue
from orchestrator.config import Settings
from orchestrator.errors import StoreUnreachable
from workers.doctor.check import Check, Surroundings
from workers.doctor.finding import Finding, Verdict

ANSWER_SECONDS = 1.0
"""How long is waited for one more answer of a worker; they answer within milliseconds."""
ANSWER_SHARE = 0.4


def check_workers(around: Surroundings) -> Check:
    """Asks all workers which queues they consume."""

    async def examine() -> Finding:
        settings = around.settings()
        seconds = min(ANSWER_SECONDS, ANSWER_SHARE * around.timeout_seconds)
        answers = await asyncio.to_thread(ask_workers, settings, seconds)
        return judge_workers(consumers_by_queue(answers), queue_names(), around, seconds=seconds)

    return Check("workers", examine, needs_store=True)


def ask_workers(settings: Settings, seconds: float) -> Mapping[str, list[dict[str, object]]]:
    """The live workers, each with its queues; the time starts anew with each answer. Raises StoreUnreachable."""
    # Without a result backend: answers come over the broker, and a refused connection is told at once.
    app = make_celery(settings, with_results=False)
    try:
        return app.control.inspect(timeout=seconds).active_queues() or {}
    except (OperationalError, OSError) as error:
        raise StoreUnreachable(f"the broker does not answer ({type(error).__name__})") from error
    finally:
        app.close()


def judge_workers(
    consumers: Mapping[str, Sequence[str]], queues: Sequence[str], around: Surroundings, *, seconds: float
) -> Finding:
    """The queues' workers, judged. Pure."""
    text, verdict = around.text, Verdict()
    idle = [queue for queue in queues if not consumers.get(queue)]
    if not idle:
        verdict.note(text("workers.all", queues=len(queues)))
    served = [f"{queue} {len(consumers[queue])}" for queue in queues if consumers.get(queue)]
    if served:
        verdict.note(", ".join(served))
    if idle:
        names = " ".join(idle)
        found = text("workers.none", seconds=seconds) if not served else text("workers.missing", queues=", ".join(idle))
        fix = text("fix.workers_all") if not served else text("fix.workers", queues=names)
        verdict.fail(found, fix, reason="no_worker")
    return verdict.finding(queues={queue: list(consumers.get(queue, ())) for queue in queues})
