"""Following a run from its events to its report, and what its end means for the exit code."""

import time

from orchestrator.cli.context import CliContext, RunClient
from orchestrator.cli.view import NOTHING_SEEN, RunView
from orchestrator.codes.control import one_line
from orchestrator.errors import RunNotFound, StoreUnreachable
from orchestrator.i18n.message import Message
from orchestrator.models import UNREADABLE, Report, RunOutcome, is_run_id

INTERRUPTED = 130

_EXIT_CODES = {
    RunOutcome.COMPLETE: 0,
    RunOutcome.FAILED: 1,
    RunOutcome.PARTIAL: 3,
    RunOutcome.TIMED_OUT: 4,
    RunOutcome.CANCELLED: 6,
}


def outcome_exit_code(outcome: RunOutcome) -> int:
    """The exit code for a run's outcome."""
    return _EXIT_CODES[outcome]


def exit_code(report: Report) -> int:
    """The exit code for a report; the store's own when the report could not be committed because Redis went away."""
    if not report.committed and report.reason == StoreUnreachable.reason:
        return StoreUnreachable.exit_code
    return outcome_exit_code(report.outcome)


def follow(context: CliContext, client: RunClient, run_id: str, *, after: str = "0") -> Report:
    """Show the run's progress until it has ended and return its report.

    A stream that breaks off does not end the wait: the client answers by the deadline, from what it has received.
    """
    view = RunView(run_id=run_id)
    with context.display(view) as display:
        try:
            for event in client.stream(run_id, after=after, keeps_answers=True):
                display.take(event, time.monotonic())
        except StoreUnreachable as error:
            if view.last_event_id == NOTHING_SEEN:
                raise
            display.say(Message("the event stream broke off ({reason}); waiting for the answer", reason=error.reason))
        return client.result(run_id)


def print_report(context: CliContext, report: Report, *, as_json: bool) -> None:
    """The report on standard output: the answer, or the whole as JSON."""
    if not report.committed:
        context.say(
            Message(
                "the store stopped answering: this is what had been received ({reason})", reason=report.reason or "-"
            )
        )
    if as_json:
        context.print_json(report.model_dump_json(indent=2))
    elif report.response.strip():
        context.print_answer(report.response, _compact(report))


def _compact(report: Report) -> str:
    """The diagnosis as plain lines; empty without a diagnosis, or when the response only names the failure."""
    if report.diagnosis is None or report.routing is None or report.metadata.get(UNREADABLE):
        return ""
    from orchestrator.diagnosis.render import render_text  # noqa: PLC0415  # start-up time of --help

    return render_text(
        report.diagnosis,
        language=report.routing.language,
        aggregated=report.aggregated_data,
        evidence=report.evidence,
        mode=report.mode,
        llm=report.metadata.get("llm"),
        groups=report.groups if len(report.aggregated_data.jobs) > 1 else (),
    )


def follow_to_the_end(context: CliContext, client: RunClient, run_id: str, *, as_json: bool, after: str = "0") -> int:
    """Follow the run, print its report and return the exit code; Ctrl-C leaves the run going."""
    try:
        report = follow(context, client, run_id, after=after)
    except KeyboardInterrupt:
        context.say(detached(run_id))
        return INTERRUPTED
    print_report(context, report, as_json=as_json)
    return exit_code(report)


def detached(run_id: str) -> Message:
    """The line shown after Ctrl-C: the run goes on, and how to follow it again."""
    return Message("detached; the run goes on. Resume with: resync-troubleshoot watch {run_id}", run_id=run_id)


def check_run_id(run_id: str) -> None:
    """Raise RunNotFound for what cannot be a run's id: no such run is stored."""
    if not is_run_id(run_id):
        raise RunNotFound(
            "{run!r} is no run id; resync-troubleshoot list shows the stored runs", run=one_line(run_id, 64)
        )
