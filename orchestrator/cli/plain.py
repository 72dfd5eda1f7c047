"""Progress as plain lines, for a pipe, a log file or a machine without rich."""

from __future__ import annotations

from collections.abc import Callable
from types import TracebackType
from typing import Self

from orchestrator.cli.view import RunView, SourceRow, items, number
from orchestrator.i18n.terminal import Messages
from orchestrator.logs import one_line
from orchestrator.models import Event, EventType


def lines_of(view: RunView, event: Event, text: Messages) -> list[str]:
    """The lines that tell of ``event``, which ``view`` has taken in already; tokens give none."""
    tell = _TELLERS.get(event.type)
    return [] if tell is None else tell(view, event, text)


def _accepted(view: RunView, _event: Event, text: Messages) -> list[str]:
    return [text("accepted", run_id=view.run_id, seconds=view.total_seconds or 0)]


def _routed(view: RunView, _event: Event, text: Messages) -> list[str]:
    names = ", ".join(view.name_of(row) for row in view.rows.values())
    asked = text("routed", intent=view.intent, confidence=view.confidence, count=len(view.rows), sources=names)
    return [asked, *(text("note", note=one_line(note)) for note in view.notes)]


def _source_started(view: RunView, event: Event, text: Messages) -> list[str]:
    return [text("started", name=view.name_of(view.row(event)))]


def _source_finished(view: RunView, event: Event, text: Messages) -> list[str]:
    return [_finished(view, view.row(event), text)]


def _finished(view: RunView, row: SourceRow, text: Messages) -> str:
    seconds = "" if row.latency_ms is None else f", {row.latency_ms / 1000:.2f} s"
    remark = f" - {row.remark}" if row.remark else ""
    return f"{view.name_of(row)}: {text.word('state', row.state)}{seconds}{remark}"


def _synthesis_started(view: RunView, _event: Event, text: Messages) -> list[str]:
    return [text("synthesis", attempt=view.attempt, by=view.synthesis_by or "-")]


def _aggregated(_view: RunView, event: Event, text: Messages) -> list[str]:
    data = event.data
    available, failed = items(data.get("sources_available"), object), items(data.get("sources_failed"), object)
    return [
        text(
            "aggregated",
            available=len(available),
            asked=len(available) + len(failed),
            parallel=f"{(number(data.get('parallel_latency_ms')) or 0) / 1000:.2f} s",
            sequential=f"{(number(data.get('sequential_equivalent_ms')) or 0) / 1000:.2f} s",
            ratio=f"{number(data.get('speedup_factor')) or 1:.2f}x",
        )
    ]


def _draft(view: RunView, _event: Event, text: Messages) -> list[str]:
    return [text("draft", line=one_line(view.draft))]


def _final(view: RunView, _event: Event, text: Messages) -> list[str]:
    seconds = (view.total_latency_ms or 0) / 1000
    outcome = text.word("run", view.outcome)
    return [
        *(_finished(view, row, text) for row in view.silent),
        text("final", outcome=outcome, seconds=seconds, mode=view.mode, by=view.committed_by or "-"),
    ]


def _cancelled(view: RunView, _event: Event, text: Messages) -> list[str]:
    return [text("cancelled_by", by=view.committed_by or "-")]


_TELLERS: dict[EventType, Callable[[RunView, Event, Messages], list[str]]] = {
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

    def __init__(self, view: RunView, text: Messages, write: Callable[[str], None]) -> None:
        self._view = view
        self._text = text
        self._write = write

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Nothing is held open."""

    def take(self, event: Event, received: float) -> None:
        """Fold ``event`` into the view and tell of it."""
        if self._view.apply(event, received):
            for line in lines_of(self._view, event, self._text):
                self._write(line)

    def say(self, line: str) -> None:
        """Write a line of its own."""
        self._write(line)
