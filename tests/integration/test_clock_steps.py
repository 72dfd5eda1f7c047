"""A Redis clock that steps: answers come by the deadline, by the clocks of those that wait for them."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import redis
from clock_support import step_clock

from orchestrator.broker.app import make_celery
from orchestrator.broker.publisher import Publisher
from orchestrator.client import waiting
from orchestrator.client.aio import AsyncTroubleshootClient
from orchestrator.client.sync import TroubleshootClient
from orchestrator.config import ParallelConfig, Settings
from orchestrator.graph import parallel_troubleshoot
from orchestrator.models import EventType, Report, RunState, TroubleshootRequest
from orchestrator.run.conclusion import warm_up_aside
from orchestrator.store.connection import DECODING
from orchestrator.store.events import EventReader
from orchestrator.store.runs import RunStore
from orchestrator.watcher import Watcher

HOUR = 3_600.0
TOTAL = 0.6
REQUEST = TroubleshootRequest(
    message="Job BATCH001 falhou", config=ParallelConfig(node_timeout_seconds=0.3, total_timeout_seconds=TOTAL)
)
SOON = 5.0
"""Seconds for an answer that a step of five would delay to the sixth; how exact it is, other tests measure."""
Wait = Callable[[TroubleshootClient, str], Report | None]


@pytest.fixture(autouse=True, scope="module")
def warm() -> None:
    """What a first answer needs is loaded."""
    warm_up_aside().join()


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A busy machine is no silent store here: these tests are about the clock."""
    monkeypatch.setattr(waiting, "GRACE_SECONDS", 2.0)


@pytest.fixture
def raw(redis_url: str) -> Iterator[redis.Redis]:
    with redis.Redis.from_url(redis_url, **DECODING) as client:
        yield client


@pytest.fixture
def client(settings: Settings) -> Iterator[TroubleshootClient]:
    with TroubleshootClient(settings) as client:
        yield client


def stream_then_result(client: TroubleshootClient, run_id: str) -> Report:
    events = list(client.stream(run_id))
    assert events[-1].type is EventType.FINAL
    return client.result(run_id)


def awaited_result(client: TroubleshootClient, run_id: str) -> Report:
    """By an asynchronous client of another process, which has read the deadline before the step."""

    async def wait() -> Report:
        async with AsyncTroubleshootClient(client.settings) as other:
            return await other.result(run_id)

    return asyncio.run(wait())


def timed(work: Callable[[], Any]) -> tuple[Any, float]:
    began = time.monotonic()
    return work(), time.monotonic() - began


@pytest.mark.parametrize("seconds", [-5.0, -HOUR])
@pytest.mark.parametrize("delay", [0.0, 0.3], ids=["before the wait", "in the wait"])
@pytest.mark.parametrize(
    "wait", [TroubleshootClient.result, stream_then_result, awaited_result], ids=["result", "stream", "aio"]
)
def test_a_clock_that_steps_back_makes_nobody_wait(
    client: TroubleshootClient, raw: redis.Redis, wait: Wait, delay: float, seconds: float
) -> None:
    """Without any watcher too, a caller answers its run at the deadline by its own clock, for everybody."""
    run_id = client.submit(REQUEST)
    if delay:
        step = threading.Timer(delay, step_clock, (raw, client.store.keys, seconds))
        step.start()
        report, took = timed(lambda: wait(client, run_id))
        step.join()
    else:
        step_clock(raw, client.store.keys, seconds)
        report, took = timed(lambda: wait(client, run_id))
    assert took < SOON
    assert (report.committed, report.committed_by) == (True, "client")
    assert 0 <= report.total_latency_ms < SOON * 1000
    assert client.get(run_id).state is RunState.DONE
    kinds = [event.type for event in EventReader(raw, client.store.keys).read(run_id, "0").events]
    assert [kind for kind in kinds if kind.is_terminal] == [EventType.FINAL]


def test_a_caller_does_not_end_its_run_early(client: TroubleshootClient, raw: redis.Redis) -> None:
    """A clock that steps forward is no deadline for the process that knows when it has submitted."""

    def ask() -> Report:
        run_id = client.submit(REQUEST)
        step_clock(raw, client.store.keys, HOUR)
        assert client.get(run_id).state is RunState.ACCEPTED
        return client.result(run_id)

    report, took = timed(ask)
    assert report.committed
    assert 0 <= report.total_latency_ms < SOON * 1000
    assert SOON > took > TOTAL - 0.1


@pytest.mark.parametrize("seconds", [-HOUR, HOUR])
def test_a_watcher_keeps_the_deadline_through_a_step(
    client: TroubleshootClient, raw: redis.Redis, settings: Settings, seconds: float
) -> None:
    """A run whose caller is gone is finished when it is due, neither at once nor an hour later."""
    store = RunStore(raw, settings)
    publisher, stop = Publisher(make_celery(settings, with_results=False)), threading.Event()
    watcher = threading.Thread(target=Watcher(store, publisher, name="w").run, args=(stop,))
    watcher.start()
    try:
        began = time.monotonic()
        run_id = client.submit(REQUEST)
        time.sleep(0.2)  # the watcher looks at the clock
        step_clock(raw, store.keys, seconds)
        assert EventReader(raw, store.keys).wait_end(run_id, block_ms=round(SOON * 1000))
        took = time.monotonic() - began
    finally:
        stop.set()
        watcher.join()
        publisher.close()
    assert raw.hget(store.keys.run(run_id), "committed_by") == "watcher:w"
    assert 0.3 < took < SOON


def test_the_fallback_answers_through_a_step(
    raw: redis.Redis, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The graph, which asks the sources in its own process here, gives them the time that there is."""
    monkeypatch.setattr("orchestrator.client.fallback.DISPATCH_WAIT_SECONDS", 0.2)
    step = threading.Timer(0.1, step_clock, (raw, RunStore(raw, settings).keys, HOUR))
    step.start()
    state = asyncio.run(parallel_troubleshoot("Job BATCH001 falhou", settings=settings))
    step.join()
    assert {result["outcome"] for result in state["parallel_results"]}.isdisjoint({"timeout", "not_started"})
    assert 0 < state["parallel_latency_ms"] <= state["total_latency_ms"]
