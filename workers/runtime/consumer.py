"""Celery's consumer, kept alive when its broker goes away with a message in hand."""

from __future__ import annotations

import logging

from celery.worker.consumer import Consumer
from kombu.common import ignore_errors

_LOGGER = logging.getLogger(__name__)


class ReconnectingConsumer(Consumer):  # type: ignore[misc]  # Celery is untyped
    """A consumer that reconnects although a message was not acknowledged when Redis went away.

    On a lost connection Celery 5.7.0 collects it, then closes it. With kombu 5.7.0, collecting stops at the first
    channel's dead socket and takes the transport's client away all the same. Closing gets further: a channel wants to
    give its unacknowledged messages back, finds no client to do it with, and the AttributeError, which counts as no
    connection error, ends the worker. Nothing is lost by leaving such a message where it is: kombu queues it again
    after the visibility timeout, and the run is repaired by its wake-ups long before.
    """

    def on_connection_error_after_connected(self, exc: Exception) -> None:
        """Let go of the lost connection; the caller connects again."""
        connection = self.connection
        try:
            super().on_connection_error_after_connected(exc)
        except AttributeError as error:
            if self.connection is not None:
                raise  # not from closing: that comes after the consumer has let go of the connection
            _LOGGER.warning("broker_lost_with_message_in_hand error=%s", error)
            # The channel counts as closed from its first try on; a second one closes what is left.
            ignore_errors(connection, connection.close)
