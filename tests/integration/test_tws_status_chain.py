"""From a waiting job to the one that really holds it, over as many jobs and streams as the time allows."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from asked_support import Asked, ask_plan
from plan_support import add_resource, depends_on_prompt, depends_on_resource, depends_on_stream

from workers.lab.simulator.faults import Fault
from workers.lab.simulator.plan import Plan, Run, instant

NOW = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
QUESTION = "Por que o job FINAL não roda?"
LENGTH = 9


def chain(**last: Any) -> tuple[Plan, str]:
    """FINAL, which waits for J8, which waits for J7, ... for J0: a job with ``last``; and the id of J0."""
    plan = Plan(NOW)
    plan.add_workstation("SRV1")
    plan.add_workstation("SRV2", limit=0)
    plan.add_workstation("SRV3", fence=50)
    for number in range(LENGTH + 1):
        plan.add_stream(f"JS{number}", "SRV1")
    first = previous = plan.add_job("J0", "JS0", last.pop("workstation", "SRV1"), stream_workstation="SRV1", **last)
    for number in range(1, LENGTH + 1):
        name = "FINAL" if number == LENGTH else f"J{number}"
        job = plan.add_job(
            name, f"JS{number}", "SRV1", status="HOLD", substatus="HOLD_WAITING_FOR_PREDECESSOR", priority=10
        )
        plan.depends_on_job(job, previous)
        previous = job
    return plan, first


def ask(plan: Plan, **more: Any) -> Asked:
    """Ask why FINAL does not run."""
    return ask_plan(plan, QUESTION, **more)


def test_nine_jobs_back_the_failed_one_is_named_with_its_cause() -> None:
    """Who failed, why, through whom, and its own rerun."""
    log = ["python3: can't open file", "ModuleNotFoundError: No module named 'pandas'"]
    run = Run(NOW - timedelta(minutes=30), timedelta(minutes=3), "ABEND", 1, log)
    plan, _ = chain(status="ABEND", runs=[run], task="/opt/j0.sh")
    asked = ask(plan)
    assert asked.diagnosis.category == "predecessor_failed"
    assert "J0" in asked.diagnosis.summary
    assert "Entre eles esperam: J8, J7, J6, J5, J4, J3, J2, J1" in asked.diagnosis.summary
    assert "pandas" in asked.diagnosis.root_cause
    assert "conman rr SRV1#JS0.J0" in asked.commands


@pytest.mark.parametrize(
    ("last", "said", "command"),
    [
        ({"status": "READY", "workstation": "SRV2"}, "LIMIT 0", "conman lc SRV2;<limit>"),
        ({"status": "READY", "workstation": "SRV3", "priority": 10}, "não passa do fence da workstation SRV3", ""),
        ({"status": "FENCE", "workstation": "SRV3", "priority": 10}, "não passa do fence da workstation SRV3", ""),
        ({"status": "HOLD", "substatus": "HOLD_PRIORITY_ZERO", "priority": 0}, "prioridade (0)", ""),
        ({"status": "SUSP"}, "SRV1#JS0.J0", ""),
    ],
)
def test_the_job_that_cannot_start_is_named_with_what_keeps_it(last: dict[str, Any], said: str, command: str) -> None:
    """Fenced, at limit 0, suspended: nothing failed, and yet nothing goes on without somebody."""
    asked = ask(chain(**last)[0])
    assert asked.diagnosis.category == "waiting_predecessor"
    assert "SRV1#JS0.J0" in asked.diagnosis.summary
    assert said in asked.diagnosis.summary
    assert command in ("", *asked.commands)
    assert not any(" rr " in item for item in asked.commands)


def test_a_job_blocked_by_a_resource_names_who_holds_it() -> None:
    """The resource and the job that has it."""
    plan, first = chain(status="READY", substatus="READY_WAITING_FOR_RESOURCES")
    depends_on_resource(plan, first, "FITA", "SRV1", required=1, free=0)
    add_resource(plan, "FITA", "SRV1", quantity=1, held_by=[("JSX", "LONGO", 1)])
    asked = ask(plan)
    assert "recurso lógico" in asked.diagnosis.summary
    assert any("JSX.LONGO" in claim.text for claim in asked.diagnosis.claims)


def test_a_job_that_waits_for_a_file_names_it() -> None:
    """Its predecessors have ended, the file is not there."""
    plan, first = chain(status="HOLD", substatus="HOLD_WAITING_FOR_FILE")
    plan.depends_on_file(first, "/dados/entrada.txt", "SRV1", qualifier="-f %p", exists=False)
    assert "“/dados/entrada.txt”" in ask(plan).diagnosis.summary


def test_a_job_that_waits_for_a_prompt_says_so() -> None:
    """An operator's answer holds nine jobs."""
    plan, first = chain(status="HOLD", substatus="HOLD_WAITING_FOR_PROMPT")
    depends_on_prompt(plan, first, "CONFIRMA", "Fechar o dia?")
    assert "prompt" in ask(plan).diagnosis.summary


@pytest.mark.parametrize("substatus", ["HOLD_WAITING_FOR_TIME", None])
def test_a_job_that_waits_for_its_time_says_until_when(substatus: str | None) -> None:
    """In the instance's zone, and also where the server gives no substatus."""
    plan, first = chain(status="HOLD", substatus=substatus)
    plan.job(first)["timeRestrictions"] = {"startTime": instant(NOW + timedelta(hours=3))}
    assert "2026-11-24 12:00 (America/Sao_Paulo)" in ask(plan).diagnosis.summary


def test_a_late_running_job_is_named_with_its_duration() -> None:
    """It runs longer than estimated, and the whole chain waits."""
    run = Run(NOW - timedelta(minutes=63), None, "EXEC", None, ["LOTE 1"])
    asked = ask(chain(status="EXEC", runs=[run], estimated=timedelta(minutes=25))[0])
    assert "SRV1#JS0.J0" in asked.diagnosis.summary
    assert "há 63 min, contra 25 min estimados" in asked.diagnosis.summary


def test_a_job_stream_on_the_way_is_followed_into_its_jobs() -> None:
    """FINAL waits for a stream, in which the second of its jobs waits for the failed first."""
    plan = Plan(NOW)
    plan.add_workstation("SRV1")
    plan.add_stream("ANTES", "SRV1", status="STUCK")
    plan.add_stream("DEPOIS", "SRV1")
    run = Run(NOW - timedelta(minutes=30), timedelta(minutes=3), "ABEND", 137, ["Killed"])
    failed = plan.add_job("A1", "ANTES", "SRV1", status="ABEND", runs=[run])
    second = plan.add_job("A2", "ANTES", "SRV1", status="HOLD")
    plan.depends_on_job(second, failed)
    final = plan.add_job("FINAL", "DEPOIS", "SRV1", status="HOLD", substatus="HOLD_WAITING_FOR_PREDECESSOR")
    depends_on_stream(plan, final, "ANTES", "SRV1")
    asked = ask(plan)
    assert asked.diagnosis.category == "predecessor_failed"
    assert "A1" in asked.diagnosis.summary
    assert "conman rr SRV1#ANTES.A1" in asked.commands
    assert not any(command.endswith("SRV1#ANTES") for command in asked.commands)


def test_a_stream_that_waits_for_another_ones_job_leads_to_that_job() -> None:
    """Asked for a stream in which nothing failed, the job of another stream that holds it is the answer."""
    run = Run(NOW - timedelta(hours=1), timedelta(minutes=1), "ABEND", 137, ["Killed"])
    asked = ask_plan(chain(status="ABEND", runs=[run])[0], f"Por que o stream JS{LENGTH} não anda?")
    assert "O job stream JS9 não avança porque o predecessor J0 falhou (RC 137)" in asked.diagnosis.summary
    assert "conman rr SRV1#JS0.J0" in asked.commands

    asked = ask_plan(chain(status="READY", workstation="SRV2")[0], f"Por que o stream JS{LENGTH} não anda?")
    assert "J0 está em READY mas não inicia" in asked.diagnosis.summary
    assert "segura 2 sucessores: SRV1#JS1.J1, FINAL" in asked.diagnosis.summary
    assert "conman lc SRV2;<limit>" in asked.commands


def test_a_failed_branch_counts_more_than_one_that_waits_for_its_time() -> None:
    """Of several predecessors the one that needs somebody is meant, however deep it lies."""
    plan, _ = chain(status="ABEND", runs=[Run(NOW - timedelta(hours=1), timedelta(minutes=1), "ABEND", 8, ["x"])])
    early = plan.add_job("NOITE", "JS0", "SRV1", status="HOLD", substatus="HOLD_WAITING_FOR_TIME")
    plan.depends_on_job(next(job["id"] for job in plan.jobs if job["name"] == "FINAL"), early)
    asked = ask(plan)
    assert [job.name for job in asked.payload.problem_jobs] == ["J0"]


def test_the_chain_is_followed_as_far_as_the_time_allows() -> None:
    """A slow server leaves time for a few levels; the answer names the last one seen, and says that there are more."""
    plan, _ = chain(status="ABEND", runs=[Run(NOW - timedelta(hours=1), timedelta(minutes=1), "ABEND", 8, ["x"])])
    asked = ask(plan, faults=[Fault("/predecessors", latency_seconds=0.5)], limit_seconds=5)
    (holder,) = asked.payload.problem_jobs
    assert holder.name in {f"J{number}" for number in range(1, LENGTH)}
    assert holder.status == "HOLD"
    assert "níveis, não até o fim" in " ".join(asked.diagnosis.missing_evidence)


def test_a_circle_ends() -> None:
    """Jobs that wait for each other lead to nobody, in a bounded number of requests."""
    plan, first = chain(status="HOLD", substatus="HOLD_WAITING_FOR_PREDECESSOR")
    plan.depends_on_job(first, next(job["id"] for job in plan.jobs if job["name"] == "J5"))
    asked = ask(plan)
    assert asked.payload.problem_jobs == ()
    assert len(asked.requests) < 40


def test_a_job_that_waits_for_no_other_has_no_holder() -> None:
    """A job in HOLD for a file asks nobody upstream."""
    plan = Plan(NOW)
    plan.add_workstation("SRV1")
    plan.add_stream("JS1", "SRV1")
    final = plan.add_job("FINAL", "JS1", "SRV1", status="HOLD", substatus="HOLD_WAITING_FOR_FILE")
    plan.depends_on_file(final, "/a", "SRV1", qualifier="-f %p", exists=False)
    assert ask(plan).payload.problem_jobs == ()


def test_no_rerun_of_a_predecessor_whose_log_was_not_reached() -> None:
    """The predecessors' request fails, so that only the dependency shows that J0 failed: its log comes first."""
    run = Run(NOW - timedelta(minutes=30), timedelta(minutes=3), "ABEND", 1, ["ORA-12541: TNS:no listener"])
    plan = Plan(NOW)
    plan.add_workstation("SRV1")
    plan.add_stream("JS0", "SRV1")
    first = plan.add_job("J0", "JS0", "SRV1", status="ABEND", runs=[run])
    last = plan.add_job("FINAL", "JS0", "SRV1", status="HOLD", substatus="HOLD_WAITING_FOR_PREDECESSOR")
    plan.depends_on_job(last, first)
    asked = ask(plan, faults=[Fault(path="/predecessors", status=500)])
    assert asked.diagnosis.category == "predecessor_failed"
    assert not any(" rr " in command for command in asked.commands)
    assert any("J0 não foi lido" in text for text in asked.diagnosis.missing_evidence)
