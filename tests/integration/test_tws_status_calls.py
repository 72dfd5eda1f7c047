"""The bound of concurrent calls to TWS: held by Redis over processes, shared by the runs, kept without Redis too."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import textwrap
import threading
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import redis
from tests_support import RedisServer, fetch_once, new_redis, wait_until

from orchestrator.config import Settings
from orchestrator.deadline import Deadline
from orchestrator.models import SourceRequest
from orchestrator.payloads import TwsPayload
from orchestrator.routing.router import route
from orchestrator.sources import FetchResult
from workers.lab.simulator.faults import Fault
from workers.lab.simulator.hwa import HwaSimulator
from workers.lab.simulator.scenarios import MANY_JOBS, get_scenario
from workers.sources.tws_status import calls as calls_module
from workers.sources.tws_status.calls import CallLimit
from workers.sources.tws_status.errors import NoTimeLeft, too_many_at_once
from workers.sources.tws_status.source import SPEC, TwsStatusSource

KEY = "{prefix}:tws:calls:default"


@pytest.fixture(scope="module")
def server() -> Iterator[RedisServer]:
    """One Redis for the file."""
    with new_redis() as started:
        yield started


@pytest.fixture
def settings(server: RedisServer, request: pytest.FixtureRequest) -> Settings:
    """Settings with keys of the test's own."""
    prefix = f"t{abs(hash(request.node.name))}"
    return Settings.from_env({"REDIS_URL": server.url, "RESYNC_KEY_PREFIX": prefix})


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A busy machine is no Redis that does not answer."""
    monkeypatch.setattr(calls_module, "REDIS_SECONDS", 5.0)


class Meter:
    """How many calls are made at once, over threads."""

    def __init__(self) -> None:
        self.now = self.most = self.made = 0
        self._lock = threading.Lock()

    async def call(self, seconds: float) -> None:
        """Make a call."""
        with self._lock:
            self.now += 1
            self.made += 1
            self.most = max(self.most, self.now)
        await asyncio.sleep(seconds)
        with self._lock:
            self.now -= 1


def late(seconds: float) -> NoTimeLeft:
    """The error of a call without room."""
    return too_many_at_once("GET /plan/job", seconds)


async def make_calls(
    limit: CallLimit, run: str, count: int, meter: Meter, *, seconds: float = 0.004, wanted: int = 8
) -> float:
    """A task of a run that makes so many calls at once; the time that it waited."""
    deadline = Deadline.after(20)

    async def one() -> None:
        async with calls.one(deadline, late):
            await meter.call(seconds)

    async with limit.calls(run, wanted=wanted) as calls:
        await asyncio.gather(*(one() for _ in range(count)))
    return calls.waited_seconds


def as_processes(
    tasks: list[Callable[[CallLimit], Coroutine[Any, Any, Any]]], settings: Settings, most: int
) -> list[Any]:
    """Each task on a loop, with a connection and a limit of its own, as processes have them."""

    async def run(task: Callable[[CallLimit], Coroutine[Any, Any, Any]]) -> Any:
        limit = CallLimit("default", most, settings)
        try:
            return await task(limit)
        finally:
            await limit.close()

    with ThreadPoolExecutor(len(tasks)) as threads:
        return list(threads.map(lambda task: asyncio.run(run(task)), tasks))


@pytest.mark.parametrize("is_hash", [True, False])
def test_a_key_that_somebody_wrote_holds_no_calls(settings: Settings, server: RedisServer, is_hash: bool) -> None:
    """One of another type is renamed; a lease that is too far away is none."""
    key = KEY.format(prefix=settings.key_prefix)
    with redis.Redis.from_url(server.url) as client:
        client.hset(key, "junk", "99999999999999|0|8|8|x") if is_hash else client.set(key, "junk")
        meter = Meter()
        as_processes([lambda limit: make_calls(limit, "run-00000001", 5, meter)], settings, 8)
        assert meter.made == 5
        assert not client.hexists(key, "junk")
        assert client.exists(f"{key}:set_aside") == (not is_hash)


def test_no_more_than_the_bound_are_made_at_once(settings: Settings) -> None:
    """Six tasks of three runs, sixty calls each: all are made, and never more than five at once."""
    meter = Meter()
    tasks = [lambda limit, run=run: make_calls(limit, f"run-{run}", 60, meter) for run in (1, 1, 1, 2, 2, 3)]
    as_processes(tasks, settings, 5)
    assert (meter.made, meter.now) == (360, 0)
    assert meter.most <= 5
    with redis.Redis.from_url(settings.redis_url, decode_responses=True) as client:
        assert not client.hgetall(KEY.format(prefix=settings.key_prefix))


def test_a_run_of_many_jobs_does_not_starve_a_run_of_one(settings: Settings) -> None:
    """While ten tasks of one run want everything, another run's few calls are made long before these end."""
    meter, ended = Meter(), []
    began = threading.Event()

    async def large(limit: CallLimit) -> None:
        began.set()
        await make_calls(limit, "run-large", 60, meter)
        ended.append("large")

    async def small(limit: CallLimit) -> None:
        await asyncio.to_thread(began.wait, 10)
        await make_calls(limit, "run-small", 8, meter)
        ended.append("small")

    as_processes([large] * 10 + [small], settings, 4)
    assert "small" in ended[:3]
    assert meter.most <= 4


def test_each_task_has_its_turn_where_there_are_more_than_calls(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Six tasks of one run share two calls: none waits until another has ended."""
    monkeypatch.setattr(calls_module, "TURN_MS", 20)
    meter = Meter()
    first: list[int] = []

    def task(number: int) -> Callable[[CallLimit], Coroutine[Any, Any, None]]:
        async def run(limit: CallLimit) -> None:
            deadline = Deadline.after(20)
            async with limit.calls("run-1", wanted=1) as calls:
                for call in range(15):
                    async with calls.one(deadline, late):
                        if not call:
                            first.append(number)
                        await meter.call(0.01)

        return run

    as_processes([task(number) for number in range(6)], settings, 2)
    assert sorted(first) == list(range(6))
    assert meter.most <= 2


def test_what_a_process_that_dies_had_is_free_again(settings: Settings) -> None:
    """A killed holder of all calls keeps them for its lease and no longer."""
    environ = {"REDIS_URL": settings.redis_url, "RESYNC_KEY_PREFIX": settings.key_prefix}
    script = f"""
        import asyncio
        from orchestrator.config import Settings
        from workers.sources.tws_status import calls
        calls.LEASE_MS, calls.REDIS_SECONDS = 400, 5
        settings = Settings.from_env({environ!r})
        async def hold():
            async with calls.CallLimit("default", 3, settings).calls("run-dead", wanted=3):
                await asyncio.sleep(60)
        asyncio.run(hold())
    """
    key, meter = KEY.format(prefix=settings.key_prefix), Meter()
    with subprocess.Popen([sys.executable, "-c", textwrap.dedent(script)]) as process:
        with redis.Redis.from_url(settings.redis_url, decode_responses=True) as client:
            wait_until(lambda: client.hlen(key), what="a holder")
            held = [value.split("|")[2] for value in client.hvals(key)]
        process.kill()
    (waited,) = as_processes([lambda limit: make_calls(limit, "run-1", 1, meter)], settings, 3)
    assert held == ["3"]
    assert meter.made == 1
    assert waited > 0


def test_several_processes_stay_below_the_bound(settings: Settings) -> None:
    """Two processes, each with two runs: counted by Redis, never more than three calls at once."""
    environ = {"REDIS_URL": settings.redis_url, "RESYNC_KEY_PREFIX": settings.key_prefix}
    script = f"""
        import asyncio, sys
        import redis.asyncio
        from orchestrator.config import Settings
        from orchestrator.deadline import Deadline
        from workers.sources.tws_status import calls
        calls.REDIS_SECONDS = 5
        settings = Settings.from_env({environ!r})
        async def main():
            client = redis.asyncio.Redis.from_url(settings.redis_url)
            limit, deadline = calls.CallLimit("default", 3, settings), Deadline.after(30)
            async def one(held):
                async with held.one(deadline, ValueError):
                    await client.rpush("seen:" + settings.key_prefix, await client.incr("now:" + settings.key_prefix))
                    await asyncio.sleep(0.005)
                    await client.decr("now:" + settings.key_prefix)
            async def run(name):
                async with limit.calls(name, wanted=8) as held:
                    await asyncio.gather(*(one(held) for _ in range(15)))
            await asyncio.gather(run(sys.argv[1] + "a"), run(sys.argv[1] + "b"))
        asyncio.run(main())
    """
    commands = [[sys.executable, "-c", textwrap.dedent(script), name] for name in ("one", "two")]
    processes = [subprocess.Popen(command) for command in commands]
    assert [process.wait(60) for process in processes] == [0, 0]
    with redis.Redis.from_url(settings.redis_url) as client:
        seen = [int(number) for number in client.lrange(f"seen:{settings.key_prefix}", 0, -1)]
    assert len(seen) == 60
    assert max(seen) <= 3


def test_without_redis_the_bound_holds_in_the_process() -> None:
    """Nobody listens at the address: the tasks of one process share the bound, and each run has a part."""
    settings = Settings.from_env({"REDIS_URL": "redis://127.0.0.1:1/0"})
    meter = Meter()

    async def ask() -> list[float]:
        limit = CallLimit("default", 4, settings)
        runs = [make_calls(limit, f"run-{run}", 30, meter) for run in (1, 1, 2)]
        waited = await asyncio.gather(*runs)
        await limit.close()
        return waited

    asyncio.run(ask())
    assert meter.made == 90
    assert meter.most <= 4


def test_a_redis_that_goes_away_or_is_frozen_costs_a_moment(
    server: RedisServer, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is not waited for, and the calls are made within the bound of the process."""
    monkeypatch.setattr(calls_module, "REDIS_SECONDS", 0.1)
    meter = Meter()

    async def ask() -> None:
        limit = CallLimit("default", 4, settings)
        await make_calls(limit, "run-1", 4, meter)
        server.freeze()
        try:
            async with asyncio.timeout(5):
                await make_calls(limit, "run-1", 40, meter)
        finally:
            server.thaw()
        await limit.close()

    asyncio.run(ask())
    assert meter.made == 44
    assert meter.most <= 4


def test_a_call_that_finds_no_room_by_its_deadline_says_so(settings: Settings) -> None:
    """Its error is no failure of the server."""
    meter = Meter()

    async def ask(limit: CallLimit) -> None:
        async with limit.calls("run-1", wanted=1) as calls, limit.calls("run-2", wanted=1) as others:
            async with calls.one(Deadline.after(10), late):
                with pytest.raises(NoTimeLeft, match="too many questions at once"):
                    async with others.one(Deadline.after(0.05), late):
                        raise AssertionError("there was no room")
            assert others.waited_seconds > 0
            async with others.one(Deadline.after(10), late):
                await meter.call(0)

    as_processes([ask], settings, 1)
    assert meter.made == 1


def test_calls_that_are_cancelled_while_they_wait_leave_no_gap(settings: Settings) -> None:
    """Of ten that wait, nine are cancelled; the last one is made."""
    meter = Meter()

    async def ask(limit: CallLimit) -> None:
        async def one() -> None:
            async with calls.one(Deadline.after(10), late):
                await meter.call(0)

        async with limit.calls("run-1", wanted=1) as calls:
            async with calls.one(Deadline.after(10), late):
                waiting = [asyncio.create_task(one()) for _ in range(10)]
                await asyncio.sleep(0)
                for task in waiting[:9]:
                    task.cancel()
            await asyncio.gather(*waiting, return_exceptions=True)
            await one()

    as_processes([ask], settings, 1)
    assert meter.made == 2


def request_of(*jobs: str) -> SourceRequest:
    """A request for a batch."""
    return SourceRequest(
        run_id="run-00000001",
        source="tws_status",
        jobs=jobs,
        message="por que falharam?",
        routing=route("por que falharam?", jobs=jobs),
        limit_seconds=20,
    )


async def _ask_many(source: TwsStatusSource, request: SourceRequest) -> dict[str, object]:
    return {job: result async for job, result in source.fetch_many(request)}


@pytest.mark.parametrize("most", [3, 0])
def test_the_source_keeps_to_the_bound_and_says_how_long_it_waited(settings: Settings, most: int) -> None:
    """Three batches of a run at once, against a slow server; without a bound there are more requests at once."""
    plan = get_scenario(MANY_JOBS).plan
    names = [job["name"] for job in plan.jobs if job["lastRunCompositeStatus"]["status"] == "ABEND"][:18]
    environ = {
        "REDIS_URL": settings.redis_url,
        "RESYNC_KEY_PREFIX": settings.key_prefix,
        "RESYNC_TWS_MAX_CONCURRENT_CALLS": str(most),
    }
    with HwaSimulator(plan, faults=[Fault(latency_seconds=0.01)]) as simulator:
        source = TwsStatusSource.from_env({**environ, **simulator.environ()})

        async def ask() -> list[dict[str, object]]:
            batches = (request_of(*names[start : start + 6]) for start in range(0, 18, 6))
            try:
                return await asyncio.gather(*(_ask_many(source, batch) for batch in batches))
            finally:
                await source.close()

        given = [result for batch in asyncio.run(ask()) for result in batch.values()]
        most_at_once = simulator.most_at_once
    assert len(given) == 18
    results = [result for result in given if isinstance(result, FetchResult)]
    assert all(TwsPayload.model_validate(result.data).job is not None for result in results)
    has_waited = [any("RESYNC_TWS_MAX_CONCURRENT_CALLS=3" in line for line in result.asked) for result in results]
    assert len(results) == 18
    assert (most_at_once <= 3) == any(has_waited) == (most == 3)


def test_no_call_begins_while_redis_is_asked_how_many_may(settings: Settings) -> None:
    """What Redis is not told of as in use it may give to another task: the answer decides."""

    class Slow(CallLimit):
        """Grants two calls, and at the second question one, late."""

        def __init__(self) -> None:
            super().__init__("default", 2, settings)
            self.asked, self.answered = asyncio.Event(), asyncio.Event()
            self.questions = 0

        async def ask(self, holder: str, run: str, *, using: int, wanted: int) -> tuple[int, bool]:
            self.questions += 1
            if self.questions == 1:
                return 2, False
            self.asked.set()
            await self.answered.wait()
            return max(using, min(wanted, 1)), True

    async def ask() -> tuple[int, int]:
        limit, under_way, counts = Slow(), 0, []
        begun, ends = asyncio.Event(), asyncio.Event()

        async def call() -> None:
            nonlocal under_way
            async with calls.one(Deadline.after(20), late):
                under_way += 1
                begun.set()
                await ends.wait()

        async with limit.calls("run-1", wanted=2) as calls:
            await limit.asked.wait()
            tasks = [asyncio.create_task(call()) for _ in range(2)]
            for _ in range(5):
                await asyncio.sleep(0)
            counts.append(under_way)
            limit.answered.set()
            await begun.wait()
            counts.append(under_way)
            ends.set()
            await asyncio.gather(*tasks)
        return counts[0], counts[1]

    assert asyncio.run(ask()) == (0, 1)


def test_a_question_of_one_job_asks_redis_twice(settings: Settings, server: RedisServer) -> None:
    """Once for its calls and once to give them back, when nobody else wants any."""
    scenario = get_scenario(1)
    request = request_of().model_copy(update={"job": "BATCH001", "jobs": ()})
    environ = {"REDIS_URL": settings.redis_url, "RESYNC_KEY_PREFIX": settings.key_prefix}
    with redis.Redis.from_url(settings.redis_url) as client, HwaSimulator(scenario.plan) as simulator:
        client.config_resetstat()
        asyncio.run(fetch_once(SPEC.create({**environ, **simulator.environ()}), request))
        scripts = client.info("commandstats")
    assert sum(scripts[name]["calls"] for name in ("cmdstat_hset", "cmdstat_hdel") if name in scripts) <= 4
