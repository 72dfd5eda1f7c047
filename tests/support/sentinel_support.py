"""A primary, a replica and the Sentinels that let one take the place of the other."""

from __future__ import annotations

import subprocess
from contextlib import ExitStack
from pathlib import Path
from typing import Self

import redis
from tests_support import RedisServer, new_redis, redis_binary, wait_until

from workers.standalone.ports import free_port

NAME = "resync"
SENTINEL_PASSWORD = "sentinels-4711"


class Guarded:
    """Two servers and three Sentinels with a password; a context manager."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.primary = new_redis()
        self.replica: RedisServer = new_redis(
            config=f"replica-serve-stale-data yes\nmasterauth {self.primary.password}\nrepl-diskless-sync-delay 0"
        )
        self.replica.password = self.primary.password
        self.ports = [free_port() for _ in range(3)]
        self._resources = ExitStack()

    @property
    def url(self) -> str:
        """How a client is told of them."""
        hosts = ",".join(f"127.0.0.1:{port}" for port in self.ports)
        own = f"sentinel_password={SENTINEL_PASSWORD}"
        return f"redis+sentinel://:{self.primary.password}@{hosts}/{NAME}/0?{own}"

    def __enter__(self) -> Self:
        with ExitStack() as resources:
            resources.enter_context(self.primary)
            resources.enter_context(self.replica)
            with redis.Redis.from_url(self.replica.plain_url) as client:
                client.replicaof("127.0.0.1", str(self.primary.port))
                wait_until(lambda: client.info("replication")["master_link_status"] == "up", what="a replica in sync")
            with redis.Redis.from_url(self.primary.plain_url) as client:
                client.config_set("masterauth", self.primary.password)
            for port in self.ports:
                resources.callback(end, self._start_sentinel(port))
            wait_until(self._is_guarded, what="Sentinels that know each other and the replica")
            self._resources = resources.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._resources.close()

    def asked(self, port: int) -> redis.Redis:
        """A client of one of the Sentinels."""
        return redis.Redis(port=port, password=SENTINEL_PASSWORD, decode_responses=True, socket_timeout=2)

    def primary_port(self) -> int:
        """The port of the primary, as a Sentinel says."""
        with self.asked(self.ports[-1]) as client:
            return int(client.execute_command("SENTINEL GET-MASTER-ADDR-BY-NAME", NAME)[1])

    def _start_sentinel(self, port: int) -> subprocess.Popen[bytes]:
        return start_sentinel(self._folder, port, self.primary.port, self.primary.password, quorum=2)

    def _is_guarded(self) -> bool:
        try:
            for port in self.ports:
                with self.asked(port) as client:
                    state = client.execute_command("SENTINEL MASTER", NAME)
                    if (int(state["num-slaves"]), int(state["num-other-sentinels"])) != (1, 2):
                        return False
        except (redis.RedisError, KeyError):
            return False
        return True


def start_sentinel(
    folder: Path, port: int, primary_port: int, primary_password: str, *, quorum: int, tls: str = ""
) -> subprocess.Popen[bytes]:
    """A Sentinel with a password of its own; ``tls`` has further lines, by which it listens to TLS."""
    config = folder / f"sentinel-{port}.conf"
    config.write_text(
        f"{'port 0' if tls else f'port {port}'}\nbind 127.0.0.1\ndir {folder}\n{tls}\n"
        f"requirepass {SENTINEL_PASSWORD}\nsentinel sentinel-pass {SENTINEL_PASSWORD}\n"
        f"sentinel monitor {NAME} 127.0.0.1 {primary_port} {quorum}\n"
        f"sentinel auth-pass {NAME} {primary_password}\n"
        f"sentinel down-after-milliseconds {NAME} 1000\nsentinel failover-timeout {NAME} 5000\n",
        "utf-8",
    )
    return subprocess.Popen(
        [str(redis_binary()), str(config), "--sentinel"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )


def end(process: subprocess.Popen[bytes]) -> None:
    """SIGKILL."""
    process.kill()
    process.wait(10)
