"""Making a source's envelope from what it returned or raised, redacted and cut to what the store takes."""

from __future__ import annotations

import logging
from typing import Any

from orchestrator.errors import SourceError, TroubleshootError
from orchestrator.i18n.languages import Language
from orchestrator.i18n.source_errors import cuts_in_language, error_in_language
from orchestrator.json_safe import storable, storable_text
from orchestrator.logs import log_error
from orchestrator.models import (
    MAX_EVIDENCE_CHARACTERS,
    PlannedSource,
    SourceEnvelope,
    SourceOutcome,
)
from orchestrator.redaction.redact import redact, redact_data
from orchestrator.sources import FetchResult

_LOGGER = logging.getLogger(__name__)
MAX_ENVELOPE_BYTES = 256 * 1024
MAX_TEXT_CHARACTERS = 2_000
"""Of an error, a finding and every other text but an evidence item's."""
_NOTE_BYTES = 512
"""Room for saying what was cut."""


def answered(
    planned: PlannedSource,
    result: FetchResult,
    *,
    worker: str,
    language: Language = Language.EN,
    personal: bool = False,
) -> SourceEnvelope:
    """The envelope of a source that returned; secrets are masked here, before anything is stored or streamed.

    What was cut is told in ``language``. What JSON or UTF-8 cannot hold is replaced. ``personal`` masks e-mail
    addresses and CPF/CNPJ numbers as well.
    """

    def masked(text: str) -> str:
        return redact(storable_text(text), personal=personal)

    return SourceEnvelope(
        source=planned.source,
        job=planned.job,
        outcome=result.outcome,
        success=result.outcome.is_success,
        data=redact_data(storable(result.data), personal=personal),
        evidence=tuple(
            item.model_copy(
                update={"text": masked(item.text), "title": masked(item.title), "where": masked(item.where)}
            )
            for item in result.evidence
        ),
        finding=masked(result.finding),
        asked=tuple(masked(text) for text in result.asked),
        where=masked(result.where),
        truncated=None if result.truncated is None else cuts_in_language(masked(result.truncated), language),
        worker=worker,
    )


def timed_out(planned: PlannedSource, *, limit_seconds: float, language: Language, worker: str) -> SourceEnvelope:
    """The envelope of a source that was stopped at its limit, or had no time left to start."""
    limit = max(0.0, round(limit_seconds, 2))
    reason = "soft_time_limit" if limit > 0 else "no_time_left"
    return _failed(planned, SourceOutcome.TIMEOUT, reason, timeout_text(limit, language), worker)


def raised(
    run_id: str,
    planned: PlannedSource,
    error: Exception,
    *,
    worker: str,
    language: Language = Language.EN,
    personal: bool = False,
) -> SourceEnvelope:
    """The envelope of a source that raised; what it did not foresee is logged with its traceback.

    What a source says of its failure is told in ``language``, as a reader sees it. Masked as in ``answered``.
    """

    def masked(text: str) -> str:
        return redact(storable_text(text), personal=personal)

    if isinstance(error, TroubleshootError):
        outcome = SourceOutcome.TIMEOUT if error.reason == "timeout" else SourceOutcome.ERROR
        failed = _failed(planned, outcome, error.reason, error_in_language(masked(str(error)), language), worker)
        if not isinstance(error, SourceError):
            return failed
        asked = tuple(masked(text) for text in error.asked)
        return fit(failed.model_copy(update={"asked": asked, "where": masked(error.where)}))
    log_error(_LOGGER, "source_failed run_id=%s source=%s", run_id, planned.key, error=error)
    reason = "counterpart_timeout" if isinstance(error, TimeoutError) else "unexpected"
    return _failed(planned, SourceOutcome.ERROR, reason, masked(f"{type(error).__name__}: {error}"), worker)


def _failed(planned: PlannedSource, outcome: SourceOutcome, reason: str, text: str, worker: str) -> SourceEnvelope:
    return SourceEnvelope(
        source=planned.source,
        job=planned.job,
        outcome=outcome,
        success=False,
        error=text[:MAX_TEXT_CHARACTERS],
        reason=reason,
        worker=worker,
    )


def fit(envelope: SourceEnvelope, limit_bytes: int = MAX_ENVELOPE_BYTES) -> SourceEnvelope:
    """The envelope cut to what the store takes and can read back, and saying so; checked whole.

    First texts that are too long, masks may have made them so; then the last evidence items, the data, what was asked.

    Raises ValidationError for a source's own objects that hold what their fields do not allow.
    """
    return SourceEnvelope.model_validate(_cut(envelope, limit_bytes).model_dump(warnings=False))


def _cut(envelope: SourceEnvelope, limit_bytes: int) -> SourceEnvelope:
    envelope = _with_short_texts(envelope)
    size = len(envelope.model_dump_json().encode())
    if size <= limit_bytes - _NOTE_BYTES:
        return envelope
    limit = limit_bytes - _NOTE_BYTES
    kept = list(envelope.evidence)
    while kept and size > limit:
        size -= len(kept.pop().model_dump_json().encode())
    note = f"envelope cut to {limit_bytes // 1024} KiB: {len(kept)} of {len(envelope.evidence)} evidence items kept"
    update: dict[str, Any] = {"evidence": tuple(kept)}
    for field, empty, words in (("data", {}, "data"), ("asked", (), "what was asked")):
        if size > limit and getattr(envelope, field):
            size -= len(envelope.model_dump_json(include={field}).encode())
            update[field] = empty
            note += f", {words} left out"
    return envelope.model_copy(update=update | {"truncated": _joined(envelope.truncated, note)})


def _with_short_texts(envelope: SourceEnvelope) -> SourceEnvelope:
    update: dict[str, Any] = {}
    notes = []
    for field in ("finding", "where", "truncated"):
        text = getattr(envelope, field) or ""
        if len(text) > MAX_TEXT_CHARACTERS:
            update[field] = text[:MAX_TEXT_CHARACTERS]
            notes.append(field)
    if any(len(text) > MAX_TEXT_CHARACTERS for text in envelope.asked):
        update["asked"] = tuple(text[:MAX_TEXT_CHARACTERS] for text in envelope.asked)
        notes.append("asked")
    said = update.get("truncated", envelope.truncated)
    if notes:
        said = _joined(said, f"{', '.join(notes)} cut to {MAX_TEXT_CHARACTERS} characters")
    long = sum(len(item.text) > MAX_EVIDENCE_CHARACTERS for item in envelope.evidence)
    if long:
        update["evidence"] = tuple(
            item.model_copy(update={"text": item.text[:MAX_EVIDENCE_CHARACTERS]}) for item in envelope.evidence
        )
        note = f"{long} of {len(envelope.evidence)} evidence texts cut to {MAX_EVIDENCE_CHARACTERS} characters"
        said = _joined(said, note)
    return envelope.model_copy(update=update | {"truncated": said}) if update else envelope


def _joined(said: str | None, note: str) -> str:
    return f"{said}; {note}" if said else note


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
