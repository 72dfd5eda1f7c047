"""How exactly a source is stopped at its limit in real worker processes."""

from __future__ import annotations

import statistics
from typing import TYPE_CHECKING

import pytest
from tests_support import stretched

from orchestrator.config import ParallelConfig
from orchestrator.models import SourceEnvelope, TroubleshootRequest
from orchestrator.sources import BUILTIN_SOURCES
from orchestrator.testing import stub_message

if TYPE_CHECKING:
    from fleet_support import Fleet

pytestmark = [pytest.mark.acceptance, pytest.mark.timing]
CONFIG = ParallelConfig(node_timeout_seconds=0.5, total_timeout_seconds=6.0, synthesis_reserve_seconds=3.0)


def envelope_of_metrics(fleet: Fleet, behaviours: dict[str, dict[str, object]]) -> SourceEnvelope:
    with fleet.client() as client:
        report = client.result(client.submit(TroubleshootRequest(message=stub_message(behaviours), config=CONFIG)))
    return next(envelope for envelope in report.parallel_results if envelope.source == "metrics")


@pytest.mark.parametrize("pool", ["threads", "prefork"])
def test_a_source_that_never_returns_is_stopped_at_its_limit(fleet: Fleet, pool: str) -> None:
    """The median of five stops lies within 100 ms of the soft limit of half a second."""
    fleet.worker(*BUILTIN_SOURCES, pool=pool, concurrency=5, ready=False)
    fleet.worker("orchestrator", "synthesis")
    fleet.processes[0].wait_for(" ready.")
    envelope_of_metrics(fleet, {})  # the first run of a process also builds its clients
    late = []
    for _ in range(5):
        envelope = envelope_of_metrics(fleet, {"metrics": {"sleep_seconds": 60}})
        assert (envelope.outcome, envelope.reason) == ("timeout", "soft_time_limit")
        late.append(envelope.latency_ms - 500)
    assert abs(statistics.median(late)) <= stretched(100), late
