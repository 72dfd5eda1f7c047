"""Failures as job logs in the vendors' formats, each with its right values, and how answers to them are scored.

The files beside this one hold cases that the rules were mended with. Those of ``joblogs.json`` were written by others
than the rules' authors, those of ``joblogs_own.json`` afterwards, from the vendors' documents: these were measured
before they were looked at. ``eval --cases FILE`` scores others.
"""

import codecs
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from orchestrator.errors import InvalidRequest, InvalidValue
from orchestrator.i18n.message import Message
from orchestrator.validation import describe
from workers.lab.evaluation.runs import Answer
from workers.lab.simulator.plan import Run
from workers.lab.simulator.scenarios import Scenario
from workers.lab.simulator.scenarios.base import MINUTE, app_metrics, new_plan

SURE = 0.8
"""Confidence from which on an answer claims to be right."""

RIGHT, QUOTED, SURE_RIGHT = 0.85, 0.95, 0.95
"""Shares to reach: right causes, quoted lines, right ones among the sure. Nothing may mislead."""

SHIPPED = ("joblogs.json", "joblogs_own.json")
STREAM = "LOTE"
_NUMBERS_FROM = 1_000
_STATIONS = {"zos": "ZOS1", "unix": "SRVUNX1", "win": "SRVWIN1"}
_TASKS = {"zos": "//'PRD.JCL({job})'", "unix": "/opt/lote/{job}.sh", "win": r"C:\lote\{job}.bat"}


def _compiles(pattern: str) -> str:
    try:
        re.compile(pattern)
    except re.error as error:
        raise InvalidValue("no regular expression: {problem}", problem=str(error)) from error
    return pattern


Pattern = Annotated[str, AfterValidator(_compiles)]


class LogCase(BaseModel):
    """A failed job as TWS shows it, and what is right to say about it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: str = Field(pattern=r"^[A-Za-z@#$][\w@#$-]{0,39}$")
    """The job's name."""
    system: Literal["zos", "unix", "win"]
    status: str
    return_code: int | None = None
    log: tuple[str, ...] | None = None
    """None for a job without a log."""
    issues: tuple[tuple[str, str], ...] = ()
    """Type and text of what the plan reports."""
    task: str = ""
    question: str = ""
    """In place of "Por que o job ID falhou?"."""
    right_cause: str
    """In words, for people."""
    telling_line: str = Field(min_length=1)
    """A piece of the line that the answer must quote."""
    must_not_say: tuple[Annotated[str, Field(min_length=1)], ...] = ()
    accept: tuple[Pattern, ...] = Field(min_length=1)
    """Regular expressions, one of which is found in a right answer's summary or cause, in lower case."""
    reject: tuple[Pattern, ...] = ()
    """Regular expressions that show a wrong cause there."""
    note: str = ""


@dataclass(frozen=True, slots=True)
class CaseScore:
    """How an answer does on a case."""

    case: LogCase
    answer: Answer
    right: bool
    quoted: bool
    misleading: tuple[str, ...]

    @property
    def problems(self) -> tuple[Message, ...]:
        """What is wrong with the answer; nothing when it is as expected."""
        shown = "\n".join([*(self.case.log or ()), *(text for _, text in self.case.issues)])
        line = self.case.telling_line
        found: list[Message] = []
        if not self.right:
            found.append(
                Message(
                    "expected the cause “{cause}”, not “{summary}”",
                    cause=self.case.right_cause,
                    summary=self.answer.diagnosis.summary,
                )
            )
        if not self.quoted and line in shown:
            found.append(Message("not quoted: {line}", line=line))
        elif not self.quoted:
            found.append(Message("not quoted, and not in the case's log or issues: {line}", line=line))
        if self.misleading:
            found.append(Message("says what misleads: {words}", words=", ".join(self.misleading)))
        return tuple(found)

    @property
    def sure(self) -> bool:
        """Whether the answer claims to be right."""
        return self.answer.diagnosis.confidence >= SURE


def shipped_cases() -> tuple[LogCase, ...]:
    """The cases of the files that are shipped."""
    return tuple(
        case for name in SHIPPED for case in _read((files(__package__) / name).read_text(encoding="utf-8"), name)
    )


def read_cases(path: Path) -> tuple[LogCase, ...]:
    """The cases of a file. Raises InvalidRequest, naming what is wrong with it; OSError."""
    return _read(path.read_bytes().removeprefix(codecs.BOM_UTF8), str(path))


def scenario_of(case: LogCase, index: int, now: datetime | None = None) -> Scenario:
    """A plan in which the job of ``case`` failed half an hour ago, and the question about it."""
    at = now or datetime.now(UTC)
    station = _STATIONS[case.system]
    plan = new_plan(at, STREAM, station)
    ran = case.log is not None or case.status == "ABEND"
    runs = [Run(at - 30 * MINUTE, 3 * MINUTE, case.status, case.return_code, case.log)] if ran else []
    task = case.task or _TASKS[case.system].format(job=case.id)
    job = plan.add_job(case.id, STREAM, station, status=case.status, runs=runs, task=task)
    for kind, text in case.issues:
        plan.add_issue(job, kind, text)
    return Scenario(
        number=_NUMBERS_FROM + index,
        name=case.id,
        title=case.right_cause,
        question=case.question or f"Por que o job {case.id} falhou?",
        job_name=None,
        category="",
        plan=plan,
        metrics_text=app_metrics(),
    )


def score_case(case: LogCase, answer: Answer) -> CaseScore:
    """Compare an answer with the case's right values."""
    cause = _in_one_line(f"{answer.diagnosis.summary} {answer.diagnosis.root_cause}").lower()
    return CaseScore(
        case=case,
        answer=answer,
        right=_any(case.accept, cause) and not _any(case.reject, cause),
        quoted=_in_one_line(case.telling_line) in _in_one_line(answer.text),
        misleading=tuple(words for words in case.must_not_say if words in answer.text),
    )


def figures(scores: Sequence[CaseScore]) -> dict[str, int]:
    """The counts of one platform, or of all."""
    sure = [item for item in scores if item.sure]
    return {
        "cases": len(scores),
        "right": sum(item.right for item in scores),
        "quoted": sum(item.quoted for item in scores),
        "misleading": sum(bool(item.misleading) for item in scores),
        "sure": len(sure),
        "sure_right": sum(item.right for item in sure),
    }


def by_platform(scores: Sequence[CaseScore]) -> dict[str, dict[str, int]]:
    """The figures of each platform, then of all."""
    systems = dict.fromkeys(item.case.system for item in scores)
    return {system: figures([item for item in scores if item.case.system == system]) for system in systems} | {
        "all": figures(scores)
    }


def calibration(scores: Sequence[CaseScore]) -> dict[str, dict[str, int]]:
    """Answers and right ones by tenths of their confidence: ``{"0.8-0.9": {"answers": 12, "right": 11}}``."""
    table: dict[str, dict[str, int]] = {}
    for tenth in range(10):
        inside = [item for item in scores if min(9, int(item.answer.diagnosis.confidence * 10)) == tenth]
        if inside:
            right = sum(item.right for item in inside)
            table[f"{tenth / 10:.1f}-{(tenth + 1) / 10:.1f}"] = {"answers": len(inside), "right": right}
    return table


def reached(scores: Sequence[CaseScore]) -> bool:
    """Whether all four figures are reached; without cases they are."""
    total = figures(scores)
    return (
        total["right"] >= RIGHT * total["cases"]
        and total["quoted"] >= QUOTED * total["cases"]
        and total["misleading"] == 0
        and total["sure_right"] >= SURE_RIGHT * total["sure"]
    )


def lines(scores: Sequence[CaseScore]) -> Iterable[Message]:
    """The figures and the calibration for people."""
    for system, counts in by_platform(scores).items():
        yield Message(
            "{system}: {right} of {cases} causes right, {quoted} lines quoted, {misleading} misleading; "
            "{sure_right} of {sure} sure answers right",
        ).with_facts(system=system, **counts)
    for interval, counts in calibration(scores).items():
        yield Message("confidence {interval}: {right} of {answers} right").with_facts(interval=interval, **counts)


def as_json(scores: Sequence[CaseScore]) -> dict[str, Any]:
    """The figures, the calibration and what is wrong with each case."""
    return {
        "passed": reached(scores),
        "platforms": by_platform(scores),
        "calibration": calibration(scores),
        "cases": [
            {
                "case": item.case.id,
                "system": item.case.system,
                "category": item.answer.diagnosis.category,
                "confidence": item.answer.diagnosis.confidence,
                "right": item.right,
                "quoted": item.quoted,
                "misleading": list(item.misleading),
                "summary": item.answer.diagnosis.summary,
            }
            for item in scores
        ],
    }


def _in_one_line(text: str) -> str:
    """Without the blanks that an answer folds when it quotes a line."""
    return " ".join(text.split())


def _any(patterns: Iterable[str], text: str) -> bool:
    return any(re.search(pattern, text) for pattern in patterns)


def _read(text: str | bytes, name: str) -> tuple[LogCase, ...]:
    try:
        return _CASES.validate_json(text)
    except ValidationError as error:
        raise InvalidRequest("{name}: {problem}", name=name, problem=describe(error)) from error


_CASES: TypeAdapter[tuple[LogCase, ...]] = TypeAdapter(Annotated[tuple[LogCase, ...], Field(min_length=1)])
