"""Many readers of one process at a run's deadline, where nobody else finishes it: on a Redis that is well or frozen."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import redis
from tests_support import RedisServer, stretched, wait_until

from orchestrator.client.aio import AsyncTroubleshootClient
from orchestrator.client.sync import TroubleshootClient
from orchestrator.config import ParallelConfig, Settings
from orchestrator.deadline import Deadline
from orchestrator.errors import OutOfConnections, StoreUnreachable
from orchestrator.models import EventType, Report, TroubleshootRequest
from orchestrator.store.records import RunRecord
from orchestrator.store.runs import RunStore

SHORT = ParallelConfig(node_timeout_seconds=0.3, total_timeout_seconds=0.6)
READER = "resync-troubleshoot-reader"
QUESTION = TroubleshootRequest(message="Job BATCH001 falhou", config=SHORT)


@pytest.fixture
def commits(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The answer of every commit that was tried."""
    statuses: list[str] = []
    commit = RunStore.commit

    def counted(self: RunStore, report: Report, **kwargs: Any) -> str:
        statuses.append(commit(self, report, **kwargs))
        return statuses[-1]

    monkeypatch.setattr(RunStore, "commit", counted)
    return statuses


def crowd_question() -> TroubleshootRequest:
    """A question with time for a crowd to begin to listen, on a busy machine too."""
    return QUESTION.model_copy(
        update={"config": ParallelConfig(node_timeout_seconds=0.3, total_timeout_seconds=1 + stretched(1))}
    )


async def types(client: AsyncTroubleshootClient, run_id: str, *, pause_seconds: float = 0.0) -> list[EventType]:
    kinds = []
    async for event in client.stream(run_id):
        kinds.append(event.type)
        await asyncio.sleep(0 if event.type.is_terminal else pause_seconds)
    return kinds


@pytest.mark.usefixtures("patient_readers")
def test_a_crowd_on_a_loop_has_its_run_finished_once(settings: Settings, commits: list[str]) -> None:
    """Streams, a slow one among them, and waiting callers all get the end of their run, which is committed once."""

    async def crowd() -> tuple[list[list[EventType]], list[Report]]:
        async with AsyncTroubleshootClient(settings) as client:
            run_id = await client.submit(crowd_question())
            streams = [types(client, run_id) for _ in range(120)] + [types(client, run_id, pause_seconds=1.0)]
            results = [client.result(run_id) for _ in range(20)]
            both = await asyncio.gather(asyncio.gather(*streams), asyncio.gather(*results))
            return both[0], both[1]

    streams, reports = asyncio.run(crowd())
    assert streams == [[EventType.ACCEPTED, EventType.FINAL]] * 121
    assert [report.committed for report in reports] == [True] * 20
    assert commits == ["ok"]


@pytest.mark.usefixtures("patient_readers")
def test_a_crowd_of_threads_has_its_run_finished_once(settings: Settings, commits: list[str]) -> None:
    """More threads than redis-py lends connections by default follow one run, and each sees its end."""
    with TroubleshootClient(settings) as client, ThreadPoolExecutor(130) as threads:
        run_id = client.submit(crowd_question())
        streams = [threads.submit(lambda: list(client.stream(run_id))[-1].type) for _ in range(110)]
        results = [threads.submit(client.result, run_id) for _ in range(20)]
        assert [stream.result() for stream in streams] == [EventType.FINAL] * 110
        assert [result.result().committed for result in results] == [True] * 20
    assert commits == ["ok"]


def on_both(
    settings: Settings, question: TroubleshootRequest, prepare: Callable[[TroubleshootClient, str], object]
) -> list[Any]:
    """The results, or errors, of a run of its own on each client, each prepared before it is waited for."""

    async def ask() -> list[Any]:
        async with AsyncTroubleshootClient(settings) as client:
            runs = [await client.submit(question) for _ in range(2)]
            for run_id in runs:
                prepare(client.sync, run_id)
            waits = (client.result(runs[0]), asyncio.to_thread(client.sync.result, runs[1]))
            return await asyncio.gather(*waits, return_exceptions=True)

    return asyncio.run(ask())


@pytest.mark.usefixtures("patient_readers")
def test_a_clock_that_is_ahead_of_the_stores_does_not_cost_the_answer(settings: Settings) -> None:
    """A submit that took long puts the reader's deadline before the run's: it waits for the run's own then."""

    def hurry(client: TroubleshootClient, run_id: str) -> None:
        client._submitted[run_id] = Deadline.after(0.05), client._submitted[run_id][1]

    long = ParallelConfig(node_timeout_seconds=0.3, total_timeout_seconds=1.2)
    reports = on_both(settings, QUESTION.model_copy(update={"config": long}), hurry)
    assert [(report.committed, report.reason) for report in reports] == [(True, None)] * 2


@pytest.mark.usefixtures("patient_readers")
def test_one_failure_at_the_deadline_is_not_the_end(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """A reader whose call fails at the deadline tries again while its grace lasts."""
    read, failed = RunStore.read, set()

    def fails_once(self: RunStore, run_id: str) -> RunRecord:
        if run_id not in failed:
            failed.add(run_id)
            raise StoreUnreachable
        return read(self, run_id)

    monkeypatch.setattr(RunStore, "read", fails_once)
    reports = on_both(settings, QUESTION, lambda _client, _run_id: None)
    assert [report.committed for report in reports] == [True] * 2
    assert len(failed) == 2


def test_a_refusal_of_our_own_is_not_reported_as_an_unreachable_store(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A reader that gets no connection gets an error that names it; no report says that Redis stopped answering."""

    async def ask() -> list[Any]:
        async with AsyncTroubleshootClient(settings) as client:
            run_id = await client.submit(QUESTION)
            for reader in (client._reader, client.sync._reader):
                monkeypatch.setattr(reader.connection_pool, "max_connections", 0)
            calls: list[Awaitable[object]] = [
                client.result(run_id),
                types(client, run_id),
                asyncio.to_thread(client.sync.result, run_id),
                asyncio.to_thread(lambda: list(client.sync.stream(run_id))),
            ]
            return await asyncio.gather(*calls, return_exceptions=True)

    errors = asyncio.run(ask())
    assert [type(error) for error in errors] == [OutOfConnections] * 4
    assert {error.reason for error in errors} == {"out_of_connections"}


def test_a_frozen_redis_makes_nobody_wait_in_line(own_redis: RedisServer) -> None:
    """However many calls meet a frozen Redis, each of them ends as soon as if it were alone."""
    config = ParallelConfig(node_timeout_seconds=0.5, total_timeout_seconds=3.0)

    def readers() -> int:
        with redis.Redis.from_url(own_redis.url) as raw:
            return sum(
                row["name"] == "resync-troubleshoot-reader" and row["cmd"] == "xread" for row in raw.client_list()
            )

    async def took(call: Awaitable[object]) -> tuple[float, object]:
        began = time.monotonic()
        try:
            return 0.0, await call
        except StoreUnreachable:
            return time.monotonic() - began, None

    async def crowd() -> tuple[list[float], float, list[Any]]:
        client = AsyncTroubleshootClient(Settings.from_env({"REDIS_URL": own_redis.url}))
        question = TroubleshootRequest(message="x", config=config)
        began = time.monotonic()
        run_id = await client.submit(question)
        waiting = [asyncio.create_task(client.result(run_id)) for _ in range(40)]
        waiting += [asyncio.create_task(types(client, run_id)) for _ in range(40)]
        await asyncio.to_thread(wait_until, lambda: readers() == 80, what="80 reads in Redis")
        own_redis.freeze()
        calls = [
            call for _ in range(40) for call in (client.submit(question), client.get(run_id), client.cancel(run_id))
        ]
        failed = await asyncio.gather(*(took(call) for call in calls))
        ends = await asyncio.gather(*waiting)
        ended = time.monotonic() - began
        own_redis.thaw()
        await client.close()
        assert [answer for _, answer in failed] == [None] * 120
        return [seconds for seconds, _ in failed], ended, ends

    seconds, ended, ends = asyncio.run(crowd())
    # In line behind a few threads, the last of these would wait eight seconds.
    assert max(seconds) < stretched(2.0)
    assert ended < 3.0 + stretched(1.0)
    assert [report.reason for report in ends[:40]] == ["store_unreachable"] * 40
    assert ends[40:] == [[EventType.ACCEPTED]] * 40
