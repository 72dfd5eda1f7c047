"""The results as a table for people and as JSON for programs."""

from __future__ import annotations

import textwrap
from collections import Counter
from collections.abc import Sequence

import click

from workers.doctor.examination import exit_code
from workers.doctor.finding import CheckResult, Status
from workers.doctor.texts import Texts

_COLOURS = {Status.OK: "green", Status.WARNING: "yellow", Status.ERROR: "red", Status.OFF: "bright_black"}
_GAP = "  "
_NARROWEST = 30


def json_report(results: Sequence[CheckResult]) -> dict[str, object]:
    """What ``--json`` prints; names, statuses, reasons and facts are stable, words are in the terminal's language."""
    return {
        "exit_code": exit_code(results),
        "counts": {status.value: number for status, number in counts(results).items()},
        "checks": [
            {
                "name": result.name,
                "status": result.finding.status.value,
                "reason": result.finding.reason or None,
                "found": result.finding.found,
                "fix": result.finding.fix or None,
                "took_ms": result.took_ms,
                "facts": dict(result.finding.facts),
            }
            for result in results
        ],
    }


def counts(results: Sequence[CheckResult]) -> dict[Status, int]:
    """How many results have each status."""
    found = Counter(result.finding.status for result in results)
    return {status: found[status] for status in Status}


def table_report(results: Sequence[CheckResult], text: Texts, *, width: int | None) -> str:
    """Check, status, time and what was found; below it how to repair it. ``width`` folds lines, None leaves them."""
    head = (text("column.check"), text("column.status"), text("column.time"))
    rows = [(result.name, text(f"status.{result.finding.status}"), _time(result)) for result in results]
    name_width, status_width, time_width = (max(map(len, column)) for column in zip(head, *rows, strict=True))

    def start(name: str, status: str, time: str, colour: str | None = None) -> str:
        styled = click.style(status.ljust(status_width), fg=colour) if colour else status.ljust(status_width)
        return _GAP.join((name.ljust(name_width), styled, time.rjust(time_width), ""))

    indent = " " * len(start("", "", ""))
    lines = [start(*head) + text("column.found")]
    for row, result in zip(rows, results, strict=True):
        colour = _COLOURS[result.finding.status]
        lines.append(start(*row, colour) + _fold(result.finding.found, indent, width))
        if result.finding.fix:
            lines.append(indent + _fold(f"→ {result.finding.fix}", indent + "  ", width))
    return "\n".join(lines)


def _fold(words: str, indent: str, width: int | None) -> str:
    room = 0 if width is None else width - len(indent)
    if room < _NARROWEST:
        return words
    parts = textwrap.wrap(words, room, break_long_words=False, break_on_hyphens=False)
    return f"\n{indent}".join(parts)


def _time(result: CheckResult) -> str:
    took = result.took_ms
    return f"{took:.0f} ms" if took < 1_000 else f"{took / 1_000:.1f} s"
