"""The state of a run as its events describe it; shared by the live view and the plain lines.

Pure state: no terminal, no clock of its own. Elapsed times use the events' times (the store's clock) plus this
process's monotonic time since the newest event, so that a skewed local clock never shows.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Self, TypeVar

from pydantic import ValidationError

from orchestrator.codes.control import one_line, visible
from orchestrator.i18n.message import Message, Text
from orchestrator.models import Event, MessageData, RunOutcome, SourceOutcome, part_of, source_key
from orchestrator.outcomes import PLANNED, RUNNING

_T = TypeVar("_T")
LARGEST_NUMBER = 1e15
FEW_ROWS = 12
"""Most rows that are shown one by one when they are about several jobs; of more, each source shows how far it is."""
NOTHING_SEEN = "0"
"""The event id before the first one."""


def number(value: object) -> float | None:
    """A number in an event's data, or None where another version of us, or damage, wrote something else."""
    return float(value) if isinstance(value, int | float) and abs(value) <= LARGEST_NUMBER else None


def items(value: object, kind: type[_T]) -> list[_T]:
    """The items of a list in an event's data, without those of another kind."""
    return [item for item in value if isinstance(item, kind)] if isinstance(value, list | tuple) else []


def duration(seconds: float) -> Text:
    """A time with two decimals."""
    return Message("{seconds:.2f} s", seconds=seconds)


def shorten(name: str, limit: int) -> str:
    """A name cut in its middle: jobs that differ do so at the beginning or, after their stream, at the end."""
    if len(name) <= limit:
        return name
    head = limit // 2
    return f"{name[:head]}…{name[len(name) - (limit - head - 1) :]}"


@dataclass(slots=True)
class SourceRow:
    """One planned source. ``state`` is ``planned``, ``running`` or the outcome of the source."""

    source: str
    job: str | None = None
    limit_seconds: float | None = None
    state: str = PLANNED
    started_at_ms: int | None = None
    latency_ms: float | None = None
    finding: str = ""
    error: Text | str = ""
    reason: str = ""

    @property
    def is_open(self) -> bool:
        """True until the source has ended."""
        return self.state in (PLANNED, RUNNING)

    @property
    def remark(self) -> Text | str:
        """The finding in one line, or why there is none."""
        return one_line(self.finding) or self.error or one_line(self.reason)


@dataclass(frozen=True, slots=True)
class Progress:
    """How many jobs a source has answered about, or the run has done, of how many."""

    name: str
    done: int
    count: int
    failed: int
    started: int = 0

    @classmethod
    def of_source(cls, name: str, rows: Iterable[SourceRow]) -> Self:
        """How far one source is."""
        rows = list(rows)
        ended = [row for row in rows if not row.is_open]
        failed = sum(row.state not in _GOOD for row in ended)
        return cls(name, len(ended), len(rows), failed, sum(row.state != PLANNED for row in rows))

    @classmethod
    def of_jobs(cls, rows: Iterable[SourceRow]) -> Self:
        """How many jobs have been asked about everywhere."""
        is_done: dict[str, bool] = {}
        failed = set[str]()
        for row in rows:
            if row.job is not None:
                is_done[row.job] = is_done.get(row.job, True) and not row.is_open
                failed.update([row.job] if not row.is_open and row.state not in _GOOD else ())
        return cls("", sum(is_done.values()), len(is_done), len(failed))

    @property
    def is_done(self) -> bool:
        """Whether all have ended."""
        return self.done == self.count

    @property
    def text(self) -> Text:
        """In a few words."""
        if not self.failed:
            return Message("{done} of {count} jobs", done=self.done, count=self.count)
        return Message(
            "{done} of {count} jobs, {failed} without an answer", done=self.done, count=self.count, failed=self.failed
        )


_GOOD = frozenset({SourceOutcome.OK.value, SourceOutcome.NO_DATA.value})


def long_rows(rows: Iterable[SourceRow]) -> list[SourceRow | Progress]:
    """The rows of a run about many jobs: those without a job as they are, of the others one for each source."""
    by_source: dict[str, list[SourceRow]] = {}
    for row in rows:
        by_source.setdefault(row.source, []).append(row)
    shown: list[SourceRow | Progress] = []
    for source, of_source in by_source.items():
        of_jobs = [row for row in of_source if row.job is not None]
        shown += [row for row in of_source if row.job is None]
        shown += [Progress.of_source(source, of_jobs)] if of_jobs else []
    return shown


def is_long(rows: Iterable[SourceRow]) -> bool:
    """Whether there are too many rows about jobs to show each."""
    rows = list(rows)
    return len(rows) > FEW_ROWS and len({row.job for row in rows if row.job is not None}) > 1


@dataclass(slots=True)
class RunView:
    """The run as far as its events describe it; ``apply`` takes the next one."""

    run_id: str = ""
    accepted_at_ms: int | None = None
    total_seconds: float | None = None
    intent: str = ""
    confidence: float = 0.0
    language: str = ""
    notes: tuple[str, ...] = ()
    rows: dict[str, SourceRow] = field(default_factory=dict)
    attempt: int = 0
    synthesis_by: str = ""
    aggregated: dict[str, Any] = field(default_factory=dict)
    draft: str = ""
    tokens: str = ""
    answer: str = ""
    outcome: str = ""
    mode: str = ""
    committed_by: str = ""
    total_latency_ms: float | None = None
    silent: tuple[SourceRow, ...] = ()
    """Sources that never reported: the final event has what is known of them."""
    last_event_id: str = NOTHING_SEEN
    _jobs_of: dict[str, list[str]] = field(default_factory=dict)
    """The jobs of a batch by its key."""
    _last_at_ms: int | None = None
    _last_received: float = 0.0

    @property
    def is_closed(self) -> bool:
        """True once the terminal event has been seen."""
        return bool(self.outcome)

    @property
    def jobs(self) -> tuple[str, ...]:
        """The jobs of the rows, in order."""
        return tuple(dict.fromkeys(row.job for row in self.rows.values() if row.job is not None))

    @property
    def is_long(self) -> bool:
        """Whether there are too many rows to show each."""
        return is_long(self.rows.values())

    def progress_of(self, source: str) -> Progress:
        """How many of its jobs a source has answered about."""
        rows = (row for row in self.rows.values() if row.source == source and row.job is not None)
        return Progress.of_source(source, rows)

    def name_of(self, row: SourceRow) -> str:
        """The source's name, with the job when the run is about several."""
        return f"{row.source} [{row.job}]" if row.job is not None and len(self.jobs) > 1 else row.source

    @property
    def body(self) -> str:
        """The text to show now: the answer, else what the model has written so far, else the draft."""
        return self.answer or self.tokens or self.draft

    def now_ms(self, monotonic: float) -> int | None:
        """The store's time as known here, from the newest event."""
        if self._last_at_ms is None:
            return None
        return self._last_at_ms + round(max(0.0, monotonic - self._last_received) * 1000)

    def elapsed_seconds(self, monotonic: float) -> float | None:
        """Seconds since the run was accepted; of a closed run, how long it took."""
        if self.total_latency_ms is not None:
            return self.total_latency_ms / 1000
        now = self._last_at_ms if self.is_closed else self.now_ms(monotonic)
        if now is None or self.accepted_at_ms is None:
            return None
        return max(0.0, (now - self.accepted_at_ms) / 1000)

    def row_seconds(self, row: SourceRow, monotonic: float) -> float | None:
        """How long the source took, or has taken so far."""
        if row.latency_ms is not None:
            return row.latency_ms / 1000
        now = self._last_at_ms if self.is_closed else self.now_ms(monotonic)
        if row.state != RUNNING or row.started_at_ms is None or now is None:
            return None
        return max(0.0, (now - row.started_at_ms) / 1000)

    def apply(self, event: Event, received: float) -> bool:
        """Fold in ``event``, received at that monotonic time. False when it changes nothing that is shown."""
        self.run_id = event.run_id
        self.last_event_id = event.id
        self._last_at_ms = event.at_ms
        self._last_received = received
        if self.is_closed:
            return False
        # One method for each event type that is shown, with the type's name.
        apply = getattr(self, f"_{event.type.value}", None)
        return apply is not None and bool(apply(event))

    def _accepted(self, event: Event) -> bool:
        self.accepted_at_ms = event.at_ms
        self.total_seconds = number(event.data.get("total_seconds"))
        return True

    def _routed(self, event: Event) -> bool:
        data = event.data
        self.intent = str(data.get("intent", ""))
        self.confidence = number(data.get("confidence")) or 0.0
        self.language = str(data.get("language", ""))
        self.notes = tuple(dict.fromkeys((*self.notes, *items(data.get("notes"), str))))
        known, self.rows = self.rows, {}
        for planned in items(data.get("sources"), dict):
            key, source, job = _key(planned)
            jobs = items(planned.get("jobs"), str)
            self._jobs_of |= {key: jobs} if jobs else {}
            for name in jobs or (job,):
                key = source_key(source, name) if jobs else key
                row = known.pop(key, None) or SourceRow(source=source, job=name)
                row.limit_seconds = number(planned.get("limit_seconds"))
                self.rows[key] = row
        self.rows |= known
        return True

    def rows_of(self, event: Event) -> list[SourceRow]:
        """The rows of the source that ``event`` is about: one, or those of the jobs of a batch."""
        key, source, job = _key(event.data)
        parts = [str(part.get("job", "")) for part in items(event.data.get("jobs"), dict)]
        jobs = list(dict.fromkeys((*self._jobs_of.get(key, ()), *parts)))
        if not jobs:
            return [self.rows.setdefault(key, SourceRow(source=source, job=job))]
        self.rows.pop(key, None)  # of a batch that began before its jobs were known
        return [self.rows.setdefault(source_key(source, name), SourceRow(source=source, job=name)) for name in jobs]

    def _source_started(self, event: Event) -> bool:
        rows = [row for row in self.rows_of(event) if row.is_open]
        for row in rows:
            row.state = RUNNING
            row.started_at_ms = event.at_ms
        return bool(rows)

    def _source_finished(self, event: Event) -> bool:
        parts = {part.get("job"): part for part in items(event.data.get("jobs"), dict)}
        for row in self.rows_of(event):
            data = parts.get(row.job, event.data)
            row.state = str(data.get("outcome") or "error")
            row.latency_ms = number(data.get("latency_ms"))
            row.finding = str(data.get("finding") or "")
            row.error = _error(data)
            row.reason = str(data.get("reason") or "")
        return True

    def _enter_attempt(self, attempt: int) -> bool:
        """False for an event of an older attempt; the first event of a newer attempt drops the older texts."""
        if attempt < self.attempt:
            return False
        if attempt > self.attempt:
            self.attempt = attempt
            self.draft = self.tokens = ""
        return True

    def _synthesis_started(self, event: Event) -> bool:
        if not self._enter_attempt(event.attempt):
            return False
        self.synthesis_by = str(event.data.get("by") or "")
        return True

    def _aggregated(self, event: Event) -> bool:
        if not self._enter_attempt(event.attempt):
            return False
        self.aggregated = dict(event.data)
        return True

    def _draft(self, event: Event) -> bool:
        if not self._enter_attempt(event.attempt):
            return False
        self.draft = visible(str(event.data.get("text") or ""))
        return True

    def _token(self, event: Event) -> bool:
        if not self._enter_attempt(event.attempt):
            return False
        self.tokens += visible(str(event.data.get("text") or ""))
        return True

    def _final(self, event: Event) -> bool:
        data = event.data
        self.outcome = str(data.get("outcome") or RunOutcome.FAILED.value)
        self.mode = str(data.get("mode") or "")
        self.committed_by = str(data.get("committed_by") or "")
        self.answer = visible(str(data.get("response") or ""))
        self.total_latency_ms = number(data.get("total_latency_ms"))
        silent = []
        for failure in items(data.get("errors"), dict):
            row = self.rows.get(_key(failure)[0])
            # A source that reported itself has the better words; the rest (no worker, lost) only stands here.
            if row is not None and row.is_open:
                row.state = str(failure.get("outcome") or "error")
                row.error = _error(failure)
                row.reason = str(failure.get("reason") or "")
                silent.append(row)
        self.silent = tuple(silent)
        return True

    def _cancelled(self, event: Event) -> bool:
        self.outcome = RunOutcome.CANCELLED.value
        self.committed_by = str(event.data.get("by") or "")
        return True


def _key(data: Mapping[str, Any]) -> tuple[str, str, str | None]:
    """Key, source and job of an event about one source."""
    source, job, batch = str(data.get("source", "")), data.get("job"), data.get("batch")
    job = job if isinstance(job, str) else None
    return source_key(source, part_of(job, batch if isinstance(batch, int) else None)), source, job


def _error(data: Mapping[str, Any]) -> Text | str:
    """Why a source failed: by its facts where the event has them, else as text in the question's language."""
    try:
        return MessageData.model_validate(data["error_message"]).mapped(one_line)
    except (KeyError, ValidationError):
        return one_line(str(data.get("error") or ""))
