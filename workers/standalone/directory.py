"""The private directory that every file of an embedded run lives in."""

from __future__ import annotations

import secrets
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from workers.standalone.guard import Guard

PREFIX = "resync-troubleshoot-"


@contextmanager
def private_directory(guard: Guard) -> Iterator[Path]:
    """A new directory that only this user may enter, removed with all it holds at the end or by the guardian."""
    path = Path(tempfile.gettempdir()) / f"{PREFIX}{secrets.token_hex(8)}"
    # Told before it is made: a process that is killed in between leaves no directory behind.
    guard.own(path)
    try:
        path.mkdir(mode=0o700)
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)
        guard.release(path)
