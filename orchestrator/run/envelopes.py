"""Envelopes of the sources: made from a result, an error or a timeout; redacted, and cut to the store's limits."""

import logging
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from traceback import TracebackException
from typing import Any

from orchestrator.errors import SourceError, TroubleshootError
from orchestrator.i18n.languages import Language
from orchestrator.i18n.message import Joined, Message, Text, join, write
from orchestrator.json_safe import json_safe, utf8_safe
from orchestrator.logs import log_error
from orchestrator.models import MAX_EVIDENCE_CHARACTERS, MessageData, PlannedSource, SourceEnvelope, SourceOutcome
from orchestrator.outcomes import error_of
from orchestrator.redaction.redact import redact, redact_data
from orchestrator.sources import FetchResult

_LOGGER = logging.getLogger(__name__)
MAX_ENVELOPE_BYTES = 256 * 1024
MAX_TEXT_CHARACTERS = 2_000
"""Longest error, finding or other text; evidence texts have a limit of their own."""
MAX_MESSAGE_BYTES = 4_096
"""Longest error, or all cuts together, as key and facts; a longer one is stored in the question's language alone."""
_NOTE_BYTES = 1_024
"""Room for the messages about what was cut."""


def result_envelope(
    planned: PlannedSource,
    result: FetchResult,
    *,
    worker: str,
    language: Language = Language.EN,
    personal: bool = False,
) -> SourceEnvelope:
    """The envelope of a source that returned. Secrets are masked here, before anything is stored or streamed.

    Finding and cuts are written in ``language``. Values that JSON or UTF-8 cannot hold are replaced. ``personal`` masks
    e-mail addresses and CPF/CNPJ numbers as well.
    """
    masked = _mask(personal)
    cuts = _parts(result.truncated) if result.truncated else ()
    return SourceEnvelope(
        source=planned.source,
        job=planned.job,
        outcome=result.outcome,
        success=result.outcome.is_success,
        data=redact_data(json_safe(result.data), personal=personal),
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


def timeout_envelope(
    planned: PlannedSource, *, limit_seconds: float, language: Language, worker: str
) -> SourceEnvelope:
    """The envelope of a source that was stopped at its limit, or had no time left to start."""
    limit = max(0.0, round(limit_seconds, 2))
    reason = "soft_time_limit" if limit > 0 else "no_time_left"
    text = error_of(SourceOutcome.TIMEOUT, planned, limit_seconds=limit)
    return _failed(planned, SourceOutcome.TIMEOUT, reason, text, language=language, worker=worker)


def error_envelope(
    run_id: str,
    planned: PlannedSource,
    error: Exception,
    *,
    worker: str,
    language: Language = Language.EN,
    personal: bool = False,
) -> SourceEnvelope:
    """The envelope of a source that raised; any error but a ``TroubleshootError`` is logged with its traceback.

    The error is written in ``language`` and masked as in ``result_envelope``.
    """
    masked = _mask(personal)
    if isinstance(error, TroubleshootError):
        with suppress(Exception):  # border: a site's class may raise in each of its attributes; logged below
            outcome = SourceOutcome.TIMEOUT if error.reason == "timeout" else SourceOutcome.ERROR
            message = getattr(error, "message", None)  # none of ours in a class that does not call super().__init__
            text = message if isinstance(message, Message) else str(error)
            failed = _failed(planned, outcome, error.reason, text, language=language, worker=worker, masked=masked)
            if not isinstance(error, SourceError):
                return failed
            requests = {"asked": tuple(map(masked, error.asked)), "where": masked(error.where)}
            return fit_to_store(failed.model_copy(update=requests), language=language)
    log_error(_LOGGER, "source_failed run_id=%s source=%s", run_id, planned.key, error=error)
    reason = "counterpart_timeout" if isinstance(error, TimeoutError) else "unexpected"
    # Not str(error), which may itself raise.
    text = f"{type(error).__name__}: {TracebackException(type(error), error, None)}"
    return _failed(planned, SourceOutcome.ERROR, reason, text, language=language, worker=worker, masked=masked)


def _mask(personal: bool) -> Callable[[str], str]:
    return lambda text: redact(utf8_safe(text), personal=personal)


def _parts(text: Text | str) -> tuple[Text | str, ...]:
    return text.parts if isinstance(text, Joined) else (text,)


def _all_masked(texts: Iterable[Text | str], masked: Callable[[str], str]) -> tuple[MessageData, ...]:
    """The texts as masked messages; none when one of them cannot be stored as a message."""
    messages = [_masked_message(text, masked) for text in texts]
    safe = tuple(message for message in messages if message is not None)
    size = sum(len(message.model_dump_json()) for message in safe)
    return safe if len(safe) == len(messages) and size <= MAX_MESSAGE_BYTES else ()


def _masked_message(text: Text | str, masked: Callable[[str], str]) -> MessageData | None:
    """The text as key and masked facts.

    None when masking the whole sentence gives another text: a secret may be recognised only by the words around it.
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
        error=masked(write(text, language))[:MAX_TEXT_CHARACTERS],
        error_message=None if isinstance(text, str) else _masked_message(text, masked),
        reason=reason,
        worker=worker,
    )


def fit_to_store(
    envelope: SourceEnvelope, limit_bytes: int = MAX_ENVELOPE_BYTES, *, language: Language = Language.EN
) -> SourceEnvelope:
    """The envelope cut to ``limit_bytes`` of JSON and validated as a whole; ``truncated`` names the cuts.

    Cut first are texts that are too long, for a mask may be longer than its secret; then the last evidence items, the
    data and ``asked``. The cuts are written in ``language``.

    Raises ValidationError for objects of a source with values that their fields do not allow.
    """
    return SourceEnvelope.model_validate(_cut(envelope, limit_bytes, language).model_dump(warnings=False))


def _cut(envelope: SourceEnvelope, limit_bytes: int, language: Language) -> SourceEnvelope:
    envelope = _with_short_texts(envelope, language)
    size = len(envelope.model_dump_json().encode())
    if size <= limit_bytes - _NOTE_BYTES:
        return envelope
    limit = limit_bytes - _NOTE_BYTES
    evidence = list(envelope.evidence)
    while evidence and size > limit:
        size -= len(evidence.pop().model_dump_json().encode())
    cuts = [
        Message(
            "envelope cut to {limit} KiB: {kept} of {count} evidence items kept",
            limit=limit_bytes // 1024,
            kept=len(evidence),
            count=len(envelope.evidence),
        )
    ]
    update: dict[str, Any] = {"evidence": tuple(evidence)}
    for field, empty, cut in (
        ("data", {}, Message("data left out")),
        ("asked", (), Message("what was queried left out")),
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
    """The fields of the envelope that name its cuts, with ``more`` after its own."""
    own = envelope.cuts or ((MessageData.of(envelope.truncated),) if envelope.truncated else ())
    truncated = join((envelope.truncated or "", *more), "; ").in_language(language)
    return {"truncated": truncated, "cuts": (*own, *map(MessageData.of, more))}


LOST_GRACE_SECONDS = 0.5
"""A source that is past its limit by this much and has no envelope is lost: its worker would have stored a timeout."""


def missing_envelope(planned: PlannedSource, *, language: Language, running_seconds: float | None) -> SourceEnvelope:
    """The stand-in for the envelope of a source that stored none.

    ``running_seconds`` is the time since its task started, None when no task started.
    """
    if running_seconds is None:
        outcome = SourceOutcome.NOT_STARTED
    else:
        is_lost = running_seconds >= planned.limit_seconds + LOST_GRACE_SECONDS
        outcome = SourceOutcome.LOST if is_lost else SourceOutcome.TIMEOUT
    text = error_of(outcome, planned, limit_seconds=planned.limit_seconds)
    return _failed(planned, outcome, outcome.value, text, language=language, worker="")
