"""What tws_status tells the other sources of a run."""

from __future__ import annotations

from orchestrator.payloads import IssueFacts, JobFacts, JobLogFacts, LogWindow, RunFacts
from workers.sources.tws_status.clues import clue_of


def a_job(status: str, *lines: str, **fields: object) -> JobFacts:
    log = JobLogFacts(run_id="1", windows=(LogWindow(from_line=1, to_line=len(lines), lines=lines),))
    run = RunFacts(run_id="1", return_code=1, started_at="2026-11-24T01:00:00Z", ended_at="2026-11-24T01:05:00Z")
    return JobFacts(
        id="x",
        name="CARGA01",
        workstation="LNX01",
        status=status,
        runs=(run,),
        job_log=log if lines else None,
        **fields,
    )


def test_a_clue_is_the_error_of_the_log_and_not_its_routine() -> None:
    """The code, the line that holds it, and the times of the run."""
    job = a_job("ABEND", "= JOB       : LNX01#CARGA01", "loading 120 rows", "ORA-12541: TNS:no listener", "end")
    clue = clue_of("tws_status", "CARGA01", [job])
    assert clue is not None
    assert clue.codes == ("ORA-12541",)
    assert clue.lines[0] == "ORA-12541: TNS:no listener"
    assert "end" not in clue.lines
    assert (clue.job, clue.workstation, clue.return_code) == ("CARGA01", "LNX01", 1)
    assert clue.ended_at == "2026-11-24T01:05:00Z"


def test_the_abend_is_a_clue_beside_the_message_that_explains_it() -> None:
    """A page about S0C7 is found, not only one about CEE3207S."""
    clue = clue_of(
        "tws_status",
        "CARGA01",
        [
            a_job(
                "ABEND",
                " 14.07.34 JOB07312  CEE3207S The system detected a data exception (System Completion Code=0C7).",
                " 14.07.35 JOB07312  IEF450I CARGA01 STEP020 - ABEND=S0C7 U0000 REASON=00000000",
            )
        ],
    )
    assert clue is not None
    assert {"CEE3207S", "S0C7"} <= set(clue.codes)


def test_a_job_that_was_never_launched_tells_its_issue() -> None:
    """There is no log to read."""
    issue = IssueFacts(message="AWSBDW057E The job was not launched: user not found")
    clue = clue_of("tws_status", None, [a_job("FAIL", issues=(issue,))])
    assert clue is not None
    assert clue.codes == ("AWSBDW057E",)


def test_a_job_that_ended_well_tells_nothing() -> None:
    """Whatever words its log holds."""
    assert clue_of("tws_status", None, [a_job("SUCC", "ORA-12541: TNS:no listener")]) is None
    assert clue_of("tws_status", None, []) is None
