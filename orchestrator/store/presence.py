"""Heartbeats: the TWS instances that workers know, the watchers that run."""

from collections.abc import Iterable
from typing import Any

import redis

from orchestrator.store.connection import store_errors, to_ms
from orchestrator.store.keys import Keys


class Presence:
    """Announcements that expire; times are of the Redis clock."""

    def __init__(self, client: redis.Redis, keys: Keys) -> None:
        self._client = client
        self._keys = keys

    def announce(self, *, instances: Iterable[str] = (), watcher: str | None = None) -> None:
        """Announce the TWS instances that this worker knows, or a running watcher.

        Raises StoreUnreachable.
        """
        with store_errors():
            now_ms = to_ms(self._client.time())
            names = dict.fromkeys(instances, now_ms)
            if names:
                self._client.zadd(self._keys.instances, names)
                self._client.expire(self._keys.instances, 300)
            if watcher is not None:
                self._client.zadd(self._keys.watchers, {watcher: now_ms})
                self._client.zremrangebyscore(self._keys.watchers, "-inf", now_ms - 60_000)
                self._client.expire(self._keys.watchers, 300)

    def live_watchers(self) -> list[str]:
        """Names of the watchers with a heartbeat within 10 s.

        Raises StoreUnreachable.
        """
        with store_errors():
            since_ms = to_ms(self._client.time()) - 10_000
            names: list[Any] = self._client.zrangebyscore(self._keys.watchers, since_ms, "+inf")
        return names
