"""``bench``: compare overhead and throughput with asyncio.gather and a plain chord."""

import json
from typing import Any

import click

from orchestrator.cli.context import CliContext, pass_context
from orchestrator.cli.options import json_option
from orchestrator.i18n.message import Message, Text
from workers.cli.options import concurrency_option


@click.command("bench")
@click.option(
    "--runs", type=click.IntRange(5, 1_000), default=30, show_default=True, metavar="N", help="Idle runs of each way."
)
@click.option(
    "--queued", type=click.IntRange(10, 800), default=300, show_default=True, metavar="N", help="Runs queued at once."
)
@concurrency_option
@json_option
@pass_context
def command(context: CliContext, /, *, runs: int, queued: int, concurrency: int, as_json: bool) -> int:
    """Measure this project beside asyncio.gather and beside a plain Celery chord on embedded parts.

    Sources sleep 300, 500, 100 and 50 ms. Takes about two minutes. Absolute times depend on the machine: compare
    the ratios.
    """
    from workers.lab.bench.bench import BenchOptions, run_bench  # noqa: PLC0415  # --help does not need Celery

    options = BenchOptions(idle_runs=runs, queued_runs=queued, concurrency=concurrency)
    figures = run_bench(context.environ, options, context.say)
    context.print_text(json.dumps(figures, indent=2) if as_json else _table(figures, context))
    return 0


def _table(figures: dict[str, Any], context: CliContext) -> str:
    ours, plain, ratios = figures["idle"]["overhead_ms"], figures["plain_chord"]["overhead_ms"], figures["ratios"]
    ratio, empty = Message("ratio to the plain chord"), ("", "", "", "")
    columns = Message("sequential ms"), Message("parallel ms"), Message("speedup")
    rows: list[tuple[object, ...]] = [
        (Message("orchestration overhead, idle (ms)"), "p50", "p95", "p99"),
        (_indented(Message("this project")), ours["p50"], ours["p95"], ours["p99"]),
        (_indented(Message("plain chord")), plain["p50"], plain["p95"], plain["p99"]),
        (_indented(Message("asyncio.gather, one process")), *figures["gather"]["overhead_ms"].values()),
        (_indented(ratio), ratios["overhead_to_plain_chord"], "", ""),
        empty,
        (Message("{queued} queued runs (runs/s)", queued=figures["load"]["queued"]), "", "", ""),
        (_indented(Message("this project")), figures["load"]["runs_per_s"], "", ""),
        (_indented(Message("plain chord")), figures["plain_chord"]["runs_per_s"], "", ""),
        (_indented(ratio), ratios["runs_per_s_to_plain_chord"], "", ""),
        empty,
        (Message("scenario, end to end"), *columns),
        *(
            _scenario(row["name"], row["sequential_ms"], row["parallel_ms"], row["speedup"])
            for row in figures["scenarios"]
        ),
        empty,
        (Message("scenario, by the report"), *columns),
        *(_scenario(row["name"], *row["report"].values()) for row in figures["scenarios"]),
        empty,
        (Message("memory (MB)"), "", "", ""),
        *((_indented(name), value, "", "") for name, value in figures["rss_mb"].items()),
    ]
    return "\n".join(_line(*(_cell(cell, context) for cell in row)) for row in rows)


def _scenario(name: str, sequential_ms: float, parallel_ms: float, speedup: float) -> tuple[object, ...]:
    return _indented(name), sequential_ms, parallel_ms, Message("{x:.2f}x", x=speedup)


def _indented(name: Text | str) -> Message:
    return Message("  {name}", name=name)


def _cell(cell: object, context: CliContext) -> str:
    if isinstance(cell, float):
        cell = Message("{number}", number=cell)
    return context.write(cell) if isinstance(cell, Text) else str(cell)


def _line(name: str, *cells: str) -> str:
    widths = (15, 15, 12)
    return (f"{name:<36}" + "".join(f"{cell:>{width}}" for cell, width in zip(cells, widths, strict=True))).rstrip()
