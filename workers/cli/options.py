"""Options and errors that several worker-side commands share."""

import click

from orchestrator.errors import ConfigurationError
from orchestrator.i18n.message import Message
from workers.standalone.layout import DEFAULT_CONCURRENCY


def no_scenario(number: int, *, scored: bool = False) -> ConfigurationError:
    """The error for a number that no scenario has, or none whose answer is scored."""
    from workers.lab.simulator.scenarios import MANY_JOBS, SCENARIO_NUMBERS  # noqa: PLC0415  # start-up time

    if scored and number == MANY_JOBS:
        return ConfigurationError(
            Message(
                "--scenario: the answer to scenario {number} is not scored; those from 1 to {last} are",
                number=number,
                last=max(SCENARIO_NUMBERS),
            )
        )
    problem = Message("--scenario: there is no scenario {number}; see resync-troubleshoot demo --list", number=number)
    likely = min(SCENARIO_NUMBERS if scored else (*SCENARIO_NUMBERS, MANY_JOBS), key=lambda known: abs(known - number))
    return ConfigurationError(Message("{problem}; did you mean {likely}?", problem=problem, likely=str(likely)))


concurrency_option = click.option(
    "--concurrency",
    "-c",
    type=click.IntRange(1, 512),
    default=DEFAULT_CONCURRENCY,
    show_default=True,
    metavar="N",
    help="Tasks that a worker runs at once.",
)
