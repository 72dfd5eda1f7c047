"""Metrics, alerts and dashboard against a real Prometheus that scrapes a live system."""

from __future__ import annotations

import json
import re
import subprocess
import urllib.request
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml
from fleet_support import Fleet, Process, make_fleet
from prometheus_support import ask_api, program, running_prometheus
from tests_support import new_redis, wait_until

from orchestrator.models import TroubleshootRequest
from orchestrator.sources import BUILTIN_SOURCES
from orchestrator.testing import stub_message
from workers.standalone.ports import free_port

pytestmark = pytest.mark.acceptance
ROOT = Path(__file__).parents[2]
PREFIX = "resync_troubleshoot"
QUIET = {"Answers", "Calls", "Circuits", "Duration of a call", "Errors of the store"}
"""Panels that are empty in a system without TWS and a model, in which all is well."""


@dataclass
class Scraped:
    """A system and the Prometheus that scrapes it."""

    url: str
    worker: Process
    pages: list[str]

    def query(self, expression: str) -> list[Any]:
        """The result of an expression now; fails when it is not one."""
        result: list[Any] = ask_api(self.url, "query", query=expression)["result"]
        return result


def panels() -> dict[str, list[str]]:
    """The expressions of the dashboard by panel, with an interval in place of Grafana's variable."""
    dashboard = json.loads((ROOT / "ops" / "grafana" / "resync-troubleshoot.json").read_text("utf-8"))
    return {
        panel["title"]: [target["expr"].replace("$__rate_interval", "1m") for target in panel["targets"]]
        for panel in dashboard["panels"]
        if panel["type"] != "row"
    }


def rules() -> list[str]:
    groups = yaml.safe_load((ROOT / "ops" / "prometheus" / "alerts.yaml").read_text("utf-8"))["groups"]
    return [rule["expr"] for group in groups for rule in group["rules"]]


def page(port: int) -> str:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
        text: str = answer.read().decode()
    return text


@pytest.fixture(scope="module")
def scraped(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scraped]:
    """One worker, two watchers, a Prometheus with our alerts; a run that is complete, and one that is partial."""
    folder = tmp_path_factory.mktemp("monitoring")
    ports = [free_port() for _ in range(3)]
    config = {
        "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
        "rule_files": [str(ROOT / "ops" / "prometheus" / "alerts.yaml")],
        "scrape_configs": [
            {"job_name": "resync", "static_configs": [{"targets": [f"127.0.0.1:{port}" for port in ports]}]}
        ],
    }
    with new_redis() as server:
        fleet: Fleet = make_fleet(folder, server.url)
        try:
            queues = ("orchestrator", *BUILTIN_SOURCES, "synthesis")
            worker = fleet.worker(*queues, ready=False, RESYNC_HEALTH_PORT=str(ports[0]))
            for port in ports[1:]:
                fleet.watcher(ready=False, RESYNC_HEALTH_PORT=str(port))
            fleet.wait_until_ready()
            with running_prometheus(folder, yaml.safe_dump(config)) as url:
                system = Scraped(url, worker, [])
                wait_until(lambda: len(system.query(f"{PREFIX}_runs_accepted_total")) == 2, what="the first scrapes")
                behaviours: list[dict[str, dict[str, object]]] = [
                    {},
                    {"metrics": {"error": "down"}, "log_cache": {"error": "down"}},
                ]
                with fleet.client() as client:
                    for behaviour in behaviours:
                        client.result(client.submit(TroubleshootRequest(message=stub_message(behaviour))))
                ended = f"sum({PREFIX}_runs_ended_total) == 4 and sum(rate({PREFIX}_runs_ended_total[1m])) > 0"
                wait_until(lambda: system.query(ended), what="both runs, of both watchers")
                wait_until(lambda: system.query(f"{PREFIX}:runs_answered:rate10m"), what="recorded rates")
                system.pages = [page(port) for port in ports]
                yield system
        finally:
            fleet.stop()


def test_promtool_finds_no_fault_in_the_pages(scraped: Scraped) -> None:
    """Names, types, units and texts of the pages are as Prometheus wants them."""
    for text in scraped.pages:
        done = subprocess.run(
            [program("promtool"), "check", "metrics"],
            input=text,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        ours = [line for line in (done.stdout + done.stderr).splitlines() if line.startswith(PREFIX)]
        assert ours == []


def test_every_metric_of_rules_dashboard_and_runbooks_exists(scraped: Scraped) -> None:
    """Each name of a metric that they contain is one that a process publishes, or one that a rule records."""
    kinds = dict(re.findall(rf"^# TYPE ({PREFIX}_\w+) (\w+)$", "\n".join(scraped.pages), re.MULTILINE))
    published = {f"{name}{part}" for name in kinds for part in ("", "_bucket", "_sum", "_count")}
    files = [
        *(ROOT / "ops" / "prometheus").glob("*.yaml"),
        *(ROOT / "ops" / "grafana").glob("*.json"),
        *(ROOT / "docs" / name for name in ("runbooks.md", "monitoring.md")),
    ]
    named = {name for file in files for name in re.findall(rf"\b{PREFIX}_\w+", file.read_text("utf-8"))}
    assert len(named) > 25
    assert named <= published


def test_every_expression_of_the_dashboard_gives_data(scraped: Scraped) -> None:
    """Each expression is one for Prometheus, and each panel shows something of a system that works."""
    empty = set(panels())

    def has_data() -> bool:
        # A rate needs two scrapes.
        found = {title: [scraped.query(item) for item in expressions] for title, expressions in panels().items()}
        empty.intersection_update(title for title, results in found.items() if not any(results))
        return empty <= QUIET

    with suppress(pytest.fail.Exception):
        wait_until(has_data, seconds=20, what="data")
    assert empty <= QUIET


def test_every_rule_is_evaluated(scraped: Scraped) -> None:
    """No rule fails, and of a system that works, with one bad run, no alert fires."""
    for expression in rules():
        scraped.query(expression)
    wait_until(
        lambda: all(rule["health"] == "ok" for group in _groups(scraped) for rule in group["rules"]),
        what="healthy rules",
    )
    assert [alert for alert in ask_api(scraped.url, "alerts")["alerts"] if alert["state"] == "firing"] == []


def test_a_run_counts_once_on_every_watcher(scraped: Scraped) -> None:
    """Both watchers publish the same counts of the two runs; the worker publishes none of them."""
    ended = scraped.query(f"sum by (instance, outcome) ({PREFIX}_runs_ended_total) > 0")
    counts = sorted((item["metric"]["outcome"], item["value"][1]) for item in ended)
    assert counts == [("complete", "1"), ("complete", "1"), ("partial", "1"), ("partial", "1")]


def test_a_worker_that_dies_is_an_alert(scraped: Scraped) -> None:
    """When the only worker is gone, its queues are without one: the last test, as it ends the worker."""
    scraped.worker.kill()

    def pending() -> bool:
        alerts = ask_api(scraped.url, "alerts")["alerts"]
        queues = {item["labels"]["queue"] for item in alerts if item["labels"]["alertname"] == "ResyncNoWorker"}
        return queues == {"orchestrator", *BUILTIN_SOURCES, "synthesis"}

    wait_until(pending, what="the alert of each queue")


def _groups(scraped: Scraped) -> list[Any]:
    groups: list[Any] = ask_api(scraped.url, "rules")["groups"]
    return groups
