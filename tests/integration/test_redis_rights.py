"""Users of Redis that lack a right: which one it is, and of which user, is told with the rule that grants it."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import pytest
import redis
from celery.events.dispatcher import EventDispatcher
from kombu import pools
from tests_support import RedisServer, new_redis

from orchestrator.broker.app import make_celery
from orchestrator.broker.publisher import Publisher
from orchestrator.broker.queues import ask_workers
from orchestrator.client.sync import TroubleshootClient
from orchestrator.config import Settings
from orchestrator.errors import StoreRefusesUser
from orchestrator.models import TroubleshootRequest
from orchestrator.store.connection import session
from workers.runtime.consumer import KEPT_EVENTS, _check_events

PASSWORD = "planted-4711"
Limited = Callable[[str], Settings]


@pytest.fixture(scope="module")
def server() -> Iterator[RedisServer]:
    """One Redis for the file."""
    with new_redis() as started:
        yield started


@pytest.fixture
def limited(server: RedisServer) -> Limited:
    """Settings of a user with these rights."""

    def make(rules: str) -> Settings:
        with redis.Redis.from_url(server.url) as client:
            client.execute_command("ACL", "SETUSER", "app", "reset", "on", f">{PASSWORD}", *rules.split())
        pools.reset()
        return Settings.from_env({"REDIS_URL": server.url.replace(f":{server.password}@", f"app:{PASSWORD}@")})

    return make


def submit(settings: Settings) -> None:
    with TroubleshootClient(settings) as client:
        client.submit(TroubleshootRequest(message="Job BATCH001 falhou"))


def list_runs(settings: Settings) -> None:
    with TroubleshootClient(settings) as client:
        client.list()


def read(settings: Settings, *, transaction: bool) -> None:
    with session(settings) as client, client.pipeline(transaction=transaction) as pipe:
        pipe.get("allowed:1")
        pipe.set("secret:2", "a value that nobody is told")
        pipe.execute()


def publish(settings: Settings) -> None:
    publisher = Publisher(make_celery(settings, with_results=False))
    try:
        publisher.publish_run("run-00000001")
    finally:
        publisher.close()


ANY = "~* &* +@all"
CASES: dict[str, tuple[str, Callable[[Settings], object], str, str]] = {
    "a command": (f"{ANY} -time", list_runs, "run TIME", "+time"),
    "a command of a script": (f"{ANY} -hset", submit, "run HSET", "+hset"),
    "the scripts": (f"{ANY} -evalsha", submit, "run EVALSHA", "+evalsha"),
    "a key": ("~other &* +@all", list_runs, "use the keys resync:troubleshoot:runs", "~resync:troubleshoot:runs"),
    "the keys of a script": ("~other &* +@all", submit, "use the keys resync:troubleshoot:run", "~resync:"),
    "a key in a pipeline": (
        "~allowed:* &* +@all", lambda settings: read(settings, transaction=False), "use the keys secret:2", "~secret:2",
    ),
    "a key in a transaction": (
        "~allowed:* &* +@all", lambda settings: read(settings, transaction=True), "use the keys secret:2", "~secret:2",
    ),
    "a channel": (
        "~* +@all resetchannels", ask_workers, "use the channels resync:troubleshoot:mq:/0.celery.pidbox", "&resync:",
    ),
    "publishing": (f"{ANY} -publish", ask_workers, "run PUBLISH", "+publish"),
    "sending": (f"{ANY} -lpush", publish, "run LPUSH", "+lpush"),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_the_missing_right_and_the_user_are_named(limited: Limited, name: str) -> None:
    """In one line that names REDIS_URL and no password; a wrong setting, by its exit code."""
    rules, call, what, rule = CASES[name]
    with pytest.raises(StoreRefusesUser) as error:
        call(limited(rules))
    line = str(error.value)
    assert line.startswith(f"REDIS_URL: the user app may not {what}")
    assert f"(NOPERM); allow it with: ACL SETUSER app {rule}" in line
    assert "\n" not in line
    assert PASSWORD not in line
    assert "nobody is told" not in line
    assert error.value.exit_code == 2


def test_a_worker_that_may_publish_no_events_says_so(limited: Limited, caplog: pytest.LogCaptureFixture) -> None:
    """Celery would keep them for ever, and say nothing; tasks go on."""
    app = make_celery(limited(f"{ANY} -publish"), with_results=False)
    with app.connection_for_read() as connection, caplog.at_level(logging.WARNING):
        channel: Any = connection.channel()
        events = EventDispatcher(connection, app=app, enabled=False)
        _check_events(SimpleNamespace(event_dispatcher=events), channel)
        channel.close()
    app.close()
    assert "events_not_published error=REDIS_URL: the user app may not run PUBLISH" in caplog.text
    assert events._outbound_buffer.maxlen == KEPT_EVENTS
