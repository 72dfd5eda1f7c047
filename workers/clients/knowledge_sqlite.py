"""The embedded knowledge base: an SQLite file with full text (FTS5, BM25) and, where embedded, vectors."""

from __future__ import annotations

import asyncio
import json
import sqlite3
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar

from orchestrator.errors import ConfigurationError
from workers.clients.knowledge_index import FORMAT
from workers.knowledge.analysis import index_tokens
from workers.knowledge.base import Hit, KnowledgeError, KnowledgeStats, SearchResult
from workers.knowledge.codes import find_code_tokens, find_codes, find_name_tokens
from workers.knowledge.documents import Chunk
from workers.knowledge.passage import grow
from workers.knowledge.query import KnowledgeQuery, QueryConcept
from workers.knowledge.ranking import Judge, inverse_frequency

Result = TypeVar("Result")

BACKEND = "sqlite-fts5"
THREADS = 4
"""Searches take milliseconds; more threads than cores would only queue on the interpreter lock."""
CANDIDATES = 400
"""Chunks taken from each part of a query."""
CONSIDERED = 80
"""Best chunks whose passages are built and judged."""

# bm25 weights of title, section, body, topic, codes. FTS5 saturates a term's weight, so the parts of a query
# are multiplied as well.
_TEXT_WEIGHTS = "5.0, 3.0, 1.0, 0.0, 0.0"
_CODE_WEIGHTS = "0.0, 0.0, 0.0, 10.0, 2.0"
TAIL_RATIO = 0.12
"""A passage scoring less than this share of the best one shares a common word with the question, no more."""
_CODES_FACTOR = 4.0
_NAMES_FACTOR = 2.0
_OTHERS_FACTOR = 0.4
_SAME_LANGUAGE_FACTOR = 1.15
_NEIGHBOUR_FACTOR = 0.15


@dataclass(slots=True)
class _Candidate:
    """A passage under consideration."""

    document_id: int
    twin: str
    language: str
    chunk_ids: range
    score: float
    hit: Hit


def _any_of(tokens: Iterable[str], columns: str) -> str:
    """An FTS5 expression; tokens are letters and digits only, and quoted all the same."""
    quoted = " OR ".join(f'"{token}"' for token in tokens)
    return f"{{{columns}}} : ({quoted})"


class SqliteKnowledgeBase:
    """Reads one index file. Each search has its own connection, so a cancelled one interrupts nothing else."""

    def __init__(self, path: Path | Callable[[], Path]) -> None:
        """``path`` may be a function that builds the file; it is called once, in a thread, by the first search."""
        self._path = path
        self._ready: Path | None = path if isinstance(path, Path) else None
        self._building = asyncio.Lock()
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="knowledge")

    @property
    def where(self) -> str:
        """The file's name."""
        return self._ready.name if self._ready else "runbooks"

    async def close(self) -> None:
        """Let running searches end and release the threads."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def search(self, query: KnowledgeQuery, *, limit: int, timeout_seconds: float) -> SearchResult:
        """See KnowledgeBase."""
        if query.is_empty or limit < 1:
            return SearchResult(backend=BACKEND)
        return await self._run(lambda db: _Search(db, query).run(limit), timeout_seconds)

    async def stats(self, *, timeout_seconds: float) -> KnowledgeStats:
        """See KnowledgeBase."""
        stats = await self._run(_stats, timeout_seconds)
        return replace(stats, where=str(self._ready))

    async def _file(self) -> Path:
        if self._ready is None:
            async with self._building:
                if self._ready is None:
                    assert callable(self._path)  # noqa: S101  # a Path would have been ready
                    self._ready = await asyncio.get_running_loop().run_in_executor(self._threads, self._path)
        return self._ready

    async def _run(self, work: Callable[[sqlite3.Connection], Result], timeout_seconds: float) -> Result:
        """Run ``work`` in a thread with a connection of its own, stopped at the timeout or when cancelled."""
        stop_at = time.monotonic() + timeout_seconds
        path = await self._file()
        stopped = False

        def should_stop() -> bool:
            return stopped or time.monotonic() > stop_at

        def task() -> Result:
            db = connect(path)
            try:
                # Called every 10,000 steps of SQLite's machine, about once a millisecond.
                db.set_progress_handler(should_stop, 10_000)
                return work(db)
            finally:
                db.close()

        future = asyncio.get_running_loop().run_in_executor(self._threads, task)
        try:
            return await asyncio.wait_for(future, max(0.001, stop_at - time.monotonic()) + 0.05)
        except TimeoutError:
            raise KnowledgeError(f"no answer within {timeout_seconds:g} s", reason="knowledge_timeout") from None
        except sqlite3.Error as error:
            if should_stop():
                raise KnowledgeError(f"no answer within {timeout_seconds:g} s", reason="knowledge_timeout") from error
            raise KnowledgeError(f"{path.name}: {error}") from error
        finally:
            stopped = True


def connect(path: Path) -> sqlite3.Connection:
    """A read-only connection to an index of this format. Raises KnowledgeError."""
    try:
        db = sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True, timeout=1, check_same_thread=False)
    except sqlite3.Error as error:
        raise KnowledgeError(f"{path.name} cannot be opened: {error}") from error
    try:
        row = db.execute("SELECT value FROM meta WHERE name = 'format'").fetchone()
    except sqlite3.Error as error:
        db.close()
        raise KnowledgeError(f"{path.name} is not a knowledge base: {error}") from error
    if row is None or row[0] != FORMAT:
        db.close()
        raise KnowledgeError(
            f"{path.name} is an index of another version; delete it and run: resync-troubleshoot kb index DIR",
            reason="knowledge_format",
        )
    return db


def check_index(path: Path) -> None:
    """Raises ConfigurationError, naming the variable, when ``path`` is not an index that this version can read."""
    if not path.is_file():
        raise ConfigurationError(
            f"RESYNC_KNOWLEDGE_PATH: {path} is not a file; "
            f"create it with: resync-troubleshoot kb index DIR --path {path}"
        )
    try:
        connect(path).close()
    except KnowledgeError as error:
        raise ConfigurationError(f"RESYNC_KNOWLEDGE_PATH: {error}") from error


def _stats(db: sqlite3.Connection) -> KnowledgeStats:
    languages = dict(db.execute("SELECT language, count(*) FROM document GROUP BY language ORDER BY language"))
    (passages,) = db.execute("SELECT count(*) FROM chunk").fetchone()
    (embedded,) = db.execute("SELECT count(*) FROM embedding").fetchone()
    (newest,) = db.execute("SELECT max(indexed_at) FROM document").fetchone()
    updated = None if newest is None else datetime.fromtimestamp(newest, UTC).isoformat(timespec="seconds")
    return KnowledgeStats(BACKEND, "", sum(languages.values()), passages, embedded, languages, updated)


class _Search:
    """One search on one connection."""

    def __init__(self, db: sqlite3.Connection, query: KnowledgeQuery) -> None:
        self._db = db
        self._query = query
        self._documents: dict[int, tuple[str, str, str, str]] = {}
        self._chunks: dict[int, list[tuple[int, Chunk]]] = {}

    def run(self, limit: int) -> SearchResult:
        """Score chunks, build their passages, keep the relevant ones."""
        scores = self._score_chunks()
        candidates = self._passages(scores)
        judge = Judge(self._query, self._concept_weight())
        relevant = [candidate for candidate in candidates if self._is_relevant(judge, candidate)]
        if relevant:
            floor = TAIL_RATIO * relevant[0].score
            relevant = [candidate for candidate in relevant if candidate.score >= floor]
        distinct = self._without_translations(relevant)
        return SearchResult(tuple(candidate.hit for candidate in distinct[:limit]), len(distinct), BACKEND)

    def _score_chunks(self) -> dict[int, float]:
        """Chunk id to score: BM25 of each part of the query times the part's factor."""
        query = self._query
        own = dict.fromkeys(stem for concept in query.concepts for stem in concept.own)
        others = dict.fromkeys(stem for concept in query.concepts for stem in concept.others if stem not in own)
        parts = (
            (query.codes, "topic codes", _CODE_WEIGHTS, _CODES_FACTOR),
            (query.names, "topic codes", _CODE_WEIGHTS, _NAMES_FACTOR),
            (own, "title section body", _TEXT_WEIGHTS, 1.0),
            (others, "title section body", _TEXT_WEIGHTS, _OTHERS_FACTOR),
        )
        scores: dict[int, float] = {}
        for tokens, columns, weights, factor in parts:
            if not tokens:
                continue
            rows = self._db.execute(
                # FTS5's bm25() is negative, the best match the lowest.
                f"SELECT rowid, -bm25(passage, {weights}) AS score FROM passage"  # noqa: S608  # constants of this file
                " WHERE passage MATCH ? ORDER BY score DESC LIMIT ?",
                (_any_of(tokens, columns), CANDIDATES),
            )
            for chunk_id, score in rows:
                scores[chunk_id] = scores.get(chunk_id, 0.0) + factor * score
        return scores

    def _passages(self, scores: dict[int, float]) -> list[_Candidate]:
        """The passages of the best chunks, best first; chunks of one passage add a little to it."""
        best = sorted(scores, key=lambda chunk_id: (-scores[chunk_id], chunk_id))[:CONSIDERED]
        candidates: list[_Candidate] = []
        for chunk_id in best:
            row = self._db.execute("SELECT document_id, ordinal FROM chunk WHERE id = ?", (chunk_id,)).fetchone()
            if row is None:
                continue
            document_id, ordinal = row
            home = next((c for c in candidates if c.document_id == document_id and chunk_id in c.chunk_ids), None)
            if home is not None:
                home.score += _NEIGHBOUR_FACTOR * scores[chunk_id]
                continue
            candidates.append(self._candidate(document_id, ordinal, scores[chunk_id]))
        for candidate in candidates:
            if candidate.language == self._query.language:
                candidate.score *= _SAME_LANGUAGE_FACTOR
            candidate.hit = replace(candidate.hit, score=round(candidate.score, 3))
        return sorted(candidates, key=lambda candidate: -candidate.score)

    def _candidate(self, document_id: int, ordinal: int, score: float) -> _Candidate:
        shown, title, language, twin = self._document(document_id)
        chunks = self._document_chunks(document_id)
        position = next(index for index, (_, chunk) in enumerate(chunks) if chunk.ordinal == ordinal)
        region = grow([chunk for _, chunk in chunks], position)
        ids = [chunk_id for chunk_id, _ in chunks[region.first : region.last + 1]]
        headings = " ".join((title, *chunks[position][1].headings))
        hit = Hit(
            document=shown,
            title=title,
            section=chunks[position][1].section or title,
            text=region.text,
            score=score,
            codes=tuple(dict.fromkeys((*find_codes(headings), *find_codes(region.text)))),
            language=language,
            cut_characters=region.cut_characters,
        )
        return _Candidate(document_id, twin, language, range(ids[0], ids[-1] + 1), score, hit)

    def _document(self, document_id: int) -> tuple[str, str, str, str]:
        if document_id not in self._documents:
            self._documents[document_id] = self._db.execute(
                "SELECT shown, title, language, twin FROM document WHERE id = ?", (document_id,)
            ).fetchone()
        return self._documents[document_id]

    def _document_chunks(self, document_id: int) -> list[tuple[int, Chunk]]:
        if document_id not in self._chunks:
            rows = self._db.execute(
                "SELECT id, ordinal, headings, text FROM chunk WHERE document_id = ? ORDER BY ordinal", (document_id,)
            )
            self._chunks[document_id] = [
                (chunk_id, Chunk(ordinal, tuple(json.loads(headings)), text))
                for chunk_id, ordinal, headings, text in rows
            ]
        return self._chunks[document_id]

    def _concept_weight(self) -> Callable[[QueryConcept], float]:
        """Weight of a concept by how many chunks hold its words (fts5vocab counts rows per term)."""
        self._db.execute("CREATE VIRTUAL TABLE temp.vocabulary USING fts5vocab(main, passage, row)")
        (passages,) = self._db.execute("SELECT count(*) FROM chunk").fetchone()

        def weigh(concept: QueryConcept) -> float:
            stems = sorted(concept.all_stems)
            marks = ", ".join("?" * len(stems))
            (count,) = self._db.execute(
                f"SELECT coalesce(max(doc), 0) FROM temp.vocabulary WHERE term IN ({marks})",  # noqa: S608  # marks
                stems,
            ).fetchone()
            return inverse_frequency(passages, count)

        return weigh

    def _is_relevant(self, judge: Judge, candidate: _Candidate) -> bool:
        hit = candidate.hit
        text = f"{self._document(candidate.document_id)[1]}\n{hit.section}\n{hit.text}"
        tokens = set(index_tokens(text, candidate.language))
        return judge.is_relevant(tokens, {*find_code_tokens(text), *find_name_tokens(text)})

    def _without_translations(self, candidates: Sequence[_Candidate]) -> list[_Candidate]:
        """Of the translations of one page, keep the one in the question's language, at the better one's place."""
        kept: list[_Candidate] = []
        for candidate in candidates:
            place = next((i for i, c in enumerate(kept) if candidate.twin and c.twin == candidate.twin), None)
            if place is None or kept[place].document_id == candidate.document_id:
                kept.append(candidate)
            elif candidate.language == self._query.language != kept[place].language:
                candidate.hit = replace(candidate.hit, score=kept[place].hit.score)
                kept[place] = candidate
        return kept
