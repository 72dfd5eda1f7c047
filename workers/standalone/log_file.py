"""A bounded log file of a child process, with its last lines in memory for error messages."""

from __future__ import annotations

from collections import deque
from pathlib import Path

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
