"""A whole system on this machine: Redis and all processes, removed at the end."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from orchestrator.cli.process import undisturbed
from orchestrator.config import Settings
from orchestrator.i18n.message import Message
from orchestrator.store.connection import session
from workers.standalone.guard import Guard, private_directory
from workers.standalone.layout import Layout, flower_specs, watcher_specs, worker_specs
from workers.standalone.process import ProcessSpec
from workers.standalone.redis_server import find_redis_server, start_redis
from workers.standalone.supervisor import Supervisor

START_SECONDS = 60.0
"""Limit for the start of all processes, on a busy machine."""


@dataclass(slots=True)
class System:
    """A running system; ``environ`` is the environment of its processes and clients."""

    directory: Path
    supervisor: Supervisor
    environ: dict[str, str]

    @property
    def settings(self) -> Settings:
        """Settings for a client of this system."""
        return Settings.from_env(self.environ)

    def start(self, layout: Layout) -> list[str]:
        """Start every process of the layout and return their names; Flower starts once the workers are ready.

        It asks the workers for their queues only at its start, for its Broker page.
        """
        # Readiness is read from the logs, which need level INFO.
        level = "DEBUG" if self.settings.log_level == "DEBUG" else "INFO"
        environ = {
            **self.environ,
            "PYTHONUNBUFFERED": "1",
            "RESYNC_LOG_LEVEL": level,
            # The index of the shipped runbooks belongs into the private directory too.
            "XDG_CACHE_HOME": str(self.directory / "cache"),
        }
        # Each process of a host needs its own port: with one for all, only the first would start.
        environ.pop("RESYNC_HEALTH_PORT", None)
        specs = [*worker_specs(layout, environ), *watcher_specs(layout, environ)]
        names = self._start(specs)
        flower = flower_specs(layout, environ)
        if flower:
            self.wait_ready(names)
        return names + self._start(flower)

    def wait_ready(self, names: list[str]) -> None:
        """Wait until all of them are ready. Raises ProcessFailed with the last line of a process's log."""
        self.supervisor.wait_ready(names, timeout_seconds=START_SECONDS)

    def _start(self, specs: list[ProcessSpec]) -> list[str]:
        for spec in specs:
            self.supervisor.start(spec)
        return [spec.name for spec in specs]


@contextmanager
def system(environ: Mapping[str, str], *, redis_url: str | None, say: Callable[[Message], None]) -> Iterator[System]:
    """A system over the Redis of ``redis_url``, by default an embedded one.

    Its processes and files are removed at the end, also when this process is killed. Raises ConfigurationError,
    StoreUnreachable, ProcessFailed.
    """
    # Checked before anything starts: it may be missing.
    program = find_redis_server(environ) if redis_url is None else None
    with (
        Guard() as guard,
        private_directory(guard) as directory,
        Supervisor(directory / "logs", guard, say) as supervisor,
    ):
        try:
            variables = dict(environ)
            if program is not None:
                server = start_redis(supervisor, program, directory, variables)
                variables["REDIS_URL"] = server.url
            else:
                variables["REDIS_URL"] = str(redis_url)
                _check_redis(variables)
            yield System(directory, supervisor, variables)
        finally:
            # A second Ctrl-C must not interrupt the clean-up, which is bounded in time.
            with undisturbed():
                supervisor.stop()


def _check_redis(environ: Mapping[str, str]) -> None:
    """Raise StoreUnreachable when the Redis does not answer."""
    with session(Settings.from_env(environ)) as client:
        client.ping()
