"""A record of the own log cache: the outcome of a run (``run``), or errors found in its log (``finding``)."""

import hashlib
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from orchestrator.codes.notation import bare_name
from orchestrator.codes.patterns import by_severity, find_codes, find_reported_abends
from orchestrator.codes.states import ENDED, RUNNING
from orchestrator.codes.steps import failed_step, last_step
from orchestrator.errors import InvalidValue
from orchestrator.payloads import HistoryFacts, JobFacts, JobLogFacts, RunFacts, TwsPayload
from orchestrator.redaction.redact import redact, redact_start
from workers.sources.log_cache.entries import (
    MAX_TEXT,
    Entry,
    age_days,
    entry_of,
    format_time,
    is_failure,
    is_success,
    parse_time,
)

MAX_CODES = 20


class LogRecord(BaseModel):
    """A record as stored, in JSON. ``run`` links the records of one run; ``at`` is ISO 8601 in UTC."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    id: str = Field(min_length=1, max_length=80)
    kind: Literal["run", "finding"]
    run: str = Field(max_length=80)
    job: str = Field(max_length=40)
    at: str | None = None
    job_stream: str = Field(default="", max_length=200)
    workstation: str = Field(default="", max_length=200)
    run_id: str = Field(default="", max_length=200)
    status: str = Field(default="", max_length=40)
    codes: tuple[str, ...] = Field(default=(), max_length=MAX_CODES)
    return_code: int | None = None
    elapsed_seconds: float | None = Field(default=None, ge=0)
    step: str = Field(default="", max_length=40)
    text: str = Field(default="", max_length=MAX_TEXT)
    origin: Literal["tws", "log", "entry"] = "entry"

    @property
    def failed(self) -> bool:
        """Whether the record reports a failure."""
        return self.kind == "finding" or is_failure(self.status, self.codes, self.return_code)

    def redacted(self, *, personal: bool = False) -> Self:
        """The record with secrets masked, within its size limits."""
        limits = {"text": MAX_TEXT, "job_stream": 200, "workstation": 200, "run_id": 200, "status": 40, "step": 40}
        texts = {name: redact(getattr(self, name), personal=personal)[:most] for name, most in limits.items()}
        return self.model_copy(update=texts)

    def entry(self, now: datetime) -> Entry:
        """The record as an Entry, like those of the app's keys."""
        moment = parse_time(self.at)
        facts = HistoryFacts(
            at=self.at,
            status=self.status,
            codes=self.codes,
            return_code=self.return_code,
            step=self.step,
            elapsed_seconds=self.elapsed_seconds,
            text=self.text,
            age_days=None if moment is None else age_days(moment, now),
            run_id=self.run_id,
            job=self.job,
            job_stream=self.job_stream,
        )
        return Entry(
            facts=facts,
            at=moment,
            job=self.job,
            job_stream=self.job_stream,
            workstation=self.workstation,
            run_id=self.run_id,
            run=self.run,
        )


def run_key(*parts: object) -> str:
    """A short, stable key for a run from what identifies it."""
    return hashlib.sha256("\x00".join(str(part) for part in parts).encode()).hexdigest()[:20]


def records_of_tws(payload: TwsPayload) -> list[LogRecord]:
    """Records of the finished runs and job logs in an answer of ``tws_status``.

    Runs in progress are skipped: their state would soon be wrong.
    """
    jobs = [*([payload.job] if payload.job else []), *payload.problem_jobs]
    records: list[LogRecord] = []
    for job in jobs:
        name = bare_name(job.name)
        if not name or len(name) > 40:
            continue
        records += [_run_record(job, run, name) for run in job.runs if _has_ended(run)]
        if not job.runs and is_failure(job.status, (), None):
            records.append(_never_launched(job, name))
        if job.job_log is not None:
            records += _log_records(job, job.job_log, name)
    return list({record.id: record for record in records}.values())


def records_of_item(item: object, *, job: str | None, now: datetime) -> list[LogRecord]:
    """Records of one string or object of a log; none if it reports neither outcome nor failure.

    ``job`` is used if the item names none. Raises InvalidValue for other types, or without a job.
    """
    if not isinstance(item, str | dict):
        raise InvalidValue("neither an object nor a string")
    entry = entry_of(item, now=now).masked
    facts = entry.facts
    name = bare_name(job or entry.job)
    if not name:
        raise InvalidValue("no job is named; give --job")
    is_outcome = bool(facts.status) or facts.return_code is not None or facts.elapsed_seconds is not None
    if not is_outcome and not is_failure("", facts.codes, None, facts.text):
        return []
    key = run_key("item", name.upper(), entry.run_id or facts.at or "", "" if entry.run_id else facts.text)
    kind: Literal["run", "finding"] = "run" if is_outcome else "finding"
    return [
        LogRecord(
            id=f"{kind}:{key}",
            kind=kind,
            run=key,
            job=name[:40],
            at=facts.at,
            job_stream=entry.job_stream,
            workstation=entry.workstation,
            run_id=entry.run_id,
            status=redact_start(facts.status, 40)[0],
            codes=facts.codes[:MAX_CODES],
            return_code=facts.return_code,
            elapsed_seconds=facts.elapsed_seconds,
            step=redact_start(facts.step, 40)[0],
            text=facts.text,
            origin="entry",
        )
    ]


def read_record(raw: bytes | str) -> LogRecord | None:
    """A stored record; None for a value of another version or writer."""
    try:
        return LogRecord.model_validate_json(raw)
    except ValidationError:
        return None


def _has_ended(run: RunFacts) -> bool:
    return run.status.upper() in ENDED or (run.ended_at is not None and run.status.upper() not in RUNNING)


def _key_of(job: JobFacts, run_id: str, started_at: str | None) -> str:
    # Run numbers repeat in every plan; the start time makes them unique.
    return run_key("tws", job.job_stream_workstation or job.workstation, job.job_stream, job.name, run_id, started_at)


def _record(
    job: JobFacts,
    name: str,
    *,
    kind: Literal["run", "finding"],
    key: str,
    moment: datetime | None,
    run_id: str = "",
    workstation: str = "",
    status: str = "",
    codes: tuple[str, ...] = (),
    return_code: int | None = None,
    elapsed_seconds: float | None = None,
    step: str = "",
    text: str = "",
) -> LogRecord:
    """A record from TWS facts, cut to its bounds; ``workstation`` defaults to the job's."""
    return LogRecord(
        id=f"{kind}:{key}",
        kind=kind,
        run=key,
        job=name,
        at=None if moment is None else format_time(moment),
        job_stream=job.job_stream[:200],
        workstation=(workstation or job.workstation)[:200],
        run_id=run_id[:200],
        status=status[:40],
        codes=codes[:MAX_CODES],
        return_code=return_code,
        elapsed_seconds=elapsed_seconds,
        step=step[:40],
        text=text[:MAX_TEXT],
        origin="tws",
    )


def _moment(run: RunFacts | None) -> datetime | None:
    return None if run is None else parse_time(run.ended_at) or parse_time(run.started_at)


def _run_record(job: JobFacts, run: RunFacts, name: str) -> LogRecord:
    # Step and code are those of this run only if the log is its own.
    log = job.job_log if job.job_log is not None and job.job_log.run_id == run.run_id else None
    codes = () if log is None or is_success(run.status) else by_severity(log.codes)[:MAX_CODES]
    step = "" if log is None else log.step
    return _record(
        job,
        name,
        kind="run",
        key=_key_of(job, run.run_id, run.started_at),
        moment=_moment(run),
        run_id=run.run_id,
        workstation=run.workstation,
        status=run.status,
        codes=codes,
        return_code=run.return_code,
        elapsed_seconds=run.elapsed_seconds,
        step=step,
        text=outcome_text(
            name,
            run.status,
            run.substatus,
            return_code=run.return_code,
            codes=codes,
            step=step,
            elapsed_seconds=run.elapsed_seconds,
            run_id=run.run_id,
        ),
    )


def _never_launched(job: JobFacts, name: str) -> LogRecord:
    issues = "; ".join(filter(None, (issue.message for issue in job.issues)))
    text = f"{name} {job.status} {job.substatus} {issues}".strip()
    return _record(
        job,
        name,
        kind="run",
        key=run_key("tws", job.id, job.name, job.scheduled_at, job.status),
        moment=parse_time(job.scheduled_at),
        status=job.status,
        codes=find_codes(text[:MAX_TEXT]),
        return_code=job.return_code,
        text=text,
    )


def _log_records(job: JobFacts, log: JobLogFacts, name: str) -> list[LogRecord]:
    run = next((run for run in job.runs if run.run_id == log.run_id), None)
    if run is not None and (is_success(run.status) or not _has_ended(run)):
        return []
    order = {"match": 0, "tail": 1, "head": 2}
    windows = sorted(log.windows, key=lambda window: (order.get(window.kind, 3), -window.from_line))
    # Windows with an abend first, wherever they are.
    windows.sort(key=lambda window: not find_reported_abends("\n".join(window.lines)))
    text = windows_text((window.from_line, window.to_line, window.lines) for window in windows)
    codes = by_severity(log.codes)[:MAX_CODES]
    if not text or not (codes or log.step or any(window.kind == "match" for window in log.windows)):
        return []
    return [
        _record(
            job,
            name,
            kind="finding",
            key=_key_of(job, log.run_id, None if run is None else run.started_at),
            moment=_moment(run),
            run_id=log.run_id,
            workstation="" if run is None else run.workstation,
            status="" if run is None else run.status,
            codes=codes,
            return_code=None if run is None else run.return_code,
            step=log.step or failed_step(text) or last_step(text),
            text=text,
        )
    ]


def windows_text(windows: Iterable[tuple[int, int, Iterable[str]]]) -> str:
    """Log windows as one text of at most MAX_TEXT characters, each under its line numbers.

    Given in order of relevance, as many whole windows are kept as fit; the text has them in log order.
    """
    blocks: list[tuple[int, str]] = []
    size = 0
    for first, last, lines in windows:
        block = "\n".join((f"[{first}-{last}]", *lines))
        if not blocks and len(block) > MAX_TEXT:
            block = block[:MAX_TEXT]
        if size + len(block) + 1 > MAX_TEXT + 1:
            continue
        size += len(block) + 1
        blocks.append((first, block))
    return "\n".join(block for _, block in sorted(blocks))


def outcome_text(
    job: str,
    *states: str,
    return_code: int | None,
    codes: Sequence[str],
    step: str,
    elapsed_seconds: float | None,
    run_id: str,
) -> str:
    """One line for the outcome of a run, such as ``BATCH001 ABEND RC=12 S0C7 STEP030 elapsed=95s run=4711``."""
    parts = [
        job,
        *states,
        "" if return_code is None else f"RC={return_code}",
        " ".join(codes[:5]),
        step,
        "" if elapsed_seconds is None else f"elapsed={elapsed_seconds:g}s",
        f"run={run_id}" if run_id else "",
    ]
    return " ".join(filter(None, parts))[:MAX_TEXT]
