"""Code of a site that raises what is no error: it costs its own part of one run, and no place, loop or process."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest
from tests_support import stretched

from orchestrator.config import ParallelConfig
from orchestrator.models import Report, RunOutcome, SourceEnvelope, TroubleshootRequest
from orchestrator.testing import stub_message

if TYPE_CHECKING:
    from fleet_support import Fleet

pytestmark = pytest.mark.acceptance
CONFIG = ParallelConfig(node_timeout_seconds=8, total_timeout_seconds=20)
PLACES = 2
RAISED = ("SystemExit", "KeyboardInterrupt", "GeneratorExit", "CancelledError", "Panic")


@pytest.fixture(scope="module", params=["threads", "prefork"])
def small_fleet(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    """Under each pool, a worker for the metrics and one for answers, with two places each."""
    fleet: Fleet = request.getfixturevalue("make_fleet")(tmp_path_factory.mktemp(request.param))
    fleet.worker("tws_status", "rag_search", "log_cache", "orchestrator", ready=False)
    fleet.worker("metrics", pool=request.param, concurrency=PLACES, ready=False)
    fleet.worker("synthesis", pool=request.param, concurrency=PLACES, ready=False, RESYNC_STUB_SYNTHESIZER="1")
    fleet.watcher(ready=False)
    fleet.wait_until_ready()
    run(fleet, {})  # the first run of a process also builds its clients
    yield fleet
    fleet.stop()


def run(fleet: Fleet, behaviours: dict[str, dict[str, object]]) -> Report:
    with fleet.client() as client:
        return client.result(client.submit(TroubleshootRequest(message=stub_message(behaviours), config=CONFIG)))


def metrics_of(report: Report) -> SourceEnvelope:
    return next(item for item in report.parallel_results if item.source == "metrics")


@pytest.mark.parametrize("in_task", [False, True], ids=["by itself", "in a task of its own"])
def test_whatever_a_source_raises_is_its_error_and_frees_its_place(small_fleet: Fleet, in_task: bool) -> None:
    """Each kind is an error that names it, at once; after more of them than places, a run is complete."""
    for name in RAISED:
        envelope = metrics_of(run(small_fleet, {"metrics": {"raises": name, "raises_in_task": in_task}}))
        assert (envelope.outcome, envelope.reason) == ("error", "unexpected"), name
        assert name in (envelope.error or "")
        assert envelope.latency_ms < stretched(2_000)
    for _ in range(PLACES):
        assert run(small_fleet, {}).outcome is RunOutcome.COMPLETE
    assert [process.popen.poll() for process in small_fleet.processes] == [None] * 4


@pytest.mark.parametrize("in_task", [False, True], ids=["by itself", "in a task of its own"])
def test_whatever_a_synthesizer_raises_leaves_the_draft(small_fleet: Fleet, in_task: bool) -> None:
    """The rules answer and the report names what was raised; the next answer is refined again."""
    for name in RAISED:
        report = run(small_fleet, {"synthesis": {"raises": name, "raises_in_task": in_task}})
        assert report.outcome is RunOutcome.COMPLETE
        assert report.metadata["llm"]["failed"] in (name, "cancelled"), name
        assert report.total_latency_ms < stretched(3_000), name
    for _ in range(PLACES):
        assert run(small_fleet, {}).metadata["llm"] == {"model": "stub"}
