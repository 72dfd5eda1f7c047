"""Messages that no worker could take, as they are kept in a real Redis."""

from __future__ import annotations

import json

import pytest

from orchestrator.broker.app import make_celery, source_task
from orchestrator.broker.transport import message_set_aside
from orchestrator.config import Settings
from orchestrator.store.connection import session
from orchestrator.store.keys import Keys
from orchestrator.store.set_aside import KEPT_CHARACTERS, KEPT_MESSAGES, SetAside
from workers.runtime.consumer import ReconnectingConsumer


def test_the_last_messages_are_kept_and_all_are_counted(settings: Settings) -> None:
    """A flood of junk takes little room; it is counted by queue, and both keys expire."""
    with session(settings) as client:
        keys = Keys(settings.key_prefix)
        messages = SetAside(client, keys)
        for number in range(KEPT_MESSAGES + 5):
            messages.put("metrics", "no JSON", f"{number} " + "x " * 10_000, worker="w")
        assert messages.counts() == {"metrics": KEPT_MESSAGES + 5}
        entries = [json.loads(entry) for entry in client.lrange(keys.set_aside, 0, -1)]
        assert len(entries) == KEPT_MESSAGES
        assert entries[0]["content"].startswith(f"{KEPT_MESSAGES + 4} ")
        assert all(len(entry["content"]) <= KEPT_CHARACTERS for entry in entries)
        assert all(client.ttl(key) > 0 for key in (keys.set_aside, keys.set_aside_counts))


def test_counts_that_somebody_wrote_are_no_counts(settings: Settings) -> None:
    """Names with line feeds or without end, numbers that are none or have thousands of digits."""
    with session(settings) as client:
        keys = Keys(settings.key_prefix)
        wrong = {"orchestrator": "9" * 5_000, "x\ny": "5", "a" * 100_000: "7", "synthesis": "-3", "log_cache": "many"}
        client.hset(keys.set_aside_counts, mapping={"metrics": "2", "w@host.celery.pidbox": "1", **wrong})
        assert SetAside(client, keys).counts() == {"metrics": 2, "w@host.celery.pidbox": 1}


def test_secrets_are_masked(settings: Settings) -> None:
    """A message may hold whatever somebody has pushed."""
    with session(settings) as client:
        keys = Keys(settings.key_prefix)
        SetAside(client, keys).put("metrics", "no JSON", '{"password": "geheim-4711-x"}', worker="w")
        assert "geheim" not in client.lindex(keys.set_aside, 0)
        SetAside(client, keys, redact_personal=True).put("metrics", "no JSON", "ana@example.com.br", worker="w")
        assert "ana@" not in client.lindex(keys.set_aside, 0)


@pytest.mark.parametrize("content", ["junk", "{}", "[1, 2]"])
def test_junk_among_the_unacknowledged_messages_fails_nobody(settings: Settings, content: str) -> None:
    """Whoever asks the workers restores overdue messages; one that is none is removed."""
    with session(settings) as client:
        prefix = Keys(settings.key_prefix).broker_prefix
        client.hset(f"{prefix}unacked", "tag", content)
        client.zadd(f"{prefix}unacked_index", {"tag": 1})
        app = make_celery(settings, with_results=False)
        with app.connection_or_acquire() as connection:
            connection.default_channel.qos.restore_visible(interval=1)
        app.close()
        assert not client.exists(f"{prefix}unacked", f"{prefix}unacked_index")


def test_a_message_that_waits_for_a_place_is_set_aside_from_its_own_queue(settings: Settings) -> None:
    """Also when the worker has meanwhile taken one from another queue, as in prefork."""
    aside = list[str]()
    message_set_aside.connect(keep := lambda queue, **_: aside.append(queue), weak=False)
    app = make_celery(settings, with_results=False)
    consumer = ReconnectingConsumer.__new__(ReconnectingConsumer)
    consumer.connection_errors = ()
    try:
        with app.connection_for_read() as connection:
            messages = []
            for name in ("metrics", "log_cache"):
                app.send_task(source_task(name), args=("run-00000001",), retry=False)
                messages.append(connection.SimpleQueue(name).get(timeout=20))
            for message in messages:
                consumer.on_unknown_task(None, message, KeyError())
    finally:
        message_set_aside.disconnect(keep)
        app.close()
    assert aside == ["metrics", "log_cache"]


@pytest.mark.parametrize(
    "name",
    [
        "unacked",
        "unacked_index",
        "unacked_mutex",
        "_kombu.binding_deadlines",
        "_kombu.binding.resync.troubleshoot",
        "_kombu.binding_permanent.resync.troubleshoot",
        "_kombu.binding.celery.pidbox",
    ],
)
def test_a_broker_key_of_another_type_is_set_aside_by_the_next_connection(settings: Settings, name: str) -> None:
    """Whoever uses it is refused and connects again; then messages are published, taken and acknowledged."""
    with session(settings) as client:
        prefix = Keys(settings.key_prefix).broker_prefix
        client.xadd(prefix + name, {"planted": "stream"})
        app = make_celery(settings, with_results=False)
        app.send_task(source_task("metrics"), args=("run-00000001",), retry=False)
        with app.connection_for_read() as connection:
            message = connection.SimpleQueue("metrics").get(timeout=20)
            assert message.headers["task"] == source_task("metrics")
            message.ack()
        app.close()
        assert client.type(prefix + name) != "stream"
        assert client.type(f"{prefix}{name}:set_aside") == "stream"
