"""The Celery application of ``celery -A workers.app``; the one module with work at import."""

import gc
import os
import socket
from typing import Any

from billiard.exceptions import Terminated, TimeLimitExceeded, WorkerLostError
from celery.signals import (
    celeryd_init,
    heartbeat_sent,
    setup_logging,
    task_failure,
    task_postrun,
    worker_init,
    worker_process_init,
    worker_process_shutdown,
    worker_shutdown,
)

from orchestrator.broker.app import make_celery, queue_of
from orchestrator.broker.transport import message_set_aside, set_aside
from orchestrator.config import Settings
from orchestrator.errors import TroubleshootError, WorkersNotInstalled, end_process
from orchestrator.health import HealthServer, HealthSettings
from orchestrator.logs import bind_process, configure_log, configure_performance_log, get_logger
from orchestrator.store.connection import connect
from orchestrator.store.keys import Keys
from orchestrator.store.set_aside import SetAside
from orchestrator.tracing import start_tracing, stop_tracing
from workers.runtime.condition import able_places, log_problems, worker_problems
from workers.runtime.consumer import PauseWhileBlocked
from workers.runtime.pool import use_thread_pool
from workers.runtime.process import (
    circuits,
    close_process,
    hold_place_while_blocked,
    loop_lag_seconds,
    mark_prefork_child,
    served_queues,
)
from workers.runtime.readiness import (
    announce_instances,
    broker_problem,
    check_planning,
    check_sources,
    check_synthesis,
    load_catalogues,
)
from workers.tasks import register_tasks

try:
    settings = Settings.from_env(os.environ)
except TroubleshootError as error:
    end_process(error, os.environ)

app = make_celery(settings, with_results=True)
app.conf.worker_consumer = "workers.runtime.consumer:ReconnectingConsumer"
app.steps["consumer"].add(PauseWhileBlocked)
use_thread_pool()
register_tasks(app)
health_servers: list[HealthServer] = []
set_aside_messages = SetAside(connect(settings), Keys(settings.key_prefix), redact_personal=settings.redact_personal)
KILLED = (WorkerLostError, Terminated, TimeLimitExceeded)
"""What Celery says of a task whose process in the pool was killed: its message is as good as any."""
_LOGGER = get_logger(__name__)


@setup_logging.connect
def _configure_logging(loglevel: int | None = None, **_: Any) -> None:
    level = settings.log_level if loglevel is None else loglevel
    configure_log(level, form=settings.log_format, personal=settings.redact_personal)
    configure_performance_log()


@celeryd_init.connect
def _begin_without_banner(instance: Any, **_: Any) -> None:
    instance.quiet = instance.quiet or settings.log_format == "json"


@worker_init.connect
def _check_configuration(sender: Any, **_: Any) -> None:
    bind_process(worker=sender.hostname)
    start_tracing(os.environ, service=sender.hostname)
    queues = [queue.name for queue in sender.app.amqp.queues.consume_from.values()]
    try:
        check_planning(queues, os.environ)
        check_sources(queues, os.environ)
        check_synthesis(queues, os.environ)
        load_catalogues(queues)
        _serve_health()
    except TroubleshootError as error:
        end_process(error, os.environ)
    announce_instances(queues, settings, os.environ)
    # What is loaded stays: neither collections nor prefork children nor the end of the process need to go through it.
    gc.collect()
    gc.freeze()


def _serve_health() -> None:
    health_settings = HealthSettings.from_env(os.environ)
    if health_settings.port is None:
        return
    try:
        from workers.runtime.health import WorkerHealth, WorkerState  # noqa: PLC0415  # prometheus-client is an optional extra
    except ImportError as error:
        raise WorkersNotInstalled(
            "{variable} needs {package}: pip install {what}",
            variable="RESYNC_HEALTH_PORT",
            package=error.name,
            what="'resync-troubleshoot[workers]'",
        ) from error
    health = WorkerHealth(
        broker_problem=lambda: broker_problem(settings),
        loop_lag_seconds=loop_lag_seconds,
        problems=worker_problems,
        state=WorkerState(served_queues, able_places, circuits),
    )
    health_servers.append(HealthServer(health_settings, health.pages()))
    health.connect()


@heartbeat_sent.connect
def _announce(**_: Any) -> None:
    log_problems()
    queues = [queue.name for queue in app.amqp.queues.consume_from.values()]
    announce_instances(queues, settings, os.environ)


@task_postrun.connect
def _hold_place(**_: Any) -> None:
    # The chord part is counted by now.
    hold_place_while_blocked()


@message_set_aside.connect
def _keep_message(queue: str = "", reason: str = "", content: str = "", **_: Any) -> None:
    try:
        set_aside_messages.put(queue, reason, content, worker=f"{socket.gethostname()}:{os.getpid()}")
    except TroubleshootError as error:
        _LOGGER.warning("set_aside_not_stored queue=%s reason=%s", queue, error.reason)


@task_failure.connect
def _set_arguments_aside(sender: Any, exception: BaseException, args: Any, kwargs: Any, **_: Any) -> None:
    if isinstance(exception, KILLED):
        return
    # No task raises an error by itself. What Celery logs of it does not name the run.
    _LOGGER.error("task_failed run_id=%s task=%s error=%s", (args or [None])[0], sender.name, type(exception).__name__)
    set_aside(queue_of(app, sender.name), f"task failed: {type(exception).__name__}", repr((sender.name, args, kwargs)))


@worker_process_init.connect
def _in_prefork_child(**_: Any) -> None:
    mark_prefork_child()


@worker_process_shutdown.connect
@worker_shutdown.connect
def _close(**_: Any) -> None:
    close_process()
    stop_tracing()


@worker_shutdown.connect
def _close_health(**_: Any) -> None:
    while health_servers:
        health_servers.pop().close()
