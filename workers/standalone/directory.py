"""The private directory for all files of a standalone system."""

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
