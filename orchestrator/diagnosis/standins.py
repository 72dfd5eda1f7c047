"""Stand-ins for the sources that never reported, so that every planned source has an outcome and a reason."""

from __future__ import annotations

from orchestrator.models import Language, PlannedSource, SourceEnvelope, SourceOutcome

_TEXTS: dict[SourceOutcome, dict[Language, str]] = {
    SourceOutcome.NOT_STARTED: {
        Language.PT_BR: "não foi consultada: nenhum worker atendeu a fila {queue} a tempo",
        Language.EN: "was not asked: no worker took the queue {queue} in time",
        Language.ES: "no fue consultada: ningún worker atendió la cola {queue} a tiempo",
    },
    SourceOutcome.LOST: {
        Language.PT_BR: "começou e nunca respondeu: o worker da fila {queue} parou",
        Language.EN: "was started and never reported: the worker of queue {queue} stopped",
        Language.ES: "comenzó y nunca respondió: el worker de la cola {queue} se detuvo",
    },
    SourceOutcome.TIMEOUT: {
        Language.PT_BR: "não respondeu dentro do limite de {limit:g} s",
        Language.EN: "did not answer within its limit of {limit:g} s",
        Language.ES: "no respondió dentro del límite de {limit:g} s",
    },
}
LOST_GRACE_SECONDS = 0.5
"""A source that passed its limit by this much without an envelope has lost its worker: it would have said timeout."""


def stand_in(
    planned: PlannedSource, *, language: Language, running_seconds: float | None, worker: str = ""
) -> SourceEnvelope:
    """The envelope of a source that never reported.

    ``running_seconds`` is the time since its task started, None when no task did.
    """
    if running_seconds is None:
        outcome = SourceOutcome.NOT_STARTED
    elif running_seconds >= planned.limit_seconds + LOST_GRACE_SECONDS:
        outcome = SourceOutcome.LOST
    else:
        outcome = SourceOutcome.TIMEOUT
    text = _TEXTS[outcome][language].format(queue=planned.source, limit=planned.limit_seconds)
    return SourceEnvelope(
        source=planned.source,
        job=planned.job,
        outcome=outcome,
        success=False,
        error=text,
        reason=outcome.value,
        worker=worker,
    )


def timeout_text(limit_seconds: float, language: Language) -> str:
    """What a source's envelope says when it was stopped at its limit."""
    return _TEXTS[SourceOutcome.TIMEOUT][language].format(limit=limit_seconds, queue="")
