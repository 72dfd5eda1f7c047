"""How many runs a second there are with 1, 2, 4, ... workers of the slowest source, until something else is the limit.

All workers are started at once or earlier and told to take messages or none, so that the rounds of all numbers take
turns: what else the machine does affects all of them alike.
"""

import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from statistics import median
from typing import Any, Self

from celery import Celery

from orchestrator.broker.app import make_celery, queue_names
from orchestrator.client.sync import TroubleshootClient
from orchestrator.i18n.message import Message
from orchestrator.sources import BUILTIN_SOURCES
from orchestrator.store.connection import session
from orchestrator.store.load import read_load
from orchestrator.testing import write_stub_sources
from workers.lab.bench.bench import quiet, stripped, wait_for_workers
from workers.lab.bench.figures import cpu_times, machine
from workers.lab.bench.scenarios import LOAD
from workers.lab.bench.subjects import BenchFailed, Sleeps, Troubleshoot
from workers.standalone.layout import DEFAULT_CONCURRENCY, Layout, watcher_specs, worker_command, worker_specs
from workers.standalone.process import ProcessSpec
from workers.standalone.system import System, system

SLOW = "rag_search"
SLEEPS: Sleeps = {**LOAD, SLOW: 0.5}
PLACES = 2
"""Tasks that a worker of the slow source holds at once: 4 runs a second for each, far below what the rest can do."""
ROUND_SECONDS = 6.0
"""Seconds that the runs of a round take where the slow source is the limit."""
DOUBLED = 1.6
"""Least gain of a doubling that counts as one."""
BUSY = 0.9
"""Share of a processor, or of all, that counts as all of it."""
SAMPLE_SECONDS = 0.25
REPLY_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class ScaleOptions:
    """Size of the measurement."""

    max_workers: int = 16
    rounds: int = 3


@dataclass(frozen=True, slots=True)
class Round:
    """Runs a second with so many workers, and what else was busy meanwhile."""

    runs_per_s: float
    busy: float
    """Share of the machine's processors that was busy."""
    others: float
    """Share that processes took that are not of this system."""
    processes: Mapping[str, float]
    """Share of one processor that each process of this system took."""
    waiting: Mapping[str, float]
    """Mean number of messages that waited in each queue but that of the slow source."""


@dataclass(slots=True)
class Level:
    """The rounds with so many workers."""

    workers: int
    rounds: list[Round] = field(default_factory=list)

    @property
    def runs_per_s(self) -> float:
        """The median of its rounds."""
        return median(item.runs_per_s for item in self.rounds)

    @property
    def source_per_s(self) -> float:
        """What the workers of the slow source can do."""
        return self.workers * PLACES / SLEEPS[SLOW]

    def record(self, before: Self | None) -> dict[str, Any]:
        """Its figures, for JSON."""
        return {
            "workers": self.workers,
            "places": self.workers * PLACES,
            "runs_per_s": round(self.runs_per_s, 2),
            "source_per_s": self.source_per_s,
            "gain": None if before is None else round(self.runs_per_s / before.runs_per_s, 2),
            "rounds": [round(item.runs_per_s, 2) for item in self.rounds],
            "busy": round(median(item.busy for item in self.rounds), 2),
            "others": round(median(item.others for item in self.rounds), 2),
        }


def run_scale(environ: Mapping[str, str], options: ScaleOptions, say: Callable[[Message], None]) -> dict[str, Any]:
    """Measure 1, 2, 4, ... workers up to the first number that gives no more, and return the figures.

    Raises BenchFailed, ConfigurationError, ProcessFailed.
    """
    with system(stripped(environ), redis_url=None, say=say) as parts, _Fleet.start(parts) as fleet:
        levels = measured_levels(options, fleet.round, say)
    pairs = zip([None, *levels], levels, strict=False)
    return {
        "scale": [level.record(before) for before, level in pairs],
        "limit": limit_of(levels),
        "source": {"name": SLOW, "seconds": SLEEPS[SLOW], "places_per_worker": PLACES},
        "machine": machine(),
    }


def _doublings(most: int) -> list[int]:
    return [2**power for power in range(most.bit_length()) if 2**power <= most]


def measured_levels(
    options: ScaleOptions, measure: Callable[[Level], Round], say: Callable[[Message], None]
) -> list[Level]:
    """The numbers of workers up to the first that gives no more, each measured in all rounds, by turns.

    Where one round was disturbed, so that the medians say that it gives more after all, further numbers follow.
    """
    counts, levels = _doublings(options.max_workers), list[Level]()

    def take(level: Level) -> None:
        say(
            Message(
                "round {number} of {total}: {count} worker of {source}",
                plural="round {number} of {total}: {count} workers of {source}",
                count=level.workers,
            ).with_facts(number=len(level.rounds) + 1, total=options.rounds, source=SLOW)
        )
        level.rounds.append(measure(level))

    def may_go_on() -> bool:
        return len(levels) < len(counts) and not _has_met_a_limit(levels)

    while may_go_on() or len(levels[-1].rounds) < options.rounds:
        for level in levels:
            if len(level.rounds) < options.rounds:
                take(level)
        while may_go_on():
            levels.append(Level(counts[len(levels)]))
            take(levels[-1])
    return levels


def _has_met_a_limit(levels: list[Level]) -> bool:
    return len(levels) > 1 and levels[-1].runs_per_s < DOUBLED * levels[-2].runs_per_s


def limit_of(levels: list[Level]) -> dict[str, Any] | None:
    """What kept the last doubling from being one; None where it was.

    ``reason`` is ``processors`` (``busy`` of them, ``others`` by processes of others), ``process`` (``name``: threads
    of one share a processor), ``queue`` (``name``: the longest), or ``unknown``.
    """
    if not _has_met_a_limit(levels):
        return None
    last = min(levels[-1].rounds, key=lambda item: abs(item.runs_per_s - levels[-1].runs_per_s))
    if last.busy >= BUSY:
        return {"reason": "processors", "busy": round(last.busy, 2), "others": round(last.others, 2)}
    name, share = max(last.processes.items(), key=lambda item: item[1], default=("", 0.0))
    if share >= BUSY:
        return {"reason": "process", "name": name, "busy": round(share, 2)}
    queue, waiting = max(last.waiting.items(), key=lambda item: item[1], default=("", 0.0))
    if waiting >= 1:
        return {"reason": "queue", "name": queue, "waiting": round(waiting, 1)}
    return {"reason": "unknown"}


@dataclass(slots=True)
class _Fleet:
    """A worker for each queue, as many as are asked for of the slow source, and the clients."""

    parts: System
    environ: dict[str, str]
    app: Celery
    subject: Troubleshoot
    names: list[str] = field(default_factory=list)
    """Node names of the workers of the slow source."""

    @classmethod
    @contextmanager
    def start(cls, parts: System) -> Iterator["_Fleet"]:
        """With the workers of the other queues."""
        stubs = parts.directory / "stubs"
        stubs.mkdir()
        write_stub_sources(stubs, BUILTIN_SOURCES)
        environ = {
            **parts.environ,
            "PYTHONUNBUFFERED": "1",
            "RESYNC_LOG_LEVEL": "WARNING",
            "PYTHONPATH": str(stubs),
        }
        layout = Layout(workers={SLOW: 0}, concurrency=DEFAULT_CONCURRENCY, watchers=1)
        specs = [*worker_specs(layout, environ), *watcher_specs(layout, environ)]
        for spec in specs:
            parts.supervisor.start(quiet(spec))
        settings = parts.settings
        app = make_celery(settings, with_results=False)
        with TroubleshootClient(settings) as client:
            fleet = cls(parts, environ, app, Troubleshoot(client))
            wait_for_workers(app, len(specs) - layout.watchers)
            yield fleet

    def use(self, count: int) -> None:
        """Let so many workers of the slow source take messages, and no other."""
        others = len(queue_names()) - 1
        while len(self.names) < count:
            name = f"{SLOW}-{len(self.names) + 1}"
            command = worker_command((SLOW,), node=name, concurrency=PLACES)
            self.parts.supervisor.start(quiet(ProcessSpec(name=name, command=command, environ=self.environ)))
            self.names.append(name)
        wait_for_workers(self.app, others + len(self.names))
        nodes = {node for reply in self.app.control.ping(timeout=1.0) for node in reply}
        by_name = {node.partition("@")[0]: node for node in nodes}
        used = [by_name[name] for name in self.names[:count] if name in by_name]
        unused = [by_name[name] for name in self.names[count:] if name in by_name]
        self._tell("cancel_consumer", unused)
        self._tell("add_consumer", used)

    def _tell(self, command: str, nodes: list[str]) -> None:
        if not nodes:
            return
        replies = getattr(self.app.control, command)(
            SLOW, destination=nodes, reply=True, timeout=REPLY_SECONDS, limit=len(nodes)
        )
        if len(replies) < len(nodes):
            raise BenchFailed(
                "not all of {count} workers answered within {seconds:g} s", count=len(nodes), seconds=REPLY_SECONDS
            )

    def round(self, level: Level) -> Round:
        """Runs a second, over as many runs as the slow source can answer in the time of a round."""
        self.use(level.workers)
        pids = {state.name: state.pid for state in self.parts.supervisor.states() if state.pid is not None}
        before = cpu_times(pids)
        with _sampled(self.parts) as waiting:
            runs_per_s = self.subject.queue(SLEEPS, round(level.source_per_s * ROUND_SECONDS))
        spent = cpu_times(pids) - before
        return Round(
            runs_per_s=runs_per_s,
            busy=spent.busy,
            others=max(0.0, spent.busy - spent.own),
            processes=spent.processes,
            waiting={name: total / max(1, waiting[""]) for name, total in waiting.items() if name},
        )


@contextmanager
def _sampled(parts: System) -> Iterator[Counter[str]]:
    """The messages that wait in each other queue, added up sample by sample; the empty name counts the samples."""
    sums, ended, settings = Counter[str](), threading.Event(), parts.settings
    others = [name for name in queue_names() if name != SLOW]

    def sample() -> None:
        with session(settings) as client, TroubleshootClient(settings) as ours:
            while not ended.wait(SAMPLE_SECONDS):
                sums.update({load.queue: load.waiting for load in read_load(client, ours.store.keys, others)})
                sums[""] += 1

    thread = threading.Thread(target=sample, daemon=True)
    thread.start()
    try:
        yield sums
    finally:
        ended.set()
        thread.join()
