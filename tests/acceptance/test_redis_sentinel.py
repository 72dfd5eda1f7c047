"""Redis behind Sentinels: a failover in the middle of a run, and who asks where the primary is."""

from __future__ import annotations

import json
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis
from fleet_support import Fleet, make_fleet
from sentinel_support import Guarded
from tests_support import stretched, wait_until

from orchestrator.client.sync import TroubleshootClient
from orchestrator.config import ParallelConfig
from orchestrator.errors import TroubleshootError
from orchestrator.models import RunOutcome, TroubleshootRequest
from orchestrator.sources import BUILTIN_SOURCES
from orchestrator.testing import stub_message
from workers.standalone.ports import free_port

pytestmark = pytest.mark.acceptance


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Guarded]:
    """Primary, replica and three Sentinels."""
    with Guarded(tmp_path_factory.mktemp("sentinels")) as started:
        yield started


@pytest.fixture(scope="module")
def fleet(guarded: Guarded, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    """Two workers, a watcher and Flower, none of which was told where Redis is."""
    fleet = make_fleet(tmp_path_factory.mktemp("fleet"), guarded.url)
    fleet.worker("orchestrator", "synthesis", ready=False)
    fleet.worker(*BUILTIN_SOURCES, ready=False)
    fleet.watcher(ready=False)
    fleet.wait_until_ready()
    yield fleet
    fleet.stop()


def complete(client: TroubleshootClient, job: str) -> bool:
    try:
        run_id = client.submit(TroubleshootRequest(message=f"Job {job} falhou", job_name=job))
        return client.result(run_id).outcome is RunOutcome.COMPLETE
    except TroubleshootError:
        return False


def test_a_failover_in_the_middle_of_a_run_ends_with_an_answer(guarded: Guarded, fleet: Fleet) -> None:
    """The primary dies, the replica takes over: the run that was open has its answer in time, new ones go on."""
    config = Path(__file__).parents[2] / "ops" / "flower" / "flowerconfig.py"
    port = free_port()
    flower = f"http://127.0.0.1:{port}"
    argv = ("-m", "celery", "-A", "workers.app", "flower", f"--conf={config}", f"--port={port}")
    fleet.start("flower", *argv, FLOWER_UNAUTHENTICATED_API="1")

    def lengths() -> set[str]:
        try:
            with urllib.request.urlopen(f"{flower}/api/queues/length", timeout=20) as response:
                return {queue["name"] for queue in json.load(response)["active_queues"]}
        except OSError:
            return set()

    with fleet.client() as client:
        assert complete(client, "BATCH001")
        wait_until(lambda: lengths() >= set(BUILTIN_SOURCES), what="the queues in Flower")
        limits = ParallelConfig(node_timeout_seconds=12, total_timeout_seconds=30, synthesis_reserve_seconds=10)
        message = stub_message({"metrics": {"sleep_seconds": 3}}, text="Job BATCH002 falhou")
        run_id = client.submit(TroubleshootRequest(message=message, job_name="BATCH002", config=limits))
        with redis.Redis.from_url(guarded.primary.plain_url) as before:
            key = fleet.environ["RESYNC_KEY_PREFIX"] + f"run:{run_id}"
            wait_until(
                lambda: any(name.startswith(b"s:metrics") for name in before.hkeys(key)), what="the source to be asked"
            )
            before.wait(1, 5_000)
        former = guarded.primary_port()
        guarded.primary.kill()
        killed = time.monotonic()
        assert client.result(run_id).outcome in (RunOutcome.COMPLETE, RunOutcome.PARTIAL)
        wait_until(lambda: complete(client, "BATCH003"), what="a new run to pass")
        assert time.monotonic() - killed < stretched(30)
        assert guarded.primary_port() == guarded.replica.port != former
        wait_until(lambda: lengths() >= set(BUILTIN_SOURCES), what="the queues in Flower, from another Redis")

        # The former primary comes back as a replica; nobody takes it for one that may be written to.
        guarded.primary.start()
        with redis.Redis.from_url(guarded.primary.plain_url) as returned:
            wait_until(lambda: returned.info("replication")["role"] == "slave", what="the former primary to follow")
        assert complete(client, "BATCH004")
