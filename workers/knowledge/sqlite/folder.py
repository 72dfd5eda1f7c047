"""Indexes a folder of documents; only new and changed files are read."""

import hashlib
import os
from collections.abc import Callable, Container, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from orchestrator.errors import InvalidRequest
from orchestrator.i18n.message import Text
from workers.knowledge.reading.documents import UnreadableDocument
from workers.knowledge.reading.readers import READERS, read_document, twin_key
from workers.knowledge.sqlite.index import DocumentKey, KnowledgeIndex

MAX_FILE_BYTES = 64 * 1024 * 1024
"""Largest file that is read; a larger one is a dump, not documentation."""


@dataclass(frozen=True, slots=True)
class Progress:
    """Outcome for one file."""

    number: int
    total: int
    path: str
    action: str
    """``indexed``, ``unchanged``, ``empty``, ``failed`` or ``removed``."""
    chunks: int = 0
    error: Text | str = ""


@dataclass(slots=True)
class FolderReport:
    """Totals of an indexing run."""

    indexed: int = 0
    unchanged: int = 0
    removed: int = 0
    empty: int = 0
    failed: int = 0
    chunks: int = 0
    errors: tuple[str, ...] = ()


def list_documents(root: Path, *, on_unreadable: Callable[[OSError], None] | None = None) -> list[Path]:
    """The documents below ``root``, sorted, without hidden files and links out of the folder.

    ``on_unreadable`` is called for each folder or file without permission; by default the error is raised.
    """
    return sorted(_walk(root, on_unreadable or _raise))


def _raise(error: OSError) -> None:
    raise error


def _walk(root: Path, on_unreadable: Callable[[OSError], None]) -> Iterator[Path]:
    for folder, names, files in os.walk(root, onerror=on_unreadable):
        names[:] = [name for name in names if not name.startswith(".")]
        for name in files:
            path = Path(folder) / name
            if name.startswith(".") or path.suffix.lower() not in READERS:
                continue
            try:
                if not path.is_file() or (path.is_symlink() and not path.resolve().is_relative_to(root.resolve())):
                    continue
            except OSError as error:
                on_unreadable(error)
                continue
            yield path


def index_folder(
    index: KnowledgeIndex,
    folder: Path,
    *,
    shown_as: str | None = None,
    root: str | None = None,
    on_progress: Callable[[Progress], None] | None = None,
) -> FolderReport:
    """Update the index from ``folder``: reads new and changed files, removes missing ones.

    A file or folder that cannot be read is reported, and its older version stays in the index.
    Raises InvalidRequest when there is no such folder.
    """
    if not folder.is_dir():
        raise InvalidRequest("{folder} is not a folder", folder=str(folder))
    root_name = root or _text_of(str(folder.resolve()))
    prefix = _text_of(folder.resolve().name) if shown_as is None else shown_as
    known = index.fingerprints(root_name)
    notify = on_progress or (lambda _progress: None)
    report = FolderReport()
    unreadable: dict[str, str] = {}

    def note_unreadable(error: OSError) -> None:
        path = _text_of(os.path.relpath(error.filename, folder))
        unreadable[path] = error.strerror or type(error).__name__

    files = list_documents(folder, on_unreadable=note_unreadable)
    total = len(unreadable) + len(files)
    for number, (path, problem) in enumerate(sorted(unreadable.items()), start=1):
        progress = Progress(number, total, path, "failed", error=problem)
        _count(report, progress)
        notify(progress)
    present: set[str] = set()
    for number, file in enumerate(files, start=1 + len(unreadable)):
        path = _text_of(file.relative_to(folder).as_posix())
        present.add(path)
        key = DocumentKey(root_name, path, f"{prefix}/{path}", _twin(root_name, path))
        progress = _index_file(index, file, key, known.get(path), (number, total))
        _count(report, progress)
        notify(progress)
    # A file in a folder that cannot be read now may still exist.
    missing = sorted(path for path in set(known) - present if not _is_below(path, unreadable))
    index.remove(root_name, missing)
    for path in missing:
        report.removed += 1
        notify(Progress(total, total, path, "removed"))
    if report.indexed or report.removed:
        index.finish()
    return report


def _is_below(path: str, folders: Container[str]) -> bool:
    parents = [parent.as_posix() for parent in PurePosixPath(path).parents]
    return path in folders or any(parent in folders for parent in parents)


def _text_of(path: str) -> str:
    """A path as text; bytes that are not UTF-8 are escaped, so that it can be stored and shown."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")


def _twin(root: str, path: str) -> str:
    twin = twin_key(path)
    return f"{root}:{twin}" if twin else ""


def _index_file(
    index: KnowledgeIndex, file: Path, key: DocumentKey, known: str | None, count: tuple[int, int]
) -> Progress:
    number, total = count
    try:
        content = _read(file)
        fingerprint = hashlib.sha256(content).hexdigest()
        if fingerprint == known:
            return Progress(number, total, key.path, "unchanged")
        document = read_document(key.path, content)
    except OSError as error:
        return Progress(number, total, key.path, "failed", error=error.strerror or type(error).__name__)
    except UnreadableDocument as error:
        return Progress(number, total, key.path, "failed", error=error.message)
    chunks = index.put(key, document, fingerprint)
    return Progress(number, total, key.path, "indexed" if chunks else "empty", chunks)


def _read(file: Path) -> bytes:
    """The content of ``file``. Raises UnreadableDocument when it is too large."""
    if file.stat().st_size > MAX_FILE_BYTES:
        raise UnreadableDocument("larger than {size} MiB", size=MAX_FILE_BYTES // 1024 // 1024)
    return file.read_bytes()


def _count(report: FolderReport, progress: Progress) -> None:
    setattr(report, progress.action, getattr(report, progress.action) + 1)
    report.chunks += progress.chunks
    if progress.error:
        report.errors = (*report.errors, f"{progress.path}: {progress.error}")
