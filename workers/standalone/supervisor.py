"""Keeps processes running: starts them, restarts what exits, stops all of them without leaving one behind."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self

from orchestrator.errors import ConfigurationError, TroubleshootError
from orchestrator.logs import one_line
from workers.standalone.guard import Guard
from workers.standalone.log_file import LogFile
from workers.standalone.process import Child, ProcessSpec

FIRST_PAUSE_SECONDS = 0.5
LONGEST_PAUSE_SECONDS = 15.0
_WORDS = 120
"""Characters that are told of a process's last line; its log has the rest."""
STABLE_SECONDS = 30.0
"""A process that ran so long starts again at the first pause."""


class ProcessFailed(TroubleshootError):
    """A process did not start. Exit code 2 when it said that its configuration is wrong."""

    reason = "process_failed"

    def __init__(self, message: str, *, status: int | None = None) -> None:
        super().__init__(message)
        if status == ConfigurationError.exit_code:
            self.exit_code = ConfigurationError.exit_code  # type: ignore[misc]  # an instance may know better


@dataclass(slots=True)
class _Tended:
    spec: ProcessSpec
    log: LogFile
    ready: threading.Event = field(default_factory=threading.Event)
    gone: threading.Event = field(default_factory=threading.Event)
    """The process has exited at least once: who waits for its readiness is told why."""
    begun: threading.Event = field(default_factory=threading.Event)
    """The first start has been tried; ``problem`` says when it was in vain."""
    problem: ProcessFailed | None = None
    was_ready: bool = False
    child: Child | None = None
    thread: threading.Thread = field(default_factory=threading.Thread)
    restarts: int = 0
    status: int | None = None

    @property
    def runs(self) -> bool:
        """Its thread has been started, and so may have a process."""
        return self.thread.ident is not None

    def set_ready(self) -> None:
        """It can work."""
        self.was_ready = True
        self.ready.set()


@dataclass(frozen=True, slots=True)
class ProcessState:
    """A process as it stands."""

    name: str
    pid: int | None
    restarts: int
    is_ready: bool
    log: Path


def pause_seconds(failures: int) -> float:
    """The pause before a restart: doubling from ``FIRST_PAUSE_SECONDS``, bounded."""
    return min(LONGEST_PAUSE_SECONDS, FIRST_PAUSE_SECONDS * 2.0 ** min(failures, 30))


class Supervisor:
    """Runs processes, each tended by a thread of its own; ``with`` stops all of them at its end.

    ``say`` is told one line whenever a process that had been ready exits unasked.
    """

    def __init__(self, logs: Path, guard: Guard, say: Callable[[str], None]) -> None:
        self._logs = logs
        self._guard = guard
        self._say = say
        self._stopping = threading.Event()
        self._lock = threading.Lock()
        self._tended: dict[str, _Tended] = {}

    def __enter__(self) -> Self:
        self._logs.mkdir(mode=0o700, exist_ok=True)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def start(self, spec: ProcessSpec) -> None:
        """Start the process and keep it running. Raises ProcessFailed when its program cannot be started at all."""
        tended = _Tended(spec, LogFile(self._logs / f"{spec.name}.log"))
        with self._lock:
            if spec.name in self._tended:
                raise ValueError(f"a process named {spec.name!r} runs already")
            self._tended[spec.name] = tended
        # In its own thread from the start on: Ctrl-C strikes the main thread alone, so that it cannot come between
        # the birth of a process and the note that is taken of it.
        tended.thread = threading.Thread(target=self._tend, args=(tended,), name=f"tend-{spec.name}", daemon=True)
        tended.thread.start()
        tended.begun.wait()
        if tended.problem is not None:
            raise tended.problem

    def discard(self, name: str) -> None:
        """Stop one process and forget it."""
        with self._lock:
            tended = self._tended.pop(name)
        self._end([tended])

    def wait_ready(self, names: Iterable[str], *, timeout_seconds: float) -> None:
        """Wait until every one of the processes can work.

        Raises ProcessFailed with the process's last words when one exits before, or when the time is over.
        """
        give_up = time.monotonic() + timeout_seconds
        for name in names:
            tended = self._tended[name]
            while not self._is_ready(tended):
                if tended.gone.is_set():
                    message = f"{name} exited with status {tended.status}: {tended.log.last_words}"
                    raise ProcessFailed(message, status=tended.status)
                if time.monotonic() >= give_up:
                    raise ProcessFailed(
                        f"{name} was not ready within {timeout_seconds:g} s; its log ends: {tended.log.last_words!r}"
                    )
                tended.ready.wait(0.02)

    def states(self) -> list[ProcessState]:
        """Every process as it stands, in the order they were started."""
        with self._lock:
            return [
                ProcessState(
                    name=name,
                    pid=None if tended.child is None else tended.child.pid,
                    restarts=tended.restarts,
                    is_ready=tended.ready.is_set(),
                    log=tended.log.path,
                )
                for name, tended in self._tended.items()
            ]

    def stop(self) -> None:
        """Stop every process, the latest stage first: SIGTERM, then SIGKILL after the bound of its spec."""
        self._stopping.set()
        with self._lock:
            tended = list(self._tended.values())
            self._tended.clear()
        for stage in sorted({item.spec.stage for item in tended}, reverse=True):
            self._end([item for item in tended if item.spec.stage == stage])

    def _is_ready(self, tended: _Tended) -> bool:
        probe = tended.spec.ready_probe
        if probe is not None and not tended.ready.is_set() and not tended.gone.is_set() and probe():
            tended.set_ready()
        return tended.ready.is_set()

    def _spawn(self, tended: _Tended) -> Child | None:
        with self._lock:
            if self._is_over(tended):
                return None
            tended.child = Child(tended.spec, tended.log, self._guard, tended.set_ready)
            return tended.child

    def _tend(self, tended: _Tended) -> None:
        failures = 0
        while True:
            started = time.monotonic()
            try:
                child = self._spawn(tended)
            except OSError as error:
                tended.problem = ProcessFailed(f"{tended.spec.name}: {tended.spec.command[0]}: {error.strerror}")
                if tended.was_ready:
                    self._say(str(tended.problem))
                return
            finally:
                tended.begun.set()
            if child is None:
                return
            tended.status = child.reap()
            tended.gone.set()
            if self._is_over(tended):
                return
            failures = 0 if time.monotonic() - started >= STABLE_SECONDS else failures
            pause = pause_seconds(failures)
            failures += 1
            if tended.was_ready:  # else who waits for it is told, once
                words = one_line(tended.log.last_words, _WORDS) or "it said nothing"
                self._say(f"{tended.spec.name} exited with status {tended.status}; again in {pause:g} s ({words})")
            if self._stopping.wait(pause):
                return
            tended.ready.clear()
            tended.restarts += 1

    def _is_over(self, tended: _Tended) -> bool:
        return self._stopping.is_set() or self._tended.get(tended.spec.name) is not tended

    def _end(self, tended: list[_Tended]) -> None:
        for item in tended:
            if item.child is not None:
                item.child.signal(signal.SIGTERM)
        give_up = {item.spec.name: time.monotonic() + item.spec.stop_seconds for item in tended}
        for item in tended:
            if item.runs:
                item.thread.join(max(0.0, give_up[item.spec.name] - time.monotonic()))
                if item.thread.is_alive() and item.child is not None:
                    item.child.kill()
        for item in tended:
            if item.runs:
                item.thread.join()
            item.log.close()
