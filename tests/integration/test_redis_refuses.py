"""A Redis that answers and refuses to work: what it is for clients, graphs and watchers."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path

import pytest
from refusals_support import REFUSALS, refusing
from tests_support import RedisServer, stretched, wait_until

from orchestrator.broker.app import make_celery
from orchestrator.broker.publisher import Publisher
from orchestrator.client.sync import TroubleshootClient
from orchestrator.config import ParallelConfig, Settings
from orchestrator.errors import StoreRefusesUser, StoreUnreachable
from orchestrator.graph import ParallelTroubleshootGraph
from orchestrator.health import Beat
from orchestrator.models import TroubleshootRequest
from orchestrator.store.connection import connect
from orchestrator.store.presence import Presence
from orchestrator.store.runs import RunStore
from orchestrator.testing import stub_message
from orchestrator.watcher import Watcher
from workers.runtime.health import WorkerChecks
from workers.runtime.readiness import broker_problem

CONFIG = ParallelConfig(node_timeout_seconds=1.0, total_timeout_seconds=4.0, synthesis_reserve_seconds=2.0)
QUESTION = TroubleshootRequest(message=stub_message({}), job_name="BATCH001", config=CONFIG)
WORDS = {"maxclients": "maxclients", "WRONGPASS": "REDIS_URL"}


@pytest.mark.parametrize("kind", REFUSALS)
def test_a_client_is_told_why_the_store_does_not_serve(own_redis: RedisServer, kind: str) -> None:
    """The error of every call is that of an unreachable store and says why; afterwards the same client is served."""
    with TroubleshootClient(Settings.from_env({"REDIS_URL": own_redis.url})) as client:
        run_id = client.submit(QUESTION)
        with refusing(own_redis, kind):
            with pytest.raises(StoreUnreachable, match=WORDS.get(kind, kind)):
                client.submit(QUESTION)
            with pytest.raises(StoreUnreachable, match=WORDS.get(kind, kind)):
                client.cancel(run_id)
            if REFUSALS[kind].reads_too:
                with pytest.raises(StoreUnreachable, match=WORDS.get(kind, kind)):
                    client.get(run_id)
        assert client.submit(QUESTION) != run_id


def test_a_database_that_redis_has_not_is_named_as_the_setting(redis_url: str) -> None:
    """Its number is a setting to be corrected, for whoever asks or looks."""
    settings = Settings.from_env({"REDIS_URL": redis_url.rpartition("/")[0] + "/99"})
    with TroubleshootClient(settings) as client:
        for call in (lambda: client.submit(QUESTION), client.list):
            with pytest.raises(StoreRefusesUser, match="REDIS_URL: Redis has no database"):
                call()


@pytest.mark.parametrize("kind", REFUSALS)
def test_probes_of_a_silent_worker_say_what_keeps_it(own_redis: RedisServer, kind: str) -> None:
    """It is not ready for Redis's reason, and not dead for it: a restart would help nobody."""
    times = iter([0.0])
    settings = Settings.from_env({"REDIS_URL": own_redis.url})
    checks = WorkerChecks(Beat(lambda: next(times, 3_600.0)), lambda: broker_problem(settings))
    with refusing(own_redis, kind):
        # A write to a replica is refused for that, whether its primary is up or down.
        assert WORDS.get(kind, kind).replace("MASTERDOWN", "READONLY") in str(checks.ready())
        assert checks.alive() is None
    assert "the broker serves" in str(checks.ready())
    assert checks.alive() is not None
    with connect(settings) as client:
        assert client.keys("*nothing*") == []


@pytest.mark.parametrize("kind", REFUSALS)
def test_a_graph_answers_in_its_own_process(
    own_redis: RedisServer, kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The question is answered without the store, as if there were none."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    settings = Settings.from_env({"REDIS_URL": own_redis.url})
    with refusing(own_redis, kind):
        state = asyncio.run(ParallelTroubleshootGraph(CONFIG, settings=settings).ainvoke({"message": stub_message({})}))
    assert state["response"]
    assert state["metadata"]["committed"] is False


@pytest.mark.parametrize("kind", REFUSALS)
def test_a_watcher_waits_and_goes_on(own_redis: RedisServer, kind: str, caplog: pytest.LogCaptureFixture) -> None:
    """Its loop outlives the refusals, which are logged, and reads the wake-ups afterwards."""
    settings, stop = Settings.from_env({"REDIS_URL": own_redis.url}), threading.Event()
    publisher = Publisher(make_celery(settings, with_results=False))
    with connect(settings) as client:
        store = RunStore(client, settings)
        watcher = Watcher(store, publisher, name="test", presence=Presence(client, store.keys))
        watcher.step()
        thread = threading.Thread(target=watcher.run, args=(stop,))
        with refusing(own_redis, kind) as end:
            thread.start()
            wait_until(lambda: "watcher_store_unreachable" in caplog.text, what="a refusal")
            end()
            before = watcher._store_beat._at
            wait_until(lambda: watcher._store_beat._at > before, what="the store is read", seconds=stretched(5))
        stop.set()
        thread.join(10)
    publisher.close()
