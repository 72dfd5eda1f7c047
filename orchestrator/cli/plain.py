"""Progress as plain lines, for a pipe, a log file or a machine without rich."""

from collections.abc import Callable
from typing import Self

from orchestrator.cli.view import Progress, RunView, SourceRow, duration, items, number
from orchestrator.codes.control import one_line
from orchestrator.i18n.message import Message, Text, join
from orchestrator.models import Event, EventType
from orchestrator.outcomes import run_word, source_word

_LINES_OF_SOURCE = 10
"""About how many lines say how far a source is that is asked about many jobs one by one."""


def lines_of(view: RunView, event: Event) -> list[Text]:
    """The lines for ``event``, which ``view`` has already applied; a token gives no line."""
    lines = _LINES.get(event.type)
    return [] if lines is None else lines(view, event)


def _accepted(view: RunView, _event: Event) -> list[Text]:
    seconds = view.total_seconds or 0
    return [Message("run {run_id}: accepted, an answer within {seconds:g} s", run_id=view.run_id, seconds=seconds)]


def _routed(view: RunView, event: Event) -> list[Text]:
    rows = view.rows.values()
    if view.is_long:
        line = Message("{intent} ({confidence:.0%}); querying about {count} jobs: {sources}")
        count, names = len(view.jobs), list(dict.fromkeys(row.source for row in rows))
    else:
        line = Message("{intent} ({confidence:.0%}); querying {count}: {sources}")
        count, names = len(rows), [view.name_of(row) for row in rows]
    routed = line.with_facts(intent=view.intent, confidence=view.confidence, count=count, sources=", ".join(names))
    return [routed, *map(note_line, items(event.data.get("notes"), str))]


def note_line(note: str) -> Text:
    """A note of the plan on a line."""
    return Message("note: {note}", note=one_line(note))


def _source_started(view: RunView, event: Event) -> list[Text]:
    rows = view.rows_of(event)
    if view.is_long and rows[0].job is not None:
        is_first = view.progress_of(rows[0].source).started == len(rows)
        return [Message("{name}: started", name=rows[0].source)] if is_first else []
    return [Message("{name}: started", name=view.name_of(row)) for row in rows]


def _source_finished(view: RunView, event: Event) -> list[Text]:
    rows = view.rows_of(event)
    if not view.is_long or rows[0].job is None:
        return [_finished(view, row) for row in rows]
    progress = view.progress_of(rows[0].source)
    is_told = len(rows) > 1 or progress.is_done or progress.done % max(1, progress.count // _LINES_OF_SOURCE) == 0
    return [_how_far(progress)] if is_told else []


def _how_far(progress: Progress) -> Text:
    return join((f"{progress.name}: ", progress.text), "")


def _finished(view: RunView, row: SourceRow) -> Text:
    seconds = () if row.latency_ms is None else (", ", duration(row.latency_ms / 1000))
    remark = (" - ", row.remark) if row.remark else ()
    return join((f"{view.name_of(row)}: ", source_word(row.state), *seconds, *remark), "")


def _synthesis_started(view: RunView, _event: Event) -> list[Text]:
    return [Message("writing the answer (attempt {attempt}, {by})", attempt=view.attempt, by=view.synthesis_by or "-")]


def _aggregated(_view: RunView, event: Event) -> list[Text]:
    data = event.data
    answered = set(items(data.get("sources_available"), str))
    failed = {str(failure.get("source", "")) for failure in items(data.get("sources_failed"), dict)}
    ratio = number(data.get("speedup_factor")) or 1.0
    line = Message(
        "{available} of {count} source answered; {parallel:.2f} s in parallel, {sequential:.2f} s in sequence "
        "({ratio:.2f}x)",
        plural="{available} of {count} sources answered; {parallel:.2f} s in parallel, {sequential:.2f} s in sequence "
        "({ratio:.2f}x)",
    )
    if ratio <= 1:
        # One source alone, or sources that waited longer than they took: there is nothing to compare.
        line = Message(
            "{available} of {count} source answered in {parallel:.2f} s",
            plural="{available} of {count} sources answered in {parallel:.2f} s",
        )
    return [
        line.with_facts(
            available=len(answered),
            count=len(answered | failed),
            parallel=(number(data.get("parallel_latency_ms")) or 0) / 1000,
            sequential=(number(data.get("sequential_equivalent_ms")) or 0) / 1000,
            ratio=ratio,
        )
    ]


def _draft(view: RunView, _event: Event) -> list[Text]:
    return [Message("draft: {line}", line=one_line(view.draft))]


def _final(view: RunView, _event: Event) -> list[Text]:
    end = Message(
        "{outcome} in {seconds:.2f} s (mode {mode}, committed by {by})",
        outcome=run_word(view.outcome),
        seconds=(view.total_latency_ms or 0) / 1000,
        mode=view.mode,
        by=view.committed_by or "-",
    )
    is_told = [not view.is_long or row.job is None for row in view.silent]
    silent = [_finished(view, row) for row, told in zip(view.silent, is_told, strict=True) if told]
    sources = dict.fromkeys(row.source for row, told in zip(view.silent, is_told, strict=True) if not told)
    silent += [_how_far(view.progress_of(source)) for source in sources]
    return [*silent, end]


def _cancelled(view: RunView, _event: Event) -> list[Text]:
    return [Message("cancelled by {by}", by=view.committed_by or "-")]


_LINES: dict[EventType, Callable[[RunView, Event], list[Text]]] = {
    EventType.ACCEPTED: _accepted,
    EventType.ROUTED: _routed,
    EventType.SOURCE_STARTED: _source_started,
    EventType.SOURCE_FINISHED: _source_finished,
    EventType.SYNTHESIS_STARTED: _synthesis_started,
    EventType.AGGREGATED: _aggregated,
    EventType.DRAFT: _draft,
    EventType.FINAL: _final,
    EventType.CANCELLED: _cancelled,
}


class PlainDisplay:
    """Writes one line an event through ``write``."""

    def __init__(self, view: RunView, write: Callable[[Text | str], None]) -> None:
        self._view = view
        self._write = write

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Nothing is held open."""

    def take(self, event: Event, received: float) -> None:
        """Apply ``event`` to the view and write its lines."""
        if self._view.apply(event, received):
            for line in lines_of(self._view, event):
                self._write(line)

    def say(self, line: Text | str) -> None:
        """Write a line of its own."""
        self._write(line)
