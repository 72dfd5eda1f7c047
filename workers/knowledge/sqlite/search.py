"""One search in an index file: full text in weighted parts, fused with the nearest vectors."""

import json
import sqlite3
from collections.abc import Callable, Collection, Iterable, Sequence

from workers.knowledge.base import SearchResult
from workers.knowledge.ranking.assemble import Window, assemble
from workers.knowledge.ranking.query import KnowledgeQuery, QueryConcept
from workers.knowledge.ranking.ranking import SYNONYM_FACTOR, Judge, fuse_rankings, inverse_frequency, without_tail
from workers.knowledge.reading.documents import Chunk

BACKEND = "sqlite-fts5"
HYBRID = "sqlite-fts5+vectors"
CANDIDATES = 400
"""Best chunks of each part of a query."""
# bm25 weights of title, section, body, topic, codes. FTS5 saturates a term's weight, so the parts of a query
# are multiplied as well.
_TEXT_COLUMNS = "title section body"
_TEXT_WEIGHTS = "5.0, 3.0, 1.0, 0.0, 0.0"
_CODE_WEIGHTS = "0.0, 0.0, 0.0, 10.0, 2.0"
_CODES_FACTOR = 4.0
_NAMES_FACTOR = 2.0
_STATES_FACTOR = 1.0


def _any_of(phrases: Iterable[tuple[str, ...]], columns: str) -> str:
    """An FTS5 expression for any of ``phrases``; tokens hold letters and digits only and are quoted anyway."""
    quoted = " OR ".join(f'"{" ".join(phrase)}"' for phrase in phrases)
    return f"{{{columns}}} : ({quoted})"


class SqliteSearch:
    """One search on one connection."""

    def __init__(
        self, db: sqlite3.Connection, query: KnowledgeQuery, nearest: Sequence[tuple[int, float]] = ()
    ) -> None:
        """``nearest``: id and similarity of the chunks nearest to the question's vector, best first."""
        self._db = db
        self._query = query
        self._nearest = dict(nearest)
        self._coded: dict[int, float] = {}
        self._documents: dict[int, tuple[str, str, str, str]] = {}
        self._chunks: dict[int, tuple[list[int], list[Chunk]]] = {}

    def run(self, limit: int) -> SearchResult:
        """The relevant passages, at most ``limit``."""
        scores = self._score_chunks()
        if self._nearest:
            scores = fuse_rankings(without_tail(scores), self._nearest, self._coded)
        hits, total = assemble(
            self._query,
            scores,
            self._window,
            Judge(self._query, self._concept_weight()),
            nearest=self._nearest,
            limit=limit,
        )
        return SearchResult(hits, total, HYBRID if self._nearest else BACKEND)

    def _score_chunks(self) -> dict[int, float]:
        """Chunk id to score: BM25 of each part of the query times the part's factor."""
        query = self._query
        scores: dict[int, float] = {}
        for tokens, columns, factor in (
            (query.codes, "topic codes", _CODES_FACTOR),
            (query.name_tokens, "topic codes", _NAMES_FACTOR),
            (query.states, "topic", _STATES_FACTOR),
        ):
            for chunk_id, score in self._match([(token,) for token in tokens], columns, _CODE_WEIGHTS).items():
                self._coded[chunk_id] = self._coded.get(chunk_id, 0.0) + factor * score
        scores.update(self._coded)
        for concept in query.concepts:
            own = self._match([(stem,) for stem in concept.own], _TEXT_COLUMNS, _TEXT_WEIGHTS)
            others = self._match(concept.others, _TEXT_COLUMNS, _TEXT_WEIGHTS)
            # The larger of the two, not the sum: a page does not gain by repeating itself in synonyms.
            for chunk_id in own.keys() | others.keys():
                score = max(own.get(chunk_id, 0.0), SYNONYM_FACTOR * others.get(chunk_id, 0.0))
                scores[chunk_id] = scores.get(chunk_id, 0.0) + score
        return scores

    def _match(self, phrases: Collection[tuple[str, ...]], columns: str, weights: str) -> dict[int, float]:
        """Chunk id to BM25 of the best chunks with any of ``phrases``."""
        if not phrases:
            return {}
        rows = self._db.execute(
            # FTS5's bm25() is negative, the best match the lowest.
            f"SELECT rowid, -bm25(passage, {weights}) AS score FROM passage"  # noqa: S608  # constants of this file
            " WHERE passage MATCH ? ORDER BY score DESC LIMIT ?",
            (_any_of(phrases, columns), CANDIDATES),
        )
        return dict(rows.fetchall())

    def _window(self, chunk_id: int) -> Window[int] | None:
        row = self._db.execute("SELECT document_id FROM chunk WHERE id = ?", (chunk_id,)).fetchone()
        if row is None:
            return None
        position = self._document_chunks(row[0])[0].index(chunk_id)
        document_id = self._translation(row[0])
        shown, title, language, twin = self._document(document_id)
        ids, chunks = self._document_chunks(document_id)
        # Translations are cut at nearly the same places, and a passage includes the neighbours.
        return Window(shown, title, language, twin, ids, chunks, min(position, len(ids) - 1))

    def _translation(self, document_id: int) -> int:
        """Id of the page's translation into the question's language; the page itself without one."""
        _, _, language, twin = self._document(document_id)
        if not twin or language == self._query.language:
            return document_id
        row = self._db.execute(
            "SELECT id FROM document WHERE twin = ? AND language = ? AND id IN (SELECT document_id FROM chunk)",
            (twin, self._query.language),
        ).fetchone()
        return document_id if row is None else int(row[0])

    def _document(self, document_id: int) -> tuple[str, str, str, str]:
        if document_id not in self._documents:
            self._documents[document_id] = self._db.execute(
                "SELECT shown, title, language, twin FROM document WHERE id = ?", (document_id,)
            ).fetchone()
        return self._documents[document_id]

    def _document_chunks(self, document_id: int) -> tuple[list[int], list[Chunk]]:
        if document_id not in self._chunks:
            rows = self._db.execute(
                "SELECT id, ordinal, headings, text FROM chunk WHERE document_id = ? ORDER BY ordinal", (document_id,)
            ).fetchall()
            chunks = [Chunk(ordinal, tuple(json.loads(headings)), text) for _, ordinal, headings, text in rows]
            self._chunks[document_id] = ([row[0] for row in rows], chunks)
        return self._chunks[document_id]

    def _concept_weight(self) -> Callable[[QueryConcept], float]:
        """Function for the weight of a concept, by how many chunks hold its words (fts5vocab counts rows per term)."""
        self._db.execute("CREATE VIRTUAL TABLE temp.vocabulary USING fts5vocab(main, passage, row)")
        (passages,) = self._db.execute("SELECT count(*) FROM chunk").fetchone()

        def weigh(concept: QueryConcept) -> float:
            stems = concept.single_stems
            marks = ", ".join("?" * len(stems))
            (count,) = self._db.execute(
                f"SELECT coalesce(max(doc), 0) FROM temp.vocabulary WHERE term IN ({marks})",  # noqa: S608  # marks
                stems,
            ).fetchone()
            return inverse_frequency(passages, count)

        return weigh
