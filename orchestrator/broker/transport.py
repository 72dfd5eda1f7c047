"""kombu's Redis transport with one publishing client per channel instead of one per command.

kombu 5.7.0 creates a redis-py client for every message, acknowledgement and event, and redis-py 8 fills a table of all
commands for each: a third of the Python time of a worker under load.
"""

import logging
from typing import Any

from celery.app.amqp import AMQP
from kombu.connection import Connection
from kombu.transport import redis
from redis.exceptions import RedisError

_LOGGER = logging.getLogger(__name__)
RECONNECT: dict[str, Any] = {"interval_start": 0.2, "interval_step": 0.3, "interval_max": 1.0}
"""Seconds between attempts to connect. kombu's own grow from 2 to 30, so that a worker would stay away for as long
after Redis is back."""


class Channel(redis.Channel):  # type: ignore[misc]  # kombu is untyped
    """A channel that reuses its publishing client as long as its connection pool exists.

    A client of a pool has no connection of its own, so threads may share it.
    """

    _publishing_client: Any = None

    def _create_client(self, asynchronous: bool = False) -> Any:
        if asynchronous:
            return super()._create_client(asynchronous=True)
        client = self._publishing_client
        if client is None or client.connection_pool is not self.pool:
            client = self._publishing_client = super()._create_client()
        return client

    def _brpop_read(self, **options: Any) -> Any:
        try:
            return super()._brpop_read(**options)
        except (ValueError, RecursionError) as error:
            _log_dropped(f"no JSON: {type(error).__name__}")
            return None


class Transport(redis.Transport):  # type: ignore[misc]  # kombu is untyped
    """kombu's Redis transport with ``Channel``, which connects again after any error of Redis.

    With kombu 5.7.0 alone, an error reply, as of a Redis that became a replica or may not write, ends the worker, and
    so does an entry of a queue that is no message; the latter is removed and logged.
    """

    Channel = Channel
    connection_errors = (*redis.Transport.connection_errors, RedisError)

    def _deliver(self, message: Any, queue: str) -> None:
        properties = message.get("properties") if isinstance(message, dict) else None
        if isinstance(properties, dict) and "delivery_tag" in properties:
            super()._deliver(message, queue)
        else:
            _log_dropped("no delivery tag")


class RedisConnection(Connection):  # type: ignore[misc]  # kombu is untyped
    """A connection over ``Transport``, with TLS for ``rediss://``, that soon connects again.

    Not by the setting ``broker_transport``: kombu would not see TLS in the URL, and its import path would begin the URL
    in logs and in Flower, which finds the queues by the scheme.
    """

    def get_transport_cls(self) -> type[Transport]:
        """The class of the transport."""
        return Transport

    def _ensure_connection(self, *arguments: Any, **options: Any) -> Any:
        # The first two arguments are no intervals; publishing passes intervals of its own.
        return super()._ensure_connection(*arguments, **(options if arguments[2:] else RECONNECT | options))


class Amqp(AMQP):  # type: ignore[misc]  # Celery is untyped
    """Celery's factory of connections, with ``RedisConnection``."""

    Connection = RedisConnection


def _log_dropped(error: str) -> None:
    _LOGGER.error("message_dropped error=%s", error)
