"""How long a reader waits, by planted deadlines."""

from __future__ import annotations

import time
from contextlib import ExitStack
from itertools import count

import pytest
from redis.exceptions import ConnectionError as RedisConnectionError

from orchestrator.client.waiting import (
    GRACE_SECONDS,
    LATE_SECONDS,
    MAX_LATE_END_SECONDS,
    MAX_OVERTIME_SECONDS,
    Pulse,
    Waiting,
)
from orchestrator.deadline import Deadline
from orchestrator.errors import OutOfConnections, StoreUnreachable
from orchestrator.store.connection import store_errors

LONG_AGO = -1_000.0


@pytest.fixture(autouse=True)
def slow_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """Next to no time passes between two lines of a test."""
    ticks = count()
    monkeypatch.setattr(time, "monotonic", lambda: 2_000.0 + next(ticks) * 1e-7)


def waiting_since_before(
    deadline_in_seconds: float, *, answers: bool = False, patience: float | None = None
) -> Waiting:
    """The wait of a reader that came before the deadline."""
    limit = None if patience is None else Deadline.after(patience)
    waiting = Waiting(Deadline.after(deadline_in_seconds), Pulse(), limit, _began=Deadline.after(LONG_AGO).at)
    if answers:
        waiting.pulse.beat()
    return waiting


def test_a_silent_store_is_waited_for_to_the_deadline_and_its_grace() -> None:
    """Time is left up to the grace after the deadline, and none after it."""
    assert waiting_since_before(5).left() == pytest.approx(5 + GRACE_SECONDS)
    assert 0 < waiting_since_before(-GRACE_SECONDS / 4).left() < GRACE_SECONDS
    assert waiting_since_before(-GRACE_SECONDS).left() == 0


def test_a_store_that_answers_is_waited_for_longer() -> None:
    """A slow process does not take itself for a Redis that is gone, but its readers end all the same."""
    slow = waiting_since_before(-1, answers=True)
    assert 0 < slow.left() <= GRACE_SECONDS
    assert slow.may_run_over
    endless = waiting_since_before(-GRACE_SECONDS - MAX_LATE_END_SECONDS, answers=True)
    assert endless.left() == 0
    assert not endless.may_run_over
    assert not endless.is_silent, "it is the end of the run that is late"


def test_a_store_that_answers_and_fails_in_turn_is_waited_for_less_long() -> None:
    """One that serves reads and refuses the commit keeps a reader for two seconds, not for ten."""
    refusing = waiting_since_before(-GRACE_SECONDS - MAX_OVERTIME_SECONDS)
    refusing.failure = StoreUnreachable()
    refusing.pulse.beat()
    assert refusing.left() == 0


def test_the_time_in_which_a_run_is_ended_here_is_no_silence_of_the_store() -> None:
    """While this process works on an answer the store is not silent; while it waits for one it may be."""
    waiting = waiting_since_before(-1)
    with waiting.pulse.working():
        with store_errors():
            assert (waiting.left(), waiting.is_silent) == (0, True)
        waiting.pulse.answered_at = LONG_AGO
        assert 0 < waiting.left() <= GRACE_SECONDS
        assert not waiting.is_silent
        with store_errors():
            assert 0 < waiting.left() <= GRACE_SECONDS, "the next call has only been sent"
        with pytest.raises(StoreUnreachable), store_errors():
            raise RedisConnectionError
        waiting.pulse.answered_at = waiting.pulse.asked_at = LONG_AGO
        assert waiting.left() == 0
        with store_errors():
            pass
        waiting.pulse.answered_at = LONG_AGO
    assert waiting.left() > 0
    waiting.pulse.answered_at = LONG_AGO
    assert waiting.left() == 0


def test_a_call_that_is_sent_is_no_answer_of_a_store_that_has_failed() -> None:
    """Only an answer undoes a failure."""
    waiting = waiting_since_before(-1)
    with waiting.pulse.working():
        with store_errors():
            pass
        waiting.gives_up_after(StoreUnreachable())
        with store_errors():
            assert (waiting.left(), waiting.is_silent) == (0, True)


def test_a_store_that_failed_at_the_deadline_gets_no_more_than_the_grace() -> None:
    """A Redis that answers reads and refuses the commit is as good as gone, until it answers again."""
    refused = waiting_since_before(-GRACE_SECONDS / 4, answers=True)
    assert not refused.gives_up_after(StoreUnreachable())
    refused.deadline = Deadline.after(-GRACE_SECONDS)
    assert refused.gives_up_after(StoreUnreachable())
    assert not refused.may_run_over
    refused.pulse.beat()
    assert refused.left() > 0


def test_an_error_before_the_deadline_is_forgotten() -> None:
    """A Redis that was away for a moment in mid-run is waited for like any other."""
    early = waiting_since_before(5)
    assert not early.gives_up_after(StoreUnreachable())
    assert early.failure is None


def test_a_reader_that_comes_late_has_time_to_read() -> None:
    """After the deadline, and after a caller was busy for long with an event, a reader gets its time anew."""
    late = waiting_since_before(-60)
    assert late.left() == 0
    late.resume()
    assert late.left() == pytest.approx(LATE_SECONDS)


def test_a_callers_patience_ends_any_wait() -> None:
    """What the caller gave as its limit holds before the deadline and while the store answers."""
    assert waiting_since_before(5, patience=0.5).left() == pytest.approx(0.5)
    over = waiting_since_before(-1, answers=True, patience=0)
    assert (over.left(), over.is_out_of_patience, over.may_run_over) == (0, True, False)


def test_a_refused_connection_is_raised_to_those_who_still_wait() -> None:
    """It is an error of this process, and of no matter to a caller that has lost its patience before."""
    waiting = waiting_since_before(-GRACE_SECONDS)
    assert waiting.gives_up_after(OutOfConnections())
    with pytest.raises(OutOfConnections):
        waiting.check_refusal()
    waiting.patience = Deadline.after(0)
    waiting.check_refusal()


def test_many_readers_of_a_process_read_their_copies_less_often() -> None:
    """Four times a second each, and 200 times a second all together."""
    pulse = Pulse()
    with ExitStack() as readers:
        for _ in range(40):
            readers.enter_context(pulse.reading())
        assert pulse.copy_seconds == 0.25
        for _ in range(460):
            readers.enter_context(pulse.reading())
        assert pulse.copy_seconds == pulse.pause(0.05) == 2.5
    assert pulse.copy_seconds == 0.25
