"""The supervisor's side of the guardian: registers what must not outlive this process, even after SIGKILL."""

import secrets
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Self

from workers.standalone import guardian

SHORT_LIFE_SECONDS = 1.0
"""Least time between two starts of a guardian."""


class Guard:
    """Runs a guardian process inside its ``with`` block, and a new one when that is killed.

    At the end of the block the guardian ends and removes whatever is still registered.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._lines: dict[str, None] = {}
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        with self._lock:
            self._launch()
        return self

    def __exit__(self, *_: object) -> None:
        with self._lock:
            process, self._process = self._process, None
        if process is not None and process.stdin is not None:
            process.stdin.close()
            process.wait(timeout=guardian.GRACE_SECONDS + 5)

    def watch(self, group: int) -> None:
        """Register a process group."""
        self._add(f"+ {group}")

    def forget(self, group: int) -> None:
        """Unregister a process group that has ended."""
        self._drop(f"+ {group}", f"- {group}")

    def own(self, directory: Path) -> None:
        """Register a directory."""
        self._add(f"d {directory}")

    def release(self, directory: Path) -> None:
        """Unregister a directory that is removed, or shall stay."""
        self._drop(f"d {directory}", f"k {directory}")

    def _add(self, line: str) -> None:
        with self._lock:
            self._lines[line] = None
            self._send(line)

    def _drop(self, line: str, opposite: str) -> None:
        with self._lock:
            self._lines.pop(line, None)
            self._send(opposite)

    def _send(self, *lines: str) -> None:
        if self._process is not None and self._process.stdin is not None:
            # The guardian was killed: its successor receives all registrations.
            with suppress(BrokenPipeError):
                self._process.stdin.write("".join(f"{line}\n" for line in lines).encode())

    def _launch(self) -> None:
        self._process = _start()
        self._send(*self._lines)
        threading.Thread(target=self._restart, args=(self._process,), name="guardian", daemon=True).start()

    def _restart(self, process: subprocess.Popen[bytes]) -> None:
        started = time.monotonic()
        process.wait()
        # A guardian that cannot run must not be restarted in a busy loop.
        time.sleep(max(0.0, started + SHORT_LIFE_SECONDS - time.monotonic()))
        with self._lock:
            if self._process is process and process.stdin is not None:
                process.stdin.close()
                self._launch()


def _start() -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        (sys.executable, "-I", "-S", guardian.__file__),
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
        cwd="/",
        bufsize=0,
    )


PREFIX = "resync-troubleshoot-"


@contextmanager
def private_directory(guard: Guard) -> Iterator[Path]:
    """A new directory for this user only, removed with its contents at the end, else by the guardian."""
    path = Path(tempfile.gettempdir()) / f"{PREFIX}{secrets.token_hex(8)}"
    # Registered before it is created: a process killed in between leaves no directory.
    guard.own(path)
    try:
        path.mkdir(mode=0o700)
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)
        guard.release(path)
