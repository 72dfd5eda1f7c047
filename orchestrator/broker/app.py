"""The Celery application: names of tasks and queues, routes, settings for Redis.

Measured with Celery 5.7.0, kombu 5.7.0, redis-py 8.1; ``docs/design.md`` explains what each setting prevents.
"""

from typing import Any

from celery import Celery
from kombu import Exchange, Queue

from orchestrator.config import Settings
from orchestrator.sources import source_names
from orchestrator.store.connection import single_url
from orchestrator.store.keys import ORCHESTRATOR_QUEUE, SYNTHESIS_QUEUE, Keys
from orchestrator.tls import tls_options, without_tls_options

TASK_PREFIX = "troubleshoot."
"""Beginning of the names of all our tasks. Celery has some of its own, none of which is for a queue."""
RUN_TASK = "troubleshoot.run"
SYNTHESIZE_TASK = "troubleshoot.synthesize"
SOURCE_TASK_PREFIX = "troubleshoot.source."
AMQP = "orchestrator.broker.transport:Amqp"
CHORD_BACKEND = "orchestrator.broker.chord:ChordBackend"
WORKER_TIMEOUT_SECONDS = 1.0
"""Seconds in which Redis must answer a worker's command to the broker, unless the setting for the store is longer."""
EXCHANGE = Exchange("resync.troubleshoot", type="direct")


def source_task(source: str) -> str:
    """Name of the task that asks ``source``; its queue has the name of the source."""
    return SOURCE_TASK_PREFIX + source


def queue_names() -> tuple[str, ...]:
    """Names of all queues: orchestrator, one per installed source, synthesis."""
    return (ORCHESTRATOR_QUEUE, *source_names(), SYNTHESIS_QUEUE)


def make_celery(settings: Settings, *, with_results: bool) -> Celery:
    """The configured Celery application.

    ``with_results`` adds the result backend, in which the chords of workers count their parts. A client has none: with
    it, a submit to a broker that refuses connections takes about 20 s to fail instead of less than one.
    """
    keys, seconds = Keys(settings.key_prefix), settings.redis_timeout_seconds
    # A connection whose other end is gone is found by a command that is not answered in time, or by the health checks:
    # a worker repeats its blocking read each second, so that its interval may be as short.
    transport: dict[str, Any] = {
        "global_keyprefix": keys.broker_prefix,
        "socket_connect_timeout": seconds,
        "socket_timeout": max(WORKER_TIMEOUT_SECONDS, seconds) if with_results else seconds,
        "socket_keepalive": True,
        "health_check_interval": 1 if with_results else 30,
        "visibility_timeout": 3_600,
    }
    single = single_url(settings.redis_url)
    url, tls = without_tls_options(single), tls_options(single) or False
    app = Celery("resync_troubleshoot", broker=url, amqp=AMQP, set_as_current=False)
    app.conf.update(
        broker_use_ssl=tls,
        broker_transport_options=transport,
        broker_connection_retry_on_startup=True,
        # For ever: after Celery's hundred attempts, a few minutes, every worker would end at once, and again.
        broker_connection_max_retries=None,
        broker_connection_timeout=seconds,
        broker_pool_limit=10,
        task_queues=[Queue(name, EXCHANGE, routing_key=name) for name in queue_names()],
        task_default_queue=ORCHESTRATOR_QUEUE,
        task_default_exchange=EXCHANGE.name,
        task_default_routing_key=ORCHESTRATOR_QUEUE,
        task_create_missing_queues=False,
        task_routes={
            RUN_TASK: {"queue": ORCHESTRATOR_QUEUE},
            SYNTHESIZE_TASK: {"queue": SYNTHESIS_QUEUE},
            **{source_task(name): {"queue": name} for name in source_names()},
        },
        task_serializer="json",
        result_serializer="json",
        accept_content=["json"],
        # A failure of Redis between a message and its acknowledgement must be survived: with an early one these are
        # milliseconds, with a late one the whole task.
        task_acks_late=False,
        task_ignore_result=True,
        task_store_errors_even_if_ignored=False,
        task_send_sent_event=True,
        worker_send_task_events=True,
        worker_prefetch_multiplier=1,
        worker_disable_prefetch=True,
        worker_enable_remote_control=True,
        worker_hijack_root_logger=False,
        worker_cancel_long_running_tasks_on_connection_loss=False,
        result_expires=600,
        enable_utc=True,
        timezone="UTC",
    )
    if with_results:
        app.conf.update(
            result_backend=f"{CHORD_BACKEND}+{url}",
            redis_backend_use_ssl=tls,
            result_backend_transport_options={
                "global_keyprefix": keys.broker_prefix,
                # The dispatcher writes a chord's size: no retries, as for messages. Celery's default is 20.
                "retry_policy": {"max_retries": 0},
            },
            redis_socket_connect_timeout=seconds,
            redis_socket_timeout=max(WORKER_TIMEOUT_SECONDS, seconds),
            redis_socket_keepalive=True,
            redis_backend_health_check_interval=30,
            result_chord_expires=120,
            result_backend_always_retry=True,
            result_backend_max_retries=5,
            result_backend_base_sleep_between_retries_ms=50,
            result_backend_max_sleep_between_retries_ms=500,
        )
    return app


def queue_of(app: Celery, task: str) -> str:
    """The queue of a task by its name, or an empty string."""
    return str((app.conf.task_routes or {}).get(task, {}).get("queue", ""))
