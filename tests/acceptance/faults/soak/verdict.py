"""What was promised, and which runs of a soak broke it."""

from __future__ import annotations

import statistics
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from tests.acceptance.faults.fault import GRACE_SECONDS
from tests.acceptance.faults.soak.audit import Auditor
from tests.acceptance.faults.soak.delays import Delays
from tests.acceptance.faults.soak.killer import LOST_SECONDS, Disturbance, Killer
from tests.acceptance.faults.soak.load import Load, Question

CUT_SLACK_SECONDS = 1.5
"""Redis writes its file out once a second, and a second later when the disk is busy."""
WEBS = ("web",)


@dataclass
class Verdict:
    """Counts by class, and the promises that were broken."""

    classes: Counter[str] = field(default_factory=Counter)
    broken: list[str] = field(default_factory=list)
    excused: Counter[str] = field(default_factory=Counter)
    late_ms: list[float] = field(default_factory=list)
    beyond_grace: int = 0
    """Callers that were answered more than ``GRACE_SECONDS`` late, excused or not."""
    latest: list[tuple[float, str]] = field(default_factory=list)
    outcomes: Counter[str] = field(default_factory=Counter)
    finishers: Counter[str] = field(default_factory=Counter)


class Judge:
    """Compares what callers were told with what the store holds, beside what was done to the processes."""

    def __init__(self, load: Load, killer: Killer, auditor: Auditor, delays: Delays) -> None:
        self._load, self._killer, self._auditor, self._delays = load, killer, auditor, delays
        self.verdict = Verdict()

    def judge(self) -> Verdict:
        questions = list(self._load.questions.values())
        for question in questions:
            self._caller(question)
        for told in self._load.seconds:
            self._second_reader(told)
        self._store()
        return self.verdict

    def _break(self, what: str, question: Question | dict[str, Any], detail: str) -> None:
        told = question.told if isinstance(question, Question) else question
        run = question.run if isinstance(question, Question) else told["run"]
        how = question.how if isinstance(question, Question) else told["how"]
        self.verdict.broken.append(f"{what}: run {run} ({how}): {detail}")

    def _caller(self, question: Question) -> None:
        told, counts = question.told, self.verdict.classes
        if not told:
            if question.died is not None:
                counts["caller died"] += 1
                return
            counts["silent"] += 1
            self._break("no answer", question, f"{question.client} told nothing")
            return
        kind = told["class"]
        if kind == "refused" and not question.is_accepted:
            counts[f"refused: {told['error']}"] += 1
            return
        counts[{"stored": "answered, stored", "own": "answered by the caller itself"}.get(kind, kind)] += 1
        if kind in ("forgotten", "not_found"):  # the latter by a server that did not take the question itself
            if not self._was_cut(told["asked"], told["answered"]):
                self._break(kind, question, told["error"])
            return
        if kind not in ("stored", "own"):
            self._break(kind, question, told["error"])
            return
        self.verdict.outcomes[str(told.get("outcome"))] += 1
        self._in_time(question)
        if kind == "stored":
            self._same_answer(question.run, told)

    def _in_time(self, question: Question) -> None:
        told = question.told
        is_web = question.how.startswith("http")
        deadline = told.get("accepted", told["asked"]) + told["limit"]
        late = told["answered"] - deadline
        if late <= 0:
            return
        self.verdict.late_ms.append(late * 1000)
        if late <= GRACE_SECONDS:
            return
        self.verdict.beyond_grace += 1
        detail = f"{late * 1000:.0f} ms after the deadline ({told['class']})"
        self.verdict.latest.append((late, f"{question.how}: {detail}{self._what_was(told['asked'], told['answered'])}"))
        allowed = GRACE_SECONDS + self._delays.between(deadline - 1.0, told["answered"])
        detail += f", {allowed * 1000:.0f} ms allowed"
        if late <= allowed:
            self.verdict.excused["late by no more than the machine"] += 1
        elif self._killer.touching((question.client,), told["asked"], told["answered"]):
            self.verdict.excused["late because its own process was frozen"] += 1
        elif is_web and self._killer.touching((*WEBS, "redis"), told["asked"], told["answered"]):
            self.verdict.excused["late over HTTP because the web server or Redis was down"] += 1
        else:
            self._break("late", question, detail + self._what_was(told["asked"], told["answered"]))

    def _second_reader(self, told: dict[str, Any]) -> None:
        kind = told["class"]
        self.verdict.classes[f"second reader: {kind}"] += 1
        redis = self._killer.touching(("redis",), told["asked"] - 1.0, told["answered"])
        question = self._load.questions[told["n"]]
        asked = question.asked
        if kind == "not_found" and question.told and question.told["class"] == "own":
            self.verdict.excused["second reader of a run that its caller answered without Redis"] += 1
        elif kind in ("forgotten", "not_found") and self._was_cut(asked, told["answered"]):
            self.verdict.excused["second reader of a run that Redis lost"] += 1
        elif kind == "stored":
            self._same_answer(told["run"], told)
        elif kind in ("unreachable", "own") and redis:
            self.verdict.excused[f"second reader without Redis: {kind}"] += 1
        elif kind != "own":
            self._break(f"second reader: {kind}", told, told.get("error", ""))

    def _same_answer(self, run: str, told: dict[str, Any]) -> None:
        ending = self._auditor.endings.get(run)
        if ending is not None and ending.digest == told["digest"]:
            return
        if self._was_cut(told["answered"] - 1.0, told["answered"] + LOST_SECONDS + CUT_SLACK_SECONDS):
            self.verdict.excused["answer in a second that Redis lost"] += 1
        elif ending is None:
            self._break("vanished", told, "its caller was told that it is stored")
        else:
            self._break("two answers", told, f"the store has another one, {ending.outcome} by {ending.by}")

    def _store(self) -> None:
        for ending in self._auditor.endings.values():
            self.verdict.finishers[ending.by] += 1
            if ending.terminals != 1:
                self.verdict.broken.append(f"twice: run {ending.run} has {ending.terminals} terminal events")
            late = ending.at - ending.deadline
            if late <= GRACE_SECONDS:
                continue
            allowed = GRACE_SECONDS + self._delays.between(ending.deadline - 1.0, ending.at)
            if late <= allowed:
                self.verdict.excused["stored late by no more than the machine"] += 1
            elif self._killer.touching(("redis",), ending.deadline - 1.5, ending.at):
                self.verdict.excused["stored late because Redis was down"] += 1
            else:
                self.verdict.broken.append(
                    f"stored late: run {ending.run}: {late * 1000:.0f} ms after its deadline, "
                    f"{allowed * 1000:.0f} allowed (by {ending.by})" + self._what_was(ending.deadline - 2, ending.at)
                )
        self.verdict.broken += [f"lost: run {run}: {state}" for run, state in self._auditor.lost.items()]

    def _was_cut(self, began: float, ended: float) -> bool:
        """Whether Redis lost what was written in that span of time."""
        return any(
            one.what == "power cut" and one.began - LOST_SECONDS - CUT_SLACK_SECONDS <= ended and began <= one.ended
            for one in self._killer.disturbances
            if one.name == "redis"
        )

    def _what_was(self, began: float, ended: float) -> str:
        """What was done to processes meanwhile, for whoever looks for the reason."""
        found: list[Disturbance] = [one for one in self._killer.disturbances if one.touches(began, ended)]
        words = ", ".join(f"{one.name} {one.what} {one.began - began:+.1f}..{one.ended - began:+.1f}" for one in found)
        return f"; meanwhile: {words or 'nothing'}"


def percentiles(values: list[float]) -> dict[str, float]:
    if not values:
        return {}
    ordered = sorted(values)
    return {
        "p50": round(statistics.median(ordered), 1),
        "p99": round(ordered[int(0.99 * (len(ordered) - 1))], 1),
        "max": round(ordered[-1], 1),
    }
