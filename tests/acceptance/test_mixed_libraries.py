"""Clients and workers beside the oldest libraries that are supported, with those beside the newest."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from tests_support import stretched

from orchestrator.config import ParallelConfig
from orchestrator.models import RunOutcome, TroubleshootRequest
from orchestrator.sources import BUILTIN_SOURCES
from orchestrator.testing import stub_message

if TYPE_CHECKING:
    from fleet_support import Fleet

pytestmark = pytest.mark.acceptance
ROOT = Path(__file__).parents[2]
REQUEST = TroubleshootRequest(
    message=stub_message({}),
    job_name="BATCH001",
    intent="troubleshoot",
    config=ParallelConfig(node_timeout_seconds=8.0, total_timeout_seconds=20.0),
)
CALLER = """
import asyncio, json, sys
import celery, redis
from orchestrator import AsyncTroubleshootClient, TroubleshootClient, TroubleshootRequest

request = TroubleshootRequest.model_validate_json(sys.argv[1])
with TroubleshootClient() as client:
    run_id = client.submit(request)
    events = [event.type for event in client.stream(run_id)]
    report = client.result(run_id)


async def ask():
    async with AsyncTroubleshootClient() as client:
        return await client.result(await client.submit(request))


reports = [report, asyncio.run(ask())]
answers = [[report.outcome, report.committed_by.partition(":")[0]] for report in reports]
print(json.dumps({"libraries": [celery.__version__, redis.__version__], "events": events, "answers": answers}))
"""


@pytest.fixture
def lowest() -> str:
    """A Python beside the lowest version of each dependency; a machine without one skips, CI fails."""
    python = ROOT / ".venv-lowest" / "bin" / "python"
    if not python.exists():
        if os.environ.get("CI") and sys.version_info < (3, 14):
            pytest.fail("no .venv-lowest in CI: make test-lowest")
        pytest.skip("no .venv-lowest: make test-lowest")
    return str(python)


def path_of(fleet: Fleet) -> str:
    """The path on which the environment's own copy of the project is hidden by the checkout."""
    return os.pathsep.join((fleet.environ["PYTHONPATH"], str(ROOT)))


def test_a_caller_beside_the_oldest_libraries_is_answered_by_the_newest(running_fleet: Fleet, lowest: str) -> None:
    """The app keeps what it pins, and its workers do not: it submits, reads the events and gets its answer."""
    called = subprocess.run(
        [lowest, "-c", CALLER, REQUEST.model_dump_json()],
        env=running_fleet.environ | {"PYTHONPATH": path_of(running_fleet)},
        cwd=running_fleet.folder,
        capture_output=True,
        text=True,
        timeout=stretched(60),
        check=False,
    )
    assert called.returncode == 0, called.stderr[-3000:]
    told = json.loads(called.stdout)
    assert told["libraries"] == ["5.5.3", "5.2.1"]
    assert told["answers"] == [["complete", "synthesis"]] * 2
    assert told["events"].count("source_finished") == len(BUILTIN_SOURCES)


def test_workers_beside_the_oldest_libraries_answer_the_newest(fleet: Fleet, lowest: str) -> None:
    """Workers are upgraded last, or their machine has other pins: they take what this client sends."""
    for queues in (("orchestrator", "synthesis"), BUILTIN_SOURCES):
        fleet.worker(*queues, ready=False, python=lowest, PYTHONPATH=path_of(fleet))
    fleet.wait_until_ready()
    with fleet.client() as client:
        for _ in range(2):
            report = client.result(client.submit(REQUEST))
            assert (report.outcome, report.committed_by.startswith("synthesis")) == (RunOutcome.COMPLETE, True)
