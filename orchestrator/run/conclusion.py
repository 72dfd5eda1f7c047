"""From a frozen run to its report: pure, but for the clock of the caller.

Each step has a way down: no aggregate -> raw data, too few sources -> an error answer, no model -> the rules' answer.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

from orchestrator.aggregate import aggregate, number_evidence
from orchestrator.diagnosis.render import render_failure, render_markdown, render_raw
from orchestrator.diagnosis.rules.diagnose import diagnose
from orchestrator.errors import RunDamaged, SchemaMismatch, TroubleshootError
from orchestrator.i18n.languages import Language
from orchestrator.i18n.message import Message, Text, join
from orchestrator.logs import log_error
from orchestrator.models import (
    AggregatedData,
    AnswerMode,
    Diagnosis,
    Evidence,
    Plan,
    PlannedSource,
    RunOutcome,
    SourceEnvelope,
    SourceFailure,
    SourceOutcome,
    TroubleshootRequest,
)
from orchestrator.routing.plan import plan_request
from orchestrator.run.envelopes import stand_in
from orchestrator.sources import source_names
from orchestrator.store.reading import PLAN, REPORT, REQUEST, Damage
from orchestrator.store.records import RunRecord
from orchestrator.synthesis import Case

_LOGGER = logging.getLogger(__name__)
UNREADABLE = "unreadable"
"""What could not be read, in a report's metadata."""
LAST_RESORT = Message(
    "The answer to this run could not be put together from what was stored. Ask again; if it happens again, the logs "
    "of watchers and workers say why."
)
_PARTS = {REQUEST: Message("the question"), PLAN: Message("the plan"), REPORT: Message("the stored answer")}
_UNREAD = {
    RunDamaged.reason: Message("what was stored could not be read"),
    SchemaMismatch.reason: Message("incompatible versions; upgrade the older processes"),
}
"""What is said of a source whose question or answer could not be read in the store."""
_NO_ANSWER = frozenset({SourceOutcome.TIMEOUT, SourceOutcome.NOT_STARTED, SourceOutcome.LOST})


@dataclass(frozen=True, slots=True)
class Conclusion:
    """What the rules and the aggregator made of a run; the model may refine ``draft``."""

    record: RunRecord
    plan: Plan | None
    envelopes: tuple[SourceEnvelope, ...]
    outcome: RunOutcome
    mode: AnswerMode
    response: str
    aggregated: AggregatedData
    draft: Diagnosis | None
    failure: str | None = None

    @property
    def language(self) -> Language:
        """Language of the answer."""
        return answer_language(self.plan, self.record)

    @property
    def evidence(self) -> tuple[Evidence, ...]:
        """Everything that may be cited."""
        return _evidence_of(self.envelopes)

    @property
    def case(self) -> Case | None:
        """What a synthesizer gets, or None when there is nothing to refine."""
        if self.draft is None:
            return None
        return Case(
            run_id=self.record.run_id,
            request=self.record.request,
            plan=self.plan,
            envelopes=self.envelopes,
            aggregated=self.aggregated,
            draft=self.draft,
        )

    def render(self, diagnosis: Diagnosis, mode: AnswerMode) -> str:
        """The answer as Markdown in the user's language."""
        return render_markdown(
            diagnosis, language=self.language, aggregated=self.aggregated, evidence=self.evidence, mode=mode
        )


def conclude(record: RunRecord) -> Conclusion:
    """Aggregate and diagnose what a run holds; never raises for what is stored."""
    if record.damage:
        _LOGGER.warning("run_damaged run_id=%s unreadable=%s", record.run_id, "; ".join(map(str, record.damage)))
    try:
        return _conclude(record)
    except Exception as error:  # noqa: BLE001  # border: whatever is stored, the run gets an answer
        log_error(_LOGGER, "conclusion_failed run_id=%s", record.run_id, error=error)
        reason = f"conclusion: {type(error).__name__}"
        text = LAST_RESORT.in_language(answer_language(record.plan, record))
        return Conclusion(
            record, record.plan, (), RunOutcome.FAILED, AnswerMode.ERROR, text, AggregatedData(), None, reason
        )


def _conclude(record: RunRecord) -> Conclusion:
    plan = record.plan or _plan_for_reporting(record)
    language = answer_language(plan, record)
    envelopes = _all_envelopes(record, plan, language)
    min_required = record.request.config.min_sources_required
    outcome = _outcome(envelopes, min_required)
    if plan is not None and not plan.sources:
        nobody = AggregatedData()
        return Conclusion(record, plan, (), RunOutcome.FAILED, AnswerMode.ERROR, plan.reason, nobody, None, plan.reason)
    try:
        envelopes = number_evidence(envelopes)
        aggregated = aggregate(envelopes, plan.jobs if plan else ())
    except Exception as error:  # noqa: BLE001  # border: whatever a source's data did to it, the user gets the data
        log_error(_LOGGER, "aggregation_failed run_id=%s", record.run_id, error=error)
        return Conclusion(
            record=record,
            plan=plan,
            envelopes=envelopes,
            outcome=outcome,
            mode=AnswerMode.RAW,
            response=render_raw(language=language, envelopes=envelopes),
            aggregated=AggregatedData(),
            draft=None,
            failure=f"aggregator: {type(error).__name__}",
        )
    if outcome in (RunOutcome.FAILED, RunOutcome.TIMED_OUT):
        response = render_failure(
            language=language,
            failures=failures(envelopes),
            min_sources_required=min_required,
            timed_out=outcome is RunOutcome.TIMED_OUT,
        )
        return Conclusion(record, plan, envelopes, outcome, AnswerMode.ERROR, response, aggregated, None)
    try:
        draft = diagnose(record.request, plan, envelopes, aggregated)
        response = render_markdown(
            draft,
            language=language,
            aggregated=aggregated,
            evidence=_evidence_of(envelopes),
            mode=AnswerMode.DETERMINISTIC,
        )
    except Exception as error:  # noqa: BLE001  # border: a rule that fails must not cost the user the data
        log_error(_LOGGER, "diagnosis_failed run_id=%s", record.run_id, error=error)
        response = render_raw(language=language, envelopes=envelopes)
        reason = f"rules: {type(error).__name__}"
        return Conclusion(record, plan, envelopes, outcome, AnswerMode.RAW, response, aggregated, None, reason)
    return Conclusion(record, plan, envelopes, outcome, AnswerMode.DETERMINISTIC, response, aggregated, draft)


def run_figures(data: AggregatedData, *, queried: Collection[str], successful: Collection[str]) -> dict[str, Any]:
    """The figures of a run that the Resync app reads in every answer's metadata."""
    return {
        "parallel_execution": True,
        "sources_queried": len(queried),
        "sources_successful": len(successful),
        "speedup_factor": data.speedup_factor,
        "parallel_latency_ms": data.parallel_latency_ms,
        "sequential_equivalent_ms": data.sequential_equivalent_ms,
    }


def failures(envelopes: Sequence[SourceEnvelope]) -> tuple[SourceFailure, ...]:
    """One entry per source that did not answer."""
    return tuple(
        SourceFailure(
            source=envelope.source,
            error=envelope.error or envelope.outcome.value,
            outcome=envelope.outcome,
            reason=envelope.reason,
            job=envelope.job,
        )
        for envelope in envelopes
        if not envelope.success
    )


def with_damage(response: str, language: Language, damage: Sequence[Damage]) -> str:
    """The answer, which says what of its run could not be read."""
    if not damage:
        return response
    parts = join(dict.fromkeys(_named(item) for item in damage), ", ")
    sentence = Message(
        "A part of what was stored of this run could not be read and is missing from this answer: {parts}.", parts=parts
    )
    return f"{response.rstrip()}\n\n{sentence.in_language(language)}\n"


def _named(damage: Damage) -> Text | str:
    name = _PARTS.get(damage.part, damage.part)
    return join((name, f"(`{damage.field}`)")) if damage.field else name


def answer_language(plan: Plan | None, record: RunRecord) -> Language:
    """Language of the answer: as routed, else as asked for."""
    return plan.routing.language if plan else record.request.language or Language.PT_BR


def _evidence_of(envelopes: Sequence[SourceEnvelope]) -> tuple[Evidence, ...]:
    return tuple(item for envelope in envelopes for item in envelope.evidence)


def _outcome(envelopes: Sequence[SourceEnvelope], min_required: int) -> RunOutcome:
    answered = {envelope.source for envelope in envelopes if envelope.success}
    if len(answered) < min_required or not answered:
        silent = all(envelope.outcome in _NO_ANSWER for envelope in envelopes if not envelope.success)
        return RunOutcome.TIMED_OUT if silent and not answered else RunOutcome.FAILED
    return RunOutcome.COMPLETE if all(envelope.success for envelope in envelopes) else RunOutcome.PARTIAL


def _all_envelopes(record: RunRecord, plan: Plan | None, language: Language) -> tuple[SourceEnvelope, ...]:
    found = []
    for planned in plan.sources if plan else ():
        envelope = record.envelopes.get(planned.key)
        if envelope is None:
            started = record.started_ms.get(planned.key)
            running = None if started is None else max(0.0, (record.now_ms - started) / 1000)
            envelope = stand_in(planned, language=language, running_seconds=running)
        elif envelope.reason in _UNREAD:
            envelope = envelope.model_copy(update={"error": _UNREAD[envelope.reason].in_language(language)})
        found.append(envelope)
    return tuple(found)


def _plan_for_reporting(record: RunRecord) -> Plan | None:
    """A run that nobody dispatched still names the sources that were not asked.

    Where its plan cannot be read, those that have started or answered are known by their fields.
    """
    try:
        plan = plan_request(record.request, dict.fromkeys(source_names(), False))
    except TroubleshootError:
        return None
    asked = dict.fromkeys((*record.started_ms, *record.envelopes, *record.late))
    sources = [_planned(key, record.request) for key in asked]
    names = {planned.source for planned in sources}
    return plan.model_copy(update={"sources": (*sources, *(item for item in plan.sources if item.source not in names))})


def _planned(key: str, request: TroubleshootRequest) -> PlannedSource:
    source, _, job = key.partition("|")
    return PlannedSource(source=source, job=job or None, limit_seconds=request.config.limit_seconds(source))
