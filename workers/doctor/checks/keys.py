"""``keys``: what lives under the project's prefix, and whether the broker's part of it is used."""

from __future__ import annotations

import asyncio
import re
import time
from collections import Counter
from dataclasses import dataclass, field

import redis

from orchestrator.broker.app import EXCHANGE
from orchestrator.store.connection import connect, store_errors
from orchestrator.store.keys import Keys
from workers.doctor.check import Check, Surroundings
from workers.doctor.finding import Finding, Verdict

SCAN_SHARE = 0.6
"""Of the check's time, for the scan: a Redis that the app shares may hold millions of keys."""
APP_KEYS = ("resync:errors:recent:", "resync:job:history:")
_KINDS = (("run:", "runs"), ("mq:", "broker"), ("logs:", "logs"), ("idempotency:", "index"))
_INDEXES = frozenset({"wakeups", "runs", "open", "busy", "completed", "expired", "instances", "watchers"})
_BINDINGS = f"_kombu.binding.{EXCHANGE.name}"
_SEPARATOR = "\x06\x16"
"""Between routing key, pattern and queue in kombu's binding sets (kombu.transport.redis, ``Channel.sep``)."""


@dataclass(slots=True)
class Keyspace:
    """What was read."""

    kinds: Counter[str] = field(default_factory=Counter)
    is_whole: bool = True
    """False when the time was over before all keys had been seen."""
    bound: tuple[str, ...] = ()
    """Queues bound below the broker's prefix."""
    is_bare: bool = False
    """Whether the broker's exchange is also bound without the prefix."""


def check_keys(around: Surroundings) -> Check:
    """Counts the keys by kind; finds processes that use the broker without its prefix."""

    async def examine() -> Finding:
        settings = around.settings()

        def read() -> Keyspace:
            client = connect(settings)
            try:
                with store_errors():
                    return read_keyspace(client, Keys(settings.key_prefix), around.timeout_seconds * SCAN_SHARE)
            finally:
                client.close()

        return judge_keyspace(await asyncio.to_thread(read), settings.key_prefix, around)

    return Check("keys", examine, needs_store=True)


def read_keyspace(client: redis.Redis, keys: Keys, seconds: float) -> Keyspace:
    """Look for at most ``seconds``, with a client that decodes. Raises redis.RedisError."""
    space = Keyspace()
    members = client.smembers(keys.broker_prefix + _BINDINGS)
    space.bound = tuple(sorted(str(member).rpartition(_SEPARATOR)[2] for member in members))
    space.is_bare = bool(client.exists(_BINDINGS))
    stop_at, cursor = time.monotonic() + seconds, 0
    pattern = re.sub(r"([\\*?\[\]])", r"\\\1", keys.prefix) + "*"
    while True:
        cursor, found = client.scan(cursor, match=pattern, count=1_000)
        space.kinds.update(kind_of(str(name).removeprefix(keys.prefix)) for name in found)
        if cursor == 0:
            return space
        if time.monotonic() > stop_at:
            space.is_whole = False
            return space


def kind_of(name: str) -> str:
    """``runs``, ``broker``, ``logs``, ``index`` or ``other``, of a name without the prefix."""
    if name in _INDEXES:
        return "index"
    return next((kind for start, kind in _KINDS if name.startswith(start)), "other")


def judge_keyspace(space: Keyspace, prefix: str, around: Surroundings) -> Finding:
    """The keys, judged. Pure."""
    text, verdict = around.text, Verdict()
    kinds = {kind: space.kinds[kind] for kind in ("runs", "broker", "logs", "index", "other")}
    verdict.note(text("keys.found", total=space.kinds.total(), prefix=prefix, **kinds))
    if not space.is_whole:
        verdict.note(text("keys.partly"))
    verdict.note(text("keys.broker", prefix=f"{prefix}mq:", queues=len(space.bound)))
    if not prefix or any(key.startswith(prefix) for key in APP_KEYS):
        verdict.warn(text("keys.shared", prefix=prefix), text("fix.key_prefix"), reason="shared_prefix")
    if space.is_bare:
        verdict.warn(text("keys.bare", name=_BINDINGS), text("fix.bare_broker"), reason="broker_without_prefix")
    return verdict.finding(prefix=prefix, whole=space.is_whole, bound_queues=space.bound, **kinds)
