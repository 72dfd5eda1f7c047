"""The language of a question, by the weighted cue words that each language's ``language.toml`` lists."""

import re
from dataclasses import dataclass
from functools import cache
from typing import Any

from orchestrator.codes.states import STATE_NAMES
from orchestrator.i18n.languages import DEFAULT_LANGUAGE, Language, language_facts

MAX_HITS = 3
"""Times that one cue of a language counts: a pasted log must not outvote the question around it."""

OPENING_VOTES = 2
"""Sum of weights from which the first words of a message decide."""
_END_OF_OPENING = re.compile(r"[?!:]\s|\n|\s[-–—]\s|[\"“«`]")


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
    """The language of the question; the default language, which most users write, without cues.

    What stands before a pasted line ("o CARGA1 caiu: ORA-12541: TNS:no listener") decides, if it says enough.
    """
    message = message.strip()
    if (end := _END_OF_OPENING.search(message)) is not None:
        votes = _votes(message[: end.start() + 1])
        best = max(votes, key=lambda language: votes[language])
        if votes[best] >= OPENING_VOTES and list(votes.values()).count(votes[best]) == 1:
            return best
    votes = _votes(message)
    best = max(votes, key=lambda language: votes[language])
    return best if votes[best] > votes[DEFAULT_LANGUAGE] else DEFAULT_LANGUAGE


def _votes(message: str) -> dict[Language, float]:
    text = _words_of_tws().sub(" ", message)
    return {
        language: sum(cue.weight * min(MAX_HITS, len(cue.pattern.findall(text))) for cue in cues)
        for language, cues in language_cues().items()
    }


@cache
def _words_of_tws() -> re.Pattern[str]:
    """States and other words of the product, which count for no language.

    In small letters a state counts where a language lists it (``stuck``), and not by its ending (``undcded``).
    """
    groups = (group for language in Language for group in language_facts(language).get("cues", ()))
    listed = "|".join(word for group in groups for word in group.get("words", ()) if r"\w" not in word)
    unlisted = (state for state in STATE_NAMES if not re.fullmatch(listed, state, re.IGNORECASE))
    return re.compile(rf"\b(?:LATE|LIMIT|LINKED|UNLINKED|{'|'.join(STATE_NAMES)}|(?i:{'|'.join(unlisted)}))\b")


def _cue(group: dict[str, Any]) -> Cue:
    pattern = group.get("pattern") or rf"(?<![\w-])(?:{'|'.join(group['words'])})(?![\w-])"
    return Cue(re.compile(pattern, re.IGNORECASE), group["weight"])
