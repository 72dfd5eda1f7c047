"""A worker that takes no task says so to its probes, to ``queues`` and to ``doctor``."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from tests_support import stretched, wait_until

from orchestrator.broker.app import make_celery
from orchestrator.broker.queues import ServedQueues
from orchestrator.config import ParallelConfig
from orchestrator.models import RunOutcome, TroubleshootRequest
from orchestrator.testing import stub_message
from tests.acceptance.test_health import ask
from workers.standalone.ports import free_port

if TYPE_CHECKING:
    from fleet_support import Fleet

pytestmark = pytest.mark.acceptance
PROGRAM = str(Path(sys.executable).with_name("resync-troubleshoot"))
CONFIG = ParallelConfig(node_timeout_seconds=1, total_timeout_seconds=4)
ENDLESS_RESULT = """
import time
from orchestrator.sources import FetchResult, SourceSpec
def queries():
    time.sleep(600)
    yield ""
class Endless:
    async def fetch(self, request):
        return FetchResult(asked=queries())
    async def close(self):
        pass
metrics = SourceSpec(name="metrics", create=lambda environ: Endless())
"""
BLOCKING = """
import time
from pathlib import Path
from orchestrator.sources import FetchResult, SourceSpec
class Blocking:
    async def fetch(self, request):
        while not Path("free").exists():
            time.sleep(0.05)
        return FetchResult()
    async def close(self):
        pass
metrics = SourceSpec(name="metrics", create=lambda environ: Blocking())
"""
"""Blocks its event loop until there is a file of that name."""


def command(fleet: Fleet, *arguments: str) -> subprocess.CompletedProcess[str]:
    environ = {**fleet.environ, "LANG": "C.UTF-8"}
    return subprocess.run((PROGRAM, *arguments), env=environ, capture_output=True, text=True, timeout=100, check=False)


def reasons(fleet: Fleet) -> dict[str, Any]:
    problems: dict[str, Any] = json.loads(command(fleet, "queues", "--json").stdout)["problems"]
    return {worker.partition("-")[0]: [problem["reason"] for problem in told] for worker, told in problems.items()}


def doctor(fleet: Fleet) -> dict[str, Any]:
    checks = json.loads(command(fleet, "doctor", "--json", "--only", "workers").stdout)["checks"]
    return next(check for check in checks if check["name"] == "workers")


def served(fleet: Fleet) -> frozenset[str]:
    app = make_celery(fleet.settings, with_results=False)
    try:
        return ServedQueues(app).names()
    finally:
        app.close()


def test_a_worker_without_a_place_says_so(fleet: Fleet) -> None:
    """A result without an end takes the only place for good: not ready, not alive, and shown by queues and doctor."""
    module = fleet.folder / "stubs" / "resync_stub_sources.py"
    module.write_text(module.read_text("utf-8") + ENDLESS_RESULT, "utf-8")
    port = free_port()
    worker = fleet.worker("metrics", concurrency=1, RESYNC_HEALTH_PORT=str(port))
    fleet.worker("orchestrator", "synthesis", "tws_status", "rag_search", "log_cache")
    assert ask(port, "/livez") == ask(port, "/readyz") == (200, "ok\n")
    assert reasons(fleet) == {}
    with fleet.client() as client:
        client.result(client.submit(TroubleshootRequest(message=stub_message({}), config=CONFIG)))
    wait_until(lambda: ask(port, "/readyz")[0] == 503, what="not ready")
    assert "every place of its pool is taken" in ask(port, "/livez")[1]
    assert ask(port, "/livez")[0] == 503
    assert reasons(fleet) == {"metrics": ["no_place"]}
    assert "every place of its pool" in command(fleet, "queues").stdout
    assert doctor(fleet)["reason"] == "no_place"
    assert "metrics" not in served(fleet)
    worker.wait_for("worker_takes_no_task reason=no_place")


def test_a_source_that_the_dispatching_worker_cannot_load_is_named(fleet: Fleet) -> None:
    """A module that cannot be imported there is an error in the answer, and doctor names the worker."""
    module = fleet.folder / "stubs" / "resync_stub_sources.py"
    broken = module.read_text("utf-8").replace("metrics = stub_spec('metrics')", "")
    broken += "def __getattr__(name):\n    raise ImportError(name='site_client')\n"
    fleet.worker("metrics", "tws_status", "rag_search", "log_cache", "synthesis")
    module.write_text(broken, "utf-8")
    fleet.worker("orchestrator")
    with fleet.client() as client:
        report = client.result(client.submit(TroubleshootRequest(message=stub_message({}), config=CONFIG)))
    assert report.outcome is RunOutcome.PARTIAL
    (failure,) = report.aggregated_data.sources_failed
    assert (failure.source, failure.outcome, failure.reason) == ("metrics", "error", "workers_not_installed")
    assert "site_client" in failure.error
    assert report.total_latency_ms < stretched(2_000)
    assert reasons(fleet) == {"orchestrator": ["source_not_loaded"]}
    found = doctor(fleet)
    assert (found["status"], found["reason"]) == ("error", "source_not_loaded")
    assert "site_client" in json.dumps(found)


def test_a_worker_with_a_blocked_loop_says_so_until_it_is_free(fleet: Fleet) -> None:
    """While a source blocks the event loop of another, their worker is not ready but alive, and names the source."""
    module = fleet.folder / "stubs" / "resync_stub_sources.py"
    module.write_text(module.read_text("utf-8") + BLOCKING, "utf-8")
    port = free_port()
    environ = {"RESYNC_HEALTH_PORT": str(port), "RESYNC_LOOP_LAG_LIMIT_SECONDS": "60"}
    worker = fleet.worker("metrics", "log_cache", **environ)
    fleet.worker("orchestrator", "synthesis", "tws_status", "rag_search")
    with fleet.client() as client:
        client.submit(TroubleshootRequest(message=stub_message({}), config=CONFIG))
        worker.wait_for("loop_blocked source=metrics|BATCH001")
        status, text = ask(port, "/readyz")
        assert (status, "metrics|BATCH001 has blocked its event loop" in text) == (503, True)
        assert ask(port, "/livez") == (200, "ok\n")
        assert reasons(fleet) == {"metrics": ["loop_blocked"]}
        (fleet.folder / "free").touch()
        worker.wait_for("loop_free source=metrics|BATCH001")
    assert ask(port, "/readyz") == (200, "ok\n")
    assert reasons(fleet) == {}
    assert {"metrics", "orchestrator"} <= served(fleet)
