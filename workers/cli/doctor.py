"""``doctor``: check every configured counterpart and show how to repair it."""

import json
import shutil
import sys
from collections.abc import Sequence

import click

from orchestrator.cli.context import CliContext, pass_context
from orchestrator.cli.options import Seconds, json_option, redis_url_option
from orchestrator.errors import WrongUsage
from orchestrator.i18n.message import Message
from orchestrator.nearest import with_nearest
from workers.doctor.check import Check, CheckContext
from workers.doctor.checklist import all_checks, choose
from workers.doctor.report import json_report, summary, table_report
from workers.doctor.runner import exit_code, run_checks

DEFAULT_SECONDS = 3.0


@click.command("doctor")
@click.option("--only", multiple=True, metavar="NAME", help="This check alone, or all of a kind (tws); repeatable.")
@click.option(
    "--timeout",
    type=Seconds(0.2, 60),
    default=DEFAULT_SECONDS,
    show_default=True,
    metavar="SECONDS",
    help="For each check; all run at once.",
)
@json_option
@redis_url_option
@pass_context
def command(
    context: CliContext, /, *, only: tuple[str, ...], timeout: float, as_json: bool, redis_url: str | None
) -> int:
    """Check Redis, workers, queues, watchers, TWS, knowledge, log cache, metrics and the model.

    Run it where the workers run, with their environment: it looks at what that environment configures and changes
    nothing. Exit codes: 0 all ok or warnings, 1 something is broken, 2 a setting is wrong, 5 Redis unreachable.
    """
    environ = dict(context.environ)
    if redis_url is not None:
        environ["REDIS_URL"] = redis_url
    examination = CheckContext(environ, timeout)
    results = run_checks(_chosen(all_checks(examination), only), examination)
    if as_json:
        context.print_json(json.dumps(json_report(results), ensure_ascii=False, indent=2))
    else:
        width = shutil.get_terminal_size().columns if sys.stdout.isatty() else None
        click.echo(table_report(results, context.language, width=width))
        context.say(summary(results))
    return exit_code(results)


def _chosen(checks: Sequence[Check], only: tuple[str, ...]) -> list[Check]:
    try:
        return choose(checks, only)
    except KeyError as error:
        known = dict.fromkeys(name for check in checks for name in (check.family, check.name))
        name = error.args[0]
        problem = Message("--only: no check is named {name!r}; checks: {known}", name=name, known=", ".join(known))
        raise WrongUsage(with_nearest(problem, name, known)) from None
