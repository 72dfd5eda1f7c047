"""A whole system on this machine: a Redis, the processes around it, and everything gone at the end."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from orchestrator.cli.process import undisturbed
from orchestrator.config import Settings
from orchestrator.store.connection import connect, store_errors
from workers.standalone.directory import private_directory
from workers.standalone.guard import Guard
from workers.standalone.layout import Layout, flower_specs, watcher_specs, worker_specs
from workers.standalone.process import ProcessSpec
from workers.standalone.redis_server import find_redis_server, start_redis
from workers.standalone.supervisor import Supervisor

START_SECONDS = 60.0
"""For all processes together, on a machine that has other work."""


@dataclass(slots=True)
class System:
    """The parts that run. ``environ`` is what its processes and its clients are given."""

    directory: Path
    supervisor: Supervisor
    environ: dict[str, str]
    redis_address: str
    """Where Redis is, without its password."""

    @property
    def settings(self) -> Settings:
        """The settings of a client of this system."""
        return Settings.from_env(self.environ)

    def start(self, layout: Layout) -> list[str]:
        """Start every process of the layout and return their names; Flower comes once the workers are ready.

        It asks the workers for their queues when it starts, and its Broker page shows the queues it heard of then.
        """
        # Readiness is read from their logs, which go to files: nothing is gained by a higher level.
        level = "DEBUG" if self.settings.log_level == "DEBUG" else "INFO"
        environ = {
            **self.environ,
            "PYTHONUNBUFFERED": "1",
            "RESYNC_LOG_LEVEL": level,
            # The index of the shipped runbooks goes where everything else goes.
            "XDG_CACHE_HOME": str(self.directory / "cache"),
        }
        # One port for each process of a host: a single one for all of them would stop all but the first.
        environ.pop("RESYNC_HEALTH_PORT", None)
        specs = [*worker_specs(layout, environ), *watcher_specs(layout, environ)]
        names = self._start(specs)
        watching = flower_specs(layout, environ)
        if watching:
            self.wait_ready(names)
        return names + self._start(watching)

    def wait_ready(self, names: list[str]) -> None:
        """Wait until all of them can work. Raises ProcessFailed with the last words of one that cannot."""
        self.supervisor.wait_ready(names, timeout_seconds=START_SECONDS)

    def _start(self, specs: list[ProcessSpec]) -> list[str]:
        for spec in specs:
            self.supervisor.start(spec)
        return [spec.name for spec in specs]


@contextmanager
def system(environ: Mapping[str, str], *, redis_url: str | None, say: Callable[[str], None]) -> Iterator[System]:
    """A supervisor in a private directory, over the Redis of ``redis_url`` or an embedded one.

    At the end, and when this process is killed, its processes and its files are gone. Raises ConfigurationError,
    StoreUnreachable, ProcessFailed.
    """
    # Before anything runs: it may not be there.
    program = find_redis_server(environ) if redis_url is None else None
    with (
        Guard() as guard,
        private_directory(guard) as directory,
        Supervisor(directory / "logs", guard, say) as supervisor,
    ):
        try:
            given = dict(environ)
            if program is not None:
                server = start_redis(supervisor, program, directory, given)
                given["REDIS_URL"] = server.url
                address = server.address
            else:
                given["REDIS_URL"] = str(redis_url)
                address = _check_redis(given)
            yield System(directory, supervisor, given, address)
        finally:
            # A second Ctrl-C would leave the clean-up half done; it is bounded in time.
            with undisturbed():
                supervisor.stop()


def _check_redis(environ: Mapping[str, str]) -> str:
    client = connect(Settings.from_env(environ))
    try:
        with store_errors():
            client.ping()
        options = client.connection_pool.connection_kwargs
        where = options.get("path") or f"{options.get('host')}:{options.get('port')}"
    finally:
        client.close()
    return f"redis at {where}"
