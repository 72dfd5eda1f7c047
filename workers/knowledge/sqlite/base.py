"""The embedded knowledge base: an SQLite file with full text (FTS5, BM25) and optional vectors."""

import asyncio
import sqlite3
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar

from orchestrator.errors import ConfigurationError
from workers.knowledge.base import KnowledgeError, KnowledgeStats, SearchResult
from workers.knowledge.embeddings import EmbeddingClient, embed_question
from workers.knowledge.ranking.query import KnowledgeQuery
from workers.knowledge.sqlite.index import index_format
from workers.knowledge.sqlite.search import BACKEND, HYBRID, SqliteSearch
from workers.knowledge.sqlite.vectors import VectorCache, check_numpy

Result = TypeVar("Result")

GRACE_SECONDS = 0.05
"""Time for the worker thread to notice its limit and raise."""
THREADS = 4
"""Searches take milliseconds; more threads than cores would only wait for the interpreter lock."""


class SqliteKnowledgeBase:
    """Reads one index file. Each search has its own connection, so that cancelling one affects no other."""

    def __init__(
        self,
        path: Path | Callable[[], Path],
        embeddings: EmbeddingClient | None = None,
        *,
        min_similarity: float = 0.3,
    ) -> None:
        """``path`` may be a function that builds the file; the first search calls it, in a thread.

        Raises ConfigurationError when ``embeddings`` is given and numpy is not installed.
        """
        self._path = path
        self._ready: Path | None = path if isinstance(path, Path) else None
        self._building = asyncio.Lock()
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="knowledge")
        self._embeddings = embeddings
        self._min_similarity = min_similarity
        self._vectors: VectorCache | None = None
        if embeddings is not None:
            check_numpy()
            self._vectors = VectorCache(embeddings.model)

    async def close(self) -> None:
        """Release the threads and the endpoint's connections; running searches end on their own."""
        self._threads.shutdown(wait=False, cancel_futures=True)
        if self._embeddings is not None:
            await self._embeddings.close()

    async def search(self, query: KnowledgeQuery, *, limit: int, timeout_seconds: float) -> SearchResult:
        """See KnowledgeBase."""
        stop_at = time.monotonic() + timeout_seconds
        if limit < 1 or (query.is_empty and self._embeddings is None):
            return SearchResult(backend=BACKEND)
        vector, notes = await embed_question(self._embeddings, query.text, timeout_seconds)

        def work(db: sqlite3.Connection, path: Path) -> SearchResult:
            if not vector:
                return SqliteSearch(db, query).run(limit)
            assert self._vectors is not None  # noqa: S101  # a vector comes from the client, made together with the cache
            unusable = self._vectors.unusable(db, path, vector)
            if unusable is not None:
                return replace(SqliteSearch(db, query).run(limit), notes=(unusable,))
            nearest = self._vectors.nearest(db, path, vector, self._min_similarity)
            return SqliteSearch(db, query, nearest).run(limit)

        result = await self._run(work, stop_at)
        return replace(result, where=self._ready.name if self._ready else "", notes=(*notes, *result.notes))

    async def stats(self, *, timeout_seconds: float) -> KnowledgeStats:
        """See KnowledgeBase."""
        model = self._embeddings.model if self._embeddings else None
        return await self._run(lambda db, path: _stats(db, path, model), time.monotonic() + timeout_seconds)

    async def _file(self) -> Path:
        """The index file, built when missing: the user may have emptied the cache folder."""
        if callable(self._path) and not self._exists():
            async with self._building:
                if not self._exists():
                    self._ready = await asyncio.get_running_loop().run_in_executor(self._threads, self._path)
        assert self._ready is not None  # noqa: S101  # passed in, or built above
        return self._ready

    def _exists(self) -> bool:
        return self._ready is not None and self._ready.exists()

    async def _run(self, work: Callable[[sqlite3.Connection, Path], Result], stop_at: float) -> Result:
        """Run ``work`` in a thread with its own connection; stops at ``stop_at`` (monotonic) or when cancelled."""
        timeout = stop_at - time.monotonic()
        if timeout <= 0:
            raise KnowledgeError("no time left to search", reason="knowledge_timeout")
        stopped = False

        def should_stop() -> bool:
            return stopped or time.monotonic() > stop_at

        def task(path: Path) -> Result:
            with closing(connect(path)) as db:
                # Called every 10,000 instructions of SQLite's virtual machine, about once a millisecond.
                db.set_progress_handler(should_stop, 10_000)
                return work(db, path)

        try:
            async with asyncio.timeout(timeout + GRACE_SECONDS):
                path = await self._file()
                return await asyncio.get_running_loop().run_in_executor(self._threads, task, path)
        except (TimeoutError, sqlite3.Error) as error:
            if isinstance(error, TimeoutError) or should_stop():
                raise KnowledgeError(
                    "no answer within {seconds:.1f} s", seconds=timeout, reason="knowledge_timeout"
                ) from None
            raise KnowledgeError("the index cannot be read: {detail}", detail=str(error)) from error
        finally:
            stopped = True


def connect(path: Path) -> sqlite3.Connection:
    """A read-only connection to an index of this format. Raises KnowledgeError."""
    try:
        db, row = _open(path)
    except sqlite3.OperationalError as error:
        if error.sqlite_errorname != "SQLITE_READONLY_ROLLBACK":
            raise KnowledgeError(
                "{name} is not a knowledge base: {detail}", name=path.name, detail=str(error)
            ) from error
        try:
            _roll_back(path)
            db, row = _open(path)
        except sqlite3.Error:
            raise KnowledgeError(
                "{name} was left half-written by an indexing run; run again: {command}",
                name=path.name,
                command="resync-troubleshoot kb index DIR",
            ) from error
    except sqlite3.Error as error:
        raise KnowledgeError("{name} is not a knowledge base: {detail}", name=path.name, detail=str(error)) from error
    if row is None or row[0] != index_format():
        db.close()
        raise KnowledgeError(
            "{name} is an index of another version; renew it with: {command}",
            name=path.name,
            command="resync-troubleshoot kb index DIR --path FILE",
            reason="knowledge_format",
        )
    return db


def _open(path: Path) -> tuple[sqlite3.Connection, tuple[str] | None]:
    """A read-only connection and the row with the format."""
    db = sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True, timeout=1)
    try:
        return db, db.execute("SELECT value FROM meta WHERE name = 'format'").fetchone()
    except sqlite3.Error:
        db.close()
        raise


def _roll_back(path: Path) -> None:
    """Roll back the transaction of a killed indexing run; that needs a writable connection."""
    with closing(sqlite3.connect(f"{path.resolve().as_uri()}?mode=rw", uri=True, timeout=1)) as db:
        db.execute("SELECT value FROM meta").fetchone()


def check_index(path: Path) -> None:
    """Raise ConfigurationError, naming the variable, when ``path`` is not an index of this version."""
    try:
        is_file = path.is_file()
    except OSError as error:  # no permission for a parent folder
        raise ConfigurationError(
            "RESYNC_KNOWLEDGE_PATH: {path} cannot be read: {detail}", path=str(path), detail=error.strerror
        ) from None
    if not is_file:
        raise ConfigurationError(
            "RESYNC_KNOWLEDGE_PATH: {path} is not a file; create it with: {command}",
            path=str(path),
            command=f"resync-troubleshoot kb index DIR --path {path}",
        )
    try:
        connect(path).close()
    except KnowledgeError as error:
        raise ConfigurationError("RESYNC_KNOWLEDGE_PATH: {detail}", detail=error.message) from error


def _stats(db: sqlite3.Connection, path: Path, model: str | None) -> KnowledgeStats:
    languages = dict(db.execute("SELECT language, count(*) FROM document GROUP BY language ORDER BY language"))
    (passages,) = db.execute("SELECT count(*) FROM chunk").fetchone()
    (embedded,) = db.execute("SELECT count(*) FROM embedding WHERE model = coalesce(?, model)", (model,)).fetchone()
    (newest,) = db.execute("SELECT max(indexed_at) FROM document").fetchone()
    updated = None if newest is None else datetime.fromtimestamp(newest, UTC).isoformat(timespec="seconds")
    backend = HYBRID if model and embedded else BACKEND
    return KnowledgeStats(backend, str(path), sum(languages.values()), passages, embedded, languages, updated)
