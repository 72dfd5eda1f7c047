"""One search in the app's table: candidates from SQL, scored here, since ts_rank ignores how rare a word is."""

import asyncio
import math
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from orchestrator.diagnosis.runbooks import is_withdrawn
from orchestrator.i18n.message import Message
from workers.knowledge.base import Hit, SearchResult
from workers.knowledge.postgres import sql
from workers.knowledge.ranking.analysis import guess_language, index_tokens
from workers.knowledge.ranking.assemble import Window, assemble
from workers.knowledge.ranking.codes import find_code_tokens, find_names, find_states, name_token
from workers.knowledge.ranking.query import KnowledgeQuery, QueryConcept
from workers.knowledge.ranking.ranking import (
    SYNONYM_FACTOR,
    Judge,
    best_first,
    fuse_rankings,
    inverse_frequency,
    without_tail,
)
from workers.knowledge.reading.documents import Chunk
from workers.knowledge.reading.readers import twin_key

if TYPE_CHECKING:
    from psycopg import AsyncConnection

    Connection = AsyncConnection[tuple[Any, ...]]

BACKEND = "postgres"
WINDOWS = 30
"""Number of best chunks whose neighbours are fetched."""
_HEADINGS = ("section", "heading", "section_title", "headings", "chapter")
_NAMES = ("source", "file_name", "filename", "file", "path", "document", "document_name", "url")
_CODE_FACTOR = 12.0
_STATE_FACTOR = 4.0

Key = tuple[str, int]
"""A chunk: id of its document, and its number there."""


@dataclass(slots=True)
class _Row:
    """A fetched chunk, with the tokens and codes for scoring."""

    content: str
    metadata: Mapping[str, Any]
    language: str = ""
    tokens: Counter[str] = field(default_factory=Counter)
    codes: frozenset[str] = frozenset()

    @property
    def headings(self) -> tuple[str, ...]:
        """Title and section, by any of the names that the app's ingestion uses."""
        title = _text(self.metadata, ("title", "document_title"))
        section = _text(self.metadata, _HEADINGS)
        return tuple(dict.fromkeys(part for part in (title, section) if part))

    def analyse(self) -> None:
        """Compute tokens and codes; headings count three times, since they name the topic."""
        heading = " \n".join(self.headings)
        self.language = _text(self.metadata, ("language", "lang"))[:2].lower() or guess_language(self.content)
        self.tokens = Counter(index_tokens(self.content, self.language))
        for token in index_tokens(heading, self.language):
            self.tokens[token] += 3
        text = f"{heading}\n{self.content}"
        self.codes = frozenset((*find_code_tokens(text), *map(name_token, find_names(text))))


@dataclass(frozen=True, slots=True)
class Layout:
    """The table's vector column and the size of the collection."""

    column: sql.VectorColumn | None
    passages: int
    read_at: float


def _text(metadata: Mapping[str, Any], names: Sequence[str]) -> str:
    for name in names:
        value = metadata.get(name)
        if isinstance(value, list):
            value = " / ".join(str(part) for part in value)
        if isinstance(value, str) and value.strip():
            return " ".join(value.split())
    return ""


def backend_name(column: sql.VectorColumn | None, *, used: bool = True) -> str:
    """Name of the backend in results, with the type of the searched vectors."""
    return f"{BACKEND}+pgvector:{column.type}" if column is not None and used else BACKEND


class PostgresSearch:
    """One search in one collection."""

    def __init__(self, collection: str, query: KnowledgeQuery, layout: Layout) -> None:
        self._collection = collection
        self._query = query
        self._layout = layout
        self._rows: dict[Key, _Row] = {}
        self._near: dict[Key, float] = {}
        self._matched: list[Key] = []
        self._coded: dict[Key, float] = {}
        self._concepts: dict[Key, list[QueryConcept]] = {}
        self._matched_total = 0
        self._weights: dict[QueryConcept, float] = {}

    async def find_similar(self, connection: "Connection", vector: Sequence[float], minimum: float) -> None:
        """Fetch the nearest passages by cosine similarity, none below ``minimum``."""
        assert self._layout.column is not None  # noqa: S101  # checked by the caller
        parameters = {"collection": self._collection, "vector": sql.vector_literal(vector)}
        cursor = await connection.execute(sql.nearest_sql(self._layout.column), parameters)
        self._near = {self._add(row): float(row[4]) for row in await cursor.fetchall() if row[4] >= minimum}

    async def find_text(self, connection: "Connection", stop_at: float) -> tuple[Message, ...]:
        """Fetch the passages with the question's words, in half of the time left if there are similar ones already.

        Returns notes on what was skipped. Raises psycopg's QueryCanceled at the limit when nothing was fetched.
        """
        import psycopg  # noqa: PLC0415  # optional extra

        codes, words = sql.codes_query(self._query), sql.words_query(self._query)
        if codes is None and words is None:
            return ()
        matching = " | ".join(part for part in (codes, words) if part)
        parameters = {"collection": self._collection, "any": matching, "codes": codes, "words": words}
        remaining = stop_at - time.monotonic()
        try:
            async with connection.transaction():  # a savepoint
                milliseconds = max(10, int(1000 * remaining * (0.5 if self._near else 1.0)))
                await connection.execute(f"SET LOCAL statement_timeout = {milliseconds}")
                rows = await (await connection.execute(sql.FULL_TEXT, parameters)).fetchall()
        except psycopg.errors.QueryCanceled:
            if not self._near:
                raise
            return (Message("vectors only: full text took too long, see the index in docs/retrieval.md"),)
        self._matched = [self._add(row) for row in rows]
        self._matched_total = int(rows[0][4]) if rows else 0
        return ()

    async def finish(self, connection: "Connection", limit: int) -> SearchResult:
        """The relevant passages, at most ``limit``; computes in a thread."""
        scores = await asyncio.to_thread(self._score)
        if scores:
            await self._fetch_neighbours(connection, list(scores))
        hits, total = await asyncio.to_thread(self._assemble, scores, limit)
        return SearchResult(hits, total, backend_name(self._layout.column, used=bool(self._near)))

    def _score(self) -> dict[Key, float]:
        """Scores of the ``WINDOWS`` best chunks, best first."""
        for row in self._rows.values():
            row.analyse()
        self._weigh()
        coded = {key: self._code_score(self._rows[key]) for key in self._matched}
        self._coded = {key: score for key, score in coded.items() if score}
        scores = self._lexical(self._coded)
        if self._near:
            scores = fuse_rankings(without_tail(scores), self._near, self._coded)
        return {key: scores[key] for key in best_first(scores)[:WINDOWS]}

    def _assemble(self, scores: Mapping[Key, float], limit: int) -> tuple[tuple[Hit, ...], int]:
        return assemble(
            self._query,
            scores,
            self._window,
            Judge(self._query, lambda concept: self._weights[concept]),
            coded={key for key in self._rows if key in self._coded or self._state_score(self._rows[key])},
            matched=self._concepts,
            nearest=self._near,
            limit=limit,
        )

    def _add(self, row: tuple[Any, ...]) -> Key:
        key = (str(row[0]), int(row[1]))
        if key not in self._rows:
            metadata = row[3] if isinstance(row[3], dict) else {}
            self._rows[key] = _Row(str(row[2]), metadata)
        return key

    def _weigh(self) -> None:
        """Compute the concepts' weights; counts are extrapolated from the candidates to all matching passages."""
        scale = self._matched_total / len(self._matched) if self._matched else 1.0
        for concept in self._query.concepts:
            count = sum(1 for key in self._matched if concept.is_in(self._rows[key].tokens))
            self._weights[concept] = inverse_frequency(self._layout.passages, math.ceil(count * scale))

    def _code_score(self, row: _Row) -> float:
        codes = {*self._query.codes, *self._query.name_tokens}
        heading = " \n".join(row.headings)
        topic = {*find_code_tokens(heading), *map(name_token, find_names(heading))}
        return sum(2.0 if code in topic else 1.0 for code in codes & row.codes)

    def _state_score(self, row: _Row) -> int:
        """Number of the question's states in the headings."""
        return len({*self._query.states} & {*find_states(" \n".join(row.headings))})

    def _lexical(self, coded: Mapping[Key, float]) -> dict[Key, float]:
        """BM25 with k1 = 1.2 and b = 0.75 over the candidates, plus the scores for codes and states."""
        keys = self._matched
        mean = sum(self._rows[key].tokens.total() for key in keys) / len(keys) if keys else 1.0
        scores = {}
        for key in keys:
            tokens = self._rows[key].tokens
            damping = 1.2 * (0.25 + 0.75 * tokens.total() / max(mean, 1.0))
            score = _CODE_FACTOR * coded.get(key, 0.0) + _STATE_FACTOR * self._state_score(self._rows[key])
            for concept, weight in self._weights.items():
                own = sum(tokens[stem] for stem in concept.own)
                others = max((min(tokens[stem] for stem in phrase) for phrase in concept.others), default=0)
                if own or others:
                    self._concepts.setdefault(key, []).append(concept)
                score += weight * 2.2 * max(own / (own + damping), SYNONYM_FACTOR * others / (others + damping))
            if score:
                scores[key] = score
        return scores

    async def _fetch_neighbours(self, connection: "Connection", keys: Sequence[Key]) -> None:
        parameters = {
            "collection": self._collection,
            "documents": [document for document, _ in keys],
            "chunks": [chunk for _, chunk in keys],
        }
        for row in await (await connection.execute(sql.NEIGHBOURHOOD, parameters)).fetchall():
            self._add(row)

    def _window(self, key: Key) -> Window[Key]:
        document_id, chunk_id = key
        first = last = chunk_id
        while (document_id, first - 1) in self._rows:
            first -= 1
        while (document_id, last + 1) in self._rows:
            last += 1
        keys = [(document_id, number) for number in range(first, last + 1)]
        row = self._rows[key]
        name = _text(row.metadata, _NAMES) or document_id
        title = _text(row.metadata, ("title", "document_title"))
        shown = "/".join(name.split("/")[-2:]) if name.startswith("/") else name
        chunks = [
            Chunk(number, self._rows[document_id, number].headings, self._rows[document_id, number].content)
            for _, number in keys
        ]
        status = _text(row.metadata, ("status", "state"))
        return Window(
            shown,
            title or shown,
            row.language,
            twin_key(name),
            keys,
            chunks,
            chunk_id - first,
            withdrawn=is_withdrawn(title, f"status: {status}\n{chunks[0].text}"),
        )
