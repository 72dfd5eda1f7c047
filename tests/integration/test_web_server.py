"""The run endpoints on a real server over a real Redis; no worker is there, so runs end at their deadlines."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Annotated, Any

import httpx2
import pytest
import redis
import uvicorn
from fastapi import FastAPI, Header
from starlette.middleware.gzip import GZipMiddleware
from tests_support import RedisServer, stretched, wait_until

from orchestrator.config import Settings
from orchestrator.web import Identity, create_router

RUNS = "/troubleshoot/runs"
SHORT = {"node_timeout_seconds": 0.3, "total_timeout_seconds": 0.8}
LONG = {"total_timeout_seconds": 60}
SECRET = "Segredo-2026-x"


@dataclass
class Pause:
    """The longest pause of an event loop."""

    seconds: float = 0.0
    is_over: bool = False

    async def watch(self) -> None:
        last = time.monotonic()
        while not self.is_over:
            await asyncio.sleep(0.01)
            now = time.monotonic()
            self.seconds, last = max(self.seconds, now - last), now


class Server:
    """An app on a free port, in a thread with a loop of its own whose longest pause is measured.

    Another thread's loop has nothing to do: its pauses are those of the machine and of the interpreter.
    """

    def __init__(self, app: FastAPI) -> None:
        self._server = uvicorn.Server(uvicorn.Config(app, port=0, log_config=None, timeout_graceful_shutdown=2))
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()))
        self.pause, self.idle_pause = Pause(), Pause()
        self._idle_thread = threading.Thread(target=lambda: asyncio.run(self.idle_pause.watch()))
        self.loop: asyncio.AbstractEventLoop | None = None

    async def _serve(self) -> None:
        self.loop = asyncio.get_running_loop()
        watchdog = asyncio.create_task(self.pause.watch())
        await self._server.serve()
        watchdog.cancel()

    def stood_still_seconds(self) -> float:
        """The longest pause of the app's loop beyond that of a loop with nothing to do."""
        return self.pause.seconds - self.idle_pause.seconds

    def tasks(self) -> set[str]:
        """What the loop is at, but for the server itself and the watchdog."""
        assert self.loop is not None
        names = [task.get_coro().__qualname__ for task in asyncio.all_tasks(self.loop)]
        return {name for name in names if not name.startswith(("Server.", "Pause.", "LifespanOn."))}

    def start(self) -> str:
        self._thread.start()
        self._idle_thread.start()
        end = time.monotonic() + 60
        while not self._server.started:
            assert self._thread.is_alive(), "the server did not start"
            assert time.monotonic() < end, "the server did not start"
            time.sleep(0.01)
        return f"http://127.0.0.1:{self._server.servers[0].sockets[0].getsockname()[1]}"

    def stop(self) -> None:
        self._server.should_exit = self.idle_pause.is_over = True
        self._thread.join(20)
        self._idle_thread.join(20)
        assert not self._thread.is_alive()


@contextmanager
def serving(settings: Settings, *, middleware: bool = False, **options: Any) -> Iterator[tuple[Server, httpx2.Client]]:
    app = FastAPI()
    if middleware:
        app.add_middleware(GZipMiddleware, minimum_size=1)

        @app.middleware("http")
        async def pass_on(request: Any, call_next: Any) -> Any:
            return await call_next(request)

    app.include_router(create_router(settings, **options))
    server = Server(app)
    with httpx2.Client(base_url=server.start(), trust_env=False, timeout=30) as client:
        try:
            yield server, client
        finally:
            server.stop()


def readers(raw: redis.Redis) -> int:
    """Connections on which somebody waits for a run's events or end."""
    return sum(1 for row in raw.client_list() if row["name"] == "resync-troubleshoot-reader" and row["cmd"] == "xread")


def submit(client: httpx2.Client, config: dict[str, float], **fields: Any) -> dict[str, str]:
    response = client.post(RUNS, json={"message": "Job BATCH001 falhou", "config": config} | fields)
    assert response.status_code == 202, response.text
    told: dict[str, str] = response.json()
    return told


def events_in(text: str) -> list[dict[str, Any]]:
    return [json.loads(line.removeprefix("data: ")) for line in text.splitlines() if line.startswith("data: ")]


@pytest.mark.usefixtures("patient_readers")
def test_a_run_goes_over_http_from_question_to_answer(settings: Settings) -> None:
    """Submit, follow, resume, be told to stop, read report and answer, list; no answer holds the question's secret."""
    with serving(settings) as (_, client):
        # Another run: on a busy machine a short one may be over before it is asked for.
        still_open = client.get(submit(client, LONG, message=f"Job BATCH002 falhou, senha={SECRET}")["url"])
        told = submit(client, SHORT, message=f"Job BATCH001 falhou, senha={SECRET}")
        answers = [still_open, client.get(told["events_url"])]
        assert [answer.status_code for answer in answers] == [202, 200]
        first, last = events_in(answers[1].text)
        assert (first["type"], last["type"]) == ("accepted", "final")
        resumed = client.get(told["events_url"], headers={"Last-Event-ID": first["id"]})
        assert events_in(resumed.text) == [last]
        assert client.get(told["events_url"], params={"after": last["id"]}).status_code == 204
        report = client.get(told["url"])
        assert (report.status_code, report.json()["outcome"]) == (200, "timed_out")
        answer = client.get(told["answer_url"])
        assert answer.text == report.json()["response"] == last["data"]["response"]
        runs = client.get(RUNS)
        assert [run["run_id"] for run in runs.json()] == [told["run_id"], still_open.json()["run_id"]]
        assert client.delete(told["url"]).json()["state"] == "done"
        assert all(SECRET not in answer.text for answer in (*answers, resumed, report, answer, runs))


@pytest.mark.usefixtures("patient_readers")
def test_a_simple_app_waits_for_the_report(settings: Settings) -> None:
    """``?wait=true`` answers by the deadline; a key sent again gives the same run, with another question a conflict."""
    with serving(settings) as (_, client):
        asked = {"message": f"Job BATCH001 falhou, senha={SECRET}", "config": SHORT}
        began = time.monotonic()
        report = client.post(RUNS, params={"wait": "true"}, json=asked, headers={"Idempotency-Key": "k"})
        assert time.monotonic() - began < stretched(5)
        assert (report.status_code, report.json()["outcome"]) == (200, "timed_out")
        again = client.post(RUNS, json=asked, headers={"Idempotency-Key": "k"})
        assert (again.status_code, again.json()["run_id"]) == (202, report.json()["run_id"])
        other = client.post(RUNS, json=asked | {"jobs": ["BATCH002"]}, headers={"Idempotency-Key": "k"})
        assert (other.status_code, other.json()["reason"]) == (409, "conflict")
        taken = client.post(RUNS, params={"run_id": report.json()["run_id"]}, json={"message": "outra pergunta"})
        assert (taken.status_code, taken.json()["reason"]) == (409, "conflict")
        patience = client.post(RUNS, json={"message": "x", "config": LONG}, headers={"Prefer": "wait=1"})
        assert patience.status_code == 202


def test_a_cancelled_run_ends_its_streams(settings: Settings) -> None:
    """DELETE while somebody reads: the stream tells of it and ends, and the run's address gives a report."""
    with serving(settings) as (_, client):
        told = submit(client, LONG)
        with client.stream("GET", told["events_url"]) as stream:
            lines = stream.iter_lines()
            assert next(line for line in lines if line.startswith("event: ")) == "event: accepted"
            assert client.delete(told["url"]).json()["state"] == "cancelled"
            rest = "\n".join(lines)
        assert events_in(rest)[-1]["type"] == "cancelled"
        report = client.get(told["url"])
        assert (report.status_code, report.json()["outcome"]) == (200, "cancelled")


@pytest.mark.parametrize("middleware", [False, True], ids=["plain", "middleware"])
def test_events_arrive_at_once_and_a_reader_that_leaves_leaves_nothing(settings: Settings, middleware: bool) -> None:
    """Readers get the first event while the run is open; cut off, they leave no task and no read in Redis behind."""
    with serving(settings, middleware=middleware) as (server, client), redis.Redis.from_url(settings.redis_url) as raw:
        told = submit(client, LONG)
        with ExitStack() as leave:
            streams = [leave.enter_context(client.stream("GET", told["events_url"])) for _ in range(5)]
            texts = [stream.iter_lines() for stream in streams]
            for lines in texts:
                assert next(line for line in lines if line.startswith("event: ")) == "event: accepted"
            wait_until(lambda: readers(raw) == 5, what="five reads in Redis")
        wait_until(lambda: readers(raw) == 0, what="no read in Redis")
        wait_until(lambda: not server.tasks(), what=f"no task of a reader: {server.tasks()}")
        assert client.get(told["url"]).status_code == 202


def test_many_readers_at_once_block_nobody(settings: Settings) -> None:
    """150 streams and 20 waiting callers are all told of their run's end, and the server's loop never stands still."""
    run_ids = [f"run-of-many-{number}" for number in range(3)]

    async def everybody(address: str, raw: redis.Redis) -> tuple[list[str], list[tuple[str, bool]]]:
        limits = httpx2.Limits(max_connections=None)
        async with httpx2.AsyncClient(base_url=address, trust_env=False, timeout=60, limits=limits) as client:

            async def wait(run_id: str) -> tuple[str, bool]:
                response = await client.post(RUNS, params={"run_id": run_id, "wait": "true"}, json=asked)
                return response.json()["outcome"], response.json()["committed"]

            async def read(run_id: str) -> str:
                return str(events_in((await client.get(f"{RUNS}/{run_id}/events")).text)[-1]["type"])

            asked = {"message": "Job BATCH001 falhou", "config": LONG}
            for run_id in run_ids:
                await client.post(RUNS, params={"run_id": run_id}, json=asked)
            waits = asyncio.gather(*(wait(run_ids[number % 3]) for number in range(20)))
            reads = asyncio.gather(*(read(run_ids[number % 3]) for number in range(150)))
            await asyncio.to_thread(wait_until, lambda: readers(raw) == 170, seconds=30, what="170 reads in Redis")
            for run_id in run_ids:
                await client.delete(f"{RUNS}/{run_id}")
            return await reads, await waits

    with serving(settings) as (server, client), redis.Redis.from_url(settings.redis_url) as raw:
        ends, waited = asyncio.run(everybody(str(client.base_url), raw))
        assert ends == ["cancelled"] * 150
        assert waited == [("cancelled", True)] * 20
        assert server.stood_still_seconds() < stretched(1.0)


def test_a_redis_that_hangs_does_not_hang_the_app(own_redis: RedisServer) -> None:
    """While Redis is frozen every call is answered 503 within its own timeout, and the loop goes on meanwhile."""
    settings = Settings.from_env({"REDIS_URL": own_redis.url, "RESYNC_REDIS_TIMEOUT_SECONDS": "1.5"})
    with serving(settings) as (server, client):
        told = submit(client, SHORT)
        client.get(told["events_url"])
        own_redis.freeze()
        server.pause.seconds = server.idle_pause.seconds = 0.0

        async def all_at_once() -> list[httpx2.Response]:
            async with httpx2.AsyncClient(base_url=client.base_url, trust_env=False, timeout=30) as asking:
                calls = [asking.post(RUNS, json={"message": "x"}), asking.get(RUNS), asking.delete(told["url"])]
                calls += [asking.get(told[name]) for name in ("url", "events_url", "answer_url")]
                return await asyncio.gather(*calls)

        responses = asyncio.run(all_at_once())
        pause = server.stood_still_seconds()
        own_redis.thaw()
    assert [(response.status_code, response.json()["reason"]) for response in responses] == [
        (503, "store_unreachable")
    ] * 6
    assert all("retry-after" in response.headers for response in responses)
    # A call that blocked the loop would hold it for the whole of Redis's timeout.
    assert pause < stretched(1.0)


def test_each_caller_has_so_many_requests_a_minute_in_all_processes(settings: Settings) -> None:
    """429 with the time to wait, for a known user alone, and for an address where nobody is known."""

    def identify(x_user: Annotated[str | None, Header()] = None) -> Identity | None:
        return None if x_user is None else Identity(x_user)

    limited = settings.model_copy(update={"requests_per_minute": 4})
    with ExitStack() as stack:
        clients = [stack.enter_context(serving(limited, identify=identify))[1] for _ in range(2)]
        for headers in ({"X-User": "ana"}, {"X-User": "bia"}, {}):
            answers = [client.get(RUNS, headers=headers) for client in clients for _ in range(3)]
            assert [answer.status_code for answer in answers[:4]] == [200] * 4
            assert (answers[5].status_code, answers[5].json()["reason"]) == (429, "too_many_requests")
            assert 1 <= int(answers[5].headers["retry-after"]) <= 15


def test_hostile_requests_leave_room_for_others(settings: Settings) -> None:
    """Bodies at the limit, deep, wide and wrong, are refused; the app's loop does not stand still meanwhile."""
    hostile = (
        b'{"message": "x", "jobs": [' + b"1," * 500_000 + b"1]}",
        b'{"message": "x", "jobs": [' + b"1," * 260_000 + b"1]}",
        b'{"message": "x", "config": {"disabled_sources": ["' + b'x","' * 130_000 + b'"]}}',
        b'{"message": "x", "jobs": ["A' + b" " * 170_000 + b'B"]}',
        b"{" + b",".join(b'"%d":1' % number for number in range(50_000)) + b"}",
        b"[" * 500_000,
    )
    with serving(settings) as (server, client):
        for body in hostile:
            answer = client.post(RUNS, content=body, headers={"Content-Type": "application/json"})
            assert answer.status_code in (413, 422)
            assert len(answer.content) < 1_000
        assert server.stood_still_seconds() < stretched(0.5)
