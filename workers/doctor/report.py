"""The results as a table for people and as JSON for programs."""

import textwrap
from collections import Counter
from collections.abc import Sequence

import click

from orchestrator.codes.control import visible
from orchestrator.i18n.languages import Language
from orchestrator.i18n.message import Message, Text, join, write
from workers.doctor.check import CheckResult, Status
from workers.doctor.runner import exit_code

_COLOURS = {Status.OK: "green", Status.WARNING: "yellow", Status.ERROR: "red", Status.OFF: "bright_black"}
_STATUSES = {
    Status.OK: Message("ok"),
    Status.WARNING: Message("warning"),
    Status.ERROR: Message("error"),
    Status.OFF: Message("off"),
}
_GAP = "  "
_NARROWEST = 30
"""Fewest characters of a line that are worth folding for."""


def json_report(results: Sequence[CheckResult]) -> dict[str, object]:
    """The object of ``--json``: name, status, reason and facts are stable; found and fix are in English."""
    counts = Counter(result.status for result in results)
    return {
        "exit_code": exit_code(results),
        "counts": {status.value: counts[status] for status in Status},
        "checks": [
            {
                "name": result.name,
                "status": result.status.value,
                "reason": result.reason or None,
                "found": write(result.found, Language.EN),
                "fix": write(result.fix, Language.EN) or None,
                "took_ms": result.took_ms,
                "facts": dict(result.facts),
            }
            for result in results
        ],
    }


def summary(results: Sequence[CheckResult]) -> Text:
    """How many results have each status, in one line."""
    counts = Counter(result.status for result in results)
    parts = (
        Message("{count} ok", plural="{count} ok", count=counts[Status.OK]),
        Message("{count} warning", plural="{count} warnings", count=counts[Status.WARNING]),
        Message("{count} error", plural="{count} errors", count=counts[Status.ERROR]),
        Message("{count} off", plural="{count} off", count=counts[Status.OFF]),
    )
    return join(parts, ", ")


def table_report(results: Sequence[CheckResult], language: Language, *, width: int | None) -> str:
    """Columns check, status, time and found, each remedy below its finding.

    ``width`` in characters folds the last column; None leaves lines whole.
    """
    head = tuple(message.in_language(language) for message in (Message("check"), Message("status"), Message("time")))
    rows = [
        (result.name, _STATUSES[result.status].in_language(language), _time(result).in_language(language))
        for result in results
    ]
    name_width, status_width, time_width = (max(map(len, column)) for column in zip(head, *rows, strict=True))

    def start(name: str, status: str, time: str, colour: str | None = None) -> str:
        styled = click.style(status.ljust(status_width), fg=colour) if colour else status.ljust(status_width)
        return _GAP.join((name.ljust(name_width), styled, time.rjust(time_width), ""))

    indent = " " * len(start("", "", ""))
    lines = [start(*head) + Message("found").in_language(language)]
    for row, result in zip(rows, results, strict=True):
        lines.append(
            start(*row, _COLOURS[result.status]) + _fold(visible(write(result.found, language)), indent, width)
        )
        if fix := visible(write(result.fix, language)):
            lines.append(indent + _fold(f"→ {fix}", indent + "  ", width))
    return "\n".join(lines)


def _fold(text: str, indent: str, width: int | None) -> str:
    room = 0 if width is None else width - len(indent)
    if room < _NARROWEST:
        return text
    parts = textwrap.wrap(text, room, break_long_words=False, break_on_hyphens=False)
    return f"\n{indent}".join(parts)


def _time(result: CheckResult) -> Message:
    if result.took_ms < 1_000:
        return Message("{number:.0f} ms", number=result.took_ms)
    return Message("{number:.1f} s", number=result.took_ms / 1_000)
