"""The processes of a whole system, and their commands."""

import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from orchestrator.broker.app import queue_names
from orchestrator.errors import ConfigurationError
from orchestrator.i18n.message import Message
from orchestrator.nearest import with_nearest
from workers.standalone.ports import HOST
from workers.standalone.process import ProcessSpec

CELERY = "workers"
"""The package that runs Celery for our application."""
FLOWER_CONFIGURATION = Path(__file__).parents[1] / "flower.py"
DEFAULT_CONCURRENCY = 32
WATCHERS = 2
"""When one dies, the other claims its wake-ups."""

# -P: a folder named workers or orchestrator in the working directory must not shadow the package.
_PYTHON = (sys.executable, "-P")


@dataclass(frozen=True, slots=True)
class Layout:
    """Number of processes of each kind."""

    workers: Mapping[str, int] = field(default_factory=dict)
    """Worker processes by queue; one for a queue that is not named."""
    concurrency: int = DEFAULT_CONCURRENCY
    watchers: int = WATCHERS
    flower_port: int | None = None


def worker_command(
    queues: tuple[str, ...],
    *,
    node: str,
    pool: str = "threads",
    concurrency: int = DEFAULT_CONCURRENCY,
    log_level: str = "INFO",
) -> tuple[str, ...]:
    """The command of one worker process; ``node`` is its unique name on the host."""
    return (
        *_PYTHON,
        *("-m", CELERY, "worker"),
        *("-P", pool, "-c", str(concurrency)),
        *("-Q", ",".join(queues), "-n", f"{node}@%h"),
        *("--without-gossip", "--without-mingle", "--loglevel", log_level),
    )


def parse_counts(values: tuple[str, ...]) -> dict[str, int]:
    """``QUEUE=N`` options as a mapping. Raises ConfigurationError naming the option and its form."""
    counts = {}
    for value in values:
        queue, equals, count = value.partition("=")
        if queue not in queue_names():
            known = queue_names()
            problem = Message(
                "--worker: no queue is named {name!r}; queues: {known}", name=queue, known=", ".join(known)
            )
            raise ConfigurationError(with_nearest(problem, queue, known))
        if not equals or not count.isdecimal() or not 0 <= int(count) <= 64:
            raise ConfigurationError(
                "--worker {given!r}: expected QUEUE=N with N from 0 to 64, as in {example}",
                given=value,
                example=f"{queue}=2",
            )
        counts[queue] = int(count)
    return counts


def worker_specs(layout: Layout, environ: Mapping[str, str]) -> list[ProcessSpec]:
    """The worker processes of every queue."""
    specs = []
    for queue in queue_names():
        for number in range(1, layout.workers.get(queue, 1) + 1):
            name = queue if number == 1 else f"{queue}-{number}"
            command = worker_command((queue,), node=name, concurrency=layout.concurrency)
            # Celery logs "NODE@HOST ready." once it consumes.
            specs.append(ProcessSpec(name=name, command=command, environ=environ, ready_text=" ready."))
    return specs


def watcher_specs(layout: Layout, environ: Mapping[str, str]) -> list[ProcessSpec]:
    """The deadline watchers."""
    command = (*_PYTHON, "-m", "orchestrator.watcher")
    return [
        ProcessSpec(name=f"watcher-{number}", command=command, environ=environ, ready_text="watcher_started")
        for number in range(1, layout.watchers + 1)
    ]


def flower_specs(layout: Layout, environ: Mapping[str, str]) -> list[ProcessSpec]:
    """Flower on the loopback interface, without credentials; empty without a port."""
    if layout.flower_port is None:
        return []
    command = (
        *_PYTHON,
        *("-m", CELERY, "flower"),
        *(f"--conf={FLOWER_CONFIGURATION}", f"--address={HOST}", f"--port={layout.flower_port}"),
        # Whoever is on this machine may see it: it executes no command of its pages.
        "--read_only=true",
    )
    return [ProcessSpec(name="flower", command=command, environ=environ, ready_text="Visit me at")]
