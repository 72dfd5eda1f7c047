"""Runs of two stages on real workers: a list of jobs, and what each source knows of each of them."""

from __future__ import annotations

import signal

import pytest
from fleet_support import Fleet, submit_when_accepted
from tests_support import wait_until

from orchestrator.config import ParallelConfig
from orchestrator.models import Event, EventType, Report, RunOutcome, RunState, TroubleshootRequest
from orchestrator.sources import BUILTIN_SOURCES
from orchestrator.store.connection import connect
from orchestrator.testing import stub_message

pytestmark = pytest.mark.acceptance
CONFIG = ParallelConfig(node_timeout_seconds=10, total_timeout_seconds=20)
JOBS = ["found1", "found2", "found3"]


def ask(fleet: Fleet, *, config: ParallelConfig = CONFIG, **of_list: object) -> str:
    """Ask what failed; the list finds three jobs."""
    message = stub_message({"tws_status": {"finds": 3, **of_list}}, "o que falhou hoje?")
    request = TroubleshootRequest(message=message, config=config, intent="troubleshoot")
    with fleet.client() as client:
        return submit_when_accepted(client, request)


def result(fleet: Fleet, run_id: str) -> tuple[Report, list[Event]]:
    with fleet.client() as client:
        return client.result(run_id), list(client.stream(run_id))


def wait_for_start(fleet: Fleet, run_id: str, source: str, job: str | None) -> None:
    with fleet.client() as client:
        assert any(
            event.type is EventType.SOURCE_STARTED and (event.data["source"], event.data["job"]) == (source, job)
            for event in client.stream(run_id)
        )


def test_found_jobs_are_asked_about_by_every_source(running_fleet: Fleet) -> None:
    """The list is the first stage; the second asks about its jobs, and its chord's body commits the answer."""
    run_id = ask(running_fleet)
    report, events = result(running_fleet, run_id)
    assert (report.outcome, report.committed_by.partition(":")[0]) == (RunOutcome.COMPLETE, "synthesis")
    assert [job.job for job in report.jobs] == JOBS
    asked = {(envelope.source, envelope.job) for envelope in report.parallel_results}
    first = {("tws_status", None), ("log_cache", None), ("metrics", None)}
    assert asked == first | {(source, job) for source in BUILTIN_SOURCES for job in JOBS}
    routed = [event.data for event in events if event.type is EventType.ROUTED]
    assert [(data.get("stage"), data.get("jobs")) for data in routed] == [(None, None), (2, JOBS)]
    kinds = [event.type for event in events]
    # The second stage waits for the list alone.
    finished = [event.data for event in events[: kinds.index(EventType.ROUTED, 2)] if "outcome" in event.data]
    assert "tws_status" in [data["source"] for data in finished]
    assert kinds.count(EventType.FINAL) == kinds.count(EventType.SYNTHESIS_STARTED) == 1


def test_a_list_without_jobs_is_answered_at_once(running_fleet: Fleet) -> None:
    """Nothing more is asked than of any question."""
    run_id = ask(running_fleet, finds=0)
    report, events = result(running_fleet, run_id)
    assert report.outcome is RunOutcome.COMPLETE
    assert report.jobs == ()
    assert {envelope.key for envelope in report.parallel_results} == set(BUILTIN_SOURCES)
    assert events[-1].at_ms - events[0].at_ms < CONFIG.fan_in_seconds * 1000


def test_an_orchestrator_killed_between_two_stages(fleet: Fleet) -> None:
    """And the message that begins the second stage is lost: the watcher sends another, and no job is missed."""
    victim = fleet.worker("orchestrator", ready=False)
    fleet.worker(*BUILTIN_SOURCES, "synthesis", ready=False)
    fleet.watcher(ready=False)
    fleet.wait_until_ready()
    run_id = ask(fleet, sleep_seconds=0.5)
    wait_for_start(fleet, run_id, "tws_status", None)
    victim.kill(signal.SIGKILL)
    with fleet.client() as client, connect(fleet.settings) as raw:
        wait_until(lambda: client.store.queue_length("orchestrator") == 1, what="the message of the second stage")
        assert client.store.state(run_id)[0] is RunState.ACCEPTED
        raw.delete(client.store.keys.queue("orchestrator")[1])
    fleet.worker("orchestrator", ready=False)
    report, _ = result(fleet, run_id)
    assert report.outcome is RunOutcome.COMPLETE
    assert [job.job for job in report.jobs] == JOBS
    assert f"run_republished run_id={run_id}" in fleet.logs()


def test_a_worker_killed_in_the_second_stage_costs_its_answers_alone(fleet: Fleet) -> None:
    """At the fan-in the run is answered with what the other sources know of each job."""
    victim = fleet.worker("tws_status", ready=False)
    fleet.worker("orchestrator", "synthesis", "rag_search", "log_cache", "metrics", ready=False)
    fleet.watcher(ready=False)
    fleet.wait_until_ready()
    config = ParallelConfig(node_timeout_seconds=3, total_timeout_seconds=6, synthesis_reserve_seconds=2)
    run_id = ask(fleet, config=config, jobs={"found2": {"sleep_seconds": 2.9}})
    wait_for_start(fleet, run_id, "tws_status", "found2")
    victim.kill(signal.SIGKILL)
    report, _ = result(fleet, run_id)
    assert report.outcome is RunOutcome.PARTIAL
    assert {failure.job for failure in report.errors} >= {"found2"}
    assert {failure.source for failure in report.errors} == {"tws_status"}
    assert {job.job for job in report.jobs} == set(JOBS)
    assert all(envelope.success for envelope in report.parallel_results if envelope.source == "log_cache")


def test_no_worker_dispatches_the_second_stage(fleet: Fleet) -> None:
    """Without it in time, the answer to the list names each job that was not looked into."""
    victim = fleet.worker("orchestrator", ready=False)
    fleet.worker(*BUILTIN_SOURCES, "synthesis", ready=False)
    fleet.watcher(ready=False)
    fleet.wait_until_ready()
    config = ParallelConfig(node_timeout_seconds=3, total_timeout_seconds=4.5, synthesis_reserve_seconds=1)
    run_id = ask(fleet, config=config, sleep_seconds=0.4)
    wait_for_start(fleet, run_id, "tws_status", None)
    victim.kill(signal.SIGKILL)
    report, _ = result(fleet, run_id)
    assert report.outcome is RunOutcome.PARTIAL
    assert {job.job for job in report.jobs} == set(JOBS)
    assert {failure.job for failure in report.errors} == set(JOBS)
    assert {failure.reason for failure in report.errors} == {"no_time_left"}
