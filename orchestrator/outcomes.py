"""The words for what became of a source and of a run: in the live view, in an envelope's error, in an answer."""

from dataclasses import dataclass

from orchestrator.errors import StoreUnreachable
from orchestrator.i18n.message import Message, Text
from orchestrator.models import PlannedSource, RunOutcome, RunState, SourceOutcome

PLANNED, RUNNING = "planned", "running"
"""States of a source that has no outcome yet."""

_SOURCE_WORDS: dict[str, Message] = {
    PLANNED: Message("waiting", context="source"),
    RUNNING: Message("querying"),
    SourceOutcome.OK: Message("ok"),
    SourceOutcome.NO_DATA: Message("no data"),
    SourceOutcome.TIMEOUT: Message("timed out"),
    SourceOutcome.ERROR: Message("error"),
    SourceOutcome.NOT_STARTED: Message("not started"),
    SourceOutcome.LOST: Message("lost"),
    SourceOutcome.LATE: Message("late"),
}
"""A word for a table."""
_RUN_WORDS: dict[str, Message] = {
    RunState.ACCEPTED: Message("accepted"),
    RunState.DISPATCHING: Message("being dispatched"),
    RunState.DISPATCHED: Message("running"),
    RunState.DONE: Message("done"),
    RunOutcome.COMPLETE: Message("complete"),
    RunOutcome.PARTIAL: Message("partial"),
    RunOutcome.FAILED: Message("failed"),
    RunOutcome.TIMED_OUT: Message("timed out"),
    RunOutcome.CANCELLED: Message("cancelled"),
}
NO_TIME_LEFT = "no_time_left"
"""Reason of a source that timed out before it was asked."""
QUEUE_FULL = "queue_full"
"""Reason of a source that is not asked, because too many other requests wait for it."""
NOT_CONFIGURED = "not_configured"
"""Reason of a source that does not know its counterpart."""
_NO_TIME = Message("was not queried: its worker took the request when no time was left")
NOT_REACHED = Message("was not queried: the time was over before its turn came")
"""The error of a source of a stage that was not begun."""
_UNSERVED = Message(
    "was not queried: {count} request waits in queue {queue}, which serves {rate:g} in a second",
    plural="was not queried: {count} requests wait in queue {queue}, which serves {rate:g} in a second",
    count=0,
)
_ERRORS = {
    SourceOutcome.TIMEOUT: Message("did not answer within its limit of {limit:g} s"),
    SourceOutcome.NOT_STARTED: Message("was not queried: no worker took the queue {queue} in time"),
    SourceOutcome.LOST: Message("was started and never reported: the worker of queue {queue} stopped"),
}
"""The error in the envelope of a source that did not write one itself."""
REASONS = {
    SourceOutcome.TIMEOUT: Message("did not answer in time"),
    SourceOutcome.NOT_STARTED: Message("no worker started the request"),
    SourceOutcome.LOST: Message("its worker was lost during the request"),
    SourceOutcome.LATE: Message("answered too late"),
    SourceOutcome.NO_DATA: Message("answered with no data"),
}
"""Why an answer has to do without a source."""
BY_REASON = {
    NO_TIME_LEFT: Message("no time was left to query it"),
    QUEUE_FULL: Message("too many requests were waiting for it"),
    StoreUnreachable.reason: Message("not read before Redis stopped answering"),
}
"""The same by the reason of the failure, where that says more than the outcome."""


@dataclass(frozen=True, slots=True)
class Blockage:
    """What blocks the event loop of a worker."""

    key: str
    """The source whose code it is, with its job; empty when not known."""
    seconds: float
    """For how long it has done so."""
    where: str
    """File, line and function; empty when not known."""


LOOP_BLOCKED = "loop_blocked"
"""Reason of a source that timed out while the event loop of its worker was blocked."""


_OWN_BLOCKAGE = Message(
    "did not answer within its limit of {limit:g} s: its code blocked its worker's event loop ({where})"
)
_OTHER_BLOCKAGE = Message(
    "did not answer within its limit of {limit:g} s: {other} blocked the event loop of their worker ({where})"
)
_UNKNOWN_BLOCKAGE = Message(
    "did not answer within its limit of {limit:g} s: its worker's event loop was blocked ({where})"
)


def blocked_error(planned: PlannedSource, blockage: Blockage, *, limit_seconds: float) -> Message:
    """The error of a source that timed out while the event loop of its worker was blocked, by itself or by another."""
    if not blockage.key:
        message = _UNKNOWN_BLOCKAGE
    else:
        message = _OWN_BLOCKAGE if blockage.key == planned.key else _OTHER_BLOCKAGE
    return message.with_facts(limit=limit_seconds, where=blockage.where or "-", other=blockage.key)


def source_word(state: str) -> Text | str:
    """A source's state or outcome as a word; that of a newer server stands as it is."""
    return _SOURCE_WORDS.get(state, state)


def run_word(state: str) -> Text | str:
    """A run's state or outcome as a word; that of a newer server stands as it is."""
    return _RUN_WORDS.get(state, state)


def error_of(outcome: SourceOutcome, planned: PlannedSource, *, limit_seconds: float, queue: str = "") -> Message:
    """The error of a source that timed out, was not started or was lost.

    ``limit_seconds`` is the time that it had, ``queue`` the one to blame, by default that of the source.
    """
    if outcome is SourceOutcome.TIMEOUT and limit_seconds <= 0:
        return _NO_TIME
    return _ERRORS[outcome].with_facts(queue=queue or planned.source, limit=limit_seconds)


def unserved_error(planned: PlannedSource, *, waiting: int, per_second: float) -> Message:
    """The error of a source that is not asked, because its queue cannot serve the run in time."""
    return _UNSERVED.with_facts(count=waiting, queue=planned.source, rate=per_second)
