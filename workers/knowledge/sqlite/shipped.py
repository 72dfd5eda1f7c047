"""The index of the runbooks that ship with the package, built once into the user's cache folder."""

from __future__ import annotations

import hashlib
import os
import sqlite3
import tempfile
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from orchestrator.errors import TroubleshootError
from workers.knowledge.base import KnowledgeError
from workers.knowledge.sqlite.base import connect
from workers.knowledge.sqlite.folder import index_folder, list_documents
from workers.knowledge.sqlite.index import KnowledgeIndex, index_format

RUNBOOKS_ROOT = "runbooks"
"""Name of the shipped runbooks inside an index, instead of the folder where the package is installed."""
KEPT_SECONDS = 30 * 86_400.0
"""Age at which another version's index is taken for one that nobody needs."""


def runbooks_folder() -> Path:
    """Where the shipped runbooks are installed."""
    return Path(__file__).parents[1] / "runbooks"


def cache_folder(environ: Mapping[str, str]) -> Path:
    """``$XDG_CACHE_HOME/resync-troubleshoot``, by default below ``~/.cache`` (XDG Base Directory Specification)."""
    base = environ.get("XDG_CACHE_HOME", "")
    root = Path(base) if base.startswith("/") else Path(environ.get("HOME") or Path.home()) / ".cache"
    return root / "resync-troubleshoot"


def index_runbooks(index: KnowledgeIndex) -> None:
    """Put the shipped runbooks into ``index``, or bring them up to date there."""
    index_folder(index, runbooks_folder(), shown_as=RUNBOOKS_ROOT, root=RUNBOOKS_ROOT)


def content_key() -> str:
    """Hash over the runbooks and the index format: another version of the package has another file."""
    digest = hashlib.sha256(index_format().encode())
    folder = runbooks_folder()
    for path in list_documents(folder):
        digest.update(path.relative_to(folder).as_posix().encode() + b"\0")
        digest.update(path.read_bytes() + b"\0")
    return digest.hexdigest()[:16]


def shipped_index(environ: Mapping[str, str]) -> Path:
    """The index file, built when it is not there. Raises KnowledgeError when no folder can be written.

    Safe with several processes at once: each builds a file of its own and moves it into place; the files are equal.
    """
    name = f"runbooks-{content_key()}.sqlite3"
    problems = []
    for folder in (cache_folder(environ), Path(tempfile.gettempdir()) / f"resync-troubleshoot-{os.getuid()}"):
        path = folder / name
        try:
            _private(folder)
            if not _is_usable(path):
                _build(path)
                _remove_old(folder, path)
        except (OSError, sqlite3.Error, TroubleshootError) as error:
            problems.append(f"{folder}: {error}")
        else:
            return path
    raise KnowledgeError(f"the index of the shipped runbooks cannot be written ({'; '.join(problems)})")


def _private(folder: Path) -> None:
    """Create ``folder`` for this user only; a folder that someone else owns or may write is refused."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    status = folder.stat()
    if status.st_uid != os.getuid() or status.st_mode & 0o022:
        raise PermissionError(f"{folder} can be written by other users")


def _is_usable(path: Path) -> bool:
    if not path.is_file():
        return False
    try:
        connect(path).close()
    except KnowledgeError:
        return False
    return True


def _build(path: Path) -> None:
    handle, name = tempfile.mkstemp(prefix=f".{path.stem}-", suffix=".tmp", dir=path.parent)
    os.close(handle)
    temporary = Path(name)
    try:
        with KnowledgeIndex(temporary) as index:
            index_runbooks(index)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def _remove_old(folder: Path, new: Path) -> None:
    """Remove what other versions left. One that still runs builds its own again, with a young file that stays."""
    for path in folder.glob("*runbooks-*"):
        with suppress(OSError):  # another process was faster
            if path != new and time.time() - path.stat().st_mtime > KEPT_SECONDS:
                path.unlink()
