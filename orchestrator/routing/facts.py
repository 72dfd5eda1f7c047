"""The one fact of a job that a question asks for: its successors, its script, when it ended. Pure.

The words are data: ``[facts]`` of each language's ``language.toml``, in plain words, all languages together.
"""

import re
from enum import StrEnum
from functools import cache

from orchestrator.i18n.languages import words_of
from orchestrator.models import Entities
from orchestrator.routing.listing import MAX_CHARACTERS, asks_how_or_why
from orchestrator.routing.vocabulary import plain_text


class Fact(StrEnum):
    """What is asked of a job; where a question holds words for two of them, the first counts."""

    PREDECESSORS = "predecessors"
    SUCCESSORS = "successors"
    DURATION = "duration"
    ENDED = "ended"
    STARTED = "started"
    SCRIPT = "script"
    USER = "user"
    WORKSTATION = "workstation"
    RETURN_CODE = "return_code"


def fact_of(message: str, entities: Entities) -> Fact | None:
    """The fact that the message asks for and nothing else; None for any other question, and where a code is named."""
    if len(message) > MAX_CHARACTERS or entities.codes or entities.return_codes or asks_how_or_why(message):
        return None
    text = plain_text(message)
    return next((fact for fact in Fact if _asks(fact).search(text)), None)


@cache
def _asks(fact: Fact) -> re.Pattern[str]:
    return re.compile(rf"(?<!\S){words_of('facts', fact)}(?!\S)")
