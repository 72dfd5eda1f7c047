"""A worker's connections to Redis: what they hold on to, and what a Redis that goes away does to them."""

from __future__ import annotations

import socket
import warnings
from types import SimpleNamespace

import celery
import pytest
import redis
from celery import Celery
from celery.app.task import Context
from celery.concurrency.base import apply_target
from celery.exceptions import CPendingDeprecationWarning
from celery.utils.imports import symbol_by_name
from celery.worker import state
from celery.worker.consumer import Consumer
from kombu import Connection
from redis.exceptions import NoPermissionError, ResponseError
from tests_support import RedisServer

from orchestrator.broker.app import RUN_TASK, make_celery
from orchestrator.broker.chord import build_chord, publish_chord
from orchestrator.config import Settings
from orchestrator.i18n.languages import Language
from orchestrator.models import Intent, Plan, PlannedSource, Routing
from orchestrator.sources import BUILTIN_SOURCES, source_names
from orchestrator.store.keys import ORCHESTRATOR_QUEUE, SYNTHESIS_QUEUE
from orchestrator.store.runs import new_token
from workers.runtime.consumer import ReconnectingConsumer, StartedRequest
from workers.tasks import register_tasks


def holding_a_message(app: Celery) -> Connection:
    """A connection with a message that is not acknowledged, and with a read that waits on each of two channels."""
    app.send_task(RUN_TASK, args=("run-00000001",))
    connection: Connection = app.connection_for_read()
    first, second = connection.default_channel, connection.channel()
    for channel, queue in ((first, ORCHESTRATOR_QUEUE), (second, SYNTHESIS_QUEUE)):
        app.amqp.TaskConsumer(channel, queues=[app.amqp.queues[queue]], on_message=lambda _: None).consume()
    connection.drain_events(timeout=20)
    with pytest.raises(socket.timeout):
        connection.drain_events(timeout=0.1)
    return connection


@pytest.mark.skipif(celery.VERSION < (5, 7), reason="an older Celery does not close the lost connection here")
def test_a_worker_outlives_a_redis_that_dies_with_its_message_in_hand(
    own_redis: RedisServer, caplog: pytest.LogCaptureFixture
) -> None:
    """A message that could not be acknowledged does not keep the consumer from connecting again."""
    app = make_celery(Settings.from_env({"REDIS_URL": own_redis.url}), with_results=False)
    connection = holding_a_message(app)
    own_redis.kill()
    consumer = ReconnectingConsumer.__new__(ReconnectingConsumer)
    consumer.app, consumer.connection = app, connection
    consumer.prefetch_multiplier, consumer.pool = 1, SimpleNamespace(num_processes=1)
    consumer.on_connection_error_after_connected(ConnectionError("gone"))
    assert consumer.connection is None
    # Without these words the situation was not the one that ends a plain consumer.
    assert any("broker_lost_with_message_in_hand" in text and "hostname" in text for text in caplog.messages)
    assert not connection.connected
    app.close()


def test_a_worker_that_lacks_a_right_tries_again_after_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each try is a few lines of the log, and a person has to act before one succeeds."""
    slept, errors = list[float](), (NoPermissionError("no rights"), ResponseError("READONLY"), ConnectionError("gone"))
    monkeypatch.setattr("workers.runtime.consumer.time.sleep", slept.append)
    monkeypatch.setattr(
        Consumer,
        "on_connection_error_after_connected",
        lambda *_: warnings.warn("In Celery 5.1 ...", CPendingDeprecationWarning, stacklevel=1),
    )
    consumer = ReconnectingConsumer.__new__(ReconnectingConsumer)
    consumer.connection = None
    for error in errors:
        consumer.on_connection_error_after_connected(error)
    assert slept == [2.0, 0.5]


def test_another_error_of_the_consumer_is_not_taken_for_a_lost_broker(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only what comes from closing the lost connection is survived."""

    def fail(*_: object) -> None:
        raise AttributeError("something else")

    monkeypatch.setattr(Consumer, "on_connection_error_after_connected", fail)
    consumer = ReconnectingConsumer.__new__(ReconnectingConsumer)
    consumer.connection = object()
    with pytest.raises(AttributeError, match="something else"):
        consumer.on_connection_error_after_connected(ConnectionError("gone"))


def test_a_task_whose_message_cannot_be_acknowledged_runs_and_gives_its_place_back(settings: Settings) -> None:
    """Losing the broker between message and acknowledgement costs a worker none of its places."""
    app = make_celery(settings, with_results=False)
    register_tasks(app)
    task = app.tasks[RUN_TASK]
    app.send_task(RUN_TASK, args=("run-00000001",))
    with app.connection_for_read() as connection:
        message = connection.SimpleQueue(app.amqp.queues[ORCHESTRATOR_QUEUE]).get(timeout=20)

    def acknowledge(*_: object) -> None:
        raise AttributeError("'NoneType' object has no attribute 'client'")

    request = symbol_by_name(task.Request)(message, on_ack=acknowledge, app=app, task=task, hostname="w@test")
    ran: list[str] = []
    state.task_reserved(request)
    # What a thread of the pool does with a request.
    apply_target(
        lambda: ran.append("ran"),
        callback=lambda result: request.on_success((False, result, 0.0)),
        accept_callback=request.on_accepted,
    )
    assert ran == ["ran"]
    assert request not in state.reserved_requests
    assert request not in state.active_requests
    app.close()


def test_every_task_outlives_its_acknowledgement(settings: Settings) -> None:
    """All tasks that are registered have requests that run without an acknowledgement."""
    app = make_celery(settings, with_results=False)
    register_tasks(app)
    ours = {name: task for name, task in app.tasks.items() if name.startswith("troubleshoot.")}
    assert len(ours) == 2 + len(source_names())
    assert {symbol_by_name(task.Request) for task in ours.values()} == {StartedRequest}
    app.close()


def test_publishing_a_chord_leaves_nothing_waiting(settings: Settings) -> None:
    """A worker that has published chords holds no results and no subscriptions for them."""
    app = make_celery(settings, with_results=True)
    register_tasks(app)
    plan = Plan(
        pipeline="troubleshoot",
        routing=Routing(intent=Intent.TROUBLESHOOT, confidence=1, language=Language.EN),
        sources=tuple(PlannedSource(source=name, limit_seconds=5) for name in BUILTIN_SOURCES),
        reason="test",
    )
    for _ in range(5):
        run_id = new_token()
        publish_chord(app, run_id, build_chord(app, run_id, plan))
    with redis.Redis.from_url(settings.redis_url) as raw:
        assert raw.llen(f"{settings.key_prefix}mq:metrics") == 5
        assert raw.pubsub_channels("*") == []
    assert [len(waiting) for waiting in app.backend._pending_results] == [0, 0]
    app.close()


def test_a_chord_part_that_cannot_be_counted_is_no_error(own_redis: RedisServer) -> None:
    """A task that ends after Redis has died ends all the same, or its place in the pool would be lost."""
    app = make_celery(Settings.from_env({"REDIS_URL": own_redis.url}), with_results=True)
    app.conf.result_backend_max_retries = 0
    request = Context(id="t1", group="g1", chord={"task": "troubleshoot.synthesize", "options": {}}, delivery_info={})
    own_redis.kill()
    app.backend.mark_as_done("t1", {"source": "metrics"}, request=request, store_result=False)
    app.close()


def test_a_read_that_waits_is_never_moved_to_a_socket_that_nobody_watches(own_redis: RedisServer) -> None:
    """Redis dies and is back at once: the event loop would go on watching the old socket, and the worker be deaf."""
    app = make_celery(Settings.from_env({"REDIS_URL": own_redis.url}), with_results=True)
    connection = holding_a_message(app)
    waiting = connection.default_channel.client.connection
    watched = waiting._sock
    own_redis.kill()
    own_redis.start()
    waiting.next_health_check = 1.0  # long due, as after any second
    with pytest.raises(redis.RedisError):
        waiting.send_command("PING")
    assert waiting._sock is None
    assert watched is not None
    app.close()
