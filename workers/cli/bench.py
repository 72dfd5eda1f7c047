"""``bench``: compare overhead and throughput with asyncio.gather and a plain chord."""

from __future__ import annotations

import json
from typing import Any

import click

from orchestrator.cli.context import CliContext, pass_context
from orchestrator.cli.options import json_option
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
    from workers.lab.bench.bench import BenchOptions, run_bench  # noqa: PLC0415  # --help does without Celery

    options = BenchOptions(idle_runs=runs, queued_runs=queued, concurrency=concurrency)
    figures = run_bench(context.environ, options, context.tell)
    click.echo(json.dumps(figures, indent=2) if as_json else _table(figures))
    return 0


def _table(figures: dict[str, Any]) -> str:
    ours, plain, ratios = figures["idle"]["overhead_ms"], figures["plain_chord"]["overhead_ms"], figures["ratios"]
    rows = [
        ("orchestration overhead, idle (ms)", "p50", "p95", "p99"),
        ("  this project", ours["p50"], ours["p95"], ours["p99"]),
        ("  plain chord", plain["p50"], plain["p95"], plain["p99"]),
        ("  asyncio.gather, one process", *figures["gather"]["overhead_ms"].values()),
        ("  ratio to the plain chord", ratios["overhead_to_plain_chord"], "", ""),
        ("", "", "", ""),
        (f"{figures['load']['queued']} queued runs (runs/s)", "", "", ""),
        ("  this project", figures["load"]["runs_per_s"], "", ""),
        ("  plain chord", figures["plain_chord"]["runs_per_s"], "", ""),
        ("  ratio to the plain chord", ratios["runs_per_s_to_plain_chord"], "", ""),
        ("", "", "", ""),
        ("scenario", "sequential ms", "parallel ms", "speedup"),
        *(
            (f"  {row['name']}", row["sequential_ms"], row["parallel_ms"], f"{row['speedup']:.2f}x")
            for row in figures["scenarios"]
        ),
        ("", "", "", ""),
        ("memory (MB)", "", "", ""),
        *((f"  {name}", value, "", "") for name, value in figures["rss_mb"].items()),
    ]
    return "\n".join(f"{name!s:<36}{a!s:>15}{b!s:>15}{c!s:>12}".rstrip() for name, a, b, c in rows)
