"""The live view as rich draws it."""

from __future__ import annotations

import io
import re

import pytest
from rich.console import Console

from orchestrator.cli.live import LiveDisplay, print_markdown, render
from orchestrator.cli.view import RunView
from orchestrator.i18n.languages import Language
from orchestrator.models import Event, EventType


def event(number: int, kind: EventType, **data: object) -> Event:
    return Event(id=f"{number}-0", run_id="run-0000-0001", type=kind, at_ms=1_000 * number, data=data)


EVENTS = (
    event(1, EventType.ACCEPTED, total_seconds=10),
    event(
        2,
        EventType.ROUTED,
        intent="troubleshoot",
        confidence=0.9,
        notes=["node limit was clipped"],
        sources=[{"source": "tws_status", "key": "tws_status"}, {"source": "metrics", "key": "metrics"}],
    ),
    event(3, EventType.SOURCE_STARTED, source="tws_status"),
    event(4, EventType.SOURCE_FINISHED, source="metrics", outcome="ok", latency_ms=250, finding="[red]CPU[/red] 97 %"),
)


def drawn(view: RunView, *, language: Language = Language.EN, width: int = 100, height: int = 40) -> list[str]:
    console = Console(file=io.StringIO(), width=width, force_terminal=False)
    console.print(render(view, language, monotonic=3.0, height=height, width=width))
    out = console.file
    assert isinstance(out, io.StringIO)
    return out.getvalue().splitlines()


def folded(*events: Event) -> RunView:
    view = RunView()
    for item in events:
        view.apply(item, 1.0)
    return view


def test_live_view_has_a_row_per_source() -> None:
    """Each source is one row with its state, its time (still running ones tick) and its finding, taken literally."""
    lines = drawn(folded(*EVENTS))
    assert "run-0000-0001  troubleshoot (90%)  5.0 s of 10 s" in lines[0]
    assert [line.split() for line in lines[2:4]] == [
        ["tws_status", "querying", "3.00", "s"],
        ["metrics", "ok", "0.25", "s", "[red]CPU[/red]", "97", "%"],
    ]
    assert lines[4] == "note: node limit was clipped"


def test_live_view_speaks_the_users_language() -> None:
    """Heads and states are in the terminal's language."""
    text = "\n".join(drawn(folded(*EVENTS), language=Language.PT_BR))
    assert "consultando" in text
    assert "achado" in text


def test_live_view_keeps_the_newest_lines_of_a_long_draft() -> None:
    """A draft longer than the terminal shows its end, so that the view never scrolls away."""
    view = folded(*EVENTS, event(5, EventType.DRAFT, text="\n".join(f"line {n}" for n in range(100))))
    lines = drawn(view, height=20)
    assert len(lines) <= 20
    assert any("line 99" in line for line in lines)
    assert not any("line 10 " in line for line in lines)


def test_live_view_leaves_the_answer_to_standard_output() -> None:
    """Once the run has ended the table stays with the outcome and the body is gone."""
    view = folded(
        *EVENTS,
        event(5, EventType.DRAFT, text="the draft"),
        event(
            6,
            EventType.FINAL,
            outcome="complete",
            mode="deterministic",
            committed_by="s",
            response="the answer",
            total_latency_ms=5_000,
        ),
    )
    lines = drawn(view)
    assert "complete" in lines[0]
    assert "the answer" not in "\n".join(lines)
    assert "the draft" not in "\n".join(lines)


def test_live_view_cuts_a_finding_to_the_width() -> None:
    """A long finding neither wraps its row nor squeezes the name, the state or the time."""
    end = event(
        5, EventType.SOURCE_FINISHED, source="tws_status", outcome="not_started", latency_ms=250, finding="x" * 500
    )
    lines = drawn(folded(*EVENTS, end), width=60)
    assert all(len(line) <= 60 for line in lines)
    assert len(lines) == 5
    assert re.match(r"tws_status  not started  0\.25 s  x{20,}… *$", lines[2])


def test_live_display_writes_its_end_state() -> None:
    """When the display closes, the last state stays on the terminal and the cursor is visible again."""
    out = io.StringIO()
    console = Console(file=out, width=100, height=30, force_terminal=True)
    with LiveDisplay(RunView(), Language.EN, console) as display:
        for item in EVENTS:
            display.take(item, 1.0)
        display.say("a word [bold]between[/bold]")
    text = out.getvalue()
    assert "metrics" in text
    assert "a word [bold]between[/bold]" in text
    assert text.rfind("\x1b[?25h") > text.rfind("\x1b[?25l")


def test_live_display_leaves_room_for_the_echo_of_ctrl_c() -> None:
    """No line reaches the right edge: ``^C`` behind it would wrap, and the next view would begin a line too low."""
    out = io.StringIO()
    console = Console(file=out, width=60, height=30, force_terminal=True)
    with LiveDisplay(RunView(), Language.EN, console) as display:
        for item in (*EVENTS, event(5, EventType.DRAFT, text="word " * 50)):
            display.take(item, 1.0)
    lines = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", out.getvalue()).replace("\r", "\n").splitlines()
    assert max(len(line) for line in lines) == 58


def test_live_display_survives_the_end_of_its_terminal() -> None:
    """A terminal that is gone is no error of the view: the signal that says so is what ends the command."""

    class Gone(io.StringIO):
        is_gone = False

        def write(self, text: str) -> int:
            if self.is_gone:
                raise OSError(5, "Input/output error")
            return super().write(text)

    out = Gone()
    display = LiveDisplay(RunView(), Language.EN, Console(file=out, width=60, force_terminal=True))
    display.__enter__()
    out.is_gone = True
    display.say("a word")
    display.__exit__(None, None, None)


def test_live_view_cuts_a_long_name_in_its_middle() -> None:
    """A job's name of forty characters leaves room for the finding, and two jobs can still be told apart."""
    names = ("BATCH001_WITH_A_NAME_THAT_IS_VERY_LONG", "BATCH002_WITH_A_NAME_THAT_IS_VERY_LONG")
    sources = [{"source": "tws_status", "job": name} for name in names]
    done = event(3, EventType.SOURCE_FINISHED, source="tws_status", job=names[0], outcome="ok", finding="ABEND RC=12")
    lines = drawn(folded(event(2, EventType.ROUTED, sources=sources), done), width=80)
    assert lines[2].startswith("tws_status [BATCH001_…VERY_LONG]  ok")
    assert lines[2].rstrip().endswith("ABEND RC=12")
    assert lines[3].startswith("tws_status [BATCH002_…VERY_LONG]  waiting")


def test_headline_keeps_to_a_line_of_a_narrow_terminal() -> None:
    """On 80 columns the outcome still stands on the first line; how the answer was made stands in the answer."""
    end = event(5, EventType.FINAL, outcome="complete", mode="deterministic", response="r", total_latency_ms=500)
    view = folded(*(item.model_copy(update={"run_id": "c7b0f18f67514bfb8b311450382c25f9"}) for item in (*EVENTS, end)))
    lines = drawn(view, language=Language.PT_BR, width=80)
    assert lines[0].rstrip().endswith("0,5 s de 10 s  completa")
    assert lines[1].startswith("fonte")
    assert drawn(view, width=120)[0].rstrip().endswith("complete  deterministic")
    assert lines[-1].strip() == "", "the answer would begin right under the table"


def test_answer_has_no_background_of_its_own(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Quoted log lines are marked without a background, which would be a black bar on a light terminal."""
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm-256color")
    print_markdown('The log says `ABEND=S0C7`.\n\n```json\n{"data": 1}\n```')
    shown = capsys.readouterr().out
    assert "\x1b[1mABEND=S0C7\x1b[0m" in shown
    assert "data" in shown
    assert not re.search(r"\x1b\[(?:\d+;)*4[0-8][;m]", shown)


@pytest.mark.parametrize("answer", ["The log says `ABEND=S0C7`.", "## Diagnóstico\n\n1. **Causa:** texto"])
def test_answer_keeps_to_no_color(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, answer: str
) -> None:
    """With NO_COLOR an answer has no colours."""
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm-256color")
    print_markdown(answer)
    assert not re.search(r"\x1b\[(?:\d+;)*(?:3[0-8]|4[0-8]|9[0-7])[;m]", capsys.readouterr().out)
