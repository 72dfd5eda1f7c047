"""The log_cache source's connection to a real redis-server, and to servers that misbehave."""

from __future__ import annotations

import asyncio
import json
import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
import redis
from tests_support import fetch_once, stretched

from orchestrator.errors import SourceError
from orchestrator.i18n.languages import Language
from orchestrator.models import Intent, Routing, SourceOutcome, SourceRequest
from orchestrator.sources import FetchResult
from workers.sources.log_cache.source import LogCacheSource


def request_for(limit: float = 5.0) -> SourceRequest:
    """A request for one job."""
    routing = Routing(intent=Intent.TROUBLESHOOT, confidence=1, language=Language.EN)
    return SourceRequest(
        run_id="run-00000001", source="log_cache", job="J1", message="?", routing=routing, limit_seconds=limit
    )


def fetch(url: str, limit: float = 5.0) -> FetchResult:
    """Ask once, on a loop of its own."""

    async def go() -> FetchResult:
        source = LogCacheSource.from_env({"REDIS_URL": url})
        return await fetch_once(source, request_for(limit))

    return asyncio.run(go())


@dataclass(frozen=True)
class Mute:
    """A server that accepts and never answers."""

    url: str
    came: threading.Event
    """Set once a client has connected."""
    gone: threading.Event
    """Set once one has gone away."""


@pytest.fixture
def mute() -> Iterator[Mute]:
    listener = socket.create_server(("127.0.0.1", 0))
    came, gone, stop = threading.Event(), threading.Event(), threading.Event()

    def serve() -> None:
        listener.settimeout(0.05)
        connections: list[socket.socket] = []
        while not stop.is_set():
            try:
                connection, _ = listener.accept()
                connection.settimeout(0.02)
                connections.append(connection)
                came.set()
            except TimeoutError:
                pass
            for connection in connections:
                try:
                    if connection.recv(4096) == b"":
                        gone.set()
                except TimeoutError:
                    continue
                except OSError:
                    gone.set()
        for connection in connections:
            connection.close()

    thread = threading.Thread(target=serve)
    thread.start()
    yield Mute(f"redis://127.0.0.1:{listener.getsockname()[1]}/0", came, gone)
    stop.set()
    thread.join()
    listener.close()


def test_a_server_that_never_answers_times_out_below_the_limit(mute: Mute) -> None:
    """The source gives up by itself, with reason timeout, before its limit."""
    started = time.monotonic()
    with pytest.raises(SourceError) as caught:
        fetch(mute.url, limit=0.5)
    assert caught.value.reason == "timeout"
    assert time.monotonic() - started < stretched(3)


def test_a_cancelled_fetch_closes_its_connection(mute: Mute) -> None:
    """Cancelling the coroutine ends it, and the server sees the connection closed."""

    async def go() -> None:
        source = LogCacheSource.from_env({"REDIS_URL": mute.url})
        task = asyncio.create_task(source.fetch(request_for(30)))
        assert await asyncio.to_thread(mute.came.wait, 10)
        # More than once: redis-py sends in asyncio.wait_for, which on Python 3.11 loses a cancellation as it ends.
        while not task.done():
            task.cancel()
            await asyncio.wait({task}, timeout=0.1)
        assert task.cancelled()
        assert await asyncio.to_thread(mute.gone.wait, 10)
        await source.close()

    asyncio.run(go())


def test_a_wrong_password_is_unauthorized(redis_url: str) -> None:
    """Refused credentials have a reason of their own, and no password stands in the message."""
    host = redis_url.rpartition("@")[2]
    for url in (f"redis://:planted@{host}", f"redis://{host}"):
        with pytest.raises(SourceError) as caught:
            fetch(url)
        assert caught.value.reason == "unauthorized"
        assert "planted" not in str(caught.value)


def test_a_connection_that_the_server_closed_is_opened_again(redis_url: str) -> None:
    """A source outlives a cut connection: the next fetch simply works."""

    async def go() -> list[SourceOutcome]:
        source = LogCacheSource.from_env({"REDIS_URL": redis_url})
        outcomes = []
        with redis.Redis.from_url(redis_url) as control:
            for _ in range(3):
                outcomes.append((await source.fetch(request_for())).outcome)
                control.client_kill_filter(_type="normal", skipme=True)
        await source.close()
        return outcomes

    assert asyncio.run(go()) == [SourceOutcome.NO_DATA] * 3


def test_one_source_serves_one_event_loop_after_another(redis_url: str) -> None:
    """A new loop gets a client of its own; nothing of the old one is waited for."""
    with redis.Redis.from_url(redis_url) as client:
        client.set("resync:job:history:J1", json.dumps(["ABEND S0C7"]))
    source = LogCacheSource.from_env({"REDIS_URL": redis_url})

    async def go() -> SourceOutcome:
        try:
            return (await source.fetch(request_for())).outcome
        finally:
            await source.close()

    assert [asyncio.run(go()) for _ in range(3)] == [SourceOutcome.OK] * 3


def test_many_fetches_at_once_share_the_source(redis_url: str) -> None:
    """Fetches side by side on one loop do not get each other's answers."""
    with redis.Redis.from_url(redis_url) as client:
        for number in range(20):
            client.set(f"resync:job:history:J{number}", json.dumps([f"ABEND S{number:03d} of J{number}"]))

    async def go() -> list[str]:
        source = LogCacheSource.from_env({"REDIS_URL": redis_url})
        requests = [request_for().model_copy(update={"job": f"J{number}"}) for number in range(20)]
        results = await asyncio.gather(*(source.fetch(request) for request in requests))
        await source.close()
        return [result.evidence[0].text.rpartition(" ")[2] for result in results]

    assert asyncio.run(go()) == [f"J{number}" for number in range(20)]


def test_the_place_is_shown_without_credentials(redis_url: str) -> None:
    """where names server and database; the password is nowhere in the result."""
    result = fetch(redis_url)
    host = redis_url.rpartition("@")[2]
    assert result.where == f"redis://{host}"
    assert redis_url.partition(":")[2].partition("@")[0].lstrip("/:") not in repr(result)


def test_no_server_is_unreachable() -> None:
    """A refused connection is an error with reason unreachable, and no password stands in the message."""
    with pytest.raises(SourceError) as caught:
        fetch("redis://:planted@127.0.0.1:1/0", limit=2)
    assert caught.value.reason == "unreachable"
    assert "planted" not in str(caught.value)
