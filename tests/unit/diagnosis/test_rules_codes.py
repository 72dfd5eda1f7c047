"""Codes in the log of a failed job, and what else an operator has to know of it: situations beyond the scenarios."""

from __future__ import annotations

import pytest
from rules_support import S0C7, ask, job_facts, job_log, tws

from orchestrator.payloads import WorkstationFacts


def test_two_abends_are_told_each_with_its_own_step() -> None:
    """The first abend leads with the step that it happened in, and the other one is named beside it."""
    lines = ("IEF450I BATCH001 STEP010 - ABEND=SB37 U0000 REASON=00000004", S0C7)
    diagnosis = ask(tws(job_facts("ABEND", return_code=12, job_log=job_log(*lines, step="STEP030"))))

    assert diagnosis.summary.startswith("O job BATCH001 terminou em ABEND SB37 no passo STEP010")
    assert "O job log registra ainda: S0C7 (STEP030)." in diagnosis.summary
    assert {item.category for item in diagnosis.hypotheses} >= {"dataset_space", "data_exception"}


@pytest.mark.parametrize(
    "tolerated",
    [
        ("STEP010 SQLCODE = -803, IGNORED", "IEF142I BATCH001 STEP010 - STEP WAS EXECUTED - COND CODE 0000"),
        ("SQLCODE = -803", "IEF142I BATCH001 STEP010 - STEP WAS EXECUTED - COND CODE 0004"),
        (
            "IEF212I BATCH001 STEP010 X - DATA SET NOT FOUND",
            "IEF142I BATCH001 STEP010 - STEP WAS EXECUTED - COND CODE 0004",
        ),
    ],
)
def test_a_code_that_an_earlier_step_survived_is_no_cause(tolerated: tuple[str, str]) -> None:
    """What a step met that ended by itself before another one failed is at most a hint."""
    end = "IEF142I BATCH001 STEP030 - STEP WAS EXECUTED - COND CODE 0016"
    log = job_log(*tolerated, "ICE046A 0 SORT CAPACITY EXCEEDED - RECORD COUNT: 1000", end, step="STEP030")
    diagnosis = ask(tws(job_facts("ABEND", return_code=16, job_log=log)))

    assert diagnosis.category == "dataset_space"
    assert "ABEND" not in diagnosis.summary
    assert all(item.confidence < 0.5 for item in diagnosis.hypotheses[1:])


@pytest.mark.parametrize(
    ("lines", "category"),
    [
        (("DSNT408I SQLCODE = -911, ERROR: ROLLED BACK", "IEF450I B S1 - ABEND=S000 U4038"), "database_lock"),
        (("SQLCODE: 0000000922-",), "security_violation"),
        (("OPEN CLIENTES FILE STATUS 39",), "dataset_open_error"),
        (
            ("CEE3207S The system detected a data exception (System Completion Code=0C7).", "ABEND=S000 U4038"),
            "data_exception",
        ),
        (("FILE STATUS 97",), "application_error"),
    ],
)
def test_what_the_program_met_says_more_than_how_it_ended(lines: tuple[str, ...], category: str) -> None:
    """A database's or a file's code, and Language Environment's message, lead before U4038 or a return code."""
    diagnosis = ask(tws(job_facts("ABEND", return_code=12, job_log=job_log(*lines))))

    assert diagnosis.category == category
    assert diagnosis.hypotheses[0].supports


def test_an_abend_that_the_catalogue_lacks_is_told_as_it_is() -> None:
    """The code, its step and its line are told although nobody listed it; a cause is not made up."""
    line = "IEF450I BATCH001 STEP030 - ABEND=S7F1 U0000 REASON=00000000"
    diagnosis = ask(tws(job_facts("ABEND", return_code=12, job_log=job_log(line))))

    assert diagnosis.category == "unknown"
    assert "ABEND S7F1 no passo STEP030" in diagnosis.summary
    assert any(line in claim.text for claim in diagnosis.claims)


@pytest.mark.parametrize(
    ("station", "words"),
    [
        (WorkstationFacts(name="SRV01", linked=False, limit=10), "não partiria: a workstation SRV01 está desconectada"),
        (WorkstationFacts(name="SRV01", linked=True, limit=0), "não partiria: a workstation SRV01 está com LIMIT 0"),
        (WorkstationFacts(name="SRV01", linked=True, limit=10), ""),
    ],
)
def test_a_failed_jobs_workstation_that_starts_nothing_is_named(station: WorkstationFacts, words: str) -> None:
    """The cause stays the job's own, and who would rerun it reads what keeps it from starting."""
    diagnosis = ask(tws(job_facts("ABEND", job_log=job_log(S0C7)), stations=(station,)))

    assert diagnosis.category == "data_exception"
    assert words in diagnosis.summary
    assert ("não partiria" in diagnosis.summary) is bool(words)


def test_both_obstacles_of_a_workstation_are_told() -> None:
    """An unlinked workstation whose limit is zero starts nothing when it is linked again."""
    station = WorkstationFacts(name="SRV01", linked=False, limit=0)
    diagnosis = ask(tws(job_facts("READY"), stations=(station,)), message="por que o BATCH001 não inicia?")

    assert diagnosis.category == "agent_unlinked"
    assert "LIMIT 0" in diagnosis.summary


@pytest.mark.parametrize("state", ["CANCL", "PEND", "SUPPR"])
def test_a_state_that_says_it_is_not_hedged(state: str) -> None:
    """What the state names outright is told as a fact, not as the likeliest of guesses."""
    diagnosis = ask(tws(job_facts(state)), message="o que houve com o BATCH001?")

    assert diagnosis.confidence >= 0.7
    assert diagnosis.summary.startswith("O job BATCH001")


def test_the_log_of_a_job_that_was_not_launched_is_quoted() -> None:
    """A job in FAIL that has a log all the same (a JCL error) is told with the line that says why."""
    line = "IEFC452I BATCH001 - JOB NOT RUN - JCL ERROR"
    diagnosis = ask(tws(job_facts("FAIL", job_log=job_log(line))))

    assert any(line in claim.text for claim in diagnosis.claims)
