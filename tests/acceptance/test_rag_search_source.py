"""rag_search in a real worker process: runbooks in the report, and each failure of the knowledge base told."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from orchestrator.config import ParallelConfig
from orchestrator.models import Report, SourceEnvelope, SourceOutcome, TroubleshootRequest

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from fleet_support import Fleet

pytestmark = pytest.mark.acceptance
ONLY_KNOWLEDGE = ParallelConfig(
    node_timeout_seconds=10,
    total_timeout_seconds=20,
    enable_tws_status=False,
    enable_log_cache=False,
    enable_metrics=False,
    rag_result_limit=3,
)
QUESTION = "Job BATCH001 falhou com ABEND S0C7"


@pytest.fixture(scope="module")
def silent_endpoint() -> Iterator[str]:
    """An embedding endpoint that takes connections and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/v1"


@pytest.fixture
def knowledge_fleet(tmp_path: Path, make_fleet: Callable[[Path], Fleet]) -> Iterator[Callable[..., Fleet]]:
    """Starts a worker with the real source and the given settings, one for the rest, and a watcher."""
    fleets: list[Fleet] = []

    def start(**environ: str) -> Fleet:
        fleet = make_fleet(tmp_path)
        fleets.append(fleet)
        del fleet.environ["PYTHONPATH"]  # the installed sources, not the stubs
        fleet.environ |= {"XDG_CACHE_HOME": str(tmp_path / "cache")} | environ
        fleet.worker("orchestrator", "synthesis", ready=False)
        fleet.worker("rag_search", ready=False)
        fleet.watcher(ready=False)
        fleet.wait_until_ready()
        return fleet

    yield start
    for fleet in fleets:
        fleet.stop()


def _ask(fleet: Fleet, message: str = QUESTION, **config: float) -> Report:
    request = TroubleshootRequest(message=message, config=ONLY_KNOWLEDGE.model_copy(update=config))
    with fleet.client() as client:
        return client.result(client.submit(request))


def _envelope(report: Report) -> SourceEnvelope:
    (envelope,) = [item for item in report.parallel_results if item.source == "rag_search"]
    return envelope


def test_runbooks_reach_the_report_and_the_limit_holds(knowledge_fleet: Callable[..., Fleet]) -> None:
    """Without any setting the shipped runbook of the code is the first evidence, and a question about nothing known
    is a success without data.
    """
    fleet = knowledge_fleet()
    report = _ask(fleet)
    envelope = _envelope(report)
    assert envelope.outcome is SourceOutcome.OK
    assert envelope.evidence[0].id == "rag_search:1"
    assert envelope.evidence[0].where.startswith("runbooks/pt/abend-s0c7.md#")
    assert len(envelope.evidence) <= 3
    assert "S0C7" in envelope.finding
    assert any(item.source == "rag_search" for item in report.evidence)

    off_topic = _envelope(_ask(fleet, "qual a receita de bolo de cenoura com cobertura"))
    assert off_topic.outcome is SourceOutcome.NO_DATA
    assert off_topic.success


def test_a_silent_embedding_endpoint_does_not_cost_the_answer(
    knowledge_fleet: Callable[..., Fleet], silent_endpoint: str
) -> None:
    """An endpoint that never answers is left in time; full text answers within the source's limit and says why."""
    pytest.importorskip("numpy")
    fleet = knowledge_fleet(RESYNC_EMBEDDING_ENDPOINT=silent_endpoint)
    envelope = _envelope(_ask(fleet, node_timeout_seconds=4))
    assert envelope.outcome is SourceOutcome.OK
    assert envelope.evidence[0].where.startswith("runbooks/pt/abend-s0c7.md#")
    assert any("embedding endpoint: no answer" in line for line in envelope.asked)
    assert envelope.latency_ms < 4_000


def test_an_unreachable_database_is_told_without_its_password(knowledge_fleet: Callable[..., Fleet]) -> None:
    """A database that refuses the connection is an error with its reason, at once, and no secret in report or log."""
    pytest.importorskip("psycopg")
    url = "postgresql://resync:planted-pw@127.0.0.1:1/resync"
    fleet = knowledge_fleet(RESYNC_KNOWLEDGE_DATABASE_URL=url)
    report = _ask(fleet)
    (failure,) = [error for error in report.errors if error.source == "rag_search"]
    assert (failure.outcome, failure.reason) == (SourceOutcome.ERROR, "knowledge_unavailable")
    assert "planted-pw" not in report.model_dump_json()
    assert "planted-pw" not in fleet.logs()


def test_a_wrong_setting_stops_the_worker_at_its_start(tmp_path: Path, make_fleet: Callable[[Path], Fleet]) -> None:
    """A worker whose knowledge base is not there exits and names the variable."""
    fleet = make_fleet(tmp_path)
    try:
        del fleet.environ["PYTHONPATH"]
        process = fleet.worker("rag_search", ready=False, RESYNC_KNOWLEDGE_PATH=str(tmp_path / "none.sqlite3"))
        assert process.popen.wait(60) != 0
        assert "RESYNC_KNOWLEDGE_PATH" in process.text()
    finally:
        fleet.stop()
