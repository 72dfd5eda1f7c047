"""Streams and workstations that live in folders: what is found, and what the commands name."""

from datetime import UTC, datetime, timedelta

import pytest
from asked_support import ask_plan

from workers.lab.simulator.plan import Plan, Run
from workers.lab.simulator.scenarios.mainframe import s0c7_log

NOW = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)


def plan_in_folders(*, station_folder: str = "/", limit: int = 20) -> Plan:
    """FATDIA twice on ZOS1: in /PRD/FAT, where BATCH001 failed, and in /HOM/FAT, where it ended well."""
    plan = Plan(NOW)
    plan.add_workstation("ZOS1", folder=station_folder, kind="X-AGENT", os="ZOS", limit=limit)
    started = NOW - timedelta(minutes=40)
    for folder, status, code in (("/PRD/FAT", "ABEND", 12), ("/HOM/FAT", "SUCC", 0)):
        plan.add_stream("FATDIA", "ZOS1", folder=folder, status="STUCK" if code else "SUCC")
        log = s0c7_log(started, 41873) if code else None
        run = Run(started, timedelta(minutes=11), status, code, log)
        plan.add_job("BATCH001", "FATDIA", "ZOS1", folder=folder, status=status, runs=[run], task="PRD.FAT.JCL(B)")
    waiting = plan.add_job("BATCH002", "FATDIA", "ZOS1", folder="/PRD/FAT", status="HOLD")
    plan.depends_on_job(waiting, plan.jobs[0]["id"])
    return plan


@pytest.mark.parametrize(
    ("station_folder", "whole"),
    [("/", "ZOS1#/PRD/FAT/FATDIA.BATCH001"), ("/PRD/LPAR1", "/PRD/LPAR1/ZOS1#/PRD/FAT/FATDIA.BATCH001")],
)
def test_commands_name_the_folders_of_the_stream_and_of_the_workstation(station_folder: str, whole: str) -> None:
    """conman selects a job by [folder/]WS#[folder/]STREAM.JOB; without its folder it would be one of the root."""
    asked = ask_plan(plan_in_folders(station_folder=station_folder), "Por que o job BATCH001 falhou?")
    assert f"conman rr {whole}" in asked.commands
    assert asked.payload.job is not None
    assert asked.payload.job.job_stream_status == "STUCK"
    # The same name in another folder is another job.
    assert asked.payload.candidates == (whole.replace("/PRD/FAT", "/HOM/FAT") + " (SUCC)",)


def test_a_job_is_found_by_its_folder() -> None:
    """Of two jobs of one name, stream and workstation, the one in the named folder is meant."""
    asked = ask_plan(plan_in_folders(), "status do job ZOS1#/HOM/FAT/FATDIA.BATCH001")
    assert asked.payload.job is not None
    assert (asked.payload.job.folder, asked.payload.job.status) == ("/HOM/FAT", "SUCC")
    assert asked.payload.job.job_stream_status == "SUCC"


def test_a_waiting_job_names_its_predecessor_with_its_folder() -> None:
    """What is proposed for the predecessor names it as conman selects it, too."""
    asked = ask_plan(plan_in_folders(), "Por que o job BATCH002 não roda?")
    assert any("ZOS1#/PRD/FAT/FATDIA.BATCH001" in command for command in asked.commands)


def test_a_workstation_in_a_folder_is_found_with_its_jobs() -> None:
    """The plan refers to it by folder and name, users by its name."""
    asked = ask_plan(plan_in_folders(station_folder="/PRD/LPAR1", limit=0), "A workstation ZOS1 está parada?")
    assert [job.name for job in asked.payload.problem_jobs] == ["BATCH001", "BATCH002"]
    assert [(item.name, item.folder) for item in asked.payload.workstations] == [("ZOS1", "/PRD/LPAR1")]


def test_a_requested_change_names_the_folders() -> None:
    """The operator's own command is written down for the job of the plan, not for a name."""
    asked = ask_plan(plan_in_folders(), "Rerun do job BATCH001")
    assert asked.commands[0] == "conman rr ZOS1#/PRD/FAT/FATDIA.BATCH001"


def test_of_two_instances_of_a_stream_the_command_names_the_one_that_failed() -> None:
    """The plan has yesterday's and today's FATDIA: a command without its time would act on both."""
    plan = Plan(NOW)
    plan.add_workstation("ZOS1", kind="X-AGENT", os="ZOS")
    for hours, status, code in ((30, "ABEND", 12), (6, "SUCC", 0)):
        at = NOW - timedelta(hours=hours)
        plan.add_stream("FATDIA", "ZOS1", scheduled=at)
        log = s0c7_log(at, 41873) if code else None
        run = Run(at, timedelta(minutes=11), status, code, log)
        plan.add_job("BATCH001", "FATDIA", "ZOS1", status=status, runs=[run], scheduled=at)
        plan.jobs[-1]["id"] = f"{plan.jobs[-1]['id']}-{hours}"
    asked = ask_plan(plan, "Por que o job BATCH001 falhou?")
    assert 'conman "rr ZOS1#FATDIA(0300 11/23/26).BATCH001"' in asked.commands
    assert asked.payload.candidates == ("ZOS1#FATDIA(0300 11/24/26).BATCH001 (SUCC)",)
