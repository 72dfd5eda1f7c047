"""What others wrote reaches the terminal as text: it moves no cursor, sets no title, hides and reorders nothing."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from cli_support import run_command
from rich.console import Console

import orchestrator
from orchestrator.cli.context import CliContext
from orchestrator.cli.live import print_markdown, render
from orchestrator.cli.view import RunView
from orchestrator.errors import Overloaded
from orchestrator.i18n.languages import Language
from orchestrator.models import (
    AnswerMode,
    Event,
    EventType,
    Report,
    RunOutcome,
    RunPage,
    RunSnapshot,
    RunState,
    RunSummary,
    TroubleshootRequest,
)
from orchestrator.store.run_filter import RunFilter
from workers.doctor.check import CheckResult, Status
from workers.doctor.report import table_report

RUN = "run-0000-0001"
HOSTILE = "a\x1b[2J\x1b]0;t\x07\x1b]52;c;eA==\x1b\\\x9b31m\x9dx\x9c\r\x08\x7f\u202eb\u2066\u200b\u00ad\U000e0041\ufe0fz"
DRIVES = re.compile(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u00ad\u200b\u202e\u2066\ufe0f\U000e0041]")
EVENTS = tuple(
    Event(id=f"{number}-0", run_id=RUN, type=kind, at_ms=number, data=data)
    for number, (kind, data) in enumerate(
        (
            (EventType.ACCEPTED, {"total_seconds": 10}),
            (
                EventType.ROUTED,
                {
                    "intent": HOSTILE,
                    "confidence": 0.5,
                    "notes": [HOSTILE],
                    "sources": [{"source": HOSTILE, "job": HOSTILE, "key": f"{HOSTILE}|{HOSTILE}"}],
                },
            ),
            (EventType.SOURCE_STARTED, {"source": HOSTILE, "job": HOSTILE}),
            (
                EventType.SOURCE_FINISHED,
                {"source": HOSTILE, "job": HOSTILE, "outcome": "error", "error": HOSTILE, "finding": HOSTILE},
            ),
            (EventType.SYNTHESIS_STARTED, {"by": HOSTILE}),
            (EventType.DRAFT, {"text": HOSTILE}),
            (EventType.TOKEN, {"text": HOSTILE}),
            (EventType.FINAL, {"outcome": HOSTILE, "mode": HOSTILE, "response": HOSTILE, "committed_by": HOSTILE}),
        ),
        start=1,
    )
)


@dataclass
class HostileClient:
    """A store in which somebody has written."""

    report: Report
    snapshot: RunSnapshot
    summaries: list[RunSummary]

    def stream(self, *_: object, **__: object) -> Iterator[Event]:
        yield from EVENTS

    def result(self, *_: object, **__: object) -> Report:
        return self.report

    def get(self, _run_id: str) -> RunSnapshot:
        return self.snapshot

    def cancel(self, _run_id: str) -> RunSummary:
        raise Overloaded(HOSTILE)

    def page(self, *, limit: int = 20, after: str | None = None, where: RunFilter | None = None) -> RunPage:
        return RunPage(runs=tuple(self.summaries[:limit]))

    def close(self) -> None:
        pass


@pytest.mark.parametrize("command", ["list", "get", "watch", "cancel", "nosuch"])
@pytest.mark.parametrize("is_closed", [True, False])
def test_commands_write_nothing_that_drives_a_terminal(
    command: str, is_closed: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    """A list, the state of a run, its progress, answer and errors."""
    report = Report(
        run_id=RUN, outcome=RunOutcome.PARTIAL, mode=AnswerMode.RAW, response=HOSTILE, committed=False, reason=HOSTILE
    )
    client = HostileClient(
        report,
        RunSnapshot(
            run_id=RUN,
            state=RunState.DONE if is_closed else RunState.DISPATCHED,
            request=TroubleshootRequest(message=HOSTILE),
            report=report if is_closed else None,
            created_at_ms=1,
            deadline_ms=2,
            sources={f"{HOSTILE}|{HOSTILE}": {"state": "started", "finding": HOSTILE, "outcome": HOSTILE}},
        ),
        [RunSummary(run_id=RUN, state=RunState.DONE, created_at_ms=1, deadline_ms=2, message=HOSTILE, jobs=(HOSTILE,))],
    )
    args = {"list": ["list"], "nosuch": [HOSTILE]}.get(command, [command, RUN])
    context = CliContext({"TERM": "xterm"}, lambda _settings: client)
    result = run_command(capsys, args, context)
    shown = result.out + result.err
    assert DRIVES.search(shown) is None
    assert "z" in shown


def test_the_live_view_draws_nothing_that_drives_a_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    """Its headline, rows, notes and text, at each step of the run; the answer as well."""
    view, console = RunView(), Console(file=io.StringIO(), width=200, force_terminal=False)
    for event in EVENTS:
        view.apply(event, 1.0)
        console.print(render(view, Language.EN, monotonic=2.0, width=200))
    out = console.file
    assert isinstance(out, io.StringIO)
    assert DRIVES.search(out.getvalue()) is None
    print_markdown(HOSTILE)
    assert DRIVES.search(capsys.readouterr().out) is None


def test_the_doctor_tells_of_others_as_text() -> None:
    """What a server answered, and what to do about it."""
    shown = table_report([CheckResult(Status.OK, HOSTILE, HOSTILE, name="tws")], Language.EN, width=80)
    assert DRIVES.search(shown.replace("\x1b[32m", "").replace("\x1b[0m", "")) is None


def test_there_is_one_way_to_the_terminal() -> None:
    """Only the commands' context writes, which leaves out what drives a terminal; the doctor has colours of its own."""
    writers = {
        f"{path.parent.name}/{path.name}"
        for folder in ("orchestrator/cli", "workers/cli", "workers/doctor", "workers/standalone")
        for path in Path(orchestrator.__path__[0]).parent.joinpath(folder).rglob("*.py")
        if re.search(r"\bclick\.(?:echo|secho)\(|(?<![\w.])print\(|\bsys\.std(?:out|err)\.write\(", path.read_text())
    }
    assert writers == {"cli/context.py", "cli/doctor.py"}
