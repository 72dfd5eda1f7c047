"""``bench``: compare overhead and throughput with asyncio.gather and a plain chord; or find out what scales."""

import json
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

from orchestrator.cli.click_words import ClickText
from orchestrator.cli.context import CliContext, pass_context
from orchestrator.cli.options import json_option
from orchestrator.i18n.message import Message, Text
from workers.cli.options import concurrency_option

_OF_SCALE = ("max_workers", "rounds", "svg")
_NOT_OF_SCALE = ("runs", "queued", "concurrency")


@click.command("bench")
@click.option(
    "--runs", type=click.IntRange(5, 1_000), default=30, show_default=True, metavar="N", help="Idle runs of each way."
)
@click.option(
    "--queued", type=click.IntRange(10, 800), default=300, show_default=True, metavar="N", help="Runs queued at once."
)
@concurrency_option
@click.option(
    "--scale",
    is_flag=True,
    help="Instead: runs/s with 1, 2, 4, ... workers of a slow source, until something else is the limit.",
)
@click.option(
    "--max-workers",
    type=click.IntRange(2, 64),
    default=16,
    show_default=True,
    metavar="N",
    help="With --scale: most workers.",
)
@click.option(
    "--rounds",
    type=click.IntRange(1, 20),
    default=3,
    show_default=True,
    metavar="N",
    help="With --scale: rounds of all numbers of workers, by turns; the median counts.",
)
@click.option(
    "--svg",
    type=click.Path(dir_okay=False, writable=True, path_type=Path),
    metavar="FILE",
    help="With --scale: also draw the curve.",
)
@json_option
@click.pass_context
@pass_context
def command(
    context: CliContext,
    click_context: click.Context,
    /,
    *,
    runs: int,
    queued: int,
    concurrency: int,
    scale: bool,
    max_workers: int,
    rounds: int,
    svg: Path | None,
    as_json: bool,
) -> int:
    """Measure this project beside asyncio.gather and beside a plain Celery chord on embedded parts.

    Sources sleep 300, 500, 100 and 50 ms. Takes about two minutes. Absolute times depend on the machine: compare
    the ratios.
    """
    _check_options(click_context, scale=scale)
    if scale:
        return _scale(context, max_workers, rounds, svg, as_json=as_json)
    from workers.lab.bench.bench import BenchOptions, run_bench  # noqa: PLC0415  # --help does not need Celery

    options = BenchOptions(idle_runs=runs, queued_runs=queued, concurrency=concurrency)
    figures = run_bench(context.environ, options, context.say)
    context.print_text(json.dumps(figures, indent=2) if as_json else _table(figures, context))
    return 0


def _check_options(click_context: click.Context, *, scale: bool) -> None:
    """Raise BadParameter for an option that would be without effect."""
    for name in _NOT_OF_SCALE if scale else _OF_SCALE:
        if click_context.get_parameter_source(name) is ParameterSource.COMMANDLINE:
            problem = Message("is not for --scale") if scale else Message("needs --scale as well")
            raise click.BadParameter(ClickText(problem), param_hint=f"--{name.replace('_', '-')}")


def _scale(context: CliContext, max_workers: int, rounds: int, svg: Path | None, *, as_json: bool) -> int:
    # Imported here: --help does not need Celery.
    from workers.lab.bench.curve import curve_svg, limit_text  # noqa: PLC0415
    from workers.lab.bench.scale import ScaleOptions, run_scale  # noqa: PLC0415

    if svg is not None:
        try:  # before the minutes that it takes to have something to draw
            svg.touch()
        except OSError as error:
            problem = Message("cannot be written ({detail})", detail=error.strerror or str(error))
            raise click.BadParameter(ClickText(problem), param_hint="--svg") from error
    figures = run_scale(context.environ, ScaleOptions(max_workers=max_workers, rounds=rounds), context.say)
    if svg is not None:
        svg.write_text(curve_svg(figures, context.write), encoding="utf-8")
    if as_json:
        context.print_json(json.dumps(figures, indent=2))
        return 0
    head = (
        Message("workers"),
        Message("runs/s"),
        Message("source (runs/s)"),
        Message("gain"),
        Message("processors busy"),
        Message("by others"),
    )
    rows = [
        (
            str(level["workers"]),
            Message("{number:.1f}", number=level["runs_per_s"]),
            Message("{number:g}", number=level["source_per_s"]),
            "" if level["gain"] is None else Message("{x:.2f}x", x=level["gain"]),
            f"{level['busy']:.0%}",
            f"{level['others']:.0%}",
        )
        for level in figures["scale"]
    ]
    context.print_text(context.table(head, *rows))
    context.print_text(limit_text(figures))
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
