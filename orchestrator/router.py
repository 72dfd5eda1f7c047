"""From a sentence to its intent, its language and what it is about. Pure, deterministic, microseconds.

Intent and language are votes: every cue that occurs adds its weight, the highest sum wins, and the confidence is the
winner's share of all votes. The cues stand in ``router_cues``.
"""

from __future__ import annotations

from orchestrator.diagnosis.catalogue import known_system_abends
from orchestrator.diagnosis.codes import find_chat_abends
from orchestrator.models import Entities, Intent, Language, Routing
from orchestrator.router_cues import INTENT_CUES, LANGUAGE_CUES, STATE_NAMES
from orchestrator.router_entities import extract_entities

MAX_HITS = 3
"""Times that one cue of a language counts: a pasted log must not outvote the question around it."""

CODE_WEIGHT = 2.0
"""A code in the question speaks for a failure, less than a plain word for one does."""

_DEFAULT_LANGUAGE = Language.PT_BR


def route(message: str, *, jobs: tuple[str, ...] = (), language: Language | None = None) -> Routing:
    """Classify ``message``. Jobs that the caller named come first; a given ``language`` is taken as it is."""
    entities = _entities(message, jobs)
    intent, confidence = _intent(message, entities)
    return Routing(
        intent=intent,
        confidence=confidence,
        language=language or detect_language(message),
        entities=entities,
    )


def detect_language(message: str) -> Language:
    """The language of the question; Portuguese, which most users write, when nothing tells."""
    words = STATE_NAMES.sub(" ", message)
    votes = {
        lang: sum(weight * min(MAX_HITS, len(cue.findall(words))) for cue, weight in cues)
        for lang, cues in LANGUAGE_CUES.items()
    }
    best = max(votes, key=lambda lang: votes[lang])
    return best if votes[best] > votes[_DEFAULT_LANGUAGE] else _DEFAULT_LANGUAGE


def _entities(message: str, jobs: tuple[str, ...]) -> Entities:
    entities = extract_entities(message)
    extra = find_chat_abends(message, known_system_abends())
    named = {job.upper() for job in jobs}
    return entities.model_copy(
        update={
            "jobs": (*jobs, *(job for job in entities.jobs if job.upper() not in named)),
            "abend_codes": tuple(dict.fromkeys((*entities.abend_codes, *extra))),
        }
    )


def _intent(message: str, entities: Entities) -> tuple[Intent, float]:
    votes = {intent: sum(weight for cue, weight in cues if cue.search(message)) for intent, cues in INTENT_CUES.items()}
    if entities.codes or any(code != 0 for code in entities.return_codes):
        votes[Intent.TROUBLESHOOT] += CODE_WEIGHT
    best = max(votes, key=lambda intent: votes[intent])
    if votes[best] <= 0:
        # A job and nothing else ("BATCH001?") asks how it is.
        return (Intent.STATUS, 0.4) if entities.jobs else (Intent.UNKNOWN, 0.0)
    share = votes[best] / sum(votes.values())
    strength = min(1.0, 0.6 + 0.1 * votes[best])
    return best, round(share * strength, 2)
