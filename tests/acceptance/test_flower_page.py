"""Flower as an operator sees it, in a real browser."""

from __future__ import annotations

import html
import json
import re
import subprocess
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from tests_support import wait_until

from orchestrator.models import TroubleshootRequest
from orchestrator.sources import BUILTIN_SOURCES
from orchestrator.testing import stub_message
from workers.standalone.ports import free_port

if TYPE_CHECKING:
    from fleet_support import Fleet

pytestmark = pytest.mark.acceptance
SECRET = "Segredo-2026-x"


def page(browser: str, url: str, profile: Path) -> str:
    """The text of a page after its scripts have run."""
    flags = (
        *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync"),
        *("--disable-background-networking", "--disable-component-update", "--disable-dev-shm-usage"),
        *(f"--user-data-dir={profile}", "--virtual-time-budget=5000", "--dump-dom"),
    )
    done = subprocess.run([browser, *flags, url], capture_output=True, text=True, timeout=200, check=True)
    return html.unescape(re.sub(r"<[^>]+>", " ", done.stdout))


def wait_for(url: str, *, seconds: float = 60.0) -> None:
    end = time.monotonic() + seconds
    while True:
        try:
            urllib.request.urlopen(url, timeout=2).close()
        except (urllib.error.URLError, OSError):
            assert time.monotonic() < end, f"{url} did not answer"
            time.sleep(0.1)
        else:
            return


def online_workers(address: str) -> int:
    """Workers from which Flower has received an event."""
    with urllib.request.urlopen(f"{address}/workers?json=1", timeout=10) as response:
        return sum(bool(worker.get("status")) for worker in json.load(response)["data"])


def test_flower_shows_a_run_and_none_of_its_payload(running_fleet: Fleet, browser: str, tmp_path: Path) -> None:
    """The task list links every task of a run by its id, the broker page lists every queue, and no secret shows."""
    port = free_port()
    address = f"http://127.0.0.1:{port}"
    flower = running_fleet.start(
        "flower", "-m", "celery", "-A", "workers.app", "flower", "--address=127.0.0.1", f"--port={port}"
    )
    try:
        wait_for(f"{address}/workers")
        # Flower answers before it receives events: a run from before that is not in its list, or only in part.
        wait_until(lambda: online_workers(address) >= 2, what="Flower to hear of the workers")
        message = stub_message({"metrics": {"error": f"password={SECRET}"}}, text=f"Job BATCH001 falhou senha={SECRET}")
        with running_fleet.client() as client:
            run_id = client.submit(TroubleshootRequest(message=message, job_name="BATCH001"))
            client.result(run_id)
        names = ("troubleshoot.run", "troubleshoot.synthesize", *(f"troubleshoot.source.{s}" for s in BUILTIN_SOURCES))
        pages: list[str] = []

        def lists_all() -> bool:
            pages.append(page(browser, f"{address}/tasks", tmp_path / "profile"))
            return all(word in pages[-1] for word in (run_id, *names))

        wait_until(lists_all, what="every task of the run in the list")
        tasks = pages[-1]
        run = page(browser, f"{address}/task/{run_id}", tmp_path / "profile")
        assert f"('{run_id}',)" in run
        queues = page(browser, f"{address}/broker", tmp_path / "profile")
        for queue in ("orchestrator", *BUILTIN_SOURCES, "synthesis"):
            assert queue in queues
        for shown in (tasks, run, queues):
            assert SECRET not in shown
    finally:
        flower.kill()
