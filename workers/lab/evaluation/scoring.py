"""Judging an answer by its expectation: each check says what was wrong, or nothing."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from orchestrator.diagnosis.commands import risk_of
from orchestrator.diagnosis.rules.diagnose import REQUIRED_MISSING_CAP
from orchestrator.models import AnswerMode
from orchestrator.routing.language import detect_language
from workers.lab.evaluation.expectations import ALWAYS_FORBIDDEN, EXPECTATIONS, Expectation
from workers.lab.evaluation.runs import TOTAL_SECONDS, Answer

_CITATION = re.compile(r"\[([a-z][a-z0-9_]*:\d+)\]")


@dataclass(frozen=True, slots=True)
class Score:
    """An answer and what is wrong with it, by check; an empty text is a pass."""

    answer: Answer
    problems: dict[str, str]

    @property
    def passed(self) -> bool:
        """Whether every check passed."""
        return not any(self.problems.values())


def score(answer: Answer, baseline_confidence: float | None = None) -> Score:
    """Judge ``answer``; ``baseline_confidence`` is that of the same scenario with every source."""
    expected = EXPECTATIONS[answer.scenario.number]
    problems = {name: check(answer, expected) for name, check in _CHECKS.items()}
    problems["missing"] = _missing(answer, baseline_confidence)
    return Score(answer, problems)


def _category(answer: Answer, expected: Expectation) -> str:
    right = expected.categories(answer.scenario, answer.failed_source)
    found = answer.diagnosis.category
    return "" if found in right else f"category {found}, expected {' or '.join(sorted(right))}"


def _required(answer: Answer, expected: Expectation) -> str:
    wanted = [item.pattern for item in expected.required if answer.failed_source not in item.needs]
    missing = [pattern for pattern in wanted if re.search(pattern, answer.text, re.IGNORECASE) is None]
    return f"does not say {', '.join(missing)}" if missing else ""


def _forbidden(answer: Answer, expected: Expectation) -> str:
    patterns = (*ALWAYS_FORBIDDEN, *expected.forbidden)
    said = [match[0] for pattern in patterns if (match := re.search(pattern, answer.text, re.IGNORECASE))]
    return f"says {', '.join(said)}" if said else ""


def _ids(answer: Answer, _expected: Expectation) -> str:
    known = {item.id for item in answer.evidence}
    cited = [item for claim in answer.diagnosis.claims for item in claim.evidence_ids]
    cited += [item for hypothesis in answer.diagnosis.hypotheses for item in hypothesis.supports]
    cited += _CITATION.findall(answer.text)
    unknown = sorted(set(cited) - known)
    if unknown:
        return f"cites {', '.join(unknown)}"
    bare = [claim.text for claim in answer.diagnosis.claims if not claim.evidence_ids]
    return f"claims without evidence: {bare[0]}" if bare else ""


def _sources(answer: Answer, expected: Expectation) -> str:
    answered = {envelope.source for envelope in answer.envelopes if envelope.evidence}
    used = {item.partition(":")[0] for claim in answer.diagnosis.claims for item in claim.evidence_ids}
    unused = [source for source in expected.cited if source in answered and source not in used]
    return f"does not rest on {', '.join(unused)}" if unused else ""


def _language(answer: Answer, _expected: Expectation) -> str:
    written = detect_language(f"{answer.diagnosis.summary} {answer.diagnosis.root_cause}")
    asked = answer.plan.routing.language
    return "" if written is asked else f"written in {written.value}, asked in {asked.value}"


def _latency(answer: Answer, _expected: Expectation) -> str:
    """The rules' time is bounded by the run's; a model's is only reported, since the machine behind it decides."""
    limit = TOTAL_SECONDS * 1_000
    if answer.mode is AnswerMode.LLM or answer.llm or answer.latency_ms <= limit:
        return ""
    return f"took {answer.latency_ms:.0f} ms, more than {limit:.0f}"


def _proposals(answer: Answer, _expected: Expectation) -> str:
    bad = [a.text for a in answer.diagnosis.actions if risk_of(a.text, a.command) != "none" and not a.mutates]
    return f"unmarked step: {bad[0]}" if bad else ""


def _missing(answer: Answer, baseline_confidence: float | None) -> str:
    """A source that failed is named as missing, and the answer is no surer than with it."""
    failed = [envelope for envelope in answer.envelopes if not envelope.success]
    told = " ".join(answer.diagnosis.missing_evidence)
    silent = [envelope.source for envelope in failed if envelope.source not in told]
    if silent:
        return f"does not say that {', '.join(silent)} is missing"
    confidence = answer.diagnosis.confidence
    required = {planned.key for planned in answer.plan.sources if planned.required}
    if any(envelope.key in required for envelope in failed) and confidence > REQUIRED_MISSING_CAP:
        return f"confidence {confidence:.2f} without a required source"
    if baseline_confidence is not None and confidence > baseline_confidence + 1e-9:
        return f"confidence {confidence:.2f} is more than {baseline_confidence:.2f} with every source"
    return ""


_CHECKS: dict[str, Callable[[Answer, Expectation], str]] = {
    "category": _category,
    "required": _required,
    "forbidden": _forbidden,
    "ids": _ids,
    "sources": _sources,
    "language": _language,
    "latency": _latency,
    "proposals": _proposals,
}
