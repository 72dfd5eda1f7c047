"""The chord of a run: built from its plan, published, and the result backend of workers that counts its parts."""

from collections.abc import Callable, Mapping
from typing import Any

from celery import Celery, chord
from celery.backends.redis import RedisBackend
from celery.canvas import Signature
from celery.utils import uuid
from kombu.exceptions import KombuError
from redis.exceptions import RedisError

from orchestrator.broker.app import RUN_TASK, SYNTHESIZE_TASK, source_task
from orchestrator.i18n.message import Message
from orchestrator.logs import get_logger
from orchestrator.models import Plan
from orchestrator.store.connection import PlainConnection, TlsConnection, broker_failure
from orchestrator.store.keys import BATCH_PRIORITY, ORCHESTRATOR_QUEUE, SYNTHESIS_QUEUE
from orchestrator.tracing import headers

HARD_LIMIT_GRACE_SECONDS = 2.0
"""Seconds between the soft limit, at which a source stores ``timeout``, and the hard one, at which prefork kills it."""


def publish_stage(app: Celery, run_id: str, plan: Plan, *, keep_lease: Callable[[], None] = lambda: None) -> None:
    """Publish the tasks of the last stage of a plan; see ``publish_chord``.

    The sources that the next stage waits for are a chord of their own, whose body dispatches that stage. It comes last:
    a stage may not be over before its messages are out.
    """
    awaited = plan.awaited
    others = tuple(planned for planned in plan.sources if planned not in awaited)
    dispatch = app.signature(RUN_TASK, args=(run_id,), immutable=True, queue=ORCHESTRATOR_QUEUE)
    for sources, body in ((others, None), (awaited, dispatch)):
        if sources:
            part = build_chord(app, run_id, plan.model_copy(update={"sources": sources}), body=body)
            publish_chord(app, run_id, part, keep_lease=keep_lease)


def publish_synthesis(app: Celery, run_id: str) -> None:
    """Publish the finisher alone. Raises StoreUnreachable."""
    try:
        app.send_task(
            SYNTHESIZE_TASK, args=(run_id,), root_id=run_id, retry=False, ignore_result=True, headers=headers()
        )
    except (KombuError, RedisError, OSError) as error:
        raise broker_failure(Message("the broker refused the message ({detail})"), error) from error


def build_chord(app: Celery, run_id: str, plan: Plan, *, body: Signature | None = None) -> chord:
    """A chord of one header task per planned source, on the queue of its name, and the finisher or another ``body``.

    The arguments are the run id and the job or batch: no payload and no secret is in a message or in Flower.
    """
    header = [
        app.signature(
            source_task(planned.source),
            args=(run_id, planned.part),
            queue=planned.source,
            soft_time_limit=planned.limit_seconds,
            time_limit=planned.limit_seconds + HARD_LIMIT_GRACE_SECONDS,
            **({} if planned.batch is None else {"priority": BATCH_PRIORITY}),
        )
        for planned in plan.sources
    ]
    return chord(header, body=body or synthesis_signature(app, run_id), app=app)


def synthesis_signature(app: Celery, run_id: str) -> Signature:
    """The body of a chord: it takes the run id and ignores the results of the header."""
    return app.signature(SYNTHESIZE_TASK, args=(run_id,), immutable=True, queue=SYNTHESIS_QUEUE)


def publish_chord(app: Celery, run_id: str, canvas: chord, *, keep_lease: Callable[[], None] = lambda: None) -> None:
    """Publish the header of a chord, like ``chord.apply_async`` without its result objects, copies and long retries.

    Messages are sent one by one: in a batch all sources start at once and wait for each other; on two cores a run took
    0.8 ms longer. ``keep_lease`` is called before each.

    Raises StoreUnreachable and what ``keep_lease`` raises, after which some of the messages may have been published.
    """
    group_id, last = uuid(), len(canvas.tasks) - 1
    body = canvas.body.clone(task_id=uuid())
    traced = headers()
    body.set(root_id=run_id, group_id=group_id, **({"headers": traced} if traced else {}))
    try:
        with app.producer_or_acquire() as producer:
            for index, task in enumerate(canvas.tasks):
                keep_lease()
                if index == last:
                    # As in Celery: the size is needed when the last task ends, so the first need not wait for it.
                    app.backend.set_chord_size(group_id, len(canvas.tasks))
                app.send_task(
                    task.task,
                    task.args,
                    producer=producer,
                    chord=body,
                    group_id=group_id,
                    group_index=index,
                    root_id=run_id,
                    retry=False,
                    ignore_result=True,
                    add_to_parent=False,
                    headers=traced,
                    **task.options,
                )
    except (KombuError, RedisError, OSError) as error:
        raise broker_failure(Message("the broker refused the chord ({detail})"), error) from error


_LOGGER = get_logger(__name__)


class ChordBackend(RedisBackend):  # type: ignore[misc]  # Celery is untyped
    """Celery's Redis backend, in which a chord part that cannot be counted is only logged."""

    def _params_from_url(self, url: str, defaults: Mapping[str, Any]) -> dict[str, Any]:
        options: dict[str, Any] = super()._params_from_url(url, defaults)
        return options | {"connection_class": TlsConnection if "connection_class" in options else PlainConnection}

    def on_chord_part_return(self, request: Any, state: str, result: Any, **kwargs: Any) -> None:
        """Count the part; when that fails, the watcher finishes the run.

        Celery would store the failure in the same Redis. That fails too, in a pool thread whose errors are not read,
        and the request would occupy its place in the pool for ever.
        """
        try:
            super().on_chord_part_return(request, state, result, **kwargs)
        except Exception as error:  # noqa: BLE001  # border: whatever Redis or the body's publishing raises
            run_id, task_id = getattr(request, "root_id", None), getattr(request, "id", None)
            _LOGGER.warning("chord_part_lost run_id=%s task_id=%s error=%s", run_id, task_id, type(error).__name__)
