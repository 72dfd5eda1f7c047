"""The deadline watcher: acts on due wake-ups, so that every run ends by its deadline whatever happens to its chord.

Run two or more. A wake-up is made due again before it is acted on, so a watcher that dies loses none.
"""

import argparse
import logging
import os
import signal
import socket
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from types import FrameType

from orchestrator.after_commit import AfterCommit, load_after_commit
from orchestrator.broker.app import ORCHESTRATOR_QUEUE, SYNTHESIS_QUEUE, make_celery
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
from orchestrator.health import ALIVE_SECONDS, READY_SECONDS, Beat, HealthServer, HealthSettings, check_page
from orchestrator.logs import configure_log, configure_performance_log, log_error
from orchestrator.models import RunState
from orchestrator.run.conclusion import warm_up
from orchestrator.run.finisher import Finisher
from orchestrator.run.refine import COMMIT_RESERVE_SECONDS
from orchestrator.store.connection import connect
from orchestrator.store.presence import Presence
from orchestrator.store.records import Wakeup
from orchestrator.store.runs import RunStore

_LOGGER = logging.getLogger("orchestrator.watcher")
POLL_SECONDS = 0.25
HEARTBEAT_SECONDS = 3.0
MAX_REPUBLISH = 2
"""Times that a run is published again: two lost messages are bad luck, three mean that no worker runs."""
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
        self._loop_beat, self._store_beat = Beat(clock), Beat(clock)

    def alive(self) -> str | None:
        """The problem for a liveness check, or None: the loop has stopped."""
        age = self._loop_beat.age_seconds
        return None if age < ALIVE_SECONDS else f"the loop has not turned for {age:.0f} s"

    def ready(self) -> str | None:
        """The problem for a readiness check, or None: the wake-ups cannot be read."""
        age = self._store_beat.age_seconds
        return None if age < READY_SECONDS else f"the store has not been read for {age:.0f} s"

    def run(self, stop: threading.Event) -> None:
        """Act on wake-ups until ``stop`` is set; waits for a Redis that is unreachable."""
        pause, heartbeat = 0.0, Deadline.after(0)
        while not stop.wait(pause):
            self._loop_beat.mark()
            try:
                if heartbeat.has_passed and self._presence is not None:
                    # Set first: an announcement that fails must not delay runs.
                    heartbeat = Deadline.after(HEARTBEAT_SECONDS)
                    self._presence.announce(watcher=self._name)
                pause = self.step()
                self._store_beat.mark()
            except (StoreUnreachable, RunDamaged) as error:
                _LOGGER.warning("watcher_store_unreachable error=%s", error)
                pause = 1.0

    def step(self) -> float:
        """Act on every due wake-up; returns the seconds until the next step.

        Raises StoreUnreachable.
        """
        due, next_seconds = self._store.claim_wakeups()
        # Total deadlines first: their runs must be answered now.
        for wakeup in sorted(due, key=lambda item: item.kind != "total"):
            self._handle(wakeup)
        if due:
            return 0.0
        return POLL_SECONDS if next_seconds is None else min(POLL_SECONDS, max(0.005, next_seconds))

    def _handle(self, wakeup: Wakeup) -> None:
        try:
            done = self._act(wakeup)
        except StoreUnreachable as error:
            _LOGGER.warning("watcher_retry run_id=%s kind=%s error=%s", wakeup.run_id, wakeup.kind, error)
            return
        except Exception as error:  # noqa: BLE001  # border: one bad run must not stop the watcher
            log_error(_LOGGER, "watcher_failed run_id=%s kind=%s", wakeup.run_id, wakeup.kind, error=error)
            done = self._back_off(wakeup)
        if done:
            self._store.disarm(wakeup)

    def _act(self, wakeup: Wakeup) -> bool:
        """Act on a wake-up; True when it needs no further action."""
        try:
            match wakeup.kind:
                case "dispatch":
                    return self._check_dispatch(wakeup.run_id)
                case "fanin" | "lease":
                    return self._check_synthesis(wakeup)
                case "total":
                    self._finisher.finish_at_deadline(wakeup.run_id)
            # Any other kind belongs to a newer version, whose watchers act on it.
            return self._store.state(wakeup.run_id)[0].is_closed
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
            self._store.postpone(wakeup, min(left, UNREAD_PAUSE_SECONDS) if wakeup.kind == "total" else left)
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
        self._store.postpone(wakeup, 2.0 ** (failures - 1))
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

    def _check_dispatch(self, run_id: str) -> bool:
        state, _ = self._store.state(run_id)
        if state not in (RunState.ACCEPTED, RunState.DISPATCHING):
            return True
        if self._store.queue_length(ORCHESTRATOR_QUEUE) > 0:
            return False  # its message may still wait for a worker
        if self._store.count(run_id, "republished") > MAX_REPUBLISH:
            return True
        _LOGGER.warning("run_republished run_id=%s by=%s", run_id, self._name)
        self._publisher.publish_run(run_id)
        return False

    def _check_synthesis(self, wakeup: Wakeup) -> bool:
        run_id = wakeup.run_id
        asks_for = self._store.check_synthesis(wakeup, model_ms=MODEL_MS)
        if asks_for == "publish" or (asks_for == "busy" and self._store.queue_length(SYNTHESIS_QUEUE) == 0):
            _LOGGER.info("synthesis_requested run_id=%s by=%s", run_id, self._name)
            self._publisher.publish_synthesis(run_id)
        elif asks_for == "finish":
            _LOGGER.warning("synthesis_not_started run_id=%s by=%s", run_id, self._name)
            return self._finisher.finish(run_id, in_place_of_worker=True) is not None
        return asks_for == "closed"


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
    configure_log(settings.log_level, personal=settings.redact_personal)
    configure_performance_log()
    stop = threading.Event()

    def on_signal(_number: int, _frame: FrameType | None) -> None:
        stop.set()

    signal.signal(signal.SIGTERM, on_signal)
    signal.signal(signal.SIGINT, on_signal)
    name = f"{socket.gethostname()}:{os.getpid()}"
    with ExitStack() as stack:
        client = stack.enter_context(connect(settings))
        store = RunStore(client, settings)
        publisher = Publisher(make_celery(settings, with_results=False))
        stack.callback(publisher.close)
        presence = Presence(client, store.keys)
        watcher = Watcher(store, publisher, name=name, presence=presence, after_commit=after_commit)
        health = HealthServer.start(
            HealthSettings.from_env(os.environ),
            {"/livez": check_page(watcher.alive), "/readyz": check_page(watcher.ready)},
        )
        if health is not None:
            stack.callback(health.close)
        warm_up()
        _LOGGER.info("watcher_started name=%s", name)
        watcher.run(stop)
    _LOGGER.info("watcher_stopped name=%s", name)


if __name__ == "__main__":
    main()
