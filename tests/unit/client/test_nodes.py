"""The names of ``resync.core.langgraph`` come from one module, and its nodes do what the app's did."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

import orchestrator
from orchestrator import langgraph
from orchestrator.errors import InvalidRequest
from orchestrator.langgraph import DataSourceResult, ParallelState, aggregator_node, response_generator_node

RESULTS = [
    DataSourceResult(
        source="tws_status", data={"status": "running", "jobs_active": 5}, latency_ms=150.0, success=True, error=None
    ),
    DataSourceResult(
        source="rag_search",
        data={"results": [{"source": "doc1", "content": "S0C7"}], "total_found": 1},
        latency_ms=200.0,
        success=True,
        error=None,
    ),
    DataSourceResult(source="log_cache", data={"recent_errors": ["error1"]}, latency_ms=50.0, success=True, error=None),
]


def state(*results: DataSourceResult) -> ParallelState:
    return ParallelState(message="Job BATCH001 falhou com ABEND S0C7", parallel_results=[*results], errors=[])


def test_each_name_is_that_of_the_public_face_or_of_its_home() -> None:
    """An app that imports from both gets the same objects."""
    shared = set(langgraph.__all__) & set(orchestrator.__all__)
    assert shared >= {"ParallelConfig", "ParallelState", "FallbackParallelGraph", "create_tws_agent_graph"}
    assert all(getattr(langgraph, name) is getattr(orchestrator, name) for name in shared)
    assert langgraph.__all__ == sorted(langgraph.__all__)


def test_the_aggregator_merges_the_results_of_an_apps_own_nodes() -> None:
    """Data by source, who answered, and what asking in parallel saved: the sum over the slowest."""
    merged = asyncio.run(aggregator_node(state(*RESULTS)))
    data = merged["aggregated_data"]
    assert data["sources_available"] == ["tws_status", "rag_search", "log_cache"]
    assert data["tws_status"]["status"] == "running"
    assert data["rag_results"] == [{"source": "doc1", "content": "S0C7"}]
    assert (data["log_data"], data["metrics"]) == ({"recent_errors": ["error1"]}, {})
    assert merged["metadata"] == {
        "parallel_execution": True,
        "sources_queried": 3,
        "sources_successful": 3,
        "speedup_factor": 2.0,
        "parallel_latency_ms": 200.0,
        "sequential_equivalent_ms": 400.0,
    }
    assert merged["parallel_latency_ms"] == 200.0


def test_the_aggregator_names_what_failed() -> None:
    """A failed result stands in ``sources_failed`` with its error, and has no data."""
    failed = DataSourceResult(source="tws_status", data={}, latency_ms=100.0, success=False, error="Connection failed")
    data = asyncio.run(aggregator_node(state(failed, *RESULTS[1:])))["aggregated_data"]
    assert [(item["source"], item["error"]) for item in data["sources_failed"]] == [("tws_status", "Connection failed")]
    assert data["tws_status"] == {}
    timeout = DataSourceResult(source="metrics", data={}, latency_ms=1.0, success=False, error="Timeout fetching it")
    data = asyncio.run(aggregator_node(state(timeout)))["aggregated_data"]
    assert [(item["outcome"], item["error"]) for item in data["sources_failed"]] == [("timeout", "Timeout fetching it")]


def test_the_aggregator_of_nothing_has_figures() -> None:
    """Without any result there is nothing to divide by, and the speed-up is a number all the same."""
    merged = asyncio.run(aggregator_node(state()))
    assert f"{merged['metadata']['speedup_factor']:.2f}" == "1.00"
    assert merged["aggregated_data"]["rag_results"] == []


def test_what_is_no_result_is_named() -> None:
    """A wrong entry names the key of the state and the field."""
    wrong: Any = {"source": "No Name", "success": True}
    with pytest.raises(InvalidRequest, match=r"^parallel_results: source: "):
        asyncio.run(aggregator_node(state(wrong)))


def test_the_answer_is_made_of_the_results(monkeypatch: pytest.MonkeyPatch) -> None:
    """The rules answer in the language of the question, from whatever the nodes found; nobody else is asked."""
    monkeypatch.setattr("orchestrator.synthesis.load_synthesizer", lambda _: None)
    log = {"windows": [{"from_line": 1, "to_line": 1, "lines": ["IEF450I BATCH001 STEP1 - ABEND=S0C7 U0000"]}]}
    job = {"name": "BATCH001", "status": "ABEND", "job_log": log}
    found = DataSourceResult(source="tws_status", data={"job": job}, latency_ms=1.0, success=True, error=None)
    answer = asyncio.run(response_generator_node(state(found, *RESULTS[1:])))["response"]
    assert answer.startswith("## Diagnóstico")
    assert "S0C7" in answer
    failed = DataSourceResult(source="metrics", data={}, latency_ms=1.0, success=False, error="sem conexão")
    answer = asyncio.run(response_generator_node(state(failed)))["response"]
    assert "Nenhuma fonte respondeu." in answer
    assert "sem conexão" in answer
