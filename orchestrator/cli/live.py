"""The live view: one row per source, then the draft, then the answer as it is written.

The one module of the command line that imports rich; a machine without it shows plain lines instead.
"""

import threading
import time
from contextlib import suppress
from typing import Self

from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.live import Live
from rich.markdown import Markdown
from rich.panel import Panel
from rich.table import Table
from rich.text import Text
from rich.theme import Theme

from orchestrator.cli.plain import note_line
from orchestrator.cli.view import Progress, RunView, SourceRow, duration, long_rows, shorten
from orchestrator.codes.control import visible
from orchestrator.i18n.languages import Language
from orchestrator.i18n.message import Message, write
from orchestrator.i18n.message import Text as AnyText
from orchestrator.models import Event
from orchestrator.outcomes import PLANNED, RUNNING, run_word, source_word

_STYLES = {
    PLANNED: "dim",
    RUNNING: "cyan",
    "ok": "green",
    "no_data": "yellow",
    "late": "yellow",
    "complete": "bold green",
    "partial": "bold yellow",
    "cancelled": "bold yellow",
}
_REFRESH_PER_SECOND = 8
_ROWS_BESIDE_THE_BODY = 8
"""Lines that headline, table head, panel border and the shell's prompt take."""
_SHORTEST_JOB = 8
"""Columns that a job's name keeps on the narrowest terminal."""
_MARGIN = len("^C")
"""Columns left free at the right: the terminal's echo of Ctrl-C must not wrap, it would move the view by a line."""


def render(
    view: RunView, language: Language, *, monotonic: float, height: int = 40, width: int = 100
) -> RenderableType:
    """The view as rich shows it, at most about ``height`` lines; the body keeps its newest lines."""
    parts: list[RenderableType] = [
        _headline(view, language, monotonic, width),
        _table(view, language, monotonic, width),
    ]
    parts += [_text(write(note_line(note), language), style="dim") for note in view.notes]
    # The answer goes to standard output when it is whole; here only what is still on its way.
    if view.body and not view.is_closed:
        rows = long_rows(view.rows.values()) if view.is_long else view.rows
        room = max(3, height - len(rows) - len(view.notes) - _ROWS_BESIDE_THE_BODY)
        lines = view.body.strip().splitlines()
        title = write(Message("answer") if view.tokens else Message("draft"), language)
        parts.append(Panel(_text("\n".join(lines[-room:])), title=title, title_align="left", border_style="dim"))
    if view.is_closed:
        parts.append(_text())  # the answer follows
    return Group(*parts)


def _headline(view: RunView, language: Language, monotonic: float, width: int) -> Text:
    line = _text(view.run_id or "…", style="bold")
    if view.intent:
        line.append(visible(f"  {view.intent} ({view.confidence:.0%})"), style="default")
    elapsed = view.elapsed_seconds(monotonic)
    if elapsed is not None and view.total_seconds:
        shown = Message("{elapsed:.1f} s of {total:g} s", elapsed=elapsed, total=view.total_seconds)
        line.append("  " + write(shown, language), style="default")
    if view.is_long and not view.outcome:
        line.append("  " + write(Progress.of_jobs(view.rows.values()).text, language), style="cyan")
    if view.outcome:
        word = visible(write(run_word(view.outcome), language))
        line.append(f"  {word}", style=_STYLES.get(view.outcome, "bold red"))
        # The answer's last line says it in words; where it does not fit it is not worth a line.
        if view.mode and line.cell_len + len(view.mode) + 2 <= width:
            line.append(visible(f"  {view.mode}"), style="dim")
    return line


def _table(view: RunView, language: Language, monotonic: float, width: int) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), expand=True, header_style="dim")
    table.add_column(write(Message("source"), language), no_wrap=True)
    table.add_column(write(Message("state"), language), no_wrap=True)
    table.add_column(write(Message("time"), language), justify="right", no_wrap=True)
    # The finding takes what the others leave, and is cut there: a row never wraps and never squeezes its state.
    table.add_column(write(Message("finding"), language), ratio=1, overflow="ellipsis", no_wrap=True)
    for row in long_rows(view.rows.values()) if view.is_long else view.rows.values():
        if isinstance(row, Progress):
            state = PLANNED if not row.started else "ok" if row.is_done else RUNNING
            word = _text(write(source_word(state), language), style=_STYLES[state])
            table.add_row(_text(row.name), word, "", _text(write(row.text, language)))
            continue
        table.add_row(
            _text(_name(view, row, width * 2 // 5)),
            _text(write(source_word(row.state), language), style=_STYLES.get(row.state, "red")),
            _text(write(_seconds(view, row, monotonic), language)),
            _text(write(row.remark, language), style="default" if row.finding else "dim"),
        )
    return table


def _name(view: RunView, row: SourceRow, limit: int) -> str:
    """The names of source and job, shortened so that the finding has room."""
    name = view.name_of(row)
    if len(name) <= limit or row.job is None:
        return name
    around = len(name) - len(row.job)
    return name.replace(row.job, shorten(row.job, max(_SHORTEST_JOB, limit - around)))


def _seconds(view: RunView, row: SourceRow, monotonic: float) -> AnyText | str:
    seconds = view.row_seconds(row, monotonic)
    return "" if seconds is None else duration(seconds)


class _Renderable:
    """Renders anew at every refresh of rich, so that the clocks of running sources advance."""

    def __init__(self, view: RunView, language: Language, console: Console, lock: threading.Lock) -> None:
        self._view = view
        self._language = language
        self._console = console
        self._lock = lock

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        # rich refreshes from a thread of its own while the reader's thread folds events in.
        with self._lock:
            width = max(1, options.max_width - _MARGIN)
            shown = render(
                self._view, self._language, monotonic=time.monotonic(), height=self._console.height, width=width
            )
            yield from console.render(shown, options.update_width(width))


class LiveDisplay:
    """Shows a run on a terminal until the block ends; the table stays, the body makes room for the answer."""

    def __init__(self, view: RunView, language: Language, console: Console) -> None:
        self._view = view
        self._language = language
        self._console = console
        self._lock = threading.Lock()
        self._live = Live(
            _Renderable(view, language, console, self._lock), console=console, refresh_per_second=_REFRESH_PER_SECOND
        )

    def __enter__(self) -> Self:
        self._live.start(refresh=True)
        return self

    def __exit__(self, *_: object) -> None:
        with suppress(OSError):  # the terminal is gone, and a signal on its way says so
            self._live.stop()

    def take(self, event: Event, received: float) -> None:
        """Fold ``event`` into the view; the next refresh shows it."""
        with self._lock:
            self._view.apply(event, received)

    def say(self, line: AnyText | str) -> None:
        """Write a line above the view."""
        with suppress(OSError):
            self._console.print(_text(write(line, self._language)))


def print_markdown(answer: str) -> None:
    """Write an answer to standard output as a terminal shows Markdown."""
    # rich's own styles of code have a dark background: a bar across every terminal that is not dark.
    Console(theme=Theme({"markdown.code": "bold"})).print(Markdown(visible(answer), code_theme="ansi_light"))


def stderr_console() -> Console:
    """The console that progress goes to."""
    return Console(stderr=True)


def _text(text: str = "", *, style: str = "") -> Text:
    """``text`` as rich shows it, without what drives a terminal: it may hold text of others."""
    return Text(visible(text), style=style)
