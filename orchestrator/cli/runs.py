"""``watch``, ``get``, ``cancel`` and ``list``: runs that exist already."""

import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import click
from pydantic import TypeAdapter, ValidationError

from orchestrator.cli.click_words import ClickText
from orchestrator.cli.completion import run_ids, words
from orchestrator.cli.context import CliContext, RunClient, pass_context
from orchestrator.cli.follow import (
    INTERRUPTED,
    check_run_id,
    detached,
    exit_code,
    follow_to_the_end,
    outcome_exit_code,
    print_report,
)
from orchestrator.cli.options import explain, json_option, redis_url_option
from orchestrator.cli.view import Progress, SourceRow, duration, is_long, long_rows
from orchestrator.codes.control import one_line
from orchestrator.errors import WrongUsage
from orchestrator.i18n.message import Message, Text
from orchestrator.models import Event, EventType, RunOutcome, RunSnapshot, RunState, RunSummary, SourceOutcome
from orchestrator.outcomes import PLANNED, RUNNING, run_word, source_word
from orchestrator.store.run_filter import OUTCOMES, STATES, RunFilter

RUN_LIST = TypeAdapter(tuple[RunSummary, ...])
_JOBS_IN_A_ROW = 3


@click.command("watch")
@click.argument("run_id", shell_complete=run_ids)
@click.option("--after", default="0", metavar="EVENT", show_default=True, help="Resume after this event id.")
@click.option("--results", is_flag=True, help="With --json: each source's data and evidence in its source_finished.")
@json_option
@redis_url_option
@pass_context
def watch(
    context: CliContext, /, *, run_id: str, after: str, results: bool, as_json: bool, redis_url: str | None
) -> int:
    """Follow RUN_ID to its end and print the answer; with --json, one event a line on standard output.

    Ctrl-C detaches; the run goes on. Exit codes are those of submit; 7: no such run is stored.
    """
    check_run_id(run_id)
    if results and not as_json:
        raise click.BadParameter(ClickText(Message("needs --json as well")), param_hint="--results")
    with context.client(context.settings(redis_url)) as client:
        if as_json:
            return _watch_json(context, client.stream(run_id, after=after, with_results=results), client, run_id)
        return follow_to_the_end(context, client, run_id, as_json=False, after=after)


def _watch_json(context: CliContext, events: Iterable[Event], client: RunClient, run_id: str) -> int:
    try:
        for event in events:
            context.print_json(event.model_dump_json())
            if event.type is EventType.CANCELLED:
                return outcome_exit_code(RunOutcome.CANCELLED)
        return exit_code(client.result(run_id))
    except KeyboardInterrupt:
        context.say(detached(run_id))
        return INTERRUPTED


@click.command("get")
@click.argument("run_id", shell_complete=run_ids)
@json_option
@redis_url_option
@pass_context
def get(context: CliContext, /, *, run_id: str, as_json: bool, redis_url: str | None) -> int:
    """Print RUN_ID as it stands: the answer when there is one, else how far it is.

    Exit codes are those of submit for a run that has ended, 0 for an open one, 7: no such run is stored.
    """
    check_run_id(run_id)
    with context.client(context.settings(redis_url)) as client:
        snapshot = client.get(run_id)
    if as_json:
        context.print_json(snapshot.model_dump_json(indent=2))
    elif snapshot.report is not None:
        print_report(context, snapshot.report, as_json=False)
    else:
        _print_progress(context, snapshot)
    if snapshot.report is not None:
        return exit_code(snapshot.report)
    return 0 if snapshot.outcome is None else outcome_exit_code(snapshot.outcome)


def _print_progress(context: CliContext, snapshot: RunSnapshot) -> None:
    """How far a run without a report is: a line a source on standard output, the whole in words on standard error."""
    planned = () if snapshot.plan is None else snapshot.plan.asked
    states = {source.key: snapshot.sources.get(source.key, {}) for source in planned} | snapshot.sources
    is_closed = snapshot.outcome is not None
    rows = {key: _source_row(key, state, is_closed=is_closed) for key, state in states.items()}
    word = run_word((snapshot.outcome or snapshot.state).value)
    if is_long(rows.values()):
        lines = (
            (row.name, row.text) if isinstance(row, Progress) else (row.source, source_word(row.state))
            for row in long_rows(rows.values())
        )
        context.print_text(context.table((Message("source"), Message("state")), *lines))
        jobs = Progress.of_jobs(rows.values()).text
        context.say(Message("run {run_id} is {state}; {jobs}", run_id=snapshot.run_id, state=word, jobs=jobs))
        return
    if rows:
        each = ((key, source_word(row.state), one_line(row.finding, 60)) for key, row in rows.items())
        context.print_text(context.table((Message("source"), Message("state"), Message("finding")), *each))
    finished = sum(1 for state in states.values() if state.get("outcome"))
    context.say(
        Message(
            "run {run_id} is {state}; {finished} of {count} source has finished",
            plural="run {run_id} is {state}; {finished} of {count} sources have finished",
            run_id=snapshot.run_id,
            state=word,
            finished=finished,
            count=len(states),
        )
    )


def _source_row(key: str, state: Mapping[str, Any], *, is_closed: bool) -> SourceRow:
    source, _, job = key.partition("|")
    unstarted = SourceOutcome.NOT_STARTED if is_closed else PLANNED
    unfinished = RUNNING if state.get("state") == "started" else unstarted
    finding = str(state.get("finding") or "")
    return SourceRow(source=source, job=job or None, state=str(state.get("outcome") or unfinished), finding=finding)


@click.command("cancel")
@click.argument("run_id", shell_complete=run_ids)
@json_option
@redis_url_option
@pass_context
def cancel(context: CliContext, /, *, run_id: str, as_json: bool, redis_url: str | None) -> int:
    """Cancel RUN_ID: its sources stop at their next step and nothing more is written.

    Exit code 0 when it is cancelled, 1 when it had ended before, 7 when no such run is stored.
    """
    check_run_id(run_id)
    with context.client(context.settings(redis_url)) as client:
        summary = client.cancel(run_id)
    if as_json:
        context.print_json(summary.model_dump_json(indent=2))
    if summary.state is RunState.CANCELLED:
        context.say(Message("run {run_id} is cancelled", run_id=run_id))
        return 0
    outcome = run_word((summary.outcome or summary.state).value)
    context.say(Message("run {run_id} had already ended: {outcome}", run_id=run_id, outcome=outcome))
    return 1


@click.command("list")
@click.option(
    "--state",
    multiple=True,
    metavar="STATE",
    shell_complete=words(lambda: STATES),
    help="In this state, or open: not ended; repeatable.",
)
@click.option(
    "--outcome",
    multiple=True,
    metavar="OUTCOME",
    shell_complete=words(lambda: OUTCOMES),
    help="With this outcome; repeatable.",
)
@click.option("--job", metavar="JOB", help="About this job, by as many parts of its name as are given, or a pattern.")
@click.option("--instance", metavar="NAME", help="Of this TWS instance.")
@click.option("--user", metavar="ID", help="Of this user.")
@click.option("--since", metavar="TIME", help="Submitted within this time (30m, 2h, 7d), or since then (2026-11-29).")
@click.option(
    "--limit", type=click.IntRange(1, 1000), default=20, show_default=True, metavar="N", help="How many runs to show."
)
@click.option("--after", metavar="PLACE", help="Go on where an earlier list ended, as it says.")
@json_option
@redis_url_option
@pass_context
def list_runs(
    context: CliContext,
    /,
    *,
    limit: int,
    after: str | None,
    as_json: bool,
    redis_url: str | None,
    **filters: Any,
) -> int:
    """List the newest runs, newest first."""
    try:
        where = RunFilter.model_validate(filters)
    except ValidationError as error:
        raise WrongUsage(explain(error, {name: f"--{name}" for name in filters})) from None
    with context.client(context.settings(redis_url)) as client:
        page = client.page(limit=limit, after=after, where=where)
    if as_json:
        context.print_json(RUN_LIST.dump_json(page.runs, indent=2).decode())
    elif page.runs:
        head = (Message("run"), Message("state"), Message("age"), Message("time"), Message("jobs"), Message("message"))
        now_ms = time.time() * 1000
        context.print_text(context.table(head, *(_row(summary, now_ms) for summary in page.runs)))
    elif page.next is None:
        is_filtered = after is not None or where != RunFilter()
        context.say(Message("no run is one of these") if is_filtered else Message("no runs are stored"))
    if page.next is not None:
        oldest_ms = int(page.next.partition("-")[0])
        context.say(
            Message(
                "looked back for {time}; older runs: --after {place}",
                time=_age(max(0.0, (time.time() * 1000 - oldest_ms) / 1000)),
                place=page.next,
            )
        )
    return 0


def _row(summary: RunSummary, now_ms: float) -> tuple[Text | str, ...]:
    latency = "" if summary.total_latency_ms is None else duration(summary.total_latency_ms / 1000)
    return (
        summary.run_id,
        run_word((summary.outcome or summary.state).value),
        _age(max(0.0, (now_ms - summary.created_at_ms) / 1000)),
        latency,
        _names(summary.jobs),
        one_line(summary.message, 60),
    )


def _names(jobs: Sequence[str]) -> str:
    """The first jobs, and how many more there are."""
    more = len(jobs) - _JOBS_IN_A_ROW
    return ",".join((*jobs[:_JOBS_IN_A_ROW], f"+{more}") if more > 0 else jobs)


def _age(seconds: float) -> str:
    for unit, size in (("d", 86_400), ("h", 3_600), ("min", 60)):
        if seconds >= size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} s"
