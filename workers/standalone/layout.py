"""Which processes make a whole system, and how each is started."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass, field

from orchestrator.broker.app import queue_names
from orchestrator.errors import ConfigurationError
from workers.standalone.ports import HOST
from workers.standalone.process import ProcessSpec

APP = "workers.app"
DEFAULT_CONCURRENCY = 32
WATCHERS = 2
"""One may die: the other claims its wake-ups."""

# -P: a folder named workers or orchestrator where the command is run must not stand in for the package.
_PYTHON = (sys.executable, "-P")


@dataclass(frozen=True, slots=True)
class Layout:
    """How many processes of each kind."""

    workers: Mapping[str, int] = field(default_factory=dict)
    """Worker processes of a queue, where it is not one."""
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
    """The command of one worker process; ``node`` names it among the workers of its host."""
    return (
        *_PYTHON,
        *("-m", "celery", "-A", APP, "worker"),
        *("-P", pool, "-c", str(concurrency)),
        *("-Q", ",".join(queues), "-n", f"{node}@%h"),
        *("--without-gossip", "--without-mingle", "--loglevel", log_level),
    )


def parse_counts(values: tuple[str, ...]) -> dict[str, int]:
    """``QUEUE=N`` options as a mapping. Raises ConfigurationError naming the option and what it must be."""
    counts = {}
    for value in values:
        queue, equals, count = value.partition("=")
        if queue not in queue_names():
            raise ConfigurationError(f"--worker: no queue is named {queue!r}; queues: {', '.join(queue_names())}")
        if not equals or not count.isdecimal() or not 0 <= int(count) <= 64:
            raise ConfigurationError(f"--worker {value!r}: expected QUEUE=N with N from 0 to 64, as in {queue}=2")
        counts[queue] = int(count)
    return counts


def worker_specs(layout: Layout, environ: Mapping[str, str]) -> list[ProcessSpec]:
    """A worker process per queue, or as many as the layout says."""
    specs = []
    for queue in queue_names():
        for number in range(1, layout.workers.get(queue, 1) + 1):
            name = queue if number == 1 else f"{queue}-{number}"
            command = worker_command((queue,), node=name, concurrency=layout.concurrency)
            # Celery says "NODE@HOST ready." once it consumes.
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
    """Flower on the loopback interface, where it needs no credentials; none without a port."""
    if layout.flower_port is None:
        return []
    command = (
        *_PYTHON,
        *("-m", "celery", "-A", APP, "flower"),
        *(f"--address={HOST}", f"--port={layout.flower_port}"),
        # Without credentials Flower carries out no command of its pages, so it need not offer any. A task's arguments
        # begin with its run's id.
        *("--read_only=true", "--tasks_columns=name,uuid,state,received,runtime,worker,args"),
    )
    return [ProcessSpec(name="flower", command=command, environ=environ, ready_text="Visit me at")]
