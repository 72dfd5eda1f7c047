"""doctor against a real redis-server: good, wrong, refused, killed, frozen."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
import redis
from tests_support import RedisServer, stretched

from orchestrator.broker.app import make_celery, queue_names, source_task
from orchestrator.cli.context import CliContext
from orchestrator.cli.main import run
from orchestrator.config import Settings
from orchestrator.store.keys import BATCH_PRIORITY, Keys
from orchestrator.store.presence import Presence
from workers.doctor.checks.redis import _has_lua_fixes
from workers.lab.simulator.hwa import HwaSimulator
from workers.lab.simulator.scenarios import get_scenario

PREFIX = "resync:troubleshoot:"
STORE_CHECKS = ("redis", "keys", "workers", "queues", "watchers", "instances", "log_cache")


@dataclass
class Said:
    """What a call of the command gave."""

    code: int
    checks: dict[str, dict[str, Any]]
    text: str
    seconds: float

    def status(self, name: str) -> str:
        return str(self.checks[name]["status"])


OF_THE_SERVER = (None, "cve_2025_49844")
"""What is wrong with the machine's own server, if anything."""

Doctor = Callable[..., Said]


@pytest.fixture
def doctor(capsys: pytest.CaptureFixture[str]) -> Doctor:
    """Calls the command in this process with an environment of the test's own."""

    def call(*args: str, **environ: str) -> Said:
        started = time.monotonic()
        limit = min(60, stretched(3))
        code = run(["doctor", "--json", "--timeout", str(limit), *args], CliContext(environ))
        seconds = time.monotonic() - started
        out, err = capsys.readouterr()
        report = json.loads(out)
        assert report["exit_code"] == code
        return Said(code, {check["name"]: check for check in report["checks"]}, out + err, seconds)

    return call


def only(*names: str) -> list[str]:
    return [word for name in names for word in ("--only", name)]


def test_a_real_redis_is_described(doctor: Doctor, redis_url: str) -> None:
    """Version, policy and address come from the server itself; the password is nowhere."""
    said = doctor(*only("redis", "keys", "queues", "log_cache"), REDIS_URL=redis_url)
    assert said.code == 0
    assert {said.status(name) for name in ("keys", "queues", "log_cache")} == {"ok"}
    assert said.checks["redis"]["reason"] in OF_THE_SERVER
    facts = said.checks["redis"]["facts"]
    assert facts["maxmemory_policy"] == "noeviction"
    assert facts["ping_ms"] < stretched(500)
    with redis.Redis.from_url(redis_url) as client:
        info = client.info()
        assert facts["version"] == info.get("valkey_version", info["redis_version"])
        assert client.dbsize() == 0, "doctor must leave nothing behind"
        password = client.connection_pool.connection_kwargs["password"]
    assert password not in said.text


def test_the_fixes_of_lua_are_seen_by_what_a_script_may_do(doctor: Doctor, own_redis: RedisServer) -> None:
    """A server that has them refuses; a user who may not run scripts sees nothing."""
    with redis.Redis.from_url(own_redis.url) as client:
        has_fixes = _has_lua_fixes(client)
        found = doctor(*only("redis"), REDIS_URL=own_redis.url).checks["redis"]["found"]
        assert ("has no fix of CVE-2025-49844" in found) != has_fixes
        client.execute_command("ACL", "SETUSER", "noscript", "on", ">planted", "~*", "&*", "+@all", "-@scripting")
    with redis.Redis(port=own_redis.port, username="noscript", password="planted") as client:
        assert not _has_lua_fixes(client)


def test_keys_of_another_type_are_named(doctor: Doctor, own_redis: RedisServer) -> None:
    """Those of all runs, of one run and of a queue, and those that were renamed; the other checks say where to look."""
    prefix = "resync:troubleshoot:"
    wrong = ("watchers", "run:run-00000001", "run:run-00000001:events", "idempotency:x", "mq:metrics", "open:set_aside")
    with redis.Redis.from_url(own_redis.url) as client:
        for name in wrong:
            client.setbit(prefix + name, 1, 1) if name != "idempotency:x" else client.rpush(prefix + name, "x")
        client.lpush(f"{prefix}set_aside", "x")
        client.rpush(f"{prefix}idempotency:y:set_aside", "x")
        said = doctor(*only("keys", "watchers"), REDIS_URL=own_redis.url)
        client.flushdb()
    found = said.checks["keys"]["found"]
    assert said.status("keys") == "warning"
    assert "5 keys are of another type" in found
    assert all(name in found for name in wrong)
    assert "2 keys were of another type" in found
    assert found.count("idempotency:y:set_aside") == 1
    assert "--only keys" in said.checks["watchers"]["found"]


def test_an_evicting_redis_is_an_error(doctor: Doctor, own_redis: RedisServer) -> None:
    """A policy that evicts is an error once there is a limit, a warning before."""
    with redis.Redis.from_url(own_redis.url) as client:
        client.config_set("maxmemory-policy", "allkeys-lru")
        assert doctor(*only("redis"), REDIS_URL=own_redis.url).status("redis") == "warning"
        client.config_set("maxmemory", "64mb")
        said = doctor(*only("redis"), REDIS_URL=own_redis.url)
        assert (said.code, said.status("redis")) == (1, "error")
        assert "noeviction" in said.checks["redis"]["fix"]


def test_a_replica_is_an_error(doctor: Doctor, own_redis: RedisServer) -> None:
    """A server that refuses writes because it is a replica is told apart from one that is away."""
    with redis.Redis.from_url(own_redis.url) as client:
        client.replicaof("127.0.0.1", 1)
        said = doctor(*only("redis"), REDIS_URL=own_redis.url)
    assert (said.code, said.checks["redis"]["reason"]) == (1, "replica")


def test_a_user_without_info_is_a_warning(doctor: Doctor, own_redis: RedisServer) -> None:
    """A managed Redis may refuse INFO: the settings were not seen, which is said with the ACL that helps."""
    with redis.Redis.from_url(own_redis.url) as client:
        client.execute_command("ACL", "SETUSER", "limited", "on", ">planted-limited", "~*", "&*", "+@all", "-info")
    url = f"redis://limited:planted-limited@127.0.0.1:{own_redis.port}/0"
    said = doctor(*only("redis"), REDIS_URL=url)
    assert (said.code, said.status("redis"), said.checks["redis"]["reason"]) == (0, "warning", "not_permitted")
    assert "+info" in said.checks["redis"]["fix"]
    assert "planted-limited" not in said.text


@pytest.mark.parametrize("password", [":planted-wrong@", ""])
def test_a_refused_password_is_a_wrong_setting(doctor: Doctor, own_redis: RedisServer, password: str) -> None:
    """A wrong or missing password names REDIS_URL and ends with 2; the checks on top are not repeated errors."""
    said = doctor(REDIS_URL=f"redis://{password}127.0.0.1:{own_redis.port}/0")
    assert said.code == 2
    assert "REDIS_URL" in said.checks["redis"]["found"]
    assert {said.status(name) for name in STORE_CHECKS[1:]} == {"off"}
    assert "planted-wrong" not in said.text


@pytest.mark.parametrize("how", ["kill", "freeze"])
def test_a_redis_that_is_away_hides_nothing_else(doctor: Doctor, own_redis: RedisServer, how: str) -> None:
    """Killed or frozen: exit code 5 within the time, Redis told once, and the other counterparts are examined."""
    getattr(own_redis, how)()
    try:
        with HwaSimulator(get_scenario(1).plan) as simulator:
            said = doctor(REDIS_URL=own_redis.url, **simulator.environ())
    finally:
        own_redis.thaw() if how == "freeze" else None
    assert said.code == 5
    assert said.status("redis") == "error"
    assert f"127.0.0.1:{own_redis.port}" in said.checks["redis"]["found"]
    assert {said.status(name) for name in STORE_CHECKS[1:]} == {"off"}
    assert said.status("tws:default") == "ok"
    assert said.seconds < stretched(5)
    assert own_redis.password not in said.text


def test_keys_below_the_prefix_are_counted(doctor: Doctor, redis_url: str) -> None:
    """Runs, broker, logs, indexes and strangers are told apart; keys of others are not counted."""
    with redis.Redis.from_url(redis_url) as client:
        for name in ("run:a", "run:a:events", "mq:metrics", "logs:default:J", "logs:default:J:values", "odd"):
            client.set(PREFIX + name, "x")
        client.zadd(PREFIX + "wakeups", {"a|total": time.time() * 1_000 + 60_000})
        client.set("resync:errors:recent:J", "[]")
        client.set("resync:job:history:J", "[]")
    said = doctor(*only("keys", "log_cache"), REDIS_URL=redis_url)
    facts = said.checks["keys"]["facts"]
    assert {kind: facts[kind] for kind in ("runs", "broker", "logs", "index", "other")} == {
        "runs": 2,
        "broker": 1,
        "logs": 2,
        "index": 1,
        "other": 1,
    }
    cache = said.checks["log_cache"]["facts"]
    assert (cache["app_errors"], cache["app_history"], cache["own_jobs"]) == (1, 1, 1)


def test_a_prefix_with_pattern_characters_matches_itself(doctor: Doctor, redis_url: str) -> None:
    """A prefix such as ``a*[b]:`` is taken literally when its keys are counted."""
    with redis.Redis.from_url(redis_url) as client:
        client.set("a*[b]:run:x", "1")
        client.set("aXXb:run:x", "1")
    said = doctor(*only("keys"), REDIS_URL=redis_url, RESYNC_KEY_PREFIX="a*[b]:")
    assert said.checks["keys"]["facts"]["runs"] == 1


def test_the_brokers_own_names_are_read(doctor: Doctor, settings: Settings, redis_url: str) -> None:
    """The queues that Celery has declared below the prefix are seen, and so is a process that has no prefix."""
    declare(settings)
    said = doctor(*only("keys"), REDIS_URL=redis_url)
    assert sorted(said.checks["keys"]["facts"]["bound_queues"]) == sorted(queue_names())
    assert said.status("keys") == "ok"

    bare = make_celery(settings, with_results=False)
    bare.conf.broker_transport_options = {**bare.conf.broker_transport_options, "global_keyprefix": ""}
    declare_with(bare)
    said = doctor(*only("keys"), REDIS_URL=redis_url)
    assert said.checks["keys"]["reason"] == "broker_without_prefix"


def declare(settings: Settings) -> None:
    declare_with(make_celery(settings, with_results=False))


def declare_with(app: Any) -> None:
    with app.connection_for_write() as connection, connection.channel() as channel:
        for queue in app.amqp.queues.values():
            queue(channel).declare()
    app.close()


def test_a_queue_nobody_serves_is_seen(doctor: Doctor, settings: Settings, redis_url: str) -> None:
    """Messages that wait without a worker: the backlog and the missing workers are both said."""
    app = make_celery(settings, with_results=False)
    for priority in (None, None, BATCH_PRIORITY):
        app.send_task(source_task("metrics"), args=("run-00000001",), priority=priority)
    app.close()
    said = doctor(*only("workers", "queues"), REDIS_URL=redis_url)
    assert said.code == 1
    assert said.checks["queues"]["facts"]["waiting"]["metrics"] == 3
    assert said.checks["queues"]["reason"] == "backlog"
    assert said.checks["workers"]["reason"] == "no_worker"
    assert set(said.checks["workers"]["facts"]["queues"]) == set(queue_names())


def test_watchers_and_overdue_wake_ups_are_read(doctor: Doctor, settings: Settings, redis_url: str) -> None:
    """Signs of life count as watchers; wake-ups that nobody has taken for seconds are told."""
    assert doctor(*only("watchers"), REDIS_URL=redis_url).checks["watchers"]["reason"] == "no_watcher"
    keys = Keys(settings.key_prefix)
    with redis.Redis.from_url(redis_url, decode_responses=True) as client:
        presence = Presence(client, keys)
        presence.announce(watcher="here:1")
        assert doctor(*only("watchers"), REDIS_URL=redis_url).checks["watchers"]["reason"] == "one_watcher"
        presence.announce(watcher="there:2")
        assert doctor(*only("watchers"), REDIS_URL=redis_url).status("watchers") == "ok"
        client.zadd(keys.wakeups, {"run-00000001|total": time.time() * 1_000 - 60_000})
        said = doctor(*only("watchers"), REDIS_URL=redis_url)
    assert (said.checks["watchers"]["reason"], said.checks["watchers"]["facts"]["overdue"]) == ("overdue", 1)


def test_instances_that_no_worker_knows_are_told(doctor: Doctor, settings: Settings, redis_url: str) -> None:
    """An instance configured here that the workers did not announce would be refused at submit: a warning."""
    environ = {"REDIS_URL": redis_url, "TWS_BASE_URL": "http://127.0.0.1:1", "TWS_DEFAULT_INSTANCE": "PROD"}
    said = doctor(*only("instances"), **environ)
    assert (said.code, said.status("instances")) == (0, "off")
    with redis.Redis.from_url(redis_url, decode_responses=True) as client:
        presence = Presence(client, Keys(settings.key_prefix))
        presence.announce(instances=["TEST"])
        said = doctor(*only("instances"), **environ)
        assert said.checks["instances"]["reason"] == "instance_unknown"
        assert "PROD" in said.checks["instances"]["found"]
        presence.announce(instances=["PROD"])
        assert doctor(*only("instances"), **environ).status("instances") == "ok"
        client.zadd(Keys(settings.key_prefix).instances, {"PROD": (time.time() - 150) * 1_000})
        said = doctor(*only("instances"), **environ)
    assert said.checks["instances"]["facts"]["announced"] == ["TEST"]


def test_a_log_cache_of_its_own_fails_on_its_own(doctor: Doctor, redis_url: str) -> None:
    """Another Redis for the logs that is away is an error there, not of the broker."""
    said = doctor(
        *only("redis", "log_cache"), REDIS_URL=redis_url, RESYNC_LOG_CACHE_URL="redis://:planted-cache@127.0.0.1:1/0"
    )
    assert (said.code, said.checks["log_cache"]["reason"]) == (1, "unreachable")
    assert said.checks["redis"]["reason"] in OF_THE_SERVER
    assert "RESYNC_LOG_CACHE_URL" in said.checks["log_cache"]["fix"]
    assert "planted-cache" not in said.text
