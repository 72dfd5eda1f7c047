"""A failover: the name of Redis leads to another address, and the former primary becomes a replica."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from typing import Any

import pytest
import redis
from tests_support import RedisServer, new_redis

from orchestrator.broker.app import make_celery
from orchestrator.broker.publisher import Publisher
from orchestrator.client.sync import TroubleshootClient
from orchestrator.config import ParallelConfig, Settings
from orchestrator.errors import StoreUnreachable
from orchestrator.models import TroubleshootRequest
from orchestrator.store.connection import connect
from orchestrator.store.keys import ORCHESTRATOR_QUEUE, Keys
from orchestrator.testing import stub_message

QUESTION = TroubleshootRequest(message=stub_message({}), job_name="BATCH001", config=ParallelConfig())
HOST = "primary.redis.example"


@pytest.fixture
def pair() -> Iterator[tuple[RedisServer, RedisServer]]:
    """The primary, and the server that takes over."""
    second = new_redis()
    with new_redis() as first:
        second.password = first.password
        with second:
            yield first, second


@pytest.fixture
def name(pair: tuple[RedisServer, RedisServer], monkeypatch: pytest.MonkeyPatch) -> dict[str, int | None]:
    """The port that the host name leads to; None: it does not resolve."""
    leads, resolve = {HOST: pair[0].port}, socket.getaddrinfo

    def resolved(host: Any, port: Any, *arguments: Any, **options: Any) -> Any:
        if host != HOST:
            return resolve(host, port, *arguments, **options)
        if leads[HOST] is None:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return resolve("127.0.0.1", leads[HOST], *arguments, **options)

    monkeypatch.setattr(socket, "getaddrinfo", resolved)
    return leads  # type: ignore[return-value]  # None comes later


def test_clients_follow_the_name_to_the_new_primary(
    pair: tuple[RedisServer, RedisServer], name: dict[str, int | None]
) -> None:
    """Store and broker leave a former primary after one refusal, though its connections stay open."""
    settings = Settings.from_env({"REDIS_URL": f"redis://:{pair[0].password}@{HOST}:6379/0"})
    queue = Keys(settings.key_prefix).broker_prefix + ORCHESTRATOR_QUEUE
    publisher = Publisher(make_celery(settings, with_results=False))
    with TroubleshootClient(settings) as client, redis.Redis.from_url(pair[0].plain_url) as former:
        client.submit(QUESTION)
        publisher.publish_run("run-00000001")
        name[HOST] = pair[1].port
        former.execute_command("REPLICAOF", "127.0.0.1", "1")
        with pytest.raises(StoreUnreachable, match="READONLY"):
            client.submit(QUESTION)
        client.submit(QUESTION)
        publisher.publish_run("run-00000002")
    publisher.close()
    with redis.Redis.from_url(pair[1].plain_url) as taken_over:
        assert taken_over.llen(queue) == 2


def test_a_name_that_stops_resolving_costs_no_open_connection(
    pair: tuple[RedisServer, RedisServer], name: dict[str, int | None]
) -> None:
    """What is connected goes on; a new connection fails as unreachable, and succeeds when the name is back."""
    settings = Settings.from_env({"REDIS_URL": f"redis://:{pair[0].password}@{HOST}:6379/0"})
    with TroubleshootClient(settings) as client:
        client.list()
        name[HOST] = None
        client.list()
        with redis.Redis.from_url(pair[0].plain_url) as other:
            own = other.client_id()
            for entry in other.client_list():
                if int(entry["id"]) != own:
                    other.client_kill_filter(_id=entry["id"])
        with pytest.raises(StoreUnreachable):
            client.list()
        name[HOST] = pair[1].port
        assert client.list() == []
        with connect(settings) as late:
            assert late.ping()
