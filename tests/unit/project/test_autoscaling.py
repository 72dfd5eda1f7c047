"""Autoscaling under load, simulated with the shipped ScaledObject: steady, and next to no source lost."""

from __future__ import annotations

import re
from functools import cache
from math import pi, sin
from pathlib import Path
from typing import Any

import pytest
from kustomize_support import build
from scaling_support import Autoscaler, Course, Load, simulate

from orchestrator.config import ParallelConfig
from workers.standalone.layout import DEFAULT_CONCURRENCY

ROOT = Path(__file__).parents[3]
LIMIT_SECONDS = ParallelConfig().node_timeout_seconds


def _load(per_second: Any) -> Load:
    return Load(per_second, seconds=2400, task_seconds=2.0, limit_seconds=LIMIT_SECONDS)


LOADS = {
    "steady": _load(lambda second: 40),
    "step": _load(lambda second: 40 if 600 <= second < 1800 else 10),
    "ramp": _load(lambda second: 5 + 55 * min(second / 1800, 1)),
    "sine": _load(lambda second: 30 + 25 * sin(2 * pi * second / 1200)),
    "bursts": _load(lambda second: 40 if second % 600 < 60 else 15),
}


@cache
def spec() -> dict[str, Any]:
    """The ScaledObject of one source; that of the others differs in its names only."""
    items = build(ROOT / "ops" / "k8s" / "overlays" / "production")
    (found,) = (it for it in items if (it["kind"], it["metadata"]["name"]) == ("ScaledObject", "worker-tws-status"))
    return found["spec"]


@cache
def course(load: str, *, with_running: bool) -> Course:
    """One simulation, made once; by the queue's length alone, with the behaviour that Kubernetes has by default."""
    shipped = spec() if with_running else {key: value for key, value in spec().items() if key != "advanced"}
    return simulate(shipped, LOADS[load], concurrency=DEFAULT_CONCURRENCY, with_running=with_running)


@pytest.mark.parametrize("load", LOADS)
def test_next_to_no_source_is_lost(load: str) -> None:
    """With what waits and runs, fewer than 3 of 1,000 are lost under any load but a jump to four times as much."""
    lost = course(load, with_running=True).lost_share
    assert lost < (0.01 if load == "step" else 0.003)
    assert lost < course(load, with_running=False).lost_share / 10


def test_fewer_than_three_in_a_thousand_are_lost() -> None:
    """All loads together, the jump included."""
    courses = [course(load, with_running=True) for load in LOADS]
    assert sum(it.lost for it in courses) / sum(it.tasks for it in courses) < 0.003


def test_what_waits_alone_oscillates() -> None:
    """A load that stays the same: by the queue's length, workers come and go each five minutes, else they stay."""
    by_length, by_work = (course("steady", with_running=it) for it in (False, True))
    assert {1, 8} <= {count for _, count in by_length.replicas}
    assert by_length.reversals >= 8
    assert by_work.reversals == 0
    assert by_work.replicas[-1][1] - by_work.replicas[0][1] <= 1


def test_workers_are_added_before_they_are_full() -> None:
    """The target leaves places free for what comes until a further worker has started."""
    assert 0.4 <= Autoscaler(spec()).target / DEFAULT_CONCURRENCY <= 0.6


def test_workers_that_are_not_needed_go() -> None:
    """Five minutes after the load has fallen, one worker after the other goes."""
    counts = [count for when, count in course("step", with_running=True).replicas if when >= 2100]
    assert counts == sorted(counts, reverse=True)
    assert counts[-1] <= 3


def test_the_page_has_these_figures() -> None:
    """The table of the operations page is what the simulation says, up to what another mathematics library may do."""
    page = (ROOT / "docs" / "operations.md").read_text("utf-8")
    rows = re.findall(r"^\| (\w+):[^|]*\| ([\d.]+) % \| ([\d.]+) % \|$", page, re.MULTILINE)
    assert [load for load, *_ in rows] == list(LOADS)
    for load, *shares in rows:
        measured = [100 * course(load, with_running=it).lost_share for it in (False, True)]
        assert list(map(float, shares)) == pytest.approx(measured, rel=0.1, abs=0.05), load


@pytest.mark.parametrize(
    ("figure", "current", "wanted"),
    [
        (16, 1, 1),
        (17, 1, 1),  # within a tenth
        (18, 1, 2),
        (1000, 1, 5),  # four more, or twice as many
        (1000, 5, 8),  # bounded
        (0, 1, 1),
        (0, 8, 7),  # one a minute
    ],
)
def test_the_model_is_the_documented_formula(figure: int, current: int, wanted: int) -> None:
    """The autoscaler's first step from a number of replicas."""
    assert Autoscaler(spec()).replicas(0, figure, current) == wanted


def test_the_model_heeds_the_window() -> None:
    """The number falls to the most that was wanted within five minutes."""
    scaler = Autoscaler(spec())
    counts = [scaler.replicas(0, 60, 4)]
    for second in range(15, 400, 15):
        counts.append(scaler.replicas(second, 1, counts[-1]))
    assert counts[:20] == [4] * 20
    assert counts[20] == 3
    assert counts[-1] == 2
