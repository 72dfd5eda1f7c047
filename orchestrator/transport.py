"""kombu's Redis transport, with one publishing client per channel instead of one per command.

kombu 5.7.0 makes a redis-py client for every message, acknowledgement and event, and redis-py 8 fills a table of all
commands for each: a third of the time that a worker under load spends in Python.
"""

from __future__ import annotations

from typing import Any

from kombu.transport import redis


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
