"""Options that several commands of the worker side share."""

from __future__ import annotations

import click

from workers.standalone.layout import DEFAULT_CONCURRENCY

concurrency_option = click.option(
    "--concurrency",
    "-c",
    type=click.IntRange(1, 512),
    default=DEFAULT_CONCURRENCY,
    show_default=True,
    metavar="N",
    help="Tasks that a worker runs at once.",
)
