"""kombu's Redis transport with one publishing client per channel instead of one per command.

kombu 5.7.0 creates a redis-py client for every message, acknowledgement and event, and redis-py 8 fills a table of all
commands for each: a third of the Python time of a worker under load.
"""

import logging
from typing import Any

from celery.app.amqp import AMQP
from kombu.connection import Connection
from kombu.transport import redis

from orchestrator.broker.app import TRANSPORT

_LOGGER = logging.getLogger(__name__)


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
    """kombu's Redis transport with ``Channel``; for ``redis://`` only.

    An entry of a queue that is no message is removed and logged: with kombu 5.7.0 alone it ends the worker.
    """

    Channel = Channel

    def _deliver(self, message: Any, queue: str) -> None:
        properties = message.get("properties") if isinstance(message, dict) else None
        if isinstance(properties, dict) and "delivery_tag" in properties:
            super()._deliver(message, queue)
        else:
            _log_dropped("no delivery tag")


class RedisConnection(Connection):  # type: ignore[misc]  # kombu is untyped
    """A connection that names its transport ``redis``.

    Otherwise its URL would begin with the import path of ``Transport``, in the log of a worker and in Flower, which
    finds the queues by the scheme.
    """

    resolve_aliases = {**Connection.resolve_aliases, TRANSPORT: "redis"}  # noqa: RUF012  # an attribute of kombu's class


class Amqp(AMQP):  # type: ignore[misc]  # Celery is untyped
    """Celery's factory of connections, with ``RedisConnection``."""

    Connection = RedisConnection


def _log_dropped(error: str) -> None:
    _LOGGER.error("message_dropped error=%s", error)
