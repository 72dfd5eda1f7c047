"""What makes a real Redis refuse to work, and what lets it work again."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass

import redis
from tests_support import RedisServer, wait_until


@dataclass(frozen=True, slots=True)
class Refusal:
    """How a server is made to answer with an error code, and to serve again."""

    begin: Callable[[redis.Redis], object]
    end: Callable[[redis.Redis], object]
    reads_too: bool = False
    """Whether reading is refused as well."""
    needs_new_connections: bool = False
    """Whether those that are open are served on."""


def _replica(*, stale: str) -> Callable[[redis.Redis], object]:
    def begin(client: redis.Redis) -> None:
        client.config_set("replica-serve-stale-data", stale)
        client.execute_command("REPLICAOF", "127.0.0.1", "1")

    return begin


def _master(client: redis.Redis) -> None:
    client.execute_command("REPLICAOF", "NO", "ONE")


def _unable_to_save(client: redis.Redis) -> None:
    client.config_set("save", "1 1000000")
    shutil.rmtree(client.config_get("dir")["dir"])
    client.set("x", 1)
    with suppress(redis.ResponseError):
        client.bgsave()
    wait_until(lambda: client.info("persistence")["rdb_last_bgsave_status"] == "err", what="the save fails")


def _busy(client: redis.Redis) -> None:
    client.config_set("lua-time-limit", 1)

    endless = client.connection_pool.make_connection()
    endless.send_command("EVAL", "while true do end", 0)

    def is_busy() -> bool:
        try:
            client.ping()
        except redis.ResponseError as error:
            return "BUSY" in str(error)
        return False

    wait_until(is_busy, what="the script runs")
    endless.disconnect()


def _stop_script(client: redis.Redis) -> None:
    client.script_kill()

    def answers() -> bool:
        try:
            return bool(client.ping())
        except redis.ResponseError:
            return False

    wait_until(answers, what="the script ends")


def _option(name: str, value: object, usual: object) -> tuple[Callable[[redis.Redis], object], ...]:
    return lambda client: client.config_set(name, value), lambda client: client.config_set(name, usual)


REFUSALS: Mapping[str, Refusal] = {
    "READONLY": Refusal(_replica(stale="yes"), _master),
    "MASTERDOWN": Refusal(_replica(stale="no"), _master, reads_too=True),
    "OOM": Refusal(*_option("maxmemory", 1, 0)),
    "NOREPLICAS": Refusal(*_option("min-replicas-to-write", 1, 0)),
    "MISCONF": Refusal(_unable_to_save, lambda client: client.config_set("save", "")),
    "BUSY": Refusal(_busy, _stop_script, reads_too=True),
    "maxclients": Refusal(*_option("maxclients", 1, 10_000), reads_too=True, needs_new_connections=True),
    "WRONGPASS": Refusal(lambda client: client.config_set("requirepass", "another"),
                         lambda client: None, reads_too=True, needs_new_connections=True),
}  # fmt: skip


@contextmanager
def refusing(server: RedisServer, kind: str) -> Iterator[Callable[[], None]]:
    """A server that refuses to work, until the function is called or the block ends."""
    refusal = REFUSALS[kind]
    client = redis.Redis.from_url(server.url, socket_timeout=10)
    client.ping()
    refusal.begin(client)
    if refusal.needs_new_connections:
        own = client.client_id()
        for other in client.client_list():
            if int(other["id"]) != own:
                client.client_kill_filter(_id=other["id"])
    ended = threading.Event()

    def end() -> None:
        if not ended.is_set():
            ended.set()
            if kind == "WRONGPASS":
                client.config_set("requirepass", server.password)
            refusal.end(client)

    try:
        yield end
    finally:
        end()
        client.close()
