"""Envelopes of the sources: made from a result, an error or a timeout; redacted, and cut to the store's limits."""

import json
import logging
from collections.abc import Callable, Iterable, Sequence, Sized
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import islice
from traceback import TracebackException
from typing import Any

from pydantic import ValidationError

from orchestrator.codes.control import visible, visible_in
from orchestrator.deadline import Deadline
from orchestrator.errors import SourceError, StoreUnreachable, TroubleshootError
from orchestrator.i18n.languages import Language
from orchestrator.i18n.message import Joined, Message, Text, join, write
from orchestrator.json_safe import TOO_DEEP, TooLarge, json_safe, utf8_safe
from orchestrator.logs import get_logger, log_error, shown
from orchestrator.models import (
    MAX_EVIDENCE_CHARACTERS,
    Evidence,
    MessageData,
    PlannedSource,
    SourceEnvelope,
    SourceOutcome,
    read_part,
    source_key,
)
from orchestrator.outcomes import (
    LOOP_BLOCKED,
    NO_TIME_LEFT,
    NOT_REACHED,
    QUEUE_FULL,
    Blockage,
    blocked_error,
    error_of,
    unserved_error,
)
from orchestrator.plugins import Escaped, contained
from orchestrator.redaction.redact import redact, redact_data, redact_start
from orchestrator.sources import FetchResult
from orchestrator.store.records import Backlog
from orchestrator.validation import describe

_LOGGER = get_logger(__name__)
MAX_ENVELOPE_BYTES = 256 * 1024
MAX_BATCH_BYTES = 2 * 1024 * 1024
"""Envelope of a batch with those of its jobs; ``store/reading.py`` reads some more."""
MAX_TEXT_CHARACTERS = 2_000
"""Longest error, finding or other text; evidence texts have a limit of their own."""
MAX_MESSAGE_BYTES = 4_096
"""Longest error, or all cuts together, as key and facts; a longer one is stored in the question's language alone."""
MAX_REASON_CHARACTERS = 100
MAX_QUERIES = 1_000
MAX_EVIDENCE_ITEMS = 1_000
"""Evidence items and the codes in them; ``store/reading.py`` reads some more, and no envelope with many more."""
_UNREAD = Message("Redis stopped answering before this source's answer was read")
_NOTE_BYTES = 1_024
"""Room for the messages about what was cut."""
_OWN_OUTCOMES = (SourceOutcome.OK, SourceOutcome.NO_DATA, SourceOutcome.TIMEOUT, SourceOutcome.ERROR)
"""Outcomes that a source may return; the others are what became of one that did not."""
_WHY = ("error", "error_message", "reason")
"""Fields that say why a source failed."""
_LEFT_OUT = {"data": Message("data left out"), "asked": Message("what was queried left out")}


def result_envelope(
    planned: PlannedSource,
    result: FetchResult,
    *,
    worker: str,
    language: Language = Language.EN,
    personal: bool = False,
    until: Deadline | None = None,
) -> SourceEnvelope:
    """The envelope of a source that returned, cut to the store's limit and validated as a whole.

    Secrets are masked here, and what no reader sees is taken out, before anything is stored or streamed. What will not
    fit is cut off first: masking reads each character. Finding and cuts are written in ``language``. Values that JSON
    or UTF-8 cannot hold are replaced. ``personal`` masks e-mail addresses and CPF/CNPJ numbers as well. Evidence that
    is not masked by ``until`` is left out: a log in which every line has a password takes seconds.

    Raises TypeError, ValueError and whatever objects of the source raise, for values that the fields do not allow.
    """
    if not isinstance(result, FetchResult):
        raise TypeError(f"the source returned {type(result).__name__} in place of a FetchResult")
    outcome = SourceOutcome(result.outcome)
    if outcome not in _OWN_OUTCOMES:
        raise ValueError(f"the source returned the outcome {outcome}")
    cuts = _Cuts()
    texts = _Texts(personal, cuts)
    asked, room = _asked(result.asked, texts, cuts)
    data, room = _data(result.data, room, cuts, personal=personal)
    truncated = None if result.truncated is None else texts(write(result.truncated, language), "truncated")
    envelope = SourceEnvelope(
        source=planned.source,
        job=planned.job,
        outcome=outcome,
        success=outcome.is_success,
        data=data,
        evidence=_evidence(result.evidence, room, texts, cuts, until),
        finding=texts(write(result.finding, language), "finding"),
        asked=asked,
        where=texts(result.where, "where"),
        truncated=truncated,
        cuts=() if truncated is None or "truncated" in cuts.fields else _cut_messages(result.truncated, texts.masked),
        worker=worker,
    )
    return _fitted(envelope, cuts, language)


def timeout_envelope(
    planned: PlannedSource, *, limit_seconds: float, language: Language, worker: str, blockage: Blockage | None = None
) -> SourceEnvelope:
    """The envelope of a source that was stopped at its limit, or had no time left to start.

    ``blockage`` is what blocked the event loop then.
    """
    limit = max(0.0, round(limit_seconds, 2))
    if blockage is not None:
        text = blocked_error(planned, blockage, limit_seconds=limit)
        failed = _failed(planned, SourceOutcome.TIMEOUT, LOOP_BLOCKED, text, language=language, worker=worker)
        return _of_each_job(planned, failed, language)
    text = error_of(SourceOutcome.TIMEOUT, planned, limit_seconds=limit)
    reason = "soft_time_limit" if limit > 0 else NO_TIME_LEFT
    failed = _failed(planned, SourceOutcome.TIMEOUT, reason, text, language=language, worker=worker)
    return _of_each_job(planned, failed, language)


def error_envelope(
    run_id: str,
    planned: PlannedSource,
    error: BaseException,
    *,
    worker: str,
    language: Language = Language.EN,
    personal: bool = False,
) -> SourceEnvelope:
    """The envelope of a source that raised; any error but a ``TroubleshootError`` is logged with its traceback.

    The error is written in ``language`` and masked as in ``result_envelope``.
    """
    failed = _error_envelope(run_id, planned, error, worker=worker, language=language, personal=personal)
    return _of_each_job(planned, failed, language)


def _error_envelope(
    run_id: str, planned: PlannedSource, error: BaseException, *, worker: str, language: Language, personal: bool
) -> SourceEnvelope:
    cuts = _Cuts()
    texts = _Texts(personal, cuts)
    error = error.error if isinstance(error, Escaped) else error
    if isinstance(error, TroubleshootError):
        # Border: a site's class may raise in each of its attributes; logged below.
        with suppress(Exception), contained():
            outcome = SourceOutcome.TIMEOUT if error.reason == "timeout" else SourceOutcome.ERROR
            message = getattr(error, "message", None)  # none of ours in a class that does not call super().__init__
            text = message if isinstance(message, Message) else str(error)
            failed = _failed(planned, outcome, error.reason, text, language=language, worker=worker, texts=texts)
            if not isinstance(error, SourceError):
                return failed
            asked, _ = _asked(error.asked, texts, cuts)
            requests = {"asked": asked, "where": texts(error.where, "where")}
            return _fitted(failed.model_copy(update=requests), cuts, language)
    log_error(_LOGGER, "source_failed run_id=%s source=%s", run_id, planned.key, error=error)
    reason = "counterpart_timeout" if isinstance(error, TimeoutError) else "unexpected"
    # Not str(error), which may itself raise; pydantic's is many lines, with values.
    detail = describe(error) if isinstance(error, ValidationError) else TracebackException(type(error), error, None)
    text = f"{type(error).__name__}: {detail}"
    return _failed(planned, SourceOutcome.ERROR, reason, text, language=language, worker=worker, texts=texts)


def log_finished(run_id: str, envelope: SourceEnvelope, status: str, *, failed: int = logging.WARNING) -> None:
    """Log what became of a source, one that has ``failed`` at that level.

    ``status`` is what became of its envelope: ``stored``, ``late``, ``duplicate``.
    """
    event = "source_finished run_id=%s source=%s outcome=%s latency_ms=%.1f status=%s"
    values = run_id, envelope.key, envelope.outcome.value, envelope.latency_ms, status
    if envelope.success and status == "stored":
        _LOGGER.info(event, *values)
    else:
        _LOGGER.log(failed, f"{event} reason=%s error=%s", *values, envelope.reason, envelope.error)


def unreadable_envelope(
    run_id: str, source: str, part: str | None, error: TroubleshootError, worker: str
) -> SourceEnvelope:
    """The envelope of a source that was not asked, because this process cannot read the run.

    That of a batch has no parts: its jobs are not known.
    """
    _LOGGER.warning("source_unread run_id=%s source=%s error=%s", run_id, source_key(source, part), shown(error))
    job, batch = read_part(part)
    planned = PlannedSource(source=source, job=job, batch=batch, limit_seconds=1)
    return error_envelope(run_id, planned, error, worker=worker)


def batch_envelope(
    planned: PlannedSource, parts: Iterable[SourceEnvelope], *, language: Language = Language.EN
) -> SourceEnvelope:
    """The envelope of a batch from those of its jobs, the largest of which are cut where all are too large together."""
    parts = _fitted_parts(tuple(parts), language)
    outcomes = {part.outcome for part in parts}
    first = next((part for part in parts if not part.success), None)
    outcome = next((answered for answered in (SourceOutcome.OK, SourceOutcome.NO_DATA) if answered in outcomes), None)
    why = {} if first is None or outcome else {name: getattr(first, name) for name in _WHY}
    return SourceEnvelope(
        source=planned.source,
        batch=planned.batch,
        parts=parts,
        outcome=outcome or (outcomes.pop() if len(outcomes) == 1 else SourceOutcome.ERROR),
        success=outcome is not None,
        latency_ms=max((part.latency_ms for part in parts), default=0.0),
        waited_ms=max((part.waited_ms for part in parts), default=0.0),
        started_at_ms=min((part.started_at_ms for part in parts if part.started_at_ms is not None), default=None),
        worker=next((part.worker for part in parts), ""),
        **why,
    )


def _of_each_job(planned: PlannedSource, envelope: SourceEnvelope, language: Language) -> SourceEnvelope:
    """What became of a whole batch as the envelope of each of its jobs; that of a source that is none as it is."""
    if not planned.jobs:
        return envelope.model_copy(update={"batch": planned.batch})
    return batch_envelope(
        planned, (envelope.model_copy(update={"job": job}) for job in planned.jobs), language=language
    )


def _fitted_parts(parts: tuple[SourceEnvelope, ...], language: Language) -> tuple[SourceEnvelope, ...]:
    sizes = [_size(part) for part in parts]
    if sum(sizes) <= MAX_BATCH_BYTES - _NOTE_BYTES:
        return parts
    # Those below the limit leave their room to the others.
    room, limit = MAX_BATCH_BYTES - _NOTE_BYTES, 0
    for count, size in zip(range(len(sizes), 0, -1), sorted(sizes), strict=True):
        limit = room // count
        if size > limit:
            break
        room -= size
    return tuple(
        part if size <= limit else _fitted(part, _Cuts(), language, limit_bytes=limit)
        for part, size in zip(parts, sizes, strict=True)
    )


def _size(envelope: SourceEnvelope) -> int:
    return len(envelope.model_dump_json().encode())


@dataclass(slots=True)
class _Cuts:
    """What was cut of a result before it was masked."""

    fields: dict[str, None] = field(default_factory=dict)
    """Names of the texts that were too long."""
    evidence_count: int | None = None
    """Evidence items of the source, where some were left out."""
    long_evidence: int = 0
    left_out: list[Message] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _Texts:
    """Cuts and masks texts, and notes which were too long."""

    personal: bool
    cuts: _Cuts

    def masked(self, text: str) -> str:
        """The whole text, which is short, masked."""
        return self._seen(redact(utf8_safe(text), personal=self.personal))

    def __call__(self, text: str, name: str) -> str:
        """At most ``MAX_TEXT_CHARACTERS`` of a text, masked; ``name`` is that of its field."""
        short, is_cut = self.start(text, MAX_TEXT_CHARACTERS)
        if is_cut:
            self.cuts.fields[name] = None
        return short

    def start(self, text: str, characters: int) -> tuple[str, bool]:
        """The start of a text, masked, and whether there was more."""
        masked, is_cut = redact_start(text, characters, personal=self.personal)
        return self._seen(masked), is_cut

    def _seen(self, text: str) -> str:
        """The text without what no reader sees, which may have stood within a secret."""
        seen = visible(text)
        return text if seen == text else redact(seen, personal=self.personal)[: len(text)]


def _asked(asked: Iterable[str], texts: _Texts, cuts: _Cuts) -> tuple[tuple[str, ...], int]:
    """What was queried, and the characters that are left for the rest of the envelope."""
    queries = tuple(islice(asked, MAX_QUERIES + 1))
    room = MAX_ENVELOPE_BYTES - sum(min(len(query), MAX_TEXT_CHARACTERS) for query in queries)
    if len(queries) > MAX_QUERIES or room < 0:
        cuts.left_out.append(_LEFT_OUT["asked"])
        return (), MAX_ENVELOPE_BYTES
    return tuple(texts(query, "asked") for query in queries), room


def _data(data: Any, room: int, cuts: _Cuts, *, personal: bool) -> tuple[Any, int]:
    """The data, masked, and the characters that are left; none where they have more than ``room``."""
    try:
        safe = json_safe(data, max_characters=room)
    except TooLarge:
        cuts.left_out.insert(0, _LEFT_OUT["data"])
        return {}, room
    return redact_data(visible_in(safe), personal=personal), room - len(json.dumps(safe, ensure_ascii=False))


def _evidence(
    evidence: Iterable[Evidence], room: int, texts: _Texts, cuts: _Cuts, until: Deadline | None
) -> tuple[Evidence, ...]:
    """The evidence items that fit into ``room`` characters, masked by ``until`` and validated."""
    items: list[Evidence] = []
    left = MAX_EVIDENCE_ITEMS
    given = evidence if isinstance(evidence, Sized) else tuple(islice(evidence, MAX_EVIDENCE_ITEMS + 1))
    for item in given:
        if not isinstance(item, Evidence):
            raise TypeError(f"the source returned {type(item).__name__} in place of an Evidence")
        fields = dict(vars(item))
        for name in ("title", "where"):
            if isinstance(fields.get(name), str):
                fields[name] = texts(fields[name], f"evidence.{name}")
        if isinstance(fields.get("text"), str):
            fields["text"], is_long = texts.start(fields["text"], MAX_EVIDENCE_CHARACTERS)
            cuts.long_evidence += is_long
        try:
            # Before it is validated, which reads an iterator to its end.
            fields = json_safe(fields, max_characters=room)
        except TooLarge:
            room = -1
        room -= sum(len(value) for value in fields.values() if isinstance(value, str))
        left -= 1 + (len(codes) if isinstance(codes := fields.get("codes"), Sized) else 0)
        if room < 0 or left < 0 or (items and until is not None and until.has_passed):
            cuts.evidence_count = len(given)
            break
        items.append(Evidence.model_validate(fields))
    return tuple(items)


def _cut_messages(truncated: Text | str | None, masked: Callable[[str], str]) -> tuple[MessageData, ...]:
    """The parts of a cut as masked messages; none when one of them cannot be stored as a message."""
    if not _is_short(truncated):
        return ()
    parts = truncated.parts if isinstance(truncated, Joined) else (truncated,)
    messages = [_masked_message(part, masked) for part in parts if part is not None]
    safe = tuple(message for message in messages if message is not None)
    size = sum(len(message.model_dump_json()) for message in safe)
    return safe if len(safe) == len(messages) and size <= MAX_MESSAGE_BYTES else ()


def _masked_message(text: Text | str, masked: Callable[[str], str]) -> MessageData | None:
    """The text as key and masked facts.

    None when masking the whole sentence gives another text: a secret may be recognised only by the words around it.
    """
    if not _is_short(text):
        return None
    message = MessageData.of(text).mapped(masked)
    is_safe = message.in_language(Language.EN) == masked(write(text, Language.EN))
    return message if is_safe and len(message.model_dump_json()) <= MAX_MESSAGE_BYTES else None


def _is_short(text: Text | str | None) -> bool:
    """Whether a text with all its facts is short and flat enough to be masked and stored as a message."""
    try:
        return TOO_DEEP not in str(json_safe(text, max_characters=MAX_MESSAGE_BYTES))
    except TooLarge:
        return False


def _failed(
    planned: PlannedSource,
    outcome: SourceOutcome,
    reason: str,
    text: Text | str,
    *,
    language: Language,
    worker: str,
    texts: _Texts | None = None,
) -> SourceEnvelope:
    written = write(text, language)
    texts = texts or _Texts(personal=False, cuts=_Cuts())
    return SourceEnvelope(
        source=planned.source,
        job=planned.job,
        outcome=outcome,
        success=False,
        error=texts.start(written, MAX_TEXT_CHARACTERS)[0],
        error_message=None if isinstance(text, str) else _masked_message(text, texts.masked),
        reason=texts.start(reason, MAX_REASON_CHARACTERS)[0],
        worker=worker,
    )


def _fitted(
    envelope: SourceEnvelope, cuts: _Cuts, language: Language, *, limit_bytes: int = MAX_ENVELOPE_BYTES
) -> SourceEnvelope:
    """The envelope cut to ``limit_bytes`` of JSON and validated as a whole; ``truncated`` names all ``cuts``.

    Left out are the last evidence items, then the data, then what was queried.
    """
    size, limit = _size(envelope), limit_bytes - _NOTE_BYTES
    evidence, left_out = list(envelope.evidence), list(cuts.left_out)
    count = len(evidence) if cuts.evidence_count is None else cuts.evidence_count
    while evidence and size > limit:
        size -= len(evidence.pop().model_dump_json().encode())
    update: dict[str, Any] = {"evidence": tuple(evidence)}
    for name, empty in (("data", {}), ("asked", ())):
        if size > limit and getattr(envelope, name):
            size -= len(envelope.model_dump_json(include={name}).encode())
            update[name] = empty
            left_out.append(_LEFT_OUT[name])
    messages = []
    if cuts.fields:
        fields = ", ".join(cuts.fields)
        messages.append(Message("{fields} cut to {limit} characters", fields=fields, limit=MAX_TEXT_CHARACTERS))
    if cuts.long_evidence:
        messages.append(
            Message(
                "{long} of {count} evidence text cut to {limit} characters",
                plural="{long} of {count} evidence texts cut to {limit} characters",
                long=cuts.long_evidence,
                count=count,
                limit=MAX_EVIDENCE_CHARACTERS,
            )
        )
    if left_out or len(evidence) < count:
        messages.append(
            Message(
                "envelope cut to {limit} KiB: {kept} of {count} evidence item kept",
                plural="envelope cut to {limit} KiB: {kept} of {count} evidence items kept",
                limit=limit_bytes // 1024,
                kept=len(evidence),
                count=count,
            )
        )
    if messages:
        update |= _with_cuts(envelope, (*messages, *left_out), language)
    return SourceEnvelope.model_validate(envelope.model_copy(update=update).model_dump(warnings=False))


def _with_cuts(envelope: SourceEnvelope, more: Sequence[Message], language: Language) -> dict[str, Any]:
    """The fields of the envelope that name its cuts, with ``more`` after its own."""
    own = envelope.cuts or ((MessageData.of(envelope.truncated),) if envelope.truncated else ())
    truncated = join((envelope.truncated or "", *more), "; ").in_language(language)
    return {"truncated": truncated, "cuts": (*own, *map(MessageData.of, more))}


LOST_GRACE_SECONDS = 0.5
"""A source that is past its limit by this much and has no envelope is lost: its worker would have stored a timeout."""


def missing_envelope(
    planned: PlannedSource, *, language: Language, running_seconds: float | None, queue: str = ""
) -> SourceEnvelope:
    """The stand-in for the envelope of a source that stored none.

    ``running_seconds`` is the time since its task started, None when no task started. ``queue`` is the one whose
    workers did not take it, by default that of the source.
    """
    if running_seconds is None:
        outcome = SourceOutcome.NOT_STARTED
    else:
        is_lost = running_seconds >= planned.limit_seconds + LOST_GRACE_SECONDS
        outcome = SourceOutcome.LOST if is_lost else SourceOutcome.TIMEOUT
    # Answers may be frozen, at the fan-in, before a source that started late is at its own limit.
    limit = round(min(planned.limit_seconds, running_seconds or 0.0), 2)
    text = error_of(outcome, planned, limit_seconds=limit, queue=queue)
    reason = NO_TIME_LEFT if outcome is SourceOutcome.TIMEOUT and limit <= 0 else outcome.value
    failed = _failed(planned, outcome, reason, text, language=language, worker="")
    return _of_each_job(planned, failed, language)


def unreached_envelope(planned: PlannedSource, *, language: Language) -> SourceEnvelope:
    """The stand-in for the envelope of a source of a later stage, which was not begun before the time was over."""
    return _failed(planned, SourceOutcome.NOT_STARTED, NO_TIME_LEFT, NOT_REACHED, language=language, worker="")


def unserved_envelope(planned: PlannedSource, backlog: Backlog, *, language: Language, worker: str) -> SourceEnvelope:
    """The envelope of a source that is not asked, because its queue cannot serve the run in time."""
    text = unserved_error(planned, waiting=backlog.waiting, per_second=backlog.per_second)
    failed = _failed(planned, SourceOutcome.NOT_STARTED, QUEUE_FULL, text, language=language, worker=worker)
    return _of_each_job(planned, failed, language)


def not_read_envelope(planned: PlannedSource, *, language: Language, why: Text | None = None) -> SourceEnvelope:
    """The stand-in for an envelope that was not read before the store went away; ``why`` it was not asked again."""
    text = join((_UNREAD, why), "; ") if why else _UNREAD
    return _failed(planned, SourceOutcome.LOST, StoreUnreachable.reason, text, language=language, worker="")
