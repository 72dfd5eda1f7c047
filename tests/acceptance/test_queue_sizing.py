"""The figures of a queue and the advised workers, with real workers under a load that is too much for them."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from fleet_support import Fleet
from tests_support import stretched, wait_until

from orchestrator.client.sync import TroubleshootClient
from orchestrator.config import ParallelConfig
from orchestrator.errors import Overloaded
from orchestrator.models import EventType, TroubleshootRequest
from orchestrator.sources import BUILTIN_SOURCES
from orchestrator.store.load import read_load
from orchestrator.testing import stub_message

pytestmark = pytest.mark.acceptance
PER_SECOND, SECONDS = 3, 1.0
"""Questions a second, and what the source takes for each."""
OTHERS = tuple(source for source in BUILTIN_SOURCES if source != "metrics")
REQUEST = TroubleshootRequest(
    message=stub_message({"metrics": {"sleep_seconds": SECONDS}}),
    config=ParallelConfig(disabled_sources=OTHERS),
    intent="troubleshoot",
)


def queues(fleet: Fleet, *options: str) -> Any:
    """What the command tells of the queue ``metrics``."""
    command = [str(Path(sys.executable).with_name("resync-troubleshoot")), "queues", "--json", *options]
    done = subprocess.run(command, env=os.environ | fleet.environ, capture_output=True, check=True, timeout=60)
    return next(queue for queue in json.loads(done.stdout)["queues"] if queue["queue"] == "metrics")


def ask(client: TroubleshootClient, seconds: float) -> list[str]:
    """Ask ``PER_SECOND`` questions a second; the runs that were accepted."""
    run_ids, began = [], time.monotonic()
    for number in range(int(seconds * PER_SECOND)):
        time.sleep(max(0.0, began + number / PER_SECOND - time.monotonic()))
        try:
            run_ids.append(client.submit(REQUEST))
        except Overloaded:
            continue
    return run_ids


def waits(client: TroubleshootClient, run_ids: list[str]) -> list[float]:
    """Seconds from the plan to the start of the source; those that were never asked are left out."""
    seconds = []
    for run_id in run_ids:
        at = {event.type: event.at_ms for event in client.stream(run_id)}
        if EventType.SOURCE_STARTED in at:
            seconds.append((at[EventType.SOURCE_STARTED] - at[EventType.ROUTED]) / 1000)
    return seconds


def test_with_the_advised_workers_a_question_waits_for_less_than_the_target(fleet: Fleet) -> None:
    """Two places for three questions a second of a second each: the wait grows; with the workers advised it ends."""
    fleet.worker("orchestrator", "synthesis", ready=False)
    fleet.worker("metrics", concurrency=2, ready=False)
    fleet.wait_until_ready()
    with fleet.client() as client:
        store = client.store
        asked = ask(client, 7)[-8:]
        told = queues(fleet)
        long = waits(client, asked)
        assert told["capacity"] == 2
        assert told["running"] in (1, 2)  # a place is free for a moment between two tasks
        assert told["arrivals_per_second"] == pytest.approx(PER_SECOND, rel=0.5)
        assert told["completions_per_second"] < told["arrivals_per_second"]
        assert SECONDS <= told["task_seconds"] < stretched(2 * SECONDS)
        advised = told["advised"]
        assert advised["workers"] >= 2
        assert advised["places"] > told["arrivals_per_second"] * told["task_seconds"]
        for _ in range(advised["workers"] - 1):
            fleet.worker("metrics", concurrency=2, ready=False)
        fleet.wait_until_ready()
        wait_until(lambda: not read_load(store._client, store.keys, ["metrics"])[0].waiting, what="the queue is empty")
        short = waits(client, ask(client, 5))
        assert statistics.fmean(long) > 1.0
        assert statistics.fmean(short) < stretched(1.0)
        wait_until(lambda: not read_load(store._client, store.keys, ["metrics"])[0].running, what="all have ended")
        told = queues(fleet, "--target-wait", "60")
        assert told["capacity"] == 2 * advised["workers"]
        assert told["turned_away_per_second"] <= told["arrivals_per_second"]
    # What a dead worker held is held no more.
    with fleet.client() as client:
        client.submit(REQUEST)
        wait_until(lambda: read_load(client.store._client, client.store.keys, ["metrics"])[0].running, what="it runs")
        for process in fleet.processes:
            process.kill()
        assert read_load(client.store._client, client.store.keys, ["metrics"])[0].running == 1
        wait_until(lambda: not read_load(client.store._client, client.store.keys, ["metrics"])[0].running, what="due")
