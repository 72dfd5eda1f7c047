"""Making a source's envelope from what it returned or raised, redacted and cut to what the store takes."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from orchestrator.errors import SourceError, TroubleshootError
from orchestrator.i18n.languages import Language
from orchestrator.i18n.message import Joined, Message, Text, join, write
from orchestrator.json_safe import storable, storable_text
from orchestrator.logs import log_error
from orchestrator.models import (
    MAX_EVIDENCE_CHARACTERS,
    MessageData,
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
MAX_MESSAGE_BYTES = 4_096
"""Of an error or of all cuts by their facts; what is longer stands in the question's language alone."""
_NOTE_BYTES = 1_024
"""Room for saying what was cut, as text and by its facts."""


def answered(
    planned: PlannedSource,
    result: FetchResult,
    *,
    worker: str,
    language: Language = Language.EN,
    personal: bool = False,
) -> SourceEnvelope:
    """The envelope of a source that returned; secrets are masked here, before anything is stored or streamed.

    Finding and cuts are written in ``language``. What JSON or UTF-8 cannot hold is replaced. ``personal`` masks e-mail
    addresses and CPF/CNPJ numbers as well.
    """
    masked = _mask(personal)
    cuts = _parts(result.truncated) if result.truncated else ()
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
        finding=masked(write(result.finding, language)),
        asked=tuple(masked(text) for text in result.asked),
        where=masked(result.where),
        truncated=None if result.truncated is None else masked(write(result.truncated, language)),
        cuts=_all_masked(cuts, masked),
        worker=worker,
    )


def timed_out(planned: PlannedSource, *, limit_seconds: float, language: Language, worker: str) -> SourceEnvelope:
    """The envelope of a source that was stopped at its limit, or had no time left to start."""
    limit = max(0.0, round(limit_seconds, 2))
    reason = "soft_time_limit" if limit > 0 else "no_time_left"
    return _failed(planned, SourceOutcome.TIMEOUT, reason, timeout_text(limit), language=language, worker=worker)


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

    The error is written in ``language``. Masked as in ``answered``.
    """
    masked = _mask(personal)
    if isinstance(error, TroubleshootError):
        outcome = SourceOutcome.TIMEOUT if error.reason == "timeout" else SourceOutcome.ERROR
        failed = _failed(planned, outcome, error.reason, error.message, language=language, worker=worker, masked=masked)
        if not isinstance(error, SourceError):
            return failed
        asked = tuple(masked(text) for text in error.asked)
        return fit(failed.model_copy(update={"asked": asked, "where": masked(error.where)}), language=language)
    log_error(_LOGGER, "source_failed run_id=%s source=%s", run_id, planned.key, error=error)
    reason = "counterpart_timeout" if isinstance(error, TimeoutError) else "unexpected"
    text = f"{type(error).__name__}: {error}"
    return _failed(planned, SourceOutcome.ERROR, reason, text, language=language, worker=worker, masked=masked)


def _mask(personal: bool) -> Callable[[str], str]:
    return lambda text: redact(storable_text(text), personal=personal)


def _parts(text: Text | str) -> tuple[Text | str, ...]:
    return text.parts if isinstance(text, Joined) else (text,)


def _all_masked(texts: Iterable[Text | str], masked: Callable[[str], str]) -> tuple[MessageData, ...]:
    """The texts for the envelope; none of them when one cannot be stored by its facts."""
    messages = [_masked_message(text, masked) for text in texts]
    found = tuple(message for message in messages if message is not None)
    size = sum(len(message.model_dump_json()) for message in found)
    return found if len(found) == len(messages) and size <= MAX_MESSAGE_BYTES else ()


def _masked_message(text: Text | str, masked: Callable[[str], str]) -> MessageData | None:
    """The text by key and masked facts; None when the whole, masked, is another text: a secret may be recognised only
    by the words around it.
    """
    message = MessageData.of(text).mapped(masked)
    is_safe = message.in_language(Language.EN) == masked(write(text, Language.EN))
    return message if is_safe and len(message.model_dump_json()) <= MAX_MESSAGE_BYTES else None


def _failed(
    planned: PlannedSource,
    outcome: SourceOutcome,
    reason: str,
    text: Text | str,
    *,
    language: Language,
    worker: str,
    masked: Callable[[str], str] = str,
) -> SourceEnvelope:
    return SourceEnvelope(
        source=planned.source,
        job=planned.job,
        outcome=outcome,
        success=False,
        error=masked(MessageData.of(text).in_language(language))[:MAX_TEXT_CHARACTERS],
        error_message=None if isinstance(text, str) else _masked_message(text, masked),
        reason=reason,
        worker=worker,
    )


def fit(
    envelope: SourceEnvelope, limit_bytes: int = MAX_ENVELOPE_BYTES, *, language: Language = Language.EN
) -> SourceEnvelope:
    """The envelope cut to what the store takes and can read back, with its cuts told in ``language``; checked whole.

    First texts that are too long, masks may have made them so; then the last evidence items, the data, what was asked.

    Raises ValidationError for a source's own objects that hold what their fields do not allow.
    """
    return SourceEnvelope.model_validate(_cut(envelope, limit_bytes, language).model_dump(warnings=False))


def _cut(envelope: SourceEnvelope, limit_bytes: int, language: Language) -> SourceEnvelope:
    envelope = _with_short_texts(envelope, language)
    size = len(envelope.model_dump_json().encode())
    if size <= limit_bytes - _NOTE_BYTES:
        return envelope
    limit = limit_bytes - _NOTE_BYTES
    kept = list(envelope.evidence)
    while kept and size > limit:
        size -= len(kept.pop().model_dump_json().encode())
    cuts = [
        Message(
            "envelope cut to {limit} KiB: {kept} of {count} evidence items kept",
            limit=limit_bytes // 1024,
            kept=len(kept),
            count=len(envelope.evidence),
        )
    ]
    update: dict[str, Any] = {"evidence": tuple(kept)}
    for field, empty, cut in (
        ("data", {}, Message("data left out")),
        ("asked", (), Message("what was asked left out")),
    ):
        if size > limit and getattr(envelope, field):
            size -= len(envelope.model_dump_json(include={field}).encode())
            update[field] = empty
            cuts.append(cut)
    return envelope.model_copy(update=update | _with_cuts(envelope, cuts, language))


def _with_short_texts(envelope: SourceEnvelope, language: Language) -> SourceEnvelope:
    update: dict[str, Any] = {}
    fields = []
    for field in ("finding", "where", "truncated"):
        text = getattr(envelope, field) or ""
        if len(text) > MAX_TEXT_CHARACTERS:
            update[field] = text[:MAX_TEXT_CHARACTERS]
            fields.append(field)
    if any(len(text) > MAX_TEXT_CHARACTERS for text in envelope.asked):
        update["asked"] = tuple(text[:MAX_TEXT_CHARACTERS] for text in envelope.asked)
        fields.append("asked")
    cuts = []
    if fields:
        cut = Message("{fields} cut to {limit} characters", fields=", ".join(fields), limit=MAX_TEXT_CHARACTERS)
        cuts.append(cut)
    long = sum(len(item.text) > MAX_EVIDENCE_CHARACTERS for item in envelope.evidence)
    if long:
        update["evidence"] = tuple(
            item.model_copy(update={"text": item.text[:MAX_EVIDENCE_CHARACTERS]}) for item in envelope.evidence
        )
        cuts.append(
            Message(
                "{long} of {count} evidence texts cut to {limit} characters",
                long=long,
                count=len(envelope.evidence),
                limit=MAX_EVIDENCE_CHARACTERS,
            )
        )
    if not cuts:
        return envelope
    short = envelope.model_copy(update=update | ({"cuts": ()} if "truncated" in update else {}))
    return short.model_copy(update=_with_cuts(short, cuts, language))


def _with_cuts(envelope: SourceEnvelope, more: Sequence[Message], language: Language) -> dict[str, Any]:
    """The fields of the envelope with ``more`` cuts after its own."""
    own = envelope.cuts or ((MessageData.of(envelope.truncated),) if envelope.truncated else ())
    truncated = join((envelope.truncated or "", *more), "; ").in_language(language)
    return {"truncated": truncated, "cuts": (*own, *map(MessageData.of, more))}


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
        text = Message("was not asked: no worker took the queue {queue} in time", queue=planned.source)
    elif running_seconds >= planned.limit_seconds + LOST_GRACE_SECONDS:
        outcome = SourceOutcome.LOST
        text = Message("was started and never reported: the worker of queue {queue} stopped", queue=planned.source)
    else:
        outcome, text = SourceOutcome.TIMEOUT, timeout_text(planned.limit_seconds)
    return _failed(planned, outcome, outcome.value, text, language=language, worker=worker)


def timeout_text(limit_seconds: float) -> Message:
    """Why a source that was stopped at its limit did not answer."""
    return Message("did not answer within its limit of {limit:g} s", limit=limit_seconds)
