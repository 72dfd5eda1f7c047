"""State of the queues: waiting messages, consuming workers, live watchers."""

from collections.abc import Mapping
from dataclasses import dataclass

from kombu.exceptions import OperationalError
from redis.exceptions import RedisError

from orchestrator.broker.app import make_celery, queue_names
from orchestrator.config import Settings
from orchestrator.errors import StoreUnreachable
from orchestrator.store.connection import session
from orchestrator.store.keys import Keys
from orchestrator.store.presence import Presence

INSPECT_SECONDS = 1.0
"""Seconds for workers to reply; a worker that takes longer is not shown."""


@dataclass(frozen=True, slots=True)
class QueueState:
    """One queue of the broker."""

    queue: str
    waiting: int
    workers: tuple[str, ...]


def read_queues(settings: Settings) -> tuple[list[QueueState], list[str]]:
    """The state of every queue, and the names of the live watchers.

    Raises StoreUnreachable.
    """
    keys = Keys(settings.key_prefix)
    names = queue_names()
    with session(settings) as client:
        # A queue is a Redis list of its name.
        waiting = {name: int(client.llen(keys.broker_prefix + name)) for name in names}
        watchers = Presence(client, keys).live_watchers()
    consumers = consumers_by_queue(ask_workers(settings))
    return [QueueState(name, waiting[name], consumers.get(name, ())) for name in names], watchers


def ask_workers(settings: Settings, seconds: float = INSPECT_SECONDS) -> Mapping[str, list[dict[str, object]]]:
    """The queues of each live worker; waits ``seconds`` for each further reply. Raises StoreUnreachable."""
    # Without a result backend: replies come over the broker, and a refused connection is an error at once.
    app = make_celery(settings, with_results=False)
    try:
        return app.control.inspect(timeout=seconds).active_queues() or {}
    except (OperationalError, RedisError, OSError) as error:
        raise StoreUnreachable("the broker does not answer ({detail})", detail=type(error).__name__) from error
    finally:
        app.close()


def consumers_by_queue(queues_by_worker: Mapping[str, list[dict[str, object]]]) -> dict[str, tuple[str, ...]]:
    """The workers of each queue by name, from Celery's mapping of workers to their queues."""
    consumers: dict[str, list[str]] = {}
    for worker in sorted(queues_by_worker, key=lambda name: name.partition("@")):
        for queue in queues_by_worker[worker]:
            consumers.setdefault(str(queue.get("name")), []).append(worker)
    return {queue: tuple(workers) for queue, workers in consumers.items()}
