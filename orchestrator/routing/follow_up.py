"""Whether a question goes on from an earlier one of its session, asks about the whole plan, or about nothing of TWS.

What is recognised stands in ``[topics]`` and ``[follow_ups]`` of each ``language.toml``.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import cache

from orchestrator.codes.patterns import find_program_codes
from orchestrator.codes.states import is_state
from orchestrator.i18n.languages import words_of as listed
from orchestrator.i18n.message import Message
from orchestrator.models import Entities, Intent, Routing
from orchestrator.routing.entities import asks_about_the_plan, is_known_line
from orchestrator.routing.facts import fact_of
from orchestrator.routing.listing import listing_of
from orchestrator.routing.vocabulary import MARKS, is_stop_word, plain_text, vocabulary, words_of

MAX_PHRASE_CHARACTERS = 160
"""Longer questions say what they are about."""

SURE = 0.8
NOTHING_BEFORE = Message(
    "Which job do you mean? This question goes on from an earlier one, and none of this session is known. Name the "
    "job, for example “Why did BATCH001 fail?”."
)
_TOPIC_FAMILIES = frozenset({"failure", "late", "ended", "running", "dependency", "complaint", "state", "event"})
"""Families of words that a question about the scheduler may hold without naming anything of it."""
_LOOSE_FAMILIES = _TOPIC_FAMILIES | {
    *("cause", "when", "who", "condition", "change", "again", "already_or_still", "meaning", "request"),
}
"""The same beside a word such as "it", which makes them words about a job."""
_PUNCTUATION = ".,:;?!¿¡\"'()"
_NAME_LIKE = re.compile(r"(?=[^\s]*[A-Za-z])(?=[^\s]*[\d_#$@])[A-Za-z0-9_#$@./-]{3,}")


class Reference(StrEnum):
    """What a question refers to."""

    NAMED = "named"
    """It names what it is about."""
    MAYBE = "maybe"
    """It holds words that may be names, and nothing else of the scheduler: the plan knows."""
    BACK = "back"
    """It goes on from an earlier question: "why?", "what do I do now?"."""
    OPEN = "open"
    """It is about the scheduler and names nothing: in a session its job, else the plan."""
    PLAN = "plan"
    """It is about the whole plan: "which jobs have failed?"."""
    NOTHING = "nothing"
    """It is about nothing of the scheduler."""


class Focus(StrEnum):
    """What a question that goes on from an earlier one wants to know."""

    ALL = "all"
    CAUSE = "cause"
    """Why, and what shows it."""
    STEPS = "steps"
    """What to do, or to look at, next."""
    STATE = "state"
    """How it stands now."""


@dataclass(frozen=True, slots=True)
class Subject:
    """What an earlier question of the session, ``run_id``, was about."""

    run_id: str
    entities: Entities

    @property
    def name(self) -> str:
        """Its name for a sentence."""
        named = (*self.entities.jobs, *self.entities.job_streams, *self.entities.workstations)
        return next(iter(named), "")


def reference_of(message: str, entities: Entities) -> Reference:
    """What ``message`` refers to, by what it names and by its words."""
    is_pasted = ": " in message and not entities.candidates and _holds_log(message)
    if _names_something(entities) or find_program_codes(message) or is_pasted:
        return Reference.NAMED
    texts = _texts(message, entities)
    if any(_words("follow_ups", "talk").fullmatch(text) for text in texts):
        return Reference.NOTHING
    families = {family for word in words_of(message, entities) for family in vocabulary().families(word)}
    names_state = any(_is_state(word.strip(_PUNCTUATION)) for word in message.split())
    is_topic = names_state or bool(families & _TOPIC_FAMILIES) or _is_topic(message, texts)
    is_wide = asks_about_the_plan(message) or listing_of(message, entities) is not None
    asks_a_fact = not entities.candidates and fact_of(message, entities) is not None
    is_loose = not names_state and bool(is_topic or families & _LOOSE_FAMILIES)
    says_no_more = not (is_wide or names_state) and any(map(_says_no_more, texts))
    if asks_a_fact or _is_phrase(message, texts) or (is_loose and _finds("pronouns", texts)) or says_no_more:
        return Reference.BACK
    is_topic = is_topic or _holds_log(message)
    if entities.candidates:
        return Reference.NAMED if is_topic else Reference.MAYBE
    if not is_topic:
        return Reference.NOTHING
    return Reference.PLAN if is_wide else Reference.OPEN


def focus_of(message: str) -> Focus:
    """What a follow-up asks for, by its words; everything where they do not say, or say both."""
    texts = _texts(message, Entities())
    if _finds("next", texts):
        return Focus.ALL if _finds("why", texts) else Focus.STEPS
    return Focus.CAUSE if _finds("why", texts) or _finds("evidence", texts) else Focus.ALL


def distinct(subjects: Sequence[Subject]) -> tuple[Subject, ...]:
    """The subjects, each once, the latest first; ``JOB`` and ``WS#STREAM.JOB`` are one, by its whole name."""
    found: dict[str, Subject] = {}
    for subject in subjects:
        key = subject.name.upper()
        same = next((other for other in found if _is_same(key, other)), None)
        if same is None:
            found[key] = subject
        elif len(key) > len(same):
            found = {key if other == same else other: subject if other == same else found[other] for other in found}
    return tuple(found.values())


def follow(
    routing: Routing, reference: Reference, subjects: Sequence[Subject], focus: Focus = Focus.ALL
) -> Routing | Message | None:
    """The routing of a question that goes on from what the session was about last, and asks for ``focus``.

    A question to the user when it is not known which subject is meant: there is none, or the last run was about
    several. None for a question that stands for itself.
    """
    known = distinct(subjects)
    if reference not in (Reference.BACK, Reference.OPEN) or (reference is Reference.OPEN and not known):
        return None
    if not known:
        return NOTHING_BEFORE
    last = subjects[0].run_id
    subject, *others = known
    if len(distinct([item for item in subjects if item.run_id == last])) > 1:
        return Message("Which one do you mean: {names}?", names=", ".join(subject.name for subject in known))
    goes_on = routing.model_copy(
        update={
            "entities": subject.entities,
            "follows": subject.run_id,
            "other_subjects": tuple(other.name for other in others),
        }
    )
    # "And now?" has a word of a question for the state.
    kept = (Intent.ACTION,) if focus in (Focus.CAUSE, Focus.STEPS) else (Intent.STATUS, Intent.ACTION)
    if routing.intent in kept and routing.confidence >= SURE:
        return goes_on
    return goes_on.model_copy(update={"intent": Intent.TROUBLESHOOT, "confidence": SURE})


def subjects_of(run_id: str, entities: Entities, jobs: Sequence[str], answered: Sequence[str]) -> tuple[Subject, ...]:
    """What a run was about: each of its ``jobs``, else its stream or workstation, else the jobs that were ``answered``
    to a question about the plan.
    """
    if jobs or entities.jobs:
        names: Sequence[str] = tuple(jobs) or entities.jobs
    elif entities.job_streams or entities.workstations:
        return (Subject(run_id, entities),)
    else:
        names = answered
    one = entities.model_copy(update={"candidates": (), "job_patterns": (), "excluded": (), "more_jobs": 0})
    return tuple(Subject(run_id, one.model_copy(update={"jobs": (name,)})) for name in names)


def _is_same(one: str, other: str) -> bool:
    short, long = sorted((one, other), key=len)
    return short == long or long.endswith(f".{short}")


def _is_state(word: str) -> bool:
    """Whether a word is a state of TWS; one of talk, as "done", is one in capitals alone."""
    return is_state(word) and (word.isupper() or not _is_talk(word.lower()))


def _names_something(entities: Entities) -> bool:
    return any(value for name, value in entities.model_dump().items() if name not in ("times", "candidates"))


def _texts(message: str, entities: Entities) -> tuple[str, str]:
    """The message in plain words, as written and with its abbreviations written out."""
    spelled_out = " ".join(word for word in words_of(message, entities) if word not in MARKS)
    return plain_text(message), spelled_out


def _is_topic(message: str, texts: Sequence[str]) -> bool:
    return any(_NAME_LIKE.fullmatch(word.strip(_PUNCTUATION)) for word in message.split()) or any(
        _words("topics", "words").search(text) for text in texts
    )


def _holds_log(message: str) -> bool:
    """Whether somebody pasted a line of a log that the catalogue of symptoms knows.

    Shorter lines are not looked up: the catalogue takes a tenth of a second to load, which a process that has read no
    log would spend at a run's deadline.
    """
    return any(map(is_known_line, message.splitlines()))


def _is_phrase(message: str, texts: Sequence[str]) -> bool:
    return len(message) <= MAX_PHRASE_CHARACTERS and any(_phrase().fullmatch(text) for text in texts)


def _says_no_more(text: str) -> bool:
    """Whether a sentence holds only words that are said of something else, and at least one that tells."""
    words = text.split() if len(text) <= MAX_PHRASE_CHARACTERS else []
    telling = [word for word in words if _words("follow_ups", "words").fullmatch(word)]
    rest = (word for word in words if word not in telling and not is_stop_word(word))
    return bool(telling) and all(_words("follow_ups", "fillers").fullmatch(word) for word in rest)


def _is_talk(word: str) -> bool:
    return any(_words("follow_ups", key).fullmatch(word) for key in ("words", "fillers"))


def _finds(key: str, texts: Sequence[str]) -> bool:
    return any(_words("follow_ups", key).search(text) for text in texts)


@cache
def _words(table: str, key: str) -> re.Pattern[str]:
    return re.compile(rf"(?<!\S){listed(table, key)}(?!\S)")


@cache
def _phrase() -> re.Pattern[str]:
    return re.compile(rf"(?:{listed('follow_ups', 'leads')} )*{listed('follow_ups', 'phrases')}")
