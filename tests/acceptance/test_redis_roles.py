"""Redis over TLS with a user for each role: a whole system runs, each process with the rights of its role alone."""

from __future__ import annotations

import asyncio
import json
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import redis
from acl_support import ROLES, RoleRedis, skip_without_selectors
from fleet_support import Fleet, make_fleet
from redis.exceptions import NoPermissionError
from tests_support import wait_until

from orchestrator.broker.queues import read_queues
from orchestrator.cli.context import CliContext
from orchestrator.cli.main import run
from orchestrator.client.aio import AsyncTroubleshootClient
from orchestrator.client.sync import TroubleshootClient
from orchestrator.config import ParallelConfig, Settings
from orchestrator.errors import StoreRefusesUser
from orchestrator.models import EventType, RunOutcome, RunState, TroubleshootRequest
from orchestrator.monitoring import watcher_page
from orchestrator.secret_files import SECRETS_DIR
from orchestrator.sources import BUILTIN_SOURCES
from orchestrator.store.connection import session
from orchestrator.store.keys import Keys
from orchestrator.store.load import read_load
from orchestrator.store.room import room_of
from workers.standalone.ports import free_port

pytestmark = pytest.mark.acceptance
CREDENTIALS = "operator:planted-4711"


@dataclass
class System:
    """A fleet whose processes have a user each, over TLS, with the passwords in files."""

    roles: RoleRedis
    fleet: Fleet
    flower: str

    def variables(self, role: str) -> dict[str, str]:
        """What a process of a role is given: no password among it."""
        address, _, ca = self.roles.server.url.partition("?ssl_ca_certs=")
        secrets = self.fleet.folder / f"secrets-{role}"
        secrets.mkdir(exist_ok=True)
        (secrets / "REDIS_PASSWORD").write_text(f"{self.roles.passwords[role]}\n", "utf-8")
        if role == "flower":
            (secrets / "flower_basic_auth").write_text(f"{CREDENTIALS}\n", "utf-8")
        return {
            "REDIS_URL": f"rediss://{address.rpartition('@')[2]}",
            "REDIS_USERNAME": role,
            "RESYNC_REDIS_CA_BUNDLE": urllib.request.unquote(ca),
            SECRETS_DIR: str(secrets),
        }

    def settings(self, role: str) -> Settings:
        """The settings of such a process."""
        return Settings.from_env(self.fleet.environ | self.variables(role))

    def asked(self, path: str) -> Any:
        """JSON of Flower."""
        token = "Basic b3BlcmF0b3I6cGxhbnRlZC00NzEx"
        request = urllib.request.Request(f"{self.flower}/{path}", headers={"Authorization": token})
        with urllib.request.urlopen(request, timeout=20) as response:
            return json.load(response)


@pytest.fixture(scope="module")
def system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    """Two workers, a watcher and Flower."""
    skip_without_selectors()
    folder = tmp_path_factory.mktemp("roles")
    fleet = make_fleet(folder, "")
    roles = RoleRedis(folder, prefix=fleet.environ["RESYNC_KEY_PREFIX"])
    with roles.server:
        started = System(roles, fleet, f"http://127.0.0.1:{free_port()}")
        try:
            fleet.worker("orchestrator", "synthesis", ready=False, **started.variables("worker"))
            fleet.worker(*BUILTIN_SOURCES, ready=False, **started.variables("worker"))
            fleet.watcher(ready=False, **started.variables("watcher"))
            fleet.wait_until_ready()
            config = Path(__file__).parents[2] / "ops" / "flower" / "flowerconfig.py"
            argv = ("-m", "celery", "-A", "workers.app", "flower", f"--conf={config}")
            fleet.start("flower", *argv, f"--port={started.flower.rpartition(':')[2]}", **started.variables("flower"))
            yield started
        finally:
            fleet.stop()


def online(system: System) -> int:
    try:
        return sum(bool(worker.get("status")) for worker in system.asked("workers?json=1")["data"])
    except OSError:
        return 0


def test_a_run_passes_with_a_user_for_each_role_over_tls(system: System) -> None:
    """Submit, stream, answer, list, cancel; Flower knows the tasks and the workers; nobody was refused anything."""
    wait_until(lambda: online(system) == 2, what="Flower to hear of both workers")

    async def ask() -> tuple[str, set[EventType]]:
        async with AsyncTroubleshootClient(system.settings("app")) as client:
            request = TroubleshootRequest(message="Job BATCH001 falhou", user_id="ana", session_id="s")
            run_id = await client.submit(request, idempotency_key="once")
            assert await client.submit(request, idempotency_key="once") == run_id
            types = {event.type async for event in client.stream(run_id)}
            assert (await client.result(run_id)).outcome is RunOutcome.COMPLETE
            assert (await client.get(run_id)).state is RunState.DONE
            assert [summary.run_id for summary in await client.list()] == [run_id]
            listing = await client.submit(TroubleshootRequest(message="o que falhou hoje?", session_id="s"))
            await client.result(listing)
            late = await client.submit(TroubleshootRequest(message="Job BATCH002 falhou"))
            assert (await client.cancel(late)).run_id == late
            return run_id, types

    run_id, types = asyncio.run(ask())
    assert EventType.FINAL in types
    wait_until(lambda: run_id in json.dumps(system.asked("api/tasks")), what="the run in Flower")
    assert len(system.asked("api/workers?refresh=1")) == 2
    assert {queue["name"] for queue in system.asked("api/queues/length")["active_queues"]} >= set(BUILTIN_SOURCES)
    queues, watchers, _ = read_queues(system.settings("operator"))
    assert all(queue.workers for queue in queues)
    assert len(watchers) == 1
    settings = system.settings("autoscaler")
    with session(settings) as client:
        loads = read_load(client, Keys(settings.key_prefix), BUILTIN_SOURCES)
    assert all(load.waiting == 0 and load.task_seconds is not None for load in loads)
    # Of a run, whose times it needs for the oldest wait, a scaler sees nothing.
    assert [line for line in system.roles.refused() if not line.startswith("autoscaler: ")] == []
    assert "NOPERM" not in system.fleet.logs()


def test_an_app_serves_runs_over_tls(system: System) -> None:
    """The example app submits and streams, and counts what its callers ask."""
    system.roles.forget_refused()
    port = free_port()
    system.fleet.web(port, **system.variables("app"), RESYNC_REQUESTS_PER_MINUTE="1000")
    runs = f"http://127.0.0.1:{port}/troubleshoot/runs"
    body = json.dumps({"message": "Job BATCH003 falhou"}).encode()
    request = urllib.request.Request(runs, body, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=20) as response:
        run_id = json.load(response)["run_id"]
    with urllib.request.urlopen(f"{runs}/{run_id}/events", timeout=30) as response:
        assert b"event: final" in response.read()
    assert [line for line in system.roles.refused() if not line.startswith("autoscaler: ")] == []


def doctored(capsys: pytest.CaptureFixture[str], system: System, role: str) -> dict[str, dict[str, Any]]:
    names = ("redis", "workers", "queues", "watchers", "keys", "log_cache")
    only = [argument for name in names for argument in ("--only", name)]
    run(["doctor", "--json", *only], CliContext(system.fleet.environ | system.variables(role)))
    return {check["name"]: check for check in json.loads(capsys.readouterr().out)["checks"]}


def test_doctor_needs_an_operator_and_names_the_right_that_another_lacks(
    capsys: pytest.CaptureFixture[str], system: System
) -> None:
    """With the rule that grants it."""
    told = doctored(capsys, system, "operator")
    assert {name: check["found"] for name, check in told.items() if check["status"] == "error"} == {}
    room = room_of(system.settings("operator"))
    assert room.run_bytes, "the run of the tests before is measured"
    told = doctored(capsys, system, "app")
    assert told["redis"]["reason"] == "not_permitted"
    assert "the user app may not use the keys" in told["workers"]["found"]
    assert "allow it with: ACL SETUSER app ~" in told["workers"]["found"]


def test_flower_asks_who_comes_by_a_file(system: System) -> None:
    """The credentials are those of the file, and none other."""
    wait_until(lambda: online(system) > 0, what="Flower to answer")
    with pytest.raises(urllib.error.HTTPError, match="401"):
        urllib.request.urlopen(f"{system.flower}/workers", timeout=20)


ALL_REFUSED = (
    *("FLUSHALL", "FLUSHDB", "CONFIG GET requirepass", "CONFIG SET maxmemory 1", "KEYS *", "DEBUG SLEEP 0", "ACL LIST"),
    *("ACL SETUSER intruder on", "SHUTDOWN NOSAVE", "MONITOR", "CLIENT KILL TYPE normal", "CLIENT LIST", "SAVE"),
    *("REPLICAOF NO ONE", "MODULE LIST", "SCRIPT FLUSH", "FUNCTION FLUSH", "SWAPDB 0 1", "GET session:another-app"),
    *("SET session:another-app x", "SUBSCRIBE another-app", "PUBLISH another-app x", "SLOWLOG GET", "LATENCY RESET"),
)  # fmt: skip
REFUSED: dict[str, tuple[str, ...]] = {
    "app": (
        *("PUBLISH {mq}/0.celery.pidbox x", "SUBSCRIBE {mq}/0.celery.pidbox"),
        *("PUBLISH {mq}/0.celeryev/worker.online x", "RPOP {mq}orchestrator", "BRPOP {mq}tws_status 1"),
        *("LPUSH {mq}tws_status x", "DEL {mq}orchestrator", "GET {p}shared:1", "SET {p}clock 1"),
        "HGETALL {p}logs:default:J:values",
        *("LRANGE {p}set_aside 0 -1", "ZADD {p}watchers 1 x", "GET resync:errors:recent:global", "INFO", "SCAN 0"),
    ),
    "worker": (
        *("PUBLISH {mq}/0.celery.pidbox x", "SET resync:errors:recent:global x", "GET resync:other", "INFO", "SCAN 0"),
    ),
    "watcher": (
        *("PUBLISH {mq}/0.celery.pidbox x", "SUBSCRIBE {mq}/0.celery.pidbox", "RPOP {mq}orchestrator", "SCAN 0"),
        *("BRPOP {mq}tws_status 1", "LPUSH {mq}tws_status x", "DEL {mq}orchestrator"),
        "GET resync:errors:recent:global",
    ),
    "flower": (
        *("HGETALL {p}run:1", "HGET {p}run:1 request", "XRANGE {p}run:1:events - +", "HSET {p}run:1 state x"),
        *("DEL {p}run:1", "ZRANGE {p}runs 0 -1", "ZADD {p}wakeups 1 x", "GET {p}shared:1", "RPOP {mq}orchestrator"),
        *("BRPOP {mq}orchestrator 1", "LPUSH {mq}orchestrator x", "LRANGE {mq}orchestrator 0 -1", "SCAN 0", "INFO"),
        *("DEL {mq}orchestrator", "HGETALL {mq}unacked"),
    ),
    "autoscaler": (
        *("HGETALL {p}run:1", "HMGET {p}run:1 created_ms", "ZRANGE {p}runs 0 -1", "LRANGE {mq}metrics 0 -1", "SCAN 0"),
        *("RPOP {mq}metrics", "LPUSH {mq}metrics x", "DEL {mq}metrics", "ZADD {p}running:metrics 1 x", "INFO"),
        *("PUBLISH {mq}/0.celery.pidbox x", "SUBSCRIBE {mq}/0.celery.pidbox"),
    ),
    "operator": ("SET resync:errors:recent:global x", "BRPOP other 1"),
}  # fmt: skip


@pytest.mark.parametrize("role", ROLES)
def test_what_a_role_may_not_do(system: System, role: str) -> None:
    """Neither directly nor from within a script."""
    prefix = system.fleet.environ["RESYNC_KEY_PREFIX"]
    with system.roles.client("admin") as admin:
        for written in (*ALL_REFUSED, *REFUSED[role]):
            command = written.format(p=prefix, mq=f"{prefix}mq:").split()
            said = admin.execute_command("ACL DRYRUN", role, *command)
            assert "has no permissions" in str(said), f"{role} may {written}"


@pytest.mark.parametrize("role", [role for role in ROLES if role not in ("worker", "operator")])
def test_a_script_has_no_more_rights_than_its_caller(system: System, role: str) -> None:
    """Scripts may name any of our keys, and do with them what the role may do without a script."""
    key = system.fleet.environ["RESYNC_KEY_PREFIX"] + "mq:tws_status"
    with (
        system.roles.client(role) as client,
        pytest.raises((NoPermissionError, redis.ResponseError), match=r"can't|ACL|permissions"),
    ):
        client.eval("return redis.call('LPUSH', KEYS[1], 'x')", 1, key)
    with system.roles.client("admin") as client:
        assert client.llen(key) == 0


def test_a_watcher_s_metrics_need_no_further_right(system: System) -> None:
    """Counters, queues, watchers and the memory of Redis are on its page."""
    settings = system.settings("watcher")
    system.roles.forget_refused()
    with session(settings) as client:
        text = watcher_page(client, Keys(settings.key_prefix))().body.decode()
    for name in ("store_reachable 1.0", "watchers 1.0", "redis_memory_bytes", "queue_work", "runs_accepted_total"):
        assert f"resync_troubleshoot_{name}" in text
    assert [line for line in system.roles.refused() if line.startswith("watcher: ")] == []


def test_a_watcher_ends_runs_when_no_worker_is_left(system: System) -> None:
    """By its own rights, whoever asked being gone. This test is the last one with workers."""
    for process in system.fleet.processes:
        if not process.name.startswith(("watcher", "flower", "web")):
            process.kill()
    system.roles.forget_refused()
    with TroubleshootClient(system.settings("app")) as client:
        config = ParallelConfig(node_timeout_seconds=1, total_timeout_seconds=2)
        run_id = client.submit(TroubleshootRequest(message="Job BATCH004 falhou", config=config))
        wait_until(lambda: client.get(run_id).state is RunState.DONE, what="the watcher's answer")
        (summary,) = [summary for summary in client.list() if summary.run_id == run_id]
        assert str(summary.committed_by).startswith("watcher")
    assert [line for line in system.roles.refused() if line.startswith("watcher: ")] == []


def test_who_is_not_known_is_not_served(system: System) -> None:
    """Redis's user ``default`` is off: without a user, or with a wrong password, there is nothing to be had."""
    variables = system.variables("app")
    for wrong in ({"REDIS_USERNAME": ""}, {"REDIS_USERNAME": "worker"}):
        settings = Settings.from_env(system.fleet.environ | variables | wrong)
        with pytest.raises(StoreRefusesUser, match="refused the password or user name"), session(settings) as client:
            client.ping()
