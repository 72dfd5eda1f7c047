"""Scaling of a slow source: what limits it, and the picture."""

from __future__ import annotations

import os
import xml.etree.ElementTree as ET
from typing import Any

import pytest

from orchestrator.i18n.languages import Language
from orchestrator.i18n.message import write
from workers.lab.bench.curve import curve_svg, limit_text
from workers.lab.bench.figures import CpuTimes, cpu_times
from workers.lab.bench.scale import Level, Round, ScaleOptions, limit_of, measured_levels

NAMESPACE = "{http://www.w3.org/2000/svg}"


def levels(*rates: float, **last: Any) -> list[Level]:
    idle = {"busy": 0.3, "others": 0.1, "processes": {"orchestrator": 0.2}, "waiting": {"orchestrator": 0.2}}
    found = [Level(2**power, [Round(runs_per_s=rate, **idle)]) for power, rate in enumerate(rates)]
    found[-1].rounds[:] = [Round(runs_per_s=rates[-1], **{**idle, **last})]
    return found


@pytest.mark.parametrize(
    ("last", "limit", "words"),
    [
        (
            {"busy": 0.97, "others": 0.4, "processes": {"orchestrator": 0.95}},
            {"reason": "processors", "busy": 0.97, "others": 0.4},
            "limit: the processors of this machine, 97% busy (40% by other processes)",
        ),
        (
            {"processes": {"orchestrator": 0.95, "redis": 0.1}},
            {"reason": "process", "name": "orchestrator", "busy": 0.95},
            "limit: the process orchestrator, whose threads share one processor, 95% busy",
        ),
        (
            {"waiting": {"synthesis": 12.34, "orchestrator": 1.0}},
            {"reason": "queue", "name": "synthesis", "waiting": 12.3},
            "limit: the queue synthesis, in which messages wait (12.3 on average)",
        ),
        ({}, {"reason": "unknown"}, "limit: not found; neither a processor nor a queue is full"),
    ],
)
def test_the_limit_is_named(last: dict[str, Any], limit: dict[str, Any], words: str) -> None:
    """What was full while the last doubling gave no more: all processors, one process, or a queue."""
    assert limit_of(levels(4.0, 8.0, 9.0, **last)) == limit
    assert write(limit_text({"limit": limit}), Language.EN) == words


def test_no_limit_while_each_doubling_is_one() -> None:
    """Then the table says so."""
    assert limit_of(levels(4.0, 7.9, 15.5, busy=1.0)) is None
    assert limit_of(levels(4.0, busy=1.0)) is None
    figures = {"limit": None, "scale": [{"workers": 16}]}
    assert write(limit_text(figures), Language.EN) == "no other limit was reached with 16 workers"


def test_a_disturbed_round_does_not_end_the_curve() -> None:
    """All numbers take turns; where the median of all rounds says that more workers give more, more are tried."""
    given = {1: [4.0, 4.0, 4.0], 2: [8.0, 8.0, 8.0], 4: [9.0, 16.0, 16.0], 8: [17.0, 30.0, 18.0], 16: [0.0]}
    order: list[int] = []

    def measure(level: Level) -> Round:
        order.append(level.workers)
        return Round(given[level.workers][len(level.rounds)], 0.5, 0.1, {}, {})

    found = measured_levels(ScaleOptions(max_workers=16, rounds=3), measure, lambda _: None)
    assert order[:6] == [1, 2, 4, 1, 2, 4]
    assert [level.workers for level in found] == [1, 2, 4, 8]
    assert [len(level.rounds) for level in found] == [3, 3, 3, 3]
    assert limit_of(found) == {"reason": "unknown"}
    order.clear()
    assert [level.workers for level in measured_levels(ScaleOptions(2, 1), measure, lambda _: None)] == [1, 2]


def test_a_level_is_the_median_of_its_rounds() -> None:
    """One round that something else disturbed does not count."""
    first, second = levels(4.0, 8.0)
    second.rounds += [Round(1.0, 1.0, 0.9, {}, {}), Round(8.2, 0.4, 0.1, {}, {})]
    assert second.record(first) == {
        "workers": 2,
        "places": 4,
        "runs_per_s": 8.0,
        "source_per_s": 8.0,
        "gain": 2.0,
        "rounds": [8.0, 1.0, 8.2],
        "busy": 0.4,
        "others": 0.1,
    }


@pytest.mark.parametrize("rates", [(4.0,), (3.9, 7.8, 15.1, 21.0)])
def test_the_curve_is_a_picture_of_the_figures(rates: tuple[float, ...]) -> None:
    """Well-formed, with a point for each number of workers, higher for more runs; texts in the reader's language."""
    found = levels(*rates, busy=0.95)
    figures = {
        "scale": [level.record(before) for before, level in zip([None, *found], found, strict=False)],
        "limit": limit_of(found),
        "source": {"name": "a<b", "seconds": 0.5, "places_per_worker": 2},
    }
    picture = ET.fromstring(curve_svg(figures, lambda text: write(text, Language.PT_BR)))
    points = [(float(item.attrib["cx"]), float(item.attrib["cy"])) for item in picture.iter(f"{NAMESPACE}circle")]
    assert len(points) == len(rates)
    assert points == sorted(points, key=lambda point: (point[0], -point[1]))
    words = [item.text or "" for item in picture.iter(f"{NAMESPACE}text")]
    assert f"{rates[-1]:.1f}".replace(".", ",") in words
    assert any("a<b" in word for word in words)
    assert any(word.startswith("limite: ") for word in words) == (len(rates) > 1)
    assert any(word.startswith("nenhum outro limite") for word in words) == (len(rates) == 1)


def test_what_this_process_computes_is_its_own() -> None:
    """The share of the machine's processors that was spent between two looks, ours and that of others."""
    before = cpu_times({"gone": 2**22 + 1})
    total = 0
    while (spent := cpu_times({}) - before).by_name["bench"] < 10:
        total += sum(range(10_000))
    assert "gone" not in spent.by_name
    assert 0 < spent.own <= spent.busy + 0.1 <= 1.2
    assert spent.processes["bench"] == pytest.approx(spent.own * (os.cpu_count() or 1))
    assert CpuTimes(0, 0, {}).busy == 0
