"""``docs/reliability.md``: the table with the figures of the last trials."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from tests.acceptance.faults.fault import OUTCOMES, STACKS, Fault, promise_kinds
from tests.acceptance.faults.table import AREAS
from tests.acceptance.faults.trial import Figures

ROOT = Path(__file__).parents[3]
PAGE = ROOT / "docs" / "reliability.md"
FIGURES = Path(__file__).with_name("figures.json")
SOAK_FIGURES = Path(__file__).parent / "soak" / "figures.json"
HEAD = """# What holds when something fails

<!-- Written by `make faults` from tests/acceptance/faults: edit the table there. -->

What a caller gets while a process, Redis, the network, or code or data of others fails, and what was measured. Each
row of the tables is a fault that is done to a whole system of real processes (Redis, a worker for each queue, two
watchers, a web server, an app with clients of every kind) while questions are asked.

In every row, for every question:

- there is an answer or an error by the deadline, or late by the time of the promise, by the caller's own clock. To this
  is added what the machine itself was late, measured by a process that sleeps for 5 ms at a time;
- the run ends once: it has one terminal event, wherever Redis still has it;
- no answer of a source that came before the end of the run is lost;
- nothing else becomes of it than what is promised;
- no process ends by itself, and no secret is in a log or in a run;
- no traceback is logged, but those of code of others, and of Celery where it cannot acknowledge a message to Redis.

Questions are asked in turn by `result` and `stream` of the client, by the asynchronous client, by the graph with and
without its events, over HTTP with server-sent events, which connect again with `Last-Event-ID` and post a question anew
that the app could not accept, and, where Redis and a watcher are there, by a caller who does not wait: its run is read
afterwards. One in ten is about three jobs. Sources and model are stubs that take up to 0.4 s. A run has 4 s where
nothing else is said.

```sh
make faults                           # every row, with figures; writes this page
make faults ARGS="--list"
make faults ARGS="--only 'frozen' --runs 20"
make faults ARGS="--ci"               # the rows that CI tries, marked with *
```
"""
LEGEND = """
## How to read the tables

**Promise**: what may become of a question, and how late its caller may learn of it. A row adds how many questions are
complete at least. Five seconds after the end of the fault, where the row says nothing else, the system is whole again:
a question is answered by all sources and the model.

| Promise | A question ends as | Late by |
|---|---|---|
{promises}

| A question is | Meaning |
|---|---|
{outcomes}

**On**: the kind of system.

{kinds}

**Measured**: questions; what became of them; the worst answer, in ms from its deadline (negative: before it), and the
most that the machine itself was late; seconds until the system was whole again.
"""

SOAK_HEAD = """
## Soak

`make soak` asks 10,000 questions by every way that there is (both clients, the graphs, HTTP, server-sent events) while
workers with both pools, a watcher, a web server, a client and Redis are killed, stopped and frozen at random. Redis has
an append-only file that is written out every second, and loses its last second in some of the kills, as when the power
fails. One question in five has a second reader. Beside the processes that are killed, one of each role is not: what it
holds must be flat. Growth is fitted to the time after the warm-up, and compared with what is allowed.
"""
INTRODUCTIONS = {
    "Operations": """
What the operations team of a bank would try next, besides the kills: deploys, failovers, rotations, limits, mistakes.
"""
}
"""Of some areas."""


def read_figures() -> dict[str, Any]:
    """What was measured, by the name of the fault and the kind of the system; and where."""
    return json.loads(FIGURES.read_text("utf-8")) if FIGURES.exists() else {"where": {}, "rows": {}}


def write(measured: Mapping[tuple[str, str], Figures], where: Mapping[str, str]) -> None:
    """Keep new figures, and write the page."""
    figures = read_figures()
    rows = {key: figures["rows"].get(key) for key in map(row_key, *zip(*rows_of_page(), strict=True))}
    for (name, kind), measurement in measured.items():
        rows[f"{name} @ {kind}"] = asdict(measurement)
    kept = {"where": dict(where) or figures["where"], "rows": {key: row for key, row in rows.items() if row}}
    FIGURES.write_text(json.dumps(kept, indent=1, sort_keys=True) + "\n", "utf-8")
    PAGE.write_text(page(read_figures()), "utf-8")  # as they are read: sorted


def write_soak(figures: Mapping[str, Any]) -> None:
    """Keep the figures of a soak, and write the page."""
    SOAK_FIGURES.write_text(json.dumps(figures, indent=1) + "\n", "utf-8")
    PAGE.write_text(page(read_figures()), "utf-8")


def row_key(fault: Fault, kind: str) -> str:
    return f"{fault.name} @ {kind}"


def area_of(fault: Fault) -> str:
    """The heading under which it stands."""
    return next(area for area, faults in AREAS.items() if fault in faults)


def rows_of_page() -> Iterator[tuple[Fault, str]]:
    """Every fault on each of its kinds of systems."""
    return ((fault, kind) for faults in AREAS.values() for fault in faults for kind in fault.on)


def page(figures: Mapping[str, Any]) -> str:
    """The whole page."""
    kinds = "\n".join(f"- `{name}`: {kind.text}" for name, kind in STACKS.items())
    outcomes = "\n".join(f"| {name} | {text} |" for name, text in OUTCOMES.items())
    promises = "\n".join(f"| {name} | {', '.join(ends)} | {late:g} s |" for name, ends, late in promise_kinds())
    parts = [HEAD, LEGEND.format(kinds=kinds, outcomes=outcomes, promises=promises)]
    if figures["where"]:
        parts.append("\nMeasured: " + ", ".join(figures["where"].values()) + ".\n")
    for area, faults in AREAS.items():
        parts.append(f"\n## {area}\n{INTRODUCTIONS.get(area, '')}\n")
        parts.append("| Fault | What is done | Promise | On | Measured |\n|---|---|---|---|---|\n")
        for fault in faults:
            for place, kind in enumerate(fault.on):
                cells = (fault.name + " *" * fault.in_ci, fault.what, fault.promise.text())
                if place > 0:
                    cells = ("", "", "")
                measured = _measured(figures["rows"].get(row_key(fault, kind)))
                parts.append(f"| {' | '.join((*cells, f'`{kind}`', measured))} |\n")
    return "".join([*parts, *_soak()])


def _soak() -> Iterator[str]:
    yield SOAK_HEAD
    if not SOAK_FIGURES.exists():
        yield "\nNot measured yet.\n"
        return
    soak = json.loads(SOAK_FIGURES.read_text("utf-8"))
    number = sum(soak["disturbances"].values())
    yield f"\n{soak['runs']:,} questions in {soak['seconds'] / 60:.0f} minutes, {number} disturbances "
    yield f"(`SEED={soak['seed']}`): {soak['lost']} lost, {soak['twice']} answered twice, "
    yield f"{len(soak['broken'])} broken promises.\n\n| What became of them | Number |\n|---|---|\n"
    yield from (f"| {name} | {count:,} |\n" for name, count in soak["classes"].items())
    yield f"| answered later than 250 ms after the deadline | {soak['beyond_grace']:,} |\n"
    yield from (f"| of these and others, explained: {name} | {count:,} |\n" for name, count in soak["excused"].items())
    yield "\n| Process | Gauge | At first | Warm | At last | Growth | Allowed |\n|---|---|---|---|---|---|---|\n"
    for row in soak["gauges"]:
        cells = ["" if row.get(name) is None else str(row[name]) for name in ("warm", "growth", "limit")]
        first, last = row["first"], row["last"]
        yield f"| {row['process']} | {row['gauge']} | {first} | {cells[0]} | {last} | {cells[1]} | {cells[2]} |\n"


def _measured(row: Mapping[str, Any] | None) -> str:
    if row is None:
        return "not yet"
    outcomes = ", ".join(f"{row['outcomes'][name]} {name}" for name in OUTCOMES if name in row["outcomes"])
    text = (
        f"{row['runs']}: {outcomes}; {row['worst_ms']} ms (machine {row['delay_ms']} ms); {row['recovery_seconds']} s"
    )
    return f"{text}; **{len(row['broken'])} broken**" if row["broken"] else text
