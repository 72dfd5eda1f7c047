"""``keys``: the keys under the project's prefix, and whether every process uses the broker with it."""

import asyncio
import re
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import redis
from redis.exceptions import ResponseError

from orchestrator.broker.app import EXCHANGE, queue_names
from orchestrator.codes.control import one_line
from orchestrator.i18n.message import Message
from orchestrator.store.connection import session
from orchestrator.store.keys import Keys, lanes
from workers.doctor.check import CheckContext, CheckResult, Verdict

SCAN_SHARE = 0.6
"""Share of the check's time for the scan: a Redis shared with the app may hold millions of keys."""
APP_KEYS = ("resync:errors:recent:", "resync:job:history:")
_KINDS = (
    *(("run:", "runs"), ("mq:", "broker"), ("logs:", "logs")),
    *(("idempotency:", "index"), ("waiting:", "index"), ("running:", "index"), ("caller:", "index")),
    *(("runs:user:", "index"), ("session:", "index"), ("shared:", "index")),
)
_INDEXES = frozenset(Keys("").kinds)
_BINDINGS = f"_kombu.binding.{EXCHANGE.name}"
SET_ASIDE = ":set_aside"
"""End of the name of a key that was of another type than ours."""
NAMED = 5
"""Keys that are named; the others are counted."""
_RUN = re.compile(r"run:[^:]*(?P<end>:events|:end|:packed)?")
_TYPES = {":events": "stream", ":end": "stream", ":packed": "string", None: "hash"}
_SEPARATOR = "\x06\x16"
"""Between routing key, pattern and queue in kombu's binding sets (kombu.transport.redis, ``Channel.sep``)."""


@dataclass(slots=True)
class Keyspace:
    """The keys of the project."""

    kinds: Counter[str] = field(default_factory=Counter)
    is_whole: bool = True
    """False when the time was over before the scan was complete."""
    bound: tuple[str, ...] = ()
    """Queues bound below the broker's prefix."""
    is_bare: bool = False
    """Whether the broker's exchange is also bound without the prefix."""
    foreign: list[str] = field(default_factory=list)
    """Keys of another type than theirs."""
    set_aside: list[str] = field(default_factory=list)
    """Keys that were, and have been renamed."""


async def check_keys(context: CheckContext) -> CheckResult:
    """Counts the keys by kind and detects processes that use the broker without the prefix."""
    settings = context.settings()

    def read() -> Keyspace:
        with session(settings) as client:
            return read_keyspace(client, Keys(settings.key_prefix), context.timeout_seconds * SCAN_SHARE)

    return judge_keyspace(await asyncio.to_thread(read), settings.key_prefix)


def read_keyspace(client: redis.Redis, keys: Keys, seconds: float) -> Keyspace:
    """Scan for at most ``seconds``; ``client`` decodes responses. Raises redis.RedisError."""
    space = Keyspace()
    with suppress(ResponseError):  # of another type: the next worker that connects renames it
        members = client.smembers(keys.broker_prefix + _BINDINGS)
        space.bound = tuple(sorted(str(member).rpartition(_SEPARATOR)[2] for member in members))
    space.is_bare = bool(client.exists(_BINDINGS))
    shared = keys.kinds
    for name in queue_names():
        for item in lanes(name):
            shared |= dict(zip((*keys.queue(item), keys.running(item)), ("zset", "list", "zset"), strict=True))
    stop_at, cursor = time.monotonic() + seconds, 0
    pattern = re.sub(r"([\\*?\[\]])", r"\\\1", keys.prefix) + "*"
    while True:
        cursor, page = client.scan(cursor, match=pattern, count=1_000)
        names = list(map(str, page))
        space.kinds.update(kind_of(name.removeprefix(keys.prefix)) for name in names)
        space.set_aside += [name for name in names if name.endswith(SET_ASIDE) and name != keys.set_aside]
        own = [name for name in names if name not in space.set_aside]
        types = {name: kind for name in own if (kind := shared.get(name) or _type_of(name.removeprefix(keys.prefix)))}
        with client.pipeline(transaction=False) as pipe:
            for name in types:
                pipe.type(name)
            found = zip(types.items(), pipe.execute(), strict=True)
        space.foreign += [name for (name, kind), real in found if real not in (kind, "none")]
        if cursor == 0:
            return space
        if time.monotonic() > stop_at:
            space.is_whole = False
            return space


def kind_of(name: str) -> str:
    """``runs``, ``broker``, ``logs``, ``index`` or ``other``; ``name`` comes without the prefix."""
    if name in _INDEXES:
        return "index"
    return next((kind for start, kind in _KINDS if name.startswith(start)), "other")


def _type_of(name: str) -> str:
    """The type of a key of one run; empty for any other. ``name`` comes without the prefix."""
    if name.startswith("idempotency:"):
        return "string"
    match = _RUN.fullmatch(name)
    return "" if match is None else _TYPES[match["end"]]


def _names(names: Sequence[str]) -> str:
    return ", ".join(one_line(name) for name in sorted(names)[:NAMED]) + (", …" if len(names) > NAMED else "")


def judge_keyspace(space: Keyspace, prefix: str) -> CheckResult:
    """The result for the keys."""
    verdict = Verdict()
    kinds: dict[str, Any] = {kind: space.kinds[kind] for kind in ("runs", "broker", "logs", "index", "other")}
    verdict.note(
        Message(
            "{count} key below {prefix} (runs {runs}, broker {broker}, logs {logs}, indexes {index}, other {other})",
            plural="{count} keys below {prefix} (runs {runs}, broker {broker}, logs {logs}, indexes {index}, "
            "other {other})",
            count=space.kinds.total(),
            prefix=prefix,
            **kinds,
        )
    )
    if not space.is_whole:
        verdict.note(Message("there was no time to see all keys"))
    verdict.note(
        Message(
            "broker below {prefix}, {count} queue declared",
            plural="broker below {prefix}, {count} queues declared",
            prefix=f"{prefix}mq:",
            count=len(space.bound),
        )
    )
    if not prefix or any(key.startswith(prefix) for key in APP_KEYS):
        verdict.warn(
            Message("the prefix {prefix!r} also covers the app's own keys", prefix=prefix),
            Message("Give RESYNC_KEY_PREFIX a prefix of its own, such as resync:troubleshoot:, in every process."),
            reason="shared_prefix",
        )
    if space.foreign:
        verdict.warn(
            Message(
                "{count} key is of another type than ours: {names}",
                plural="{count} keys are of another type than ours: {names}",
                count=len(space.foreign),
                names=_names(space.foreign),
            ),
            Message("Watchers rename those of all runs within seconds; delete the others (redis-cli DEL KEY)."),
            reason="foreign_keys",
        )
    if space.set_aside:
        verdict.warn(
            Message(
                "{count} key was of another type than ours and has been renamed: {names}",
                plural="{count} keys were of another type than ours and have been renamed: {names}",
                count=len(space.set_aside),
                names=_names(space.set_aside),
            ),
            Message("See what they hold and who writes there, then delete them (redis-cli DEL KEY)."),
            reason="keys_set_aside",
        )
    if space.is_bare:
        verdict.warn(
            Message("a process uses the broker without the prefix (key {name})", name=_BINDINGS),
            Message(
                "Set global_keyprefix there (Flower: start it with celery -A workers.app flower), then delete that key."
            ),
            reason="broker_without_prefix",
        )
    return verdict.result(prefix=prefix, whole=space.is_whole, bound_queues=space.bound, **kinds)
