"""One benchmark run: both fleets up side by side, measured in turn, so that the machine's mood hits both alike."""

from __future__ import annotations

import dataclasses
import os
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from orchestrator.celery_app import ORCHESTRATOR_QUEUE, make_celery
from orchestrator.client import TroubleshootClient
from orchestrator.config import Settings
from orchestrator.sources import BUILTIN_SOURCES
from orchestrator.testing import write_stub_sources
from workers.bench.figures import machine, percentiles, rss_mb
from workers.bench.scenarios import LOAD, run_scenarios
from workers.bench.subjects import PlainChord, Troubleshoot, gather
from workers.embedded.layout import DEFAULT_CONCURRENCY, Layout, watcher_specs, worker_specs
from workers.embedded.process import ProcessSpec
from workers.embedded.system import START_SECONDS, System, system

PLAIN_APP = "workers.bench.plain"
WARM_UP_RUNS = 3
LOAD_ROUNDS = 2


@dataclasses.dataclass(frozen=True, slots=True)
class BenchOptions:
    """How much is measured."""

    idle_runs: int = 30
    queued_runs: int = 300
    concurrency: int = DEFAULT_CONCURRENCY


def run_bench(environ: Mapping[str, str], options: BenchOptions, say: Callable[[str], None]) -> dict[str, Any]:
    """Measure everything and return the figures.

    Raises BenchFailed, ConfigurationError, ProcessFailed.
    """
    with system(_stripped(environ), redis_url=None, say=say) as parts, _fleets(parts, options, say) as (ours, plain):
        say(f"idle: {options.idle_runs} runs of each, in turn")
        slowest = max(LOAD.values()) * 1000
        overhead: dict[str, list[float]] = {"ours": [], "plain": [], "gather": []}
        for number in range(-WARM_UP_RUNS, options.idle_runs):
            took = {"ours": ours.run(LOAD)[0], "plain": plain.run(LOAD), "gather": gather(LOAD)}
            if number >= 0:
                for name, milliseconds in took.items():
                    overhead[name].append(milliseconds - slowest)
        rates: dict[str, list[float]] = {"ours": [], "plain": []}
        for number in range(LOAD_ROUNDS):
            for name, subject in (("ours", ours), ("plain", plain)):
                say(f"load: {options.queued_runs} queued runs, {name}, round {number + 1} of {LOAD_ROUNDS}")
                rates[name].append(subject.queue(LOAD, options.queued_runs, lambda _done: None))
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
    parts: System, options: BenchOptions, say: Callable[[str], None]
) -> Iterator[tuple[Troubleshoot, PlainChord]]:
    stubs = parts.directory / "stubs"
    stubs.mkdir()
    write_stub_sources(stubs, BUILTIN_SOURCES)
    layout = Layout(concurrency=options.concurrency, watchers=1)
    base = {**parts.environ, "PYTHONUNBUFFERED": "1"}
    ours = {**base, "PYTHONPATH": str(stubs)}
    plain = {**base, "RESYNC_KEY_PREFIX": "resync:bench:plain:"}
    specs = [*worker_specs(layout, ours), *watcher_specs(layout, ours), *_plain_specs(layout, plain)]
    for spec in specs:
        parts.supervisor.start(spec)
    say(f"starting {len(specs)} processes")
    parts.supervisor.wait_ready([spec.name for spec in specs], timeout_seconds=START_SECONDS)
    plain_settings = Settings.from_env(plain)
    with TroubleshootClient(Settings.from_env(ours)) as client:
        chord = PlainChord.connect(make_celery(plain_settings, with_results=True), plain_settings)
        try:
            yield Troubleshoot(client), chord
        finally:
            chord.close()


def _plain_specs(layout: Layout, environ: Mapping[str, str]) -> list[ProcessSpec]:
    """The same worker commands with the plain application in the place of ours; it has no orchestrator."""
    specs = []
    for spec in worker_specs(layout, environ):
        if spec.name == ORCHESTRATOR_QUEUE:
            continue
        command = tuple(PLAIN_APP if part == "workers.app" else part for part in spec.command)
        specs.append(dataclasses.replace(spec, name=f"plain-{spec.name}", command=command))
    return specs


def _stripped(environ: Mapping[str, str]) -> dict[str, str]:
    """Without the user's own settings: a benchmark of sleeping sources asks nobody."""
    left_out = ("RESYNC_", "TWS_", "LLM_", "REDIS_URL", "PYTHONPATH")
    kept = {name: value for name, value in environ.items() if not name.removeprefix("APP_").startswith(left_out)}
    return {**kept, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{kept.get('PATH', '')}"}
