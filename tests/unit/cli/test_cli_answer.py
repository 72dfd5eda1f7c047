"""How an answer reaches standard output: laid out, compact or as it is, by what stands there."""

from __future__ import annotations

import sys

import pytest

from orchestrator.cli.context import CliContext
from orchestrator.cli.follow import print_report
from orchestrator.i18n.languages import Language
from orchestrator.models import AggregatedData, AnswerMode, Diagnosis, Entities, Intent, Report, Routing, RunOutcome

RESPONSE = "## Diagnóstico\n\nBATCH001 terminou em ABEND.\n"


def a_report(mode: AnswerMode = AnswerMode.DETERMINISTIC) -> Report:
    """A report with a diagnosis; one in mode ``error`` has none."""
    has_diagnosis = mode is not AnswerMode.ERROR
    return Report(
        run_id="run-00000001",
        outcome=RunOutcome.COMPLETE if has_diagnosis else RunOutcome.FAILED,
        mode=mode,
        response=RESPONSE,
        diagnosis=Diagnosis(summary="BATCH001 terminou em ABEND.") if has_diagnosis else None,
        routing=Routing(intent=Intent.STATUS, confidence=1, language=Language.PT_BR, entities=Entities()),
        aggregated_data=AggregatedData(sources_available=("tws_status",)),
        committed_by="test",
    )


def printed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], report: Report, *, terminal: bool, term: str
) -> str:
    """What stands on standard output."""
    monkeypatch.setattr(sys.stdout, "isatty", lambda: terminal)
    print_report(CliContext({"TERM": term}), report, as_json=False)
    return capsys.readouterr().out


def test_a_pipe_gets_markdown(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Into a pipe or a file the answer goes as the app gets it."""
    assert printed(monkeypatch, capsys, a_report(), terminal=False, term="xterm").startswith("## Diagnóstico")


@pytest.mark.parametrize("has_rich", [True, False])
def test_a_terminal_that_shows_no_markdown_gets_compact_text(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], has_rich: bool
) -> None:
    """A dumb terminal, and any terminal without rich, gets the diagnosis in plain lines without Markdown's marks."""
    if not has_rich:
        monkeypatch.delattr("orchestrator.cli.live", raising=False)
        monkeypatch.setitem(sys.modules, "orchestrator.cli.live", None)
    out = printed(monkeypatch, capsys, a_report(), terminal=True, term="dumb" if has_rich else "xterm")

    assert out.startswith("DIAGNÓSTICO: BATCH001 terminou em ABEND.")
    assert "##" not in out


def test_an_answer_without_a_diagnosis_is_shown_as_it_is(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """An error has no diagnosis to lay out: its text is the answer everywhere."""
    out = printed(monkeypatch, capsys, a_report(AnswerMode.ERROR), terminal=True, term="dumb")

    assert out.strip() == RESPONSE.strip()
