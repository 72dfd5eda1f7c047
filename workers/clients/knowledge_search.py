"""One search in an index file: full text in weighted parts, fused with vectors when there are some."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from workers.knowledge.analysis import index_tokens
from workers.knowledge.base import Hit, SearchResult
from workers.knowledge.codes import find_code_tokens, find_codes, find_name_tokens
from workers.knowledge.documents import Chunk
from workers.knowledge.passage import grow
from workers.knowledge.query import KnowledgeQuery, QueryConcept
from workers.knowledge.ranking import RRF_K, Judge, fuse, inverse_frequency

BACKEND = "sqlite-fts5"
HYBRID = "sqlite-fts5+vectors"
CANDIDATES = 400
"""Chunks taken from each part of a query."""
CONSIDERED = 80
"""Best chunks whose passages are built and judged."""

# bm25 weights of title, section, body, topic, codes. FTS5 saturates a term's weight, so the parts of a query
# are multiplied as well.
_CODE_COLUMNS = "topic codes"
_TEXT_WEIGHTS = "5.0, 3.0, 1.0, 0.0, 0.0"
_CODE_WEIGHTS = "0.0, 0.0, 0.0, 10.0, 2.0"
TAIL_RATIO = 0.12
"""A passage scoring less than this share of the best one shares a common word with the question, no more."""
_CODES_FACTOR = 4.0
_NAMES_FACTOR = 2.0
_OTHERS_FACTOR = 0.4
_SAME_LANGUAGE_FACTOR = 1.15
_NEIGHBOUR_FACTOR = 0.15


_CODES_WEIGHT = 2.0
"""Of the ranking by codes when rankings are fused; full text and vectors have 1."""


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


def _best_first(scores: Mapping[int, float]) -> list[int]:
    """The keys by score; equal ones in the order of the documents."""
    return sorted(scores, key=lambda chunk_id: (-scores[chunk_id], chunk_id))


def _without_tail(scores: dict[int, float]) -> dict[int, float]:
    floor = TAIL_RATIO * max(scores.values(), default=0.0)
    return {chunk_id: score for chunk_id, score in scores.items() if score >= floor}


class SqliteSearch:
    """One search on one connection."""

    def __init__(
        self, db: sqlite3.Connection, query: KnowledgeQuery, nearest: Sequence[tuple[int, float]] = ()
    ) -> None:
        """``nearest``: chunk id and similarity of the chunks nearest to the question, best first."""
        self._db = db
        self._query = query
        self._nearest = dict(nearest)
        self._coded: dict[int, float] = {}
        self._documents: dict[int, tuple[str, str, str, str]] = {}
        self._chunks: dict[int, list[tuple[int, Chunk]]] = {}

    def run(self, limit: int) -> SearchResult:
        """Score chunks, build their passages, keep the relevant ones."""
        scores = _without_tail(self._score_chunks())
        if self._nearest:
            scores = self._fuse(scores)
        judge = Judge(self._query, self._concept_weight())
        relevant = [candidate for candidate in self._passages(scores) if self._is_relevant(judge, candidate)]
        distinct = self._without_translations(relevant)
        backend = HYBRID if self._nearest else BACKEND
        return SearchResult(tuple(candidate.hit for candidate in distinct[:limit]), len(distinct), backend)

    def _fuse(self, scores: dict[int, float]) -> dict[int, float]:
        """Reciprocal ranks of codes, full text and vectors; the first of all three has score 1."""
        rankings = [(1.0, _best_first(scores)), (1.0, list(self._nearest))]
        if self._coded:
            rankings.append((_CODES_WEIGHT, _best_first(self._coded)))
        most = sum(weight for weight, _ in rankings) / (RRF_K + 1)
        return {chunk_id: score / most for chunk_id, score in fuse(rankings).items()}

    def _score_chunks(self) -> dict[int, float]:
        """Chunk id to score: BM25 of each part of the query times the part's factor."""
        query = self._query
        own = dict.fromkeys(stem for concept in query.concepts for stem in concept.own)
        others = dict.fromkeys(stem for concept in query.concepts for stem in concept.others if stem not in own)
        parts = (
            (query.codes, _CODE_COLUMNS, _CODE_WEIGHTS, _CODES_FACTOR),
            (query.names, _CODE_COLUMNS, _CODE_WEIGHTS, _NAMES_FACTOR),
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
                if columns == _CODE_COLUMNS:
                    self._coded[chunk_id] = self._coded.get(chunk_id, 0.0) + factor * score
        return scores

    def _passages(self, scores: dict[int, float]) -> list[_Candidate]:
        """The passages of the best chunks, best first; chunks of one passage add a little to it."""
        best = _best_first(scores)[:CONSIDERED]
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
        if any(chunk_id in self._nearest for chunk_id in candidate.chunk_ids):
            return True
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
