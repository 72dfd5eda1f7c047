"""Builds the passages of a search result from scored chunks, for every database."""

from collections.abc import Callable, Collection, Hashable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Generic, TypeVar

from orchestrator.codes.patterns import find_codes_to_look_up
from workers.knowledge.base import Hit
from workers.knowledge.ranking.analysis import index_tokens
from workers.knowledge.ranking.codes import find_code_tokens, find_names, find_states, name_token
from workers.knowledge.ranking.passage import grow
from workers.knowledge.ranking.query import KnowledgeQuery
from workers.knowledge.ranking.ranking import CODED_TAIL_RATIO, TAIL_RATIO, Judge, best_first
from workers.knowledge.reading.documents import Chunk

Key = TypeVar("Key", bound=Hashable)

CONSIDERED = 80
"""Number of best chunks whose passages are built and judged."""
_SAME_LANGUAGE_FACTOR = 1.15
_NEIGHBOUR_FACTOR = 0.15


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


@dataclass(slots=True)
class _Candidate(Generic[Key]):
    """A passage under consideration."""

    window: Window[Key]
    keys: frozenset[Key]
    hit: Hit
    score: float
    has_code: bool = False


def assemble(
    query: KnowledgeQuery,
    scores: Mapping[Key, float],
    window_of: Callable[[Key], Window[Key] | None],
    judge: Judge,
    *,
    nearest: Collection[Key] = (),
    limit: int,
) -> tuple[tuple[Hit, ...], int]:
    """The best passages, at most ``limit``, and their number before the limit.

    With ``nearest``, the chunks that are relevant by their vector, the scores are fused; those lie close together, so
    the cut-off relative to the best score applies to other scores only.
    """
    candidates = _passages(query, scores, window_of)
    relevant = [candidate for candidate in candidates if _is_relevant(candidate, judge, nearest)]
    if not nearest:
        relevant = _without_tail(relevant)
    distinct = _without_translations(query, relevant)
    return tuple(replace(item.hit, score=round(item.score, 4)) for item in distinct[:limit]), len(distinct)


def _passages(
    query: KnowledgeQuery, scores: Mapping[Key, float], window_of: Callable[[Key], Window[Key] | None]
) -> list[_Candidate[Key]]:
    """The passages of the best chunks, best first; each further chunk of a passage raises its score a little."""
    homes: dict[Key, _Candidate[Key]] = {}
    candidates: list[_Candidate[Key]] = []
    for key in best_first(scores)[:CONSIDERED]:
        home = homes.get(key)
        if home is not None:
            home.score += _NEIGHBOUR_FACTOR * scores[key]
            continue
        window = window_of(key)
        # The window may be that of a translation that is among the candidates already.
        if window is None or window.keys[window.position] in homes:
            continue
        candidate = _candidate(window, scores[key])
        candidates.append(candidate)
        for member in candidate.keys:
            homes.setdefault(member, candidate)
    for candidate in candidates:
        if candidate.window.language == query.language:
            candidate.score *= _SAME_LANGUAGE_FACTOR
    return sorted(candidates, key=lambda candidate: -candidate.score)


def _candidate(window: Window[Key], score: float) -> _Candidate[Key]:
    chunk = window.chunks[window.position]
    region = grow(window.chunks, window.position)
    headings = " \n".join((window.title, *chunk.headings))
    hit = Hit(
        document=window.document,
        title=window.title,
        section=chunk.section or window.title,
        text=region.text,
        score=score,
        codes=tuple(dict.fromkeys((*find_codes_to_look_up(headings), *find_codes_to_look_up(region.text)))),
        language=window.language,
        cut_characters=region.cut_characters,
    )
    return _Candidate(window, frozenset(window.keys[region.first : region.last + 1]), hit, score)


def _is_relevant(candidate: _Candidate[Key], judge: Judge, nearest: Collection[Key]) -> bool:
    text = f"{candidate.hit.title}\n{candidate.hit.section}\n{candidate.hit.text}"
    codes = {*find_code_tokens(text), *map(name_token, find_names(text))}
    codes |= {*find_states(f"{candidate.hit.title}\n{candidate.hit.section}")}
    candidate.has_code = judge.has_code(codes)
    if any(key in nearest for key in candidate.keys):
        return True
    return judge.is_relevant(set(index_tokens(text, candidate.hit.language)), codes)


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


def _without_translations(query: KnowledgeQuery, candidates: Sequence[_Candidate[Key]]) -> list[_Candidate[Key]]:
    """Of the translations of one page, only the one in the question's language, at the place of the better one."""
    distinct: list[_Candidate[Key]] = []
    for candidate in candidates:
        twin = candidate.window.twin
        place = next((index for index, other in enumerate(distinct) if twin and other.window.twin == twin), None)
        if place is None or distinct[place].hit.document == candidate.hit.document:
            distinct.append(candidate)
        elif candidate.hit.language == query.language != distinct[place].hit.language:
            candidate.score = distinct[place].score
            distinct[place] = candidate
    return distinct
