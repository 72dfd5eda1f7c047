"""Connections that a network cut has left open, to nowhere."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from urllib.parse import urlsplit

import pytest
from proxy_support import Proxy

from orchestrator.client.aio import AsyncTroubleshootClient
from orchestrator.client.sync import TroubleshootClient
from orchestrator.config import Settings
from orchestrator.errors import StoreUnreachable
from orchestrator.models import TroubleshootRequest
from orchestrator.store import pools
from orchestrator.store.connection import connect

COUNT = 6


@pytest.fixture
def proxy(redis_url: str) -> Iterator[Proxy]:
    port = urlsplit(redis_url).port
    assert port is not None
    with Proxy(port) as proxy:
        yield proxy


@pytest.fixture
def settings(redis_url: str, proxy: Proxy) -> Settings:
    return Settings.from_env({"REDIS_URL": redis_url.replace(f":{proxy.target}", f":{proxy.port}")})


def at_once(client: TroubleshootClient) -> list[str]:
    """As many calls at the same time as the pool gets connections; the names of their errors."""
    barrier = threading.Barrier(COUNT)

    def call(_: int) -> str:
        barrier.wait()
        try:
            client.list()
        except StoreUnreachable as error:
            return type(error).__name__
        return ""

    with ThreadPoolExecutor(COUNT) as threads:
        return list(threads.map(call, range(COUNT)))


def test_one_connection_that_fails_takes_the_idle_ones_with_it(settings: Settings, proxy: Proxy) -> None:
    """The next calls connect anew: a pool of dead connections costs one time-out, not one each."""
    with TroubleshootClient(settings) as client:
        assert at_once(client) == [""] * COUNT
        proxy.make_half_open()
        with pytest.raises(StoreUnreachable):
            client.list()
        assert at_once(client) == [""] * COUNT


@pytest.mark.parametrize("asynchronous", [False, True])
def test_a_connection_that_was_idle_is_tried_first(
    settings: Settings, proxy: Proxy, monkeypatch: pytest.MonkeyPatch, asynchronous: bool
) -> None:
    """A firewall that has forgotten it costs a quarter of a second, and no caller an error."""
    monkeypatch.setattr(pools, "IDLE_SECONDS", 0.0)

    async def read_twice() -> None:
        async with AsyncTroubleshootClient(settings) as client:
            await client._reader.ping()
            proxy.make_half_open()
            await client._reader.ping()

    began = time.monotonic()
    if asynchronous:
        asyncio.run(read_twice())
    else:
        with TroubleshootClient(settings) as client:
            at_once(client)
            proxy.make_half_open()
            began = time.monotonic()
            assert at_once(client) == [""] * COUNT
    assert time.monotonic() - began >= pools.PROBE_SECONDS


@pytest.mark.usefixtures("patient_readers")
def test_a_run_is_published_although_its_connection_is_dead(settings: Settings, proxy: Proxy) -> None:
    """The message is sent once more on a connection that works, or its run would wait for a watcher."""
    with TroubleshootClient(settings) as client:
        client.submit(TroubleshootRequest(message="x"))
        proxy.make_half_open()
        with suppress(StoreUnreachable):
            client.list()
        run_id = client.submit(TroubleshootRequest(message="y"))
        with connect(settings) as raw:
            messages = raw.lrange(f"{client.store.keys.broker_prefix}orchestrator", 0, -1)
        assert [run_id in message for message in messages] == [True, False]
