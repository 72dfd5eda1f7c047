"""Builds the passages of a search result from scored chunks, for every database."""

from collections.abc import Callable, Collection, Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from orchestrator.codes.patterns import find_codes_to_look_up
from orchestrator.i18n.languages import distance
from workers.knowledge.base import Hit
from workers.knowledge.ranking.passage import Region, grow
from workers.knowledge.ranking.query import KnowledgeQuery, QueryConcept
from workers.knowledge.ranking.ranking import CODED_TAIL_RATIO, TAIL_RATIO, Judge, best_first
from workers.knowledge.reading.documents import Chunk

Key = TypeVar("Key", bound=Hashable)

CONSIDERED = 80
"""Most best chunks whose passages are built and judged."""
_CONSIDERED_PER_PASSAGE = 3
_SAME_LANGUAGE_FACTOR = 1.15
_NEIGHBOUR_FACTOR = 0.15
_WITHDRAWN_FACTOR = 0.4
_MANUAL_CHUNKS = 16
"""A document of more chunks is a manual: its sections are about different topics."""


@dataclass(frozen=True, slots=True)
class Window(Generic[Key]):
    """A scored chunk with its neighbours."""

    document: str
    title: str
    language: str
    twin: str
    """Equal for the translations of one page; empty when there are none."""
    keys: Sequence[Key]
    chunks: Sequence[Chunk]
    position: int
    """Index of the chunk that was scored."""
    size: int = 0
    """Chunks of the whole document; 0 when that is not known."""
    withdrawn: bool = False
    """Whether the page no longer holds."""


@dataclass(slots=True)
class _Candidate(Generic[Key]):
    """A passage under consideration."""

    window: Window[Key]
    keys: Sequence[Key]
    region: Region
    score: float
    has_code: bool = False


def assemble(
    query: KnowledgeQuery,
    scores: Mapping[Key, float],
    window_of: Callable[[Key], Window[Key] | None],
    judge: Judge,
    *,
    coded: Collection[Key],
    matched: Mapping[Key, Collection[QueryConcept]],
    nearest: Collection[Key] = (),
    limit: int,
) -> tuple[tuple[Hit, ...], int]:
    """The best passages, at most ``limit``, and their number before the limit.

    ``coded`` are the chunks that name a code, name or state of the question; ``matched`` are the concepts of each
    chunk. With ``nearest``, the chunks that are relevant by their vector, the scores are fused; those lie close
    together, so the cut-off relative to the best score applies to other scores only.
    """
    relevant = []
    for candidate in _passages(query, scores, window_of, min(CONSIDERED, _CONSIDERED_PER_PASSAGE * limit)):
        candidate.has_code = any(key in coded for key in candidate.keys)
        concepts = {concept for key in candidate.keys for concept in matched.get(key, ())}
        if candidate.has_code or any(key in nearest for key in candidate.keys) or judge.is_relevant(concepts):
            relevant.append(candidate)
    if not nearest:
        relevant = _without_tail(relevant)
    distinct = _without_translations(query, relevant)
    return tuple(map(_hit, distinct[:limit])), len(distinct)


def _passages(
    query: KnowledgeQuery,
    scores: Mapping[Key, float],
    window_of: Callable[[Key], Window[Key] | None],
    considered: int,
) -> list[_Candidate[Key]]:
    """The passages of the best chunks, best first; each further chunk of a passage raises its score a little."""
    homes: dict[Key, _Candidate[Key]] = {}
    candidates: list[_Candidate[Key]] = []
    for key in best_first(scores)[:considered]:
        home = homes.get(key)
        if home is not None:
            home.score += _NEIGHBOUR_FACTOR * scores[key]
            continue
        window = window_of(key)
        # The window may be that of a translation that is among the candidates already.
        if window is None or window.keys[window.position] in homes:
            continue
        region = grow(window.chunks, window.position, is_manual=window.size > _MANUAL_CHUNKS)
        candidate = _Candidate(window, window.keys[region.first : region.last + 1], region, scores[key])
        candidates.append(candidate)
        for member in candidate.keys:
            homes.setdefault(member, candidate)
    for candidate in candidates:
        if candidate.window.language == query.language:
            candidate.score *= _SAME_LANGUAGE_FACTOR
        if candidate.window.withdrawn:
            candidate.score *= _WITHDRAWN_FACTOR
    return sorted(candidates, key=lambda candidate: -candidate.score)


def _hit(candidate: _Candidate[Key]) -> Hit:
    window, region = candidate.window, candidate.region
    chunk = window.chunks[window.position]
    headings = " \n".join((window.title, *chunk.headings))
    return Hit(
        document=window.document,
        title=window.title,
        section=chunk.section or window.title,
        text=region.text,
        score=round(candidate.score, 4),
        codes=tuple(dict.fromkeys((*find_codes_to_look_up(headings), *find_codes_to_look_up(region.text)))),
        language=window.language,
        cut_characters=region.cut_characters,
        withdrawn=window.withdrawn,
    )


def _without_tail(candidates: Sequence[_Candidate[Key]]) -> list[_Candidate[Key]]:
    if not candidates:
        return []
    best = candidates[0]
    return [
        candidate
        for candidate in candidates
        if candidate.score
        >= best.score * (CODED_TAIL_RATIO if best.has_code and not candidate.has_code else TAIL_RATIO)
    ]


def _distance(candidate: _Candidate[Key], query: KnowledgeQuery) -> int:
    return distance(candidate.window.language, query.language)


def _without_translations(query: KnowledgeQuery, candidates: Sequence[_Candidate[Key]]) -> list[_Candidate[Key]]:
    """Of the translations of one page, only that nearest to the question's language, at the place of the better one."""
    distinct: list[_Candidate[Key]] = []
    for candidate in candidates:
        twin = candidate.window.twin
        place = next((index for index, other in enumerate(distinct) if twin and other.window.twin == twin), None)
        if place is None or distinct[place].window.document == candidate.window.document:
            distinct.append(candidate)
        elif _distance(candidate, query) < _distance(distinct[place], query):
            candidate.score = distinct[place].score
            distinct[place] = candidate
    return distinct
