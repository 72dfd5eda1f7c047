"""How many workers a queue needs for a target wait: Little's law and Erlang's C formula.

Arrivals a second times seconds a task are the places in use (Little's law). Of places of which so many are in use,
Erlang's C formula gives the mean time for which a task waits, for arrivals and times at random (M/M/c). Times that
differ more than that, as where some are fast and some time out, make the wait longer by (1 + v) / 2, where v is their
squared coefficient of variation (Allen and Cunneen); times that differ less make it shorter, which is not counted on.
"""

import math
from dataclasses import dataclass

from orchestrator.store.load import WINDOW_SECONDS, QueueLoad

UTILISATION = 0.9
"""Largest share of the places to be in use: arrivals are known by the count of a minute, which varies."""
MAX_PLACES = 10_000
"""A load for more is told as one for so many."""


@dataclass(frozen=True, slots=True)
class Sizing:
    """The workers that a queue needs, and what that follows from."""

    demand_per_second: float
    """Tasks a second: what arrives, with what was turned away, and a sixtieth of what waits beyond the target."""
    task_seconds: float
    places_in_use: float
    """Their product."""
    places: int
    """Smallest number with which the mean wait is within the target."""
    wait_seconds: float
    """Mean wait with so many."""
    workers: int | None
    """Workers with so many places together; None where it is not known how many places a worker has."""


def mean_wait(places: int, per_second: float, seconds: float, deviation: float = 0.0) -> float:
    """Mean seconds for which a task waits, where tasks of ``seconds`` on average come at random; infinite where more
    come than the places can do.
    """
    in_use = per_second * seconds
    if in_use >= places:
        return math.inf
    blocked = 1.0
    for count in range(1, places + 1):
        blocked = in_use * blocked / (count + in_use * blocked)  # Erlang's B formula
    waits = blocked / (1 - in_use / places * (1 - blocked))
    variation = (deviation / seconds) ** 2 if seconds else 0.0
    return waits * seconds / (places - in_use) * max(1.0, (1 + variation) / 2)


def size_queue(load: QueueLoad, places_per_worker: float | None, *, target_wait_seconds: float) -> Sizing | None:
    """The workers for a queue; None where it is not known how long its tasks take, although there are some.

    A queue to which nothing comes needs one worker.
    """
    surplus = load.waiting - load.arrivals_per_second * target_wait_seconds
    demand = load.arrivals_per_second + max(0.0, surplus) / WINDOW_SECONDS
    if load.task_seconds is None and demand:
        return None
    seconds, deviation = load.task_seconds or 0.0, load.task_deviation_seconds or 0.0
    if demand * seconds > MAX_PLACES * UTILISATION:
        demand = MAX_PLACES * UTILISATION / seconds
    in_use = demand * seconds
    places = max(1, math.ceil(in_use / UTILISATION))
    while places < MAX_PLACES and mean_wait(places, demand, seconds, deviation) > target_wait_seconds:
        places += 1
    return Sizing(
        demand_per_second=round(demand, 3),
        task_seconds=seconds,
        places_in_use=round(in_use, 2),
        places=places,
        wait_seconds=round(mean_wait(places, demand, seconds, deviation), 3),
        workers=math.ceil(places / places_per_worker) if places_per_worker else 1 if places == 1 else None,
    )
