"""The SQLite file of the knowledge base: its schema and its writer."""

import json
import sqlite3
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from orchestrator.errors import ConfigurationError
from workers.knowledge.ranking.analysis import index_tokens
from workers.knowledge.ranking.codes import find_code_tokens, find_names, find_states, name_token
from workers.knowledge.ranking.fingerprint import analysis_fingerprint, reading_fingerprint
from workers.knowledge.reading.chunking import cut_sections
from workers.knowledge.reading.documents import Chunk, Document, Standing

SCHEMA_VERSION = 2

_SCHEMA = """
CREATE TABLE IF NOT EXISTS meta (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS document (
    id INTEGER PRIMARY KEY,
    root TEXT NOT NULL,
    path TEXT NOT NULL,
    shown TEXT NOT NULL,
    title TEXT NOT NULL,
    language TEXT NOT NULL,
    twin TEXT NOT NULL,
    fingerprint TEXT NOT NULL,
    indexed_at INTEGER NOT NULL,
    UNIQUE (root, path)
);
CREATE TABLE IF NOT EXISTS chunk (
    id INTEGER PRIMARY KEY,
    document_id INTEGER NOT NULL REFERENCES document (id) ON DELETE CASCADE,
    ordinal INTEGER NOT NULL,
    headings TEXT NOT NULL,
    text TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS document_twin ON document (twin, language);
CREATE INDEX IF NOT EXISTS chunk_document ON chunk (document_id, ordinal);
CREATE TABLE IF NOT EXISTS embedding (
    chunk_id INTEGER PRIMARY KEY REFERENCES chunk (id) ON DELETE CASCADE,
    model TEXT NOT NULL,
    vector BLOB NOT NULL
);
CREATE TABLE IF NOT EXISTS standing (
    document_id INTEGER PRIMARY KEY REFERENCES document (id) ON DELETE CASCADE,
    withdrawn INTEGER NOT NULL,
    topic TEXT NOT NULL,
    edition TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS standing_topic ON standing (topic, edition);
CREATE TABLE IF NOT EXISTS page_name (
    document_id INTEGER NOT NULL REFERENCES document (id) ON DELETE CASCADE,
    name TEXT NOT NULL,
    is_replaced INTEGER NOT NULL
);
CREATE INDEX IF NOT EXISTS page_name_document ON page_name (document_id);
CREATE INDEX IF NOT EXISTS page_name_name ON page_name (name, is_replaced);
CREATE VIRTUAL TABLE IF NOT EXISTS passage USING fts5(
    title, section, body, topic, codes, tokenize = 'unicode61 remove_diacritics 2'
);
"""


def index_format() -> str:
    """Versions of schema, analysis and reading; a file of another format has other tokens and is not searched."""
    return f"{SCHEMA_VERSION}.{analysis_fingerprint()}.{reading_fingerprint()}"


@dataclass(frozen=True, slots=True)
class DocumentKey:
    """Origin of a document and its displayed name."""

    root: str
    """The indexed folder, whose documents are updated together."""
    path: str
    """Relative to the folder, with ``/``."""
    shown: str
    """Name in citations; no absolute path of this machine."""
    twin: str = ""
    """Equal for all translations of one page; empty without translations."""


class KnowledgeIndex:
    """Writes an index file, one process at a time; a context manager.

    An error of SQLite in its block (a full disk, another writer) is raised as ConfigurationError.
    """

    def __init__(self, path: Path) -> None:
        """Open ``path``, creating it when missing. Raises ConfigurationError when it cannot be written."""
        self.path = path
        self.renewed = 0
        """Number of passages of another version that were analysed again."""
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._db = sqlite3.connect(path, timeout=10, isolation_level=None)
            try:
                self._db.execute("PRAGMA foreign_keys = ON")
                # A transaction larger than the page cache would lock out readers long before it commits.
                self._db.execute("PRAGMA cache_spill = OFF")
                self._db.executescript(_SCHEMA)
                self.renewed = self._bring_up_to_date()
            except BaseException:
                self._db.close()
                raise
        except sqlite3.OperationalError as error:
            raise self._unwritable(error) from error
        except (OSError, sqlite3.Error) as error:
            raise ConfigurationError(
                "{path} cannot be used as a knowledge base: {detail}", path=str(path), detail=str(error)
            ) from error

    def _bring_up_to_date(self) -> int:
        """Analyse the passages of an older version again; returns their number. Raises ConfigurationError.

        The texts are in the index, so this reads no file. When the reading of files has changed, each is read again
        with its folder's next indexing; until then its older chunks are searched.
        """
        if self._format() == index_format():
            return 0
        with self._transaction():
            previous = self._format()  # another process may have updated it in the meantime
            if previous is None:
                self._db.execute("INSERT INTO meta VALUES ('format', ?)", (index_format(),))
                return 0
            schema, _, rest = previous.partition(".")
            if schema != str(SCHEMA_VERSION):
                raise ConfigurationError(
                    "{path} was written in format {found}, this version writes {format}; "
                    "delete the file and run: {command}",
                    path=str(self.path),
                    found=previous,
                    format=index_format(),
                    command="resync-troubleshoot kb index DIR",
                )
            analysis, _, reading = rest.partition(".")
            if reading != reading_fingerprint():
                self._db.execute("UPDATE document SET fingerprint = ''")
            renewed = self._analyse_again() if analysis != analysis_fingerprint() else 0
            self._db.execute("UPDATE meta SET value = ? WHERE name = 'format'", (index_format(),))
        return renewed

    def _format(self) -> str | None:
        row = self._db.execute("SELECT value FROM meta WHERE name = 'format'").fetchone()
        return None if row is None else str(row[0])

    def _analyse_again(self) -> int:
        rows = self._db.execute(
            "SELECT chunk.id, title, language, ordinal, headings, text FROM chunk"
            " JOIN document ON document.id = chunk.document_id ORDER BY chunk.id"
        ).fetchall()
        self._db.execute("DELETE FROM passage")
        for chunk_id, title, language, ordinal, headings, text in rows:
            chunk = Chunk(ordinal, tuple(json.loads(headings)), text)
            self._put_passage(chunk_id, title, language, chunk)
        return len(rows)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        try:
            self.close()
        finally:
            if isinstance(error, sqlite3.Error):
                raise self._unwritable(error) from error

    def _unwritable(self, error: sqlite3.Error) -> ConfigurationError:
        if "locked" in str(error):
            return ConfigurationError(
                "{path} is being written by another process; run the command again when that has ended",
                path=str(self.path),
            )
        return ConfigurationError(
            "{path} cannot be written: {detail}; what was indexed before is kept",
            path=str(self.path),
            detail=str(error),
        )

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    def fingerprints(self, root: str) -> dict[str, str]:
        """Fingerprint of every document of ``root``, by path."""
        return dict(self._db.execute("SELECT path, fingerprint FROM document WHERE root = ?", (root,)))

    def put(self, key: DocumentKey, document: Document, fingerprint: str) -> int:
        """Replace the document's older version, in one transaction; returns the number of chunks."""
        chunks = cut_sections(document.sections)
        with self._transaction():
            self._delete(key.root, [key.path])
            cursor = self._db.execute(
                "INSERT INTO document (root, path, shown, title, language, twin, fingerprint, indexed_at)"
                " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                (key.root, key.path, key.shown, document.title, document.language, key.twin, fingerprint,
                 int(time.time())),
            )  # fmt: skip
            document_id = int(cursor.lastrowid or 0)
            self._put_standing(document_id, document.standing)
            last = self._last_chunk()
            for chunk_id, chunk in enumerate(chunks, start=last + 1):
                self._put_chunk(chunk_id, document_id, document, chunk)
            self._db.execute("INSERT OR REPLACE INTO meta VALUES ('last_chunk', ?)", (str(last + len(chunks)),))
        return len(chunks)

    def _put_standing(self, document_id: int, standing: Standing) -> None:
        self._db.execute(
            "INSERT INTO standing VALUES (?, ?, ?, ?)",
            (document_id, standing.withdrawn, standing.topic, standing.edition),
        )
        names = [(document_id, name, 0) for name in standing.names]
        names += [(document_id, name, 1) for name in standing.replaces]
        self._db.executemany("INSERT INTO page_name VALUES (?, ?, ?)", names)

    def _last_chunk(self) -> int:
        """The highest id ever used: ids are not reused, since another process may be embedding the former text."""
        (last,) = self._db.execute(
            "SELECT max(coalesce((SELECT max(id) FROM chunk), 0),"
            " coalesce((SELECT CAST(value AS INTEGER) FROM meta WHERE name = 'last_chunk'), 0))"
        ).fetchone()
        return int(last)

    def _put_chunk(self, chunk_id: int, document_id: int, document: Document, chunk: Chunk) -> None:
        self._db.execute(
            "INSERT INTO chunk (id, document_id, ordinal, headings, text) VALUES (?, ?, ?, ?, ?)",
            (chunk_id, document_id, chunk.ordinal, json.dumps(chunk.headings, ensure_ascii=False), chunk.text),
        )
        self._put_passage(chunk_id, document.title, document.language, chunk)

    def _put_passage(self, chunk_id: int, title: str, language: str, chunk: Chunk) -> None:
        """Store the tokens of a chunk."""
        headings = " \n".join((title, *chunk.headings))
        topic = (*find_code_tokens(headings), *map(name_token, find_names(headings)), *find_states(headings))
        mentioned = (*find_code_tokens(chunk.text), *map(name_token, find_names(chunk.text)))
        below = " ".join(heading for heading in chunk.headings if heading != title)
        analysed = [" ".join(index_tokens(text, language)) for text in (title, below, chunk.text)]
        self._db.execute(
            "INSERT INTO passage (rowid, title, section, body, topic, codes) VALUES (?, ?, ?, ?, ?, ?)",
            (chunk_id, *analysed, " ".join(topic), " ".join(mentioned)),
        )

    def remove(self, root: str, paths: Sequence[str]) -> None:
        """Remove documents of ``root``."""
        with self._transaction():
            self._delete(root, paths)

    def _delete(self, root: str, paths: Sequence[str]) -> None:
        for path in paths:
            row = self._db.execute("SELECT id FROM document WHERE root = ? AND path = ?", (root, path)).fetchone()
            if row is not None:
                self._db.execute("DELETE FROM passage WHERE rowid IN (SELECT id FROM chunk WHERE document_id = ?)", row)
                self._db.execute("DELETE FROM document WHERE id = ?", row)

    def chunks_without_vector(self, model: str) -> list[tuple[int, str]]:
        """``(chunk id, text to embed)`` of every chunk that has no vector of ``model``."""
        rows = self._db.execute(
            "SELECT chunk.id, document.title, chunk.headings, chunk.text FROM chunk"
            " JOIN document ON document.id = chunk.document_id"
            " LEFT JOIN embedding ON embedding.chunk_id = chunk.id AND embedding.model = ?"
            " WHERE embedding.chunk_id IS NULL ORDER BY chunk.id",
            (model,),
        )
        return [
            (chunk_id, "\n".join(dict.fromkeys((title, *json.loads(headings), text))))
            for chunk_id, title, headings, text in rows
        ]

    def put_vectors(self, model: str, vectors: Iterable[tuple[int, bytes]]) -> None:
        """Store vectors (little-endian float32, unit length), replacing those of another model.

        Vectors of chunks that were replaced in the meantime are skipped.
        """
        with self._transaction():
            self._db.executemany(
                "INSERT OR REPLACE INTO embedding (chunk_id, model, vector) SELECT id, ?, ? FROM chunk WHERE id = ?",
                [(model, vector, chunk_id) for chunk_id, vector in vectors],
            )

    def finish(self) -> None:
        """Merge the full-text index and refresh the planner's statistics."""
        self._db.execute("INSERT INTO passage (passage) VALUES ('optimize')")
        self._db.execute("PRAGMA optimize")

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        """``BEGIN IMMEDIATE`` to ``COMMIT``: a second writer waits instead of failing in the middle."""
        self._db.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            if self._db.in_transaction:  # a full disk ends it by itself
                self._db.execute("ROLLBACK")
            raise
        self._db.execute("COMMIT")
