"""From the envelopes of a run to its answer: aggregate, diagnose, render. No I/O and no clock.

Each step has a fallback: no aggregate -> raw data; too few sources -> an error answer; no model -> the rules' answer.
"""

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Any

from orchestrator.aggregate import aggregate, all_evidence, failures, job_reports, number_evidence, outcome_of
from orchestrator.diagnosis.render import render_failure, render_markdown, render_quoted, render_raw
from orchestrator.diagnosis.rules.diagnose import examine
from orchestrator.errors import RunDamaged, SchemaMismatch, TroubleshootError
from orchestrator.i18n.languages import DEFAULT_LANGUAGE, Language
from orchestrator.i18n.message import Message
from orchestrator.logs import get_logger, log_error
from orchestrator.models import (
    AggregatedData,
    AnswerMode,
    Diagnosis,
    Evidence,
    JobGroup,
    JobReport,
    Plan,
    PlannedSource,
    RunOutcome,
    RunState,
    SourceEnvelope,
    SourceOutcome,
    TroubleshootRequest,
    read_part,
)
from orchestrator.routing.plan import WHICH_ONE, plan_request
from orchestrator.routing.stages import all_stages
from orchestrator.run.envelopes import missing_envelope, unreached_envelope
from orchestrator.sources import source_names
from orchestrator.store.keys import ORCHESTRATOR_QUEUE
from orchestrator.store.reading import read_fields
from orchestrator.store.records import RunRecord
from orchestrator.synthesis import Case

_LOGGER = get_logger(__name__)
LAST_RESORT = Message(
    "The answer to this run could not be put together from what was stored. Ask again; if it happens again, the logs "
    "of watchers and workers say why."
)
_UNREAD = {
    RunDamaged.reason: Message("what was stored could not be read"),
    SchemaMismatch.reason: Message("incompatible versions; upgrade the older processes"),
}
"""Why a source failed whose question or answer could not be read in the store, by the reason of its envelope."""
BUSY = "busy"
"""``failure`` of an answer for whose diagnosis there was no time, because too many runs were to be answered."""
FEW_JOBS = 20
"""Jobs of a run that are always examined by the rules, and during which its lease needs no renewal."""
_TOO_MANY_JOBS = Message("There was no time to examine all {count} jobs; each source's data follows as it came.")
_TOO_MANY_RUNS = Message("Too many runs had to be answered at the same time; each source's data follows as it came.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Conclusion:
    """The answer of aggregator and rules to a run; a synthesizer may refine ``draft``, when there is one."""

    record: RunRecord
    plan: Plan | None
    response: str
    """The answer without a model: Markdown in the user's language."""
    envelopes: tuple[SourceEnvelope, ...] = ()
    """One per planned source, with a stand-in for each that never reported."""
    outcome: RunOutcome = RunOutcome.FAILED
    mode: AnswerMode = AnswerMode.ERROR
    aggregated: AggregatedData = field(default_factory=AggregatedData)
    draft: Diagnosis | None = None
    jobs: tuple[JobReport, ...] = ()
    """Every job of the run, with what became of its sources, and of what the rules found."""
    groups: tuple[JobGroup, ...] = ()
    """The jobs by their causes, the worst first."""
    failure: str | None = None
    """The step that failed and its error, when one did."""

    @property
    def language(self) -> Language:
        """Language of the answer."""
        return answer_language(self.plan, self.record)

    @property
    def evidence(self) -> tuple[Evidence, ...]:
        """Everything that may be cited."""
        return all_evidence(self.envelopes)

    @property
    def shown_groups(self) -> tuple[JobGroup, ...]:
        """The groups by which the answer is told: those of several jobs."""
        return self.groups if len(self.aggregated.jobs) > 1 else ()

    @property
    def case(self) -> Case | None:
        """What a synthesizer gets, or None when there is nothing to refine."""
        if self.draft is None or self.draft.asks_back or not self.envelopes:
            return None
        return Case(
            run_id=self.record.run_id,
            request=self.record.request,
            plan=self.plan,
            envelopes=self.envelopes,
            aggregated=self.aggregated,
            draft=self.draft,
            groups=self.shown_groups,
        )

    def render(self, diagnosis: Diagnosis, mode: AnswerMode, llm: Mapping[str, Any] | None = None) -> str:
        """The answer as Markdown in the user's language; ``llm`` says how the model fared."""
        return render_markdown(
            diagnosis,
            language=self.language,
            aggregated=self.aggregated,
            evidence=self.evidence,
            mode=mode,
            llm=llm,
            groups=self.shown_groups,
        )


def warm_up() -> None:
    """Load what a first answer needs, by answering a question of its own: no run should wait for it."""
    request = TroubleshootRequest(message="Why did BATCH001 fail?")
    plan = plan_request(request, dict.fromkeys(source_names(), 0))
    log = {"windows": [{"from_line": 1, "to_line": 1, "lines": ["IEF450I BATCH001 STEP1 - ABEND=S0C7 U0000"]}]}
    data = {"job": {"name": "BATCH001", "status": "ABEND", "job_log": log}}
    envelope = SourceEnvelope(source="tws_status", outcome=SourceOutcome.OK, success=True, data=data)
    record = RunRecord.unstored("", request)
    for language in Language:
        routing = plan.routing.model_copy(update={"language": language})
        in_language = plan.model_copy(update={"routing": routing})
        conclude(replace(record, plan=in_language, envelopes={envelope.key: envelope}, received=1))


@cache
def warm_up_aside() -> threading.Thread:
    """``warm_up`` in a thread, once per process: for a process that waits for a run and may have to answer it."""

    def work() -> None:
        try:
            warm_up()
        except Exception as error:  # noqa: BLE001  # border: the answer itself says what is wrong
            log_error(_LOGGER, "warm_up_failed", error=error)

    # No daemon: a process that ends within these milliseconds waits for it, as one that is cut in pydantic aborts.
    thread = threading.Thread(target=work, name="warm-up")
    thread.start()
    return thread


def conclude(record: RunRecord, *, briefly: bool = False) -> Conclusion:
    """Aggregate and diagnose the envelopes of a run; never raises, whatever is stored.

    ``briefly``: the data of the sources as they came, in place of a diagnosis and of a plan that was never made.
    """
    if record.damage:
        _LOGGER.warning("run_damaged run_id=%s unreadable=%s", record.run_id, "; ".join(map(str, record.damage)))
    try:
        return _conclude(record, briefly=briefly)
    except Exception as error:  # noqa: BLE001  # border: whatever is stored, the run gets an answer
        log_error(_LOGGER, "conclusion_failed run_id=%s", record.run_id, error=error)
        response = LAST_RESORT.in_language(answer_language(record.plan, record))
        failure = f"conclusion: {type(error).__name__}"
        return Conclusion(record=record, plan=record.plan, response=response, failure=failure)


def _conclude(record: RunRecord, *, briefly: bool) -> Conclusion:
    plan = record.plan
    is_planned = plan is not None and (plan.sources or not record.envelopes)  # sources that were asked were planned
    if not is_planned and (record.envelopes or not briefly):
        plan = _plan_for_reporting(record)
    if plan is not None and plan.pipeline == WHICH_ONE:
        draft, mode = Diagnosis(summary=plan.reason), AnswerMode.DETERMINISTIC
        asking = Conclusion(record=record, plan=plan, response="", outcome=RunOutcome.COMPLETE, mode=mode, draft=draft)
        return replace(asking, response=asking.render(draft, mode))
    if plan is not None and not plan.sources:
        return Conclusion(record=record, plan=plan, response=render_quoted(plan.reason), failure=plan.reason)
    if plan is not None:
        plan = all_stages(plan, record.envelopes)
    language = answer_language(plan, record)
    envelopes = _all_envelopes(record, plan, language)
    outcome = _outcome(envelopes, _min_required(record, plan))
    if outcome is RunOutcome.COMPLETE and plan is not None and plan.left_out:
        outcome = RunOutcome.PARTIAL
    jobs = job_reports(envelopes, plan.jobs if plan else ())
    conclusion = Conclusion(record=record, plan=plan, response="", envelopes=envelopes, outcome=outcome, jobs=jobs)
    try:
        envelopes = number_evidence(envelopes)
        aggregated = aggregate(
            envelopes,
            plan.jobs if plan else (),
            sources=plan.sources if plan else (),
            lifetime=record.lifetime,
        )
    except Exception as error:  # noqa: BLE001  # border: whatever a source's data did to it, the user gets the data
        log_error(_LOGGER, "aggregation_failed run_id=%s", record.run_id, error=error)
        return _raw_data(conclusion, f"aggregator: {type(error).__name__}")
    conclusion = replace(conclusion, envelopes=envelopes, aggregated=aggregated)
    if outcome in (RunOutcome.FAILED, RunOutcome.TIMED_OUT):
        return _unanswered(conclusion)
    return _raw_data(conclusion, BUSY) if briefly else _diagnosed(conclusion)


def _diagnosed(conclusion: Conclusion) -> Conclusion:
    record = conclusion.record
    try:
        findings = examine(record.request, conclusion.plan, conclusion.envelopes, conclusion.aggregated)
        draft, mode = findings.diagnosis, AnswerMode.DETERMINISTIC
        found = replace(conclusion, mode=mode, draft=draft, jobs=findings.jobs, groups=findings.groups)
        return replace(found, response=found.render(draft, mode))
    except Exception as error:  # noqa: BLE001  # border: a rule that fails must not cost the user the data
        log_error(_LOGGER, "diagnosis_failed run_id=%s", record.run_id, error=error)
        return _raw_data(conclusion, f"rules: {type(error).__name__}")


def _unanswered(conclusion: Conclusion) -> Conclusion:
    """The answer when too few sources have answered."""
    response = render_failure(
        language=conclusion.language,
        failures=failures(conclusion.envelopes),
        min_sources_required=_min_required(conclusion.record, conclusion.plan),
        timed_out=conclusion.outcome is RunOutcome.TIMED_OUT,
        is_dispatched=_is_dispatched(conclusion.record),
    )
    return replace(conclusion, response=response)


def _raw_data(conclusion: Conclusion, failure: str) -> Conclusion:
    """The answer when a step of ours failed, or there was no time for it: each source's data as it came."""
    cause, jobs = None, len(conclusion.jobs)
    if failure == BUSY:
        cause = _TOO_MANY_JOBS.with_facts(count=jobs) if jobs > FEW_JOBS else _TOO_MANY_RUNS
    response = render_raw(language=conclusion.language, envelopes=conclusion.envelopes, cause=cause)
    outcome = RunOutcome.PARTIAL if conclusion.outcome is RunOutcome.COMPLETE else conclusion.outcome
    return replace(conclusion, outcome=outcome, mode=AnswerMode.RAW, response=response, failure=failure)


def answer_language(plan: Plan | None, record: RunRecord) -> Language:
    """Language of the answer: as routed, else as asked for."""
    return plan.routing.language if plan else record.request.language or DEFAULT_LANGUAGE


def _min_required(record: RunRecord, plan: Plan | None) -> int:
    """Sources that must answer: as asked for, but no more than are planned, which a note of the plan says."""
    stages = (plan.sources, *(stage.sources for stage in plan.then)) if plan else ()
    planned = {source.source for sources in stages for source in sources}
    return min(record.request.config.min_sources_required, len(planned))


def _outcome(envelopes: Sequence[SourceEnvelope], min_required: int) -> RunOutcome:
    answered = {envelope.source for envelope in envelopes if envelope.success}
    return outcome_of(envelopes, has_enough=bool(answered) and len(answered) >= min_required)


def _all_envelopes(record: RunRecord, plan: Plan | None, language: Language) -> tuple[SourceEnvelope, ...]:
    envelopes = []
    reached = None if record.plan is None else {planned.key for planned in record.plan.asked}
    for planned in plan.asked if plan else ():
        envelope = record.envelopes.get(planned.key)
        if envelope is None and reached is not None and planned.key not in reached:
            envelope = unreached_envelope(planned, language=language)
        elif envelope is None:
            started = record.started_ms.get(planned.key)
            running = None if started is None else max(0.0, (record.now_ms - started) / 1000)
            queue = planned.source if _is_dispatched(record) else ORCHESTRATOR_QUEUE
            envelope = missing_envelope(planned, language=language, running_seconds=running, queue=queue)
        elif envelope.reason in _UNREAD:
            envelope = envelope.model_copy(update={"error": _UNREAD[envelope.reason].in_language(language)})
        envelopes.append(envelope)
    return tuple(envelopes)


def _is_dispatched(record: RunRecord) -> bool:
    """Whether any source was asked; if none was, the workers of the sources are not to blame."""
    return record.state not in (RunState.ACCEPTED, RunState.DISPATCHING) or bool(record.started_ms or record.envelopes)


def _plan_for_reporting(record: RunRecord) -> Plan | None:
    """The plan of a run that has none, so that its answer names the sources that were not asked.

    Where the stored plan cannot be read, sources that have started or answered are known by their fields. A pipeline of
    the site may be known to the workers alone.
    """
    request = record.request.model_copy(update={"pipeline": None})
    try:
        plan = plan_request(request, dict.fromkeys(source_names(), 0))
    except TroubleshootError:
        return None
    keys = dict.fromkeys((*record.started_ms, *record.envelopes, *record.late))
    sources = [planned for key in keys if (planned := _planned(key, record.request)) is not None]
    names = {planned.source for planned in sources}
    return plan.model_copy(update={"sources": (*sources, *(item for item in plan.sources if item.source not in names))})


def _planned(key: str, request: TroubleshootRequest) -> PlannedSource | None:
    source, _, part = key.partition("|")
    job, batch = read_part(part or None)
    fields = {"source": source, "job": job, "batch": batch, "limit_seconds": request.config.limit_seconds(source)}
    return read_fields(PlannedSource, fields, part=key)[0]
