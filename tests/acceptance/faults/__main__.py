"""``make faults``: try every row of the table, say what was measured, and write ``docs/reliability.md``."""

from __future__ import annotations

import argparse
import logging
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from stack_support import Stack

from orchestrator import __version__
from tests.acceptance.faults import report
from tests.acceptance.faults.delay import MachineDelay
from tests.acceptance.faults.fault import STACKS, Fault
from tests.acceptance.faults.trial import Figures, Trial, warm_up

FAKETIME = next(iter(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1")), None)
SWITCHES = Path(__file__).with_name("switches.py")


def main() -> int:
    """Status 1 when a promise was broken, 2 when nothing is selected."""
    options = _options()
    if options.page:
        report.write({}, {})
        return 0
    rows = [
        (fault, kind)
        for kind in STACKS
        for fault, of_row in report.rows_of_page()
        if of_row == kind and options.kind in (None, kind)
        if all(word.lower() in f"{report.area_of(fault)}: {fault.name} @ {kind}".lower() for word in options.only)
        if (fault.in_ci and kind == fault.on[0]) or not options.ci
    ]
    if options.list:
        for fault, kind in rows:
            print(f"{fault.name} @ {kind}: {fault.promise.text()}")
        return 0
    if not rows:
        print("no row is selected; --list has all", file=sys.stderr)
        return 2
    measured = dict(_try_all(rows, options))
    broken = [row for row, figures in measured.items() if figures.broken]
    print(f"\n{len(measured)} of {len(rows)} rows tried, {len(broken)} broken")
    if options.write or not (options.only or options.kind or options.ci or options.runs):
        report.write(measured, _where())
    return 1 if broken else 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make faults ARGS=...", description=__doc__)
    parser.add_argument("--list", action="store_true", help="name the rows and their promises")
    parser.add_argument("--only", action="append", default=[], help="rows with this in their area, name or kind")
    parser.add_argument("--kind", choices=tuple(STACKS), help="rows on this kind of system")
    parser.add_argument(
        "--ci",
        action="store_true",
        help="the rows that CI tries, each on its first kind; one that breaks its promise is tried twice",
    )
    parser.add_argument("--runs", type=int, help="questions of each row, in place of the row's own number")
    parser.add_argument("--write", action="store_true", help="keep the figures of a selection on the page, too")
    parser.add_argument(
        "--page", action="store_true", help="write the page from the figures there are, and try nothing"
    )
    parser.add_argument("--keep-logs", type=Path, help="folder for the logs of the processes")
    options = parser.parse_args()
    if options.runs is not None and options.runs < 1:
        parser.error("--runs must be at least 1")
    return options


def _try_all(
    rows: Sequence[tuple[Fault, str]], options: argparse.Namespace
) -> Iterator[tuple[tuple[str, str], Figures]]:
    """Rows of one kind after the other on one system, which is started anew after a row that breaks a promise."""
    again: set[str] = set()
    with tempfile.TemporaryDirectory(prefix="resync-faults-") as name, MachineDelay(Path(name)) as delay:
        for kind in STACKS:
            waiting = [fault for fault, of_row in rows if of_row == kind]
            while waiting:
                parent = options.keep_logs or Path(name)
                parent.mkdir(parents=True, exist_ok=True)
                folder = Path(tempfile.mkdtemp(prefix=f"{kind}-", dir=parent))
                if kind == "clock" and FAKETIME is None and not os.environ.get("CI"):
                    print(f"{len(waiting)} rows are not tried: libfaketime is not installed")
                    break
                with _stack(kind, folder) as stack:
                    is_well = True
                    while waiting and is_well:
                        fault = waiting.pop(0)
                        runs = options.runs or max(1, round(fault.runs * STACKS[kind].share_of_runs))
                        figures = _try(fault, stack, delay, runs)
                        print(_line(fault, kind, figures), *figures.broken[:10], sep="\n    ", flush=True)
                        is_well = not figures.broken
                        if options.ci and not is_well and fault.name not in again:
                            # CI's machines are shared, and slow for a minute at times: what counts is a promise that is
                            # broken again when the other rows have been tried.
                            again.add(fault.name)
                            waiting.append(fault)
                            continue
                        yield (fault.name, kind), figures


def _try(fault: Fault, stack: Stack, delay: MachineDelay, runs: int) -> Figures:
    try:
        figures = Trial(fault, stack, delay, runs).run()
    except Exception as error:  # noqa: BLE001  # the other rows are tried all the same
        return Figures(broken=[f"the trial failed: {error!r}"])
    if not figures.broken:
        stack.heal()
        warm_up(stack)
    return figures


@contextmanager
def _stack(kind: str, folder: Path) -> Iterator[Stack]:
    settings: dict[str, Any] = dict(STACKS[kind].options)
    clock = folder / "redis_clock"
    if settings.pop("clock", False):
        clock.write_text("+0", "ascii")
        settings["redis_environ"] = {
            "LD_PRELOAD": str(FAKETIME),
            "FAKETIME_TIMESTAMP_FILE": str(clock),
            "FAKETIME_CACHE_DURATION": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        }
    with Stack(folder, environ={"RESYNC_STUB_SYNTHESIZER": "1"}, **settings) as stack:
        stack.redis_clock = clock
        stubs = folder / "stubs"
        if kind in ("network", "rediss", "clock"):
            (stubs / "sitecustomize.py").write_text(SWITCHES.read_text("utf-8"), "utf-8")
        logging.basicConfig(filename=folder / "app.log", force=True)
        sys.path.insert(0, str(stubs))  # this process is the app: what it asks itself are stubs, too
        try:
            stack.start()
            warm_up(stack)
            yield stack
        finally:
            sys.path.remove(str(stubs))


def _line(fault: Fault, kind: str, figures: Figures) -> str:
    outcomes = " ".join(f"{name}={number}" for name, number in sorted(figures.outcomes.items()))
    verdict = f"BROKEN ({len(figures.broken)})" if figures.broken else "ok"
    return (
        f"{time.strftime('%H:%M:%S')} {fault.name} @ {kind}: {verdict}; runs={figures.runs} {outcomes} "
        f"twice={figures.twice} lost={figures.lost} late={figures.late} worst={figures.worst_ms}ms "
        f"machine={figures.delay_ms}ms recovery={figures.recovery_seconds}s took={figures.seconds}s"
    )


def _where() -> dict[str, str]:
    commit = subprocess.run(("git", "rev-parse", "--short", "HEAD"), capture_output=True, text=True, check=False)
    return {
        "date": f"{datetime.now(UTC):%Y-%m-%d}",
        "version": f"version {__version__} ({commit.stdout.strip() or 'no checkout'})",
        "machine": f"{len(os.sched_getaffinity(0))} cores",
        "python": f"Python {sys.version_info.major}.{sys.version_info.minor}",
    }


if __name__ == "__main__":
    raise SystemExit(main())
