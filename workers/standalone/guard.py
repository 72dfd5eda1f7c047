"""The supervisor's side of the guardian: what must not outlive this process, not even after SIGKILL."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

from workers.standalone import guardian

SHORT_LIFE_SECONDS = 1.0
"""A guardian that ended so soon after its start has its successor no sooner."""


class Guard:
    """Keeps a guardian process informed, and another one when it is ended; ``with`` starts it and lets it go.

    What is still registered at the end of the block is ended and removed by the guardian.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._lines: dict[str, None] = {}
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        with self._lock:
            self._begin()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._lock:
            process, self._process = self._process, None
        if process is not None and process.stdin is not None:
            process.stdin.close()
            process.wait(timeout=guardian.GRACE_SECONDS + 5)

    def watch(self, group: int) -> None:
        """The process group is to be ended when this process is gone."""
        self._add(f"+ {group}")

    def forget(self, group: int) -> None:
        """The process group has ended."""
        self._drop(f"+ {group}", f"- {group}")

    def own(self, directory: Path) -> None:
        """The directory is to be removed when this process is gone."""
        self._add(f"d {directory}")

    def release(self, directory: Path) -> None:
        """The directory is removed already, or is to stay."""
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
            # Somebody ended the guardian: its successor is told everything anew.
            with suppress(BrokenPipeError):
                self._process.stdin.write("".join(f"{line}\n" for line in lines).encode())

    def _begin(self) -> None:
        self._process = _start()
        self._send(*self._lines)
        threading.Thread(target=self._tend, args=(self._process,), name="tend-guardian", daemon=True).start()

    def _tend(self, process: subprocess.Popen[bytes]) -> None:
        started = time.monotonic()
        process.wait()
        # One that cannot run at all must not be started without a pause.
        time.sleep(max(0.0, started + SHORT_LIFE_SECONDS - time.monotonic()))
        with self._lock:
            if self._process is process and process.stdin is not None:
                process.stdin.close()
                self._begin()


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
