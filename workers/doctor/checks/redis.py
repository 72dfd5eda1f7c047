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
from redis.exceptions import RedisError, ResponseError

from orchestrator.config import Settings
from orchestrator.errors import StoreUnreachable
from orchestrator.i18n.message import Message
from orchestrator.sentinel import is_sentinel, parse_sentinel
from orchestrator.store.connection import primary_of, session, single_url
from orchestrator.store.keys import Keys
from orchestrator.store.room import Room, read_room
from orchestrator.tls import NoHandshake, causes, is_verified, speaks_tls, tls_context, tls_failure, tls_options
from workers.doctor.check import CheckContext, CheckResult, Status, Verdict
from workers.sources.log_cache.connection import describe_url

OLDEST = (6, 2)
"""The oldest version that the scripts and Celery's queues were tested on."""
FIXED: Mapping[str, tuple[tuple[int, int, int], ...]] = {
    "Redis": ((6, 2, 20), (7, 2, 11), (7, 4, 6), (8, 0, 4), (8, 2, 2)),
    "Valkey": ((7, 2, 11), (8, 0, 6), (8, 1, 4), (9, 0, 0)),
}
"""The first release of each series without CVE-2025-49844; an older series that is missing here was never mended.

Sources: Redis' advisory GHSA-4789-qfc9-5f9q and docker-library/official-images#20011; Valkey's advisory
GHSA-9rfg-jx7v-52p6 and its release notes of 7.2.11, 8.0.6, 8.1.4 and 9.0.0-rc3.
"""
NEARLY_FULL = 0.9
CERTIFICATE_DAYS = 14
"""Days before its end from which a certificate that nobody has renewed is reported."""
PINGS = 5
"""The fastest counts: the other checks run in the same process."""


async def check_redis(context: CheckContext) -> CheckResult:
    """Reachable, recent enough, evicts nothing, accepts writes."""
    settings = context.settings()
    where = describe_url(settings.redis_url)

    def read() -> tuple[Mapping[str, Any] | None, float, bool, Room]:
        with session(settings) as client:
            ping_ms = min(_ping_ms(client) for _ in range(PINGS))
            try:
                info, has_lua_fixes = client.info(), _has_lua_fixes(client)
            except ResponseError:
                return None, ping_ms, False, Room()  # the user may not run INFO
            room = read_room(client, Keys(settings.key_prefix), kept_seconds=settings.run_ttl_seconds)
            return info, ping_ms, has_lua_fixes, room

    try:
        info, ping_ms, has_lua_fixes, room = await asyncio.to_thread(read)
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
        judge_server(verdict, info, where, ping_ms=ping_ms, has_lua_fixes=has_lua_fixes)
        judge_room(verdict, room)
    options = tls_options(single_url(settings.redis_url))
    if options:
        await asyncio.to_thread(_judge_tls, verdict, settings, options)
    facts = {} if info is None else _facts(info)
    return verdict.result(where=where, ping_ms=ping_ms, tls=_tls_word(options), room=room.facts(), **facts)


def _tls_word(options: Mapping[str, Any]) -> str:
    return "off" if not options else "verified" if is_verified(options) else "unverified"


async def _other_protocol(settings: Settings, error: StoreUnreachable, where: str) -> CheckResult | None:
    """The result where the port speaks TLS and the URL does not, or the other way round."""
    if is_sentinel(settings.redis_url):
        return None
    host, port = _address(settings)
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


def _address(settings: Settings) -> tuple[str, int]:
    """Where Redis is; raises redis-py's ConnectionError where no Sentinel tells."""
    if is_sentinel(settings.redis_url):
        return primary_of(parse_sentinel(settings.redis_url)[2], settings.redis_timeout_seconds)
    parts = urlsplit(settings.redis_url)
    return parts.hostname or "localhost", parts.port or 6379


def _judge_tls(verdict: Verdict, settings: Settings, options: Mapping[str, Any]) -> None:
    if not is_verified(options):
        verdict.warn(
            Message("TLS without verification: anybody between here and Redis can read and change everything"),
            Message("Remove ssl_cert_reqs and ssl_check_hostname from REDIS_URL; ssl_ca_certs names the authority."),
            reason="tls_not_verified",
        )
        return
    seconds = settings.redis_timeout_seconds
    try:
        host, port = _address(settings)
        with (
            socket.create_connection((host, port), seconds) as connection,
            tls_context(options).wrap_socket(connection, server_hostname=host) as secure,
        ):
            certificate = secure.getpeercert() or {}
    except (OSError, RedisError):  # it answered a moment ago
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


def _has_lua_fixes(client: redis.Redis) -> bool:
    """Whether the server refuses what CVE-2025-46818 allowed, which was mended in the same releases.

    Distributions mend without a new number. Where it is not mended, the script takes away what is not there.
    """
    try:
        return not client.eval("return pcall(function() getmetatable('').resync = nil end)", 0)
    except ResponseError:  # the user may not run scripts
        return False


def judge_server(
    verdict: Verdict, info: Mapping[str, Any], where: str, *, ping_ms: float, has_lua_fixes: bool = False
) -> None:
    """Add what the server's INFO tells, and what it does with a script."""
    name, version = _identity(info)
    policy = str(info.get("maxmemory_policy", "?"))
    limit, used = int(info.get("maxmemory", 0)), int(info.get("used_memory", 0))
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
    if _numbers(version) and _numbers(version) < OLDEST:
        verdict.warn(Message("this version was not tried"), Message("Use Redis 6.2 or newer."), reason="old_version")
    _judge_lua(verdict, name, version, has_fixes=has_lua_fixes)


def _identity(info: Mapping[str, Any]) -> tuple[str, str]:
    """Name and version of the server; the ``redis_version`` of Valkey stands there for old clients alone."""
    is_valkey = "valkey_version" in info or info.get("server_name") == "valkey"
    version = info.get("valkey_version") or info.get("redis_version", "?")
    return "Valkey" if is_valkey else "Redis", str(version)


def _judge_lua(verdict: Verdict, name: str, version: str, *, has_fixes: bool) -> None:
    numbers, mended = _numbers(version), FIXED[name]
    if numbers >= mended[-1] or any(numbers[:2] == fixed[:2] and numbers >= fixed for fixed in mended):
        return
    if has_fixes:
        verdict.note(Message("the fix of CVE-2025-49844 is in"))
        return
    releases = {key: ", ".join(".".join(map(str, fixed)) for fixed in series) for key, series in FIXED.items()}
    verdict.warn(
        Message(
            "{name} {version} has no fix of CVE-2025-49844: who may run a script can take the server over",
            name=name,
            version=version,
        ),
        Message(
            "Upgrade to a release with the fix (Redis {redis}; Valkey {valkey}) or newer, or to a package of the "
            "distribution or provider whose security notes name it.",
            redis=releases["Redis"],
            valkey=releases["Valkey"],
        ),
        reason="cve_2025_49844",
    )


def judge_room(verdict: Verdict, room: Room) -> None:
    """Add for how many runs there is room."""
    verdict.note(room.text)
    if (problem := room.problem) is not None:
        verdict.warn(problem, room.remedy, reason="little_room")


def _facts(info: Mapping[str, Any]) -> Mapping[str, object]:
    name, version = _identity(info)
    return {
        "server": name,
        "version": version,
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
    return tuple(int(number) for number in re.findall(r"\d+", version)[:3])
