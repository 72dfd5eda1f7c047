"""A Redis clock that steps, without setting any clock: what is stored moves the other way, which is the same."""

from __future__ import annotations

import re

import redis

from orchestrator.store.keys import Keys

_TIMES = re.compile(r"(deadline|fanin|created|closed)_ms|(lease|dispatch)_until|s:.*")


def step_clock(client: redis.Redis, keys: Keys, seconds: float) -> None:
    """Let the clock of the Redis step by ``seconds``, as a fail-over to a host with another clock does.

    Times to live are not moved. ``client`` decodes its replies.
    """
    moved_ms = -round(seconds * 1000)
    for key in client.scan_iter(f"{keys.prefix}*"):
        kind = client.type(key)
        if kind == "zset" and not key.startswith(keys.broker_prefix):
            for member, score in client.zrange(key, 0, -1, withscores=True):
                client.zadd(key, {member: score + moved_ms}, xx=True)  # what somebody has removed stays removed
        elif kind == "hash" and key.startswith(keys.run("")):
            for name, value in client.hgetall(key).items():
                if _TIMES.fullmatch(name):
                    before, bar, time = value.rpartition("|")
                    client.hset(key, name, f"{before}{bar}{int(time) + moved_ms}")
    if (time := client.get(keys.clock)) is not None:
        client.set(keys.clock, int(time) + moved_ms, keepttl=True)
