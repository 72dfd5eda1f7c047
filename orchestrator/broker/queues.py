"""The broker's queues: waiting messages, consuming workers, live watchers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from kombu.exceptions import OperationalError
from redis.exceptions import RedisError

from orchestrator.broker.app import make_celery, queue_names
from orchestrator.config import Settings
from orchestrator.errors import StoreUnreachable
from orchestrator.store.connection import connect, store_errors
from orchestrator.store.keys import Keys
from orchestrator.store.presence import Presence

INSPECT_SECONDS = 1.0
"""How long workers are given to answer; one that is busy beyond that is not shown."""


@dataclass(frozen=True, slots=True)
class QueueState:
    """One queue of the broker."""

    queue: str
    waiting: int
    workers: tuple[str, ...]


def read_queues(settings: Settings) -> tuple[list[QueueState], list[str]]:
    """Every queue, and the live watchers. Raises StoreUnreachable."""
    keys = Keys(settings.key_prefix)
    names = queue_names()
    client = connect(settings)
    try:
        with store_errors():
            # A queue of the broker is a Redis list of its name.
            waiting = {name: int(client.llen(keys.broker_prefix + name)) for name in names}
        watchers = Presence(client, keys).live_watchers()
    finally:
        client.close()
    consumers = consumers_by_queue(_ask_workers(settings))
    return [QueueState(name, waiting[name], consumers.get(name, ())) for name in names], watchers


def _ask_workers(settings: Settings) -> Mapping[str, list[dict[str, object]]]:
    app = make_celery(settings, with_results=False)
    try:
        return app.control.inspect(timeout=INSPECT_SECONDS).active_queues() or {}
    except (OperationalError, RedisError, OSError) as error:
        raise StoreUnreachable("the broker does not answer ({detail})", detail=type(error).__name__) from error
    finally:
        app.close()


def consumers_by_queue(answers: Mapping[str, list[dict[str, object]]]) -> dict[str, tuple[str, ...]]:
    """Celery's answer (worker: its queues) turned round: queue: its workers, by name."""
    consumers: dict[str, list[str]] = {}
    for worker in sorted(answers, key=lambda name: name.partition("@")):
        for queue in answers[worker]:
            consumers.setdefault(str(queue.get("name")), []).append(worker)
    return {queue: tuple(workers) for queue, workers in consumers.items()}
