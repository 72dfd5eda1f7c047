"""The benchmark's figures."""

from __future__ import annotations

import os

import pytest

from workers.lab.bench.figures import machine, percentiles, rss_mb
from workers.lab.bench.scenarios import SCENARIOS
from workers.lab.bench.subjects import Timed, gather, in_sequence


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([7.0], (7.0, 7.0, 7.0)),
        ([float(n) for n in range(1, 101)], (50.0, 95.0, 99.0)),
        ([4.0, 1.0, 3.0, 2.0], (2.0, 4.0, 4.0)),
    ],
)
def test_percentiles_are_nearest_rank(values: list[float], expected: tuple[float, float, float]) -> None:
    """Each percentile is a measured value: the smallest that so many are not above."""
    assert tuple(percentiles(values).values()) == expected


def test_no_values_have_no_percentiles() -> None:
    """An empty measurement is an error, not a zero."""
    with pytest.raises(ValueError, match="no values"):
        percentiles([])


def test_memory_is_read_of_living_processes_only() -> None:
    """This process has some; one that does not exist has none."""
    mine = rss_mb(os.getpid())
    assert mine is not None
    assert mine > 5
    assert rss_mb(2**22 + 1) is None


def test_the_overhead_leaves_the_slowest_source_out() -> None:
    """Overhead is the whole time less the slowest source's."""
    assert Timed(total_ms=520, slowest_ms=501).overhead_ms == 19


def test_the_scenarios_are_those_of_the_resync_app() -> None:
    """By the time in sequence, the time of the slowest source, and their ratio."""
    seconds = {scenario.name: list(scenario.sleeps.values()) for scenario in SCENARIOS}
    table = {name: (round(sum(each), 3), max(each), round(sum(each) / max(each), 1)) for name, each in seconds.items()}
    assert table == {
        "best": (0.6, 0.2, 3.0),
        "typical": (0.9, 0.5, 1.8),
        "one_slow": (1.5, 0.8, 1.9),
        "with_failures": (1.2, 0.5, 2.4),
    }


def test_gather_takes_the_slowest_and_the_sequence_the_sum() -> None:
    """The comparisons do what their names say."""
    sleeps = {"a": 0.05, "b": 0.02}
    timed = gather(sleeps)
    assert 50 <= timed.slowest_ms <= timed.total_ms
    assert in_sequence(sleeps) >= 70


def test_the_machine_names_its_versions() -> None:
    """The figures say what they were taken on."""
    facts = machine()
    assert {"cores", "python", "celery", "kombu", "redis_py", "load_average_1m"} <= set(facts)
