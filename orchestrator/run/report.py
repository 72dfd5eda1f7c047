"""Reports that no finisher wrote: of a cancelled run, and of one whose store went away."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from orchestrator.aggregate import aggregate
from orchestrator.errors import RunDamaged, SchemaMismatch
from orchestrator.i18n.languages import DEFAULT_LANGUAGE, Language
from orchestrator.i18n.message import Message
from orchestrator.models import (
    AggregatedData,
    AnswerMode,
    Diagnosis,
    Event,
    EventType,
    PlannedSource,
    Report,
    RunOutcome,
    RunState,
    SourceEnvelope,
    SourceFailure,
    SourceOutcome,
    read_enum,
)
from orchestrator.run.conclusion import (
    LAST_RESORT,
    UNREADABLE,
    Conclusion,
    answer_language,
    conclude,
    failures,
    run_figures,
    with_damage,
)
from orchestrator.store.reading import read_fields
from orchestrator.store.records import RunRecord

_CANCELLED = {
    Language.PT_BR: "A consulta foi cancelada.",
    Language.EN: "The run was cancelled.",
    Language.ES: "La consulta fue cancelada.",
}
_UNREACHABLE = {
    Language.PT_BR: "O Redis parou de responder durante a consulta; esta resposta não foi gravada e pode estar "
    "incompleta. Pergunte de novo quando o serviço voltar.",
    Language.EN: "Redis stopped answering during the run; this answer was not stored and may be incomplete. "
    "Ask again when the service is back.",
    Language.ES: "Redis dejó de responder durante la consulta; esta respuesta no se guardó y puede estar incompleta. "
    "Pregunte de nuevo cuando el servicio vuelva.",
}
_ANOTHER_SCHEMA = Message(
    "This run was stored by a version that cannot be read here: upgrade the older processes and ask again."
)


def stored_report(record: RunRecord) -> Report:
    """The report of a closed run, whatever can be read of it.

    That of a cancelled run, and one that cannot be read, is made from what the sources answered. What is missing from
    it, the report says.
    """
    if record.state is RunState.CANCELLED:
        return cancelled_report(record)
    report = record.report
    if report is None:
        total_ms = 0.0 if record.closed_ms is None else float(record.closed_ms - record.created_ms)
        made = make_report(conclude(record), by=record.committed_by, total_latency_ms=total_ms)
        return made.model_copy(update={"outcome": record.outcome or made.outcome, "reason": RunDamaged.reason})
    told = list(map(str, report.metadata.get(UNREADABLE) or ()))
    damage = [item for item in record.damage if str(item) not in told]
    if not damage:
        return report
    language = report.routing.language if report.routing else answer_language(record.plan, record)
    return report.model_copy(
        update={
            "response": with_damage(report.response, language, damage),
            "metadata": {**report.metadata, UNREADABLE: [*told, *map(str, damage)]},
        }
    )


def last_resort_report(run_id: str, *, by: str, reason: str) -> Report:
    """The report of a run of which nothing can be read but that its time is over."""
    is_mismatch = reason == SchemaMismatch.reason
    return Report(
        run_id=run_id,
        outcome=RunOutcome.FAILED,
        mode=AnswerMode.ERROR,
        response=(_ANOTHER_SCHEMA if is_mismatch else LAST_RESORT).in_language(DEFAULT_LANGUAGE),
        metadata=run_figures(AggregatedData(), queried=(), successful=()),
        committed_by=by,
        reason=reason,
    )


def cancelled_report(record: RunRecord) -> Report:
    """The report of a run that was cancelled: what had come in, who had not answered, and no diagnosis."""
    language = answer_language(record.plan, record)
    envelopes = tuple(record.envelopes.values())
    planned = record.plan.sources if record.plan else ()
    data = aggregate(envelopes, record.plan.jobs if record.plan else ())
    missing = (
        SourceFailure(source=item.source, job=item.job, error=_CANCELLED[language], reason="cancelled")
        for item in planned
        if item.key not in record.envelopes
    )
    return Report(
        run_id=record.run_id,
        outcome=RunOutcome.CANCELLED,
        mode=AnswerMode.ERROR,
        response=with_damage(_CANCELLED[language], language, record.damage),
        routing=record.plan.routing if record.plan else None,
        aggregated_data=data,
        parallel_results=envelopes,
        errors=(*failures(envelopes), *missing),
        parallel_latency_ms=data.parallel_latency_ms,
        total_latency_ms=0.0 if record.closed_ms is None else float(record.closed_ms - record.created_ms),
        metadata=run_figures(
            data,
            queried={item.source for item in planned},
            successful={envelope.source for envelope in envelopes if envelope.success},
        ),
        reason="cancelled",
    )


def unreachable_report(run_id: str, events: Sequence[Event], *, elapsed_ms: float = 0.0) -> Report:
    """What a client knows from its stream when the store is gone: the last draft and the sources that finished.

    ``elapsed_ms`` is the time since the run was submitted, 0 where this process did not submit it.
    """
    language, draft, finished, planned = Language.PT_BR, "", {}, {}
    for event in events:
        match event.type:
            case EventType.ROUTED:
                language = read_enum(str(event.data.get("language")), language)
                planned = {item.key: item for item in _planned(event)}
            case EventType.DRAFT:
                draft = str(event.data.get("text", ""))
            case EventType.SOURCE_FINISHED:
                envelope, _ = read_fields(SourceEnvelope, dict(event.data), part=event.type)
                if envelope is not None:
                    finished[envelope.key] = envelope
            case _:
                pass
    envelopes = tuple(finished.values())
    missing = tuple(
        SourceFailure(
            source=item.source, job=item.job, error="store_unreachable", outcome=SourceOutcome.LOST, reason="lost"
        )
        for key, item in planned.items()
        if key not in finished
    )
    successful = {envelope.source for envelope in envelopes if envelope.success}
    data = aggregate(envelopes)
    return Report(
        run_id=run_id,
        outcome=RunOutcome.PARTIAL if draft and successful else RunOutcome.TIMED_OUT,
        mode=AnswerMode.DETERMINISTIC if draft else AnswerMode.ERROR,
        response="\n\n".join(part for part in (draft, _UNREACHABLE[language]) if part),
        aggregated_data=data,
        parallel_results=envelopes,
        errors=(*failures(envelopes), *missing),
        parallel_latency_ms=data.parallel_latency_ms,
        total_latency_ms=elapsed_ms,
        metadata=run_figures(data, queried={item.source for item in planned.values()}, successful=successful),
        committed=False,
        committed_by="client",
        reason="store_unreachable",
    )


def _planned(event: Event) -> Iterator[PlannedSource]:
    items = event.data.get("sources")
    for item in items if isinstance(items, list) else ():
        planned = read_fields(PlannedSource, dict(item), part=event.type)[0] if isinstance(item, dict) else None
        if planned is not None:
            yield planned


def make_report(
    conclusion: Conclusion,
    *,
    by: str,
    total_latency_ms: float,
    refined: Diagnosis | None = None,
    llm: dict[str, Any] | None = None,
) -> Report:
    """The report to commit; with ``refined`` the model's diagnosis is the answer."""
    mode = conclusion.mode if refined is None else AnswerMode.LLM
    response = conclusion.response if refined is None else conclusion.render(refined, mode)
    data, planned = conclusion.aggregated, conclusion.envelopes
    metadata: dict[str, Any] = {
        **run_figures(
            data,
            queried={envelope.source for envelope in planned},
            successful={envelope.source for envelope in planned if envelope.success},
        ),
        "mode": mode.value,
        "pipeline": conclusion.plan.pipeline if conclusion.plan else None,
        "notes": list(conclusion.plan.notes) if conclusion.plan else list(conclusion.record.request.config.notes),
    }
    if llm:
        metadata["llm"] = llm
    if conclusion.failure is not None:
        metadata["failure"] = conclusion.failure
    if conclusion.record.damage:
        metadata[UNREADABLE] = [str(damage) for damage in conclusion.record.damage]
    return Report(
        run_id=conclusion.record.run_id,
        outcome=conclusion.outcome,
        mode=mode,
        response=with_damage(response, conclusion.language, conclusion.record.damage),
        diagnosis=refined or conclusion.draft,
        routing=conclusion.plan.routing if conclusion.plan else None,
        aggregated_data=data,
        parallel_results=planned,
        evidence=conclusion.evidence,
        errors=failures(planned),
        parallel_latency_ms=data.parallel_latency_ms,
        total_latency_ms=round(total_latency_ms, 1),
        metadata=metadata,
        committed_by=by,
        attempt=conclusion.record.attempt,
        reason=conclusion.failure,
    )
