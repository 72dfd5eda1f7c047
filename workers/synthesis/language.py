"""Whether the model wrote in the language it was asked for."""

from __future__ import annotations

import re

from orchestrator.i18n.languages import Language
from orchestrator.routing.language import language_cues

CLEAR_VOTES = 3.0
"""Fewer votes than this for another language are chance: codes, product names, a quoted line."""


_QUOTED = re.compile(r"[“\"«`][^”\"»`\n]{1,400}[”\"»`]")


def is_written_in(text: str, language: Language) -> bool:
    """False when ``text`` is clearly in another language; text that tells nothing counts as right.

    So does every text where the language has no cues to be recognised by.

    The cues are the router's. Evidence is quoted verbatim in any language: quotations are left out, and another
    language has to win clearly.
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
