"""Shared objects of a worker process: store client, event loop, synthesizer; created at first use."""

import os
import threading
from collections.abc import Iterable, Mapping
from concurrent.futures import wait
from functools import cached_property, partial

from celery import Celery
from pydantic import Field

from orchestrator.after_commit import AfterCommit, try_after_commit
from orchestrator.config import EnvironmentModel, Settings
from orchestrator.outcomes import Blockage
from orchestrator.plugins import close_all
from orchestrator.run.finisher import Finisher
from orchestrator.run.refine import Refiner
from orchestrator.store.connection import connect
from orchestrator.store.runs import RunStore
from orchestrator.synthesis import SYNTHESIZER_CLOSE_FAILED, try_synthesizer
from workers.runtime.ask import SourceRunner, heed_soft_limit
from workers.runtime.ended_runs import EndedRuns
from workers.runtime.event_loop import DEFAULT_LAG_LIMIT_SECONDS, Runtime, WorkerLoop

STORE_RETRIES = 6


class ProcessSettings(EnvironmentModel):
    """Settings of the worker process itself."""

    lag_limit_seconds: float = Field(
        default=DEFAULT_LAG_LIMIT_SECONDS, gt=0.5, validation_alias="RESYNC_LOOP_LAG_LIMIT_SECONDS"
    )
    """Seconds for which a source may block the event loop; beyond them the worker exits to be restarted."""


class WorkerProcess:
    """Objects shared by the tasks of one process. Thread-safe."""

    def __init__(self, app: Celery, environ: Mapping[str, str], *, native_limits: bool) -> None:
        self.app = app
        self._environ = dict(environ)
        self._native_limits = native_limits
        if native_limits:
            # Here, at the first task: billiard sets its own handler after Celery's signal for a new child.
            heed_soft_limit()
        self._settings = Settings.from_env(environ)
        self._process_settings = ProcessSettings.from_env(environ)
        self._client = connect(self._settings, retries=STORE_RETRIES)
        self.store = RunStore(self._client, self._settings)
        self._ended_runs = EndedRuns(self.store)

    @cached_property
    def runtime(self) -> Runtime:
        """The event loop, started at first use, which under prefork is after the fork."""
        return Runtime(self._environ, lag_limit_seconds=self._process_settings.lag_limit_seconds)

    @cached_property
    def refiner(self) -> Refiner | None:
        """The model, if configured."""
        synthesizer = try_synthesizer(self._environ)
        if synthesizer is None:
            return None
        submit = partial(self.runtime.submit, owner="synthesizer")
        return Refiner(synthesizer, submit, self._settings.redact_personal)

    @cached_property
    def after_commit(self) -> tuple[AfterCommit, ...]:
        """The installed steps after a commit."""
        return try_after_commit(self._environ)

    def source_runner(self, worker: str, loop: WorkerLoop) -> SourceRunner:
        """The object behind a source task, which asks on ``loop``."""
        return SourceRunner(
            store=self.store,
            source=loop.source,
            submit=loop.submit,
            worker=worker,
            blockage=loop.blockage,
            watching=self._ended_runs.watching,
            redact_personal=self._settings.redact_personal,
            native_limits=self._native_limits,
        )

    def finisher(self, worker: str, *, serves_queue: bool = True) -> Finisher:
        """The object behind the synthesis task, whose worker ``serves_queue``."""
        return Finisher(
            self.store,
            by=f"synthesis:{worker}",
            refiner=self.refiner,
            after_commit=self.after_commit,
            serves_queue=serves_queue,
        )

    def close(self) -> None:
        """Stop the loop and close the connections."""
        if "refiner" in self.__dict__ and self.refiner is not None:
            # Bounded, and raises nothing; on a blocked loop it is abandoned, the process ends anyway.
            closing = close_all((self.refiner.synthesizer.close,), event=SYNTHESIZER_CLOSE_FAILED)
            wait([self.runtime.submit(closing)], timeout=5)
        if "runtime" in self.__dict__:
            self.runtime.close()
        self._ended_runs.close()
        self._client.close()


_lock = threading.RLock()
_processes: dict[int, WorkerProcess] = {}
_prefork_children: set[int] = set()
_queues: frozenset[str] = frozenset()


def set_queues(names: Iterable[str]) -> None:
    """Note which queues this worker serves."""
    global _queues  # noqa: PLW0603  # replaced, not changed: other threads read it
    _queues = frozenset(names)


def mark_prefork_child() -> None:
    """Mark this process as a prefork child, in which Celery enforces soft time limits."""
    _prefork_children.add(os.getpid())


def current_process(app: Celery) -> WorkerProcess:
    """The shared objects of this process; a forked child has its own."""
    pid = os.getpid()
    with _lock:
        process = _processes.get(pid)
        if process is None:
            process = WorkerProcess(app, os.environ, native_limits=pid in _prefork_children)
            # cached_property is not locked in Python 3.12, so create what the threads share before they use it.
            _ = process.runtime
            _processes[pid] = process
        return process


def loop_blockage() -> Blockage | None:
    """What keeps a task of this worker's queues from running on an event loop, if anything does."""
    process = _processes.get(os.getpid())
    return None if process is None else process.runtime.holds_up(_queues)


def hold_place_while_blocked() -> None:
    """In a prefork child, keep its place in the pool taken as long as its event loop is blocked."""
    process = _processes.get(os.getpid())
    if process is not None and os.getpid() in _prefork_children:
        process.runtime.wait_until_free()


def loop_lag_seconds() -> float:
    """Lag of this process's event loop; 0 without a loop."""
    process = _processes.get(os.getpid())
    return 0.0 if process is None else process.runtime.longest_lag_seconds


def circuits() -> dict[tuple[str, str], str]:
    """The states of the circuits of this process's sources, by source and counterpart."""
    process = _processes.get(os.getpid())
    return {} if process is None else process.runtime.circuits()


def served_queues() -> frozenset[str]:
    """The queues that this worker serves."""
    return _queues


def close_process() -> None:
    """Close this process's shared objects, if any."""
    with _lock:
        process = _processes.pop(os.getpid(), None)
    if process is not None:
        process.close()
