"""``redis``: the server of broker and store."""

import asyncio
import re
import time
from collections.abc import Mapping
from typing import Any

import redis
from redis.exceptions import ResponseError

from orchestrator.i18n.message import Message
from orchestrator.store.connection import session
from workers.doctor.check import CheckContext, CheckResult, Verdict
from workers.sources.log_cache.connection import describe_url

OLDEST = (6, 2)
"""The oldest version that the scripts and Celery's queues were tested on."""
NEARLY_FULL = 0.9
PINGS = 5
"""The fastest counts: the other checks run in the same process."""


async def check_redis(context: CheckContext) -> CheckResult:
    """Reachable, recent enough, evicts nothing, accepts writes."""
    settings = context.settings()
    where = describe_url(settings.redis_url)

    def read() -> tuple[Mapping[str, Any] | None, float]:
        with session(settings) as client:
            ping_ms = min(_ping_ms(client) for _ in range(PINGS))
            try:
                return client.info(), ping_ms
            except ResponseError:
                return None, ping_ms  # the user may not run INFO

    info, ping_ms = await asyncio.to_thread(read)
    if info is None:
        verdict = Verdict()
        verdict.warn(
            Message("{where} answers, but its user may not run INFO: the settings were not seen", where=where),
            Message("Allow the user of REDIS_URL the command INFO (ACL: +info)."),
            reason="not_permitted",
        )
        return verdict.result(where=where, ping_ms=ping_ms)
    return judge_server(info, where, ping_ms=ping_ms)


def _ping_ms(client: redis.Redis) -> float:
    started = time.monotonic()
    client.ping()
    return round((time.monotonic() - started) * 1_000, 2)


def judge_server(info: Mapping[str, Any], where: str, *, ping_ms: float) -> CheckResult:
    """The result for the server's INFO."""
    verdict = Verdict()
    version = str(info.get("redis_version", "?"))
    policy = str(info.get("maxmemory_policy", "?"))
    limit, used = int(info.get("maxmemory", 0)), int(info.get("used_memory", 0))
    name = "Valkey" if info.get("server_name") == "valkey" else "Redis"
    verdict.note(
        Message(
            "{name} {version} at {where}, answers in {ping_ms:.1f} ms",
            name=name,
            version=version,
            where=where,
            ping_ms=ping_ms,
        )
    )
    _judge_policy(verdict, policy, limit)
    has_aof = bool(info.get("aof_enabled"))
    verdict.note(Message("AOF on") if has_aof else Message("AOF off (a restart forgets the open runs)"))
    if info.get("role") == "slave":
        verdict.fail(
            Message("this is a replica: it refuses writes"),
            Message("Let REDIS_URL name the primary."),
            reason="replica",
        )
    if info.get("cluster_enabled"):
        verdict.fail(
            Message("Redis Cluster, which Celery's broker cannot use"),
            Message("Let REDIS_URL name a Redis that is not a cluster."),
            reason="cluster",
        )
    if "err" in (info.get("aof_last_write_status"), info.get("rdb_last_bgsave_status")):
        verdict.fail(
            Message("Redis could not save to disk and may refuse writes"),
            Message("Free space on the disk of Redis, then run: redis-cli BGSAVE."),
            reason="cannot_save",
        )
    if limit and used > NEARLY_FULL * limit:
        verdict.warn(
            Message("memory is {share:.0%} full; at 100% writes are refused", share=used / limit),
            Message("Raise maxmemory, or lower RESYNC_RUN_TTL_SECONDS."),
            reason="nearly_full",
        )
    clients, most = int(info.get("connected_clients", 0)), int(info.get("maxclients", 0))
    if most and clients > NEARLY_FULL * most:
        found = Message("{clients} of {most} connections in use", clients=clients, most=most)
        verdict.warn(found, Message("Raise maxclients of Redis."), reason="many_clients")
    if _numbers(version) < OLDEST:
        verdict.warn(Message("this version was not tried"), Message("Use Redis 6.2 or newer."), reason="old_version")
    return verdict.result(
        ping_ms=ping_ms,
        where=where,
        version=version,
        maxmemory=limit,
        maxmemory_policy=policy,
        used_memory=used,
        aof=has_aof,
    )


def _judge_policy(verdict: Verdict, policy: str, limit: int) -> None:
    fix = Message("Set it with: redis-cli CONFIG SET maxmemory-policy noeviction, and in redis.conf.")
    if policy == "noeviction":
        verdict.note(f"maxmemory-policy {policy}")
    elif limit:
        found = Message("maxmemory-policy {policy} evicts keys: messages and runs can be lost", policy=policy)
        verdict.fail(found, fix, reason="evicts")
    else:
        # Nothing is evicted without a limit; whoever sets one later may not think of the policy.
        found = Message("maxmemory-policy {policy} would evict keys as soon as maxmemory is set", policy=policy)
        verdict.warn(found, fix, reason="would_evict")


def _numbers(version: str) -> tuple[int, ...]:
    numbers = re.findall(r"\d+", version)[:2]
    return tuple(int(number) for number in numbers) if numbers else OLDEST
