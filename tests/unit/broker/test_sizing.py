"""The advised number of workers, beside a simulation of the queue."""

from __future__ import annotations

import heapq
import math
import random
import statistics
from collections.abc import Callable
from itertools import accumulate

import pytest

from orchestrator.broker.sizing import UTILISATION, mean_wait, size_queue
from orchestrator.store.load import QueueLoad


def a_load(per_second: float, seconds: float | None, *, waiting: int = 0, deviation: float | None = None) -> QueueLoad:
    return QueueLoad("q", waiting, 0, 0.0, per_second, 0.0, per_second, seconds, deviation)


def simulate(
    places: int, per_second: float, task: Callable[[random.Random], float], *, waiting: int = 0, tasks: int = 40_000
) -> list[float]:
    """The waits of the tasks of a first-come, first-served queue with random arrivals and ``waiting`` at the start."""
    chance = random.Random(f"{places} {per_second}")
    free = [0.0] * places
    waits = []
    arrivals = accumulate(chance.expovariate(per_second) for _ in range(tasks))
    for at in (*[0.0] * waiting, *arrivals):
        begin = max(at, heapq.heappop(free))
        waits.append(begin - at)
        heapq.heappush(free, begin + task(chance))
    return waits


def exponential(mean: float) -> Callable[[random.Random], float]:
    return lambda chance: chance.expovariate(1 / mean)


LOADS = [
    # Arrivals a second, seconds a task, target wait in seconds.
    (0.5, 2.0, 1.0),
    (2.0, 2.0, 1.0),
    (1.0, 5.0, 1.0),
    (5.0, 1.0, 0.1),
    (20.0, 0.5, 0.02),
    (8.0, 0.3, 0.05),
]


@pytest.mark.parametrize(("per_second", "seconds", "target"), LOADS)
def test_the_advised_places_keep_the_target_and_one_fewer_do_not(
    per_second: float, seconds: float, target: float
) -> None:
    """Random arrivals and times: the mean wait is below the target; with one place fewer it is above."""
    sizing = size_queue(a_load(per_second, seconds, deviation=seconds), 1, target_wait_seconds=target)
    assert sizing is not None
    assert sizing.workers == sizing.places
    wait = statistics.fmean(simulate(sizing.places, per_second, exponential(seconds)))
    assert wait < 1.1 * target
    assert wait == pytest.approx(sizing.wait_seconds, rel=0.25, abs=0.005)
    if (sizing.places - 1) * UTILISATION >= sizing.places_in_use:
        assert statistics.fmean(simulate(sizing.places - 1, per_second, exponential(seconds))) > 0.9 * target


@pytest.mark.parametrize("per_second", [3.0, 12.0])
def test_sources_that_are_fast_or_time_out_need_more(per_second: float) -> None:
    """Of times that differ much, the mean alone would promise too much; the deviation is a part of the formula."""

    def task(chance: random.Random) -> float:
        return 5.0 if chance.random() < 0.1 else 0.1

    mean, deviation = 0.59, math.sqrt(0.1 * 5.0**2 + 0.9 * 0.1**2 - 0.59**2)
    sizing = size_queue(a_load(per_second, mean, deviation=deviation), 1, target_wait_seconds=0.5)
    assert sizing is not None
    assert statistics.fmean(simulate(sizing.places, per_second, task, tasks=100_000)) < 1.1 * 0.5
    plain = size_queue(a_load(per_second, mean), 1, target_wait_seconds=0.5)
    assert plain is not None
    assert statistics.fmean(simulate(plain.places, per_second, task, tasks=100_000)) > 0.5


def test_times_that_differ_little_keep_the_target_too() -> None:
    """A source that always takes as long: the formula for random times is a bound."""
    sizing = size_queue(a_load(2.0, 2.0, deviation=0.0), 1, target_wait_seconds=1.0)
    assert sizing is not None
    assert statistics.fmean(simulate(sizing.places, 2.0, lambda _: 2.0)) < 1.0


def test_a_backlog_is_worked_off_within_some_minutes() -> None:
    """Three hundred tasks that wait need more than the arrivals do, until they are gone."""
    sizing = size_queue(a_load(5.0, 1.0, waiting=300), 1, target_wait_seconds=1.0)
    plain = size_queue(a_load(5.0, 1.0), 1, target_wait_seconds=1.0)
    assert sizing is not None
    assert plain is not None
    assert sizing.places > plain.places
    waits = simulate(sizing.places, 5.0, exponential(1.0), waiting=300)
    assert statistics.fmean(waits[300 + 60 * 5 :]) < 1.0
    # What waits at the target anyway is no backlog.
    assert size_queue(a_load(5.0, 1.0, waiting=5), 1, target_wait_seconds=1.0) == plain


def test_workers_of_other_concurrency() -> None:
    """Places become workers by what a worker has; where that is not known, so is the number of workers."""
    sizes = {places: size_queue(a_load(20, 0.5), places, target_wait_seconds=0.1) for places in (1, 4, 8, 32, None)}
    places = {sizing.places for sizing in sizes.values() if sizing}
    assert len(places) == 1
    (needed,) = places
    assert {key: sizing and sizing.workers for key, sizing in sizes.items()} == {
        1: needed,
        4: math.ceil(needed / 4),
        8: math.ceil(needed / 8),
        32: 1,
        None: None,
    }


@pytest.mark.parametrize(
    ("load", "workers"),
    [
        (a_load(0, None), 1),
        (a_load(0, 2.0), 1),
        (a_load(3, None), None),
        (a_load(0, None, waiting=3), None),
        (a_load(1e-3, 1e-4), 1),
    ],
)
def test_queues_of_which_little_is_known(load: QueueLoad, workers: int | None) -> None:
    """One worker for a queue to which nothing comes; no number where no task has been done yet."""
    sizing = size_queue(load, 4, target_wait_seconds=1.0)
    assert (sizing and sizing.workers) == workers


def test_more_arrivals_than_places_never_end() -> None:
    """The wait has no bound, and a load that nobody can carry is told by a large number."""
    assert mean_wait(4, 4, 1.0) == math.inf
    assert mean_wait(1, 0, 1.0) == mean_wait(1, 5, 0) == 0
    sizing = size_queue(a_load(1e9, 100), 32, target_wait_seconds=1.0)
    assert sizing is not None
    assert sizing.places >= 9_000
    assert sizing.wait_seconds < 1
