"""Traces: whose child a span is, what it never says, and that tracing costs and delays nothing."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from orchestrator import tracing
from orchestrator.errors import SourceError
from orchestrator.graph import FallbackParallelGraph
from orchestrator.tracing import ENDPOINTS, annotate, headers, parent_of, span, traceparent

RUN = "run-00000001"
GIVEN = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


def none() -> None:
    return None


@pytest.fixture
def spans(monkeypatch: pytest.MonkeyPatch) -> Iterator[InMemorySpanExporter]:
    """What a provider of the app gets."""
    exporter, provider = InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    monkeypatch.setattr(trace, "get_tracer_provider", lambda: provider)
    yield exporter
    provider.shutdown()


def test_a_span_is_a_child_of_its_message(spans: InMemorySpanExporter) -> None:
    """A traceparent gives trace and parent; the span around the call, which messages are sent with, is its child."""
    with span("outer", parent=GIVEN), span("inner", kind="client", run_id=RUN, worker=None):
        annotate(attempt=2)
        sent = headers()
    inner, outer = spans.get_finished_spans()
    assert (f"{outer.context.trace_id:032x}", f"{outer.parent.span_id:016x}") == tuple(GIVEN.split("-")[1:3])
    assert inner.parent.span_id == outer.context.span_id
    assert sent == {"traceparent": f"00-{inner.context.trace_id:032x}-{inner.context.span_id:016x}-01"}
    assert dict(inner.attributes) == {"resync.run_id": RUN, "resync.attempt": 2}
    assert traceparent() is None


@pytest.mark.parametrize(
    "hostile",
    [None, 7, "", "x" * 10_000, GIVEN.upper(), GIVEN + "\n", f"00-{'0' * 32}-b7ad6b7169203331-01", {"a": 1}, [GIVEN]],
)
def test_a_header_that_is_none_is_not_heeded(spans: InMemorySpanExporter, hostile: Any) -> None:
    """Who can write to the broker may write anything; then the parent is the stored one, or made of the run's id."""
    assert parent_of(RUN, hostile, lambda: GIVEN) == GIVEN
    made = parent_of(RUN, hostile, lambda: hostile if isinstance(hostile, str) else None)
    assert made == parent_of(RUN, None, none)
    assert made != parent_of("run-00000002", None, none)
    with span("x", parent=made):
        pass
    (finished,) = spans.get_finished_spans()
    assert f"{finished.context.trace_id:032x}" == str(made)[3:35]


def test_an_error_is_named_and_not_quoted(spans: InMemorySpanExporter) -> None:
    """Its reason, or its class: the text may hold a secret or data of a run."""
    for error in (SourceError("senha: Zq9xW3kLm7", reason="unauthorized"), ValueError("senha: Zq9xW3kLm7")):
        with pytest.raises(type(error)), span("x"):
            raise error
    first, second = spans.get_finished_spans()
    assert (first.attributes["error.type"], second.attributes["error.type"]) == ("unauthorized", "ValueError")
    assert {item.status.status_code.name for item in (first, second)} == {"ERROR"}
    assert "Zq9xW3kLm7" not in first.to_json() + second.to_json()


async def _invoke() -> None:
    with span("request"):
        await FallbackParallelGraph().ainvoke({"message": "Job BATCH001 falhou", "job_name": "BATCH001"})


def test_a_run_in_the_callers_process_is_one_trace(
    spans: InMemorySpanExporter, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each source that is asked in the process is a child of the call, with its outcome, in whatever thread it is."""
    import asyncio

    for name in ("TWS_BASE_URL", "RESYNC_METRICS_URL", "REDIS_URL"):
        monkeypatch.delenv(name, raising=False)
    asyncio.run(_invoke())
    by_name = {item.name: item for item in spans.get_finished_spans()}
    assert len({item.context.trace_id for item in by_name.values()}) == 1
    call = by_name["parallel_troubleshoot"]
    assert call.parent.span_id == by_name["request"].context.span_id
    asked = [item for name, item in by_name.items() if name.startswith("troubleshoot.source.")]
    assert len(asked) == 4
    assert {item.parent.span_id for item in asked} == {call.context.span_id}
    assert all(item.attributes["resync.outcome"] for item in asked)
    assert "falhou" not in "".join(item.to_json() for item in by_name.values())


def test_without_the_package_a_span_costs_next_to_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Some millionths of a second, and nothing is sent, stored or looked up."""
    monkeypatch.delitem(sys.modules, tracing.API)

    def unasked() -> None:
        raise AssertionError

    assert (headers(), traceparent(), parent_of(RUN, GIVEN, unasked)) == ({}, None, None)
    began = time.thread_time()
    for _ in range(10_000):
        with span("x", run_id=RUN) as traced:
            traced.set(outcome="ok")
        annotate(attempt=1)
    assert time.thread_time() - began < 0.5


def test_an_api_without_a_provider_is_no_tracing() -> None:
    """Libraries load OpenTelemetry where it is installed, as redis-py does: nobody has asked for traces by that."""

    def unasked() -> None:
        raise AssertionError

    with span("x") as traced:
        assert traced is tracing._NO_SPAN
        assert (headers(), parent_of(RUN, GIVEN, unasked)) == ({}, None)


def test_a_missing_extra_is_one_line(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    """A worker whose endpoint is set without the extra works without traces, and says so."""
    monkeypatch.setitem(sys.modules, "opentelemetry.exporter.otlp.proto.http.trace_exporter", None)
    tracing.start_tracing({ENDPOINTS[1]: "http://127.0.0.1:1"}, service="worker")
    assert [record.getMessage().partition(" ")[0] for record in caplog.records] == ["tracing_not_installed"]
    assert tracing._provider.get() is None


TRACED = """
import os, sys, time
from orchestrator.tracing import span, start_tracing, stop_tracing, _provider
start_tracing(os.environ, service="worker")
with span("first"):  # makes the provider
    pass
began = time.monotonic()
for _ in range(5_000):  # more than the queue of the processor holds
    with span("x", run_id="r1"):
        pass
worked = time.monotonic() - began
parent = _provider.get()
if (child := os.fork()) == 0:
    with span("child"):
        pass
    os._exit(0 if _provider.get() is not parent else 1)
has_own = os.waitpid(child, 0)[1] == 0
began = time.monotonic()
stop_tracing()
print(worked, time.monotonic() - began, has_own)
"""


@pytest.mark.parametrize("kind", ["closed", "hanging"])
def test_a_collector_that_is_away_delays_nothing(kind: str) -> None:
    """Spans are made as fast as ever, a process ends within the flush's limit; a prefork child has its own provider."""
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        if kind == "hanging":
            server.listen(16)
        environ = os.environ | {ENDPOINTS[1]: f"http://127.0.0.1:{server.getsockname()[1]}"}
        done = subprocess.run(
            [sys.executable, "-c", TRACED], env=environ, capture_output=True, text=True, check=True, timeout=200
        )
    worked, ended, has_own = done.stdout.split()
    assert has_own == "True"
    # Beside each other on a busy machine; a single export that was waited for would take ten seconds.
    assert float(worked) < 9
    assert float(ended) < 9


UNTRACED = """
import logging, os, sys
from orchestrator.tracing import span, start_tracing
logging.basicConfig(stream=sys.stdout, format="%(message)s")
start_tracing(os.environ, service="w@h")
for name in ("first", "second"):
    with span(name):
        print(name)
"""


@pytest.mark.parametrize("wrong", ["OTEL_BSP_MAX_QUEUE_SIZE=100", "OTEL_SPAN_LINK_COUNT_LIMIT=abc"])
def test_a_wrong_variable_of_opentelemetry_costs_the_traces_alone(wrong: str) -> None:
    """The tasks of the run go on, and one line says why there are no traces."""
    name, _, value = wrong.partition("=")
    environ = os.environ | {ENDPOINTS[1]: "http://127.0.0.1:9", name: value}
    done = subprocess.run(
        [sys.executable, "-c", UNTRACED], env=environ, capture_output=True, text=True, check=True, timeout=200
    )
    lines = [line for line in done.stdout.splitlines() if line.startswith(("tracing", "first", "second"))]
    assert [line.split(" ")[0] for line in lines] == ["tracing_not_started", "first", "second"]


def test_a_worker_of_an_earlier_version_ignores_the_header() -> None:
    """The shape that messages are checked against does not name it: what is not named is not looked at."""
    from orchestrator.broker.messages import _TaskHeaders

    names = SimpleNamespace(task="troubleshoot.run", id=RUN)
    assert _TaskHeaders.model_validate({**vars(names), "traceparent": {"any": "thing"}}).id == RUN
    assert "traceparent" not in _TaskHeaders.model_fields
