"""The index of the shipped runbooks, built once in the user's cache folder."""

import hashlib
import os
import sqlite3
import tempfile
import time
from collections.abc import Mapping
from contextlib import suppress
from functools import cache
from pathlib import Path

from orchestrator.errors import TroubleshootError
from workers.knowledge.base import KnowledgeError
from workers.knowledge.sqlite.base import connect
from workers.knowledge.sqlite.folder import index_folder, list_documents
from workers.knowledge.sqlite.index import KnowledgeIndex, index_format

RUNBOOKS_ROOT = "runbooks"
"""Name of the shipped runbooks in an index, in place of the path of the installed package."""
EXPIRY_SECONDS = 30 * 86_400.0
"""Age from which the index of another version counts as abandoned."""


def runbooks_folder() -> Path:
    """The folder of the installed runbooks."""
    return Path(__file__).parents[1] / "runbooks"


def cache_folder(environ: Mapping[str, str]) -> Path:
    """``$XDG_CACHE_HOME/resync-troubleshoot``, by default below ``~/.cache`` (XDG Base Directory Specification)."""
    base = environ.get("XDG_CACHE_HOME", "")
    root = Path(base) if base.startswith("/") else Path(environ.get("HOME") or Path.home()) / ".cache"
    return root / "resync-troubleshoot"


def index_runbooks(index: KnowledgeIndex) -> None:
    """Add the shipped runbooks to ``index``, or update them there."""
    index_folder(index, runbooks_folder(), shown_as=RUNBOOKS_ROOT, root=RUNBOOKS_ROOT)


@cache
def content_key() -> str:
    """Hash of the runbooks and the index format, which names the file: each version of the package has its own."""
    digest = hashlib.sha256(index_format().encode())
    folder = runbooks_folder()
    for path in list_documents(folder):
        digest.update(path.relative_to(folder).as_posix().encode() + b"\0")
        digest.update(path.read_bytes() + b"\0")
    return digest.hexdigest()[:16]


def shipped_index(environ: Mapping[str, str]) -> Path:
    """The index file, built when missing. Raises KnowledgeError when no folder is writable.

    Safe with concurrent processes: each builds its own file and moves it into place; the files are equal.
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
    raise KnowledgeError(
        "the index of the shipped runbooks cannot be written ({problems})", problems="; ".join(problems)
    )


def _private(folder: Path) -> None:
    """Create ``folder`` for this user only. Raises PermissionError when others own it or may write to it."""
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
    """Remove abandoned indexes of other versions; a version still in use builds its own again."""
    for path in folder.glob("*runbooks-*"):
        with suppress(OSError):  # another process removed it first
            if path != new and time.time() - path.stat().st_mtime > EXPIRY_SECONDS:
                path.unlink()
