"""Check of the answer's language."""

import re

from orchestrator.i18n.languages import Language
from orchestrator.routing.language import language_cues

CLEAR_VOTES = 3.0
"""Least votes for another language; fewer may come from codes, product names or a quoted line."""
_QUOTED = re.compile(r"[“\"«`][^”\"»`\n]{1,400}[”\"»`]")


def is_written_in(text: str, language: Language) -> bool:
    """False when ``text`` is clearly in another language, by the router's cues.

    Undecided text counts as right, and so does every text if ``language`` has no cues. Quotations are ignored: they
    repeat evidence in any language.
    """
    if not language_cues()[language]:
        return True
    text = _QUOTED.sub(" ", text)
    votes = {
        other: sum(cue.weight for cue in cues if cue.pattern.search(text)) for other, cues in language_cues().items()
    }
    requested = votes.pop(language)
    best = max(votes.values())
    return best < CLEAR_VOTES or best < 1.5 * requested
