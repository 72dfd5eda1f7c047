"""The soak finds what it looks for: growth, lost and double answers, and what explains them."""

from __future__ import annotations

import json
import random
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tests.acceptance.faults import report
from tests.acceptance.faults.soak.audit import Ending
from tests.acceptance.faults.soak.gauges import Series
from tests.acceptance.faults.soak.killer import Disturbance
from tests.acceptance.faults.soak.load import Question
from tests.acceptance.faults.soak.verdict import Judge

CUT = Disturbance("redis", "power cut", 104.0, 105.0)
FROZEN = Disturbance("redis", "freeze", 103.5, 104.5)


@pytest.mark.parametrize(("growth", "flat"), [(0.0, True), (0.02, True), (0.2, False)])
def test_growth_is_told_from_load_that_comes_and_goes(growth: float, flat: bool) -> None:
    """What grows by 20 in 100 s is not flat; bursts and one restart of a counterpart are."""
    chance = random.Random(1)
    values = [50 + growth * at + chance.choice((0, 0, 1, 8)) for at in range(100)]
    values[60:63] = [5, 6, 7]
    series = Series([(float(at), value) for at, value in enumerate(values)])
    assert series.judged((4.0, 0.1), 0.0, 100.0)["flat"] is flat


def judged(told: dict[str, Any], ending: dict[str, Any] | None, *disturbances: Disturbance, delay: float = 0.0) -> Any:
    """The verdict on a question that was asked at 100 s with 4 s to its deadline."""
    told = {
        "asked": 100.0,
        "accepted": 100.0,
        "answered": 101.0,
        "limit": 4.0,
        "digest": "a",
        "run": "r",
        "how": "x",
    } | told
    question = Question(0, "sync_result", "r", "elder", 100.0, told=told, is_accepted=True)
    end = Ending("r", 1, 101.0, 104.0, "a", "synthesis", "complete")
    endings = {} if ending is None else {"r": Ending(**(end.__dict__ | ending))}
    killer = SimpleNamespace(
        disturbances=disturbances,
        touching=lambda names, began, ended: [
            one for one in disturbances if one.name in names and one.touches(began, ended)
        ],
    )
    load = SimpleNamespace(questions={0: question}, seconds=[])
    auditor = SimpleNamespace(endings=endings, lost={})
    judge = Judge(load, killer, auditor, SimpleNamespace(between=lambda began, ended: delay))  # type: ignore[arg-type]
    return judge.judge()


STORED = {"class": "stored"}


@pytest.mark.parametrize(
    ("told", "ending", "broken"),
    [
        (STORED, {}, ""),
        (STORED, {"terminals": 2}, "twice"),
        (STORED, {"digest": "b"}, "two answers"),
        (STORED, None, "vanished"),
        (STORED, {"at": 104.5}, "stored late"),
        (STORED | {"answered": 104.5}, {}, "late"),
        ({"class": "own", "answered": 104.2}, {}, ""),
        ({"class": "forgotten", "error": "?"}, None, "forgotten"),
        ({"class": "error", "error": "KeyError"}, {}, "error"),
    ],
)
def test_each_broken_promise_is_found(told: dict[str, Any], ending: dict[str, Any] | None, broken: str) -> None:
    """On a machine that is not late, with nothing done to any process, nothing is excused."""
    verdict = judged(told, ending)
    assert [line.partition(":")[0] for line in verdict.broken] == ([broken] if broken else [])
    assert not verdict.excused


@pytest.mark.parametrize(
    ("told", "ending", "disturbances", "delay"),
    [
        (STORED | {"answered": 103.0}, {"digest": "b"}, (CUT,), 0.0),
        (STORED | {"answered": 103.5}, None, (CUT,), 0.0),
        (STORED, {"at": 104.9}, (FROZEN,), 0.0),
        (STORED | {"answered": 104.5}, {"at": 104.5}, (), 0.3),
        ({"class": "forgotten", "error": "?", "answered": 105.0}, None, (CUT,), 0.0),
    ],
)
def test_what_redis_lost_and_the_machine_delayed_is_no_broken_promise(
    told: dict[str, Any], ending: dict[str, Any] | None, disturbances: tuple[Disturbance, ...], delay: float
) -> None:
    """An answer of the second that a cut of the file lost, a Redis that was frozen at the deadline, a late machine."""
    assert judged(told, ending, *disturbances, delay=delay).broken == []


def test_an_answer_to_a_caller_that_is_late_has_no_excuse_in_redis() -> None:
    """A library's caller has its answer in time also when Redis is away."""
    assert judged({"class": "own", "answered": 104.6}, {}, FROZEN).broken


def test_the_page_has_the_figures_of_the_last_soak(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What became of the questions, what was late, and what each process held."""
    rows = [{"process": "web elder", "gauge": "rss_mb", "first": 90.1, "last": 95.5, "growth": None}]
    figures = {"runs": 10_000, "seconds": 900, "seed": 1, "lost": 0, "twice": 0, "broken": [], "beyond_grace": 3}
    figures |= {"disturbances": {"redis: kill": 7}, "classes": {"answered, stored": 9_990}, "excused": {"late": 3}}
    path = tmp_path / "figures.json"
    path.write_text(json.dumps(figures | {"gauges": rows}), "utf-8")
    monkeypatch.setattr(report, "SOAK_FIGURES", path)
    page = report.page(report.read_figures())
    assert "10,000 questions in 15 minutes, 7 disturbances (`SEED=1`): 0 lost, 0 answered twice" in page
    assert "| answered, stored | 9,990 |" in page
    assert "| web elder | rss_mb | 90.1 |  | 95.5 |  |  |" in page
