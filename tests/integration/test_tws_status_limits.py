"""What tws_status returns is bounded, however large the plan, and what was cut is stated."""

import asyncio
from datetime import UTC, datetime, timedelta

from plan_support import add_resource, depends_on_prompt, depends_on_resource
from tests_support import fetch_once

from orchestrator.i18n.languages import Language
from orchestrator.models import Entities, Intent, Routing, SourceEnvelope, SourceRequest
from orchestrator.payloads import TwsPayload
from orchestrator.sources import FetchResult
from workers.lab.simulator.hwa import HwaSimulator
from workers.lab.simulator.plan import Plan, Run
from workers.sources.tws_status.evidence import MAX_BYTES, MAX_ITEMS
from workers.sources.tws_status.problems import MAX_PROBLEMS
from workers.sources.tws_status.source import MAX_ASKED, MAX_CANDIDATES, SPEC

ENVELOPE_BYTES = 256 * 1024
NOW = datetime.now(UTC)


def _fetch(plan: Plan, *, job: str | None = None, entities: Entities | None = None) -> tuple[FetchResult, int]:
    """The result, and the number of requests it took."""
    request = SourceRequest(
        run_id="run-00000001",
        source="tws_status",
        job=job,
        message="por que o plano não anda?",
        routing=Routing(
            intent=Intent.TROUBLESHOOT, confidence=1, language=Language.PT_BR, entities=entities or Entities()
        ),
        limit_seconds=30,
    )

    async def go(simulator: HwaSimulator) -> FetchResult:
        source = SPEC.create(simulator.environ())
        return await fetch_once(source, request)

    with HwaSimulator(plan) as simulator:
        return asyncio.run(go(simulator)), len(simulator.requests)


def _envelope_bytes(result: FetchResult) -> int:
    envelope = SourceEnvelope(
        source="tws_status", outcome=result.outcome, success=True, data=result.data, evidence=result.evidence
    )
    return len(envelope.model_dump_json().encode())


def _dire_plan(count: int) -> Plan:
    """A plan where everything failed, with long names, many runs, many neighbours and logs full of errors."""
    plan = Plan(NOW)
    plan.add_workstation("WS1", linked=False, limit=0)
    plan.add_stream("DESASTRE", "WS1", status="STUCK")
    log = [f"ERROR {number} " + "é" * 2_000 for number in range(400)]
    before: list[str] = []
    for number in range(count):
        name = f"J{number:03d}_" + "X" * 35
        runs = [Run(NOW - timedelta(hours=20 - index), timedelta(minutes=5), "ABEND", 12, log) for index in range(15)]
        job_id = plan.add_job(name, "DESASTRE", "WS1", status="ABEND", runs=runs, task="/opt/" + "y" * 3_000)
        for other in before[-60:]:
            plan.depends_on_job(job_id, other)
        for index in range(60):
            plan.add_issue(job_id, "T", f"motivo {index} " + "z" * 3_000)
        before.append(job_id)
    return plan


def test_a_disaster_fits_into_an_envelope() -> None:
    """Hundreds of failed jobs stay within the envelope's, the evidence's and the requests' limits, and it is said."""
    result, requests = _fetch(_dire_plan(120))
    payload = TwsPayload.model_validate(result.data)
    assert _envelope_bytes(result) < ENVELOPE_BYTES
    assert len(result.evidence) <= MAX_ITEMS
    assert sum(len(item.text.encode()) for item in result.evidence) <= MAX_BYTES
    assert len(payload.problem_jobs) == MAX_PROBLEMS
    assert payload.problem_count == 120
    assert result.truncated is not None
    assert f"{120 - MAX_PROBLEMS} more problem jobs" in str(result.truncated)
    assert "evidence items left out" in str(result.truncated)
    assert requests < 40
    assert len(result.asked) <= MAX_ASKED


def test_one_job_of_a_disaster_fits_as_well() -> None:
    """A single job with everything too much stays within the limits, for the job and for its stream."""
    plan = _dire_plan(80)
    for result, _ in (
        _fetch(plan, job=plan.jobs[-1]["name"]),
        _fetch(plan, entities=Entities(job_streams=("DESASTRE",))),
        _fetch(plan, entities=Entities(workstations=("WS1",))),
    ):
        assert _envelope_bytes(result) < ENVELOPE_BYTES
        assert result.truncated
        assert "more issues of J" in str(result.truncated)
        assert "more predecessors of J" in str(result.truncated) or "more successors of J" in str(result.truncated)


def test_other_jobs_of_the_name_are_candidates() -> None:
    """The failed one is answered, the others are listed with stream and state, up to a limit."""
    plan = Plan(NOW)
    plan.add_workstation("WS1")
    for number in range(30):
        plan.add_stream(f"JS{number:02d}", "WS1")
        status = "ABEND" if number == 17 else "SUCC"
        plan.add_job("CARGA", f"JS{number:02d}", "WS1", status=status)
    payload = TwsPayload.model_validate(_fetch(plan, job="CARGA")[0].data)
    assert payload.job is not None
    assert payload.job.job_stream == "JS17"
    assert len(payload.candidates) == MAX_CANDIDATES
    assert all(name.endswith(".CARGA (SUCC)") for name in payload.candidates)


def test_a_resource_and_a_prompt_are_explained() -> None:
    """What a READY job lacks is named in the question's language with who holds it, an open prompt with its text."""
    plan = Plan(NOW)
    plan.add_workstation("WS1")
    plan.add_stream("JS", "WS1", status="READY")
    job = plan.add_job("PEDE", "JS", "WS1", status="READY", substatus="READY_WAITING_FOR_RESOURCES")
    add_resource(plan, "FITA", "WS1", quantity=2, held_by=[("OUTRO", "LONGO", 2)])
    depends_on_resource(plan, job, "FITA", "WS1", required=1, free=0)
    depends_on_prompt(plan, job, "LIBERA", "Liberar a fita?")
    payload = TwsPayload.model_validate(_fetch(plan, job="PEDE")[0].data)
    assert payload.job is not None
    assert [(item.kind, item.name, item.detail) for item in payload.job.predecessors] == [
        ("resource", "FITA", "precisa de 1, disponível 0; em uso por OUTRO.LONGO"),
        ("prompt", "LIBERA", "Liberar a fita?"),
    ]


def test_odd_ids_are_asked_as_they_are() -> None:
    """Ids with separators travel percent-encoded, and the server finds the same object."""
    plan = Plan(NOW)
    plan.add_workstation("WS1")
    plan.add_stream("JS", "WS1")
    plan.add_job(
        "ODD", "JS", "WS1", status="ABEND", runs=[Run(NOW, timedelta(seconds=3), "ABEND", 1, ["x", "ERROR y"])]
    )
    plan.jobs[0]["id"] = "MDM;JOBS;ODD"
    plan.logs["MDM;ODD/é %;1"] = plan.logs.pop(plan.jobs[0]["jobruns"][0]["id"])
    plan.jobs[0]["jobruns"][0]["id"] = "MDM;ODD/é %;1"
    payload = TwsPayload.model_validate(_fetch(plan, job="ODD")[0].data)
    assert payload.notes == ()
    assert payload.job is not None
    assert payload.job.logon_user == "batch"
    assert payload.job.job_log is not None
    assert payload.job.job_log.windows[0].lines == ("x", "ERROR y")
