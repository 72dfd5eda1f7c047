"""Whole runs on real Celery workers, a real Redis and real watchers."""

from __future__ import annotations

import json
import re
import signal
import socket
import time
from contextlib import suppress

import pytest
import redis
from fleet_support import Fleet, submit_when_accepted
from tests_support import stretched, wait_until

from orchestrator.config import ParallelConfig
from orchestrator.models import (
    AnswerMode,
    Event,
    EventType,
    Report,
    RunOutcome,
    RunState,
    TroubleshootRequest,
)
from orchestrator.sources import BUILTIN_SOURCES
from orchestrator.testing import stub_message

pytestmark = pytest.mark.acceptance
GRACE_MS = 250
CONFIG = ParallelConfig(node_timeout_seconds=10, total_timeout_seconds=20)
FAST = ParallelConfig(node_timeout_seconds=1.0, total_timeout_seconds=3.0, synthesis_reserve_seconds=1.0)
"""For a run that goes on until its time is up."""


def ask(
    fleet: Fleet, behaviours: dict[str, dict[str, object]], config: ParallelConfig = CONFIG, **fields: object
) -> str:
    request = TroubleshootRequest.model_validate(
        {"message": stub_message(behaviours), "job_name": "BATCH001", "config": config, "intent": "troubleshoot"}
        | fields
    )
    with fleet.client() as client:
        return submit_when_accepted(client, request)


def result(fleet: Fleet, run_id: str) -> tuple[Report, list[Event]]:
    with fleet.client() as client:
        report = client.result(run_id)
        return report, list(client.stream(run_id))


def outcomes(report: Report) -> dict[str, str]:
    return {envelope.source: envelope.outcome.value for envelope in report.parallel_results}


def reasons(report: Report) -> dict[str, str | None]:
    return {failure.source: failure.reason for failure in report.errors}


def assert_ended_well(fleet: Fleet, run_id: str, events: list[Event]) -> None:
    """One terminal event, the last one, written before the deadline and its grace."""
    assert [event.type for event in events if event.type.is_terminal] == [events[-1].type]
    with fleet.client() as client:
        snapshot = client.get(run_id)
    assert snapshot.state.is_closed
    assert events[-1].at_ms <= snapshot.deadline_ms + stretched(GRACE_MS)


OUTCOME_OF = {"soft_time_limit": "timeout"}
"""The outcome of a source by the reason in ``errors``, where they are two words."""


def assert_answer(report: Report, *, by: str, **without: str) -> None:
    """Who committed what: all sources answered but those in ``without``, each with its reason, and the text says so."""
    assert (report.committed, report.committed_by.partition(":")[0]) == (True, by)
    failed = {source: OUTCOME_OF.get(reason, reason) for source, reason in without.items()}
    assert outcomes(report) == dict.fromkeys(BUILTIN_SOURCES, "ok") | failed
    assert {error.source: error.outcome for error in report.errors} == failed
    assert reasons(report) == without
    assert all(error.error for error in report.errors)
    answered = set(BUILTIN_SOURCES) - set(failed)
    assert set(report.aggregated_data.sources_available) == answered
    assert (report.metadata["sources_queried"], report.metadata["sources_successful"]) == (4, len(answered))
    if not answered:
        assert (report.outcome, report.mode) == (RunOutcome.TIMED_OUT, AnswerMode.ERROR)
        assert report.response.startswith("## Não foi possível responder")
        assert all(source in report.response for source in failed)
        return
    assert report.outcome is (RunOutcome.PARTIAL if failed else RunOutcome.COMPLETE)
    assert report.mode is AnswerMode.DETERMINISTIC
    assert report.response.startswith("## Diagnóstico")
    assert "BATCH001" in report.response
    answer, note = report.response.split("\n---\n")
    missing = answer.partition("## O que faltou")[2]
    assert "4 fontes consultadas em paralelo" in note
    assert all(source in missing and source in note.partition("sem resposta:")[2] for source in failed)
    assert bool(missing) is bool(failed)


def ready(fleet: Fleet) -> None:
    fleet.wait_until_ready()


def test_a_follow_up_is_about_the_job_of_its_session(running_fleet: Fleet) -> None:
    """ "What do I do now?" after a run asks the sources for that run's job; of another user it asks which job."""

    def follow_up(message: str, user: str) -> Report:
        request = TroubleshootRequest(message=message, user_id=user, session_id="chat-7", config=CONFIG)
        with running_fleet.client() as client:
            return client.result(client.submit(request))

    first, _ = result(running_fleet, ask(running_fleet, {}, user_id="ana", session_id="chat-7"))
    report = follow_up("e o que eu faço agora?", "ana")
    assert {envelope.job for envelope in report.parallel_results} - {None} == {"BATCH001"}
    assert report.routing is not None
    assert report.routing.follows == first.run_id
    assert report.mode is AnswerMode.DETERMINISTIC
    asking = follow_up("e o que eu faço agora?", "bia")
    assert (asking.outcome, asking.parallel_results) == (RunOutcome.COMPLETE, ())
    assert "De qual job se trata?" in asking.response
    nothing = follow_up("1+1?", "ana")
    assert nothing.outcome is RunOutcome.COMPLETE
    assert nothing.diagnosis is not None
    assert (nothing.diagnosis.claims, nothing.diagnosis.actions) == ((), ())


def test_all_four_sources_answer(running_fleet: Fleet) -> None:
    """With all sources fine the chord's body commits a complete answer that lacks nothing."""
    run_id = ask(running_fleet, {})
    report, events = result(running_fleet, run_id)
    assert_ended_well(running_fleet, run_id, events)
    assert_answer(report, by="synthesis")
    kinds = [event.type for event in events]
    assert kinds[:2] == [EventType.ACCEPTED, EventType.ROUTED]
    assert kinds.count(EventType.SOURCE_STARTED) == kinds.count(EventType.SOURCE_FINISHED) == 4
    assert kinds[-4:] == [EventType.SYNTHESIS_STARTED, EventType.AGGREGATED, EventType.DRAFT, EventType.FINAL]


def test_the_performance_event_is_one_json_line(running_fleet: Fleet) -> None:
    """Each run leaves exactly one JSON line with the figures of its fan-in in the log of who committed it."""
    run_id = ask(running_fleet, {"rag_search": {"sleep_seconds": 0.3}, "metrics": {"sleep_seconds": 0.2}})
    report, _ = result(running_fleet, run_id)

    def lines() -> list[str]:
        return [line for line in running_fleet.logs().splitlines() if line.startswith("{") and run_id in line]

    # It is written after the commit, of which the client hears at once.
    wait_until(lambda: lines() != [], what="the line in the log")
    assert len(lines()) == 1
    event = json.loads(lines()[0])
    assert event["event"] == "parallel_aggregation_complete"
    assert event["sources_available"] == 4
    assert event["sources_failed"] == 0
    assert event["parallel_latency_ms"] == pytest.approx(report.parallel_latency_ms, abs=1)
    assert 500 <= event["sequential_equivalent_ms"] < 500 + stretched(1_000)
    assert re.fullmatch(r"\d\.\d\dx", event["speedup_factor"])


def test_a_source_slow_within_its_limit_is_waited_for(running_fleet: Fleet) -> None:
    """A slow source inside its limit is part of a complete answer, and its latency is the parallel latency."""
    run_id = ask(running_fleet, {"metrics": {"sleep_seconds": 0.6}})
    report, events = result(running_fleet, run_id)
    assert_ended_well(running_fleet, run_id, events)
    assert_answer(report, by="synthesis")
    assert 600 <= report.parallel_latency_ms < 600 + stretched(400)


def test_a_source_beyond_its_limit_times_out_and_the_others_serve(running_fleet: Fleet) -> None:
    """A source that never returns is stopped at its limit; three sources still give a partial answer."""
    run_id = ask(running_fleet, {"log_cache": {"sleep_seconds": 60}}, FAST)
    report, events = result(running_fleet, run_id)
    assert_ended_well(running_fleet, run_id, events)
    assert_answer(report, by="synthesis", log_cache="soft_time_limit")


def test_an_error_and_no_data_are_told_apart(running_fleet: Fleet) -> None:
    """A source that fails is in errors with its reason; one that has nothing is a success."""
    run_id = ask(running_fleet, {"metrics": {"error": "sem conexão"}, "rag_search": {"no_data": True}})
    report, events = result(running_fleet, run_id)
    assert_ended_well(running_fleet, run_id, events)
    assert report.outcome is RunOutcome.PARTIAL
    assert outcomes(report)["rag_search"] == "no_data"
    assert [(failure.source, failure.error, failure.reason) for failure in report.errors] == [
        ("metrics", "sem conexão", "stub_error")
    ]


def test_a_source_that_raises_its_own_timeout_early_is_an_error(running_fleet: Fleet) -> None:
    """A TimeoutError of the source's own is not taken for the soft limit."""
    run_id = ask(running_fleet, {"tws_status": {"own_timeout": True}})
    report, _ = result(running_fleet, run_id)
    assert outcomes(report)["tws_status"] == "error"
    assert reasons(report) == {"tws_status": "counterpart_timeout"}
    assert report.parallel_latency_ms < 5_000


def test_fewer_sources_than_required_is_a_clear_error(running_fleet: Fleet) -> None:
    """With too few answers the run fails and the answer names each failed source and why."""
    config = CONFIG.model_copy(update={"min_sources_required": 3})
    run_id = ask(running_fleet, {"metrics": {"error": "erro-m"}, "log_cache": {"error": "erro-l"}}, config)
    report, events = result(running_fleet, run_id)
    assert_ended_well(running_fleet, run_id, events)
    assert (report.outcome, report.mode) == (RunOutcome.FAILED, AnswerMode.ERROR)
    for text in ("metrics", "log_cache", "erro-m", "erro-l", "3"):
        assert text in report.response


def test_all_sources_timing_out_is_a_clear_error(running_fleet: Fleet) -> None:
    """When every source times out the run is timed_out and the answer names all four."""
    run_id = ask(running_fleet, {source: {"sleep_seconds": 60} for source in BUILTIN_SOURCES}, FAST)
    report, events = result(running_fleet, run_id)
    assert_ended_well(running_fleet, run_id, events)
    assert (report.outcome, report.mode) == (RunOutcome.TIMED_OUT, AnswerMode.ERROR)
    assert outcomes(report) == dict.fromkeys(BUILTIN_SOURCES, "timeout")
    # From the first's start to the last's end: at most 4, and less by what their starts lie apart.
    assert 2 < report.aggregated_data.speedup_factor <= 4
    assert set(reasons(report)) == set(BUILTIN_SOURCES)
    for source in BUILTIN_SOURCES:
        assert source in report.response


def test_several_jobs_are_asked_and_reduced_in_one_run(running_fleet: Fleet) -> None:
    """The jobs of the request and of its message: the per-job sources are asked for each, their data is by job."""
    run_id = ask(running_fleet, {}, job_name=None, jobs=["JOB_A", "JOB_B", "JOB_C"])
    report, events = result(running_fleet, run_id)
    assert_ended_well(running_fleet, run_id, events)
    assert report.outcome is RunOutcome.COMPLETE
    assert report.aggregated_data.tws_status is not None
    assert set(report.aggregated_data.tws_status) == {"BATCH001", "JOB_A", "JOB_B", "JOB_C"}
    assert len({item.id for item in report.evidence}) == len(report.evidence)


def test_two_hundred_jobs_are_asked_in_batches(running_fleet: Fleet) -> None:
    """Ten messages for two hundred jobs, each with its own answer: one fails, one is slow, the others are kept."""
    jobs = [f"JOB{number:03}" for number in range(200)]
    special = {"JOB003": {"error": "no such job"}, "JOB150": {"sleep_seconds": 30}}
    others = ("tws_status", "log_cache", "metrics")
    config = ParallelConfig(node_timeout_seconds=4, total_timeout_seconds=20, disabled_sources=others)
    message = stub_message({"rag_search": {"jobs": special}}, text="Por que falharam?")
    run_id = ask(running_fleet, {}, config, job_name=None, jobs=jobs, message=message)
    report, events = result(running_fleet, run_id)
    assert_ended_well(running_fleet, run_id, events)
    assert report.outcome is RunOutcome.PARTIAL
    assert [envelope.job for envelope in report.parallel_results] == jobs
    assert {failure.job: failure.reason for failure in report.errors} == {
        "JOB003": "stub_error",
        "JOB150": "soft_time_limit",
    }
    assert report.aggregated_data.jobs == tuple(jobs)
    finished = [event.data for event in events if event.type is EventType.SOURCE_FINISHED]
    assert sorted(data["batch"] for data in finished) == list(range(1, 11))
    assert {data["expected"] for data in finished} == {10}
    assert sum(len(data["jobs"]) for data in finished) == 200


def test_the_speed_up_of_jobs_that_queue_is_the_real_one(running_fleet: Fleet) -> None:
    """Of 40 queries of 50 ms a worker of 16 threads runs 16 at once: three rounds, and no speed-up of 40."""
    jobs = [f"JOB{number:02d}" for number in range(20)]
    behaviours: dict[str, dict[str, object]] = {name: {"sleep_seconds": 0.05} for name in ("tws_status", "log_cache")}
    report, _ = result(running_fleet, ask(running_fleet, behaviours, job_name=None, jobs=jobs))
    assert report.outcome is RunOutcome.COMPLETE
    figures = report.aggregated_data
    assert figures.sequential_equivalent_ms >= 2_000
    assert 150 <= figures.parallel_latency_ms <= report.total_latency_ms
    assert figures.speedup_factor <= 16


def test_a_run_cancelled_in_flight_ends_as_cancelled(running_fleet: Fleet) -> None:
    """Cancelling a run that waits for its sources gives one cancelled event, at once, and no answer later."""
    run_id = ask(running_fleet, {"metrics": {"sleep_seconds": 2}})
    with running_fleet.client() as client:
        started = (event for event in client.stream(run_id) if event.type is EventType.SOURCE_STARTED)
        assert any(event.data["source"] == "metrics" for event in started)
        assert client.cancel(run_id, by="ana").state is RunState.CANCELLED
        # Its answer comes all the same, and changes nothing.
        wait_until(lambda: client.get(run_id).sources["metrics|BATCH001"]["state"] == "late", what="the late answer")
    report, events = result(running_fleet, run_id)
    assert_ended_well(running_fleet, run_id, events)
    assert (report.outcome, events[-1].type, events[-1].data["by"]) == (
        RunOutcome.CANCELLED,
        EventType.CANCELLED,
        "ana",
    )
    assert EventType.SYNTHESIS_STARTED not in [event.type for event in events]
    assert report.response == "A consulta foi cancelada."
    assert reasons(report)["metrics"] == "cancelled"
    assert set(reasons(report).values()) == {"cancelled"}
    assert set(outcomes(report)) | set(reasons(report)) == set(BUILTIN_SOURCES)


def test_nobody_waits_and_the_result_is_fetched_later(running_fleet: Fleet) -> None:
    """A run that nobody follows is finished by the workers; its report is there afterwards."""
    run_id = ask(running_fleet, {})
    with running_fleet.client() as client:
        wait_until(lambda: client.get(run_id).state is RunState.DONE, what="the end of the run")
        assert client.list(limit=20)[0].run_id == run_id
    report, events = result(running_fleet, run_id)
    assert_ended_well(running_fleet, run_id, events)
    assert_answer(report, by="synthesis")


def test_a_run_with_every_source_switched_off_ends_at_once(running_fleet: Fleet) -> None:
    """A request that leaves nobody to ask fails at once, and the answer names the switches."""
    config = CONFIG.model_copy(update={"disabled_sources": BUILTIN_SOURCES})
    began = time.monotonic()
    report, events = result(running_fleet, ask(running_fleet, {}, config))
    assert time.monotonic() - began < stretched(2)
    assert (report.outcome, report.mode) == (RunOutcome.FAILED, AnswerMode.ERROR)
    assert "enable_tws_status" in report.response
    assert events[-1].type is EventType.FINAL


def test_a_name_that_is_no_source_is_said(running_fleet: Fleet) -> None:
    """A misspelt source in the configuration stands in the notes of the plan and of the answer."""
    config = CONFIG.model_copy(update={"disabled_sources": ("metrix",), "source_timeout_seconds": {"tws": 1.0}})
    report, _ = result(running_fleet, ask(running_fleet, {}, config))
    assert report.metadata["notes"] == [
        "source_timeout_seconds: nenhuma fonte se chama 'tws'",
        "disabled_sources: nenhuma fonte se chama 'metrix'",
    ]


def test_large_payloads_stay_out_of_celery(running_fleet: Fleet) -> None:
    """A payload is stored in the run, cut and stated; no Celery key holds it."""
    run_id = ask(running_fleet, {"metrics": {"payload_bytes": 400_000}})
    report, _ = result(running_fleet, run_id)
    envelope = next(item for item in report.parallel_results if item.source == "metrics")
    assert envelope.truncated is not None
    assert "256 KiB" in envelope.truncated
    assert envelope.data == {}


def test_a_message_that_is_delivered_again_asks_its_source_once(fleet: Fleet) -> None:
    """The claim on a source is the run's and not the message's: exact copies of a message ask nobody."""
    fleet.worker("orchestrator", "synthesis", "tws_status", "rag_search", "log_cache")
    queue, runs = f"{fleet.environ['RESYNC_KEY_PREFIX']}mq:metrics", 20
    with (
        socket.create_server(("127.0.0.1", 0), backlog=200) as server,
        redis.Redis.from_url(fleet.settings.redis_url) as raw,
    ):
        address = "{}:{}".format(*server.getsockname())
        config = ParallelConfig(node_timeout_seconds=2, total_timeout_seconds=30)
        run_ids = [ask(fleet, {"metrics": {"connect": address}}, config) for _ in range(runs)]
        wait_until(lambda: raw.llen(queue) == runs, what="every message")
        messages = raw.lrange(queue, 0, -1)
        for _ in range(3):
            raw.lpush(queue, *messages)
        fleet.worker("metrics", concurrency=8)
        for run_id in run_ids:
            report, events = result(fleet, run_id)
            started = [event for event in events if event.type is EventType.SOURCE_STARTED]
            assert [event.data["source"] for event in started].count("metrics") == 1
            assert outcomes(report)["metrics"] == "timeout"
        wait_until(lambda: raw.llen(queue) == 0, what="an empty queue")
        server.settimeout(0.5)
        connections = 0
        with suppress(TimeoutError):
            while True:
                server.accept()[0].close()
                connections += 1
    assert connections == runs


def test_a_queue_without_a_worker_costs_its_source_only(fleet: Fleet) -> None:
    """Without a worker on one queue the chord never ends; the watcher has the rest answered at the fan-in.

    When there is one, a rerun asks that source alone.
    """
    fleet.worker("orchestrator", "synthesis", "tws_status", "rag_search", "log_cache", ready=False)
    fleet.watcher()
    fleet.processes[0].wait_for(" ready.")
    run_id = ask(fleet, {}, FAST)
    report, events = result(fleet, run_id)
    assert_ended_well(fleet, run_id, events)
    assert_answer(report, by="synthesis", metrics="not_started")
    fleet.worker("metrics")
    with fleet.client() as client:
        again, events = result(fleet, client.rerun(run_id))
    assert again.outcome is RunOutcome.COMPLETE
    started = [event.data["source"] for event in events if event.type is EventType.SOURCE_STARTED]
    assert started == ["metrics"]
    assert {item.source for item in again.parallel_results if item.kept_from == run_id} == {*BUILTIN_SOURCES} - {
        "metrics"
    }


def test_no_worker_but_a_watcher(fleet: Fleet) -> None:
    """Without any worker the watcher commits in time, and the answer names every source as not asked."""
    fleet.watcher()
    run_id = ask(fleet, {}, FAST)
    with fleet.client() as client:
        # A client that waits finishes the run itself where the watcher is late.
        wait_until(lambda: client.store.read(run_id).state.is_closed, what="the end of the run")
        deadline_ms = client.get(run_id).deadline_ms
    report, events = result(fleet, run_id)
    assert_ended_well(fleet, run_id, events)
    assert_answer(report, by="watcher", **dict.fromkeys(BUILTIN_SOURCES, "not_started"))
    assert events[-1].at_ms <= deadline_ms + stretched(GRACE_MS) - GRACE_MS


def test_no_worker_and_no_watcher_with_a_client_waiting(fleet: Fleet) -> None:
    """Alone, a waiting client finishes the run itself at the deadline."""
    run_id = ask(fleet, {}, FAST)
    report, events = result(fleet, run_id)
    assert_ended_well(fleet, run_id, events)
    assert_answer(report, by="client", **dict.fromkeys(BUILTIN_SOURCES, "not_started"))


def test_nobody_at_all_and_the_result_fetched_later(fleet: Fleet) -> None:
    """A run that nobody worked on or waited for is finished by the first reader after its deadline."""
    config = ParallelConfig(node_timeout_seconds=0.2, total_timeout_seconds=0.5)
    run_id = ask(fleet, {}, config)
    time.sleep(0.6)
    with fleet.client() as client:
        snapshot = client.get(run_id)
        events = list(client.stream(run_id))
    assert (snapshot.state, snapshot.outcome) == (RunState.DONE, RunOutcome.TIMED_OUT)
    assert [event.type for event in events] == [EventType.ACCEPTED, EventType.FINAL]


def test_the_orchestrator_killed_before_fan_out(fleet: Fleet) -> None:
    """A run whose orchestrator was killed with the message in hand is published again and answered in full."""
    victim = fleet.worker("orchestrator", ready=False)
    fleet.worker(*BUILTIN_SOURCES, "synthesis", ready=False)
    fleet.watcher(ready=False)
    ready(fleet)
    # A stopped process whose blocking pop waits at the server is handed the message, and it dies with it. Where that
    # pop had just ended, the message is taken here in its place.
    victim.popen.send_signal(signal.SIGSTOP)
    run_id = ask(fleet, {}, ParallelConfig(node_timeout_seconds=2, total_timeout_seconds=15))
    with fleet.client() as client, redis.Redis.from_url(fleet.settings.redis_url) as broker:
        broker.rpop(f"{client.store.keys.broker_prefix}orchestrator")
        assert client.store.queue_length("orchestrator") == 0
    victim.kill(signal.SIGKILL)
    fleet.worker("orchestrator", ready=False)
    report, events = result(fleet, run_id)
    assert_ended_well(fleet, run_id, events)
    assert_answer(report, by="synthesis")
    assert f"run_republished run_id={run_id}" in fleet.logs()


def test_the_synthesis_killed_during_synthesis(fleet: Fleet) -> None:
    """When the worker that writes the answer is killed, another takes over after the lease, as attempt 2."""
    victim = fleet.worker("synthesis", ready=False, RESYNC_STUB_SYNTHESIZER="1")
    fleet.worker("orchestrator", *BUILTIN_SOURCES, ready=False)
    fleet.watcher(ready=False)
    ready(fleet)
    config = ParallelConfig(node_timeout_seconds=1, total_timeout_seconds=15, synthesis_reserve_seconds=13)
    run_id = ask(fleet, {"synthesis": {"sleep_seconds": 60}}, config)
    with fleet.client() as client:
        assert any(event.type is EventType.TOKEN for event in client.stream(run_id))
    # Another one is there: nobody waits longer than a second for one that would have to start.
    fleet.worker("synthesis")
    victim.kill(signal.SIGKILL)
    report, events = result(fleet, run_id)
    assert_ended_well(fleet, run_id, events)
    assert_answer(report, by="synthesis")
    assert report.attempt == 2
    assert [event.attempt for event in events if event.type is EventType.SYNTHESIS_STARTED] == [1, 2]
    assert events[-1].attempt == 2


def test_a_synthesis_queue_without_a_worker_costs_a_second(fleet: Fleet) -> None:
    """With every source in and nobody to call the model, the watcher answers by the rules, and says so."""
    fleet.worker("orchestrator", *BUILTIN_SOURCES, ready=False)
    fleet.watcher(ready=False)
    ready(fleet)
    run_id = ask(fleet, {})
    report, events = result(fleet, run_id)
    assert_ended_well(fleet, run_id, events)
    assert_answer(report, by="watcher")
    answered_ms = max(event.at_ms for event in events if event.type is EventType.SOURCE_FINISHED)
    assert events[-1].at_ms - answered_ms < stretched(1_400)
    assert report.metadata["llm"] == {"skipped": "no_worker"}
    assert "nenhum worker da fila `synthesis`" in report.response


def test_a_synthesis_worker_that_is_busy_is_waited_for(fleet: Fleet) -> None:
    """A run whose answer is queued behind another's gets the model all the same, seconds later."""
    fleet.worker("synthesis", concurrency=1, ready=False, RESYNC_STUB_SYNTHESIZER="1")
    fleet.worker("orchestrator", *BUILTIN_SOURCES, ready=False)
    fleet.watcher(ready=False)
    ready(fleet)
    run_ids = [ask(fleet, {"synthesis": {"sleep_seconds": 2.5}}) for _ in range(2)]
    for run_id in run_ids:
        report, events = result(fleet, run_id)
        assert_ended_well(fleet, run_id, events)
        assert (report.mode, report.committed_by.partition(":")[0]) == (AnswerMode.LLM, "synthesis")


def test_a_synthesis_that_hangs_is_answered_from_the_rules(fleet: Fleet) -> None:
    """A model that never answers costs the answer its refinement, not its deadline; its connection is closed."""
    fleet.worker("orchestrator", "synthesis", *BUILTIN_SOURCES, RESYNC_STUB_SYNTHESIZER="1")
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(10)
        address = "{}:{}".format(*server.getsockname())
        run_id = ask(fleet, {"synthesis": {"connect": address}}, FAST)
        connection, _ = server.accept()
        connection.settimeout(10)
        report, events = result(fleet, run_id)
        assert connection.recv(1) == b""
        connection.close()
    assert_ended_well(fleet, run_id, events)
    assert (report.outcome, report.mode) == (RunOutcome.COMPLETE, AnswerMode.DETERMINISTIC)
    assert report.metadata["llm"]["failed"] == "timeout"


def test_a_source_worker_killed_in_flight_is_lost(fleet: Fleet) -> None:
    """A source whose worker is killed with the question in hand is reported as lost, and the others serve."""
    victim = fleet.worker("metrics", ready=False)
    fleet.worker("orchestrator", "synthesis", "tws_status", "rag_search", "log_cache", ready=False)
    fleet.watcher(ready=False)
    ready(fleet)
    config = ParallelConfig(node_timeout_seconds=2, total_timeout_seconds=6, synthesis_reserve_seconds=2)
    run_id = ask(fleet, {"metrics": {"sleep_seconds": 1.9}}, config)
    with fleet.client() as client:
        assert any(
            event.type is EventType.SOURCE_STARTED and event.data["source"] == "metrics"
            for event in client.stream(run_id)
        )
    victim.kill(signal.SIGKILL)
    report, events = result(fleet, run_id)
    assert_ended_well(fleet, run_id, events)
    assert_answer(report, by="synthesis", metrics="lost")
