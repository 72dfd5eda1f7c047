"""The private directory that every file of an embedded run lives in."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

PREFIX = "resync-troubleshoot-"


@contextmanager
def private_directory(*, keep: bool = False) -> Iterator[Path]:
    """A new directory that only this user may enter, removed with all it holds at the end unless ``keep``."""
    path = Path(tempfile.mkdtemp(prefix=PREFIX))  # 0700 by mkdtemp's promise
    try:
        yield path
    finally:
        if not keep:
            shutil.rmtree(path, ignore_errors=True)
