"""Celery's consumer and request, made to survive the loss of the broker during a message."""

import time
import warnings
from collections import deque
from collections.abc import Callable
from functools import partial
from typing import Any

from celery import bootsteps
from celery.exceptions import CPendingDeprecationWarning
from celery.worker import state as celery_state
from celery.worker.consumer import Consumer
from celery.worker.consumer.tasks import Tasks
from celery.worker.request import Request
from kombu.common import ignore_errors
from redis.exceptions import NoPermissionError, ResponseError

from orchestrator.broker.transport import Share, set_aside
from orchestrator.logs import get_logger
from orchestrator.store.keys import BATCH_PRIORITY
from workers.runtime.condition import set_places
from workers.runtime.process import loop_blockage, set_queues

_LOGGER = get_logger(__name__)
REFUSED_PAUSE_SECONDS, NOT_PERMITTED_PAUSE_SECONDS = 0.5, 2.0
"""Seconds before a worker tries a Redis again that refuses to work, or the user of its URL: a person must act then, and
each try is some lines of the log."""
KEPT_EVENTS = 1_000
"""Events that wait for a broker that takes none: Celery keeps any number."""
MALFORMED = (ValueError, TypeError, LookupError, RecursionError)
"""What Celery raises about a message that is none."""


class ReconnectingConsumer(Consumer):  # type: ignore[misc]  # Celery is untyped
    """A consumer that reconnects although a message was unacknowledged when Redis was lost.

    Celery 5.7.0 collects a lost connection, then closes it. In kombu 5.7.0, collecting stops at the first channel's
    dead socket, but the transport's client is removed. On closing, a channel tries to restore its unacknowledged
    messages without a client; the AttributeError does not count as a connection error and ends the worker. Skipping the
    restoration loses nothing: kombu queues the message again after the visibility timeout, and the run's wake-ups
    repair it long before.
    """

    def create_task_handler(self, *arguments: Any, **options: Any) -> Callable[[Any], None]:
        """Celery's handler of messages, but one that it cannot handle is set aside, whatever the broker let pass.

        In Celery 5.7.0 an error here ends the worker, which requeues the message: it ends the next worker of the queue,
        and so on.
        """
        handle = super().create_task_handler(*arguments, **options)

        def handle_or_set_aside(message: Any) -> None:
            try:
                handle(message)
            except MALFORMED as error:
                _LOGGER.warning("message_malformed", exc_info=error)
                _set_aside(message, f"malformed: {type(error).__name__}")
                if not message.acknowledged:
                    message.ack_log_error(_LOGGER, self.connection_errors)

        return handle_or_set_aside

    def on_unknown_task(self, body: Any, message: Any, exc: Exception) -> None:  # noqa: ARG002  # signature of Celery
        """Set aside a message for a task that this worker does not have."""
        _set_aside(message, "unknown task")
        message.reject_log_error(_LOGGER, self.connection_errors)

    def on_connection_error_after_connected(self, exc: Exception) -> None:
        """Release the lost connection; the caller reconnects.

        It does so at once, also to a Redis that refuses to work (a replica, one that may not write): then after a
        pause.
        """
        if isinstance(exc, ResponseError):
            is_permitted = not isinstance(exc, NoPermissionError)
            time.sleep(REFUSED_PAUSE_SECONDS if is_permitted else NOT_PERMITTED_PAUSE_SECONDS)
        connection = self.connection
        try:
            # Each time, Celery recommends a setting in nine lines. What runs goes on: its work is claimed in the run.
            with warnings.catch_warnings(action="ignore", category=CPendingDeprecationWarning):
                super().on_connection_error_after_connected(exc)
        except AttributeError as error:
            if self.connection is not None:
                raise  # not from closing, which comes after the consumer has released the connection
            _LOGGER.warning("broker_lost_with_message_in_hand error=%s", error)
            # The channel counts as closed after the first attempt; a second one closes the rest.
            ignore_errors(connection, connection.close)


def _set_aside(message: Any, reason: str) -> None:
    set_aside(message.delivery_info["queue"], reason, repr((message.headers, message.body)))


class PauseWhileBlocked(bootsteps.StartStopStep):  # type: ignore[misc]  # Celery is untyped
    """Takes no message while the event loop that a task would run on is blocked: it could not be worked on."""

    requires = (Tasks,)

    def start(self, parent: Any) -> None:
        """Extend the condition of the channel, which Celery has set for each connection anew."""
        set_places(parent.pool.num_processes)
        set_queues(queue.name for queue in parent.task_consumer.queues)
        channel = parent.task_consumer.channel
        _check_events(parent, channel)
        channel.batch_share = partial(batch_share, parent.pool.num_processes)
        qos = channel.qos
        can_consume = qos.can_consume
        qos.can_consume = lambda: loop_blockage() is None and can_consume()


def _check_events(parent: Any, channel: Any) -> None:
    """Say why no events can be published, which Celery does not, and bound those that it keeps for later."""
    events = parent.event_dispatcher
    events._outbound_buffer = deque(events._outbound_buffer, maxlen=KEPT_EVENTS)  # noqa: SLF001  # there is no option
    try:
        # To the channel of the events; what is empty is read by nobody. Over a connection that waits for no message.
        with channel.conn_or_acquire() as client:
            client.publish(f"{channel.keyprefix_fanout}celeryev", "")
    except ResponseError as error:
        _LOGGER.warning("events_not_published error=%s", error)


def batch_share(places: int) -> Share:
    """What share of a worker's places batches have: from a quarter to three quarters, where others wait too.

    A question about many jobs is many batches, which may wait for calls that others make: without a limit they would
    hold every place, and a question about one job would wait behind them.
    """
    # A copy: threads of the pool remove theirs.
    running = list(celery_state.requests.values())
    batches = sum(request.delivery_info.get("priority") == BATCH_PRIORITY for request in running)
    if batches >= max(1, places * 3 // 4):
        return Share.LARGE
    return Share.SMALL if batches < places // 4 else Share.FAIR


class StartedRequest(Request):  # type: ignore[misc]  # Celery is untyped
    """A request whose task runs even if the broker is lost between delivery and start.

    The pool's thread acknowledges the message before it runs the task. If the connection was just replaced, this raises
    more than connection errors, and Celery 5.7.0 drops them: the task does not run but counts as active forever, so
    that a worker eventually accepts no more messages. Running the task is safe: its work is claimed in the run, so that
    a redelivery does nothing.
    """

    def on_accepted(self, pid: int, time_accepted: float) -> None:
        """Acknowledge and publish the start, as far as the broker permits."""
        try:
            super().on_accepted(pid, time_accepted)
        except Exception as error:  # noqa: BLE001  # border: whatever the lost connection raises, the task must run
            _LOGGER.warning("started_without_ack task_id=%s error=%s", self.id, error)
