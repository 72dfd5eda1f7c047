"""Workers and watchers take up their work soon after Redis is back, whatever kept it away."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from fleet_support import Fleet, make_fleet
from proxy_support import Proxy
from refusals_support import refusing
from tests_support import RedisServer, stretched

from orchestrator.config import ParallelConfig
from orchestrator.errors import Overloaded, StoreUnreachable
from orchestrator.models import RunOutcome, TroubleshootRequest
from orchestrator.sources import BUILTIN_SOURCES
from orchestrator.testing import stub_message

pytestmark = pytest.mark.acceptance
CONFIG = ParallelConfig(node_timeout_seconds=4.0, total_timeout_seconds=10.0, synthesis_reserve_seconds=4.0)
BACK_SECONDS = 7.0


def started(fleet: Fleet) -> Fleet:
    fleet.worker("orchestrator", "synthesis", ready=False)
    fleet.worker(*BUILTIN_SOURCES, ready=False)
    fleet.watcher(ready=False)
    fleet.wait_until_ready()
    time.sleep(2.5)  # beyond the first heartbeat and health check, so that every connection is in use
    return fleet


@pytest.fixture
def own_fleet(own_redis: RedisServer, tmp_path: Path) -> Iterator[Fleet]:
    """Workers and a watcher on a Redis of the test's own."""
    fleet = make_fleet(tmp_path, own_redis.url)
    yield started(fleet)
    fleet.stop()


def seconds_until_back(fleet: Fleet) -> float:
    """Seconds from now on to the first complete answer of the workers; a question is asked twice a second."""
    began, answered, threads = time.monotonic(), list[float](), list[threading.Thread]()
    request = TroubleshootRequest(message=stub_message({}), job_name="BATCH001", config=CONFIG, intent="troubleshoot")

    def ask() -> None:
        # What was asked while they were away may still wait: then nobody is asked, and the next question tells.
        with suppress(StoreUnreachable, Overloaded), fleet.client() as client:
            report = client.result(client.submit(request))
            if report.outcome is RunOutcome.COMPLETE and report.committed_by.startswith("synthesis"):
                answered.append(time.monotonic() - began)

    while not answered and time.monotonic() - began < stretched(20):
        threads.append(threading.Thread(target=ask))
        threads[-1].start()
        time.sleep(0.5)
    for thread in threads:
        thread.join()
    assert [process.popen.poll() for process in fleet.processes] == [None] * 3
    return min(answered, default=float("inf"))


@pytest.mark.parametrize("kind", ["READONLY", "MASTERDOWN", "NOREPLICAS", "MISCONF", "BUSY", "maxclients", "WRONGPASS"])
def test_workers_outlive_a_redis_that_refuses(own_fleet: Fleet, own_redis: RedisServer, kind: str) -> None:
    """No worker and no watcher ends by an error code, nor calls on Redis without a pause."""
    with refusing(own_redis, kind) as end:
        time.sleep(4)
        end()
        assert seconds_until_back(own_fleet) <= stretched(BACK_SECONDS)
    assert all(process.text().count("Connected to") < 12 for process in own_fleet.processes)


def test_workers_are_back_soon_after_a_long_absence(own_fleet: Fleet, own_redis: RedisServer) -> None:
    """The pauses between attempts do not grow with the time that Redis is away."""
    own_redis.kill()
    time.sleep(15)
    own_redis.start()
    assert seconds_until_back(own_fleet) <= stretched(BACK_SECONDS)


def test_workers_notice_connections_that_lead_nowhere(own_redis: RedisServer, tmp_path: Path) -> None:
    """A half-open connection, as a firewall or a failover leaves it, keeps no worker from its messages."""
    with Proxy(own_redis.port) as proxy:
        fleet = make_fleet(tmp_path, own_redis.url.replace(str(own_redis.port), str(proxy.port)))
        try:
            started(fleet)
            proxy.make_half_open()
            assert seconds_until_back(fleet) <= stretched(BACK_SECONDS)
        finally:
            fleet.stop()
