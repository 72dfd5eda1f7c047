"""The supervisor's side of the guardian: what must not outlive this process, not even after SIGKILL."""

from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path
from types import TracebackType
from typing import Self

from workers.embedded import guardian


class Guard:
    """Keeps a guardian process informed; ``with`` starts it and lets it go.

    What is still registered at the end of the block is ended and removed by the guardian.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._lines: dict[str, None] = {}
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        with self._lock:
            self._process = _start()
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

    def _send(self, line: str) -> None:
        if self._process is None or self._process.stdin is None:
            return
        try:
            self._process.stdin.write(f"{line}\n".encode())
        except BrokenPipeError:
            # Somebody ended the guardian: another one learns everything anew.
            self._process.stdin.close()
            self._process.wait(timeout=5)
            self._process = _start()
            if self._process.stdin is not None:
                self._process.stdin.write("".join(f"{known}\n" for known in self._lines).encode())


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
