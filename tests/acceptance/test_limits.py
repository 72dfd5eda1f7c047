"""Limits of a source in real worker processes, under the threads pool and under prefork."""

from __future__ import annotations

import re
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from fleet_support import Fleet, submit_when_accepted
from tests_support import stretched, wait_until

from orchestrator.config import ParallelConfig
from orchestrator.models import Report, RunOutcome, SourceEnvelope, TroubleshootRequest
from orchestrator.sources import BUILTIN_SOURCES
from orchestrator.store.keys import lane
from orchestrator.testing import stub_message

pytestmark = pytest.mark.acceptance
LONG = ParallelConfig(node_timeout_seconds=10, total_timeout_seconds=20)
CONFIG = ParallelConfig(node_timeout_seconds=1.0, total_timeout_seconds=6.0, synthesis_reserve_seconds=3.0)


def run(fleet: Fleet, behaviours: dict[str, dict[str, object]], config: ParallelConfig = CONFIG) -> Report:
    request = TroubleshootRequest(message=stub_message(behaviours), config=config)
    with fleet.client() as client:
        return client.result(client.submit(request))


def envelope_of(report: Report, source: str) -> SourceEnvelope:
    return next(item for item in report.parallel_results if item.source == source)


@pytest.fixture(params=["threads", "prefork"])
def pool(request: pytest.FixtureRequest) -> str:
    """Each pool of a worker."""
    return str(request.param)


@pytest.fixture(scope="module", params=["threads", "prefork"])
def pool_fleet(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    """One worker process for everything under each pool."""
    make_fleet = request.getfixturevalue("make_fleet")
    fleet: Fleet = make_fleet(tmp_path_factory.mktemp(request.param))
    fleet.worker(*BUILTIN_SOURCES, pool=request.param, concurrency=5, ready=False)
    fleet.worker("orchestrator", "synthesis")
    fleet.processes[0].wait_for(" ready.")
    run(fleet, {}, LONG)  # the first run of a process also builds its clients
    yield fleet
    fleet.stop()


def test_the_connection_of_a_stopped_source_is_closed(pool_fleet: Fleet) -> None:
    """Stopping a source at its limit cancels its coroutine: the counterpart sees the connection end."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(10)
        address = "{}:{}".format(*server.getsockname())
        report = run(pool_fleet, {"metrics": {"connect": address}})
        assert envelope_of(report, "metrics").outcome == "timeout"
        connection, _ = server.accept()
        connection.settimeout(5)
        assert connection.recv(1) == b""
        connection.close()


def test_a_source_that_blocks_its_loop_is_stopped_and_named(pool_fleet: Fleet) -> None:
    """A source that blocks the event loop gets its timeout from the task's thread, with the place in its code."""
    report = run(pool_fleet, {"metrics": {"block_seconds": 2.5}})
    envelope = envelope_of(report, "metrics")
    assert (envelope.outcome, envelope.reason) == ("timeout", "loop_blocked")
    assert re.search(r"its code blocked its worker's event loop|bloqueou o laço", envelope.error or "")
    assert re.search(r"testing\.py:\d+, fetch", envelope.error or "")
    log = pool_fleet.processes[0]
    log.wait_for("loop_free source=metrics|BATCH001")
    assert "loop_blocked source=metrics|BATCH001 where=testing.py" in log.text()


def test_a_run_that_comes_while_a_loop_is_blocked_loses_nothing(fleet: Fleet, pool: str) -> None:
    """The source that blocks is asked on a further loop of its worker; in prefork the run waits for another place."""
    fleet.worker("orchestrator", "synthesis", "tws_status", "rag_search", "log_cache", ready=False)
    worker = fleet.worker("metrics", pool=pool, concurrency=1 if pool == "prefork" else 4, ready=False)
    for process in fleet.processes:
        process.wait_for(" ready.")
    run(fleet, {}, LONG)
    blocking = {"metrics": {"block_seconds": 3.0}}
    with fleet.client() as client:
        request = TroubleshootRequest(message=stub_message(blocking), config=CONFIG)
        client.submit(request)
        worker.wait_for("loop_blocked source=metrics|BATCH001")
        healthy = TroubleshootRequest(message=stub_message({}), config=LONG)
        reports = [client.result(run_id) for run_id in [client.submit(healthy) for _ in range(3)]]
    for report in reports:
        assert envelope_of(report, "metrics").outcome == "ok"
        assert envelope_of(report, "metrics").latency_ms < stretched(1_000)
    assert worker.popen.poll() is None


def test_a_source_beside_one_that_blocks_names_it(fleet: Fleet) -> None:
    """A source that times out because another holds the loop of their worker says which."""
    fleet.worker("orchestrator", "synthesis")
    fleet.worker(*BUILTIN_SOURCES)
    run(fleet, {}, LONG)
    behaviours = {"metrics": {"block_seconds": 2.5}, "log_cache": {"sleep_seconds": 0.9}}
    report = run(fleet, behaviours)
    envelope = envelope_of(report, "log_cache")
    assert (envelope.outcome, envelope.reason) == ("timeout", "loop_blocked")
    assert "metrics|BATCH001" in (envelope.error or "")


def test_a_source_that_raises_its_own_timeout_early_is_no_soft_limit(pool_fleet: Fleet) -> None:
    """A source's own TimeoutError is an error with a reason of its own, long before the limit."""
    envelope = envelope_of(run(pool_fleet, {"metrics": {"own_timeout": True}}, LONG), "metrics")
    assert (envelope.outcome, envelope.reason) == ("error", "counterpart_timeout")
    assert envelope.latency_ms < 5_000


def test_the_fan_in_bounds_a_limit_that_reaches_beyond_it(pool_fleet: Fleet) -> None:
    """With node and fan-in at the same time, the source stops early enough to be in the answer as a timeout."""
    config = ParallelConfig(node_timeout_seconds=2, total_timeout_seconds=4, synthesis_reserve_seconds=3)
    report = run(pool_fleet, {"metrics": {"sleep_seconds": 60}}, config)
    assert report.outcome is RunOutcome.PARTIAL
    assert envelope_of(report, "metrics").reason == "soft_time_limit"
    assert report.metadata["notes"]


def test_a_second_worker_on_a_queue_shares_the_load(fleet: Fleet) -> None:
    """Two workers of one queue, each with room for two, take about half of eight slow runs: none hoards."""
    fleet.worker("orchestrator", "synthesis", "tws_status", "rag_search", "log_cache", ready=False, concurrency=32)
    fleet.worker("metrics", ready=False, concurrency=2)
    fleet.worker("metrics", ready=False, concurrency=2)
    for process in fleet.processes:
        process.wait_for(" ready.")
    config = ParallelConfig(node_timeout_seconds=20, total_timeout_seconds=40)
    request = TroubleshootRequest(message=stub_message({"metrics": {"sleep_seconds": 0.5}}), config=config)
    with fleet.client() as client:
        run_ids = [submit_when_accepted(client, request) for _ in range(8)]
        workers = [envelope_of(client.result(run_id), "metrics").worker for run_id in run_ids]
    counts = sorted(workers.count(name) for name in set(workers))
    assert len(counts) == 2, workers
    assert counts[0] >= 3, workers


def test_batches_leave_a_place_to_a_single_job(fleet: Fleet) -> None:
    """Of a question about many jobs a worker does not take so many messages that one about one job waits for it."""
    fleet.worker("orchestrator", "rag_search", "synthesis", concurrency=2)
    others = dict.fromkeys((f"enable_{name}" for name in BUILTIN_SOURCES if name != "rag_search"), False)
    config = ParallelConfig(node_timeout_seconds=60, total_timeout_seconds=120, min_sources_required=1, **others)
    slow = TroubleshootRequest(
        message=stub_message({"rag_search": {"sleep_seconds": 60}}),
        jobs=tuple(f"BATCH{number:03}" for number in range(41)),
        config=config,
    )
    with fleet.client() as client:
        run_id = client.submit(slow)
        left = lane("rag_search", 1)
        wait_until(lambda: client.get(run_id).sources and client.store.queue_length(left) == 2, what="a batch begins")
        report = client.result(
            submit_when_accepted(client, TroubleshootRequest(message="por que?", config=config, job_name="JOB1"))
        )
        assert envelope_of(report, "rag_search").success
        assert client.store.queue_length(left) == 2
        client.cancel(run_id)


def test_a_busy_worker_leaves_the_rest_in_the_queue(fleet: Fleet) -> None:
    """A worker with room for two takes two of four slow runs; the others stay where another worker finds them."""
    fleet.worker("orchestrator", "synthesis", "tws_status", "rag_search", "log_cache", ready=False, concurrency=32)
    fleet.worker("metrics", ready=False, concurrency=2)
    for process in fleet.processes:
        process.wait_for(" ready.")
    config = ParallelConfig(node_timeout_seconds=60, total_timeout_seconds=120)
    request = TroubleshootRequest(message=stub_message({"metrics": {"sleep_seconds": 60}}), config=config)
    with fleet.client() as client:
        run_ids = [client.submit(request) for _ in range(4)]

        def metrics_states() -> list[str]:
            return [client.get(run_id).sources["metrics|BATCH001"]["state"] for run_id in run_ids]

        def others_finished() -> bool:
            states = [client.get(run_id).sources.values() for run_id in run_ids]
            return [sum(state["state"] == "finished" for state in run) for run in states] == [3] * 4

        # The other sources of all four runs have answered: by then a worker that prefetches has taken its share.
        wait_until(others_finished, what="an answer of the other sources")
        wait_until(lambda: metrics_states().count("started") >= 2, what="two requests to the metrics")
        states = metrics_states()
        assert sorted(states) == ["planned", "planned", "started", "started"]
        assert client.store.queue_length("metrics") == 2
        for run_id in run_ids:
            client.cancel(run_id)


def test_a_blocked_process_exits_and_its_sign_is_the_log(fleet: Fleet, tmp_path: Path) -> None:
    """A loop blocked beyond the hard limit ends its process, so that a supervisor can start a fresh one."""
    worker = fleet.worker("orchestrator", "synthesis", *BUILTIN_SOURCES, RESYNC_LOOP_LAG_LIMIT_SECONDS="1.5")
    run(fleet, {"metrics": {"block_seconds": 30}})
    assert worker.popen.wait(60) == 75
    assert "loop_blocked" in worker.text()
