"""The intent of a question: a multinomial logistic regression over its words, trained offline.

Features are words, pairs and triples of words, pieces of words (inflections and typing errors), word families and
pairs of families, and what was named. ``scripts/train_router.py`` learns the weights of ``data/intent_model.json``
from the labelled questions of the tests; here they are only added up, so that each word's share in the decision is
known.
"""

import hashlib
import json
import math
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from importlib import resources
from itertools import pairwise

from orchestrator.models import Entities, Intent
from orchestrator.routing.vocabulary import MARKS, NAMED, STATE, vocabulary, words_of

INTENTS = (Intent.STATUS, Intent.TROUBLESHOOT, Intent.QUERY, Intent.ACTION, Intent.GENERAL)

MAX_REASONS = 3
"""Words given as the reason of a decision."""

_SCALE = 4.0
_WEIGHT_OF_FAMILIES = 1.5
_SHORTEST = 3.0
_BIAS = "bias"
_PIECES = (4, 5)
_NAMES = frozenset({*NAMED.values(), "<abend>", STATE})
_KINDS = MARKS | _NAMES | {"<number>", "<other>", "<path>"}


@dataclass(frozen=True, slots=True)
class Features:
    """A question as the model sees it."""

    values: dict[str, float]
    words: tuple[str, ...]
    places: dict[str, tuple[int, ...]]
    """Which words a feature comes from, by index; none for what was named."""


@dataclass(frozen=True, slots=True)
class Guess:
    """The most probable intent, its probability, and the words that spoke for it, strongest first."""

    intent: Intent
    probability: float
    because: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class IntentModel:
    """Weights by feature, one for each of ``INTENTS``."""

    weights: dict[str, tuple[float, ...]]
    trained_on: str
    """Fingerprint of the questions and words that the weights were learnt from."""

    def guess(self, features: Features) -> Guess | None:
        """None when no word of the question is known; a name or a code alone is no word."""
        known = {name: value for name, value in features.values.items() if name in self.weights and name != _BIAS}
        if not any(name[:2] in ("w:", "c:", "f:") and name[2:] not in _KINDS for name in known):
            return None
        scores = [
            sum(self.weights[name][column] * value for name, value in known.items()) + self.weights[_BIAS][column]
            for column in range(len(INTENTS))
        ]
        best = max(range(len(INTENTS)), key=scores.__getitem__)
        probability = 1.0 / sum(math.exp(score - scores[best]) for score in scores)
        return Guess(INTENTS[best], probability, self._because(features, known, best))

    def _because(self, features: Features, known: dict[str, float], best: int) -> tuple[str, ...]:
        shares: dict[int, float] = defaultdict(float)
        for name, value in known.items():
            weights = self.weights[name]
            lead = (weights[best] - sum(weights) / len(weights)) * value
            places = features.places.get(name, ())
            for place in places:
                shares[place] += lead / len(places)
        # A word that no example and no family holds is not repeated: it may be anything, a password too.
        reasons = [place for place in shares if self._is_known(features.words[place]) and shares[place] > 0]
        reasons.sort(key=lambda place: (-shares[place], place))
        return tuple(dict.fromkeys(features.words[place] for place in reasons))[:MAX_REASONS]

    def _is_known(self, word: str) -> bool:
        if word in _KINDS:
            return False
        return bool(vocabulary().families(word)) or (len(word) >= _PIECES[0] and f"w:{word}" in self.weights)


@lru_cache(maxsize=1)
def shipped_model() -> IntentModel:
    """The model that comes with the package."""
    raw = json.loads(resources.files(__package__).joinpath("data/intent_model.json").read_text(encoding="utf-8"))
    return IntentModel(
        weights={name: tuple(weights) for name, weights in raw["weights"].items()}, trained_on=raw["trained_on"]
    )


def fingerprint(examples: Iterable[tuple[str, str]]) -> str:
    """What a model was learnt from: a hash of the examples (text, intent) and of the word lists."""
    words = resources.files(__package__).joinpath("data/intent_words.json").read_text(encoding="utf-8")
    return hashlib.sha256(json.dumps([*examples, words]).encode()).hexdigest()


def guess_intent(message: str, entities: Entities) -> Guess | None:
    """What kind of question ``message`` is; None when nothing in it is known."""
    return shipped_model().guess(features_of(message, entities))


def features_of(message: str, entities: Entities) -> Features:
    """Each kind of feature is scaled as a whole, so that a long question does not shout down the weights."""
    words = words_of(message, entities)
    places: dict[str, tuple[int, ...]] = {}
    lexical: dict[str, float] = {}
    for name, value, where in _lexical(words):
        lexical[name] = max(value, lexical.get(name, 0.0))
        places.setdefault(name, where)
    general: dict[str, float] = {}
    for name, value, where in _general(words, entities):
        general[name] = max(value, general.get(name, 0.0))
        places.setdefault(name, where)
    values = {**_scaled(lexical, _SCALE), **_scaled(general, _SCALE * _WEIGHT_OF_FAMILIES), _BIAS: 1.0}
    return Features(values=values, words=tuple(words), places=places)


def _lexical(words: list[str]) -> Iterator[tuple[str, float, tuple[int, ...]]]:
    framed = ["^", *words, "$"]
    for place, word in enumerate(words):
        yield f"w:{word}", 1.0, (place,)
        if len(word) >= _PIECES[0] and word.isalpha():
            marked = f"<{word}>"
            for size in _PIECES:
                for start in range(len(marked) - size + 1):
                    yield f"c:{marked[start : start + size]}", 0.5, (place,)
    for size, name, value in ((2, "b", 1.0), (3, "t", 0.7)):
        for start in range(len(framed) - size + 1):
            # The frame shifts places by one.
            where = tuple(place for place in range(start - 1, start - 1 + size) if 0 <= place < len(words))
            yield f"{name}:{' '.join(framed[start : start + size])}", value, where


def _general(words: list[str], entities: Entities) -> Iterator[tuple[str, float, tuple[int, ...]]]:
    if entities.codes:
        yield "named:code", 1.0, ()
    if any(entities.return_codes):
        yield "named:return_code", 1.0, ()
    jobs = (*entities.jobs, *entities.job_patterns)
    for field, names in (
        ("jobs", jobs),
        ("job_streams", entities.job_streams),
        ("workstations", entities.workstations),
    ):
        if names:
            yield f"named:{field}", 1.0, ()
    yield f"length:{min(len(words), 8) // 2}", 1.0, ()
    sequence: list[tuple[tuple[str, ...], tuple[int, ...]]] = [(("^",), ())]
    for place, word in enumerate(words):
        kinds = (word,) if word in MARKS or word in _NAMES else vocabulary().families(word)
        if kinds:
            sequence.append((kinds, (place,)))
            for kind in kinds:
                yield f"f:{kind}", 1.0, (place,)
                if place == 0:
                    yield f"first:{kind}", 1.0, (place,)
    sequence.append((("$",), ()))
    for (before, left_at), (after, right_at) in pairwise(sequence):
        for left in before:
            for right in after:
                yield f"g:{left} {right}", 0.6, (*left_at, *right_at)


def _scaled(values: dict[str, float], scale: float) -> dict[str, float]:
    # Three words are no surer than six: below this length they are not drawn out to the full scale.
    length = max(_SHORTEST, math.sqrt(sum(value * value for value in values.values())))
    return {name: value / length * scale for name, value in values.items()}
