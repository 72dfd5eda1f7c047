"""One search in an index file: full text in weighted parts, fused with the nearest vectors."""

import json
import math
import sqlite3
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import chain

from workers.knowledge.base import SearchResult
from workers.knowledge.ranking.assemble import Window, assemble
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

BACKEND = "sqlite-fts5"
HYBRID = "sqlite-fts5+vectors"
CANDIDATES = 200
"""Best chunks of each part of a query."""
# bm25 weights of title, section, body, topic, codes. FTS5 saturates a term's weight, so the parts of a query
# are multiplied as well.
_TEXT_COLUMNS = "title section body"
_COLUMN_WEIGHTS = (5, 3, 1)
_TEXT_WEIGHTS = "5.0, 3.0, 1.0, 0.0, 0.0"
_CODE_WEIGHTS = "0.0, 0.0, 0.0, 10.0, 2.0"
_CODES_FACTOR = 4.0
_NAMES_FACTOR = 2.0
_STATES_FACTOR = 1.0
_BEFORE, _AFTER = 3, 5
"""Chunks fetched before and after a hit: more than fit into its passage, unless they are of one line."""
ROWS = 800
"""Passages that the words of a question may bring to be scored; commoner words only rank those of the rarer ones."""
RANKED_BY_COMMON_WORDS = 24

# A page is withdrawn when it says so, when a newer edition of it is there, or when another says that it replaces it.
_DOCUMENT = """
SELECT shown, title, language, twin, (SELECT max(ordinal) + 1 FROM chunk WHERE document_id = document.id),
    coalesce(own.withdrawn, 0)
    OR EXISTS (
        SELECT 1 FROM standing AS newer JOIN document AS other ON other.id = newer.document_id
        WHERE newer.topic = own.topic AND own.edition <> '' AND newer.edition > own.edition
        AND substr(newer.edition, 1, 1) = substr(own.edition, 1, 1)
        AND NOT newer.withdrawn AND other.root = document.root AND other.language = document.language
    )
    OR EXISTS (
        SELECT 1 FROM page_name AS own_name JOIN page_name AS replaced ON replaced.name = own_name.name
        JOIN document AS other ON other.id = replaced.document_id
        WHERE own_name.document_id = document.id AND NOT own_name.is_replaced AND replaced.is_replaced
        AND replaced.document_id <> document.id AND other.root = document.root
    )
FROM document LEFT JOIN standing AS own ON own.document_id = document.id WHERE document.id = ?
"""


def _any_of(phrases: Iterable[tuple[str, ...]], columns: str) -> str:
    """An FTS5 expression for any of ``phrases``; tokens hold letters and digits only and are quoted anyway."""
    quoted = " OR ".join(f'"{" ".join(phrase)}"' for phrase in phrases)
    return f"{{{columns}}} : ({quoted})"


@dataclass(frozen=True, slots=True)
class _Document:
    """A row of the table, the number of its chunks, and whether it no longer holds."""

    shown: str
    title: str
    language: str
    twin: str
    size: int
    withdrawn: bool


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
        self._matched: dict[int, list[QueryConcept]] = {}
        self._documents: dict[int, _Document] = {}
        (self._passages,) = db.execute("SELECT count(*) FROM chunk").fetchone()
        self._rows_with = self._count_rows()

    def run(self, limit: int) -> SearchResult:
        """The relevant passages, at most ``limit``."""
        scores = self._score_chunks()
        if self._nearest:
            scores = fuse_rankings(without_tail(scores), self._nearest, self._coded)
        hits, total = assemble(
            self._query,
            scores,
            self._window,
            Judge(self._query, self._weight),
            coded=self._coded,
            matched=self._matched,
            nearest=self._nearest,
            limit=limit,
        )
        return SearchResult(hits, total, HYBRID if self._nearest else BACKEND)

    def _score_chunks(self) -> dict[int, float]:
        """Chunk id to score: BM25 of each part of the query times the part's factor."""
        query = self._query
        for tokens, columns, factor in (
            (query.codes, "topic codes", _CODES_FACTOR),
            (query.name_tokens, "topic codes", _NAMES_FACTOR),
            (query.states, "topic", _STATES_FACTOR),
        ):
            for chunk_id, score in self._match([(token,) for token in tokens], columns, _CODE_WEIGHTS).items():
                self._coded[chunk_id] = self._coded.get(chunk_id, 0.0) + factor * score
        scores = dict(self._coded)
        found, partial = self._find_concepts()
        for ranked in found.values():
            for chunk_id, score in ranked.items():
                scores[chunk_id] = scores.get(chunk_id, 0.0) + score
        # A word of half the passages finds nothing by itself and takes longest: it ranks what others have found.
        texts = self._texts(best_first(scores)[:RANKED_BY_COMMON_WORDS] if partial else ())
        for concept in partial:
            for chunk_id, score in texts.bm25(concept, self._idf(concept)).items():
                scores[chunk_id] += max(0.0, score - found[concept].get(chunk_id, 0.0))
                found[concept].setdefault(chunk_id, score)
        for concept, ranked in found.items():
            for chunk_id in ranked:
                self._matched.setdefault(chunk_id, []).append(concept)
        return scores

    def _find_concepts(self) -> tuple[dict[QueryConcept, dict[int, float]], list[QueryConcept]]:
        """For each concept, the rarest first, the chunks by its words and their scores; and the concepts of which
        some words are too common for that.
        """
        found: dict[QueryConcept, dict[int, float]] = {}
        left, partial = ROWS, []
        for concept in sorted(self._query.concepts, key=self._weight, reverse=True):
            own = self._rare([(stem,) for stem in concept.own], left)
            others = self._rare(concept.others, left)
            left -= self._rows_of((*own, *others))
            found[concept] = self._bm25(own, others)
            if len(own) + len(others) < len(concept.own) + len(concept.others):
                partial.append(concept)
        if partial and not self._coded and not any(found.values()):
            found[partial[0]] = self._bm25([(stem,) for stem in partial[0].own], ())
        return found, partial

    def _rare(self, phrases: Iterable[tuple[str, ...]], rows: int) -> list[tuple[str, ...]]:
        """Those of ``phrases`` that bring no more than so many passages."""
        return [phrase for phrase in phrases if self._rows_of((phrase,)) <= rows]

    def _bm25(self, own: Collection[tuple[str, ...]], others: Collection[tuple[str, ...]]) -> dict[int, float]:
        ranked = self._match(own, _TEXT_COLUMNS, _TEXT_WEIGHTS)
        by_synonyms = self._match(others, _TEXT_COLUMNS, _TEXT_WEIGHTS)
        # The larger of the two, not the sum: a page does not gain by repeating itself in synonyms.
        return {
            chunk_id: max(ranked.get(chunk_id, 0.0), SYNONYM_FACTOR * by_synonyms.get(chunk_id, 0.0))
            for chunk_id in ranked.keys() | by_synonyms.keys()
        }

    def _texts(self, chunk_ids: Sequence[int]) -> "_Texts":
        marks = ", ".join("?" * len(chunk_ids))
        rows = self._db.execute(
            f"SELECT rowid, title, section, body FROM passage WHERE rowid IN ({marks})",  # noqa: S608  # marks
            chunk_ids,
        )
        return _Texts(rows)

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
        row = self._db.execute("SELECT document_id, ordinal FROM chunk WHERE id = ?", (chunk_id,)).fetchone()
        if row is None:
            return None
        document_id = self._translation(row[0])
        document = self._document(document_id)
        # Translations are cut at nearly the same places, and a passage includes the neighbours.
        ordinal = min(row[1], document.size - 1)
        rows = self._db.execute(
            "SELECT id, ordinal, headings, text FROM chunk WHERE document_id = ? AND ordinal BETWEEN ? AND ?"
            " ORDER BY ordinal",
            (document_id, ordinal - _BEFORE, ordinal + _AFTER),
        ).fetchall()
        chunks = [Chunk(number, _headings(headings), text) for _, number, headings, text in rows]
        position = next(index for index, chunk in enumerate(chunks) if chunk.ordinal == ordinal)
        return Window(
            document.shown,
            document.title,
            document.language,
            document.twin,
            [row[0] for row in rows],
            chunks,
            position,
            document.size,
            bool(document.withdrawn),
        )

    def _translation(self, document_id: int) -> int:
        """Id of the page's translation into the question's language; the page itself without one."""
        document = self._document(document_id)
        if not document.twin or document.language == self._query.language:
            return document_id
        row = self._db.execute(
            "SELECT id FROM document WHERE twin = ? AND language = ?"
            " AND EXISTS (SELECT 1 FROM chunk WHERE document_id = document.id)",
            (document.twin, self._query.language),
        ).fetchone()
        return document_id if row is None else int(row[0])

    def _document(self, document_id: int) -> _Document:
        if document_id not in self._documents:
            row = self._db.execute(_DOCUMENT, (document_id,)).fetchone()
            self._documents[document_id] = _Document(*row)
        return self._documents[document_id]

    def _count_rows(self) -> dict[str, int]:
        """For each stem of the question the number of passages that hold it (fts5vocab counts rows per term)."""
        stems = {stem for concept in self._query.concepts for stem in (*concept.own, *chain(*concept.others))}
        self._db.execute("CREATE VIRTUAL TABLE temp.vocabulary USING fts5vocab(main, passage, row)")
        marks = ", ".join("?" * len(stems))
        rows = self._db.execute(
            f"SELECT term, doc FROM temp.vocabulary WHERE term IN ({marks})",  # noqa: S608  # marks
            tuple(stems),
        )
        return dict(rows.fetchall())

    def _rows_of(self, phrases: Iterable[tuple[str, ...]]) -> int:
        """Most passages that a match for these phrases has to read: those of the commonest word of each."""
        return sum(max(self._rows_with.get(stem, 0) for stem in phrase) for phrase in phrases)

    def _weight(self, concept: QueryConcept) -> float:
        """Weight of a concept, by how many chunks hold its words."""
        count = max((self._rows_with.get(stem, 0) for stem in concept.single_stems), default=0)
        return inverse_frequency(self._passages, count)

    def _idf(self, concept: QueryConcept) -> float:
        """The factor of FTS5's bm25 for the concept's commonest stem."""
        count = max((self._rows_with.get(stem, 0) for stem in concept.single_stems), default=0)
        return max(0.0, math.log((self._passages - count + 0.5) / (count + 0.5)))


class _Texts:
    """The tokens of some chunks, counted; those of titles and headings weigh more."""

    def __init__(self, rows: Iterable[tuple[int, str, str, str]]) -> None:
        self._tokens: dict[int, Counter[str]] = {}
        self._lengths: dict[int, int] = {}
        for chunk_id, *columns in rows:
            split = [column.split() for column in columns]
            self._lengths[chunk_id] = sum(map(len, split))
            self._tokens[chunk_id] = Counter(
                token for tokens, weight in zip(split, _COLUMN_WEIGHTS, strict=True) for token in tokens * weight
            )
        self._mean = sum(self._lengths.values()) / max(1, len(self._lengths))

    def bm25(self, concept: QueryConcept, idf: float) -> dict[int, float]:
        """Chunk id to BM25, as FTS5 computes it for all chunks: k1 = 1.2, b = 0.75."""
        scores = {}
        for chunk_id, tokens in self._tokens.items():
            own = sum(tokens[stem] for stem in concept.own)
            others = max((min(tokens[stem] for stem in phrase) for phrase in concept.others), default=0)
            if own or others:
                damping = 1.2 * (0.25 + 0.75 * self._lengths[chunk_id] / max(self._mean, 1.0))
                best = max(own / (own + damping), SYNONYM_FACTOR * others / (others + damping))
                scores[chunk_id] = idf * 2.2 * best
        return scores


@lru_cache(maxsize=20_000)
def _headings(stored: str) -> tuple[str, ...]:
    return tuple(json.loads(stored))
