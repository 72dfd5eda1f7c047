"""From a sentence to its intent, its language and what it is about. Pure, deterministic, without a network.

The intent comes from a small trained model (``intent``). The language is a vote: every cue of ``language``
that occurs adds its weight, and the highest sum wins.
"""

from orchestrator.codes.catalogue import known_abends
from orchestrator.codes.notation import distinct_jobs
from orchestrator.codes.patterns import find_chat_abends
from orchestrator.i18n.languages import Language
from orchestrator.models import MAX_JOBS, Entities, Intent, Routing, TroubleshootRequest
from orchestrator.routing.entities import extract_entities
from orchestrator.routing.intent import guess_intent
from orchestrator.routing.language import detect_language

BARE_CODE_CONFIDENCE = 0.8
"""A code without a word ("BATCH001 S0C7", a pasted line) is a failure."""

BARE_JOB_CONFIDENCE = 0.4
"""A job's name and nothing else ("BATCH001?") asks how it is; too uncertain to narrow the sources."""

_AROUND_A_NAME = " \t\r\n?!.,;:…\"'`“”«»¿¡"


def route(
    message: str,
    *,
    jobs: tuple[str, ...] = (),
    patterns: tuple[str, ...] = (),
    language: Language | None = None,
    known: Entities | None = None,
) -> Routing:
    """Classify ``message``. Jobs and patterns of the caller come first, then the entities that are ``known``; a given
    ``language`` is taken as it is."""
    entities = entities_of(message, jobs, patterns, known)
    guess = None if _is_bare_name(message, entities) else guess_intent(message, entities)
    if guess is not None:
        intent, confidence, because = guess.intent, round(guess.probability, 2), guess.because
    elif entities.codes or any(code != 0 for code in entities.return_codes):
        intent, confidence, because = Intent.TROUBLESHOOT, BARE_CODE_CONFIDENCE, ()
    elif entities.jobs or _is_bare_name(message, entities):
        intent, confidence, because = Intent.STATUS, BARE_JOB_CONFIDENCE, ()
    else:
        intent, confidence, because = Intent.UNKNOWN, 0.0, ()
    return Routing(
        intent=intent,
        confidence=confidence,
        because=because,
        language=language or detect_language(message),
        entities=entities,
    )


def route_request(request: TroubleshootRequest) -> Routing:
    """Classify the message of a request, with the jobs, the entities and the language that it names."""
    return route(
        request.message,
        jobs=request.named_jobs,
        patterns=request.job_patterns,
        language=request.language,
        known=request.entities,
    )


def _is_bare_name(message: str, entities: Entities) -> bool:
    """Whether the message is one word that may be a name, of which the model would judge the letters."""
    return message.strip(_AROUND_A_NAME) in entities.candidates


def entities_of(
    message: str, jobs: tuple[str, ...] = (), patterns: tuple[str, ...] = (), known: Entities | None = None
) -> Entities:
    """What ``message`` is about; codes in a user's spelling are those that the catalogue knows."""
    entities = extract_entities(message, beside_several=len(jobs) > 1 or bool(patterns))
    if known is not None:
        entities = known.and_those(entities)
    extra = find_chat_abends(message, known_abends())
    together = distinct_jobs((*jobs, *entities.jobs))
    return entities.model_copy(
        update={
            "jobs": together[:MAX_JOBS],
            "more_jobs": entities.more_jobs + max(0, len(together) - MAX_JOBS),
            "job_patterns": tuple(dict.fromkeys((*patterns, *entities.job_patterns))),
            "abend_codes": tuple(dict.fromkeys((*entities.abend_codes, *extra))),
        }
    )
