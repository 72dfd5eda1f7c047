"""Which parts of a job log to read: head, tail and windows around errors, page by page and never the whole.

The API serves windows of lines but not their number, so the end is found by doubling and halving. Asking for a whole
log of over 100 MB can stop the master (Troubleshooting Guide 10.2.5).
"""

import asyncio
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from orchestrator.codes.control import without_controls
from orchestrator.codes.patterns import by_severity, find_reported_abends, find_reported_codes
from orchestrator.codes.steps import failed_step
from orchestrator.diagnosis.rules.log_lines import growth_line
from orchestrator.i18n.languages import Language
from orchestrator.i18n.message import Message
from orchestrator.joblog.lines import folded
from orchestrator.joblog.reader import read_log
from orchestrator.payloads import JobLogFacts, LogWindow
from orchestrator.redaction.pieces import redact_lines
from orchestrator.redaction.redact import CUT_MARGIN
from workers.sources.tws_status.client import HwaSession, LogPage
from workers.sources.tws_status.errors import BadQuery, HwaError, NotFound
from workers.sources.tws_status.parsing import clean

PAGE_LINES = 200
MAX_PAGES = 40
HEAD_LINES = 12
TAIL_LINES = 30
AROUND_LINES = 4
MAX_WINDOWS = 10
MAX_LINES = 120
MAX_LINE_BYTES = 300
MAX_CODES = 30
MASKED_BEFORE, MASKED_AFTER = 8, 4
"""Lines around those that are shown which may tell that they hold a secret."""
FOLDED_FROM = 12
"""Equal lines in sequence from which on they are folded."""
SHOWN_OF_REPEATS = 2


@dataclass(slots=True)
class _Reading:
    """The pages read so far, by line number."""

    lines: dict[int, str] = field(default_factory=dict)
    """Their starts, as they are judged."""
    raw: dict[int, str] = field(default_factory=dict)
    """As they came, secrets and all, as far as they are masked."""
    total: int | None = None
    pages: int = 0
    first_page: LogPage | None = None
    cut_at: dict[int, int] = field(default_factory=dict)
    """First missing line of each page that was cut at the byte limit."""
    ignores_window: bool = False

    def take(self, page: LogPage, index: int) -> None:
        """Add a page, or a piece of one."""
        self.pages += 1
        if self.first_page is None:
            self.first_page = page
        elif page.is_cut and page.lines == self.first_page.lines:
            # The server sends the beginning whatever window was requested; its lines must not be counted again.
            self.ignores_window = True
            return
        self.ignores_window |= page.ignores_window
        for number, line in enumerate(page.lines, start=page.from_line):
            # One character more tells that there are more.
            self.raw[number] = without_controls(line[: MAX_LINE_BYTES + CUT_MARGIN + 1])
            self.lines[number] = clean(self.raw[number], MAX_LINE_BYTES)
        if page.is_cut:
            self.cut_at[index] = page.from_line + len(page.lines)

    def last_line_of(self, index: int) -> int:
        """The last known line of a page; 0 for none."""
        first = index * PAGE_LINES + 1
        return max((number for number in range(first, first + PAGE_LINES) if number in self.lines), default=0)


async def read_job_log(session: HwaSession, run_id: str, language: Language = Language.EN) -> JobLogFacts:
    """Head, tail and windows of the job log of one run.

    After the first page, running out of time or pages and server errors end the reading early; ``note`` states it, in
    ``language``. Raises HwaError when the first page cannot be read.
    """
    reading = _Reading()
    problem, stopped = None, ""
    reading.take(await session.job_log(run_id, from_line=1, to_line=PAGE_LINES), 0)
    try:
        await _find_end(session, run_id, reading)
        await _read_backwards(session, run_id, reading)
    except HwaError as error:
        stopped = error.reason
        problem = Message(
            "stopped after {count} line: {reason}",
            plural="stopped after {count} lines: {reason}",
            count=len(reading.lines),
            reason=error.reason,
        )
    repeats = _repeats(reading)
    kinds = _shown(reading, repeats)
    # In a thread: a log with a secret in every line takes its time, and the event loop is shared.
    shown = await asyncio.to_thread(_masked, reading.raw, kinds)
    note = problem or _what_is_missing(reading, shown=len(kinds))
    written = note.in_language(language) if note else ""
    return _facts(run_id, reading, _grouped(kinds, shown), repeats, note=written, stopped=stopped)


def _masked(raw: Mapping[int, str], shown: Iterable[int]) -> dict[int, str]:
    """The lines that are shown, masked with those around them, then cut."""
    around = (range(number - MASKED_BEFORE, number + MASKED_AFTER + 1) for number in shown)
    numbers = sorted({number for several in around for number in several if number in raw})
    # Zero, a line without text, parts those that do not stand together.
    apart = [place for number in numbers for place in ((number,) if number - 1 in raw else (0, number))]
    masked = redact_lines((raw.get(place, "") for place in apart), MAX_LINE_BYTES)
    return {place: clean(line, MAX_LINE_BYTES) for place, line in zip(apart, masked, strict=True)}


async def _page(session: HwaSession, run_id: str, reading: _Reading, index: int, first: int | None = None) -> int:
    """Read a page, or the piece of it from line ``first`` on, and return its number of lines.

    A page cut at the byte limit counts as full: it does not mark the end. Past the end, some servers answer 400 or 404.
    """
    start = index * PAGE_LINES + 1 if first is None else first
    try:
        page = await session.job_log(run_id, from_line=start, to_line=(index + 1) * PAGE_LINES)
    except (BadQuery, NotFound):
        reading.pages += 1
        return 0
    reading.take(page, index)
    return PAGE_LINES if page.is_cut else len(page.lines)


async def _complete(session: HwaSession, run_id: str, reading: _Reading, index: int) -> bool:
    """Read the missing pieces of a page that was cut; True when the page is complete afterwards."""
    while (first := reading.cut_at.pop(index, None)) is not None and first <= (index + 1) * PAGE_LINES:
        if reading.pages >= MAX_PAGES:
            reading.cut_at[index] = first
            return False
        await _page(session, run_id, reading, index, first)
        if reading.ignores_window:
            return False
    return True


async def _find_end(session: HwaSession, run_id: str, reading: _Reading) -> None:
    """Set ``total``: double the distance until a page is not full, then halve the gap."""
    if reading.ignores_window:
        reading.total = None if reading.cut_at else len(reading.lines)
        return
    if len(reading.lines) < PAGE_LINES and not reading.cut_at:
        reading.total = len(reading.lines)
        return
    full, step = 0, 1  # pages by index: `full` is known to be full
    empty: int | None = None
    while empty is None or empty - full > 1:
        if reading.pages >= MAX_PAGES:
            return
        probe = full + step if empty is None else (full + empty) // 2
        lines = await _page(session, run_id, reading, probe)
        if reading.ignores_window:
            return
        if 0 < lines < PAGE_LINES:
            reading.total = probe * PAGE_LINES + lines
            return
        if lines:
            full, step = probe, step * 2
        else:
            empty = probe
    if await _complete(session, run_id, reading, full):
        reading.total = reading.last_line_of(full)


async def _read_backwards(session: HwaSession, run_id: str, reading: _Reading) -> None:
    """Read pages from the end towards the head until an abend is found: errors are usually near the end."""
    if reading.total is None or reading.ignores_window:
        return
    index = (reading.total - 1) // PAGE_LINES if reading.total else 0
    has_abend = False
    while index >= 0 and reading.pages < MAX_PAGES:
        first = index * PAGE_LINES + 1
        if first not in reading.lines:
            await _page(session, run_id, reading, index)
        await _complete(session, run_id, reading, index)
        near_end = (reading.total - first) >= PAGE_LINES
        has_abend = has_abend or any(
            find_reported_abends(reading.lines.get(number, "")) for number in range(first, first + PAGE_LINES)
        )
        if near_end and has_abend:
            return
        index -= 1


def _facts(
    run_id: str,
    reading: _Reading,
    windows: Sequence[LogWindow],
    repeats: dict[int, int],
    *,
    note: str,
    stopped: str,
) -> JobLogFacts:
    text = "\n".join(line for window in windows for line in window.lines)
    return JobLogFacts(
        run_id=run_id,
        total_lines=reading.total,
        read_lines=len(reading.lines),
        windows=tuple(windows),
        codes=by_severity(find_reported_codes(text))[:MAX_CODES],
        step=failed_step(text),
        repeats=repeats,
        note=note,
        stopped=stopped,
    )


def _what_is_missing(reading: _Reading, *, shown: int) -> Message | None:
    lines = len(reading.lines)
    if reading.total is not None:
        note = Message("lines shown: {shown} of {total}; read: {lines}", shown=shown, total=reading.total, lines=lines)
        return note if shown < reading.total else None
    if reading.ignores_window:
        return Message(
            "the server ignores line windows: only the first line was read",
            plural="the server ignores line windows: only the first {count} lines were read",
            count=lines,
        )
    return Message(
        "the end was not reached in {count} page",
        plural="the end was not reached in {count} pages",
        count=reading.pages,
    )


def _shown(reading: _Reading, repeats: Mapping[int, int]) -> dict[int, str]:
    """The lines to show, each with why: all of a short log; else head, tail and the most telling ones.

    Of lines that repeat (``repeats``: the first of them, and how many) the first ones stand for all.
    """
    numbers = [number for number in sorted(reading.lines) if not _is_left_out(number, repeats)]
    if not numbers or (len(numbers) <= MAX_LINES and reading.total in (None, max(reading.lines))):
        return dict.fromkeys(numbers, "match")
    kinds: dict[int, str] = dict.fromkeys(numbers[:HEAD_LINES], "head")
    for number in numbers[-TAIL_LINES:] if reading.total in (None, max(reading.lines)) else ():
        kinds.setdefault(number, "tail")
    windows = 0
    for number in _telling(reading, numbers):
        if kinds.get(number) == "match":
            continue
        around = [n for n in range(number - AROUND_LINES, number + AROUND_LINES + 1) if n in reading.lines]
        if windows >= MAX_WINDOWS or len(kinds.keys() | set(around)) > MAX_LINES:
            break
        windows += not any(kinds.get(n) == "match" for n in around)
        kinds.update(dict.fromkeys(around, "match"))
    return kinds


def _telling(reading: _Reading, numbers: Sequence[int]) -> Iterator[int]:
    """The numbers of the lines that tell most about the failure, then of those that report a growth."""
    read = read_log([reading.lines[number] for number in numbers])
    yield from (numbers[index] for index in read.errors)
    # Growth of a volume often explains why a dataset or a limit was too small.
    yield from (number for number in numbers if growth_line([reading.lines[number]]))


def _repeats(reading: _Reading) -> dict[int, int]:
    """The first of the lines that repeat, by number, and how often it stands there in sequence."""
    numbers = sorted(reading.lines)
    runs = folded(reading.lines[number] for number in numbers)
    return {numbers[run.first]: run.count for run in runs if run.count >= FOLDED_FROM}


def _is_left_out(number: int, repeats: Mapping[int, int]) -> bool:
    return any(first + SHOWN_OF_REPEATS <= number < first + count - 1 for first, count in repeats.items())


def _grouped(kinds: Mapping[int, str], lines: Mapping[int, str]) -> list[LogWindow]:
    """Consecutive lines as windows; one that holds a match is of kind ``match``."""
    windows: list[LogWindow] = []
    run: list[int] = []
    for number in [*sorted(kinds), -1]:
        if run and number != run[-1] + 1:
            inside = {kinds[line] for line in run}
            windows.append(
                LogWindow(
                    from_line=run[0],
                    to_line=run[-1],
                    kind="match" if "match" in inside else kinds[run[0]],
                    lines=tuple(lines[line] for line in run),
                )
            )
            run = []
        run.append(number)
    return windows
