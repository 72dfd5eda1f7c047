"""The private directory that every file of an embedded run lives in."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from workers.embedded.guard import Guard

PREFIX = "resync-troubleshoot-"


@contextmanager
def private_directory(guard: Guard) -> Iterator[Path]:
    """A new directory that only this user may enter, removed with all it holds at the end or by the guardian."""
    path = Path(tempfile.mkdtemp(prefix=PREFIX))  # 0700 by mkdtemp's promise
    guard.own(path)
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)
        guard.release(path)
