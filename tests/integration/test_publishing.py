"""Publishing against a real broker: what a chord's messages carry, and what the transport holds on to."""

from __future__ import annotations

import json
import time
from base64 import b64decode
from typing import Any

import pytest
import redis
from kombu import Consumer
from tests_support import RedisServer, stretched

from orchestrator.broker.app import make_celery
from orchestrator.broker.chord import build_chord, publish_chord
from orchestrator.broker.transport import Share
from orchestrator.config import Settings
from orchestrator.errors import RunRefused, StoreUnreachable
from orchestrator.i18n.languages import Language
from orchestrator.models import Intent, Plan, PlannedSource, Routing
from orchestrator.store.keys import lane
from orchestrator.store.runs import new_token
from workers.lab.bench.plain import plain_celery
from workers.tasks import register_tasks


def plan_of(*sources: str) -> Plan:
    """A plan that asks the sources, each within 5 s."""
    return Plan(
        pipeline="troubleshoot",
        routing=Routing(intent=Intent.TROUBLESHOOT, confidence=1, language=Language.EN),
        sources=tuple(PlannedSource(source=name, limit_seconds=5) for name in sources),
        reason="test",
    )


def queued(raw: redis.Redis, prefix: str, queue: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Headers and embedded signatures of the one message that waits in a queue."""
    (text,) = raw.lrange(f"{prefix}mq:{queue}", 0, -1)
    message = json.loads(text)
    return message["headers"], json.loads(b64decode(message["body"]))[2]


@pytest.mark.parametrize("sources", [("metrics",), ("tws_status", "rag_search", "log_cache", "metrics")])
def test_a_published_chord_is_one_that_celery_counts(settings: Settings, sources: tuple[str, ...]) -> None:
    """Every header message carries its group, place, limits and the body; the group's size is known."""
    app = make_celery(settings, with_results=True)
    register_tasks(app)
    run_id = new_token()
    publish_chord(app, run_id, build_chord(app, run_id, plan_of(*sources)))
    groups = set()
    with redis.Redis.from_url(settings.redis_url) as raw:
        for place, source in enumerate(sources):
            headers, embedded = queued(raw, settings.key_prefix, source)
            assert headers["group_index"] == place
            assert headers["root_id"] == run_id
            assert headers["timelimit"] == [7, 5]
            assert headers["ignore_result"] is True
            body = embedded["chord"]
            assert (body["task"], body["args"], body["immutable"]) == ("troubleshoot.synthesize", [run_id], True)
            assert body["options"]["root_id"] == run_id
            assert body["options"]["queue"] == "synthesis"
            groups.add(headers["group"])
        (group,) = groups
        size = raw.get(app.backend.get_key_for_group(group, ".s"))
    assert size == str(len(sources)).encode()
    app.close()


@pytest.mark.parametrize("sources", [("metrics",), ("metrics", "log_cache")])
def test_a_chord_that_the_broker_does_not_take_is_said_at_once(
    own_redis: RedisServer, sources: tuple[str, ...]
) -> None:
    """With Redis gone the dispatcher hears of it, and leaves the run to its wake-up instead of trying on."""
    app = make_celery(Settings.from_env({"REDIS_URL": own_redis.url}), with_results=True)
    register_tasks(app)
    canvas = build_chord(app, "run-00000001", plan_of(*sources))
    publish_chord(app, "run-00000001", canvas)
    own_redis.kill()
    began = time.monotonic()
    with pytest.raises(StoreUnreachable, match="the chord"):
        publish_chord(app, "run-00000001", canvas)
    # Celery's own retries go on for 19 s.
    assert time.monotonic() - began < stretched(5)
    app.close()


def test_a_dispatcher_that_has_lost_its_lease_sends_no_further_message(settings: Settings) -> None:
    """Another one dispatches the run by then: the rest of the messages would be sent twice."""
    app = make_celery(settings, with_results=True)
    register_tasks(app)
    kept = iter([None, RunRefused()])

    def keep_lease() -> None:
        if (error := next(kept)) is not None:
            raise error

    plan = plan_of("tws_status", "metrics")
    with pytest.raises(RunRefused):
        publish_chord(app, "run-00000001", build_chord(app, "run-00000001", plan), keep_lease=keep_lease)
    with redis.Redis.from_url(settings.redis_url) as raw:
        assert [raw.llen(f"{settings.key_prefix}mq:{source.source}") for source in plan.sources] == [1, 0]
    app.close()


@pytest.mark.parametrize(
    ("share", "taken"), [(Share.SMALL, ["+1", None]), (Share.FAIR, [None, "+1"]), (Share.LARGE, [None])]
)
def test_a_batch_is_taken_by_the_share_that_batches_have(
    settings: Settings, share: Share, taken: list[str | None]
) -> None:
    """Before the messages of single questions, after them, or not at all; what is left out is counted."""
    app = make_celery(settings, with_results=True)
    plan, run_id, asked = plan_of("metrics", "metrics"), new_token(), list[str | None]()
    batch = plan.sources[0].model_copy(update={"batch": 1, "jobs": ("JOB1", "JOB2")})
    plan = plan.model_copy(update={"sources": (batch, plan.sources[1])})
    publish_chord(app, run_id, build_chord(app, run_id, plan))
    queue = next(queue for queue in app.conf.task_queues if queue.name == "metrics")
    with app.connection_for_read() as connection, connection.channel() as channel:
        channel.batch_share = lambda: share
        with Consumer(channel, [queue], callbacks=[lambda body, message: asked.append(body[0][1])], no_ack=True):
            for _ in taken:
                connection.drain_events(timeout=5)
            assert asked == taken
            if share is Share.LARGE:
                with pytest.raises(TimeoutError):
                    connection.drain_events(timeout=0.15)
    with redis.Redis.from_url(settings.redis_url) as raw:
        assert raw.llen(f"{settings.key_prefix}mq:{lane('metrics', 1)}") == 2 - len(taken)
    app.close()


def test_a_channel_keeps_its_publishing_client(settings: Settings) -> None:
    """Messages, acknowledgements and events share one client, for as long as the channel's pool lives."""
    app = make_celery(settings, with_results=False)
    with app.connection_for_write() as connection:
        channel = connection.default_channel
        with channel.conn_or_acquire() as first, channel.conn_or_acquire() as second:
            assert first is second
        channel._disconnect_pools()
        with channel.conn_or_acquire() as renewed:
            assert renewed is not first
            assert renewed.connection_pool is channel.pool
            assert renewed.ping()
    app.close()


def test_connections_of_a_pool_have_the_transport(settings: Settings) -> None:
    """What publishes takes its connection from a pool, which copies it."""
    app = make_celery(settings, with_results=False)
    with app.connection_or_acquire() as connection:
        assert type(connection.transport).__module__ == "orchestrator.broker.transport"
    app.close()


def test_a_connection_has_the_address_it_was_made_from() -> None:
    """Logs and Flower see ``redis://``, on a copy of it as well, and no password unless they ask for it."""
    url = "redis://:secret@127.0.0.1:6379/0"
    connection = make_celery(Settings(redis_url=url), with_results=True).connection_for_write().clone()
    assert type(connection.transport).__module__ == "orchestrator.broker.transport"
    assert connection.as_uri() == "redis://:**@127.0.0.1:6379/0"
    assert connection.as_uri(include_password=True) == url


def test_tls_has_the_same_transport() -> None:
    """A rediss:// URL has what the project changes in kombu's transport, and TLS."""
    secure = make_celery(Settings.from_env({"REDIS_URL": "rediss://127.0.0.1/0"}), with_results=False)
    connection = secure.connection_for_write()
    assert type(connection.transport).__module__ == "orchestrator.broker.transport"
    assert connection.as_uri().startswith("rediss://")
    assert connection.ssl


def test_the_plain_chord_is_celerys_own(settings: Settings) -> None:
    """What the benchmark compares with has neither the project's transport nor its result backend."""
    app = plain_celery(settings)
    assert type(app.connection_for_write().transport).__module__ == "kombu.transport.redis"
    assert type(app.backend).__module__ == "celery.backends.redis"
