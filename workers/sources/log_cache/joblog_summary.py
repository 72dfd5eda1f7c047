"""Summary of a plain job log, read line by line: a log may be larger than memory."""

import re
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Self

from orchestrator.codes.control import without_controls
from orchestrator.codes.error_words import reports_failure
from orchestrator.codes.notation import JobName
from orchestrator.codes.patterns import by_severity, find_reported_codes, find_return_codes, is_abend, is_severe
from orchestrator.codes.steps import ZOS_NAME, failed_step, last_step
from orchestrator.errors import InvalidValue
from orchestrator.joblog.reader import read_log
from orchestrator.redaction.pieces import redact_lines
from orchestrator.redaction.redact import CUT_MARGIN
from workers.sources.log_cache.entries import find_time, format_time, searchable
from workers.sources.log_cache.record import MAX_CODES, LogRecord, outcome_text, run_key, windows_text

MAX_LINE = 400
_AROUND = 3
_MASKED_BEFORE, _MASKED_AFTER = 8, 4
_CAUSE_WEIGHT = 4
SURE = 0.7
MAX_CAUSES = 3
"""Known causes whose windows come first."""
_MAX_WINDOWS = 40
_TAIL = 10
# Frame that the agent writes around a job's own output (HWA job log: "= JOB : ...", "= Exit Status : ...").
_FRAME = re.compile(
    r"^=\s*+(?P<name>[A-Za-z][A-Za-z .]{0,40}?)\s{0,40}(?:\([a-z:]{1,20}\))?\s{0,9}:\s*+"
    r"(?P<value>(?:\S++|\s++(?=\S))*+)\s*$"
)
_FRAME_TIME = re.compile(r"^=\s*[A-Z][a-z]{2} (\d{2})/(\d{2})/(\d{2,4}) (\d{2}:\d{2}:\d{2})")
_ELAPSED_FRAME = re.compile(r"Elapsed Time \((?P<unit>[A-Za-z:]+)\)\s*:\s*(?P<value>[\d:.]+)")
_ZOS_JOB = re.compile(rf"\b(?:IEF40[34]I|IEF450I|\$HASP373|\$HASP395)\s+({ZOS_NAME})\b")


@dataclass(frozen=True, slots=True)
class _Line:
    """A line as it is judged, and as it came, as far as it is masked."""

    text: str
    raw: str

    @classmethod
    def of(cls, line: str) -> Self:
        """The start of a line; one character more than is read tells that there are more."""
        raw = without_controls(line.rstrip("\r\n")[: MAX_LINE + CUT_MARGIN + 1])
        return cls(raw[:MAX_LINE], raw)


@dataclass(slots=True)
class _Window:
    first: int
    lines: list[_Line]
    weight: int = 0
    more: int = 0
    """Lines still to add."""
    before: list[_Line] = field(default_factory=list)
    after: list[_Line] = field(default_factory=list)
    """What stands around it, which may tell that it holds a secret."""

    @property
    def last(self) -> int:
        return self.first + len(self.lines) - 1

    @property
    def masked(self) -> list[str]:
        """Its lines, masked and then cut."""
        around = (*self.before, *self.lines, *self.after)
        masked = redact_lines((line.raw for line in around), MAX_LINE)
        return masked[len(self.before) : len(self.before) + len(self.lines)]


@dataclass(slots=True)
class JobLogSummary:
    """Facts of a run from its job log."""

    lines: int = 0
    job: str = ""
    job_stream: str = ""
    workstation: str = ""
    run_id: str = ""
    first_at: datetime | None = None
    last_at: datetime | None = None
    return_code: int | None = None
    elapsed_seconds: float | None = None
    step: str = ""
    codes: tuple[str, ...] = ()
    text: str = ""
    has_errors: bool = False
    fingerprint: list[str] = field(default_factory=list)

    @property
    def status(self) -> str:
        """ABEND or SUCC, derived as TWS does from the exit status; empty if the log does not show it."""
        if any(is_abend(code) for code in self.codes):
            return "ABEND"
        if self.return_code is None:
            return "ABEND" if self.has_errors else ""
        return "SUCC" if self.return_code == 0 else "ABEND"


def summarise_job_log(lines: Iterable[str]) -> JobLogSummary:
    """A job log's frame, times, codes, failed step, and windows around errors."""
    summary = JobLogSummary()
    windows: list[_Window] = []
    before: deque[_Line] = deque(maxlen=_MASKED_BEFORE + _TAIL)
    codes: dict[str, None] = {}
    return_codes: list[int] = []
    frame_code: int | None = None
    has_text = False
    for raw in lines:
        read = _Line.of(raw)
        line = read.text
        summary.lines += 1
        has_text = has_text or bool(line.strip())
        _times(summary, line)
        if line.startswith("="):
            frame_code = _frame(summary, line, frame_code)
        if not summary.job and (match := _ZOS_JOB.search(line)):
            summary.job = match[1]
        return_codes += find_return_codes(searchable(line))
        line_codes = find_reported_codes(line)
        codes.update(dict.fromkeys(line_codes if len(codes) < 200 else ()))
        weight = _weight(line, line_codes)
        _collect(windows, before, read, summary.lines, weight)
        before.append(read)
    worst = max(return_codes, key=abs, default=None)
    summary.return_code = frame_code if frame_code is not None else worst
    summary.codes = by_severity(codes)[:MAX_CODES]
    summary.has_errors = any(window.weight >= 2 for window in windows)
    _weigh_by_messages(windows, summary.return_code)
    ranked = sorted(windows, key=lambda window: (-window.weight, -window.first))
    tail = list(before)[-_TAIL:]
    if not ranked and has_text:
        ranked = [_Window(summary.lines - len(tail) + 1, tail, before=list(before)[:-_TAIL])]
    blocks = [(window.first, window.last, window.masked) for window in ranked]
    texts = ["\n".join(lines) for _, _, lines in blocks]
    summary.step = next((step for text in texts if (step := failed_step(text) or last_step(text))), "")
    summary.text = windows_text(blocks)
    summary.fingerprint = [str(summary.lines), *(line.text for line in tail)]
    return summary


def records_of_job_log(summary: JobLogSummary, *, job: str, written_at: datetime | None = None) -> list[LogRecord]:
    """The outcome of the run and, if it failed, a record of the errors in its log.

    ``written_at`` dates a log without times. It is not part of the records' identity, since copying a file changes it.
    """
    own = None if summary.last_at is None else format_time(summary.last_at)
    at = own or (None if written_at is None else format_time(written_at))
    identity = (summary.run_id, own) if summary.run_id else (own, *summary.fingerprint)
    key = run_key("log", job.upper(), *identity)
    elapsed = summary.elapsed_seconds
    if elapsed is None and summary.first_at and summary.last_at and summary.last_at > summary.first_at:
        elapsed = (summary.last_at - summary.first_at).total_seconds()
    run = LogRecord(
        id=f"run:{key}",
        kind="run",
        run=key,
        job=job,
        at=at,
        job_stream=summary.job_stream[:200],
        workstation=summary.workstation[:200],
        run_id=summary.run_id[:200],
        status=summary.status,
        codes=summary.codes,
        return_code=summary.return_code,
        elapsed_seconds=elapsed,
        step=summary.step,
        text=outcome_text(
            job,
            summary.status,
            return_code=summary.return_code,
            codes=summary.codes,
            step=summary.step,
            elapsed_seconds=elapsed,
            run_id=summary.run_id,
        ),
        origin="log",
    )
    if not run.failed or not summary.text:
        return [run]
    finding = run.model_copy(
        update={"id": f"finding:{key}", "kind": "finding", "text": summary.text, "elapsed_seconds": None}
    )
    return [run, finding]


def _collect(windows: list[_Window], before: Sequence[_Line], line: _Line, number: int, weight: int) -> None:
    """Add the line to the open window or open one; beyond _MAX_WINDOWS, the least relevant window is dropped."""
    last = windows[-1] if windows else None
    if last is not None and last.more > 0:
        last.lines.append(line)
        last.more = _AROUND if weight else last.more - 1
        last.weight = max(last.weight, weight)
        if len(last.lines) >= 40:  # a log of errors only is still cut into windows
            last.more = 0
        return
    if last is not None and len(last.after) < _MASKED_AFTER:
        last.after.append(line)
    if not weight:
        return
    known = list(before)
    # The lines before it that no window has.
    own = min(_AROUND, number - 1 - (last.last if last is not None else 0), len(known))
    start = len(known) - own
    windows.append(
        _Window(
            number - own, [*known[start:], line], weight, _AROUND, before=known[max(0, start - _MASKED_BEFORE) : start]
        )
    )
    if len(windows) > _MAX_WINDOWS:
        windows.remove(min(windows[:-1], key=lambda window: (window.weight, window.first)))


def _weigh_by_messages(windows: Iterable[_Window], return_code: int | None) -> None:
    """The windows with a message that is known to be a cause weigh most."""
    lines = [(window, line.text) for window in windows for line in window.lines]
    reading = read_log([line for _, line in lines], return_code=return_code)
    for item in reading.causes[:MAX_CAUSES]:
        if item.weight >= SURE:
            lines[item.first][0].weight = _CAUSE_WEIGHT


def _weight(line: str, codes: tuple[str, ...]) -> int:
    if any(is_abend(code) for code in codes):
        return 3
    if any(map(is_severe, codes)) or reports_failure(line):
        return 2
    return 1 if any(find_return_codes(searchable(line))) else 0


def _times(summary: JobLogSummary, line: str) -> None:
    moment = find_time(line) or _frame_time(line)
    if moment is not None:
        summary.first_at = min(summary.first_at or moment, moment)
        summary.last_at = max(summary.last_at or moment, moment)


def _frame_time(line: str) -> datetime | None:
    match = _FRAME_TIME.match(line)
    if match is None:
        return None
    year = int(match[3]) + (2000 if len(match[3]) == 2 else 0)
    try:
        # Month/day, as in the product's default format; the zone's name gives no offset.
        return datetime.fromisoformat(f"{year:04d}-{match[1]}-{match[2]}T{match[4]}").replace(tzinfo=UTC)
    except ValueError:
        return None


def _frame(summary: JobLogSummary, line: str, code: int | None) -> int | None:
    """Read a line of the frame; returns the exit status found so far."""
    if match := _ELAPSED_FRAME.search(line):
        summary.elapsed_seconds = _seconds(match["unit"].lower(), match["value"])
    match = _FRAME.match(line)
    if match is None:
        return code
    name, value = match["name"].lower(), match["value"]
    if name == "job" and not summary.job:
        _take_job(summary, value)
    elif name in ("job number", "#j") and not summary.run_id:
        summary.run_id = value
    elif name == "exit status" and (digits := re.match(r"-?\d+", value)):
        return int(digits[0])
    return code


def _seconds(unit: str, value: str) -> float | None:
    try:
        if ":" in value:
            total = 0.0
            for part in value.split(":"):
                total = total * 60 + float(part)
            return total
        return float(value) * {"minutes": 60, "hours": 3_600}.get(unit, 1)
    except ValueError:
        return None


def _take_job(summary: JobLogSummary, value: str) -> None:
    """Read ``WS#STREAM[(0200 11/24/26),(0AAAA)].JOB`` from the frame's first line."""
    try:
        name = JobName.of_job(value.replace("[", "").replace("]", ""))
    except InvalidValue:
        return
    summary.job, summary.workstation, summary.job_stream = name.job, name.workstation, name.stream
