"""The evaluation's result: counts, verdict, table and JSON."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

from orchestrator.models import AnswerMode
from workers.lab.evaluation.scoring import Score

VARIANTS_TO_PASS = 0.9
"""Share of the single-source-failure variants that has to pass; of the scenarios, all have to."""


@dataclass(frozen=True, slots=True)
class EvaluationReport:
    """Scores of the rules, and of the model when it was asked."""

    deterministic: tuple[Score, ...]
    llm: tuple[Score, ...] = ()

    @property
    def passed(self) -> bool:
        """Whether the rules pass: every scenario, and ``VARIANTS_TO_PASS`` of the variants."""
        scenarios, variants = _split(self.deterministic)
        enough = not variants or _passed(variants) >= VARIANTS_TO_PASS * len(variants)
        return bool(self.deterministic) and _passed(scenarios) == len(scenarios) and enough

    def as_json(self) -> dict[str, Any]:
        """Everything, for programs."""
        return {
            "passed": self.passed,
            "deterministic": _summary(self.deterministic),
            "llm": _summary(self.llm) | _llm_summary(self.llm) if self.llm else None,
            "runs": [_run(item, "deterministic") for item in self.deterministic]
            + [_run(item, "llm") for item in self.llm],
        }

    def table(self) -> list[str]:
        """Lines for people: one a run, then the counts."""
        lines = []
        for title, scores in (("deterministic", self.deterministic), ("llm", self.llm)):
            if not scores:
                continue
            lines += [title, f"  {'run':<14} {'':<4} {'category':<22} {'conf':>5} {'ms':>7}  problems"]
            lines += [f"  {_line(item)}" for item in scores]
            lines += [f"  {line}" for line in _counts(scores)]
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
    told = [item.answer.llm for item in scores]
    costs = [figures["cost"] for figures in told if figures.get("cost") is not None]
    return {
        "answered": sum(item.answer.mode is AnswerMode.LLM for item in scores),
        "prompt_tokens": sum(figures.get("prompt_tokens", 0) for figures in told),
        "completion_tokens": sum(figures.get("completion_tokens", 0) for figures in told),
        "cost": round(sum(costs), 6) if costs else None,
        "claims_dropped": sum(figures.get("check", {}).get("claims_dropped", 0) for figures in told),
    }


def _run(item: Score, asked: str) -> dict[str, Any]:
    answer = item.answer
    return {
        "run": answer.variant,
        "asked": asked,
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
        "problems": [problem for problem in item.problems.values() if problem],
        "llm": answer.llm or None,
    }


def _line(item: Score) -> str:
    answer = item.answer
    verdict = "ok" if item.passed else "FAIL"
    problems = "; ".join(problem for problem in item.problems.values() if problem)
    figures = f"{answer.diagnosis.confidence:>5.2f} {answer.latency_ms:>7.0f}"
    return f"{answer.variant:<14} {verdict:<4} {answer.diagnosis.category:<22} {figures}  {problems}".rstrip()


def _counts(scores: Sequence[Score]) -> list[str]:
    figures = _summary(scores)
    lines = [
        f"{name}: {figures[name]['passed']} of {figures[name]['total']} pass" for name in ("scenarios", "variants")
    ]
    lines.append(f"latency: median {figures['latency_ms']['median']:.0f} ms, max {figures['latency_ms']['max']:.0f} ms")
    if any(item.answer.llm for item in scores):
        told = _llm_summary(scores)
        cost = "" if told["cost"] is None else f", cost {told['cost']:g}"
        lines.append(
            f"model: {told['answered']} of {len(scores)} answered, {told['prompt_tokens']} + "
            f"{told['completion_tokens']} tokens{cost}, {told['claims_dropped']} claims dropped"
        )
    return lines
