"""What one worker process holds: store client, event loop, synthesizer. Made at first use, per process."""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Mapping
from concurrent.futures import wait
from functools import cached_property

from celery import Celery
from pydantic import Field

from orchestrator.after_commit import AfterCommit, try_after_commit
from orchestrator.config import EnvironmentModel, Settings
from orchestrator.run.finisher import Finisher
from orchestrator.run.refine import Refiner
from orchestrator.store.connection import connect
from orchestrator.store.runs import RunStore
from orchestrator.synthesis import close_synthesizer, try_synthesizer
from workers.runtime.ask import Asking
from workers.runtime.event_loop import DEFAULT_LAG_LIMIT_SECONDS, Runtime

_LOGGER = logging.getLogger(__name__)
STORE_RETRIES = 6


class ProcessSettings(EnvironmentModel):
    """Settings of the worker process itself."""

    lag_limit_seconds: float = Field(
        default=DEFAULT_LAG_LIMIT_SECONDS, gt=0.5, validation_alias="RESYNC_LOOP_LAG_LIMIT_SECONDS"
    )
    """Seconds for which a source may block the event loop; beyond them the worker exits to be restarted."""


class WorkerProcess:
    """Everything shared by the tasks of one process; safe to use from every thread of the pool."""

    def __init__(self, app: Celery, environ: Mapping[str, str], *, native_limits: bool) -> None:
        self.app = app
        self._environ = dict(environ)
        self._native_limits = native_limits
        self._settings = Settings.from_env(environ)
        self._process_settings = ProcessSettings.from_env(environ)
        self._client = connect(self._settings, retries=STORE_RETRIES)
        self.store = RunStore(self._client, self._settings)

    @cached_property
    def runtime(self) -> Runtime:
        """The event loop, started at its first use: after the fork under prefork."""
        return Runtime(self._environ, lag_limit_seconds=self._process_settings.lag_limit_seconds)

    @cached_property
    def refiner(self) -> Refiner | None:
        """The model, when one is configured."""
        synthesizer = try_synthesizer(self._environ)
        return None if synthesizer is None else Refiner(synthesizer, self.runtime.submit)

    @cached_property
    def after_commit(self) -> tuple[AfterCommit, ...]:
        """What is done with a committed report."""
        return try_after_commit(self._environ)

    def asking(self, worker: str) -> Asking:
        """What a source task needs."""
        return Asking(
            store=self.store,
            source=self.runtime.source,
            submit=self.runtime.submit,
            worker=worker,
            redact_personal=self._settings.redact_personal,
            native_limits=self._native_limits,
        )

    def finisher(self, worker: str) -> Finisher:
        """What the synthesis task needs."""
        return Finisher(self.store, by=f"synthesis:{worker}", refiner=self.refiner, after_commit=self.after_commit)

    def close(self) -> None:
        """Stop the loop, give the connections back."""
        if "refiner" in self.__dict__ and self.refiner is not None:
            # Bounded, and raises nothing; on a loop that is blocked it is left behind, the process is going away.
            wait([self.runtime.submit(close_synthesizer(self.refiner.synthesizer))], timeout=5)
        if "runtime" in self.__dict__:
            self.runtime.close()
        self._client.close()


_lock = threading.RLock()
_processes: dict[int, WorkerProcess] = {}
_prefork_children: set[int] = set()


def mark_prefork_child() -> None:
    """Say that this process is a prefork child, in which Celery enforces soft time limits itself."""
    _prefork_children.add(os.getpid())


def current_process(app: Celery) -> WorkerProcess:
    """This process's shared objects; a forked child never uses its parent's."""
    pid = os.getpid()
    with _lock:
        found = _processes.get(pid)
        if found is None:
            found = WorkerProcess(app, os.environ, native_limits=pid in _prefork_children)
            # cached_property is not locked in Python 3.12: make what the threads share before they do.
            _ = found.runtime
            _processes[pid] = found
        return found


def loop_lag_seconds() -> float:
    """How long ago this process's event loop last gave a sign of life; 0 when it has none."""
    found = _processes.get(os.getpid())
    return 0.0 if found is None else found.runtime.lag_seconds


def close_process() -> None:
    """Close this process's shared objects, if any were made."""
    with _lock:
        found = _processes.pop(os.getpid(), None)
    if found is not None:
        found.close()
