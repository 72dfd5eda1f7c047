"""A supervised process: its specification, the running child and its log file."""

import errno
import os
import shutil
import signal
import subprocess
import threading
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from workers.standalone.guard import Guard

MAX_BYTES = 5_000_000
TAIL_LINES = 20


class LogFile:
    """Appends lines to a file, which is renamed to ``NAME.1`` when it would exceed ``max_bytes``."""

    def __init__(self, path: Path, *, max_bytes: int = MAX_BYTES) -> None:
        self.path = path
        self._max_bytes = max_bytes
        self._tail: deque[str] = deque(maxlen=TAIL_LINES)
        self._file = path.open("ab")
        self._size = path.stat().st_size

    def write(self, line: bytes) -> None:
        """Append a line that ends with its newline; after ``close`` it is dropped."""
        if self._file.closed:
            return
        if self._size + len(line) > self._max_bytes and self._size > 0:
            self._file.close()
            self.path.replace(self.path.with_name(self.path.name + ".1"))
            self._file = self.path.open("ab")
            self._size = 0
        self._file.write(line)
        self._file.flush()
        self._size += len(line)
        self._tail.append(line.decode(errors="replace").rstrip())

    def close(self) -> None:
        """Close the file; the last lines stay available."""
        self._file.close()

    @property
    def last_line(self) -> str:
        """The last line that is not blank."""
        return next((line for line in reversed(self._tail) if line.strip()), "")


_ON_COMMAND = ("/bin/sh", "-c", 'read -r _ && exec "$@"', "sh")
"""Executes the arguments after a line on standard input, and exits at its end.

By then the guardian knows the process, so a supervisor killed between start and registration leaves no orphan.
"""


@dataclass(frozen=True, slots=True)
class ProcessSpec:
    """Specification of a process."""

    name: str
    command: tuple[str, ...]
    environ: Mapping[str, str] = field(default_factory=dict, repr=False)
    """The complete environment of the process; may hold passwords."""
    stdin: bytes = field(default=b"", repr=False)
    """Standard input of the process; must fit into a pipe buffer (64 KiB)."""
    ready_text: str = ""
    """Text in its output that marks it as ready; empty: ready at once."""
    ready_probe: Callable[[], bool] | None = None
    """Polled until it returns True, instead of ``ready_text``."""
    stage: int = 1
    """Higher stages are stopped first."""
    stop_seconds: float = 5.0
    """Time between SIGTERM and SIGKILL."""


class Child:
    """A running process in its own session; its output goes to the log until it is reaped."""

    def __init__(self, spec: ProcessSpec, log: LogFile, guard: Guard, on_ready: Callable[[], None]) -> None:
        self.spec = spec
        self._log = log
        self._guard = guard
        self._on_ready = on_ready
        self._signal_lock = threading.Lock()
        self._reaped = False
        if shutil.which(spec.command[0], path=spec.environ.get("PATH")) is None:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), spec.command[0])
        self._process = subprocess.Popen(
            (*_ON_COMMAND, *spec.command),
            env=dict(spec.environ),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        self.pid = self._process.pid
        guard.watch(self.pid)
        self._reader = threading.Thread(target=self._read, name=f"log-{spec.name}", daemon=True)
        self._reader.start()
        if self._process.stdin is not None:
            with suppress(BrokenPipeError):  # it has exited already; reap() returns its status
                self._process.stdin.write(b"\n" + spec.stdin)
                self._process.stdin.close()

    def signal(self, number: int) -> None:
        """Send a signal to the process, but not to its group."""
        with self._signal_lock:
            if not self._reaped:
                os.kill(self.pid, number)

    def kill(self) -> None:
        """Kill the process and its group."""
        with self._signal_lock:
            if not self._reaped:
                os.killpg(self.pid, signal.SIGKILL)

    def reap(self) -> int:
        """Wait for the exit, kill the rest of the process group, and return the exit status."""
        # Without reaping: while the zombie exists, its id, and so its group's, cannot be reused.
        os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOWAIT)
        with self._signal_lock:
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(self.pid, signal.SIGKILL)
            status = self._process.wait()
            self._reaped = True
        self._guard.forget(self.pid)
        self._reader.join(timeout=2.0)
        if self._process.stdout is not None and not self._reader.is_alive():
            self._process.stdout.close()
        return status

    def _read(self) -> None:
        output = self._process.stdout
        if output is None:
            return
        ready_text = self.spec.ready_text.encode()
        if not ready_text and self.spec.ready_probe is None:
            self._on_ready()
        for line in output:
            self._log.write(line)
            if ready_text and ready_text in line:
                self._on_ready()
