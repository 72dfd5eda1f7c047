"""The language of a question, by the weighted cue words that each language's ``language.toml`` lists."""

import re
from dataclasses import dataclass
from functools import cache
from typing import Any

from orchestrator.codes.states import without_states
from orchestrator.i18n.languages import DEFAULT_LANGUAGE, Language, language_facts

MAX_HITS = 3
"""Times that one cue of a language counts: a pasted log must not outvote the question around it."""

_PRODUCT_WORDS = re.compile(r"\b(?:LATE|LIMIT|LINKED|UNLINKED)\b")
"""In every language, like states: they count for none."""


@dataclass(frozen=True, slots=True)
class Cue:
    """Words of a language and how much a match counts (1 a hint, 3 certain)."""

    pattern: re.Pattern[str]
    weight: float


@cache
def language_cues() -> dict[Language, tuple[Cue, ...]]:
    """The cues of every language; of one whose folder has none, an empty tuple."""
    return {language: tuple(map(_cue, language_facts(language).get("cues", ()))) for language in Language}


def detect_language(message: str) -> Language:
    """The language of the question; the default language, which most users write, without cues."""
    text = _PRODUCT_WORDS.sub(" ", without_states(message))
    votes = {
        language: sum(cue.weight * min(MAX_HITS, len(cue.pattern.findall(text))) for cue in cues)
        for language, cues in language_cues().items()
    }
    best = max(votes, key=lambda language: votes[language])
    return best if votes[best] > votes[DEFAULT_LANGUAGE] else DEFAULT_LANGUAGE


def _cue(group: dict[str, Any]) -> Cue:
    pattern = group.get("pattern") or rf"(?<![\w-])(?:{'|'.join(group['words'])})(?![\w-])"
    return Cue(re.compile(pattern, re.IGNORECASE), group["weight"])
