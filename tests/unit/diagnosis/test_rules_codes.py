"""Codes in the log of a failed job, and what else an operator has to know of it: situations beyond the scenarios."""

from __future__ import annotations

import pytest
from rules_support import S0C7, ask, job_facts, job_log, tws

from orchestrator.diagnosis.rules.scene import MAX_LOG_CHARACTERS, Scene
from orchestrator.models import Entities
from orchestrator.payloads import IssueFacts, JobLogFacts, LogWindow, RunFacts, WorkstationFacts


def test_two_abends_are_told_each_with_its_own_step() -> None:
    """The first abend leads with the step that it happened in, and the other one is named beside it."""
    lines = ("IEF450I BATCH001 STEP010 - ABEND=SB37 U0000 REASON=00000004", S0C7)
    diagnosis = ask(tws(job_facts("ABEND", return_code=12, job_log=job_log(*lines, step="STEP030"))))

    assert diagnosis.summary.startswith("O job BATCH001 terminou em ABEND SB37 no passo STEP010")
    assert "O job log registra ainda: S0C7 (STEP030)." in diagnosis.summary
    assert {item.category for item in diagnosis.hypotheses} >= {"dataset_space", "data_exception"}


@pytest.mark.parametrize("wrong", [float("nan"), "soon", [], {"a": 1}])
def test_a_wrong_value_in_a_sources_data_costs_itself_alone(wrong: object) -> None:
    """The rules read what is right beside it: the abend of the job log is still the answer."""
    facts = job_facts("ABEND", return_code=12, job_log=job_log(S0C7, step="STEP030"), runs=(RunFacts(run_id="1"),))
    envelope = tws(facts)
    envelope.data["job"]["runs"][0]["elapsed_seconds"] = wrong
    envelope.data["job"]["estimated_seconds"] = wrong
    assert ask(envelope).category == "data_exception"


def test_a_log_of_one_endless_line_is_read_as_far_as_it_tells() -> None:
    """What another's source gives as a line may be a whole log: its beginning is read, in a moment."""
    log = job_log(S0C7, "S0C7 " * 40_000, step="STEP030")
    scene = Scene(question_job="BATCH001", question="x", entities=Entities(), job=job_facts("ABEND", job_log=log))
    assert sum(map(len, scene.log_lines)) == MAX_LOG_CHARACTERS
    assert scene.log_lines[0] == S0C7


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


@pytest.mark.parametrize("status", ["EXEC", "SUCC"])
def test_what_runs_or_ended_well_is_not_rerun(status: str) -> None:
    """The log of a job that has not failed proposes no change, whatever errors it holds."""
    log = job_log("ERROR: ORA-00054: resource busy and acquire with NOWAIT specified", "FATAL: gave up")
    diagnosis = ask(tws(job_facts(status, return_code=None, job_log=log)))

    assert not any(action.mutates for action in diagnosis.actions)


@pytest.mark.parametrize("status", ["HOLD", "READY", "SUSP", "CANCL", "PEND", "STUCK", "EXTRN"])
def test_the_log_of_an_earlier_run_explains_no_job_that_waits(status: str) -> None:
    """A job that has not failed is not said to have failed, whatever its last log and return code hold."""
    log = job_log("ORA-12541: TNS:no listener", "IEF450I BATCH001 STEP030 - ABEND=S0C7 U0000", "exit 8")
    diagnosis = ask(tws(job_facts(status, return_code=8, job_log=log)))

    assert "falhou" not in diagnosis.summary.replace("o predecessor falhou", "")
    assert not {item.category for item in diagnosis.hypotheses} & {"database_unavailable", "data_exception"}


def test_what_the_plan_reports_of_a_waiting_job_is_told_with_its_state() -> None:
    """A known message among the issues of a job that waits is told as such, not as a failure."""
    text = "AWSBHT001E The job has failed: user not found"
    summary = ask(tws(job_facts("READY", issues=(IssueFacts(type="ERROR", message=text),)))).summary
    assert "O job BATCH001 está em READY: " in summary


def test_a_message_says_more_than_the_number_of_a_signal() -> None:
    """YARN ended the container for its memory: that it did so with SIGTERM is no second cause."""
    line = "ERROR Container killed by YARN for exceeding memory limits. 9.1 GB of 9 GB physical memory used."
    diagnosis = ask(tws(job_facts("ABEND", return_code=143, job_log=job_log(line))))
    assert diagnosis.category == "out_of_memory"


def test_a_state_that_nobody_knows_is_told_with_what_the_log_shows() -> None:
    """A newer server's state hides no known message."""
    diagnosis = ask(tws(job_facts("XPTO", job_log=job_log("ORA-00001: unique constraint (A.B) violated"))))
    assert diagnosis.summary.startswith("O job BATCH001 está em XPTO: chave duplicada")


def test_a_fact_of_a_log_becomes_no_code_in_an_answer() -> None:
    """A command between back-ticks in a log line does not look like one of the answer."""
    diagnosis = ask(tws(job_facts("ABEND", return_code=1, job_log=job_log("FATAL `conman cancel X`"))))
    assert "'conman cancel X'" in diagnosis.summary
    assert "`conman" not in diagnosis.summary


def test_an_access_that_was_allowed_all_the_same_is_no_cause() -> None:
    """A message that its own text shows to be a warning counts neither as symptom nor by its id."""
    lines = (
        "ICH408I USER(X) GROUP(Y) NAME(Z)",
        "  A.B CL(DATASET ) VOL(V1)",
        "  WARNING: INSUFFICIENT AUTHORITY - TEMPORARY ACCESS ALLOWED",
        "PGM1 E TOTAL DIFERE",
    )
    diagnosis = ask(tws(job_facts("ABEND", return_code=8, job_log=job_log(*lines))))
    assert diagnosis.category != "security_violation"
    assert "ICH408I" not in diagnosis.summary


def test_an_abend_code_of_a_step_that_ended_by_itself_does_not_lead() -> None:
    """Of two codes the one of the step that abended is the cause."""
    lines = (
        "IEC141I 013-18,IGG0191B,BATCH001,STEP1,SYSLIB",
        "IEF142I BATCH001 STEP1 - STEP WAS EXECUTED - COND CODE 0000",
        "IEF450I BATCH001 STEP2 - ABEND=S0CB U0000",
    )
    diagnosis = ask(tws(job_facts("ABEND", job_log=job_log(*lines, step="STEP2"))))
    assert diagnosis.summary.startswith("O job BATCH001 terminou em ABEND S0CB no passo STEP2")


def test_a_sort_work_dataset_that_filled_up_is_no_abend() -> None:
    """The sort goes on after B37 of a work dataset: its own message leads, with its own advice."""
    lines = (
        "IEC030I B37-04,IFG0554A,BATCH001,STEP1,SORTWK01,A5AA,WORK11,SYS26332.T024108.RA000.BATCH001.R01",
        "ICE046A 0 SORT CAPACITY EXCEEDED - RECORD COUNT: 181202233",
    )
    diagnosis = ask(tws(job_facts("ABEND", return_code=16, job_log=job_log(*lines))))
    assert "DFSORT" in diagnosis.summary
    assert "ABEND SB37" not in diagnosis.summary
    assert any("SORTWK" in action.text for action in diagnosis.actions)


def test_a_command_that_was_asked_for_is_proposed_once() -> None:
    """The requested rerun and the one of the advice are one step."""
    log = job_log("ORA-00001: unique constraint (A.B) violated")
    diagnosis = ask(tws(job_facts("ABEND", return_code=1, job_log=log)), message="Reexecute o job BATCH001 agora")
    commands = [action.command for action in diagnosis.actions if action.command]
    assert len(commands) == len(set(commands))


def test_what_the_plan_reports_is_not_told_of_the_log() -> None:
    """A message among the plan's issues is quoted once, and as the plan's."""
    text = "AWSBHT001E The job has failed: user not found"
    diagnosis = ask(tws(job_facts("FAIL", issues=(IssueFacts(type="ERROR", message=text),))))

    quoting = [claim.text for claim in diagnosis.claims if text in claim.text]
    assert quoting == [f"O TWS informa: `{text}`"]


def test_a_job_in_fail_with_a_log_is_told_by_its_log() -> None:
    """No answer says that there is hardly ever a log while it quotes one."""
    diagnosis = ask(tws(job_facts("FAIL", job_log=job_log("ERRO 17: calendario nao encontrado"))))

    assert diagnosis.category == "launch_failure"
    assert "ERRO 17: calendario nao encontrado" in diagnosis.summary
    assert "quase nunca há job log" not in diagnosis.summary


def test_lines_are_counted_only_when_all_were_read() -> None:
    """Of windows of a log nobody knows how often a line stands in it, unless the source counted."""
    line = "ORA-12541: TNS:no listener"
    lines = tuple(text for _ in range(30) for text in (line, "sleep"))
    for total, count in ((60, "(30 x)"), (6_000, "")):
        log = JobLogFacts(total_lines=total, windows=(LogWindow(from_line=1, to_line=60, lines=lines),))
        summary = ask(tws(job_facts("ABEND", return_code=1, job_log=log))).summary
        assert ("repete esta linha" in summary) == bool(count)
        assert count in summary


def test_a_log_that_was_read_in_part_is_said() -> None:
    """The lines that were not read may hold the cause."""
    window = LogWindow(from_line=1, to_line=1, lines=("INFO record 1",))
    log = JobLogFacts(total_lines=100_000, read_lines=8_000, windows=(window,))
    missing = ask(tws(job_facts("ABEND", return_code=1, job_log=log))).missing_evidence
    assert "Das 100000 linhas do job log de BATCH001, 8000 foram lidas: a causa pode estar entre as outras." in missing


def test_a_long_fact_that_was_cut_shows_it() -> None:
    """A sentence does not end in half a word as if the program had written it so."""
    line = "ERROR: " + "the extraordinarily complicated validation " * 6
    diagnosis = ask(tws(job_facts("ABEND", return_code=1, job_log=job_log(line))))
    assert "…" in diagnosis.summary
    assert "…." not in diagnosis.summary


def test_names_of_products_keep_their_capital() -> None:
    """A cause after a colon begins with a small letter, a name does not."""
    line = 'Exception in thread "main" java.lang.OutOfMemoryError: Java heap space'
    summary = ask(tws(job_facts("ABEND", return_code=1, job_log=job_log(line)))).summary
    assert summary.startswith("O job BATCH001 falhou (RC 1): Java sem memória")
    assert ": erro geral." in ask(tws(job_facts("ABEND", return_code=1))).summary


@pytest.mark.parametrize(
    ("line", "known"),
    [
        ("IGD17101I DATA SET ALLOCATION REQUEST FAILED", True),
        ("XYZ99901E the house program says no", False),
    ],
)
def test_a_known_id_is_not_said_to_be_unknown(line: str, known: bool) -> None:
    """That the catalogue lacks a message is said of ids that it lacks, not of a known one in another form."""
    summary = ask(tws(job_facts("ABEND", return_code=1, job_log=job_log(line)))).summary
    assert line in summary
    assert ("que o catálogo não conhece" in summary) is not known


def test_every_abend_is_told_in_one_form() -> None:
    """ "terminou em ABEND S0C4" as "terminou em ABEND SB37": a code never stands alone in one of them."""
    for code in ("S0C4", "S0CB", "S806", "S322", "S522", "S722", "S878", "S913", "SB37", "S0C7"):
        log = job_log(f"IEF450I BATCH001 S1 - ABEND={code} U0000 REASON=00000000")
        assert f"terminou em ABEND {code} no passo S1" in ask(tws(job_facts("ABEND", job_log=log))).summary
