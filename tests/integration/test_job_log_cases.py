"""Job logs of known cause, asked as an operator asks: the cause, the line that tells it, and nothing that misleads."""

from __future__ import annotations

import asyncio
import json
import os
import re
from importlib.resources import files
from pathlib import Path

import pytest

from orchestrator.errors import InvalidRequest
from workers.lab.evaluation.cases import (
    CaseScore,
    by_platform,
    calibration,
    figures,
    reached,
    read_cases,
    score_case,
    shipped_cases,
)
from workers.lab.evaluation.evaluate import evaluate
from workers.lab.simulator.counterparts import scenario_environ
from workers.standalone.system import system

pytestmark = pytest.mark.timeout(600)
"""All cases are asked for the first test: a minute, several on a busy machine."""

CASES = shipped_cases()
GIVEN = {case.id for case in read_cases(Path(str(files("workers.lab.evaluation") / "joblogs.json")))}


@pytest.fixture(scope="module")
def scores() -> dict[str, CaseScore]:
    """The score of every case, by its job's name."""

    with system(scenario_environ(os.environ), redis_url=None, say=lambda _line: None) as parts:
        environ = parts.environ | {"XDG_CACHE_HOME": str(parts.directory / "cache")}
        report = asyncio.run(evaluate((), environ, cases=CASES))
    return {item.case.id: item for item in report.cases}


@pytest.mark.parametrize("job", sorted(GIVEN))
def test_the_answer_gives_the_cause_and_quotes_its_line(scores: dict[str, CaseScore], job: str) -> None:
    """The cause is right, the telling line stands in the answer, and no word that would mislead."""
    score = scores[job]
    assert score.right, score.answer.diagnosis.summary
    assert score.quoted, score.answer.text
    assert score.misleading == ()


def test_the_figures_of_all_cases_are_reached(scores: dict[str, CaseScore]) -> None:
    """Right causes, quoted lines, misleading answers and right ones among the sure are as asked, on every platform."""
    scored = list(scores.values())
    assert reached(scored), by_platform(scored)
    for counts in by_platform(scored).values():
        assert counts["right"] >= 0.85 * counts["cases"]
        assert counts["misleading"] == 0


def test_a_sure_answer_is_more_often_right_than_an_unsure_one(scores: dict[str, CaseScore]) -> None:
    """Confidence orders the answers."""
    scored = list(scores.values())
    counts, unsure = figures(scored), [item for item in scored if not item.sure]
    assert counts["sure_right"] / counts["sure"] >= sum(item.right for item in unsure) / len(unsure)
    assert sum(row["answers"] for row in calibration(scored).values()) == len(scored)


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("{}", "must be a list"),
        ("[]", "at least 1 item"),
        ('[{"id": "A"}]', "0.system"),
        ("[", "JSON"),
        (json.dumps([{"id": "A", "system": "vms"}]), "0.system"),
    ],
)
def test_a_wrong_file_is_refused_with_what_is_wrong(tmp_path: Path, text: str, named: str) -> None:
    """The error names the file and the field."""
    path = tmp_path / "cases.json"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(InvalidRequest) as caught:
        read_cases(path)
    assert str(path) in str(caught.value)
    assert named in str(caught.value)


@pytest.mark.parametrize(
    "change",
    [
        {"accept": ["("]},
        {"reject": ["["]},
        {"accept": []},
        {"telling_line": ""},
        {"must_not_say": [""]},
        {"id": "two words"},
        {"system": "vms"},
        {"unknown": 1},
    ],
)
def test_a_case_that_cannot_be_scored_is_refused(tmp_path: Path, change: dict[str, object]) -> None:
    """A broken pattern, an empty line that every answer quotes, a name that no job has: named before anything runs."""
    case = {
        "id": "X1",
        "system": "unix",
        "status": "ABEND",
        "right_cause": "x",
        "telling_line": "ORA",
        "accept": ["ora"],
    }
    path = tmp_path / "cases.json"
    path.write_text(json.dumps([case]), encoding="utf-8-sig")
    assert len(read_cases(path)) == 1
    path.write_text(json.dumps([case | change]), encoding="utf-8")
    with pytest.raises(InvalidRequest, match=next(iter(change))):
        read_cases(path)


def test_a_list_with_a_wrong_case_is_not_called_too_short(tmp_path: Path) -> None:
    """Only what is wrong is named."""
    path = tmp_path / "cases.json"
    path.write_text('[{"id": "A1", "system": "unix", "status": "ABEND", "right_cause": "x", "accept": ["("]}]')
    with pytest.raises(InvalidRequest) as caught:
        read_cases(path)
    assert "accept.0: no regular expression" in str(caught.value)
    assert "telling_line" in str(caught.value)
    assert "at least" not in str(caught.value)


def test_what_is_wrong_with_an_answer_is_said(scores: dict[str, CaseScore]) -> None:
    """The cause that was expected, the line that is not quoted or not in the case at all, the words that mislead."""
    score = next(item for item in scores.values() if item.right and item.quoted and item.case.log)
    case, answer = score.case, score.answer
    assert score.problems == ()
    elsewhere = case.model_copy(update={"telling_line": "ZZZ9999E", "accept": ("zzz",), "must_not_say": ("job",)})
    said = [str(problem) for problem in score_case(elsewhere, answer).problems]
    assert [text.partition(" ")[0] for text in said] == ["expected", "not", "says"]
    assert case.right_cause in said[0]
    assert "not in the case's log" in said[1]
    unquoted = case.model_copy(update={"log": (*(case.log or ()), "ZZZ9999E"), "telling_line": "ZZZ9999E"})
    assert [str(problem) for problem in score_case(unquoted, answer).problems] == ["not quoted: ZZZ9999E"]


@pytest.mark.parametrize("content", [b"", b"[]", b"{}", b"not json", b"\xff\xfe\x00"])
def test_a_file_without_cases_is_refused(tmp_path: Path, content: bytes) -> None:
    """What is no list of cases, or an empty one, passes no evaluation."""
    path = tmp_path / "cases.json"
    path.write_bytes(content)
    with pytest.raises(InvalidRequest, match=re.escape(str(path))):
        read_cases(path)
