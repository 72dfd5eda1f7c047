"""The jobs of a list, by names that a further question finds again; and lists by a pattern of names."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import pytest
from asked_support import ask_plan
from tests_support import fetch_once

from orchestrator.deadline import Deadline
from orchestrator.models import MAX_JOBS, Entities, Intent, Routing, SourceRequest
from orchestrator.payloads import TwsPayload, is_cut_list
from workers.config import TwsSettings
from workers.lab.simulator.hwa import HwaSimulator
from workers.lab.simulator.plan import Plan, Run
from workers.sources.tws_status.client import HwaClient
from workers.sources.tws_status.instances import load_instances
from workers.sources.tws_status.lookup import Lookup, find_jobs
from workers.sources.tws_status.notation import job_readings
from workers.sources.tws_status.source import SPEC

NOW = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
FAILED = Run(NOW - timedelta(minutes=40), timedelta(minutes=3), "ABEND", 8)


def some_plan() -> Plan:
    """Jobs of one name in several streams, folders and at several times, one of z/OS, and those of a closing."""
    plan = Plan(NOW)
    plan.add_workstation("SRV1")
    plan.add_workstation("ZOS1", folder="/PRD")
    for folder in ("/", "/PRD/PIX"):
        plan.add_stream("FECHADIA", "SRV1", folder=folder, status="STUCK")
        for name in ("FECH010", "FECH020", "GRAVA"):
            plan.add_job(name, "FECHADIA", "SRV1", folder=folder, status="ABEND", runs=[FAILED])
    plan.add_stream("ZDIA", "ZOS1", folder="/PRD", status="STUCK")
    plan.add_job("PAY#D010", "ZDIA", "ZOS1", folder="/PRD", status="ABEND", runs=[FAILED])
    plan.add_job("FECH090", "ZDIA", "ZOS1", folder="/PRD", status="SUCC")
    for hour in (3, 9):
        plan.add_stream("HORA", "SRV1", scheduled=NOW + timedelta(hours=hour))
        plan.add_job(f"H{hour}", "HORA", "SRV1", status="ABEND", runs=[FAILED], scheduled=NOW + timedelta(hours=hour))
        plan.jobs[-1]["name"] = "CADAHORA"
    plan.add_job("ESPERA", "ZDIA", "ZOS1", folder="/PRD", status="HOLD")
    return plan


def read_back(plan: Plan, names: tuple[str, ...]) -> list[str]:
    """Ids of the jobs that the names are read as."""

    async def ask() -> list[str]:
        with HwaSimulator(plan) as simulator:
            instance = load_instances(TwsSettings.from_env(simulator.environ())).get(None)
            client = HwaClient(instance)
            session = client.within(Deadline.after(20))
            found = [await find_jobs(session, job_readings(name), Lookup()) for name in names]
            await client.close()
        return [jobs[0]["id"] for jobs in found]

    return asyncio.run(ask())


def test_each_job_of_a_list_is_found_again_by_its_name() -> None:
    """Namesakes in other folders and at other times of the day have names of their own, whatever the list shows."""
    plan = some_plan()
    payload = ask_plan(plan, "quais jobs estão em abend?").payload
    expected = [job["id"] for job in plan.jobs if job["lastRunCompositeStatus"]["status"] == "ABEND"]
    assert payload.found_count == len(payload.found) == len(expected) == 9
    assert sorted(read_back(plan, payload.found)) == sorted(expected)


def test_the_worst_come_first_and_no_more_than_a_question_takes() -> None:
    """Of 300, the 200 that are worst are named, and all are counted."""
    plan = Plan(NOW)
    plan.add_workstation("SRV1")
    plan.add_stream("GRANDE", "SRV1")
    for number in range(300):
        status = "ABEND" if number >= 250 else "HOLD"
        plan.add_job(f"G{number:03d}", "GRANDE", "SRV1", status=status)
    payload = ask_plan(plan, "liste os jobs do stream GRANDE").payload
    assert (payload.found_count, len(payload.found)) == (300, MAX_JOBS)
    assert set(payload.found[:50]) == {f"SRV1#GRANDE.G{number}" for number in range(250, 300)}


@pytest.mark.parametrize(
    ("pattern", "names"),
    [
        ("FECH0*", {"FECH010", "FECH020", "FECH090"}),
        ("fech0?0", {"FECH010", "FECH020", "FECH090"}),
        ("FECHADIA.@", {"FECH010", "FECH020", "GRAVA"}),
        ("SRV1#/PRD/PIX/FECHADIA.FECH@", {"FECH010", "FECH020"}),
        ("ZOS1#@", {"FECH090", "PAY#D010", "ESPERA"}),
        ("PAY#D0*", {"PAY#D010"}),
        ("NADA*", set()),
    ],
)
def test_a_pattern_lists_the_jobs_that_it_matches(pattern: str, names: set[str]) -> None:
    """In any case, by any part of a whole name; ``*`` and ``@`` are the same."""
    plan = some_plan()
    routing = Routing(
        intent=Intent.TROUBLESHOOT, confidence=1, language="pt-BR", entities=Entities(job_patterns=(pattern,))
    )
    request = SourceRequest(
        run_id="run-00000001",
        source="tws_status",
        message=f"por que {pattern} falhou?",
        routing=routing,
        limit_seconds=20,
    )
    with HwaSimulator(plan) as simulator:
        result = asyncio.run(fetch_once(SPEC.create(simulator.environ()), request))
    payload = TwsPayload.model_validate(result.data)
    assert {name.partition(".")[2] for name in payload.found} == names
    assert payload.found_count == len(payload.found)
    assert payload.listing is not None
    assert payload.listing.where == (pattern,)


@pytest.mark.parametrize("jobs_follow", [True, False])
def test_a_list_whose_jobs_are_asked_about_next_is_not_cut(jobs_follow: bool) -> None:
    """Each of them is named then; without a second stage what the list counts and does not name is said."""
    plan = Plan(NOW)
    plan.add_workstation("SRV1")
    plan.add_stream("GRANDE", "SRV1")
    for number in range(80):
        plan.add_job(f"G{number:03d}", "GRANDE", "SRV1", status="ABEND", runs=[FAILED])
    request = SourceRequest(
        run_id="run-00000001",
        source="tws_status",
        message="quais jobs estão em abend?",
        routing=Routing(intent=Intent.STATUS, confidence=1, language="pt-BR"),
        limit_seconds=20,
        jobs_follow=jobs_follow,
    )
    with HwaSimulator(plan) as simulator:
        result = asyncio.run(fetch_once(SPEC.create(simulator.environ()), request))
    assert len(result.data["found"]) == 80
    assert is_cut_list(result.data) is not jobs_follow
    assert (result.truncated is None) is jobs_follow


@pytest.mark.parametrize(
    ("message", "names"),
    [
        ("todos os jobs em abend do stream FECHADIA exceto FECH010 e GRAVA", {"FECH020"}),
        ("por que FECH0* falharam, menos os FECH01*?", {"FECH020", "FECH090"}),
    ],
)
def test_what_the_question_leaves_out_is_in_no_list(message: str, names: set[str]) -> None:
    """Neither among the jobs that are asked about next, nor counted."""
    payload = ask_plan(some_plan(), message).payload
    assert {name.partition(".")[2] for name in payload.found} == names
    assert payload.listing is not None
    assert payload.listing.count == payload.found_count == len(payload.found)
