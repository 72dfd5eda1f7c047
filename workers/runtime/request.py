"""Celery's request, whose task runs even if its message cannot be acknowledged."""

from __future__ import annotations

import logging

from celery.worker.request import Request

_LOGGER = logging.getLogger(__name__)


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
