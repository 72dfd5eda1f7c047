"""``redis``: the server of broker and store."""

import asyncio
import re
import socket
import ssl
import time
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

import redis
from redis.exceptions import ResponseError

from orchestrator.config import Settings
from orchestrator.errors import StoreUnreachable
from orchestrator.i18n.message import Message
from orchestrator.store.connection import session
from orchestrator.tls import NoHandshake, causes, is_verified, speaks_tls, tls_context, tls_failure, tls_options
from workers.doctor.check import CheckContext, CheckResult, Status, Verdict
from workers.sources.log_cache.connection import describe_url

OLDEST = (6, 2)
"""The oldest version that the scripts and Celery's queues were tested on."""
NEARLY_FULL = 0.9
CERTIFICATE_DAYS = 14
"""Days before its end from which a certificate that nobody has renewed is reported."""
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

    try:
        info, ping_ms = await asyncio.to_thread(read)
    except StoreUnreachable as error:
        if (other := await _other_protocol(settings, error, where)) is None:
            raise
        return other
    verdict = Verdict()
    if info is None:
        verdict.warn(
            Message("{where} answers, but its user may not run INFO: the settings were not seen", where=where),
            Message("Allow the user of REDIS_URL the command INFO (ACL: +info)."),
            reason="not_permitted",
        )
    else:
        judge_server(verdict, info, where, ping_ms=ping_ms)
    options = tls_options(settings.redis_url)
    if options:
        await asyncio.to_thread(_judge_tls, verdict, settings, options)
    facts = {} if info is None else _facts(info)
    return verdict.result(where=where, ping_ms=ping_ms, tls=_tls_word(options), **facts)


def _tls_word(options: Mapping[str, Any]) -> str:
    return "off" if not options else "verified" if is_verified(options) else "unverified"


async def _other_protocol(settings: Settings, error: StoreUnreachable, where: str) -> CheckResult | None:
    """The result where the port speaks TLS and the URL does not, or the other way round."""
    host, port = _address(settings.redis_url)
    seconds = settings.redis_timeout_seconds
    is_unanswered = any(isinstance(cause, NoHandshake) for cause in causes(error))
    if isinstance(error.__cause__, ResponseError) or (tls_failure(error) and not is_unanswered):
        return None
    if urlsplit(settings.redis_url).scheme == "redis":
        if not await asyncio.to_thread(speaks_tls, host, port, seconds):
            return None
        found, fix = Message("{where} speaks TLS"), Message("Let REDIS_URL begin with rediss://.")
    elif await asyncio.to_thread(_answers_plainly, host, port, seconds):
        found, fix = Message("{where} speaks no TLS"), Message("Let REDIS_URL name the port for TLS.")
    else:
        return None
    return CheckResult(Status.ERROR, found.with_facts(where=where), fix, error.reason, {"where": where})


def _answers_plainly(host: str, port: int, seconds: float) -> bool:
    try:
        with socket.create_connection((host, port), seconds) as connection:
            connection.settimeout(seconds)
            connection.sendall(b"PING\r\n")
            return connection.recv(1) in (b"+", b"-")  # without a password it is refused, in Redis's own way
    except OSError:
        return False


def _address(url: str) -> tuple[str, int]:
    parts = urlsplit(url)
    return parts.hostname or "localhost", parts.port or 6379


def _judge_tls(verdict: Verdict, settings: Settings, options: Mapping[str, Any]) -> None:
    if not is_verified(options):
        verdict.warn(
            Message("TLS without verification: anybody between here and Redis can read and change everything"),
            Message("Remove ssl_cert_reqs and ssl_check_hostname from REDIS_URL; ssl_ca_certs names the authority."),
            reason="tls_not_verified",
        )
        return
    host, port = _address(settings.redis_url)
    seconds = settings.redis_timeout_seconds
    try:
        with (
            socket.create_connection((host, port), seconds) as connection,
            tls_context(options).wrap_socket(connection, server_hostname=host) as secure,
        ):
            certificate = secure.getpeercert() or {}
    except OSError:  # it answered a moment ago
        return
    days = int((ssl.cert_time_to_seconds(str(certificate.get("notAfter"))) - time.time()) // 86_400)
    if days >= CERTIFICATE_DAYS:
        verdict.note(
            Message(
                "TLS verified, certificate valid for {count} day",
                plural="TLS verified, certificate valid for {count} days",
                count=days,
            )
        )
        return
    verdict.warn(
        Message(
            "the certificate of Redis ends in {count} day",
            plural="the certificate of Redis ends in {count} days",
            count=days,
        ),
        Message("Renew the certificate of Redis."),
        reason="certificate_ends",
    )


def _ping_ms(client: redis.Redis) -> float:
    started = time.monotonic()
    client.ping()
    return round((time.monotonic() - started) * 1_000, 2)


def judge_server(verdict: Verdict, info: Mapping[str, Any], where: str, *, ping_ms: float) -> None:
    """Add what the server's INFO tells."""
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
    verdict.note(Message("AOF on") if info.get("aof_enabled") else Message("AOF off (a restart forgets the open runs)"))
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


def _facts(info: Mapping[str, Any]) -> Mapping[str, object]:
    return {
        "version": str(info.get("redis_version", "?")),
        "maxmemory": int(info.get("maxmemory", 0)),
        "maxmemory_policy": str(info.get("maxmemory_policy", "?")),
        "used_memory": int(info.get("used_memory", 0)),
        "aof": bool(info.get("aof_enabled")),
    }


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
