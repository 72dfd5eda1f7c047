"""log_cache and metrics in real worker processes: what one run learns the next one knows, and failures are told."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack
from typing import TYPE_CHECKING

import pytest
import redis
from tests_support import wait_until

from orchestrator.config import ParallelConfig
from orchestrator.models import Report, SourceEnvelope, SourceOutcome, TroubleshootRequest
from workers.lab.simulator.hwa import HwaSimulator
from workers.lab.simulator.metrics import AppMetricsServer
from workers.lab.simulator.scenarios import get_scenario
from workers.sources.metrics.series import DEFAULT_SERIES

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from fleet_support import Fleet

pytestmark = pytest.mark.acceptance
WITHOUT_KNOWLEDGE = ParallelConfig(node_timeout_seconds=10, total_timeout_seconds=20, enable_rag_search=False)


@pytest.fixture(scope="module")
def metrics() -> Iterator[AppMetricsServer]:
    """The app's metrics of scenario 9: its error rate is high."""
    with AppMetricsServer(get_scenario(9).metrics_text) as server:
        yield server


@pytest.fixture(scope="module")
def fleet_of_three(
    tmp_path_factory: pytest.TempPathFactory, make_fleet: Callable[[Path], Fleet], metrics: AppMetricsServer
) -> Iterator[Fleet]:
    """The three sources in one worker, the rest in another, and a watcher, in front of scenario 1."""
    with ExitStack() as stack:
        simulator = stack.enter_context(HwaSimulator(get_scenario(1).plan))
        fleet = make_fleet(tmp_path_factory.mktemp("three"))
        stack.callback(fleet.stop)
        del fleet.environ["PYTHONPATH"]  # the installed sources, not the stubs
        fleet.environ |= simulator.environ() | {"RESYNC_METRICS_URL": metrics.url}
        fleet.worker("orchestrator", "synthesis", ready=False)
        fleet.worker("tws_status", "log_cache", "metrics", ready=False)
        fleet.watcher(ready=False)
        fleet.wait_until_ready()
        yield fleet


def _ask(fleet: Fleet, job: str = "BATCH001") -> Report:
    asked = {"message": f"Job {job} falhou com ABEND S0C7", "job_name": job, "config": WITHOUT_KNOWLEDGE}
    with fleet.client() as client:
        return client.result(client.submit(TroubleshootRequest.model_validate(asked)))


def _envelope(report: Report, source: str) -> SourceEnvelope:
    return next(envelope for envelope in report.parallel_results if envelope.source == source)


def test_what_one_run_learns_the_next_one_knows(fleet_of_three: Fleet) -> None:
    """The first run finds an empty cache; what TWS said in it is what the cache says in the second."""
    first = _ask(fleet_of_three)
    assert _envelope(first, "log_cache").outcome is SourceOutcome.NO_DATA
    assert _envelope(first, "tws_status").outcome is SourceOutcome.OK
    with redis.Redis.from_url(fleet_of_three.settings.redis_url) as client:
        pattern = f"{fleet_of_three.settings.key_prefix}logs:*:BATCH001:values"
        wait_until(lambda: client.keys(pattern), what="what TWS said in the cache")
    again = _ask(fleet_of_three)
    # The cache knows the very failure that is asked about: the answer does not count it as an earlier one.
    assert again.diagnosis is not None
    assert not [claim.text for claim in again.diagnosis.claims if "já ocorreu" in claim.text]
    known = _envelope(again, "log_cache")
    assert known.outcome is SourceOutcome.OK
    assert known.data["same_code"] == {"S0C7": 1}
    assert known.data["history"][0]["step"] == "STEP030"
    assert any("ABEND=S0C7" in item.text for item in known.evidence if item.kind == "recent_error")


def test_the_figures_reach_the_report(fleet_of_three: Fleet) -> None:
    """A figure beyond its limit stands in the report with its concern, one that is not published as missing."""
    envelope = _envelope(_ask(fleet_of_three), "metrics")
    assert envelope.outcome is SourceOutcome.OK
    concerns = {facts["name"]: facts["concern"] for facts in envelope.data["series"] if facts["concern"]}
    assert concerns["api_error_rate"] == "taxa de erro da aplicação em 18%, acima de 5%"
    assert "taxa de erro da aplicação" in envelope.finding
    published = {facts["name"] for facts in envelope.data["series"]}
    assert published.isdisjoint(envelope.data["missing"])
    assert published | set(envelope.data["missing"]) == {series.name for series in DEFAULT_SERIES}


def test_an_unreadable_key_is_told_and_the_others_answer(fleet_of_three: Fleet) -> None:
    """A broken value in the app's key is an error of log_cache with its reason; the run has its answer all the same."""
    with redis.Redis.from_url(fleet_of_three.settings.redis_url) as client:
        client.set("resync:job:history:RELFAT01", '["cut off', ex=60)
        broken = _ask(fleet_of_three, "RELFAT01")
        client.set("resync:job:history:RELFAT01", json.dumps([{"status": "SUCC", "at": "2026-01-01"}]), ex=60)
        mended = _ask(fleet_of_three, "RELFAT01")
    envelope = _envelope(broken, "log_cache")
    assert (envelope.outcome, envelope.reason) == (SourceOutcome.ERROR, "bad_format")
    assert [failure.source for failure in broken.errors] == ["log_cache"]
    assert broken.response
    assert _envelope(mended, "log_cache").data["history"][0]["status"] == "SUCC"


def test_metrics_that_are_gone_are_an_error_not_zeros(fleet_of_three: Fleet, metrics: AppMetricsServer) -> None:
    """With its endpoint gone, metrics ends as unreachable; no figure is made up and the answer is still there."""
    metrics.stop()
    report = _ask(fleet_of_three)
    envelope = _envelope(report, "metrics")
    assert (envelope.outcome, envelope.reason) == (SourceOutcome.ERROR, "unreachable")
    assert envelope.data == {}
    assert "S0C7" in report.response
