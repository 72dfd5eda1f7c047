"""``submit`` and ``rerun``: ask a question and wait for the answer."""

import json
from typing import Any

import click

from orchestrator.cli.click_words import ClickText
from orchestrator.cli.completion import pipelines, run_ids, words
from orchestrator.cli.context import CliContext, RunClient, pass_context
from orchestrator.cli.follow import check_run_id, follow_to_the_end
from orchestrator.cli.options import build_request, json_option, redis_url_option, run_options
from orchestrator.i18n.message import Message
from orchestrator.models import is_run_id


def check_new_run_id(_context: click.Context, _option: click.Parameter, value: str | None) -> str | None:
    """The id for a new run, as an option's callback. Raises BadParameter for what is none."""
    if value is not None and not is_run_id(value):
        message = Message("{name!r} must be 8 to 64 letters, digits, '-' or '_', not starting with a sign")
        raise click.BadParameter(ClickText(message.with_facts(name=value[:80])))
    return value


@click.command("submit")
@click.argument("message")
@click.option("--job", "jobs", multiple=True, metavar="JOB", help="JOB, WS#STREAM.JOB, A,B, A1..A9 or A0*; repeatable.")
@click.option(
    "--pipeline",
    metavar="NAME",
    shell_complete=words(pipelines),
    help="Pipeline to run, or several: a|b; by the question when left out.",
)
@click.option("--instance", metavar="NAME", help="TWS instance to query.")
@run_options
@click.option("--user", metavar="ID", help="Who asks.")
@click.option("--session", metavar="ID", help="The conversation this belongs to.")
@click.option("--idempotency-key", metavar="KEY", help="The same key gives the same run.")
@click.option("--run-id", callback=check_new_run_id, metavar="ID", help="Id of the new run; made up when left out.")
@click.option("--watch/--no-wait", "wait", default=True, help="Follow the run, or only print its id.")
@json_option
@redis_url_option
@pass_context
def command(
    context: CliContext,
    /,
    *,
    message: str,
    run_id: str | None,
    idempotency_key: str | None,
    wait: bool,
    as_json: bool,
    redis_url: str | None,
    **options: Any,
) -> int:
    """Query every source about MESSAGE and print the answer.

    Progress goes to standard error, the answer to standard output. Ctrl-C detaches; the run goes on.

    Exit codes: 0 complete, 1 failed, 2 usage or configuration, 3 partial, 4 timed out, 5 broker or store unreachable,
    or overloaded, 6 cancelled, 130 interrupted.
    """
    settings = context.settings(redis_url)
    request = build_request(settings, message, options)
    with context.client(settings) as client:
        accepted = client.submit(request, run_id=run_id, idempotency_key=idempotency_key)
        return after_submit(context, client, accepted, wait=wait, as_json=as_json)


@click.command("rerun")
@click.argument("run_id", shell_complete=run_ids)
@click.option("--all", "everything", is_flag=True, help="Query every source again, not only those that failed.")
@click.option("--run-id", "new_run_id", callback=check_new_run_id, metavar="ID", help="Id of the new run.")
@click.option("--watch/--no-wait", "wait", default=True, help="Follow the run, or only print its id.")
@json_option
@redis_url_option
@pass_context
def rerun(
    context: CliContext,
    /,
    *,
    run_id: str,
    everything: bool,
    new_run_id: str | None,
    wait: bool,
    as_json: bool,
    redis_url: str | None,
) -> int:
    """Ask the question of RUN_ID again: only the sources that had failed; what the others answered is kept.

    Exit codes are those of submit; 7: no such run is stored.
    """
    check_run_id(run_id)
    with context.client(context.settings(redis_url)) as client:
        accepted = client.rerun(run_id, everything=everything, new_run_id=new_run_id)
        return after_submit(context, client, accepted, wait=wait, as_json=as_json)


def after_submit(context: CliContext, client: RunClient, run_id: str, *, wait: bool, as_json: bool) -> int:
    """Follow an accepted run, or print its id; returns the exit code."""
    if wait:
        return follow_to_the_end(context, client, run_id, as_json=as_json)
    if as_json:
        context.print_json(json.dumps({"run_id": run_id}))
    else:
        context.print_text(run_id)
    context.say(Message("submitted; follow it with: resync-troubleshoot watch {run_id}", run_id=run_id))
    return 0
