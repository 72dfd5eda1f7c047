"""Plan -> chord: pure, nothing is published here."""

from __future__ import annotations

from celery import Celery, chord
from celery.canvas import Signature

from orchestrator.broker.app import SYNTHESIS_QUEUE, SYNTHESIZE_TASK, source_task
from orchestrator.models import Plan

HARD_LIMIT_GRACE_SECONDS = 2.0
"""Between the soft limit, at which a source writes ``timeout``, and the hard one, at which prefork kills it."""


def build_chord(app: Celery, run_id: str, plan: Plan) -> chord:
    """One header task per planned source on the queue of its name; the body only triggers the finisher.

    Arguments are the run id and the job, so that no payload and no secret stands in a message or in Flower.
    """
    header = [
        app.signature(
            source_task(planned.source),
            args=(run_id, planned.job),
            queue=planned.source,
            soft_time_limit=planned.limit_seconds,
            time_limit=planned.limit_seconds + HARD_LIMIT_GRACE_SECONDS,
        )
        for planned in plan.sources
    ]
    return chord(header, body=synthesis_signature(app, run_id), app=app)


def synthesis_signature(app: Celery, run_id: str) -> Signature:
    """The chord's body: it takes the run id and none of the header's results."""
    return app.signature(SYNTHESIZE_TASK, args=(run_id,), immutable=True, queue=SYNTHESIS_QUEUE)
