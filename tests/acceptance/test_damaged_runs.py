"""Runs with values that cannot be read, beside healthy ones: each is answered once and in time, and none is late."""

from __future__ import annotations

import json
import threading
from typing import Any

import pytest
from fleet_support import Fleet, submit_when_accepted
from tests_support import stretched, wait_until

from orchestrator.client.sync import TroubleshootClient
from orchestrator.config import ParallelConfig
from orchestrator.models import SCHEMA_VERSION, EventType, RunOutcome, TroubleshootRequest
from orchestrator.testing import stub_message

pytestmark = pytest.mark.acceptance
GRACE_MS = 250
CONFIG = ParallelConfig(node_timeout_seconds=8, total_timeout_seconds=12)
PATIENT = ParallelConfig(node_timeout_seconds=20, total_timeout_seconds=24)
"""Of runs that nothing is wrong with: they end when they are complete."""

WRONG: tuple[dict[str, dict[str, object]], ...] = (
    *({"metrics": {"wrong": what}} for what in ("evidence", "data", "finding", "breadth", "nothing")),
    {"metrics": {"payload_bytes": 20_000_000}},
    *({"synthesis": {"wrong": what}} for what in ("confidence", "claims")),
)
"""What sources and synthesizers return."""
NEWER = json.dumps({"schema_version": SCHEMA_VERSION + 1})
DAMAGE: tuple[dict[str, str], ...] = (
    *({field: "{"} for field in ("plan", "request", "e:metrics|BATCH001")),
    {"plan": NEWER},
    {"plan": json.dumps({"sources": [{"source": "NO NAME"}] * 20_000})},
    {"deadline_ms": "soon", "received": "all", "attempt": "first"},
    {"fanin_ms": "9" * 40},
    {"e:tws_status|BATCH001": json.dumps({"source": "tws_status", "evidence": [{}] * 5_000})},
)
"""Fields of a run's hash."""


def submit(
    client: TroubleshootClient, behaviours: dict[str, dict[str, object]], config: ParallelConfig = CONFIG
) -> str:
    fields: dict[str, Any] = {"job_name": "BATCH001", "intent": "troubleshoot", "config": config}
    return submit_when_accepted(client, TroubleshootRequest(message=stub_message(behaviours), **fields))


@pytest.fixture(scope="module")
def model_fleet(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A fleet whose answers are refined by the stub synthesizer."""
    fleet: Fleet = request.getfixturevalue("make_fleet")(tmp_path_factory.mktemp("model-fleet"))
    fleet.worker("orchestrator", "synthesis", ready=False, RESYNC_STUB_SYNTHESIZER="1")
    fleet.worker("tws_status", "rag_search", "log_cache", "metrics", ready=False)
    fleet.watcher(ready=False)
    fleet.watcher(ready=False)
    fleet.wait_until_ready()
    yield fleet
    fleet.stop()


def test_runs_that_cannot_be_read_make_no_other_late(model_fleet: Fleet) -> None:
    """Each has one terminal event by its deadline and grace; the healthy ones among them are complete."""
    with model_fleet.client() as client:
        client.result(submit(client, {}))  # the first run of a process also builds its clients
        healthy, damaged, timers = list[str](), list[str](), list[threading.Timer]()
        for number in range(16):
            damaged.append(submit(client, WRONG[number % len(WRONG)]))
            run_id = submit(client, {"metrics": {"sleep_seconds": 0.5}})
            damaged.append(run_id)
            key, fields = client.store.keys.run(run_id), DAMAGE[number % len(DAMAGE)]
            timers.append(threading.Timer(0.02 * number, client.store._client.hset, (key,), {"mapping": fields}))
            timers[-1].start()
            healthy.append(submit(client, {}, PATIENT))
        for timer in timers:
            timer.join()
        for run_id in (*healthy, *damaged):
            fields = client.store.keys.run(run_id), "state", "closed_ms", "created_ms"
            wait_until(lambda: client.store._client.hget(*fields[:2]) == "done", what="the end")  # noqa: B023
            closed_ms, created_ms = map(int, client.store._client.hmget(fields[0], *fields[2:]))
            assert closed_ms - created_ms <= stretched(12_000 + GRACE_MS)
            events = list(client.stream(run_id))
            assert [event.type for event in events if event.type.is_terminal] == [EventType.FINAL]
        assert {client.result(run_id).outcome for run_id in healthy} == {RunOutcome.COMPLETE}
    assert "watcher_failed" not in model_fleet.logs()
    assert "finish_failed" not in model_fleet.logs()
