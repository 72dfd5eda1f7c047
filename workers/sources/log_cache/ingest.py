"""Records from a log file: the plain job log of one run, or JSON lines with any number of entries."""

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from itertools import chain
from typing import Any, Literal

from pydantic import ValidationError

from orchestrator.errors import InvalidRequest, InvalidValue
from orchestrator.i18n.message import Message
from workers.sources.log_cache.entries import MAX_TEXT, entry_text
from workers.sources.log_cache.joblog_summary import records_of_job_log, summarise_job_log
from workers.sources.log_cache.record import LogRecord, records_of_item

MAX_JSON_LINE = 1_000_000
"""Characters of one JSON line; longer lines are rejected."""
_MAX_BAD = 20
_HEAD = 8_000
"""Characters inspected to tell text from binary data."""
_MAX_ODD = 0.25


@dataclass(slots=True)
class Ingest:
    """A log being read. The counts are final once ``records`` is exhausted."""

    format: Literal["log", "json_lines"]
    records: Iterator[LogRecord]
    lines: int = 0
    ignored: int = 0
    """Entries with neither an outcome nor a failure."""
    bad: int = 0
    bad_lines: list[tuple[int, Message]] = field(default_factory=list)
    """Line number and problem of the first unreadable lines."""


def open_ingest(lines: Iterable[str], *, job: str | None, written_at: datetime | None, now: datetime) -> Ingest:
    """Read a log lazily.

    ``job`` names the job, or overrides what the log says; ``written_at`` dates a log without times. If the first
    non-blank line is a JSON object, list or string, the log is JSON lines, else a plain job log. Raises InvalidRequest
    for binary data, and during reading when a plain log names no job.
    """
    rest = iter(lines)
    head: list[str] = []
    size = 0
    for line in rest:
        head.append(line)
        size += len(line)
        if size >= _HEAD:
            break
    if not _is_text("".join(head)[:_HEAD]):
        raise InvalidRequest("this is no text: a compressed file, or one in UTF-16 or EBCDIC?")
    ingest = Ingest(format="log", records=iter(()))
    source = _counted(chain(head, rest), ingest)
    if _is_json(next(filter(str.strip, head), "")):
        ingest.format = "json_lines"
        ingest.records = _from_json_lines(source, ingest, job=job, now=now)
    else:
        ingest.records = _from_job_log(source, job=job, written_at=written_at)
    return ingest


def _is_text(head: str) -> bool:
    """False if more than a quarter of the characters are controls or undecodable bytes."""
    odd = sum(character == "\ufffd" or (character < " " and character not in "\t\n\r\f\x1b") for character in head)
    return odd <= _MAX_ODD * len(head)


def _counted(lines: Iterable[str], ingest: Ingest) -> Iterator[str]:
    for line in lines:
        ingest.lines += 1
        yield line


def _is_json(line: str) -> bool:
    if line.lstrip()[:1] not in ("{", "[", '"'):
        return False
    try:
        return isinstance(json.loads(line), dict | list | str)
    except (ValueError, RecursionError):
        return False


def _from_job_log(lines: Iterable[str], *, job: str | None, written_at: datetime | None) -> Iterator[LogRecord]:
    summary = summarise_job_log(lines)
    name = job or summary.job
    if not summary.lines or not summary.text.strip():
        raise InvalidRequest("the log is empty")
    if not name:
        raise InvalidRequest("the log does not name its job; give --job")
    yield from records_of_job_log(summary, job=name, written_at=written_at)


def _from_json_lines(lines: Iterable[str], ingest: Ingest, *, job: str | None, now: datetime) -> Iterator[LogRecord]:
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            if len(line) > MAX_JSON_LINE:
                raise InvalidValue("longer than {limit} characters", limit=MAX_JSON_LINE)  # one place reports all
            value = json.loads(line)
            records = [
                record
                for item in (value if isinstance(value, list) else [value])
                for record in records_of_item(_shortened(item), job=job, now=now)
            ]
        except (ValueError, RecursionError) as error:
            ingest.bad += 1
            if len(ingest.bad_lines) < _MAX_BAD:
                ingest.bad_lines.append((number, _problem(error)))
            continue
        ingest.ignored += not records
        yield from records


def _shortened(item: Any) -> Any:
    """An entry that carries a whole log, reduced to the windows that matter."""
    if not isinstance(item, str | dict):
        return item
    text = entry_text({"text": item} if isinstance(item, str) else item)
    if len(text) <= MAX_TEXT:
        return item
    summary = summarise_job_log(text.splitlines())
    fields = {"text": summary.text, "codes": list(summary.codes), "step": summary.step}
    return fields if isinstance(item, str) else {**fields, **item, "text": summary.text}


def _problem(error: Exception) -> Message:
    match error:
        case InvalidValue():
            return error.message
        case json.JSONDecodeError():
            return Message("not JSON at column {column}", column=error.colno)
        case ValidationError():  # not its own message, which quotes the value
            return Message("a field is too long or of another type")
        case RecursionError():
            return Message("nested too deeply")
    return Message(str(error))
