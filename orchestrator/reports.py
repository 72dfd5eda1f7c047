"""Reports that no finisher wrote: of a cancelled run, and of one whose store went away."""

from __future__ import annotations

from collections.abc import Sequence

from orchestrator.conclude import answer_language, failures
from orchestrator.models import (
    AnswerMode,
    Event,
    EventType,
    Language,
    Report,
    RunOutcome,
    SourceEnvelope,
    SourceFailure,
    SourceOutcome,
)
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
    """The report of a run that was cancelled: what had come in, and no diagnosis."""
    language = answer_language(record.plan, record)
    envelopes = tuple(record.envelopes.values())
    return Report(
        run_id=record.run_id,
        outcome=RunOutcome.CANCELLED,
        mode=AnswerMode.ERROR,
        response=_CANCELLED[language],
        routing=record.plan.routing if record.plan else None,
        parallel_results=envelopes,
        errors=failures(envelopes),
        reason="cancelled",
    )


def unreachable_report(run_id: str, events: Sequence[Event]) -> Report:
    """What a client knows from its stream when the store is gone: the last draft and the sources that finished."""
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
    succeeded = [envelope for envelope in envelopes if envelope.success]
    latencies = [envelope.latency_ms for envelope in envelopes]
    return Report(
        run_id=run_id,
        outcome=RunOutcome.PARTIAL if draft and succeeded else RunOutcome.TIMED_OUT,
        mode=AnswerMode.DETERMINISTIC if draft else AnswerMode.ERROR,
        response="\n\n".join(part for part in (draft, _UNREACHABLE[language]) if part),
        parallel_results=envelopes,
        errors=(*failures(envelopes), *missing),
        parallel_latency_ms=max(latencies, default=0.0),
        metadata={"parallel_execution": True, "sources_successful": len(succeeded)},
        committed=False,
        committed_by="client",
        reason="store_unreachable",
    )


def _from_event(event: Event) -> SourceEnvelope:
    data = {name: value for name, value in event.data.items() if name not in ("received", "expected")}
    return SourceEnvelope.model_validate(data)
