"""Signs of life: which TWS instances the workers know, which watchers run."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import redis

from orchestrator.store.connection import store_errors
from orchestrator.store.keys import Keys


class Presence:
    """Announcements that expire by themselves; times are of the Redis clock."""

    def __init__(self, client: redis.Redis, keys: Keys) -> None:
        self._client = client
        self._keys = keys

    def announce(self, *, instances: Iterable[str] = (), watcher: str | None = None) -> None:
        """A sign of life: the TWS instances that this worker knows, or a watcher."""
        with store_errors():
            seconds, micros = self._client.time()
            now_ms = seconds * 1000 + micros // 1000
            names = dict.fromkeys(instances, now_ms)
            if names:
                self._client.zadd(self._keys.instances, names)
                self._client.expire(self._keys.instances, 300)
            if watcher is not None:
                self._client.zadd(self._keys.watchers, {watcher: now_ms})
                self._client.zremrangebyscore(self._keys.watchers, "-inf", now_ms - 60_000)
                self._client.expire(self._keys.watchers, 300)

    def live_watchers(self) -> list[str]:
        """Watchers that gave a sign of life within 10 s."""
        with store_errors():
            seconds, _ = self._client.time()
            names: list[Any] = self._client.zrangebyscore(self._keys.watchers, (seconds - 10) * 1000, "+inf")
        return names
