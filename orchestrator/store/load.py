"""The load of the queues: what waits and runs, what came and ended within the last minute."""

from collections.abc import Sequence
from dataclasses import dataclass

import redis

from orchestrator.store.keys import Keys, lanes
from orchestrator.store.lua import Scripts

WINDOW_SECONDS = 60
LEAST_WINDOW_SECONDS = 5.0
"""A rate is not taken over less time, however short the time is from which tasks are counted."""


@dataclass(frozen=True, slots=True)
class QueueLoad:
    """What one queue has to do, both of its lanes together; a batch of jobs is one task.

    Rates are of the last minute, or of the time since tasks are counted where that is shorter. What clients and workers
    of a version without these figures do is not counted: of them only what waits is known.
    """

    queue: str
    waiting: int
    """Messages in the queue."""
    running: int
    """Tasks that workers hold. One whose worker died is left out when its time is over; what a caller does in its own
    process is none.
    """
    oldest_wait_seconds: float
    """Time since the oldest message was put into the queue; 0 where none waits, or it cannot be told."""
    arrivals_per_second: float
    """Tasks that were to be done, with those that were turned away."""
    turned_away_per_second: float
    """Those that were not put into the queue, because they would have waited in it for too long."""
    completions_per_second: float
    task_seconds: float | None
    """Mean time for which a task is in the hands of a worker; that of the last hour where none ended within the minute,
    None where it is not known.
    """
    task_deviation_seconds: float | None = None
    """Standard deviation of that time within the minute; None where none ended."""
    capacity: int | None = None
    """Tasks that the live workers of the queue can hold at once; None where they were not asked."""

    @property
    def work(self) -> int:
        """Tasks that wait or run."""
        return self.waiting + self.running


def read_load(client: redis.Redis, keys: Keys, queues: Sequence[str]) -> tuple[QueueLoad, ...]:
    """The load of each queue, in one call, without their capacity.

    Raises StoreUnreachable.
    """
    names = [keys.rates]
    for queue in queues:
        names += [keys.running(queue), *(keys.broker_prefix + lane for lane in lanes(queue))]
    replies = Scripts(client).run("load", names, [keys.run(""), *queues])
    return tuple(_load(queue, list(map(float, reply))) for queue, reply in zip(queues, replies, strict=True))


def _load(queue: str, reply: Sequence[float]) -> QueueLoad:
    waiting, running, oldest_ms, window_ms, arrived, turned_away, ended, total_ms, squares, known_ms = reply
    seconds = max(window_ms / 1000, LEAST_WINDOW_SECONDS)
    task_ms = total_ms / ended if ended else known_ms
    return QueueLoad(
        queue=queue,
        waiting=int(waiting),
        running=int(running),
        oldest_wait_seconds=oldest_ms / 1000,
        arrivals_per_second=round(arrived / seconds, 3),
        turned_away_per_second=round(turned_away / seconds, 3),
        completions_per_second=round(ended / seconds, 3),
        task_seconds=round(task_ms / 1000, 4) if task_ms else None,
        task_deviation_seconds=round(max(0.0, squares / ended - task_ms**2) ** 0.5 / 1000, 4) if ended else None,
    )
