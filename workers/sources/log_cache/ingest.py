"""From somebody's log to records: a plain job log of one run, or JSON lines of any number of entries."""

from __future__ import annotations

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
"""Characters of one JSON line; a longer one is not an entry."""
_MAX_BAD = 20
_HEAD = 8_000
"""Characters that are looked at to tell a text from something else."""
_MAX_ODD = 0.25


@dataclass(slots=True)
class Ingest:
    """A log being read. The counts are complete once ``records`` has been read to its end."""

    format: Literal["log", "json_lines"]
    records: Iterator[LogRecord]
    lines: int = 0
    ignored: int = 0
    """Entries that tell of no outcome and no failure."""
    bad: int = 0
    bad_lines: list[tuple[int, Message]] = field(default_factory=list)
    """Number and problem of the first lines that could not be read."""


def open_ingest(lines: Iterable[str], *, job: str | None, written_at: datetime | None, now: datetime) -> Ingest:
    """Read a log lazily.

    ``job`` names the job, or overrides what the log says; ``written_at`` dates a log without times.
    JSON lines when the first line that is not blank is JSON of an object, list or string; else a plain job log.
    Raises InvalidRequest for what is no text, and while reading when a plain log names no job.
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
    """False when many characters are controls, or bytes that are none in UTF-8; older encodings have some of these."""
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
    """An entry that carries a whole log keeps the windows that matter, not its beginning."""
    if not isinstance(item, str | dict):
        return item
    text = entry_text({"text": item} if isinstance(item, str) else item)
    if len(text) <= MAX_TEXT:
        return item
    summary = summarise_job_log(text.splitlines())
    found = {"text": summary.text, "codes": list(summary.codes), "step": summary.step}
    return found if isinstance(item, str) else {**found, **item, "text": summary.text}


def _problem(error: Exception) -> Message:
    match error:
        case InvalidValue():
            return error.message
        case json.JSONDecodeError():
            return Message("not JSON at column {column}", column=error.colno)
        case ValidationError():  # its own words quote the value
            return Message("a field is too long or of another type")
        case RecursionError():
            return Message("nested too deeply")
    return Message(str(error))
