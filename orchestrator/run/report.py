"""Reports that no finisher wrote: of a cancelled run, and of one whose store went away."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from orchestrator.aggregate import aggregate
from orchestrator.i18n.languages import Language
from orchestrator.models import (
    AnswerMode,
    Diagnosis,
    Event,
    EventType,
    Report,
    RunOutcome,
    SourceEnvelope,
    SourceFailure,
    SourceOutcome,
)
from orchestrator.run.conclusion import Conclusion, answer_language, failures, run_figures
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
        response=_CANCELLED[language],
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
                language = Language(event.data.get("language", language))
                planned = {item["key"]: item for item in event.data.get("sources", ())}
            case EventType.DRAFT:
                draft = str(event.data.get("text", ""))
            case EventType.SOURCE_FINISHED:
                envelope = _from_event(event)
                finished[envelope.key] = envelope
            case _:
                pass
    envelopes = tuple(finished.values())
    missing = tuple(
        SourceFailure(
            source=item["source"], job=item["job"], error="store_unreachable", outcome=SourceOutcome.LOST, reason="lost"
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
        metadata=run_figures(data, queried={item["source"] for item in planned.values()}, successful=successful),
        committed=False,
        committed_by="client",
        reason="store_unreachable",
    )


def _from_event(event: Event) -> SourceEnvelope:
    data = {name: value for name, value in event.data.items() if name not in ("received", "expected")}
    return SourceEnvelope.model_validate(data)


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
    return Report(
        run_id=conclusion.record.run_id,
        outcome=conclusion.outcome,
        mode=mode,
        response=response,
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
