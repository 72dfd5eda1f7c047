"""kombu's Redis transport, with one publishing client per channel instead of one per command.

kombu 5.7.0 makes a redis-py client for every message, acknowledgement and event, and redis-py 8 fills a table of all
commands for each: a third of the time that a worker under load spends in Python.
"""

from __future__ import annotations

from typing import Any

from celery.app.amqp import AMQP
from kombu.connection import Connection
from kombu.transport import redis

from orchestrator.broker.app import TRANSPORT


class Channel(redis.Channel):  # type: ignore[misc]  # kombu is untyped
    """A channel that keeps its publishing client for as long as its connection pool lasts.

    A client of a pool holds no connection of its own, so threads may share it.
    """

    _kept_client: Any = None

    def _create_client(self, asynchronous: bool = False) -> Any:
        if asynchronous:
            return super()._create_client(asynchronous=True)
        kept = self._kept_client
        if kept is None or kept.connection_pool is not self.pool:
            kept = self._kept_client = super()._create_client()
        return kept


class Transport(redis.Transport):  # type: ignore[misc]  # kombu is untyped
    """The transport of ``redis://`` with that channel."""

    Channel = Channel


class RedisConnection(Connection):  # type: ignore[misc]  # kombu is untyped
    """A connection that calls this transport ``redis`` where it tells of itself.

    Its address would begin with the transport's import path otherwise: in a worker's log, and for Flower, whose page of
    the queues goes by the scheme.
    """

    resolve_aliases = {**Connection.resolve_aliases, TRANSPORT: "redis"}  # noqa: RUF012  # as kombu has it


class Amqp(AMQP):  # type: ignore[misc]  # Celery is untyped
    """Celery's maker of connections, with that connection."""

    Connection = RedisConnection
