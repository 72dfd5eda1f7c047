"""Order and relevance of passages, independent of the database."""

import math
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from typing import TypeVar

from workers.knowledge.ranking.query import KnowledgeQuery, QueryConcept

Key = TypeVar("Key", bound=Hashable)

RRF_K = 10
"""The constant of reciprocal rank fusion (Cormack, Clarke, Buettcher, SIGIR 2009, who used 60 for deeper rankings).

This and the weights below measured best with real models, see docs/benchmark.md.
"""
CODES_WEIGHT = 2.0
"""Weight of the ranking by codes in the fusion; full text has 1."""
VECTORS_WEIGHT = 0.7
"""Weight of the ranking by vectors in the fusion: small models know few words of the domain and no codes."""
TAIL_RATIO = 0.12
"""A passage below this share of the best score has no more than a common word in common with the question."""
CODED_TAIL_RATIO = 0.3
"""The same for passages without the question's code when the best one has it."""
MIN_COVERAGE = 0.25
"""Share of the question's weight that a passage without its code must reach."""
MIN_WEIGHT = 3.0
"""Least weight of a passage without the question's code: one common word is no answer."""
NEARLY_ALL = 0.8
"""A passage with this share of several words is relevant, however common they are."""
UNKNOWN_WEIGHT = 1.0
"""Weight of a word that no passage has: it hardly decides which passage is right."""
SYNONYM_FACTOR = 0.4
"""Weight of the glossary's synonyms of a word, relative to the word itself."""


def fuse(rankings: Iterable[tuple[float, Sequence[Key]]]) -> dict[Key, float]:
    """Reciprocal rank fusion of ``(weight, keys best first)``; the sum of ``weight / (RRF_K + rank)`` per key."""
    scores: dict[Key, float] = {}
    for weight, keys in rankings:
        for rank, key in enumerate(keys, start=1):
            scores[key] = scores.get(key, 0.0) + weight / (RRF_K + rank)
    return scores


def best_first(scores: Mapping[Key, float]) -> list[Key]:
    """The keys by descending score; equal ones keep their order."""
    return sorted(scores, key=lambda key: -scores[key])


def fuse_rankings(
    lexical: Mapping[Key, float], similar: Mapping[Key, float], coded: Mapping[Key, float]
) -> dict[Key, float]:
    """Full text, vectors and codes fused by reciprocal rank; a key that is first in all of them scores 1."""
    rankings = [(1.0, best_first(lexical)), (VECTORS_WEIGHT, best_first(similar))]
    if coded:
        rankings.append((CODES_WEIGHT, best_first(coded)))
    highest = sum(weight for weight, _ in rankings) / (RRF_K + 1)
    return {key: score / highest for key, score in fuse(rankings).items()}


def without_tail(scores: Mapping[Key, float]) -> dict[Key, float]:
    """BM25 scores of at least ``TAIL_RATIO`` of the best."""
    floor = TAIL_RATIO * max(scores.values(), default=0.0)
    return {key: score for key, score in scores.items() if score >= floor}


def inverse_frequency(passages: int, with_term: int) -> float:
    """Weight of a term: ``ln(1 + passages / with_term)``; ``UNKNOWN_WEIGHT`` when no passage has it."""
    return math.log(1 + passages / with_term) if with_term else UNKNOWN_WEIGHT


class Judge:
    """Decides whether a passage is relevant to the question."""

    def __init__(self, query: KnowledgeQuery, weigh: Callable[[QueryConcept], float]) -> None:
        self._weights: Mapping[QueryConcept, float] = {concept: weigh(concept) for concept in query.concepts}
        self._total = sum(self._weights.values())

    def is_relevant(self, matched: AbstractSet[QueryConcept]) -> bool:
        """Whether a passage with these concepts, and without a code of the question, is relevant."""
        if len(matched) == 1 and len(self._weights) > 1 and not next(iter(matched)).is_domain:
            return False  # a single plain word in common, however rare, is chance
        weight = sum(self._weights[concept] for concept in matched)
        if len(matched) >= 2 and weight >= NEARLY_ALL * self._total:
            return True
        return weight >= MIN_WEIGHT and weight >= MIN_COVERAGE * self._total
