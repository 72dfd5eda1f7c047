"""SQL for the Resync app's table ``document_embeddings``: SELECTs only."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from workers.knowledge.ranking.analysis import stems, words
from workers.knowledge.ranking.query import KnowledgeQuery

TABLE = "document_embeddings"
NEAREST = 50
CANDIDATES = 200
NEIGHBOURS = 2
"""Chunks fetched before and after a hit."""

FOLDED = "translate(lower(content), 'áàâãäéèêëíìîïóòôõöúùûüçñ', 'aaaaaeeeeiiiiooooouuuucn')"
"""Lower case without accents; immutable, so that it can be indexed, and without the extension unaccent."""
TEXT_VECTOR = f"to_tsvector('simple', {FOLDED})"
"""The expression of the index that docs/retrieval.md recommends; without it each search reads the collection."""

COLUMNS = f"""
SELECT attname, format_type(atttypid, atttypmod)
FROM pg_attribute WHERE attrelid = to_regclass('{TABLE}') AND attnum > 0 AND NOT attisdropped
"""  # noqa: S608  # constants of this file, here and below

FULL_TEXT = f"""
WITH matched AS MATERIALIZED (
    SELECT id, {TEXT_VECTOR} AS lexemes
    FROM {TABLE}
    WHERE collection_name = %(collection)s AND {TEXT_VECTOR} @@ to_tsquery('simple', %(any)s)
), best AS (
    SELECT id, count(*) OVER () AS matched,
           coalesce(8 * ts_rank(lexemes, to_tsquery('simple', %(codes)s)), 0)
           + coalesce(ts_rank(lexemes, to_tsquery('simple', %(words)s), 1), 0) AS rank
    FROM matched ORDER BY rank DESC, id LIMIT {CANDIDATES}
)
SELECT passage.document_id::text, passage.chunk_id, passage.content, passage.metadata, best.matched
FROM best JOIN {TABLE} AS passage USING (id) ORDER BY best.rank DESC, passage.id
"""  # noqa: S608
# The text vector is computed once per match: at about 0.1 ms a passage it dominates the cost of a search.

NEIGHBOURHOOD = f"""
SELECT DISTINCT passage.document_id::text, passage.chunk_id, passage.content, passage.metadata
FROM unnest(%(documents)s::text[], %(chunks)s::int[]) AS hit (document_id, chunk_id)
JOIN {TABLE} AS passage
  ON passage.collection_name = %(collection)s
 AND passage.document_id::text = hit.document_id
 AND passage.chunk_id BETWEEN hit.chunk_id - {NEIGHBOURS} AND hit.chunk_id + {NEIGHBOURS}
"""  # noqa: S608

COUNT = f"SELECT count(*) FROM {TABLE} WHERE collection_name = %(collection)s"  # noqa: S608

_EVERYWHERE = frozenset(
    stem for word in ("job", "jobs", "falhou", "falha", "failed", "failure", "erro", "error", "abend", "tws")
    for stem in stems(word)
)  # fmt: skip
"""Words of nearly every question and passage: matching them would rank the whole collection."""
_VECTOR_TYPE = re.compile(r"^(?:\w+\.)?(vector|halfvec)\((\d+)\)$")


@dataclass(frozen=True, slots=True)
class VectorColumn:
    """A column with vectors."""

    name: str
    type: str
    """``vector`` or ``halfvec``."""
    dimensions: int


def vector_column(columns: Iterable[tuple[str, str]]) -> VectorColumn | None:
    """The column to search; half precision is preferred, it reads half the bytes (pgvector >= 0.7)."""
    candidates = {}
    for name, kind in columns:
        match = _VECTOR_TYPE.match(kind)
        if match and name in ("embedding", "embedding_half"):
            candidates[name] = VectorColumn(name, match.group(1), int(match.group(2)))
    return candidates.get("embedding_half") or candidates.get("embedding")


def nearest_sql(column: VectorColumn) -> str:
    """Query for the nearest passages, ordered by the operator alone, so that an HNSW or IVFFlat index applies."""
    distance = f"{column.name} <=> %(vector)s::{column.type}({column.dimensions})"
    return f"""
SELECT document_id::text, chunk_id, content, metadata, 1 - ({distance}) AS similarity
FROM {TABLE} WHERE collection_name = %(collection)s AND {column.name} IS NOT NULL
ORDER BY {distance} LIMIT {NEAREST}
"""  # noqa: S608  # the names come from vector_column


def embedded_sql(column: VectorColumn) -> str:
    """Query for the number of passages with a vector."""
    return f"SELECT count({column.name}) FROM {TABLE} WHERE collection_name = %(collection)s"  # noqa: S608


def vector_literal(vector: Sequence[float]) -> str:
    """A vector in pgvector's text form."""
    return "[" + ",".join(f"{number:.7g}" for number in vector) + "]"


def words_query(query: KnowledgeQuery) -> str | None:
    """A tsquery for any of the question's words; long stems match as prefixes. None without words."""
    rare = [concept for concept in query.concepts if _EVERYWHERE.isdisjoint(concept.own)]
    phrases = dict.fromkeys(
        phrase for concept in rare or query.concepts for phrase in (*((stem,) for stem in concept.own), *concept.others)
    )
    return " | ".join(f"({' & '.join(map(_lexeme, phrase))})" for phrase in phrases) or None


def _lexeme(stem: str) -> str:
    return f"'{stem}':*" if len(stem) >= 4 else f"'{stem}'"


def codes_query(query: KnowledgeQuery) -> str | None:
    """A tsquery for any of the codes and names; None without any."""
    terms = [term for code in query.codes for term in _code_terms(code)]
    for name in query.names:
        parts = words(name)
        if parts:
            terms.append(" <-> ".join(f"'{part}'" for part in parts))
    return " | ".join(f"({term})" for term in dict.fromkeys(terms)) or None


def _code_terms(token: str) -> Iterable[str]:
    """Spellings of a code in a text; of a return code, whose token is artificial, its number."""
    if re.fullmatch(r"rc\d+", token):
        yield f"'{token[2:]}'"
    elif re.fullmatch(r"nt[0-9a-f]{8}", token):
        number = token.removeprefix("nt")
        yield f"'0x{number}'"
        signed = int(number, 16) - (1 << 32)
        yield f"'{signed}'"
        yield f"'{-signed}'"
    else:
        yield f"'{token}'"
