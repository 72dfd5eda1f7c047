"""The report of an evaluation: verdict, totals, table and JSON."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

from orchestrator.i18n.languages import Language
from orchestrator.i18n.message import Message
from orchestrator.models import AnswerMode
from workers.lab.evaluation import cases
from workers.lab.evaluation.cases import CaseScore
from workers.lab.evaluation.scoring import Score

VARIANTS_TO_PASS = 0.9
"""Share of the variants with one failed source that must pass; all scenarios must."""


@dataclass(frozen=True, slots=True)
class EvaluationReport:
    """Scores of the rules and, if evaluated, of the model."""

    deterministic: tuple[Score, ...]
    llm: tuple[Score, ...] = ()
    cases: tuple[CaseScore, ...] = ()

    @property
    def passed(self) -> bool:
        """Whether the rules pass: every scenario, ``VARIANTS_TO_PASS`` of the variants, the figures of the cases."""
        scenarios, variants = _split(self.deterministic)
        enough = not variants or _passed(variants) >= VARIANTS_TO_PASS * len(variants)
        some = bool(self.deterministic or self.cases)
        return some and _passed(scenarios) == len(scenarios) and enough and cases.reached(self.cases)

    def as_json(self) -> dict[str, Any]:
        """The whole report, with problems in English."""
        return {
            "passed": self.passed,
            "deterministic": _summary(self.deterministic),
            "llm": _summary(self.llm) | _llm_summary(self.llm) if self.llm else None,
            "runs": [_run(item, "deterministic") for item in self.deterministic]
            + [_run(item, "llm") for item in self.llm],
            "cases": cases.as_json(self.cases) if self.cases else None,
        }

    def table(self, language: Language) -> list[str]:
        """Lines for people: one per run, then the totals."""
        lines = []
        for title, scores in (("deterministic", self.deterministic), ("llm", self.llm)):
            if not scores:
                continue
            category, problems = (
                message.in_language(language) for message in (Message("category"), Message("problems"))
            )
            lines += [title, f"  {'run':<14} {'':<4} {category:<22} {'conf':>5} {'ms':>7}  {problems}"]
            lines += [f"  {_line(item, language)}" for item in scores]
            lines += [f"  {line.in_language(language)}" for line in _totals(scores)]
        if self.cases:
            lines.append(Message("job logs").in_language(language))
            lines += [f"  {line.in_language(language)}" for line in cases.lines(self.cases)]
        lines.append("PASS" if self.passed else "FAIL")
        return lines


def _split(scores: Sequence[Score]) -> tuple[list[Score], list[Score]]:
    whole = [item for item in scores if item.answer.failed_source is None]
    return whole, [item for item in scores if item.answer.failed_source is not None]


def _passed(scores: Iterable[Score]) -> int:
    return sum(item.passed for item in scores)


def _summary(scores: Sequence[Score]) -> dict[str, Any]:
    scenarios, variants = _split(scores)
    latencies = [item.answer.latency_ms for item in scores] or [0.0]
    return {
        "scenarios": {"passed": _passed(scenarios), "total": len(scenarios)},
        "variants": {"passed": _passed(variants), "total": len(variants)},
        "latency_ms": {"median": round(median(latencies), 1), "max": max(latencies)},
    }


def _llm_summary(scores: Sequence[Score]) -> dict[str, Any]:
    runs = [item.answer.llm for item in scores]
    costs = [figures["cost"] for figures in runs if figures.get("cost") is not None]
    return {
        "answered": sum(item.answer.mode is AnswerMode.LLM for item in scores),
        "prompt_tokens": sum(figures.get("prompt_tokens", 0) for figures in runs),
        "completion_tokens": sum(figures.get("completion_tokens", 0) for figures in runs),
        "cost": round(sum(costs), 6) if costs else None,
        "claims_dropped": sum(figures.get("check", {}).get("claims_dropped", 0) for figures in runs),
    }


def _run(item: Score, by: str) -> dict[str, Any]:
    answer = item.answer
    return {
        "run": answer.variant,
        "asked": by,
        "scenario": answer.scenario.number,
        "name": answer.scenario.name,
        "failed_source": answer.failed_source,
        "mode": answer.mode.value,
        "passed": item.passed,
        "category": answer.diagnosis.category,
        "expected_category": answer.scenario.category,
        "confidence": answer.diagnosis.confidence,
        "latency_ms": answer.latency_ms,
        "checks": {name: not problem for name, problem in item.problems.items()},
        "problems": [str(problem) for problem in item.problems.values() if problem],
        "llm": answer.llm or None,
    }


def _line(item: Score, language: Language) -> str:
    answer = item.answer
    verdict = "ok" if item.passed else "FAIL"
    problems = "; ".join(problem.in_language(language) for problem in item.problems.values() if problem)
    figures = f"{answer.diagnosis.confidence:>5.2f} {answer.latency_ms:>7.0f}"
    return f"{answer.variant:<14} {verdict:<4} {answer.diagnosis.category:<22} {figures}  {problems}".rstrip()


def _totals(scores: Sequence[Score]) -> list[Message]:
    summary = _summary(scores)
    lines = [
        Message("scenarios: {passed} of {total} pass", **summary["scenarios"]),
        Message("variants: {passed} of {total} pass", **summary["variants"]),
        Message("latency: median {median:.0f} ms, max {max:.0f} ms", **summary["latency_ms"]),
    ]
    if any(item.answer.llm for item in scores):
        figures = _llm_summary(scores)
        cost = figures["cost"]
        lines.append(
            Message(
                "model: {answered} of {total} answered, {prompt_tokens} + {completion_tokens} tokens{cost}, "
                "{claims_dropped} claims dropped",
                **{**figures, "cost": "" if cost is None else Message(", cost {cost:g}", cost=cost)},
                total=len(scores),
            )
        )
    return lines
