"""A plain chord for comparison: Celery alone with four sleeping tasks and a body.

Same broker, pool, concurrency, queues and event settings as the project's own workers, on Celery's own transport and
result backend; no store, no limits, no events stream, no deadline. ``app`` is made at its first use, when
``celery -A workers.lab.bench.plain`` asks for it.
"""

import time
from collections.abc import Mapping
from functools import cache
from typing import Any

from celery import Celery, chord

from orchestrator.broker.app import make_celery
from orchestrator.config import Settings
from orchestrator.store.connection import connect
from orchestrator.store.keys import SYNTHESIS_QUEUE

SLEEP_TASK = "plain.sleep"
COLLECT_TASK = "plain.collect"
DONE_KEY = "plain:done"
"""List to which each body pushes the latency of its slowest source, in milliseconds."""


def sleep(seconds: float) -> dict[str, float]:
    """Sleep as a source's counterpart would, and return the measured latency."""
    began = time.perf_counter()
    time.sleep(seconds)
    return {"latency_ms": (time.perf_counter() - began) * 1000}


def plain_celery(settings: Settings) -> Celery:
    """The application without tasks, for the publisher.

    Transport and result backend are Celery's own: the project's changes to them are part of the comparison.
    """
    app = make_celery(settings, with_results=True)
    # A plain chord joins results; the project's own tasks ignore theirs.
    app.conf.update(task_ignore_result=False, result_backend=settings.redis_url)
    app.amqp_cls = "celery.app.amqp:AMQP"
    return app


@cache
def make_plain() -> Celery:
    """The application of a worker, made from its environment."""
    settings = Settings.from_env()
    app, client = plain_celery(settings), connect(settings)

    def collect(results: list[dict[str, float]]) -> None:
        client.lpush(DONE_KEY, max(item["latency_ms"] for item in results))

    app.task(name=SLEEP_TASK)(sleep)
    app.task(name=COLLECT_TASK)(collect)
    return app


def apply_chord(app: Celery, sleeps: Mapping[str, float]) -> None:
    """Publish one chord: a sleep on each source's queue, the body on the synthesis queue."""
    header = [app.signature(SLEEP_TASK, args=(seconds,), queue=source, app=app) for source, seconds in sleeps.items()]
    body = app.signature(COLLECT_TASK, queue=SYNTHESIS_QUEUE, app=app)
    chord(header, body=body, app=app).apply_async()


def forget_results(app: Celery) -> None:
    """Stop the consumer of results, so that results collected after Redis has stopped do not unsubscribe."""
    consumer = app.backend.result_consumer
    consumer.stop()
    consumer._pubsub = None  # noqa: SLF001  # else a stopped consumer reconnects for each unsubscription


def __getattr__(name: str) -> Any:
    if name == "app":
        return make_plain()
    raise AttributeError(name)
