"""Health pages of real workers and watchers."""

from __future__ import annotations

import urllib.error
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from prometheus_client.parser import text_string_to_metric_families
from tests_support import RedisServer, wait_until

from orchestrator.models import RunOutcome, TroubleshootRequest
from orchestrator.sources import BUILTIN_SOURCES
from orchestrator.testing import stub_message
from workers.standalone.ports import free_port

if TYPE_CHECKING:
    from fleet_support import Fleet

pytestmark = pytest.mark.acceptance


def ask(port: int, path: str) -> tuple[int, str]:
    """Status and text of a page; 0 when nobody listens."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=5) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()
    except urllib.error.URLError:
        return 0, ""


def test_a_worker_tells_of_its_tasks_and_of_a_broker_that_is_away(fleet: Fleet, own_redis: RedisServer) -> None:
    """Ready while it hears the broker, with figures of its tasks; not ready, but alive, while Redis is away."""
    fleet.environ["REDIS_URL"] = own_redis.url
    port, watchers_port = free_port(), free_port()
    fleet.worker("orchestrator", *BUILTIN_SOURCES, "synthesis", RESYNC_HEALTH_PORT=str(port))
    fleet.start("watcher", "-m", "orchestrator.watcher", RESYNC_HEALTH_PORT=str(watchers_port)).wait_for("started")
    with fleet.client() as client:
        run_id = client.submit(TroubleshootRequest(message=stub_message({})))
        assert client.result(run_id).outcome is RunOutcome.COMPLETE
    for number in (port, watchers_port):
        assert ask(number, "/livez") == ask(number, "/readyz") == (200, "ok\n")

    def figures() -> dict[str, float]:
        families = text_string_to_metric_families(ask(port, "/metrics")[1])
        name = "resync_troubleshoot_source_seconds_count"
        samples = [sample for family in families for sample in family.samples]
        return {sample.labels["source"]: sample.value for sample in samples if sample.name == name}

    wait_until(lambda: figures() == dict.fromkeys(BUILTIN_SOURCES, 1.0), what="an answer of each source")
    assert 'runs_ended_total{by="worker",outcome="complete"} 1.0' in ask(watchers_port, "/metrics")[1]
    own_redis.kill()
    for number in (port, watchers_port):
        wait_until(lambda number=number: ask(number, "/readyz")[0] == 503, what="not ready")
        assert ask(number, "/metrics")[0] == 200
        assert ask(number, "/livez") == (200, "ok\n")
    page = ask(watchers_port, "/metrics")[1]
    assert "resync_troubleshoot_store_reachable 0.0" in page
    assert 'resync_troubleshoot_store_errors_total{reason="store_unreachable"} 0.0' not in page
    own_redis.start()
    for number in (port, watchers_port):
        wait_until(lambda number=number: ask(number, "/readyz")[0] == 200, what="ready again")


@pytest.mark.parametrize("process", ["worker", "watcher"])
def test_a_port_in_use_stops_the_process_at_its_start(fleet: Fleet, process: str) -> None:
    """A taken health port is one line that names the variable, and exit code 2."""
    port = free_port()
    fleet.start("first", "-m", "orchestrator.watcher", RESYNC_HEALTH_PORT=str(port)).wait_for("watcher_started")
    if process == "worker":
        second = fleet.worker("metrics", ready=False, RESYNC_HEALTH_PORT=str(port))
    else:
        second = fleet.start("second", "-m", "orchestrator.watcher", RESYNC_HEALTH_PORT=str(port))
    assert second.popen.wait(60) == 2
    assert f"RESYNC_HEALTH_PORT: port {port} of 127.0.0.1 is in use" in second.text()
    assert "Traceback" not in second.text()


def test_without_prometheus_client_only_figures_lack(fleet: Fleet, tmp_path: Path) -> None:
    """A worker whose sources need no extra starts without one; for health pages it says what to install. A watcher has
    all pages but one, which says the same.
    """
    (tmp_path / "stubs" / "prometheus_client.py").write_text("raise ImportError(name='prometheus_client')\n", "utf-8")
    path = fleet.environ["PYTHONPATH"]
    fleet.worker("metrics", PYTHONPATH=path)
    second = fleet.worker("log_cache", ready=False, PYTHONPATH=path, RESYNC_HEALTH_PORT=str(free_port()))
    assert second.popen.wait(60) == 2
    assert "RESYNC_HEALTH_PORT needs prometheus_client: pip install 'resync-troubleshoot[workers]'" in second.text()
    assert "Traceback" not in second.text()
    port = free_port()
    fleet.watcher(PYTHONPATH=path, RESYNC_HEALTH_PORT=str(port))
    said = "prometheus_client is not installed: pip install 'resync-troubleshoot[workers]'\n"
    assert ask(port, "/metrics") == (503, said)
    assert ask(port, "/readyz") == ask(port, "/livez") == (200, "ok\n")
