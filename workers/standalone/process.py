"""One process under supervision: what to start, and the running thing."""

from __future__ import annotations

import errno
import os
import shutil
import signal
import subprocess
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field

from workers.standalone.guard import Guard
from workers.standalone.log_file import LogFile

_ON_COMMAND = ("/bin/sh", "-c", 'read -r _ && exec "$@"', "sh")
"""Runs what follows once a line comes on standard input, and not when that ends before.

The guardian knows the process by then: a supervisor that is killed between a birth and its note leaves nobody behind.
"""


@dataclass(frozen=True, slots=True)
class ProcessSpec:
    """A process to keep running."""

    name: str
    command: tuple[str, ...]
    environ: Mapping[str, str] = field(default_factory=dict, repr=False)
    """The whole environment of the process; it may hold passwords."""
    stdin: bytes = field(default=b"", repr=False)
    """What the process reads, a little less than one pipe buffer (64 KiB) at most."""
    ready_text: str = ""
    """Its output says this when it can work; empty: as soon as it runs."""
    ready_probe: Callable[[], bool] | None = None
    """Asked until it answers True, instead of a text."""
    stage: int = 1
    """Later stages are stopped first."""
    stop_seconds: float = 5.0
    """From SIGTERM to SIGKILL."""


class Child:
    """A started process in a session of its own; its output goes to the log until the process has been reaped."""

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
            with suppress(BrokenPipeError):  # it has exited already; reap() tells how
                self._process.stdin.write(b"\n" + spec.stdin)
                self._process.stdin.close()

    def signal(self, number: int) -> None:
        """Send a signal to the process itself, which passes it on as it sees fit."""
        with self._signal_lock:
            if not self._reaped:
                os.kill(self.pid, number)

    def kill(self) -> None:
        """End the process and everything it started."""
        with self._signal_lock:
            if not self._reaped:
                os.killpg(self.pid, signal.SIGKILL)

    def reap(self) -> int:
        """Wait for the exit, end what the process left behind in its group, and return the exit status."""
        # Without reaping yet: as long as the zombie stands its id, and so its group's, cannot be given to another.
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
        wanted = self.spec.ready_text.encode()
        if not wanted and self.spec.ready_probe is None:
            self._on_ready()
        for line in output:
            self._log.write(line)
            if wanted and wanted in line:
                self._on_ready()
