"""Alerts, runbooks, dashboard and scrape configurations: complete, and accepted by Prometheus' own tool."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import click
import pytest
import yaml
from flower.events import PrometheusMetrics
from kustomize_support import build
from prometheus_support import program

from orchestrator.broker.app import queue_names
from orchestrator.cli.main import CommandGroup
from workers.doctor.check import CheckContext
from workers.doctor.checklist import all_checks, choose

ROOT = Path(__file__).parents[3]
FOLDER = ROOT / "ops" / "prometheus"
RUNBOOKS = (ROOT / "docs" / "runbooks.md").read_text("utf-8")


def alerts() -> dict[str, Any]:
    """The alerts by name."""
    groups = yaml.safe_load((FOLDER / "alerts.yaml").read_text("utf-8"))["groups"]
    return {rule["alert"]: rule for group in groups for rule in group["rules"] if "alert" in rule}


@pytest.mark.parametrize(
    "arguments",
    [
        ("check", "rules", "alerts.yaml"),
        ("check", "config", "prometheus.yaml"),
        ("test", "rules", "alerts_test.yaml"),
    ],
    ids=" ".join,
)
def test_promtool_accepts_them(arguments: tuple[str, ...]) -> None:
    """Rules and configuration are valid; each alert is silent while all is well and fires when it is not."""
    done = subprocess.run(
        [program("promtool"), *arguments], cwd=FOLDER, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_each_alert_is_tried() -> None:
    """Each alert has a moment at which it is silent, and a later one at which it fires."""
    tried: dict[str, list[bool]] = {}
    for case in yaml.safe_load((FOLDER / "alerts_test.yaml").read_text("utf-8"))["tests"]:
        for moment in case["promql_expr_test"]:
            assert f'alertname="{case["name"]}",alertstate="firing"' in moment["expr"]
            tried.setdefault(case["name"], []).append(bool(moment["exp_samples"]))
    assert set(tried) == set(alerts())
    assert {name for name, moments in tried.items() if moments[:2] != [False, True]} == set()


def test_each_alert_has_a_runbook() -> None:
    """Each alert says how bad it is and what happens, and leads to a runbook of its own with three parts."""
    assert re.findall(r"^## (\w+)$", RUNBOOKS, re.MULTILINE) == list(alerts())
    for name, rule in alerts().items():
        assert rule["labels"]["severity"] in {"warning", "critical"}
        assert rule["annotations"]["summary"]
        assert rule["annotations"]["description"]
        assert rule["annotations"]["runbook_url"] == f"docs/runbooks.md#{name.lower()}"
    for part in re.split(r"^## ", RUNBOOKS, flags=re.MULTILINE)[1:]:
        assert all(f"**{word}" in part.lower() for word in ("means", "look", "do")), part


def test_runbooks_name_commands_that_exist() -> None:
    """Each command of ours that a runbook names exists, and so does each check of the doctor."""
    commands = set(re.findall(r"resync-troubleshoot ([a-z]+)", RUNBOOKS))
    assert len(commands) >= 5
    assert commands <= set(CommandGroup().list_commands(click.Context(CommandGroup())))
    checks = set(re.findall(r"doctor --only (\w+)", RUNBOOKS))
    assert len(checks) >= 3
    choose(all_checks(CheckContext({}, 3.0)), checks)


def test_prometheus_scrapes_each_process_of_compose() -> None:
    """The services of Compose with health pages are those that are looked up, on their port, which others can reach."""
    services = yaml.safe_load((ROOT / "compose.yaml").read_text("utf-8"))["services"]
    job, _ = yaml.safe_load((FOLDER / "prometheus.yaml").read_text("utf-8"))["scrape_configs"]
    (lookup,) = job["dns_sd_configs"]
    assert set(lookup["names"]) == {*queue_names(), "watcher"} == set(services) - {"redis", "flower"}
    for name in lookup["names"]:
        environment = services[name]["environment"]
        assert environment["RESYNC_HEALTH_PORT"] == str(lookup["port"])
        assert environment["RESYNC_HEALTH_ADDRESS"] == "${RESYNC_HEALTH_ADDRESS:-0.0.0.0}"
        assert "backend" in services[name]["networks"]


def test_of_flower_only_what_we_do_not_tell_is_scraped() -> None:
    """Each of Flower's metrics is on the page of ours; those that are kept are those for which we have nothing."""
    _, job = yaml.safe_load((FOLDER / "prometheus.yaml").read_text("utf-8"))["scrape_configs"]
    (relabelling,) = job["metric_relabel_configs"]
    own = [
        name
        for family in PrometheusMetrics.__init__.__code__.co_consts
        for name in re.findall(r"^flower_\w+", str(family))
    ]
    page = (ROOT / "docs" / "monitoring.md").read_text("utf-8")
    rows = re.findall(r"^\| (`flower_[^|]+) \| (.+) \|$", page, re.MULTILINE)
    told = {name: instead for names, instead in rows for name in re.findall(r"flower_\w+", names)}
    assert len(own) == 6
    assert set(own) == set(told)
    kept = {name for name, instead in told.items() if instead.startswith("nothing")}
    assert kept == {name for name in told if re.fullmatch(relabelling["regex"], name)}


def test_the_pod_monitor_finds_each_pod_with_health_pages() -> None:
    """Its selector matches each pod but Flower's, by the name of the port that they have."""
    (monitor,) = build(ROOT / "ops" / "k8s" / "components" / "monitoring")
    (endpoint,) = monitor["spec"]["podMetricsEndpoints"]
    manifests = build(ROOT / "ops" / "k8s" / "base")
    templates = [item["spec"]["template"] for item in manifests if item["kind"] == "Deployment"]
    found = set()
    for template in templates:
        labels = template["metadata"]["labels"]
        terms = monitor["spec"]["selector"]["matchExpressions"]
        if all((labels.get(term["key"]) in term["values"]) == (term["operator"] == "In") for term in terms):
            found.add(labels["app.kubernetes.io/component"])
            (container,) = template["spec"]["containers"]
            assert endpoint["port"] in {port["name"] for port in container["ports"]}
    assert len(found) == len(templates) - 1
    assert "flower" not in found


def test_the_panels_of_the_dashboard_do_not_overlap() -> None:
    """Each panel has a number and a place of its own, a title, and expressions of the chosen Prometheus."""
    dashboard = json.loads((ROOT / "ops" / "grafana" / "resync-troubleshoot.json").read_text("utf-8"))
    panels = dashboard["panels"]
    assert len({panel["id"] for panel in panels}) == len({panel["title"] for panel in panels}) == len(panels) > 25
    cells: set[tuple[int, int]] = set()
    for panel in panels:
        place = panel["gridPos"]
        own = {(place["x"] + x, place["y"] + y) for x in range(place["w"]) for y in range(place["h"])}
        assert not own & cells
        assert max(x for x, _ in own) < 24
        cells |= own
        if panel["type"] != "row":
            assert panel["datasource"]["uid"] == "${datasource}"
            assert all(target["expr"] for target in panel["targets"])
