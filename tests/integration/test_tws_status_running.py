"""Jobs that run: how long, against which estimate, and what their log waits for; times with their zone."""

from datetime import UTC, datetime, timedelta

import pytest
from asked_support import ask_plan

from workers.lab.simulator.plan import Plan, Run

NOW = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
WAITING_LOG = [
    "1                     J E S 2  J O B  L O G  --  S Y S T E M  P R D 1  --  N O D E  N J E P R D 1",
    " 10.57.00 JOB41873  $HASP373 CARGA01  STARTED - INIT 7    - CLASS P        - SYS PRD1",
    " 10.57.00 JOB41873  IEF403I CARGA01 - STARTED - TIME=10.57.00",
    " 10.57.01 JOB41873  IEF861I FOLLOWING RESERVED DATA SET NAMES UNAVAILABLE TO CARGA01",
    " 10.57.01 JOB41873  IEF863I DSN = PRD.FAT.MOVTO.VSAM         CARGA01  RC = 04",
    " 10.57.01 JOB41873 *IEF099I JOB CARGA01  WAITING FOR DATA SETS",
]


def running_plan(minutes: int, *, estimated: int = 25, log: list[str] | None = None) -> Plan:
    """CARGA01, running for so many minutes."""
    plan = Plan(NOW)
    plan.add_workstation("ZOS1", kind="X-AGENT", os="ZOS")
    plan.add_stream("FATDIA", "ZOS1")
    run = Run(NOW - timedelta(minutes=minutes), None, "EXEC", None, log)
    plan.add_job(
        "CARGA01", "FATDIA", "ZOS1", status="EXEC", runs=[run], estimated=timedelta(minutes=estimated), task="X(C)"
    )
    return plan


def test_a_running_job_past_its_estimate_says_both_figures() -> None:
    """The server gives a start and no duration; the time since then counts by the server's clock."""
    asked = ask_plan(running_plan(63), "O job CARGA01 está demorando?")
    assert asked.diagnosis.category == "running"
    assert "há 63 min, contra 25 min estimados" in asked.diagnosis.summary


def test_a_running_job_within_its_estimate_says_how_long() -> None:
    """Within the estimate there is nothing to compare."""
    asked = ask_plan(running_plan(12), "status do job CARGA01")
    assert "há 12 min" in asked.diagnosis.summary
    assert "estimados" not in asked.diagnosis.summary


def test_a_running_jobs_log_is_read_for_what_it_waits_for() -> None:
    """A job that runs may wait for a dataset; its log says for which."""
    asked = ask_plan(running_plan(63, log=WAITING_LOG), "Por que o job CARGA01 não termina?")
    assert asked.diagnosis.category == "dataset_in_use"
    assert "há 63 min, contra 25 min estimados" in asked.diagnosis.summary
    assert any("PRD.FAT.MOVTO.VSAM" in claim.text for claim in asked.diagnosis.claims)
    assert not any(action.command and " rr " in action.command for action in asked.diagnosis.actions)


def test_the_end_of_a_long_running_log_is_read() -> None:
    """What a job waits for now stands at the end of its log."""
    log = [*(f" LOTE {number:06d} PROCESSADO" for number in range(5000)), *WAITING_LOG[3:]]
    asked = ask_plan(running_plan(63, log=log), "Por que o job CARGA01 não termina?")
    assert asked.diagnosis.category == "dataset_in_use"


def test_a_run_without_elapsed_time_has_a_duration() -> None:
    """End minus start, where the server leaves the duration out."""
    plan = running_plan(63)
    (run,) = plan.jobs[0]["jobruns"]
    run["timeInfo"]["actualEndTime"] = "2026-11-24T11:22:30Z"
    asked = ask_plan(plan, "status do job CARGA01")
    assert asked.payload.job is not None
    assert asked.payload.job.runs[0].elapsed_seconds == 25.5 * 60


@pytest.mark.parametrize(
    ("zone", "ended", "when"),
    [
        ("America/Sao_Paulo", "2026-11-24 08:11 (America/Sao_Paulo)", "2026-11-24T08:11:00-03:00"),
        ("", "2026-11-24 11:11 (UTC)", "2026-11-24T11:11:00Z"),
        ("Nowhere/Else", "2026-11-24 11:11 (UTC)", "2026-11-24T11:11:00Z"),
    ],
)
def test_times_are_the_events_in_the_instances_zone(zone: str, ended: str, when: str) -> None:
    """Beside a state stands when the job came into it, not when it was scheduled; and the zone is said."""
    plan = Plan(NOW)
    plan.engine["timezone"] = zone
    plan.add_workstation("SRV1")
    plan.add_stream("JS1", "SRV1")
    run = Run(NOW - timedelta(minutes=60), timedelta(minutes=11), "ABEND", 8, ["erro"])
    plan.add_job("JOB_A", "JS1", "SRV1", status="ABEND", runs=[run], scheduled=NOW - timedelta(hours=9))
    asked = ask_plan(plan, "status do job JOB_A")
    assert ended in asked.diagnosis.summary
    assert next(item.when for item in asked.result.evidence if item.kind == "job") == when
