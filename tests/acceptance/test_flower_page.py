"""Flower as an operator sees it, in a real browser, with the shipped configuration."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import time
import urllib.error
import urllib.request
from base64 import b64encode
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from browser_support import Page
from flower.utils.broker import Broker
from tests_support import wait_until

from orchestrator.broker.app import make_celery
from orchestrator.config import ParallelConfig, Settings
from orchestrator.models import TroubleshootRequest
from orchestrator.sources import BUILTIN_SOURCES
from orchestrator.store.connection import connect
from orchestrator.store.keys import Keys, lanes
from orchestrator.testing import stub_message
from workers.standalone.ports import free_port

if TYPE_CHECKING:
    from collections.abc import Iterator

    from fleet_support import Fleet

pytestmark = pytest.mark.acceptance
ROOT = Path(__file__).parents[2]
SECRET = "Segredo-2026-x"
USER = "operator:Flower-2026-y"
SUBMIT = """
import sys
from orchestrator import TroubleshootClient, TroubleshootRequest
with TroubleshootClient() as client:
    client.result(client.submit(TroubleshootRequest(message=sys.argv[1])))
"""
ROWS = "[...document.querySelectorAll('#tasks-table tbody tr')].map(row => [...row.cells].map(cell => cell.innerText))"
WIDE = 1_280
LOG_LINE = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z (INFO|ERROR) flower\."


def get(url: str) -> str:
    """The page at an address, for Flower's user."""
    request = urllib.request.Request(url, headers={"Authorization": f"Basic {b64encode(USER.encode()).decode()}"})
    with urllib.request.urlopen(request, timeout=10) as response:
        return str(response.read().decode())


@contextmanager
def flower(fleet: Fleet, folder: Path, workers: int) -> Iterator[int]:
    """Flower with its shipped configuration, once it has heard of the workers; gives its port."""
    port = free_port()
    process = fleet.start(
        *("flower", "-m", "celery", "-A", "workers.app", "flower"),
        *(f"--conf={ROOT / 'ops/flower/flowerconfig.py'}", f"--port={port}"),
        FLOWER_BASIC_AUTH=USER,
        FLOWER_STATE_DIRECTORY=str(folder),
    )

    def hears() -> bool:
        try:
            told = json.loads(get(f"http://127.0.0.1:{port}/workers?json=1"))["data"]
        except (urllib.error.URLError, OSError):
            return False
        return sum(bool(worker.get("status")) for worker in told) >= workers

    try:
        # Flower answers before it receives events: a run from before that is not in its list, or only in part.
        wait_until(hears, what="Flower to hear of the workers")
        assert re.match(LOG_LINE, process.text()), "Flower's lines have the format of the other processes"
        yield port
    finally:
        process.kill(signal.SIGTERM)
        process.popen.wait(30)


def found(page: Page, port: int, run_id: str) -> dict[str, list[str]]:
    """The rows of the tasks that a search for a run finds, by the name of the task."""
    page.open(f"http://{USER}@127.0.0.1:{port}/tasks")
    page.resize(WIDE, 720)
    page.type("input[type=search]", run_id)
    wait_until(lambda: len(page.run(ROWS)) == len(BUILTIN_SOURCES) + 2, what="six tasks of the run")
    return {row[0]: row for row in page.run(ROWS)}


def test_an_operator_finds_a_run_and_what_its_tasks_came_to(running_fleet: Fleet, browser: str, tmp_path: Path) -> None:
    """The list shows the whole run id and each outcome, no payload, and has both after a restart of Flower.

    ``RESYNC_SCREENSHOT=docs/images/flower-tasks.png`` keeps what the window shows.
    """
    state = tmp_path / "state"
    state.mkdir()
    behaviours = {"metrics": {"error": f"password={SECRET}"}, "rag_search": {"sleep_seconds": 30}}
    message = stub_message(behaviours, text=f"Job BATCH001 falhou senha={SECRET}")
    with Page(browser, tmp_path / "profile") as page:
        with flower(running_fleet, state, 2) as port:
            with pytest.raises(urllib.error.HTTPError, match="401"):
                urllib.request.urlopen(f"http://127.0.0.1:{port}/tasks", timeout=10)
            with running_fleet.client() as client:
                config = ParallelConfig(node_timeout_seconds=1, total_timeout_seconds=30)
                run_id = client.submit(TroubleshootRequest(message=message, job_name="BATCH001", config=config))
                client.result(run_id)
            rows = found(page, port, run_id)
            # Name, run, outcome, state and run time are all seen: nothing is cut, and nothing is scrolled to.
            cells = "[...document.querySelector('#tasks-table tbody tr').cells]"
            assert page.run(f"{cells}[4].getBoundingClientRect().right") < WIDE
            assert [row[1].split()[0] for row in rows.values()] == [run_id] * 6
            told = {name.removeprefix("troubleshoot."): row[2] for name, row in rows.items()}
            assert told == {
                "run": "dispatched",
                "source.tws_status": "ok",
                "source.rag_search": "timeout",
                "source.log_cache": "ok",
                "source.metrics": "error",
                "synthesize": "partial",
            }
            if path := os.environ.get("RESYNC_SCREENSHOT"):
                Path(path).write_bytes(page.screenshot())
            shown = page.run("document.documentElement.outerHTML")
            page.open(f"http://{USER}@127.0.0.1:{port}/task/{run_id}")
            shown += page.run("document.documentElement.outerHTML")
            page.open(f"http://{USER}@127.0.0.1:{port}/broker")
            shown += page.run("document.documentElement.outerHTML")
            assert SECRET not in shown
            for queue in ("orchestrator", *BUILTIN_SOURCES, "synthesis"):
                assert re.search(rf">\s*{queue}\s*<", shown)
        cookie = (state / "flower-cookie-secret").read_text()
        with flower(running_fleet, state, 2) as port:
            assert found(page, port, run_id) == rows
        assert (state / "flower-cookie-secret").read_text() == cookie
        for path_of_state in state.glob("flower*"):
            assert path_of_state.stat().st_mode & 0o077 == 0
            if path_of_state.name != "flower-cookie-secret":
                path_of_state.write_bytes(b"no shelf at all")
        with flower(running_fleet, state, 2) as port:
            assert json.loads(get(f"http://127.0.0.1:{port}/api/tasks")) == {}


def test_flowers_metrics_have_no_series_of_client_processes(running_fleet: Fleet, tmp_path: Path) -> None:
    """Whoever publishes has one name, which is no worker's: apps come and go, and Flower would count each for ever."""
    with flower(running_fleet, tmp_path, 2) as port:
        clients = [running_fleet.start(f"client-{n}", "-c", SUBMIT, f"Job BATCH00{n} falhou") for n in range(3)]
        for client in clients:
            assert client.popen.wait(180) == 0, client.text()

        def tasks() -> list[dict[str, Any]]:
            return list(json.loads(get(f"http://127.0.0.1:{port}/api/tasks")).values())

        wait_until(lambda: sum(task["name"] == "troubleshoot.run" for task in tasks()) == 3, what="three runs")
        assert {task["client"] for task in tasks()} == {"publisher"}
        workers = set(re.findall(r'worker="([^"]*)"', get(f"http://127.0.0.1:{port}/metrics")))
    assert sorted(name.partition("-")[0] for name in workers) == ["orchestrator", BUILTIN_SOURCES[0]]


def test_flowers_broker_page_counts_both_lists_of_a_queue(redis_server: str) -> None:
    """Messages about batches wait in a list of their own, below the prefix of the project's keys."""
    settings = Settings.from_env({"REDIS_URL": redis_server, "RESYNC_KEY_PREFIX": f"flower{time.time_ns()}:"})
    app = make_celery(settings, with_results=False)
    with connect(settings) as client:
        for count, lane in zip((2, 3), lanes("rag_search"), strict=True):
            client.lpush(Keys(settings.key_prefix).broker_prefix + lane, *["message"] * count)
        options = app.conf.broker_transport_options
        broker = Broker(settings.redis_url, broker_options=options, broker_use_ssl=app.conf.broker_use_ssl)
        assert asyncio.run(broker.queues(["rag_search"])) == [{"name": "rag_search", "messages": 5}]
    app.close()
