"""Parses log-cache values: a job's recent errors and history, in every shape that writers use.

A value is JSON: a list of strings or objects, or one object that is an entry or wraps a list. Field names differ
between writers, so each fact has a list of accepted names.
"""

import json
import re
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from orchestrator.codes.control import blank_controls
from orchestrator.codes.error_words import reports_failure
from orchestrator.codes.patterns import find_abends, find_codes, find_return_codes, is_abend, is_severe
from orchestrator.codes.states import FAILED, REPORTED_FAILURE, REPORTED_SUCCESS, STATE_NAMES, SUCCEEDED
from orchestrator.codes.steps import failed_step, last_step
from orchestrator.payloads import HistoryFacts
from orchestrator.redaction.redact import CUT_MARGIN, MARK, is_secret_item, redact_start

MAX_TEXT = 2_000
"""Characters kept of one entry's text."""
MAX_ENTRIES = 1_000
"""Entries read of one value, half from each end, since writers differ in which end is the newer one."""
_MAX_ANALYSED = 16_000
"""Characters of one text that are searched for codes and steps."""

_MAX_FIELD = 200

_LISTS = ("errors", "recent_errors", "history", "runs", "entries", "items", "events", "records", "results", "logs")
_WHEN = ("at", "timestamp", "time", "when", "ts", "datetime", "date", "ended_at", "end_time", "actualEndTime",
         "finished_at", "last_seen", "created_at", "started_at", "start_time", "actualStartTime")  # fmt: skip
_TEXT = ("text", "message", "msg", "error_message", "errorMessage", "error", "log", "line", "detail", "details",
         "description", "summary", "reason")  # fmt: skip
_STATUS = ("status", "state", "outcome", "result", "commonStatus")
_RETURN_CODE = ("return_code", "returnCode", "rc", "exit_code", "exitCode")
_STEP = ("step", "step_name", "stepName", "failed_step")
_SECONDS = ("elapsed_seconds", "duration_seconds", "elapsed", "duration")
_MILLISECONDS = ("elapsed_ms", "duration_ms")
_CODES = ("codes", "code", "abend_code", "abend", "error_code", "message_id")

_LEADING_TIME = re.compile(
    r"(?<!\d)(\d{4}-\d{2}-\d{2})[T ](\d{2}:\d{2}(?::\d{2}(?:[.,]\d{1,6})?)?)\s?(Z|[+-]\d{2}:?\d{2})?(?![\d:])"
)
_BLANKS = re.compile(r"[^\S\n]{2,}")

_EPOCH = re.compile(r"\d{10}(?:\.\d{1,9})?|\d{13}")
"""Epoch seconds or milliseconds as text."""
_MAX_SECONDS = 366 * 86_400 * 1_000.0


class UnreadableEntries(ValueError):
    """The value is not JSON, or JSON of an unknown shape."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry: its facts, time, job and run, as far as it names them."""

    facts: HistoryFacts
    at: datetime | None = None
    job: str = ""
    job_stream: str = ""
    workstation: str = ""
    run_id: str = ""
    run: str = ""
    """Identifies the run; empty if the entry does not name it."""
    cut_characters: int = 0
    raw: str = field(default="", repr=False)
    """The text as it came, as far as it is read to mask it."""

    @property
    def masked(self) -> "Entry":
        """The entry with its text masked before it is cut; one that is not cut is masked by the envelope."""
        if len(self.raw) <= MAX_TEXT:
            return self
        text, _ = redact_start(self.raw, MAX_TEXT)
        return replace(self, facts=self.facts.model_copy(update={"text": text}), raw="")

    @property
    def succeeded(self) -> bool:
        """Whether the entry reports a successful run."""
        status, code = self.facts.status, self.facts.return_code
        return is_success(status) or (not status and code == 0 and not self.failed)

    @property
    def failed(self) -> bool:
        """Whether the entry reports a failure."""
        return is_failure(self.facts.status, self.facts.codes, self.facts.return_code, self.facts.text)

    @property
    def occasion(self) -> str:
        """Groups the entries of one run: by run, else by minute, else by text."""
        return self.run or self.run_id or (self.facts.at or self.facts.text)[:16]


def is_success(status: str) -> bool:
    """Whether a status, from TWS or another writer, means success."""
    return _plain(status) in {*SUCCEEDED, *REPORTED_SUCCESS}


def _plain(status: str) -> str:
    """The status in capitals and without accents."""
    decomposed = unicodedata.normalize("NFD", status.strip().upper())
    return "".join(character for character in decomposed if not unicodedata.combining(character))


def is_failure(status: str, codes: Iterable[str], return_code: int | None, text: str = "") -> bool:
    """Whether these facts mean a failure: by the status; without a known one, by a code, return code or word.

    A return code other than 0 with SUCC satisfied the success condition and is no failure.
    """
    state = _plain(status)
    if state in STATE_NAMES | REPORTED_SUCCESS | REPORTED_FAILURE:
        return state in {*FAILED, "STUCK", *REPORTED_FAILURE}
    severe = any(is_abend(code) or is_severe(code) for code in codes)
    return severe or bool(return_code) or any(map(reports_failure, text.splitlines()))


@dataclass(frozen=True, slots=True)
class ParsedValue:
    """The entries of one key's value, newest first, and how many were skipped."""

    entries: list[Entry]
    unread: int = 0


def parse_entries(raw: str | bytes, *, now: datetime, leave_out: tuple[str, str] | None = None) -> ParsedValue:
    """The entries of one key's value, newest first; those without a time keep their order, at the end.

    Objects with the field and value of ``leave_out`` are skipped. Of more than MAX_ENTRIES, the middle ones are
    skipped: a value of many short entries would block the event loop for seconds. Raises UnreadableEntries.
    """
    try:
        value = json.loads(raw)
    except (ValueError, RecursionError) as error:
        raise UnreadableEntries(f"not JSON: {type(error).__name__}") from None
    items = _items(value)
    if leave_out is not None:
        items = [item for item in items if isinstance(item, str) or item.get(leave_out[0]) != leave_out[1]]
    unread = max(0, len(items) - MAX_ENTRIES)
    if unread:
        items = items[: MAX_ENTRIES // 2] + items[-(MAX_ENTRIES // 2) :]
    return ParsedValue(newest_first(entry_of(item, now=now) for item in items), unread)


def newest_first(entries: Iterable[Entry]) -> list[Entry]:
    """Sorted by time, newest first; entries without a time keep their order, at the end."""
    return sorted(entries, key=lambda entry: -entry.at.timestamp() if entry.at else float("inf"))


def entry_of(item: str | Mapping[str, Any], *, now: datetime) -> Entry:
    """Parse one string or object."""
    record: Mapping[str, Any] = {"text": item} if isinstance(item, str) else item
    text = _storable(entry_text(record))
    at = parse_time(_first(record, _WHEN)) or find_time(text)
    shown = text[:MAX_TEXT]
    searched = searchable(text)
    codes = tuple(dict.fromkeys((*_codes(record), *find_codes(searched))))
    return_code = _integer(_first(record, _RETURN_CODE))
    if return_code is None:
        return_code = next(iter(find_return_codes(searched)), None)
    facts = HistoryFacts(
        at=None if at is None else format_time(at),
        status=_string(_first(record, _STATUS)),
        codes=codes,
        return_code=return_code,
        step=_string(_first(record, _STEP)) or failed_step(searched) or last_step(searched),
        elapsed_seconds=_elapsed(record),
        text=shown,
        age_days=None if at is None else age_days(at, now),
        run_id=_string(_first(record, ("run_id", "runId"))),
        job=_string(_first(record, ("job", "job_name", "jobName"))),
        job_stream=_string(_first(record, ("job_stream", "jobStream", "jobStreamName", "stream"))),
    )
    return Entry(
        facts=facts,
        at=at,
        job=facts.job,
        job_stream=facts.job_stream,
        workstation=_string(_first(record, ("workstation", "ws"))),
        run_id=facts.run_id,
        cut_characters=len(text) - len(shown),
        raw=text[: MAX_TEXT + CUT_MARGIN + 1],
    )


def parse_time(value: object) -> datetime | None:
    """The UTC time of an ISO 8601 text, epoch seconds or epoch milliseconds; None for anything else.

    A time without offset is taken as UTC, since the cache does not record the zone.
    """
    if isinstance(value, bool) or value is None:
        return None
    try:
        if isinstance(value, str) and _EPOCH.fullmatch(value.strip()):
            value = float(value)
        if isinstance(value, int | float):
            return datetime.fromtimestamp(value / 1_000 if abs(value) > 1e11 else value, UTC)
        moment = datetime.fromisoformat(str(value).strip().upper().replace("Z", "+00:00").replace(",", "."))
        # The first and the last day of the calendar, which writers use for "none", may have no UTC time.
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except (ValueError, OverflowError, OSError):
        return None


def format_time(moment: datetime) -> str:
    """ISO 8601 in UTC, to the second."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def age_days(moment: datetime, now: datetime) -> float:
    """Days from ``moment`` to ``now``, at least 0, rounded to hundredths."""
    return round(max(0.0, (now - moment).total_seconds() / 86_400), 2)


def _items(value: object) -> list[str | Mapping[str, Any]]:
    value = _decoded(value)
    if isinstance(value, Mapping):
        lists = [value[name] for name in _LISTS if isinstance(value.get(name), list)]
        if lists:
            return [item for wrapped in lists if wrapped for item in _items(wrapped)]
        return [value] if value else []
    if isinstance(value, str):
        return [value] if value.strip() else []
    if not isinstance(value, list):
        raise UnreadableEntries(f"neither a list nor an object: {type(value).__name__}")
    decoded = (_decoded(item) for item in value)
    items: list[str | Mapping[str, Any]] = [
        item for item in decoded if isinstance(item, str | Mapping) and (not isinstance(item, str) or item.strip())
    ]
    if value and not items:
        raise UnreadableEntries("a list of neither strings nor objects")
    return items


def _decoded(value: object) -> object:
    """The value of a text that is itself JSON: some writers encode each entry and then the list."""
    if not isinstance(value, str) or value.lstrip()[:1] not in ("{", "["):
        return value
    try:
        inner = json.loads(value)
    except (ValueError, RecursionError):
        return value
    return inner if isinstance(inner, dict) or (isinstance(inner, list) and inner) else value


def find_time(text: str) -> datetime | None:
    """The time at or near the beginning of a line."""
    match = _LEADING_TIME.search(text[:200])
    if match is None:
        return None
    offset = match[3] or ""
    return parse_time(f"{match[1]}T{match[2]}{offset}")


def _first(record: Mapping[str, Any], names: Iterable[str]) -> Any:
    return next((record[name] for name in names if record.get(name) not in (None, "")), None)


def _string(value: object) -> str:
    text = _storable(str(value)).strip() if isinstance(value, str | int | float) else ""
    # What is not cut is masked by the envelope, or before it is stored.
    return text if len(text) <= _MAX_FIELD else redact_start(text, _MAX_FIELD)[0]


def searchable(text: str) -> str:
    """The text in which codes and steps are searched: bounded, and with runs of blanks collapsed."""
    return _BLANKS.sub(" ", text[:_MAX_ANALYSED])


def _storable(text: str) -> str:
    """The text without lone surrogates, which JSON can escape and UTF-8 cannot encode."""
    return blank_controls(text.encode("utf-8", "replace").decode("utf-8"))


def _integer(value: object) -> int | None:
    try:
        number = int(value) if isinstance(value, str | int) and not isinstance(value, bool) else None
    except ValueError:
        return None
    # A return code has 32 bits, signed or unsigned; other numbers are something else.
    return number if number is not None and -(2**31) <= number < 2**32 else None


def entry_text(record: Mapping[str, Any]) -> str:
    """The text of an entry: its message, its lines, or else all of its fields."""
    value = _first(record, _TEXT)
    if isinstance(value, str):
        return value
    if isinstance(value, list) and all(isinstance(line, str) for line in value):
        return "\n".join(value)
    # All fields as text, so that the entry can be quoted as evidence.
    return " ".join(
        f"{name}={_written(MARK if item and is_secret_item(record, name) else item)}" for name, item in record.items()
    )


def _written(item: object) -> str:
    return str(item) if isinstance(item, str | int | float) else json.dumps(item, ensure_ascii=False, default=str)


def _codes(record: Mapping[str, Any]) -> list[str]:
    codes: list[str] = []
    for name in _CODES:
        value = record.get(name)
        for item in value if isinstance(value, list | tuple) else (value,):
            if isinstance(item, str):
                codes += find_codes(item) or find_abends(f"ABEND {item}")
    return codes


def _elapsed(record: Mapping[str, Any]) -> float | None:
    for names, divisor in ((_SECONDS, 1.0), (_MILLISECONDS, 1_000.0)):
        value = _first(record, names)
        if isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < _MAX_SECONDS:
            return round(value / divisor, 3)
    return None
