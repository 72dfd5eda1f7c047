"""Keeps processes running: starts them, restarts those that exit, and stops all of them."""

import signal
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from orchestrator.codes.control import one_line
from orchestrator.errors import ConfigurationError, TroubleshootError
from orchestrator.i18n.message import Message
from workers.standalone.guard import Guard
from workers.standalone.process import Child, LogFile, ProcessSpec

FIRST_PAUSE_SECONDS = 0.5
LONGEST_PAUSE_SECONDS = 15.0
_LINE_CHARACTERS = 120
"""Longest quotation of a process's last line; its log has the rest."""
STABLE_SECONDS = 30.0
"""Running time after which the pause before a restart is the first one again."""


class ProcessFailed(TroubleshootError):
    """A process did not start."""

    reason = "process_failed"

    def __init__(self, message: str, /, **facts: Any) -> None:
        """With the fact ``status`` 2 the process has reported a wrong configuration, and so does the exit code."""
        super().__init__(message, **facts)
        if facts.get("status") == ConfigurationError.exit_code:
            self.exit_code = ConfigurationError.exit_code  # type: ignore[misc]  # more precise than its class


@dataclass(slots=True)
class _Supervised:
    spec: ProcessSpec
    log: LogFile
    ready: threading.Event = field(default_factory=threading.Event)
    exited: threading.Event = field(default_factory=threading.Event)
    """Set after the first exit; a waiter for its readiness then raises."""
    attempted: threading.Event = field(default_factory=threading.Event)
    """Set after the first attempt to start; ``problem`` is its error."""
    problem: ProcessFailed | None = None
    was_ready: bool = False
    child: Child | None = None
    thread: threading.Thread = field(default_factory=threading.Thread)
    restarts: int = 0
    status: int | None = None

    @property
    def runs(self) -> bool:
        """Whether its thread was started, so that there may be a process."""
        return self.thread.ident is not None

    def set_ready(self) -> None:
        """Mark the process as ready."""
        self.was_ready = True
        self.ready.set()


@dataclass(frozen=True, slots=True)
class ProcessState:
    """State of a process."""

    name: str
    pid: int | None
    restarts: int
    is_ready: bool
    log: Path


def pause_seconds(failures: int) -> float:
    """Pause before a restart: doubles from ``FIRST_PAUSE_SECONDS`` up to ``LONGEST_PAUSE_SECONDS``."""
    return min(LONGEST_PAUSE_SECONDS, FIRST_PAUSE_SECONDS * 2.0 ** min(failures, 30))


class Supervisor:
    """Runs processes, each supervised by its own thread; the end of its ``with`` block stops all of them.

    ``say`` is called when a process that had been ready exits unexpectedly.
    """

    def __init__(self, logs: Path, guard: Guard, say: Callable[[Message], None]) -> None:
        self._logs = logs
        self._guard = guard
        self._say = say
        self._stopping = threading.Event()
        self._lock = threading.Lock()
        self._processes: dict[str, _Supervised] = {}

    def __enter__(self) -> Self:
        self._logs.mkdir(mode=0o700, exist_ok=True)
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self, spec: ProcessSpec) -> None:
        """Start the process and keep it running. Raises ProcessFailed when its program cannot be started."""
        process = _Supervised(spec, LogFile(self._logs / f"{spec.name}.log"))
        with self._lock:
            if spec.name in self._processes:
                raise ValueError(f"a process named {spec.name!r} runs already")
            self._processes[spec.name] = process
        # Started in its own thread: KeyboardInterrupt is raised in the main thread only, so it cannot come between the
        # start of a process and its registration.
        process.thread = threading.Thread(
            target=self._supervise, args=(process,), name=f"supervise-{spec.name}", daemon=True
        )
        process.thread.start()
        process.attempted.wait()
        if process.problem is not None:
            raise process.problem

    def discard(self, name: str) -> None:
        """Stop one process and remove it."""
        with self._lock:
            process = self._processes.pop(name)
        self._end([process])

    def wait_ready(self, names: Iterable[str], *, timeout_seconds: float) -> None:
        """Wait until all of these processes are ready.

        Raises ProcessFailed with the last line of its log when a process exits, or after ``timeout_seconds``.
        """
        give_up = time.monotonic() + timeout_seconds
        for name in names:
            process = self._processes[name]
            while not self._is_ready(process):
                if process.exited.is_set():
                    raise ProcessFailed(
                        "{name} exited with status {status}: {words}",
                        name=name,
                        status=process.status,
                        words=process.log.last_line,
                    )
                if time.monotonic() >= give_up:
                    raise ProcessFailed(
                        "{name} was not ready within {seconds:g} s; its log ends: {words!r}",
                        name=name,
                        seconds=timeout_seconds,
                        words=process.log.last_line,
                    )
                process.ready.wait(0.02)

    def states(self) -> list[ProcessState]:
        """State of every process, in the order of their starts."""
        with self._lock:
            return [
                ProcessState(
                    name=name,
                    pid=None if process.child is None else process.child.pid,
                    restarts=process.restarts,
                    is_ready=process.ready.is_set(),
                    log=process.log.path,
                )
                for name, process in self._processes.items()
            ]

    def stop(self) -> None:
        """Stop every process, the latest stage first: SIGTERM, then SIGKILL after its ``stop_seconds``."""
        self._stopping.set()
        with self._lock:
            processes = list(self._processes.values())
            self._processes.clear()
        for stage in sorted({item.spec.stage for item in processes}, reverse=True):
            self._end([item for item in processes if item.spec.stage == stage])

    def _is_ready(self, process: _Supervised) -> bool:
        probe = process.spec.ready_probe
        if probe is not None and not process.ready.is_set() and not process.exited.is_set() and probe():
            process.set_ready()
        return process.ready.is_set()

    def _spawn(self, process: _Supervised) -> Child | None:
        with self._lock:
            if self._is_over(process):
                return None
            process.child = Child(process.spec, process.log, self._guard, process.set_ready)
            return process.child

    def _supervise(self, process: _Supervised) -> None:
        failures = 0
        while True:
            started = time.monotonic()
            try:
                child = self._spawn(process)
            except OSError as error:
                process.problem = ProcessFailed(
                    "{name}: {program}: {detail}",
                    name=process.spec.name,
                    program=process.spec.command[0],
                    detail=error.strerror,
                )
                if process.was_ready:
                    self._say(process.problem.message)
                return
            finally:
                process.attempted.set()
            if child is None:
                return
            process.status = child.reap()
            process.exited.set()
            if self._is_over(process):
                return
            failures = 0 if time.monotonic() - started >= STABLE_SECONDS else failures
            pause = pause_seconds(failures)
            failures += 1
            if process.was_ready:  # else wait_ready raises
                self._say(
                    Message(
                        "{name} exited with status {status}; again in {pause:g} s ({words})",
                        name=process.spec.name,
                        status=process.status,
                        pause=pause,
                        words=one_line(process.log.last_line, _LINE_CHARACTERS) or Message("no output"),
                    )
                )
            if self._stopping.wait(pause):
                return
            process.ready.clear()
            process.restarts += 1

    def _is_over(self, process: _Supervised) -> bool:
        return self._stopping.is_set() or self._processes.get(process.spec.name) is not process

    def _end(self, processes: list[_Supervised]) -> None:
        for process in processes:
            if process.child is not None:
                process.child.signal(signal.SIGTERM)
        give_up = {process.spec.name: time.monotonic() + process.spec.stop_seconds for process in processes}
        for process in processes:
            if process.runs:
                process.thread.join(max(0.0, give_up[process.spec.name] - time.monotonic()))
                if process.thread.is_alive() and process.child is not None:
                    process.child.kill()
        for process in processes:
            if process.runs:
                process.thread.join()
            process.log.close()
