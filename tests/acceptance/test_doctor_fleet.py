"""doctor over real workers and watchers, as a user runs it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from orchestrator.broker.app import queue_names

pytestmark = pytest.mark.acceptance

PROGRAM = str(Path(sys.executable).with_name("resync-troubleshoot"))


def doctor(environ: dict[str, str], *args: str) -> tuple[int, dict[str, Any], str]:
    """Run the command in a process of its own; exit code, checks by name, standard error."""
    done = subprocess.run(
        (PROGRAM, "doctor", "--json", *args),
        env=environ | {"LANG": "C.UTF-8"},
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    return done.returncode, {check["name"]: check for check in json.loads(done.stdout)["checks"]}, done.stderr


def test_a_running_fleet_is_well(running_fleet: Any) -> None:
    """Every queue has its worker by name, two watchers live, nothing waits, and the exit code is 0."""
    code, checks, err = doctor(running_fleet.environ, "--timeout", "10")
    assert (code, err) == (0, "")
    for name in ("redis", "keys", "workers", "queues", "watchers", "log_cache"):
        assert checks[name]["status"] == "ok", checks[name]
    consumers = checks["workers"]["facts"]["queues"]
    assert set(consumers) == set(queue_names())
    assert all(len(workers) == 1 for workers in consumers.values())
    assert len(checks["watchers"]["facts"]["watchers"]) == 2
    assert sorted(checks["keys"]["facts"]["bound_queues"]) == sorted(queue_names())
    assert running_fleet.environ["REDIS_URL"] not in json.dumps(checks)


def test_a_queue_that_lost_its_worker_is_named(fleet: Any) -> None:
    """After a worker is killed, its queues are the ones without a worker; the rest of the fleet is as it was."""
    fleet.worker("orchestrator", "synthesis", "tws_status", "rag_search")
    lost = fleet.worker("log_cache", "metrics")
    fleet.watcher()
    code, checks, _ = doctor(fleet.environ, "--only", "workers", "--only", "watchers", "--timeout", "10")
    assert (code, checks["workers"]["status"]) == (0, "ok")
    assert checks["watchers"]["reason"] == "one_watcher"
    lost.kill()
    code, checks, _ = doctor(fleet.environ, "--only", "workers", "--timeout", "10")
    assert (code, checks["workers"]["reason"]) == (1, "no_worker")
    idle = {queue for queue, workers in checks["workers"]["facts"]["queues"].items() if not workers}
    assert idle == {"log_cache", "metrics"}
    assert checks["workers"]["fix"].endswith("worker log_cache metrics")
