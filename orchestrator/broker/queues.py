"""State of the queues: waiting messages, consuming workers, live watchers."""

import threading
import time
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, replace
from statistics import fmean

from celery import Celery
from kombu import Connection
from kombu.exceptions import OperationalError
from redis import Redis
from redis.exceptions import RedisError

from orchestrator.broker.app import make_celery, queue_names
from orchestrator.config import Settings
from orchestrator.errors import StoreUnreachable
from orchestrator.i18n.message import Message
from orchestrator.outcomes import LOOP_BLOCKED
from orchestrator.store.connection import broker_failure, session
from orchestrator.store.keys import Keys, lanes
from orchestrator.store.load import QueueLoad, read_load
from orchestrator.store.presence import Presence
from orchestrator.store.runs import RunStore
from orchestrator.store.set_aside import SetAside

INSPECT_SECONDS = 1.0
"""Seconds for workers to reply; a worker that takes longer is not shown."""
SERVED_SECONDS = 0.5
"""The same, where a waiting run wants to know."""
REPLIES = 3
"""How many times as long is waited at most, while more replies come."""
KNOWN_SECONDS = 1.0
"""Seconds for which an answer about the queues holds, or the failure to get one."""


@dataclass(frozen=True, slots=True)
class QueueState:
    """One queue of the broker."""

    queue: str
    waiting: int
    workers: tuple[str, ...]
    set_aside: int = 0
    """Messages that no worker could take."""
    wait_seconds: float = 0.0
    """Seconds for which a new message would wait; 0 while the workers keep up."""
    per_second: float = 0.0
    """Messages that the workers take in a second, while more wait."""
    load: QueueLoad | None = None
    """What came, runs and ended, and what the workers can hold."""
    places_per_worker: float | None = None
    """Mean number of tasks that one of the workers holds at once; None where no worker tells."""


NO_PLACE = "no_place"
SOURCE_NOT_LOADED = "source_not_loaded"
_PROBLEMS = {
    LOOP_BLOCKED: Message("takes no task: {source} has blocked its event loop for {seconds:g} s ({detail})"),
    NO_PLACE: Message("takes no task: every place of its pool is taken by a task past its limit ({seconds:g} s)"),
    SOURCE_NOT_LOADED: Message("leaves out the source {source}: {detail}"),
}


@dataclass(frozen=True, slots=True)
class WorkerProblem:
    """What keeps a worker from working, as it says itself."""

    reason: str
    source: str = ""
    """The source that causes it or lacks."""
    seconds: float = 0.0
    """For how long it has lasted."""
    detail: str = ""

    @property
    def stops(self) -> bool:
        """Whether the worker takes no task at all."""
        return self.reason in (LOOP_BLOCKED, NO_PLACE)

    @property
    def text(self) -> Message:
        """The problem in words; the reason of a newer worker stands as it is."""
        message = _PROBLEMS.get(self.reason, Message("{reason}"))
        facts = {"source": self.source or "-", "seconds": self.seconds, "detail": self.detail or "-"}
        return message.with_facts(reason=self.reason, **facts)


def problems_by_worker(queues_by_worker: Mapping[str, list[dict[str, object]]]) -> dict[str, list[WorkerProblem]]:
    """The problems that workers have told with their queues; none of a worker of an older version."""
    problems: dict[str, list[WorkerProblem]] = {}
    for worker in sorted(queues_by_worker):
        told = next((queue.get("problems") for queue in queues_by_worker[worker]), None)
        found = [_problem(fields) for fields in told if isinstance(fields, Mapping)] if isinstance(told, list) else []
        if found:
            problems[worker] = found
    return problems


def _problem(fields: Mapping[str, object]) -> WorkerProblem:
    seconds = fields.get("seconds")
    return WorkerProblem(
        reason=str(fields.get("reason")),
        source=str(fields.get("source") or ""),
        seconds=float(seconds) if isinstance(seconds, (int, float)) else 0.0,
        detail=str(fields.get("detail") or ""),
    )


def able_workers(queues_by_worker: Mapping[str, list[dict[str, object]]]) -> dict[str, list[dict[str, object]]]:
    """The workers that take tasks, with their queues."""
    problems = problems_by_worker(queues_by_worker)
    return {
        worker: queues
        for worker, queues in queues_by_worker.items()
        if not any(problem.stops for problem in problems.get(worker, ()))
    }


def read_queues(settings: Settings) -> tuple[list[QueueState], list[str], dict[str, list[WorkerProblem]]]:
    """The state of every queue, the names of the live watchers, and the problems of workers by their names.

    Raises StoreUnreachable; RunDamaged when the key of what was set aside is of another type.
    """
    keys = Keys(settings.key_prefix)
    names = queue_names()
    with session(settings) as client:
        waiting = queue_lengths(client, keys)
        watchers = Presence(client, keys).live_watchers()
        counts = SetAside(client, keys).counts()
        backlogs = RunStore(client, settings).backlogs([item for name in names for item in lanes(name)])
        loads = read_load(client, keys, names)
    replies = ask_workers(settings)
    consumers, places = consumers_by_queue(replies), places_by_queue(replies)
    queues = [
        QueueState(
            name,
            waiting[name],
            consumers.get(name, ()),
            counts.get(name, 0),
            *max(backlogs[item] for item in lanes(name)),
            replace(load, capacity=sum(places[name]) if name in places or name not in consumers else None),
            fmean(told) if (told := [count for count in places[name] if count]) else None,
        )
        for name, load in zip(names, loads, strict=True)
    ]
    return queues, watchers, problems_by_worker(replies)


def queue_lengths(client: Redis, keys: Keys) -> dict[str, int]:
    """Messages waiting in each queue: in the Redis list of its name, and in that of batches."""
    return {name: sum(int(client.llen(keys.broker_prefix + item)) for item in lanes(name)) for name in queue_names()}


def ask_workers(settings: Settings, seconds: float = INSPECT_SECONDS) -> Mapping[str, list[dict[str, object]]]:
    """The queues of each live worker; waits ``seconds`` for each further reply. Raises StoreUnreachable."""
    # Without a result backend: replies come over the broker, and a refused connection is an error at once.
    app = make_celery(settings, with_results=False)
    try:
        with app.connection_for_write() as connection:
            return _inspect(app, seconds, connection)
    finally:
        app.close()


def _inspect(app: Celery, seconds: float, connection: Connection) -> Mapping[str, list[dict[str, object]]]:
    # Each reply, and whatever else is put among them, would let it wait for another.
    connection.drain_until = time.monotonic() + REPLIES * seconds
    try:
        # ``inspect`` keeps one reply of workers that share a name: the other's queues would look unserved.
        replies = app.control.broadcast(
            "active_queues", arguments={}, reply=True, timeout=seconds, connection=connection
        )
    except (OperationalError, RedisError, OSError) as error:
        raise broker_failure(Message("the broker does not answer ({detail})"), error) from error
    queues: dict[str, list[dict[str, object]]] = {}
    for worker, served in (item for reply in replies or () for item in reply.items()):
        if isinstance(served, list):  # else the worker's error
            queues.setdefault(worker, []).extend(served)
    return queues


def places_by_queue(queues_by_worker: Mapping[str, list[dict[str, object]]]) -> defaultdict[str, list[int]]:
    """How many tasks each worker of a queue can hold at once, 0 where it takes none; an older version does not tell.

    A worker of several queues is in each of them with all its places.
    """
    places, able = defaultdict[str, list[int]](list), able_workers(queues_by_worker)
    for worker, queue in ((worker, queue) for worker, queues in queues_by_worker.items() for queue in queues):
        count = queue.get("places")
        if isinstance(count, int) and count > 0:
            places[str(queue.get("name"))].append(count if worker in able else 0)
    return places


class ServedQueues:
    """The queues that live workers consume, asked at most once a second however many threads want to know.

    A worker replies from its main thread, so that one whose places are all taken counts as live, and one that is frozen
    or deaf does not, nor one that says that it takes no task.
    """

    def __init__(self, app: Celery) -> None:
        self._app = app
        self._lock = threading.Lock()
        self._names: frozenset[str] = frozenset()
        self._failure: StoreUnreachable | None = None
        self._until = 0.0

    def names(self) -> frozenset[str]:
        """The names of the queues; a worker that takes longer than half a second to reply is not counted.

        Raises StoreUnreachable.
        """
        with self._lock:
            if time.monotonic() >= self._until:
                self._failure = None
                try:
                    self._names = self._ask()
                except StoreUnreachable as error:
                    self._failure = error
                self._until = time.monotonic() + KNOWN_SECONDS
            if self._failure is not None:
                raise self._failure
            return self._names

    def _ask(self) -> frozenset[str]:
        # On a connection that was used before, kombu 5.7.0 takes the queue of the replies for declared, although it was
        # deleted with its last consumer: every second call would get no reply.
        connection = self._app.connection_for_write()
        try:
            return frozenset(consumers_by_queue(able_workers(_inspect(self._app, SERVED_SECONDS, connection))))
        finally:
            # Waits half a second for the end of its last read.
            threading.Thread(target=connection.release, name="release", daemon=True).start()


def consumers_by_queue(queues_by_worker: Mapping[str, list[dict[str, object]]]) -> dict[str, tuple[str, ...]]:
    """The workers of each queue by name, from Celery's mapping of workers to their queues."""
    consumers: dict[str, list[str]] = {}
    for worker in sorted(queues_by_worker, key=lambda name: name.partition("@")):
        for queue in queues_by_worker[worker]:
            consumers.setdefault(str(queue.get("name")), []).append(worker)
    return {queue: tuple(workers) for queue, workers in consumers.items()}
