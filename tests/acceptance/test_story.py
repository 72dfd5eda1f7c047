"""One run, one story: what a search for a run id finds in the logs of all processes, and the run's one trace."""

from __future__ import annotations

import json
import textwrap
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import pytest
from openai_support import FakeOpenAIServer, Reply, answer
from tests_support import wait_until

from orchestrator.sources import BUILTIN_SOURCES
from orchestrator.tracing import ENDPOINTS
from workers.lab.simulator.faults import Fault
from workers.lab.simulator.hwa import HwaSimulator
from workers.lab.simulator.metrics import AppMetricsServer
from workers.lab.simulator.scenarios import get_scenario

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from fleet_support import Fleet, Process

pytestmark = pytest.mark.acceptance
QUESTION = "Job BATCH001 falhou com ABEND S0C7, senha: Zq9xW3kLm7"
SECRETS = ("Zq9xW3kLm7", "falhou com")
GOOD = answer(
    summary="O job falhou.", claims=[{"text": "O TWS mostra o job em ABEND", "evidence_ids": ["tws_status:1"]}]
)
APP = """
    import asyncio, json, logging, sys
    from opentelemetry import trace
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import SimpleSpanProcessor
    from orchestrator import ParallelConfig, parallel_troubleshoot

    class Json(logging.Formatter):  # an app's own: what is given as extra
        def format(self, record):
            extra = {name: getattr(record, name) for name in ("event", "run_id") if hasattr(record, name)}
            return json.dumps({"level": record.levelname, "logger": record.name, **extra})

    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(Json())
    logging.basicConfig(level=logging.INFO, handlers=[handler])
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(OTLPSpanExporter()))
    trace.set_tracer_provider(provider)

    async def main():
        total, reserve = float(sys.argv[2]), float(sys.argv[3])
        config = ParallelConfig(total_timeout_seconds=total, synthesis_reserve_seconds=reserve, node_timeout_seconds=5)
        with trace.get_tracer("app").start_as_current_span("GET /chat"):
            await parallel_troubleshoot(sys.argv[1], job_name="BATCH001", config=config)

    asyncio.run(main())
"""


@dataclass
class Collector:
    """An OTLP endpoint that keeps the spans it is sent."""

    spans: list[Any] = field(default_factory=list)
    server: ThreadingHTTPServer = field(init=False)

    def __post_init__(self) -> None:
        from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

        spans = self.spans

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                sent = ExportTraceServiceRequest.FromString(self.rfile.read(int(self.headers["Content-Length"])))
                for resource in sent.resource_spans:
                    for scope in resource.scope_spans:
                        spans.extend(scope.spans)
                self.send_response(200)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                """Silent."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server.server_port}"

    def of_trace_with(self, run_id: str) -> list[Any]:
        """All spans of the traces that have a span about the run."""
        seen = list(self.spans)
        traces = {span.trace_id for span in seen if attributes(span).get("resync.run_id") == run_id}
        return [span for span in seen if span.trace_id in traces]


def attributes(span: Any) -> dict[str, Any]:
    return {item.key: getattr(item.value, item.value.WhichOneof("value")) for item in span.attributes}


@dataclass
class Told:
    """A running system, the app's script and what they tell."""

    fleet: Fleet
    collector: Collector
    simulator: HwaSimulator
    synthesis: Process
    script: Path
    count: int = 0

    def ask(self, *, total: float = 30, reserve: float = 20) -> tuple[str, str]:
        """Ask from an app; returns the id of the run and who committed it."""
        self.count += 1
        app = self.fleet.start(f"app{self.count}", str(self.script), QUESTION, str(total), str(reserve))
        assert app.popen.wait(120) == 0, app.text()
        (submitted,) = (line for line in map(json.loads, app.text().splitlines()) if line["event"] == "run_submitted")
        with self.fleet.client() as client:
            return submitted["run_id"], client.result(submitted["run_id"]).committed_by

    def lines(self, run_id: str) -> list[dict[str, Any]]:
        """The story, in the order of the processes."""
        return [json.loads(line) for line in self.fleet.logs().splitlines() if f'"run_id": "{run_id}"' in line]

    def story(self, run_id: str, *, until: str = "parallel_aggregation_complete") -> dict[str, list[dict[str, Any]]]:
        """The lines about a run by their events; a line of a worker may come after the answer."""
        wait_until(lambda: any(line["event"] == until for line in self.lines(run_id)), what=f"{until} in the logs")
        events: dict[str, list[dict[str, Any]]] = {}
        for line in self.lines(run_id):
            events.setdefault(line["event"], []).append(line)
        return events

    def trace(self, run_id: str, *names: str) -> dict[str, list[Any]]:
        """The spans of the run's trace by their names, once there are ``names`` among them."""

        def found() -> dict[str, list[Any]]:
            by_name: dict[str, list[Any]] = {}
            for span in self.collector.of_trace_with(run_id):
                by_name.setdefault(span.name, []).append(span)
            return by_name

        wait_until(lambda: set(names) <= found().keys(), what=f"spans {names}")
        return found()


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory, make_fleet: Callable[[Path], Fleet]) -> Iterator[Told]:
    """The shipped sources, a model, a watcher and a collector of traces; logs in JSON."""
    folder = tmp_path_factory.mktemp("story")
    fleet, collector, scenario = make_fleet(folder), Collector(), get_scenario(1)
    script = folder / "app.py"
    script.write_text(textwrap.dedent(APP))
    with (
        HwaSimulator(scenario.plan) as simulator,
        AppMetricsServer(scenario.metrics_text) as metrics,
        FakeOpenAIServer(lambda _: Reply(GOOD)) as model,
    ):
        del fleet.environ["PYTHONPATH"]  # the installed sources, not the stubs
        fleet.environ |= simulator.environ() | {
            "RESYNC_METRICS_URL": metrics.url,
            "RESYNC_LOG_FORMAT": "json",
            ENDPOINTS[1]: collector.url,
            "OTEL_BSP_SCHEDULE_DELAY": "200",
            "RESYNC_NODE_TIMEOUT_SECONDS": "5",
        }
        fleet.worker("orchestrator", ready=False)
        fleet.worker(*BUILTIN_SOURCES, ready=False)
        synthesis = fleet.worker("synthesis", ready=False, **model.environ())
        fleet.watcher(ready=False)
        fleet.wait_until_ready()
        yield Told(fleet, collector, simulator, synthesis, script)
        fleet.stop()
        collector.server.shutdown()
        collector.server.server_close()


def test_a_search_for_a_run_id_tells_a_good_run(told: Told) -> None:
    """Submitted, dispatched, each source begun and answered, TWS and the model asked, committed: with what is bound."""
    run_id, by = told.ask()
    assert by.startswith("synthesis:")
    story = told.story(run_id)
    once = ("run_submitted", "run_dispatched", "synthesis_started", "llm_call", "run_committed")
    assert {event: len(story.get(event, [])) for event in once} == dict.fromkeys(once, 1)
    for event in ("source_started", "source_finished"):
        assert {line["source"].partition("|")[0] for line in story[event]} == set(BUILTIN_SOURCES)
        assert {(line["queue"], bool(line["task_id"]), bool(line["worker"])) for line in story[event]} == {
            (source, True, True) for source in BUILTIN_SOURCES
        }
    requests = story["tws_request"]
    assert len(requests) >= 5
    for line in requests:
        assert (line["status"], line["attempt"], line["queue"]) == (200, 1, "tws_status")
        assert line["source"] == "tws_status|BATCH001"
        assert "?" not in line["path"]
    assert (story["llm_call"][0]["reason"], story["llm_call"][0]["queue"]) == ("ok", "synthesis")
    committed = story["run_committed"][0]
    assert (committed["outcome"], committed["mode"], committed["by"]) == ("complete", "llm", by)
    assert committed["latency_ms"] > 0
    assert len(told.lines(run_id)) < 30
    assert not [secret for secret in SECRETS if secret in told.fleet.logs()]


def test_a_run_is_one_trace(told: Told) -> None:
    """From the app's own span to the commit: each source with its requests, the model's call, no text of anyone."""
    run_id, _ = told.ask()
    spans = told.trace(run_id, "GET /chat", "troubleshoot.synthesize", "llm_call", "tws_request", "troubleshoot.run")
    sources = {f"troubleshoot.source.{name}" for name in BUILTIN_SOURCES}
    told.trace(run_id, *sources, "knowledge_search", "metrics_request", "troubleshoot.finish")
    spans = told.trace(run_id)

    def parent(name: str) -> set[str]:
        by_id = {span.span_id: span.name for group in spans.values() for span in group}
        return {by_id.get(span.parent_span_id, "?") for span in spans[name]}

    assert [span.parent_span_id for span in spans["GET /chat"]] == [b""]
    assert parent("parallel_troubleshoot") == {"GET /chat"}
    assert parent("troubleshoot.submit") == {"parallel_troubleshoot"}
    assert parent("troubleshoot.run") == {"troubleshoot.submit"}
    assert {name for source in sources for name in parent(source)} == {"troubleshoot.run"}
    assert parent("tws_request") == {"troubleshoot.source.tws_status"}
    assert parent("metrics_request") == {"troubleshoot.source.metrics"}
    assert parent("knowledge_search") == {"troubleshoot.source.rag_search"}
    assert parent("troubleshoot.synthesize") == {"troubleshoot.run"}
    # On a machine that stands still a watcher tries to finish it as well.
    assert parent("troubleshoot.finish") - {"troubleshoot.watch.fanin"} == {"troubleshoot.synthesize"}
    assert parent("llm_call") == {"troubleshoot.finish"}
    (asked,) = map(attributes, spans["metrics_request"])
    assert "/" not in asked["server.address"]
    assert asked["url.path"] == "/metrics"
    of_tws = attributes(spans["troubleshoot.source.tws_status"][0])
    assert (of_tws["resync.outcome"], of_tws["resync.attempt"], of_tws["resync.run_id"]) == ("ok", 1, run_id)
    assert of_tws["resync.latency_ms"] > 0
    assert attributes(spans["llm_call"][0])["gen_ai.usage.input_tokens"] > 0
    assert attributes(spans["troubleshoot.finish"][0])["resync.mode"] == "llm"
    written = str(spans)
    assert not [secret for secret in (*SECRETS, "O job falhou", told.simulator.password) if secret in written]


def test_a_search_for_a_run_id_tells_which_source_failed(told: Told) -> None:
    """Each try of the request, and the source's end with its reason as a warning; its span is a failure."""
    told.simulator.fail(Fault(status=503))
    try:
        run_id, _ = told.ask()
    finally:
        told.simulator.heal()
    story = told.story(run_id)
    (failed,) = (line for line in story["source_finished"] if line["source"].startswith("tws_status"))
    assert (failed["level"], failed["outcome"], failed["queue"]) == ("WARNING", "error", "tws_status")
    assert failed["reason"]
    assert failed["error"]
    assert {(line["status"], line["reason"]) for line in story["tws_request"]} == {(503, failed["reason"])}
    assert {line["attempt"] for line in story["tws_request"]} >= {1, 2}
    assert story["run_committed"][0]["outcome"] == "partial"
    spans = told.trace(run_id, "troubleshoot.source.tws_status")
    assert spans["troubleshoot.source.tws_status"][0].status.code == 2


def test_a_search_for_a_run_id_tells_that_a_watcher_ended_it(told: Told) -> None:
    """The last test: without a worker for synthesis the watcher says so and commits, in the same trace."""
    told.synthesis.kill()
    run_id, by = told.ask(total=12, reserve=6)
    assert by.startswith("watcher:")
    story = told.story(run_id)
    assert story["synthesis_not_started"][0]["level"] == "WARNING"
    (committed,) = story["run_committed"]
    assert (committed["by"], committed["worker"], committed["mode"]) == (by, by, "deterministic")
    assert "llm_call" not in story
    spans = told.trace(run_id, "GET /chat", "troubleshoot.finish")
    (finish,) = spans["troubleshoot.finish"]
    watched = next(span for name, group in spans.items() for span in group if span.span_id == finish.parent_span_id)
    assert watched.name.startswith("troubleshoot.watch.")
    assert watched.parent_span_id == spans["troubleshoot.submit"][0].span_id
