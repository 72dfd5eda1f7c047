"""Scores an answer against its expectation; each check returns a problem or None."""

import re
from collections.abc import Callable
from dataclasses import dataclass

from orchestrator.diagnosis.commands import risk_of
from orchestrator.diagnosis.rules.diagnose import REQUIRED_MISSING_CAP
from orchestrator.i18n.message import Message
from orchestrator.models import AnswerMode
from orchestrator.routing.language import detect_language
from workers.lab.evaluation.expectations import ALWAYS_FORBIDDEN, EXPECTATIONS, Expectation
from workers.lab.evaluation.runs import TOTAL_SECONDS, Answer

_CITATION = re.compile(r"\[([a-z][a-z0-9_]*:\d+)\]")


@dataclass(frozen=True, slots=True)
class Score:
    """An answer and its problems by check; None is a pass."""

    answer: Answer
    problems: dict[str, Message | None]

    @property
    def passed(self) -> bool:
        """Whether every check passed."""
        return not any(self.problems.values())


def score(answer: Answer, baseline_confidence: float | None = None) -> Score:
    """Score ``answer``; ``baseline_confidence`` is that of the same scenario with all sources."""
    expected = EXPECTATIONS[answer.scenario.number]
    problems = {name: check(answer, expected) for name, check in _CHECKS.items()}
    problems["missing"] = _missing(answer, baseline_confidence)
    return Score(answer, problems)


def _category(answer: Answer, expected: Expectation) -> Message | None:
    right = expected.categories(answer.scenario, answer.failed_source)
    category = answer.diagnosis.category
    if category in right:
        return None
    return Message("category {category}, expected {expected}", category=category, expected=" | ".join(sorted(right)))


def _required(answer: Answer, expected: Expectation) -> Message | None:
    patterns = [item.pattern for item in expected.required if answer.failed_source not in item.needs]
    missing = [pattern for pattern in patterns if re.search(pattern, answer.text, re.IGNORECASE) is None]
    return Message("does not say {patterns}", patterns=", ".join(missing)) if missing else None


def _forbidden(answer: Answer, expected: Expectation) -> Message | None:
    patterns = (*ALWAYS_FORBIDDEN, *expected.forbidden)
    matches = [match[0] for pattern in patterns if (match := re.search(pattern, answer.text, re.IGNORECASE))]
    return Message("says {texts}", texts=", ".join(matches)) if matches else None


def _ids(answer: Answer, _expected: Expectation) -> Message | None:
    known = {item.id for item in answer.evidence}
    cited = [item for claim in answer.diagnosis.claims for item in claim.evidence_ids]
    cited += [item for hypothesis in answer.diagnosis.hypotheses for item in hypothesis.supports]
    cited += _CITATION.findall(answer.text)
    unknown = sorted(set(cited) - known)
    if unknown:
        return Message("cites {ids}", ids=", ".join(unknown))
    bare = [claim.text for claim in answer.diagnosis.claims if not claim.evidence_ids]
    return Message("claims without evidence: {claim}", claim=bare[0]) if bare else None


def _sources(answer: Answer, expected: Expectation) -> Message | None:
    answered = {envelope.source for envelope in answer.envelopes if envelope.evidence}
    used = {item.partition(":")[0] for claim in answer.diagnosis.claims for item in claim.evidence_ids}
    unused = [source for source in expected.cited if source in answered and source not in used]
    return Message("does not rest on {sources}", sources=", ".join(unused)) if unused else None


def _language(answer: Answer, _expected: Expectation) -> Message | None:
    written = detect_language(f"{answer.diagnosis.summary} {answer.diagnosis.root_cause}")
    expected = answer.plan.routing.language
    if written is expected:
        return None
    return Message("written in {written}, asked in {expected}", written=written.value, expected=expected.value)


def _latency(answer: Answer, _expected: Expectation) -> Message | None:
    """The rules must answer within the run's time; a model's latency depends on its server and is only reported."""
    limit = TOTAL_SECONDS * 1_000
    if answer.mode is AnswerMode.LLM or answer.llm or answer.latency_ms <= limit:
        return None
    return Message("took {latency_ms:.0f} ms, more than {limit:.0f}", latency_ms=answer.latency_ms, limit=limit)


def _proposals(answer: Answer, _expected: Expectation) -> Message | None:
    bad = [a.text for a in answer.diagnosis.actions if risk_of(a.text, a.command) != "none" and not a.mutates]
    return Message("unmarked step: {step}", step=bad[0]) if bad else None


def _missing(answer: Answer, baseline_confidence: float | None) -> Message | None:
    """A failed source must be named as missing, and the confidence must not exceed that with all sources."""
    failed = [envelope for envelope in answer.envelopes if not envelope.success]
    missing = " ".join(answer.diagnosis.missing_evidence)
    silent = [envelope.source for envelope in failed if envelope.source not in missing]
    if silent:
        return Message("does not say that {sources} is missing", sources=", ".join(silent))
    confidence = answer.diagnosis.confidence
    required = answer.plan.required_keys
    if any(envelope.key in required for envelope in failed) and confidence > REQUIRED_MISSING_CAP:
        return Message("confidence {confidence:.2f} without a required source", confidence=confidence)
    if baseline_confidence is not None and confidence > baseline_confidence + 1e-9:
        return Message(
            "confidence {confidence:.2f} is more than {baseline:.2f} with every source",
            confidence=confidence,
            baseline=baseline_confidence,
        )
    return None


_CHECKS: dict[str, Callable[[Answer, Expectation], Message | None]] = {
    "category": _category,
    "required": _required,
    "forbidden": _forbidden,
    "ids": _ids,
    "sources": _sources,
    "language": _language,
    "latency": _latency,
    "proposals": _proposals,
}
