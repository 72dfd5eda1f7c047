"""``redis``: the server that is broker and store."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Mapping
from typing import Any

import redis
from redis.exceptions import ResponseError

from orchestrator.store.connection import connect, store_errors
from workers.doctor.check import Check, Surroundings
from workers.doctor.finding import Finding, Verdict
from workers.sources.log_cache.connection import describe_url

OLDEST = (6, 2)
"""The oldest version that the scripts and Celery's queues were tried on."""
NEARLY_FULL = 0.9
PINGS = 5
"""The fastest counts: the other checks share this process with them."""


def check_redis(around: Surroundings) -> Check:
    """Reachable, which version, evicts nothing, takes writes."""

    async def examine() -> Finding:
        settings = around.settings()
        where = describe_url(settings.redis_url)

        def read() -> tuple[Mapping[str, Any] | None, float]:
            client = connect(settings)
            try:
                with store_errors():
                    ping_ms = min(_ping_ms(client) for _ in range(PINGS))
                    try:
                        return client.info(), ping_ms
                    except ResponseError:
                        return None, ping_ms  # a user that may not run INFO
            finally:
                client.close()

        info, ping_ms = await asyncio.to_thread(read)
        if info is None:
            verdict = Verdict()
            verdict.warn(
                around.text("redis.no_info", where=where), around.text("fix.redis_info"), reason="not_permitted"
            )
            return verdict.finding(where=where, ping_ms=ping_ms)
        return judge_server(info, where, around, ping_ms=ping_ms)

    return Check("redis", examine, needs_store=True)


def _ping_ms(client: redis.Redis) -> float:
    started = time.monotonic()
    client.ping()
    return round((time.monotonic() - started) * 1_000, 2)


def judge_server(info: Mapping[str, Any], where: str, around: Surroundings, *, ping_ms: float) -> Finding:
    """What Redis's INFO says, judged. Pure."""
    text, verdict = around.text, Verdict()
    version = str(info.get("redis_version", "?"))
    policy = str(info.get("maxmemory_policy", "?"))
    limit, used = int(info.get("maxmemory", 0)), int(info.get("used_memory", 0))
    name = "Valkey" if info.get("server_name") == "valkey" else "Redis"
    verdict.note(text("redis.found", name=name, version=version, where=where, ping_ms=ping_ms))
    _judge_policy(verdict, policy, limit, around)
    has_aof = bool(info.get("aof_enabled"))
    verdict.note(text("redis.aof_on" if has_aof else "redis.aof_off"))
    if info.get("role") == "slave":
        verdict.fail(text("redis.replica"), text("fix.redis_replica"), reason="replica")
    if info.get("cluster_enabled"):
        verdict.fail(text("redis.cluster"), text("fix.redis_cluster"), reason="cluster")
    if "err" in (info.get("aof_last_write_status"), info.get("rdb_last_bgsave_status")):
        verdict.fail(text("redis.cannot_save"), text("fix.redis_save"), reason="cannot_save")
    if limit and used > NEARLY_FULL * limit:
        verdict.warn(text("redis.full", share=used / limit), text("fix.redis_full"), reason="nearly_full")
    clients, most = int(info.get("connected_clients", 0)), int(info.get("maxclients", 0))
    if most and clients > NEARLY_FULL * most:
        found = text("redis.clients", clients=clients, most=most)
        verdict.warn(found, text("fix.redis_clients"), reason="many_clients")
    if _numbers(version) < OLDEST:
        verdict.warn(text("redis.old"), text("fix.redis_old"), reason="old_version")
    return verdict.finding(
        ping_ms=ping_ms,
        where=where,
        version=version,
        maxmemory=limit,
        maxmemory_policy=policy,
        used_memory=used,
        aof=has_aof,
    )


def _judge_policy(verdict: Verdict, policy: str, limit: int, around: Surroundings) -> None:
    text = around.text
    if policy == "noeviction":
        verdict.note(f"maxmemory-policy {policy}")
    elif limit:
        verdict.fail(text("redis.evicts", policy=policy), text("fix.redis_policy"), reason="evicts")
    else:
        # Nothing is evicted before there is a limit; who sets one will not think of this.
        verdict.warn(text("redis.would_evict", policy=policy), text("fix.redis_policy"), reason="would_evict")


def _numbers(version: str) -> tuple[int, ...]:
    found = re.findall(r"\d+", version)[:2]
    return tuple(int(number) for number in found) if found else OLDEST
