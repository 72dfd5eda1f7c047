"""tws_status in a real worker process: the facts of a scenario, and each failure of the server told in the report."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest
from tests_support import stretched

from orchestrator.config import ParallelConfig
from orchestrator.errors import UnknownInstance
from orchestrator.models import Report, RunOutcome, SourceOutcome, TroubleshootRequest
from workers.lab.simulator.faults import Fault
from workers.lab.simulator.hwa import HwaSimulator
from workers.lab.simulator.scenarios import get_scenario

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from fleet_support import Fleet

pytestmark = pytest.mark.acceptance
ONLY_TWS = ParallelConfig(
    node_timeout_seconds=3,
    total_timeout_seconds=6,
    enable_rag_search=False,
    enable_log_cache=False,
    enable_metrics=False,
)


@pytest.fixture(scope="module")
def simulator() -> Iterator[HwaSimulator]:
    """A TWS server with the plan of scenario 1."""
    with HwaSimulator(get_scenario(1).plan) as server:
        yield server


@pytest.fixture(scope="module")
def tws_fleet(
    tmp_path_factory: pytest.TempPathFactory, make_fleet: Callable[[Path], Fleet], simulator: HwaSimulator
) -> Iterator[Fleet]:
    """One worker with the real source, one for the rest, and a watcher."""
    fleet = make_fleet(tmp_path_factory.mktemp("tws"))
    del fleet.environ["PYTHONPATH"]  # the installed sources, not the stubs
    fleet.environ |= simulator.environ()
    fleet.worker("orchestrator", "synthesis", ready=False)
    fleet.worker("tws_status", ready=False)
    fleet.watcher(ready=False)
    fleet.wait_until_ready()
    yield fleet
    fleet.stop()


@pytest.fixture(autouse=True)
def healed(simulator: HwaSimulator) -> Iterator[None]:
    """Every test begins with a server that is well."""
    simulator.heal()
    yield
    simulator.heal()


def _ask(fleet: Fleet, **fields: str) -> Report:
    asked = {"message": "Job BATCH001 falhou com ABEND S0C7", "job_name": "BATCH001"} | fields
    with fleet.client() as client:
        return client.result(client.submit(TroubleshootRequest.model_validate(asked | {"config": ONLY_TWS})))


def test_the_facts_of_the_plan_reach_the_report(tws_fleet: Fleet, simulator: HwaSimulator) -> None:
    """Job, step and abend come through the queue into the report, and no credential does, there or in a log."""
    report = _ask(tws_fleet)
    (envelope,) = report.parallel_results
    assert envelope.outcome is SourceOutcome.OK
    assert envelope.data["job"]["job_log"]["step"] == "STEP030"
    assert envelope.where == simulator.base_url.removeprefix("http://")
    assert "S0C7" in report.response
    assert simulator.password not in report.model_dump_json()
    assert simulator.password not in tws_fleet.logs()


@pytest.mark.parametrize(
    ("fault", "outcome", "reason"),
    [
        (Fault(status=401), SourceOutcome.ERROR, "unauthorized"),
        (Fault(status=500), SourceOutcome.ERROR, "server_error"),
        (Fault(broken="html"), SourceOutcome.ERROR, "bad_answer"),
        (Fault(latency_seconds=30), SourceOutcome.TIMEOUT, "timeout"),
    ],
)
def test_a_failure_of_the_server_is_told_in_the_report(
    tws_fleet: Fleet, simulator: HwaSimulator, fault: Fault, outcome: SourceOutcome, reason: str
) -> None:
    """The report says what went wrong with TWS, and ends before its deadline."""
    simulator.fail(fault)
    report = _ask(tws_fleet)
    assert report.outcome is not RunOutcome.COMPLETE
    (failure,) = [failure for failure in report.errors if failure.source == "tws_status"]
    assert (failure.outcome, failure.reason) == (outcome, reason)
    assert report.total_latency_ms <= ONLY_TWS.total_timeout_seconds * 1000 + stretched(250)


def test_an_unknown_instance_is_refused_at_submit(tws_fleet: Fleet) -> None:
    """The workers make their instances known, so that a name nobody knows is no run at all."""
    with pytest.raises(UnknownInstance, match="default"):
        _ask(tws_fleet, tws_instance_id="teste")
