"""Names of steps: where z/OS writes them, and beside a word of a program's own log."""

from __future__ import annotations

import time

import pytest

from orchestrator.codes.steps import StepEnd, failed_step, last_step, step_end, step_of


@pytest.mark.parametrize(
    ("line", "end"),
    [
        # jobname [procstep] stepname, z/OS MVS System Messages, Vol 8.
        ("IEF450I BATCH001 STEP030 - ABEND=S0C7 U0000 REASON=00000000", StepEnd("STEP030", abended=True)),
        ("IEF450I J GO STEP020 - ABEND=S0C7 U0000 REASON=00000000", StepEnd("STEP020", "GO", abended=True)),
        ("16.02.11 JOB00093  IEF450I J GO STEP020 - ABEND S806 U0000", StepEnd("STEP020", "GO", abended=True)),
        ("IEF472I J STEP020 - COMPLETION CODE - SYSTEM=0C7 USER=0000", StepEnd("STEP020", abended=True)),
        ("IEF142I J1 STEP010 - STEP WAS EXECUTED - COND CODE 0004", StepEnd("STEP010", condition_code=4)),
        ("IEF142I DBDGEN00 C DLORD6 - STEP WAS EXECUTED - COND CODE 0000", StepEnd("DLORD6", "C", condition_code=0)),
        ("IEF272I J1 STEP020 - STEP WAS NOT EXECUTED.", StepEnd("STEP020")),
        ("IEF272I ZWE3ALOC ALLOCD ALLOCD - STEP WAS NOT EXECUTED.", StepEnd("ALLOCD", "ALLOCD")),
        ("IEF202I J1 @A#1 - STEP WAS NOT RUN BECAUSE OF CONDITION CODES", StepEnd("@A#1")),
        # The name before the dash is a DD statement's.
        ("IEF212I J1 STEP010 SYSUT1 - DATA SET NOT FOUND", None),
        ("IEF403I J1 - STARTED - TIME=10.00.00", None),
        ("STEP010 ENDED", None),
    ],
)
def test_the_end_of_a_step_is_read_as_z_os_writes_it(line: str, end: StepEnd | None) -> None:
    """The last name is the job's step; one before it is the step of the procedure that it calls."""
    assert step_end(line) == end


@pytest.mark.parametrize(
    ("line", "step"),
    [
        ("IEF450I J GO STEP020 - ABEND=S0C7", "STEP020"),
        ("BATCH001 abendou com SB37 no STEP020", "STEP020"),
        ("o passo EXTRATO falhou", "EXTRATO"),
        ("STEP: LOAD_01 rc=8", "LOAD_01"),
        ("the step PASSO10, not the first", "PASSO10"),
        ("//STEPLIB DD DSN=PRD.LOAD", ""),
        ("STEP WAS EXECUTED", ""),
        ("first step of the road", ""),
    ],
)
def test_a_line_names_a_step(line: str, step: str) -> None:
    """A step is a name in capitals after its word, or a word with a number; what stands there otherwise is none."""
    assert step_of(line) == step


@pytest.mark.parametrize(
    ("text", "failed", "last"),
    [
        ("IEF142I J1 STEP010 - STEP WAS EXECUTED\nIEF450I J1 STEP030 - ABEND=S0C7 U0000", "STEP030", "STEP030"),
        ("STEP010 FAILED\nIEF450I J1 GO STEP030 - ABEND=S0C7 U0000\nSTEP040 flushed", "STEP030", "STEP040"),
        ("passo EXTRATO terminou com ABEND S0C4\npasso FINAL pulado", "EXTRATO", "FINAL"),
        ("STEP010 ok\nSTEP020 ok", "", "STEP020"),
        ("first step of the road", "", ""),
    ],
)
def test_the_failed_step_is_found(text: str, failed: str, last: str) -> None:
    """The step beside the abend is the failed one, a step that ran before or after is not."""
    assert (failed_step(text), last_step(text)) == (failed, last)


@pytest.mark.parametrize("piece", ["STEP", "step ", "STEP1", "IEF450I A ", "passo : ", "A ", "- "])
def test_reading_steps_takes_time_in_line_with_the_text(piece: str) -> None:
    """No line of a log makes the patterns try every division of it."""
    started = time.thread_time()
    failed_step(piece * (200_000 // len(piece)))
    assert time.thread_time() - started < 2
