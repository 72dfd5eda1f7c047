"""The deadline watcher: acts on due wake-ups, so that every run ends by its deadline whatever happens to its chord.

Run two or more. A wake-up is made due again before it is acted on, so a watcher that dies loses none.
"""

import argparse
import gc
import math
import os
import signal
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from http import HTTPStatus
from types import FrameType
from typing import TypeVar

import redis

from orchestrator.after_commit import AfterCommit, load_after_commit
from orchestrator.broker.app import make_celery
from orchestrator.broker.publisher import Publisher
from orchestrator.config import Settings
from orchestrator.deadline import Deadline
from orchestrator.errors import (
    RunDamaged,
    RunNotFound,
    SchemaMismatch,
    StoreUnreachable,
    TroubleshootError,
    end_process,
)
from orchestrator.health import ALIVE_SECONDS, READY_SECONDS, Beat, HealthServer, HealthSettings, Page, check_page
from orchestrator.logs import bind_process, bound, configure_log, configure_performance_log, get_logger, log_error
from orchestrator.models import RunState
from orchestrator.run.conclusion import warm_up
from orchestrator.run.finisher import Finisher
from orchestrator.run.refine import COMMIT_RESERVE_SECONDS
from orchestrator.store.connection import connect
from orchestrator.store.keys import ORCHESTRATOR_QUEUE, SYNTHESIS_QUEUE, Keys
from orchestrator.store.presence import Presence
from orchestrator.store.records import Claimed, Wakeup
from orchestrator.store.runs import COMMIT_MARGIN_MS, REARM_MS, RunStore
from orchestrator.tracing import parent_of, span, start_tracing, stop_tracing

_T = TypeVar("_T")
_LOGGER = get_logger("orchestrator.watcher")
POLL_SECONDS = 0.25
RULES_SECONDS, BRIEF_SECONDS, UNREAD_SECONDS = 0.025, 0.003, 0.0005
"""Seconds to answer a run by the rules, with raw data, and without reading it, until some have been measured."""
WEIGHT_OF_SLOWER, WEIGHT_OF_FASTER = 0.5, 0.1
"""Weight of the newest measurement in the mean: a machine that gets busy is noticed at once."""
BATCH_SECONDS, BRIEF_BATCH, UNREAD_BATCH = 0.05, 12, 64
"""Work that is claimed at once, by the rules, with raw data and unread: other watchers share the rest, and it is done
before the claim runs out."""
OTHERS = 8
"""Wake-ups that are claimed at once and are no total deadlines."""
LATENESS_SECONDS = 0.1
"""Seconds after the deadline that are counted on when runs are too many for the rules."""
RESERVE = 1.5
"""How much longer than measured the other runs may take."""
AHEAD_SECONDS = 0.8
"""How much earlier total deadlines are acted on when many are due at once; no model is asked then any more."""
RETRY_SECONDS = 1.0
"""Seconds to the next look at what is not a deadline."""
HEARTBEAT_SECONDS = 3.0
TOLD_SECONDS = 10.0
"""Seconds after which the log says again that the store cannot be reached, for the same reason."""
MAX_REPUBLISH = 2
"""Times that a run is published again: two lost messages are bad luck, three mean that no worker runs."""
PACK_SECONDS = 0.02
"""Seconds to the next wake-up with which a run is compressed before it."""
MODEL_MS = int(2 * COMMIT_RESERVE_SECONDS * 1000)
"""Milliseconds to the deadline with which a finisher does not ask a model: nothing is gained by waiting for one."""
MAX_FAILURES = 5
"""Failures after which a wake-up is given up; with pauses that double from 1 s on, within half a minute."""
UNREAD_GRACE_SECONDS = 0.15
"""Seconds after the deadline for which a run of another schema is left to processes that can read it; its answer is in
the grace of a run under faults."""
UNREAD_PAUSE_SECONDS = 0.1
"""Pause between two looks at such a run at its deadline: a watcher that can read it may come first."""


class Watcher:
    """Claims due wake-ups and acts on them: publishes lost runs again, triggers finishers, commits at the deadline.

    ``name`` identifies the watcher in logs and reports; ``presence`` announces it. ``clock`` is that of the health
    checks, in seconds.
    """

    def __init__(
        self,
        store: RunStore,
        publisher: Publisher,
        *,
        name: str,
        presence: Presence | None = None,
        after_commit: Sequence[AfterCommit] = (),
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._store = store
        self._publisher = publisher
        self._presence = presence
        self._name = name
        self._finisher = Finisher(store, by=f"watcher:{name}", after_commit=after_commit)
        self._rules = _Pace(RULES_SECONDS)
        self._brief, self._unread = _Pace(BRIEF_SECONDS, BRIEF_BATCH), _Pace(UNREAD_SECONDS, UNREAD_BATCH)
        self._pace = self._rules
        self._is_crowded = False
        self._loop_beat, self._store_beat = Beat(clock), Beat(clock)
        self._store_problem: TroubleshootError | None = None
        self._told: dict[str, Deadline] = {}

    def alive(self) -> str | None:
        """The problem for a liveness check, or None: the loop has stopped."""
        age = self._loop_beat.age_seconds
        return None if age < ALIVE_SECONDS else f"the loop has not turned for {age:.0f} s"

    def ready(self) -> str | None:
        """The problem for a readiness check, or None: the wake-ups cannot be read."""
        age = self._store_beat.age_seconds
        return (
            None
            if age < READY_SECONDS
            else f"the store has not been read for {age:.0f} s: {self._store_problem or 'no step has ended'}"
        )

    def run(self, stop: threading.Event) -> None:
        """Act on wake-ups until ``stop`` is set; waits for a Redis that is unreachable."""
        pause, heartbeat = 0.0, Deadline.after(0)
        while not stop.wait(pause):
            self._loop_beat.mark()
            try:
                if heartbeat.has_passed and self._presence is not None:
                    # Set first: an announcement that fails must not delay runs.
                    heartbeat = Deadline.after(HEARTBEAT_SECONDS)
                    self._store.set_foreign_aside()
                    self._presence.announce(watcher=self._name)
                pause = self.step()
                self._store_beat.mark()
                self._store_problem = None
            except (StoreUnreachable, RunDamaged) as error:
                self._store_problem = error
                self._tell(error, "watcher_store_unreachable")
                if isinstance(error, RunDamaged):
                    heartbeat = Deadline.after(0)  # which sets aside what is no key of ours
                pause = POLL_SECONDS

    def _tell(self, error: TroubleshootError, event: str, *values: str) -> None:
        """Log an error of the store, and one that stays the same only now and then, whichever runs it is about."""
        text = str(error)
        if self._told.get(text, Deadline.after(0)).has_passed:
            _LOGGER.warning(f"{event} error=%s", *values, text)
            self._told[text] = Deadline.after(TOLD_SECONDS)

    def step(self) -> float:
        """Act on due wake-ups; returns the seconds until the next step.

        Raises StoreUnreachable.
        """
        claimed_for = self._pace
        size = self._pace.batch or max(1, int(BATCH_SECONDS / self._pace.seconds))
        claimed = self._store.claim_wakeups(
            total_limit=size,
            other_limit=max(size, OTHERS),
            ahead_ms=int(AHEAD_SECONDS * 1000) if self._is_crowded else 0,
        )
        claim = Deadline.after(REARM_MS / 1000)
        until_crowded = self._look_ahead(claimed)
        # So many are not answered with more care than they were claimed for.
        pace = min(claimed_for, self._pace, key=lambda item: item.seconds)
        # Total deadlines first: their runs must be answered now.
        due = [wakeup for wakeup in claimed.wakeups if wakeup.kind == "total"]
        self._answer(due, pace, claim)
        due = self._check([wakeup for wakeup in claimed.wakeups if wakeup.kind != "total"])
        self._answer(due[:size], pace, claim)
        if due[size:]:  # now, for whichever watcher comes first
            self._store.postpone(*due[size:], seconds=0)
        if claimed.wakeups:
            return 0.0
        if self._finisher.run_hooks():
            return 0.0
        has_time = claimed.next_seconds is None or claimed.next_seconds > PACK_SECONDS
        if has_time and not self._is_crowded and self._pack():
            return 0.0
        pause = POLL_SECONDS if claimed.next_seconds is None else min(POLL_SECONDS, claimed.next_seconds)
        return max(0.005, min(pause, until_crowded))

    def _pack(self) -> bool:
        """Compress a run that was closed some seconds ago; False when there is none."""
        run_id = self._store.claim_unpacked()
        if run_id is None:
            return False
        try:
            self._store.pack(run_id)
        except RunNotFound:
            _LOGGER.debug("run_gone run_id=%s", run_id)
        except RunDamaged as error:
            _LOGGER.warning("run_not_packed run_id=%s error=%s", run_id, error)
        return True

    def _look_ahead(self, claimed: Claimed) -> float:
        """Choose how runs are answered, and find out whether deadlines must be acted on early.

        Returns the seconds until the latter. No other watcher is counted on: it may die.
        """
        rules, brief, unread = self._rules.seconds, self._brief.seconds, self._unread.seconds
        if self._spare_seconds(claimed, brief) > rules:
            self._pace = self._rules
        else:
            self._pace = self._brief if self._spare_seconds(claimed, unread) > BATCH_SECONDS else self._unread
        ahead = AHEAD_SECONDS + COMMIT_MARGIN_MS / 1000
        crowds = ((left, count * rules) for left, count in claimed.crowd if count * rules > COMMIT_MARGIN_MS / 1000)
        until_crowded = min((left - min(ahead, seconds) for left, seconds in crowds), default=math.inf)
        was_crowded, self._is_crowded = self._is_crowded, until_crowded <= 0
        return math.inf if was_crowded and self._is_crowded else max(0.0, until_crowded)

    def _spare_seconds(self, claimed: Claimed, pace: float) -> float:
        """The time that is left before all runs must be answered at a ``pace``."""
        return min(
            (max(0.0, left) + LATENESS_SECONDS - count * pace * RESERVE for left, count in claimed.crowd),
            default=math.inf,
        )

    def _answer(self, due: Sequence[Wakeup], pace: "_Pace", claim: Deadline) -> None:
        """Finish the runs of ``due``: by the rules, or as well as there is time for, so that no other run is late."""
        if due and pace is not self._rules:
            due = self._answer_briefly(due, pace)
        for wakeup in due:
            if claim.has_passed:  # it is due again, here or for another watcher
                return
            self._handle(wakeup, self._finish)

    def _answer_briefly(self, due: Sequence[Wakeup], pace: "_Pace") -> list[Wakeup]:
        """Finish runs without the rules; returns those for which this failed."""
        began = time.monotonic()
        answer = self._finisher.finish_briefly if pace is self._brief else self._finisher.close_briefly
        try:
            statuses = answer([wakeup.run_id for wakeup in due])
        except TroubleshootError:
            raise
        except Exception as error:  # noqa: BLE001  # border: one bad run must not stop the watcher
            log_error(_LOGGER, "watcher_failed how=%s", answer.__name__, error=error)
            return list(due)
        counts = Counter(status if isinstance(status, str) else "failed" for status in statuses.values())
        if counts["ok"]:
            pace.take((time.monotonic() - began) / counts["ok"])
        answered = ",".join(run_id for run_id, status in statuses.items() if status == "ok")
        _LOGGER.warning(
            "runs_answered_briefly how=%s counts=%s by=%s run_ids=%s",
            answer.__name__,
            dict(counts),
            self._name,
            answered,
        )
        return [wakeup for wakeup in due if not isinstance(statuses.get(wakeup.run_id), str)]

    def _check(self, due: Sequence[Wakeup]) -> list[Wakeup]:
        """Act on wake-ups that are no total deadlines; returns those whose runs are to be finished."""
        synthesis = [wakeup for wakeup in due if wakeup.kind in ("fanin", "lease")]
        others = [wakeup for wakeup in due if wakeup not in synthesis]
        if others:
            self._check_dispatch(others)
        finish: list[Wakeup] = []
        replies = _of_each(synthesis, partial(self._store.check_synthesis, model_ms=MODEL_MS))
        for wakeup, asks_for in zip(synthesis, replies, strict=True):
            if isinstance(asks_for, Exception):
                self._handle(wakeup, partial(_raise, asks_for))
            elif asks_for == "finish":
                finish.append(wakeup)
            else:
                self._handle(wakeup, partial(self._request, asks_for))
        return finish

    def _request(self, asks_for: str, wakeup: Wakeup) -> bool:
        """Publish a synthesis if ``asks_for`` says so; True when the run is closed."""
        if asks_for == "publish" or (asks_for == "busy" and self._store.queue_length(SYNTHESIS_QUEUE) == 0):
            _LOGGER.info("synthesis_requested run_id=%s by=%s", wakeup.run_id, self._name)
            self._publisher.publish_synthesis(wakeup.run_id)
        return asks_for == "closed"

    def _check_dispatch(self, due: Sequence[Wakeup]) -> None:
        """Publish runs again that nobody has taken. Kinds of a newer version are left to its watchers."""
        done, later, lost = [], [], []
        states = _of_each(due, lambda items: self._store.states([wakeup.run_id for wakeup in items]))
        for wakeup, state in zip(due, states, strict=True):
            if isinstance(state, Exception):
                self._handle(wakeup, partial(_raise, state))
            elif state is None or state.is_closed or (wakeup.kind == "dispatch" and state is RunState.DISPATCHED):
                done.append(wakeup)
            else:
                later.append(wakeup)
                lost += [wakeup] if wakeup.kind == "dispatch" else []
        if done:
            self._store.disarm(*done)
        if later:
            self._store.postpone(*later, seconds=RETRY_SECONDS)
        # A message that waits for a worker is not lost.
        if lost and self._store.queue_length(ORCHESTRATOR_QUEUE) == 0:
            for wakeup in lost:
                self._handle(wakeup, self._republish)

    def _republish(self, wakeup: Wakeup) -> bool:
        run_id = wakeup.run_id
        if self._store.count(run_id, "republished") > MAX_REPUBLISH:
            return True
        _LOGGER.warning("run_republished run_id=%s by=%s", run_id, self._name)
        self._publisher.publish_run(run_id)
        return False

    def _finish(self, wakeup: Wakeup) -> bool:
        """Finish the run of a wake-up by the rules; True when it needs no further action."""
        began, run_id = time.monotonic(), wakeup.run_id
        is_total = wakeup.kind == "total" and not wakeup.is_early
        if is_total:
            report = self._finisher.finish_at_deadline(run_id)
        else:
            _LOGGER.warning("synthesis_not_started run_id=%s by=%s", run_id, self._name)
            report = self._finisher.finish(run_id, in_place_of_worker=True)
        if report is not None:
            # The pace is that of runs about one job: a single one of many must not make all others brief.
            self._rules.take((time.monotonic() - began) / max(1, len(report.jobs)))
            return True
        state, remaining_ms = self._store.state(run_id)
        if is_total and not state.is_closed and remaining_ms > COMMIT_MARGIN_MS:
            self._store.postpone(wakeup, seconds=min(RETRY_SECONDS, (remaining_ms - COMMIT_MARGIN_MS) / 1000))
        return state.is_closed

    def _handle(self, wakeup: Wakeup, act: Callable[[Wakeup], bool]) -> None:
        """Act on a wake-up, and disarm it if it needs no further action."""
        run_id = wakeup.run_id
        parent = parent_of(run_id, None, lambda: self._store.traceparent(run_id))
        with bound(run_id=run_id), span(f"troubleshoot.watch.{wakeup.kind}", parent=parent, run_id=run_id):
            self._act(wakeup, act)

    def _act(self, wakeup: Wakeup, act: Callable[[Wakeup], bool]) -> None:
        try:
            done = self._try(wakeup, act)
        except StoreUnreachable as error:
            self._tell(error, "watcher_retry run_id=%s kind=%s", wakeup.run_id, wakeup.kind)
            return
        except Exception as error:  # noqa: BLE001  # border: one bad run must not stop the watcher
            log_error(_LOGGER, "watcher_failed run_id=%s kind=%s", wakeup.run_id, wakeup.kind, error=error)
            done = self._back_off(wakeup)
        if done:
            self._store.disarm(wakeup)

    def _try(self, wakeup: Wakeup, act: Callable[[Wakeup], bool]) -> bool:
        try:
            return act(wakeup)
        except RunNotFound:
            return True
        except RunDamaged as error:
            # Its key is no longer a hash.
            _LOGGER.warning("watcher_cannot_read run_id=%s kind=%s error=%s", wakeup.run_id, wakeup.kind, error)
            return True
        except SchemaMismatch as error:
            return self._leave(wakeup, error)

    def _leave(self, wakeup: Wakeup, error: SchemaMismatch) -> bool:
        """Leave a run of another schema to other processes; close it when it is still open after its deadline."""
        _, remaining_ms = self._store.state(wakeup.run_id)
        left = remaining_ms / 1000 + UNREAD_GRACE_SECONDS
        if left > 0:
            _LOGGER.warning("watcher_cannot_read run_id=%s error=%s", wakeup.run_id, error)
            pause = min(left, UNREAD_PAUSE_SECONDS) if wakeup.kind == "total" else left
            self._store.postpone(wakeup, seconds=pause)
            return False
        return self._close_unread(wakeup.run_id, error.reason)

    def _back_off(self, wakeup: Wakeup) -> bool:
        """Close the run of a failed deadline unread; postpone another wake-up that failed, ever longer.

        True when the run is closed, or the wake-up is given up: a run that is open has its deadline still to come.
        """
        try:
            if wakeup.kind == "total" and self._try_to_close(wakeup.run_id):
                return True
            return self._postpone(wakeup)
        except RunNotFound:
            return True
        except StoreUnreachable:
            return False
        except Exception as error:  # noqa: BLE001  # border: this run cannot be helped
            log_error(_LOGGER, "watcher_gave_up run_id=%s kind=%s", wakeup.run_id, wakeup.kind, error=error)
            return True

    def _postpone(self, wakeup: Wakeup) -> bool:
        """Postpone a wake-up that failed, ever longer; True when it has failed too often."""
        failures = self._store.count(wakeup.run_id, f"failed_{wakeup.kind}")
        if failures >= MAX_FAILURES:
            _LOGGER.error("watcher_gave_up run_id=%s kind=%s", wakeup.run_id, wakeup.kind)
            return True
        self._store.postpone(wakeup, seconds=2.0 ** (failures - 1))
        return False

    def _try_to_close(self, run_id: str) -> bool:
        try:
            return self._close_unread(run_id, "watcher_failed")
        except TroubleshootError:
            raise
        except Exception as error:  # noqa: BLE001  # border: its wake-up is postponed
            log_error(_LOGGER, "watcher_cannot_close run_id=%s", run_id, error=error)
            return False

    def _close_unread(self, run_id: str, reason: str) -> bool:
        if self._finisher.close_unread(run_id, reason=reason):
            _LOGGER.warning("run_closed_unread run_id=%s reason=%s by=%s", run_id, reason, self._name)
        return self._store.state(run_id)[0].is_closed


def _of_each(due: Sequence[Wakeup], ask: Callable[[Sequence[Wakeup]], list[_T | Exception]]) -> list[_T | Exception]:
    """What ``ask`` returns of each of ``due``; the error of all when it fails as a whole.

    Raises StoreUnreachable.
    """
    try:
        return ask(due) if due else []
    except TroubleshootError:
        raise
    except Exception as error:  # noqa: BLE001  # border: each of them backs off
        return [error] * len(due)


def _raise(error: Exception, _wakeup: Wakeup) -> bool:
    raise error


@dataclass(slots=True)
class _Pace:
    """Moving mean of the seconds that an answer takes."""

    seconds: float
    batch: int | None = None
    """Answers that are given at once; None for as many as ``BATCH_SECONDS`` allow."""

    def take(self, seconds: float) -> None:
        weight = WEIGHT_OF_SLOWER if seconds > self.seconds else WEIGHT_OF_FASTER
        self.seconds += weight * (seconds - self.seconds)


def main() -> None:
    """Run a watcher until SIGTERM or SIGINT; its settings are environment variables."""
    description = "Run a deadline watcher until SIGTERM or SIGINT. Its settings are environment variables."
    argparse.ArgumentParser(prog="python -m orchestrator.watcher", description=description).parse_args()
    try:
        _watch()
    except TroubleshootError as error:
        end_process(error, os.environ)


def _watch() -> None:
    settings = Settings.from_env()
    after_commit = load_after_commit(os.environ)
    configure_log(settings.log_level, form=settings.log_format, personal=settings.redact_personal)
    configure_performance_log()
    stop = threading.Event()

    def on_signal(_number: int, _frame: FrameType | None) -> None:
        stop.set()

    signal.signal(signal.SIGTERM, on_signal)
    signal.signal(signal.SIGINT, on_signal)
    name = f"{socket.gethostname()}:{os.getpid()}"
    bind_process(worker=f"watcher:{name}")
    start_tracing(os.environ, service=f"watcher:{name}")
    with ExitStack() as stack:
        stack.callback(stop_tracing)
        client = stack.enter_context(connect(settings))
        store = RunStore(client, settings)
        publisher = Publisher(make_celery(settings, with_results=False))
        stack.callback(publisher.close)
        presence = Presence(client, store.keys)
        watcher = Watcher(store, publisher, name=name, presence=presence, after_commit=after_commit)
        health = HealthServer.start(
            HealthSettings.from_env(os.environ),
            {
                "/livez": check_page(watcher.alive),
                "/readyz": check_page(watcher.ready),
                "/metrics": _metrics_page(client, store.keys),
            },
        )
        if health is not None:
            stack.callback(health.close)
        warm_up()
        gc.collect()
        gc.freeze()  # what is loaded stays: neither collections nor the end of the process need to go through it
        _LOGGER.info("watcher_started by=%s", name)
        watcher.run(stop)
    _LOGGER.info("watcher_stopped by=%s", name)


def _metrics_page(client: redis.Redis, keys: Keys) -> Callable[[], Page]:
    try:
        from orchestrator.monitoring import watcher_page  # noqa: PLC0415  # prometheus-client is an optional extra
    except ImportError as error:
        text = f"{error.name} is not installed: pip install 'resync-troubleshoot[workers]'\n"
        return lambda: Page(text.encode(), HTTPStatus.SERVICE_UNAVAILABLE)
    return watcher_page(client, keys)


if __name__ == "__main__":
    main()
