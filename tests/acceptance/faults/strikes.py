"""What is done to the system: each function makes the ``strike`` of a fault."""

from __future__ import annotations

import base64
import json
import os
import resource
import signal
import subprocess
import sys
import time
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from itertools import cycle
from typing import TYPE_CHECKING

import redis
from refusals_support import refusing
from stack_support import ROLES
from tests_support import new_redis, wait_until

from orchestrator.broker.app import make_celery
from orchestrator.sources import BUILTIN_SOURCES
from orchestrator.store.keys import lanes

if TYPE_CHECKING:
    from tests.acceptance.faults.trial import Trial

Strike = Callable[["Trial"], None]
WORKERS = tuple(role for role in ROLES if not role.startswith(("watcher", "web")))
TERM = signal.SIGTERM


def kill(*names: str, number: signal.Signals = signal.SIGKILL, away_seconds: float = 0.7) -> Strike:
    """A signal that ends processes; a supervisor starts them again a little later."""

    def strike(trial: Trial) -> None:
        trial.stack.kill(*names, number=number)
        time.sleep(away_seconds)
        trial.stack.start(*names)

    return strike


def freeze(*names: str, seconds: float = 2.0) -> Strike:
    """SIGSTOP, and SIGCONT later."""

    def strike(trial: Trial) -> None:
        trial.stack.freeze(*names)
        time.sleep(seconds)
        trial.stack.thaw(*names)

    return strike


def stutter(*names: str, seconds: float = 3.0) -> Strike:
    """Short stops again and again, as of a machine whose processor is taken away or of a long collection of garbage."""

    def strike(trial: Trial) -> None:
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            trial.stack.freeze(*names)
            time.sleep(0.12)
            trial.stack.thaw(*names)
            time.sleep(0.12)

    return strike


def roll(number: signal.Signals = TERM) -> Strike:
    """A rolling deploy: of each role a new process is started before the old one gets the signal."""

    def strike(trial: Trial) -> None:
        stack = trial.stack
        for role in (*WORKERS, "watcher", "watcher-2"):
            twin = f"{role}-9" if role != "watcher-2" else "watcher-8"
            stack.start(twin)
            stack.kill(role, number=number)
        # The next trial finds the usual names.
        stack.start(*WORKERS, "watcher", "watcher-2")
        stack.kill(*(name for name in stack.members if name.endswith(("-9", "-8"))), number=number)

    return strike


def two_fleets(trial: Trial) -> None:
    """The whole system is started a second time on the same Redis, and ended again."""
    twins = [f"{role}-9" for role in (*WORKERS, "watcher")]
    trial.stack.start(*twins)
    time.sleep(1)
    trial.stack.kill(*twins, number=TERM)


# Redis


def redis_away(*, seconds: float = 0.0, orderly: bool = False) -> Strike:
    """Redis ends and is started again."""

    def strike(trial: Trial) -> None:
        (trial.stack.redis.stop if orderly else trial.stack.redis.kill)()
        time.sleep(seconds)
        trial.stack.redis.start()

    return strike


def redis_frozen(seconds: float) -> Strike:
    """Redis accepts connections and answers nothing."""

    def strike(trial: Trial) -> None:
        trial.stack.redis.freeze()
        time.sleep(seconds)
        trial.stack.redis.thaw()

    return strike


def redis_slow(trial: Trial) -> None:
    """Redis stands still for 150 ms again and again."""
    with trial.redis as raw:
        for _ in range(12):
            raw.execute_command("DEBUG", "SLEEP", "0.15")
            time.sleep(0.05)


def redis_refuses(kind: str, seconds: float = 2.0) -> Strike:
    """Redis answers with an error code."""

    def strike(trial: Trial) -> None:
        with refusing(trial.stack.redis, kind):
            time.sleep(seconds)

    return strike


def redis_loading(trial: Trial) -> None:
    """Redis reads its data again for some two seconds."""
    with trial.redis as raw:
        pipe = raw.pipeline(transaction=False)
        for number in range(4_000):
            pipe.set(f"filler:{number}", "x" * 2_000, ex=600)
        pipe.execute()
        raw.config_set("key-load-delay", 500)
        with suppress(redis.RedisError):
            raw.execute_command("DEBUG", "RELOAD")
    with trial.redis as raw:
        wait_until(lambda: _pings(raw), what="Redis has read its data")
        raw.config_set("key-load-delay", 0)


def _pings(raw: redis.Redis) -> bool:
    with suppress(redis.RedisError):
        return bool(raw.ping())
    return False


def redis_disk_full(trial: Trial) -> None:
    """The append-only file cannot grow for two seconds."""
    pid = trial.stack.redis.pid
    usual = resource.prlimit(pid, resource.RLIMIT_FSIZE, (1, resource.RLIM_INFINITY))
    time.sleep(2.5)
    resource.prlimit(pid, resource.RLIMIT_FSIZE, usual)


def connections_killed(trial: Trial) -> None:
    """Redis closes every connection, three times."""
    with trial.redis as raw:
        for _ in range(3):
            raw.client_kill_filter(_type="normal", skipme=True)
            raw.client_kill_filter(_type="pubsub", skipme=True)
            time.sleep(0.5)


def flush(trial: Trial) -> None:
    """FLUSHALL."""
    with trial.redis as raw:
        raw.flushall()


def delete_keys(kind: str) -> Strike:
    """The hash, or the stream, of each open run of a third is deleted; or a key that all runs share."""

    def strike(trial: Trial) -> None:
        with trial.redis as raw:
            if kind in ("run", "events"):
                for run_id in trial.open_run_ids()[::3]:
                    raw.delete(getattr(trial.keys, kind)(run_id))
            else:
                raw.delete(getattr(trial.keys, kind))

    return strike


def purge(trial: Trial) -> None:
    """``celery purge`` of every queue, in which messages wait."""
    trial.stack.freeze(*WORKERS)
    command = (sys.executable, "-m", "celery", "-A", "workers.app", "purge", "-f")
    subprocess.run(command, env=trial.stack.fleet.environ, capture_output=True, check=True, timeout=30)
    trial.stack.thaw(*WORKERS)


def redeliver(trial: Trial) -> None:
    """Exact copies of the messages of every queue, three of each, while their workers stand still."""
    trial.stack.freeze(*WORKERS)
    time.sleep(0.8)
    with trial.redis as raw:
        for name in (name for queue in WORKERS for name in lanes(queue)):
            key = f"{trial.keys.broker_prefix}{name}"
            messages = raw.lrange(key, 0, -1)
            for _ in range(3):
                if messages:
                    raw.lpush(key, *messages)
    trial.stack.thaw(*WORKERS)


COMPRESSED = {
    "body": base64.b64encode(zlib.compress(b'[["' + b"x" * 100_000_000 + b'"], {}, {}]')).decode(),
    "content-type": "application/json",
    "content-encoding": "utf-8",
    "headers": {"task": "troubleshoot.run", "id": "run-00000001", "compression": "application/x-gzip"},
    "properties": {
        "body_encoding": "base64",
        "delivery_tag": "1",
        "delivery_info": {"exchange": "", "routing_key": ""},
    },
}
"""A hundred megabytes, in a message of two hundred kilobytes."""
POISON = (
    *(b"{}", b"", b"\xff\xfe\x00", b"null", b"[" * 5_000, b'{"body": "e30=", "headers": {}, "properties": {}}'),
    json.dumps(COMPRESSED).encode(),
)


def poison(trial: Trial) -> None:
    """Messages that no worker can read, in every queue."""
    with trial.redis as raw:
        for _ in range(3):
            for queue in WORKERS:
                raw.lpush(f"{trial.keys.broker_prefix}{queue}", *POISON)
            time.sleep(0.3)


def foreign_keys(trial: Trial) -> None:
    """Every key that all runs share but that of the open runs, and the lists of the queues, become strings."""
    with trial.redis as raw:
        lists = [trial.keys.queue(name)[1] for queue in WORKERS for name in lanes(queue)]
        for key in {*trial.keys.kinds, *lists} - {trial.keys.open}:
            raw.set(key, "no more what it was")


def later_messages(trial: Trial) -> None:
    """Messages of a task and of arguments that no worker here knows, in every queue."""
    app = make_celery(trial.stack.fleet.settings, with_results=False)
    try:
        for queue in WORKERS:
            app.send_task("troubleshoot.of_a_later_version", args=("x",), queue=queue)
            for task in ("troubleshoot.run", "troubleshoot.synthesize"):
                app.send_task(task, kwargs={"of_a_later_version": 1}, queue=queue)
    finally:
        app.close()


def damage(field: str, value: str) -> Strike:
    """A field of the hash of every third open run is overwritten."""

    def strike(trial: Trial) -> None:
        with trial.redis as raw:
            for run_id in trial.open_run_ids()[::3]:
                raw.hset(trial.keys.run(run_id), field, value)

    return strike


# The network


def network(how: str, *names: str, seconds: float = 2.0, **arguments: object) -> Strike:
    """Something of ``Proxy`` between each of the processes (all by default) and Redis, undone later."""

    def strike(trial: Trial) -> None:
        proxies = [trial.stack.network[name] for name in names or tuple(trial.stack.network)]
        for proxy in proxies:
            getattr(proxy, how)(**arguments)
        time.sleep(seconds)
        for proxy in proxies:
            proxy.heal()

    return strike


def fail_over(trial: Trial) -> None:
    """Redis is killed; a second later its replica is the master, and every name leads to it."""
    old = trial.stack.redis
    replica = new_redis(append_only=True)
    replica.password = old.password
    replica.start()
    with redis.Redis.from_url(replica.url) as raw:
        raw.config_set("masterauth", old.password)
        raw.replicaof("127.0.0.1", old.port)
        wait_until(lambda: raw.info("replication").get("master_link_status") == "up", what="the replica is in sync")
    time.sleep(0.5)
    trial.stack.fail_over(replica)


def certificate_expired(trial: Trial) -> None:
    """Redis shows a certificate that has expired; two seconds later it has a new one."""
    authority, proxies = trial.stack.authority, trial.stack.network.values()
    yesterday = datetime.now(UTC) - timedelta(days=1)
    for label, not_after in (("expired", yesterday), ("new", None)):
        for proxy in proxies:
            proxy.present(*authority.files(label=label, not_after=not_after))
            proxy.cut()
        time.sleep(2)


def no_names(trial: Trial) -> None:
    """No name can be resolved, and every connection is cut."""
    switch = trial.stack.fleet.folder / "no_names"
    switch.touch()
    for proxy in trial.stack.network.values():
        proxy.cut()
    time.sleep(2)
    switch.unlink()


# Limits and clocks of processes


@contextmanager
def _limited(trial: Trial, names: tuple[str, ...], kind: int, values: Iterator[int]) -> Iterator[None]:
    pids = [process.popen.pid for process in trial.stack.processes(*names)]
    usual = {pid: resource.prlimit(pid, kind) for pid in pids}
    for pid in pids:
        resource.prlimit(pid, kind, (next(values), usual[pid][1]))
    try:
        yield
    finally:
        for pid in pids:
            with suppress(ProcessLookupError):
                resource.prlimit(pid, kind, usual[pid])


def log_disk_full(trial: Trial) -> None:
    """No process can write to its log for two seconds."""
    with _limited(trial, (), resource.RLIMIT_FSIZE, cycle([1])):
        time.sleep(2)


def out_of_descriptors(*names: str) -> Strike:
    """Processes can open no further file or connection for two seconds."""

    def strike(trial: Trial) -> None:
        with _limited(trial, names, resource.RLIMIT_NOFILE, cycle([8])):
            with trial.redis as raw:
                raw.client_kill_filter(_type="normal", skipme=True)
            time.sleep(2)

    return strike


def out_of_memory(*names: str) -> Strike:
    """Processes get no more memory for two seconds; then they are started anew, as after the kernel's killer."""

    def strike(trial: Trial) -> None:
        sizes = (_virtual_bytes(process.popen.pid) + 2_000_000 for process in trial.stack.processes(*names))
        with _limited(trial, names, resource.RLIMIT_AS, sizes):
            time.sleep(2)
        trial.stack.restart(*names)

    return strike


def _virtual_bytes(pid: int) -> int:
    with open(f"/proc/{pid}/statm", encoding="ascii") as statm:  # noqa: PTH123
        return int(statm.read().split()[0]) * os.sysconf("SC_PAGE_SIZE")


def other_clock(seconds: int) -> Strike:
    """The wall clock of all workers and watchers is so many seconds off for two seconds."""

    def strike(trial: Trial) -> None:
        switch = trial.stack.fleet.folder / "clock"
        switch.write_text(str(seconds), "ascii")
        time.sleep(2)
        switch.unlink()

    return strike


def redis_clock(seconds: int) -> Strike:
    """The clock of Redis makes a step; two seconds later it makes another, back."""

    def strike(trial: Trial) -> None:
        trial.stack.redis_clock.write_text(f"{seconds:+d}", "ascii")
        time.sleep(2)
        trial.stack.redis_clock.write_text("+0", "ascii")

    return strike


# Callers


def cancel_some(trial: Trial) -> None:
    """Every other run is cancelled at some moment of its life."""
    for _ in range(40):
        for run_id in trial.open_run_ids()[::2]:
            if trial.random.random() < 0.15:
                with suppress(Exception):
                    trial.readers.client.cancel(run_id, by="ana")
        time.sleep(0.05)


def in_turn(*strikes: Strike) -> Strike:
    """One after the other."""

    def strike(trial: Trial) -> None:
        for step in strikes:
            step(trial)

    return strike


def apps_processes_in_turn(trial: Trial) -> None:
    """Every process is killed, one after the other, sources first."""
    for name in (*BUILTIN_SOURCES, "orchestrator", "synthesis", "watcher", "watcher-2", "web"):
        trial.stack.restart(name)
