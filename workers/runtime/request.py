"""Celery's request, carried out although its message cannot be acknowledged any more."""

from __future__ import annotations

import logging

from celery.worker.request import Request

_LOGGER = logging.getLogger(__name__)


class StartedRequest(Request):  # type: ignore[misc]  # Celery is untyped
    """A request whose task runs whatever becomes of the broker between its message and its start.

    The pool's thread acknowledges the message before it runs the task. When the connection has just been replaced,
    that raises more than connection errors, and with Celery 5.7.0 nobody hears of it: the task does not run, the
    request counts as active for ever, and as no prefetching is allowed beyond the active ones, a worker that has lost
    all its places so takes no message any more. The task is better run: what it does is claimed in the run, so that a
    second delivery of the message does nothing.
    """

    def on_accepted(self, pid: int, time_accepted: float) -> None:
        """Acknowledge and tell of the start, as far as the broker lets us."""
        try:
            super().on_accepted(pid, time_accepted)
        except Exception as error:  # noqa: BLE001  # border: whatever the lost connection raises, the task has to run
            _LOGGER.warning("started_without_ack task_id=%s error=%s", self.id, error)
