"""A soak: thousands of runs while processes and Redis are killed at random; ends with 1 when a promise was broken."""

from __future__ import annotations

import argparse
import json
import re
import sys
import tempfile
import threading
import time
from collections import Counter
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

from fleet_support import make_fleet
from tests_support import new_redis

from orchestrator.broker.app import make_celery
from tests.acceptance.faults import report
from tests.acceptance.faults.delay import MachineDelay
from tests.acceptance.faults.soak.audit import Auditor
from tests.acceptance.faults.soak.delays import Delays
from tests.acceptance.faults.soak.gauges import Gauges
from tests.acceptance.faults.soak.killer import Killer
from tests.acceptance.faults.soak.load import Load
from tests.acceptance.faults.soak.members import ELDERS, VICTIMS, WORKERS, Client, Members
from tests.acceptance.faults.soak.verdict import Judge, Verdict, percentiles

RUN_TTL_SECONDS = 60
"""Short, so that the keys of runs come and go, and their number tells of those that stay."""
SAMPLE_SECONDS = 3.0
PROGRESS_SECONDS = 10.0
QUIET_RUNS = 40
BUSY_SECONDS = 1.0
"""Seconds of waiting for a processor with which a run need not be complete."""
FULL_RUNS = 10_000
RECOVERY_SECONDS = 15.0
"""Seconds after the last disturbance within which every worker must answer."""


def main() -> None:
    parser = argparse.ArgumentParser(prog="make soak ARGS=...", description=__doc__)
    parser.add_argument("--runs", type=int, default=FULL_RUNS, help="runs (10,000); 40 more follow in peace")
    parser.add_argument("--seed", type=int, default=1, help="seed of questions and kills (default: 1)")
    parser.add_argument("--minutes", type=float, default=45.0, help="bound: no more is asked after it (default: 45)")
    parser.add_argument("--rate", type=float, default=12.0, help="runs a second (default: 12)")
    parser.add_argument("--open", type=int, default=60, help="most open runs (default: 60)")
    parser.add_argument("--kill-seconds", type=float, default=6.0, help="mean between two kills (default: 6)")
    parser.add_argument("--redis-seconds", type=float, default=40.0, help="mean between two of Redis (default: 40)")
    parser.add_argument("--json", type=Path, help="file for the figures")
    parser.add_argument(
        "--write", action="store_true", help="put the figures onto docs/reliability.md; the default for 10,000 runs"
    )
    parser.add_argument("--keep", type=Path, help="folder for the logs of the processes, which are removed otherwise")
    options = parser.parse_args()
    if options.runs < 1:
        parser.error("--runs must be at least 1")
    sys.exit(Soak(options).run())


class Soak:
    """One soak from start to end."""

    def __init__(self, options: argparse.Namespace) -> None:
        self._options = options
        self._gauges = Gauges()
        self._load = Load(seed=options.seed, rate=options.rate, most=options.open)
        self._clients = 0

    def run(self) -> int:
        with ExitStack() as stack:
            kept = self._options.keep
            if kept is not None:
                kept.mkdir(parents=True, exist_ok=True)
            folder = kept or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="resync-soak-")))
            self._redis = stack.enter_context(new_redis(append_only=True))
            self._fleet = make_fleet(folder, self._redis.url)
            self._fleet.environ |= {
                f"RESYNC_RUN_TTL_{outcome}SECONDS": str(RUN_TTL_SECONDS)
                for outcome in ("", "PARTIAL_", "FAILED_", "TIMED_OUT_", "CANCELLED_")
            }
            stack.callback(self._fleet.stop)
            self._members = Members(self._fleet)
            for name in (*ELDERS, *VICTIMS):
                self._members.start(name)
            for name in (*ELDERS, *VICTIMS):
                self._members.wait_for(name)
            self._load.elder = self._new_client("elder")
            stack.callback(lambda: self._load.elder and self._load.elder.end(1))
            self._killer = Killer(
                self._members,
                self._redis,
                lambda: self._new_client("victim"),
                seed=self._options.seed,
                mean_seconds=self._options.kill_seconds,
                redis_seconds=self._options.redis_seconds,
            )
            stack.callback(lambda: self._killer.victim_client.end(1))
            self._load.elder.is_ready.wait(60)
            self._killer.victim_client.is_ready.wait(60)
            self._delays = Delays(stack.enter_context(MachineDelay(folder)), self._on_the_way)
            stack.callback(self._delays.close)
            self._auditor = Auditor(self._fleet.settings)
            self._auditor.start()
            return self._soak()

    def _soak(self) -> int:
        options = self._options
        self._began = time.monotonic()
        stop = threading.Event()
        watcher = threading.Thread(target=self._watch, args=(stop,), daemon=True)
        watcher.start()
        self._killer.start()
        self._load.run(options.runs, self._killer, self._began + options.minutes * 60)
        seconds = time.monotonic() - self._began
        self._killer.join()
        deaf = self._deaf_workers()
        quiet = self._quiet_runs()
        stop.set()
        watcher.join(30)
        self._await_audit()
        self._delays.read()
        verdict = Judge(self._load, self._killer, self._auditor, self._delays).judge()
        verdict.broken += [f"process: {failure}" for failure in self._killer.failures]
        verdict.broken += deaf + quiet
        ended = self._began + seconds
        rows = self._gauges.table(self._began, ended)
        for row in rows:
            if row["flat"] is False:
                verdict.broken.append(f"not flat: {row['gauge']} of {row['process']}: {row}")
        figures = self._figures(verdict, rows, seconds, ended)
        self._print(verdict, figures)
        if options.json:
            options.json.write_text(json.dumps(figures, indent=2) + "\n", "utf-8")
        if options.write or options.runs >= FULL_RUNS:
            report.write_soak(figures)
        return 1 if verdict.broken else 0

    def _new_client(self, role: str) -> Client:
        self._clients += 1
        name = role if role == "elder" else f"{role} {self._clients}"
        return Client(name, self._fleet, self._members.web_urls, self._load.take)

    def _on_the_way(self) -> list[int]:
        """Processes through whose hands every answer goes."""
        elder = self._load.elder
        pids = [pid for name, pid in self._members.elder_pids().items() if name in ("watcher elder", "web elder")]
        return [*pids, *([elder.popen.pid] if elder else ()), self._redis.pid]

    def _watch(self, stop: threading.Event) -> None:
        told, number = 0.0, 0
        while not stop.wait(SAMPLE_SECONDS):
            at = time.monotonic()
            elder = self._load.elder
            assert elder is not None
            self._gauges.sample(at, self._members.elder_pids() | {"client elder": elder.popen.pid})
            self._gauges.sample_redis(at, self._auditor.client, with_keys=number % 10 == 0)
            number += 1
            if at - told >= PROGRESS_SECONDS:
                told = at
                say(
                    f"{at - self._began:5.0f} s: {self._load.accepted} accepted, {self._load.open} open, "
                    f"{sum(self._load.refused.values())} refused, {len(self._auditor.endings)} ended in the store, "
                    f"{len(self._auditor.lost)} lost; {sum(self._killer.counts.values())} disturbances"
                )

    def _deaf_workers(self) -> list[str]:
        """Workers that run and do not answer: they would take no message either."""
        end, found = time.monotonic() + RECOVERY_SECONDS, 0
        while found < len(WORKERS) and time.monotonic() < end:
            app = make_celery(self._fleet.settings, with_results=False)
            with suppress(Exception):
                found = max(found, len(app.control.inspect(timeout=2.0).ping() or {}))
            app.close()
        return [] if found >= len(WORKERS) else [f"deaf: {found} of {len(WORKERS)} workers answer"]

    def _quiet_runs(self) -> list[str]:
        """Problems of runs that are asked when every process is up again: each must be complete."""
        first = len(self._load.questions)
        self._load.is_calm = True
        self._load.run(self._load.accepted + QUIET_RUNS, self._killer, time.monotonic() + 60)
        calm = [question for n, question in self._load.questions.items() if n >= first]
        poor = [question.told for question in calm if question.told.get("outcome") != "complete"]
        return [
            f"not complete in peace: {told}"
            for told in poor
            if not told or self._delays.between(told["asked"], told["answered"]) < BUSY_SECONDS
        ]

    def _await_audit(self) -> None:
        """Wait until every run in the store has been read."""
        end = time.monotonic() + 60
        known = {question.run for question in self._load.questions.values() if question.told.get("class") == "stored"}
        while time.monotonic() < end and not known <= self._auditor.endings.keys():
            time.sleep(0.5)
        self._auditor.stop.set()
        self._auditor.join(10)

    def _figures(self, verdict: Verdict, rows: list[dict[str, object]], seconds: float, ended: float) -> dict[str, Any]:
        late = [late * 1000 for at, late in self._delays.sleeper if self._began <= at <= ended]
        keys = self._gauges.key_kinds
        return {
            "runs": self._load.accepted,
            "seconds": round(seconds),
            "seed": self._options.seed,
            "disturbances": dict(sorted(self._killer.counts.items())),
            "classes": dict(sorted(verdict.classes.items())),
            "ended_in_store": len(self._auditor.endings),
            "twice": sum(ending.terminals > 1 for ending in self._auditor.endings.values()),
            "lost": len(self._auditor.lost),
            "late": {"number": len(verdict.late_ms), "ms": percentiles(verdict.late_ms)},
            "beyond_grace": verdict.beyond_grace,
            "latest": [text for _, text in sorted(verdict.latest, reverse=True)[:10]],
            "probe_ms": percentiles(late),
            "excused": dict(verdict.excused),
            "outcomes": dict(verdict.outcomes),
            "finishers": dict(verdict.finishers),
            "gauges": rows,
            "keys": {"early": dict(keys[len(keys) // 3][1]), "last": dict(keys[-1][1])} if keys else {},
            "for_ever": self._gauges.for_ever,
            "pool_processes": {name: len(pids) for name, pids in self._gauges.children.items()},
            "tracebacks": dict(tracebacks(self._fleet.logs())),
            "clients": dict(self._gauges.client_names[-1][1]) if self._gauges.client_names else {},
            "broken": verdict.broken,
        }

    def _print(self, verdict: Verdict, figures: dict[str, Any]) -> None:
        say("")
        say(f"{'process':<26}{'gauge':<10}{'first':>9}{'warm':>9}{'last':>9}{'growth':>9}{'limit':>8}  flat")
        for row in figures["gauges"]:
            cells = [row.get(name) for name in ("first", "warm", "last", "growth", "limit")]
            widths = (9, 9, 9, 9, 8)
            text = "".join(
                f"{'' if cell is None else cell:>{width}}" for cell, width in zip(cells, widths, strict=True)
            )
            say(f"{row['process']:<26}{row['gauge']:<10}{text}  {row['flat']}")
        for name, value in figures.items():
            if name not in ("gauges", "broken"):
                say(f"{name}: {json.dumps(value)}")
        kinds = Counter(line.partition(":")[0] for line in verdict.broken)
        say(f"broken promises: {len(verdict.broken)} {dict(kinds)}")
        for line in verdict.broken[:60]:
            say(f"  {line}")


def tracebacks(logs: str) -> Counter[str]:
    """The errors whose tracebacks were logged, by their last line, without those that the stubs raise."""
    lines = re.findall(r"^Traceback \(most recent call last\):\n(?:[ \n].*\n|\n)*(\S.*)", logs, re.MULTILINE)
    errors = [line for line in lines if not line.endswith(("the stub's own", "the source cancelled itself"))]
    return Counter(re.sub(r"[0-9a-f-]{32,}|soak-\d+|\d{3,}", "*", line)[:160] for line in errors)


def say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
