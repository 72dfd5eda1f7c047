"""A site's pipelines: planned by the worker that has the file, run by workers that have not."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from fleet_support import Fleet

from orchestrator.config import ParallelConfig
from orchestrator.errors import InvalidRequest
from orchestrator.graph import parallel_troubleshoot
from orchestrator.models import EventType, Report, RunOutcome, TroubleshootRequest
from orchestrator.routing.registry import PIPELINES_FILE
from orchestrator.sources import BUILTIN_SOURCES

pytestmark = pytest.mark.acceptance
CONFIG = ParallelConfig(node_timeout_seconds=20, total_timeout_seconds=40)
FILE = """
[fechamento]
title = "Fechamento mensal"
stages = [["tws_status"], ["log_cache", "rag_search"]]
reduce = "status"
words = ["fechamento"]
limits.log_cache.seconds = 7

[so-metricas]
sources = ["metrics"]
"""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory, make_fleet: Callable[[Path], Fleet]) -> Iterator[Fleet]:
    """A fleet whose worker of ``orchestrator`` alone has the site's file."""
    folder = tmp_path_factory.mktemp("pipelines")
    path = folder / "pipelines.toml"
    path.write_text(FILE, "utf-8")
    fleet = make_fleet(folder)
    fleet.worker("orchestrator", ready=False, **{PIPELINES_FILE: str(path)})
    fleet.worker(*BUILTIN_SOURCES, "synthesis", ready=False)
    fleet.wait_until_ready()
    yield fleet
    fleet.stop()


def ask(site: Fleet, message: str, **fields: object) -> tuple[Report, list[dict[str, object]]]:
    """The report, and the data of the events ``routed``."""
    request = TroubleshootRequest.model_validate({"message": message, "config": CONFIG, **fields})
    with site.client() as client:
        run_id = client.submit(request)
        report = client.result(run_id)
        return report, [event.data for event in client.stream(run_id) if event.type is EventType.ROUTED]


def sources_of(report: Report) -> list[str]:
    return sorted(envelope.key for envelope in report.parallel_results)


def test_a_word_leads_to_a_pipeline_of_stages(site: Fleet) -> None:
    """The second stage is asked after the first, about the same job, within the pipeline's limits."""
    report, routed = ask(site, "o fechamento do BATCH001 caiu")
    assert (report.outcome, report.metadata["pipeline"]) == (RunOutcome.COMPLETE, "fechamento")
    assert sources_of(report) == ["log_cache|BATCH001", "rag_search|BATCH001", "tws_status|BATCH001"]
    assert len(routed) == 2
    starts = {envelope.source: envelope.started_at_ms or 0 for envelope in report.parallel_results}
    assert starts["tws_status"] <= min(starts["log_cache"], starts["rag_search"])


def test_a_named_pipeline_and_a_composition_run(site: Fleet) -> None:
    """By name, alone or with a built-in one; the caller's process has no file, and leaves the name to the worker."""
    alone, _ = ask(site, "por que o BATCH001 falhou?", pipeline="so-metricas")
    assert (alone.metadata["pipeline"], sources_of(alone)) == ("so-metricas", ["metrics|BATCH001"])
    question = parallel_troubleshoot(
        "por que o BATCH001 falhou?", pipeline="so-metricas|status", config=CONFIG, settings=site.settings
    )
    both = asyncio.run(question)
    assert both["metadata"]["pipeline"] == "so-metricas+status"
    assert sorted(result["source"] for result in both["parallel_results"]) == ["log_cache", "metrics", "tws_status"]


def test_a_name_that_the_site_has_not_is_told_at_once(site: Fleet, monkeypatch: pytest.MonkeyPatch) -> None:
    """By the plan, in the language of the question; at the submit where the caller's process has the file."""
    report, _ = ask(site, "por que o BATCH001 falhou?", pipeline="nada")
    assert (report.outcome, report.parallel_results) == (RunOutcome.FAILED, ())
    assert "não há pipeline chamado 'nada'; conhecidos: fechamento, so-metricas, troubleshoot" in report.response
    monkeypatch.setenv(PIPELINES_FILE, str(site.folder / "pipelines.toml"))
    with pytest.raises(InvalidRequest, match="no pipeline is named 'nada'"):
        ask(site, "x", pipeline="nada")


def test_a_worker_that_plans_does_not_start_with_a_wrong_file(site: Fleet) -> None:
    """One line names file, table and key, and the exit code is 2."""
    path = site.folder / "wrong.toml"
    path.write_text("[fechamento]\nstages = []\n", "utf-8")
    worker = site.worker("orchestrator", ready=False, **{PIPELINES_FILE: str(path)})
    assert worker.popen.wait(60) == 2
    assert f"{PIPELINES_FILE}: {path}: [fechamento] stages: must have at least 1 item" in worker.text()
    site.processes.remove(worker)
