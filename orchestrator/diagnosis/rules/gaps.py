"""What an answer has to admit: sources that are missing, data that is old or cut, and text that must not be obeyed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from orchestrator.diagnosis.rules.history import STALE_DAYS
from orchestrator.diagnosis.rules.scene import Scene
from orchestrator.i18n.languages import Language
from orchestrator.i18n.sentences import say
from orchestrator.models import Plan, SourceEnvelope, SourceFailure, SourceOutcome

_KNOWN = ("tws_status", "rag_search", "log_cache", "metrics")


def missing_evidence(
    language: Language, plan: Plan | None, envelopes: Sequence[SourceEnvelope], scenes: Sequence[Scene]
) -> tuple[str, ...]:
    """In words: each source that is missing and why, then what is missing from those that answered."""
    told = dict.fromkeys(_missing_source(language, envelope) for envelope in envelopes if _is_missing(envelope))
    reported = {envelope.key for envelope in envelopes}
    for planned in plan.sources if plan else ():
        if planned.key not in reported:
            told[_sentence(language, planned.source, say(language, "why_not_started"))] = None
    for scene in scenes:
        told |= dict.fromkeys(_gaps(scene))
    for envelope in envelopes:
        # A knowledge base always has more passages; a log or a plan that was cut may hide the cause.
        if envelope.truncated and envelope.source != "rag_search":
            told[say(language, "missing_cut", source=envelope.source, what=envelope.truncated)] = None
    return tuple(told)


def why(language: Language, failure: SourceFailure | SourceEnvelope) -> str:
    """Why a source is missing, in a few words."""
    outcome = failure.outcome or SourceOutcome.ERROR
    if outcome is SourceOutcome.ERROR:
        return say(language, "why_error", error=failure.error or failure.reason or "?")
    return say(language, f"why_{outcome.value}")


def _is_missing(envelope: SourceEnvelope) -> bool:
    # TWS without data has answered: nothing of what was asked about is in the plan, which the answer itself says.
    return not envelope.success or (envelope.outcome is SourceOutcome.NO_DATA and envelope.source != "tws_status")


def _missing_source(language: Language, envelope: SourceEnvelope) -> str:
    reason = why(language, envelope)
    return _sentence(language, envelope.source, f"{reason}; {envelope.job}" if envelope.job else reason)


def _sentence(language: Language, source: str, reason: str) -> str:
    key = f"missing_{source}" if source in _KNOWN else "missing_other"
    return say(language, key, why=reason, source=source)


def _gaps(scene: Scene) -> Iterator[str]:
    language, job, log = scene.language, scene.job, scene.log
    if job is not None and job.status in ("ABEND", "ABENP") and not scene.log_lines:
        yield say(language, "missing_job_log")
    if "tws_status" not in scene.answered and log and log.newest_age_days and log.newest_age_days >= STALE_DAYS:
        yield say(language, "missing_fresh_log", days=f"{log.newest_age_days:.0f}")
    if log and log.corrupt_keys:
        yield say(language, "missing_corrupt", keys=", ".join(log.corrupt_keys))
    if scene.tws and scene.tws.candidates:
        yield say(language, "missing_candidates", names=", ".join(scene.tws.candidates[:5]))
    if scene.metrics and scene.metrics.missing:
        yield say(language, "missing_series", names=", ".join(scene.metrics.missing[:5]))
