"""Options and errors that several worker-side commands share."""

import click

from orchestrator.errors import ConfigurationError
from workers.standalone.layout import DEFAULT_CONCURRENCY


def no_scenario(number: int) -> ConfigurationError:
    """The error for a number that no scenario has."""
    return ConfigurationError(
        "--scenario: there is no scenario {number}; see resync-troubleshoot demo --list", number=number
    )


concurrency_option = click.option(
    "--concurrency",
    "-c",
    type=click.IntRange(1, 512),
    default=DEFAULT_CONCURRENCY,
    show_default=True,
    metavar="N",
    help="Tasks that a worker runs at once.",
)
