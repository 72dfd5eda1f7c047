"""The report of a run: committed, of a closed or cancelled run, or made by a client whose store went away."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from orchestrator.aggregate import aggregate, failures, job_reports
from orchestrator.diagnosis.render import render_note
from orchestrator.errors import RunDamaged, SchemaMismatch, StoreUnreachable
from orchestrator.i18n.languages import Language
from orchestrator.i18n.message import Message, Quoted, Text, join
from orchestrator.logs import get_logger, log_error
from orchestrator.models import (
    UNREADABLE,
    AggregatedData,
    AnswerMode,
    Diagnosis,
    Report,
    RunOutcome,
    RunState,
    SourceEnvelope,
    SourceFailure,
)
from orchestrator.routing.plan import REFUSED
from orchestrator.run.conclusion import BUSY, LAST_RESORT, Conclusion, answer_language, conclude
from orchestrator.run.envelopes import not_read_envelope
from orchestrator.store.reading import PLAN, REPORT, REQUEST, Damage
from orchestrator.store.records import MAX_DAMAGE, Outline, RunRecord

_LOGGER = get_logger(__name__)
RUN = "run"
"""``source`` of the error of a run that asked no source."""
_PARTS = {REQUEST: Message("the question"), PLAN: Message("the plan"), REPORT: Message("the stored answer")}
_CANCELLED = Message("The run was cancelled.")
NO_STORE = "no_store"
"""Reason of an answer that is not stored because its caller asked for one without a store."""
NOT_STORED = Message("This answer was not stored: Redis does not answer, or has lost the run.")
_UNREACHABLE = Message(
    "Redis stopped answering during the run; this answer was not stored and may be incomplete. Ask again when the "
    "service is back."
)
_ANOTHER_SCHEMA = Message(
    "This run was stored by a version that cannot be read here: upgrade the older processes and ask again."
)
_NO_TIME = Message(
    "Too many runs had to be answered at the same time, and there was no time to write an answer to this one. What the "
    "sources answered is in its results; ask again."
)
_LAST_RESORTS = {SchemaMismatch.reason: _ANOTHER_SCHEMA, BUSY: _NO_TIME}
"""What a last resort says, by its reason."""


def make_report(
    conclusion: Conclusion,
    *,
    by: str,
    total_latency_ms: float,
    refined: Diagnosis | None = None,
    llm: Mapping[str, Any] | None = None,
) -> Report:
    """The report to commit in the name of ``by``; with ``refined``, the model's diagnosis is the answer.

    A diagnosis of a model that cannot be written gives way to that of the rules.
    """
    record, plan, envelopes = conclusion.record, conclusion.plan, conclusion.envelopes
    mode = conclusion.mode if refined is None else AnswerMode.LLM
    response = conclusion.response
    diagnosis = refined or conclusion.draft
    if diagnosis is not None and (refined or llm):
        try:
            response = conclusion.render(diagnosis, mode, llm)
        except Exception as error:  # border: whatever a synthesizer wrote, the rules have an answer
            if refined is None:
                raise
            log_error(_LOGGER, "synthesis_not_rendered run_id=%s", record.run_id, error=error)
            failed = {**(llm or {}), "failed": type(error).__name__}
            return make_report(conclusion, by=by, total_latency_ms=total_latency_ms, llm=failed)
    metadata: dict[str, Any] = {
        "mode": mode.value,
        "pipeline": plan.pipeline if plan else None,
        "notes": list(plan.notes)
        if plan
        else [note.in_language(conclusion.language) for note in record.request.config.notes],
    }
    if record.request.rerun_of is not None:
        metadata["rerun_of"] = record.request.rerun_of
    if llm:
        metadata["llm"] = dict(llm)
    if conclusion.failure is not None:
        metadata["failure"] = conclusion.failure
    if record.damage:
        metadata[UNREADABLE] = [str(damage) for damage in record.damage]
    missing: tuple[SourceFailure, ...] = ()
    if conclusion.failure is not None and not envelopes:
        is_refused = plan is not None and plan.pipeline == REFUSED
        why = plan.reason if plan is not None and not plan.sources else response.strip()
        missing = (SourceFailure(source=RUN, error=why, reason=REFUSED if is_refused else None),)
    return _report(
        record.run_id,
        envelopes,
        conclusion.aggregated,
        queried={envelope.source for envelope in envelopes},
        missing=missing,
        metadata=metadata,
        outcome=conclusion.outcome,
        mode=mode,
        response=_with_damage(response, conclusion.language, record.damage),
        diagnosis=diagnosis,
        jobs=conclusion.jobs,
        groups=conclusion.groups,
        routing=plan.routing if plan else None,
        evidence=conclusion.evidence,
        total_latency_ms=round(total_latency_ms, 1),
        committed_by=by,
        attempt=record.attempt,
        reason=conclusion.failure,
    )


def stored_report(record: RunRecord) -> Report:
    """The report of a closed run, as far as it can be read; its response names what could not.

    The report of a cancelled run, and one that cannot be read at all, is made from the sources' envelopes.
    """
    if record.state is RunState.CANCELLED:
        return cancelled_report(record)
    report = record.report
    if report is None:
        report = make_report(conclude(record), by=record.committed_by, total_latency_ms=_open_ms(record))
        return report.model_copy(update={"outcome": record.outcome or report.outcome, "reason": RunDamaged.reason})
    known = report.metadata.get(UNREADABLE)
    reported = list(map(str, known)) if isinstance(known, list) else []
    damage = [item for item in record.damage if str(item) not in reported][: max(0, MAX_DAMAGE - len(reported))]
    if not damage:
        return report
    language = report.routing.language if report.routing else answer_language(record.plan, record)
    return report.model_copy(
        update={
            "response": _with_damage(report.response, language, damage),
            "metadata": {**report.metadata, UNREADABLE: [*reported, *map(str, damage)]},
        }
    )


def last_resort_report(run_id: str, outline: Outline, *, by: str, reason: str) -> Report:
    """The report of a run whose deadline has come and of which nothing but its ``outline`` is read."""
    text = _LAST_RESORTS.get(reason, LAST_RESORT)
    return _report(
        run_id,
        (),
        AggregatedData(),
        outcome=RunOutcome.FAILED,
        mode=AnswerMode.ERROR,
        response=text.in_language(outline.language),
        total_latency_ms=outline.open_ms,
        committed_by=by,
        reason=reason,
    )


def cancelled_report(record: RunRecord) -> Report:
    """The report of a cancelled run: the sources that had answered, those that had not, and no diagnosis."""
    language = answer_language(record.plan, record)
    response = _CANCELLED.in_language(language)
    envelopes = tuple(record.envelopes.values())
    planned = record.plan.asked if record.plan else ()
    jobs = record.plan.jobs if record.plan else ()
    missing = tuple(
        SourceFailure(source=item.source, job=item.job, error=response, reason="cancelled")
        for item in planned
        if item.key not in record.envelopes
    )
    unfinished = {failure.job for failure in missing}
    return _report(
        record.run_id,
        envelopes,
        aggregate(envelopes, jobs, sources=record.plan.sources if record.plan else (), lifetime=record.lifetime),
        queried={item.source for item in planned},
        missing=missing,
        jobs=tuple(
            item.model_copy(update={"outcome": RunOutcome.CANCELLED}) if unfinished & {item.job, None} else item
            for item in job_reports(envelopes, jobs)
        ),
        outcome=RunOutcome.CANCELLED,
        mode=AnswerMode.ERROR,
        response=_with_damage(response, language, record.damage),
        routing=record.plan.routing if record.plan else None,
        total_latency_ms=_open_ms(record),
        reason="cancelled",
    )


def unreachable_report(record: RunRecord, *, elapsed_ms: float = 0.0, not_asked: Text | None = None) -> Report:
    """The answer of the rules for a caller whose store is gone: to what it has read of the run.

    ``elapsed_ms`` is the time since the run was submitted. ``not_asked`` says why the sources that are missing were not
    asked by the caller itself.
    """
    plan, language = record.plan, answer_language(record.plan, record)
    if plan is None:
        # Nothing to conclude; to plan now would cost a process that never did a part of its grace.
        report = _report(
            record.run_id,
            (),
            AggregatedData(),
            outcome=RunOutcome.TIMED_OUT,
            mode=AnswerMode.ERROR,
            response="",
            total_latency_ms=elapsed_ms,
            committed_by="client",
        )
    else:
        missing = (planned for planned in plan.asked if planned.key not in record.envelopes)
        stand_ins = {item.key: not_read_envelope(item, language=language, why=not_asked) for item in missing}
        conclusion = conclude(replace(record, envelopes={**record.envelopes, **stand_ins}))
        report = make_report(conclusion, by="client", total_latency_ms=elapsed_ms)
    notes = (NOT_STORED,) if report.outcome is RunOutcome.COMPLETE else (_UNREACHABLE, not_asked)
    return uncommitted(report.model_copy(update={"reason": None}), language, *notes)


def uncommitted(
    report: Report, language: Language, *notes: Text | None, reason: str = StoreUnreachable.reason
) -> Report:
    """The report of an answer that is not stored, which ``notes`` say at its end; ``reason`` unless it has its own."""
    note = render_note(join(note for note in notes if note is not None), language)
    response = "\n\n".join(filter(None, (report.response.rstrip(), note)))
    return report.model_copy(update={"committed": False, "reason": report.reason or reason, "response": response})


def _report(
    run_id: str,
    envelopes: tuple[SourceEnvelope, ...],
    aggregated: AggregatedData,
    *,
    queried: Collection[str] = (),
    missing: Iterable[SourceFailure] = (),
    metadata: dict[str, Any] | None = None,
    **fields: Any,
) -> Report:
    """A report with what all of them share: data, failures, and the figures that the Resync app reads in metadata.

    ``queried`` are the names of the planned sources, ``missing`` the failures of those without an envelope.
    """
    return Report(
        run_id=run_id,
        aggregated_data=aggregated,
        parallel_results=envelopes,
        errors=(*failures(envelopes), *missing),
        parallel_latency_ms=aggregated.parallel_latency_ms,
        metadata=figures_of(envelopes, aggregated, queried=queried) | (metadata or {}),
        **fields,
    )


def figures_of(
    envelopes: Sequence[SourceEnvelope], aggregated: AggregatedData, *, queried: Collection[str]
) -> dict[str, Any]:
    """The figures of a run that the Resync app reads in ``metadata``; ``queried`` are the names of its sources."""
    return {
        "parallel_execution": True,
        "sources_queried": len(queried),
        "sources_successful": len({envelope.source for envelope in envelopes if envelope.success}),
        "speedup_factor": aggregated.speedup_factor,
        "parallel_latency_ms": aggregated.parallel_latency_ms,
        "sequential_equivalent_ms": aggregated.sequential_equivalent_ms,
    }


def _open_ms(record: RunRecord) -> float:
    """Milliseconds from the submit to the end of a closed run."""
    return 0.0 if record.closed_ms is None else float(record.closed_ms - record.created_ms)


def _with_damage(response: str, language: Language, damage: Sequence[Damage]) -> str:
    """``response`` with a sentence that names the parts of the run that could not be read."""
    if not damage:
        return response
    parts = join(dict.fromkeys(_part(item) for item in damage), ", ")
    sentence = Message(
        "A part of what was stored of this run could not be read and is missing from this answer: {parts}.", parts=parts
    )
    return f"{response.rstrip()}\n\n{render_note(sentence, language)}\n"


def _part(damage: Damage) -> Text | str:
    name = _PARTS.get(damage.part, damage.part)
    return join((name, join(("(", Quoted(damage.field), ")"), ""))) if damage.field else name
