"""One benchmark run: both fleets run side by side and are measured in turn, so that the machine's load affects both."""

import dataclasses
import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from celery import Celery

from orchestrator.broker.app import make_celery
from orchestrator.client.sync import TroubleshootClient
from orchestrator.config import Settings
from orchestrator.i18n.message import Message
from orchestrator.sources import BUILTIN_SOURCES
from orchestrator.store.keys import ORCHESTRATOR_QUEUE
from orchestrator.testing import write_stub_sources
from workers.lab.bench.figures import machine, percentiles, rss_mb
from workers.lab.bench.plain import plain_celery
from workers.lab.bench.scenarios import LOAD, run_scenarios
from workers.lab.bench.subjects import BenchFailed, PlainChord, Troubleshoot, gather
from workers.standalone.layout import CELERY, DEFAULT_CONCURRENCY, Layout, watcher_specs, worker_specs
from workers.standalone.process import ProcessSpec
from workers.standalone.system import START_SECONDS, System, system

PLAIN_APP = "workers.lab.bench.plain"
WARM_UP_RUNS = 3
LOAD_ROUNDS = 2


@dataclasses.dataclass(frozen=True, slots=True)
class BenchOptions:
    """Size of a benchmark."""

    idle_runs: int = 30
    queued_runs: int = 300
    concurrency: int = DEFAULT_CONCURRENCY


def run_bench(environ: Mapping[str, str], options: BenchOptions, say: Callable[[Message], None]) -> dict[str, Any]:
    """Measure everything and return the figures.

    Raises BenchFailed, ConfigurationError, ProcessFailed.
    """
    with system(stripped(environ), redis_url=None, say=say) as parts, _fleets(parts, options, say) as (ours, plain):
        say(Message("idle: {count} runs of each, in turn", count=options.idle_runs))
        overhead: dict[str, list[float]] = {"ours": [], "plain": [], "gather": []}
        for number in range(-WARM_UP_RUNS, options.idle_runs):
            measured = {"ours": ours.run(LOAD), "plain": plain.run(LOAD), "gather": gather(LOAD)}
            if number >= 0:
                for name, timed in measured.items():
                    overhead[name].append(timed.overhead_ms)
        rates: dict[str, list[float]] = {"ours": [], "plain": []}
        for number in range(LOAD_ROUNDS):
            for name, subject in (("ours", ours), ("plain", plain)):
                say(
                    Message(
                        "load: {count} queued runs, {name}, round {number} of {total}",
                        count=options.queued_runs,
                        name=name,
                        number=number + 1,
                        total=LOAD_ROUNDS,
                    )
                )
                rates[name].append(subject.queue(LOAD, options.queued_runs))
        scenarios = run_scenarios(ours, say)
        memory = {state.name: rss_mb(state.pid) for state in parts.supervisor.states() if state.pid is not None}
    ours_overhead, plain_overhead = percentiles(overhead["ours"]), percentiles(overhead["plain"])
    runs_per_s, plain_per_s = max(rates["ours"]), max(rates["plain"])
    return {
        "idle": {"overhead_ms": ours_overhead, "runs": options.idle_runs},
        "load": {
            "runs_per_s": round(runs_per_s, 2),
            "queued": options.queued_runs,
            "rounds": [round(rate, 2) for rate in rates["ours"]],
        },
        "gather": {"overhead_ms": percentiles(overhead["gather"])},
        "plain_chord": {
            "overhead_ms": plain_overhead,
            "runs_per_s": round(plain_per_s, 2),
            "rounds": [round(rate, 2) for rate in rates["plain"]],
        },
        "ratios": {
            "overhead_to_plain_chord": round(ours_overhead["p50"] / plain_overhead["p50"], 2),
            "runs_per_s_to_plain_chord": round(runs_per_s / plain_per_s, 2),
        },
        "scenarios": scenarios,
        "rss_mb": memory | {"bench": rss_mb(os.getpid())},
        "concurrency": options.concurrency,
        "machine": machine(),
    }


@contextmanager
def _fleets(
    parts: System, options: BenchOptions, say: Callable[[Message], None]
) -> Iterator[tuple[Troubleshoot, PlainChord]]:
    stubs = parts.directory / "stubs"
    stubs.mkdir()
    write_stub_sources(stubs, BUILTIN_SOURCES)
    layout = Layout(concurrency=options.concurrency, watchers=1)
    base = {**parts.environ, "PYTHONUNBUFFERED": "1", "RESYNC_LOG_LEVEL": "WARNING"}
    ours = {**base, "PYTHONPATH": str(stubs)}
    plain = {**base, "RESYNC_KEY_PREFIX": "resync:bench:plain:"}
    fleets = {"ours": worker_specs(layout, ours), "plain": _plain_specs(layout, plain)}
    specs = [*fleets["ours"], *watcher_specs(layout, ours), *fleets["plain"]]
    say(Message("starting {count} processes", count=len(specs)))
    for spec in specs:
        parts.supervisor.start(quiet(spec))
    ours_settings, plain_settings = Settings.from_env(ours), Settings.from_env(plain)
    plain_app = plain_celery(plain_settings)
    wait_for_workers(make_celery(ours_settings, with_results=False), len(fleets["ours"]))
    wait_for_workers(plain_app, len(fleets["plain"]))
    with TroubleshootClient(ours_settings) as client:
        chord = PlainChord.connect(plain_app, plain_settings)
        try:
            yield Troubleshoot(client), chord
        finally:
            chord.close()


def quiet(spec: ProcessSpec) -> ProcessSpec:
    """``spec`` without a log line per task: this process would measure its own reading of the logs."""
    command = tuple("WARNING" if part == "INFO" else part for part in spec.command)
    return dataclasses.replace(spec, command=command, ready_text="")


def wait_for_workers(app: Celery, workers: int) -> None:
    """Wait until so many workers answer. Raises BenchFailed."""
    end = time.monotonic() + START_SECONDS
    while len(app.control.ping(timeout=0.5)) < workers:
        if time.monotonic() > end:
            raise BenchFailed(
                "not all of {count} workers answered within {seconds:g} s", count=workers, seconds=START_SECONDS
            )


def _plain_specs(layout: Layout, environ: Mapping[str, str]) -> list[ProcessSpec]:
    """The worker processes of the plain application, which has no orchestrator."""
    specs = []
    for spec in worker_specs(layout, environ):
        if spec.name == ORCHESTRATOR_QUEUE:
            continue
        module = spec.command.index(CELERY)
        command = (*spec.command[:module], "celery", "-A", PLAIN_APP, *spec.command[module + 1 :])
        specs.append(dataclasses.replace(spec, name=f"plain-{spec.name}", command=command))
    return specs


def stripped(environ: Mapping[str, str]) -> dict[str, str]:
    """The environment without the user's settings."""
    left_out = ("RESYNC_", "TWS_", "LLM_", "REDIS_URL", "PYTHONPATH")
    rest = {name: value for name, value in environ.items() if not name.removeprefix("APP_").startswith(left_out)}
    return {**rest, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{rest.get('PATH', '')}"}
