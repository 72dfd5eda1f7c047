"""Questions for a list of the plan, or for a number: "quais jobs estão em abend?", "workstations offline". Pure.

The words are data: ``[lists]`` of each language's ``language.toml``, all languages together.
"""

import re
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import cache

from orchestrator.codes.states import FAILED, STATE_NAMES, find_states
from orchestrator.i18n.languages import words_of
from orchestrator.models import Entities


class Listed(StrEnum):
    """What a list is of."""

    JOBS = "jobs"
    STREAMS = "streams"
    WORKSTATIONS = "workstations"


STATES = (
    "abended",
    "failed",
    "running",
    "blocked",
    "waiting",
    "unfinished",
    "late",
    "succeeded",
    "cancelled",
    "linked",
    "unlinked",
)
"""The states in words that a list may be limited to; each is a list of words in ``[lists]``."""
_OVERRULES = {"unfinished": ("succeeded", "running", "failed"), "late": ("running",), "unlinked": ("linked",)}
"""Words in which others stand: "have not finished", "running late", "not linked"."""
_WORDED = ("READY", "HOLD", "SUSP", "CANCL", "SUCC")
"""States of TWS that ``[lists]`` has words for, where these stand for no other: "prontos", "on hold"."""
_ALSO_WORDS = ("ERROR",)
"""States that are words as well, unless they stand where a state does."""
_ONE = {Listed.JOBS: "job", Listed.STREAMS: "stream", Listed.WORKSTATIONS: "workstation"}
"""Key of the words for one of them."""
_GAP = r"(?:[^\W\d]+\s+){0,3}?"
_BETWEEN = r"\s+(?:[^\W\d]+\s+){0,2}?"


@dataclass(frozen=True, slots=True)
class Listing:
    """A list, and the states that it is limited to: one of ``STATES``, or as TWS writes it. None of them: all."""

    listed: Listed
    states: tuple[str, ...] = ()
    is_count: bool = False
    """Numbers are asked for ("quantos", "status dos jobs"): names are only examples."""
    resource: str = ""
    """Name of the resource that the jobs wait for."""
    asks_why: bool = False
    """Whether the reason is asked for as well ("quais jobs estão em HOLD e por quê?")."""


def listing_of(message: str, entities: Entities) -> Listing | None:
    """The list that the message asks for; None for any other question, and where a job or a code is named."""
    message = without_excluded(message, entities)
    return _list_in(message, entities) or _reasons_of_several(message, entities)


def _list_in(message: str, entities: Entities) -> Listing | None:
    if (why := _and_why().search(message)) is not None:
        listing = _listing_of(message[: why.start()], entities)
        return listing and replace(listing, asks_why=True)
    if len(message) <= MAX_CHARACTERS and (whole := _whole_list().fullmatch(message)) is not None:
        return Listing(next(listed for listed in Listed if whole[listed]))
    return _listing_of(message, entities)


def _reasons_of_several(message: str, entities: Entities) -> Listing | None:
    """The list in a question for its reasons alone: "por que todos os jobs em abend falharam?"."""
    match = _why_several().match(message) if len(message) <= MAX_CHARACTERS else None
    if match is None or _place_noun().search(match["before"]):
        return None  # of one thing of theirs: "por que o servidor dos jobs caiu?"
    rest = message[match.end("reasons") :]
    states = () if _is_another(rest, entities) else _of_jobs(_states(rest))
    return Listing(Listed.JOBS, states, asks_why=True) if states else None


_FAILED = frozenset({"abended", "failed", *FAILED})


def listing_beside(message: str, entities: Entities) -> tuple[Listing, Entities] | None:
    """The list that the message asks for, also beside jobs that are named, and the entities that it is limited to.

    "Por que o BATCH001 falhou? E todos os jobs em abend do stream FECHADIA?" asks for both. A list whose words name a
    job or point to one is about this one ("quais jobs em abend dependem do BATCH001?", "o que falhou antes dele?"), and
    is none.
    """
    message = without_excluded(message, entities)
    if not entities.jobs:
        return (listing, entities) if (listing := listing_of(message, entities)) is not None else None
    if not (any(_holds(message, name) for name in entities.jobs) or _word("jobs").search(message)):
        return None  # "o que falhou?" about the job of the request
    for part in _parts().split(message):
        if _word("of_it").search(part) or any(_holds(part, name) for name in entities.jobs):
            continue
        others = {
            field: tuple(item for item in value if _holds(part, str(item)) or not _holds(message, str(item)))
            for field, value in entities
            if isinstance(value, tuple) and field != "jobs"
        }
        limits = entities.model_copy(update={**others, "jobs": ()})
        if (listing := _list_in(part.strip(), limits)) is not None:
            return listing, limits
    return None


def maps_jobs(message: str, entities: Entities) -> bool:
    """Whether each job is asked about that the plan finds: those of a pattern, or of a list of what failed.

    Of other lists, and of numbers, only when the reasons are asked for.
    """
    found = listing_beside(message, entities)
    if found is None or found[0].listed is not Listed.JOBS:
        return bool(entities.job_patterns)
    listing = found[0]
    is_about_each = bool(entities.job_patterns) or not _FAILED.isdisjoint(listing.states)
    return listing.asks_why or (is_about_each and not listing.is_count)


def _holds(text: str, name: str) -> bool:
    return re.search(rf"(?<![\w$#@-]){re.escape(name)}(?![\w$#@-])", text, re.IGNORECASE) is not None


@cache
def _parts() -> re.Pattern[str]:
    """What stands between the questions of one message."""
    conjunctions = words_of("names", "conjunctions")
    beside = words_of("lists", "beside")
    return re.compile(
        rf"[?!;\n]+\s*(?:{conjunctions}\s+)?|\.\s+|\s*,\s*(?:{conjunctions}\s+)?|\s+{conjunctions}\s+|\s+{beside}\s+",
        re.IGNORECASE,
    )


def _is_another(message: str, entities: Entities) -> bool:
    """Whether the question is none for a list: it names a job or a code, or asks for a reason, a remedy or a time."""
    if entities.jobs or entities.codes:
        return True
    return _never().search(message) is not None or _word("when").search(message) is not None


def _listing_of(message: str, entities: Entities) -> Listing | None:
    if len(message) > MAX_CHARACTERS or _is_another(message, entities):
        return None
    states = _states(message)
    is_count = _word("count").search(message) is not None
    if (match := _waits_for_a_resource().search(message)) is not None:
        return Listing(Listed.JOBS, ("waiting",), is_count, match["resource"])
    for listed in Listed:
        if listed is Listed.WORKSTATIONS and entities.workstations:
            continue
        if listed is Listed.STREAMS and entities.job_streams:
            continue
        if _status_of(listed).search(message):
            return Listing(
                listed, _of_jobs(states) if listed is Listed.JOBS else states, listed is Listed.JOBS or is_count
            )
        if _asks(message, listed, entities, has_state=bool(states), is_count=is_count) or _is_of_a_place(
            message, listed, entities
        ):
            return Listing(listed, _of_jobs(states) if listed is Listed.JOBS else states, is_count)
    is_status = bool(entities.folders) and _word("status").search(message) is not None
    if is_status or (states and _without_a_noun().search(message)):
        return Listing(Listed.JOBS, _of_jobs(states), is_count or is_status)
    return None


def _of_jobs(states: tuple[str, ...]) -> tuple[str, ...]:
    """A job that is down has failed."""
    named = ["failed" if name == "unlinked" else name for name in states if name != "linked"]
    # A job stream is stuck; of jobs it is those that do not advance.
    return tuple(dict.fromkeys((*(("blocked",) if "STUCK" in named else ()), *named)))


MAX_CHARACTERS = 200
"""A longer message tells a story, or brings a log."""


def _asks(message: str, listed: Listed, entities: Entities, *, has_state: bool, is_count: bool) -> bool:
    several, one = _asked(listed)
    is_limited = has_state or bool(entities.folders or entities.job_streams or entities.workstations)
    if (match := several.search(message)) is not None:
        is_shown = match["show"] is not None
        return has_state or (is_limited and is_shown) or is_count or (is_shown and listed is not Listed.JOBS)
    if has_state and one.search(message):
        # In a stream, the one that is meant is better explained than listed.
        return not entities.job_streams
    return has_state and _first(listed).match(message) is not None


def _is_of_a_place(message: str, listed: Listed, entities: Entities) -> bool:
    """Whether it is asked what a place has, and nothing more of it: "quais jobs tem na ZOS1?", "jobs da FATDIA"."""
    named = (*entities.job_streams, *entities.workstations, *entities.folders, *entities.candidates, *entities.times)
    match = _in_place(listed).match(message)
    if match is None and listed is Listed.JOBS:
        match = _runs_in_place().match(message)
    if match is None or not named:
        return False
    rest = match["rest"]
    for name in sorted(named, key=len, reverse=True):
        rest = rest.replace(name, " ")
    return all(_place_word().fullmatch(word) for word in re.findall(r"[\w-]+", rest))


def _states(message: str) -> tuple[str, ...]:
    said = words_for_a_state(message)
    capitals = find_states(message) if message.upper() != message else ()
    exact = [state for state in capitals if state not in _ALSO_WORDS or state in map(str.upper, said)]
    exact += ["FAIL"] if "fail" in map(str.lower, said) else []
    rest = re.sub(rf"\b(?:{'|'.join(exact)})\b", " ", message, flags=re.IGNORECASE) if exact else message
    named = {name for name in STATES if _word(name).search(rest)}
    for name, others in _OVERRULES.items():
        if name in named:
            named -= set(others)
    unsaid = [word for word in words_for_a_state(rest) if not any(_word(name).search(word) for name in named)]
    written = [*exact, *(state for word in unsaid for state in find_states(word.upper()))]
    written += [state for state in _WORDED if _word(state).search(rest)]
    if "ABEND" in written:
        named.add("abended")
    if "abended" in named:
        named -= {"failed"}
    said_in_words = {"ABEND"} if "abended" in named else {"ERROR"} if "failed" in named else set()
    written = [state for state in written if state not in said_in_words]
    return (*(name for name in STATES if name in named), *dict.fromkeys(written))


def went_well(text: str) -> bool:
    """Whether the last sentence of a text says of what it is about that it is done: "todos terminaram"."""
    last = re.split(r"[.?!;\n]", text)[-1]
    words = rf"(?:{words_of('lists', 'succeeded')}|{words_of('names', 'went_well')})"
    is_said = re.search(rf"(?<!n[aã]o\s)(?<!not\s)(?<!n't\s)(?<!no\s)(?<![\w-]){words}(?![\w-])", last, re.IGNORECASE)
    return is_said is not None and not set(_states(last)) & {"failed", "abended", "unfinished"}


def without_excluded(message: str, entities: Entities) -> str:
    """A message without the names that it leaves out, and what announces these: " exceto FECH003 e FECH004"."""
    names = "|".join(re.escape(name.removesuffix(".@")) for name in sorted(entities.excluded, key=len, reverse=True))
    if not names:
        return message
    words = (words_of("names", key) for key in ("excluded", "excluded_behind", "conjunctions"))
    sure, behind, conjunction = words
    gap = r"(?:[^\W\d]+\s+){0,4}?[\"'`“«]?"
    name = rf"{gap}(?:{names})(?![\w$#@-])[\"'`”»]?"
    return re.sub(
        rf"[\s,(]*(?<![\w-])(?:{sure}|{behind})(?::\s*|\s+){name}(?:(?:\s*,\s*|\s+)(?:{conjunction}\s+)?{name})*\)?",
        "",
        message,
        flags=re.IGNORECASE,
    )


def asks_who_waits(message: str) -> bool:
    """Whether it is asked which jobs wait for what is named: "quem espera pelo SRV2?"."""
    return len(message) <= MAX_CHARACTERS and not _never().search(message) and _who_waits().search(message) is not None


def asks_how_or_why(message: str) -> bool:
    """Whether a message holds words of a question for a reason or a way, which no list and no single fact answers."""
    return _never().search(message) is not None


def words_for_a_state(message: str) -> tuple[str, ...]:
    """Words in small letters that stand where a state of TWS may: "em hold", "is ready"."""
    return tuple(match[1] for match in _in_state().finditer(message))


@cache
def _word(key: str) -> re.Pattern[str]:
    return re.compile(rf"(?<![\w-]){words_of('lists', key)}(?![\w-])", re.IGNORECASE)


def _never() -> re.Pattern[str]:
    return _word("never")


@cache
def _in_state() -> re.Pattern[str]:
    """A state as TWS writes it, in small letters after a word that says so."""
    return re.compile(rf"(?<![\w-]){words_of('lists', 'in')}\s+([a-z]{{3,10}})(?![\w-])", re.IGNORECASE)


@cache
def _asked(listed: Listed) -> tuple[re.Pattern[str], re.Pattern[str]]:
    """What is asked for in the plural, and in the singular ("qual job ...?", "algum job ...?")."""
    which, count, show, some = (words_of("lists", key) for key in ("which", "count", "show", "any"))
    nouns, noun = words_of("lists", listed), words_of("lists", _ONE[listed])
    begin, end = r"(?<![\w-])", r"(?![\w-])"
    return (
        re.compile(rf"{begin}(?:{which}|{count}|(?P<show>{show})|{some})\s+{_GAP}{nouns}{end}", re.IGNORECASE),
        re.compile(rf"{begin}(?:{which}|{some})\s+{noun}{end}", re.IGNORECASE),
    )


@cache
def _and_why() -> re.Pattern[str]:
    """The end of a question for a list and for the reasons."""
    return re.compile(rf"(?<![\s,;?])[\s,;?]+{words_of('lists', 'and_why')}\W*$", re.IGNORECASE)


@cache
def _why_several() -> re.Pattern[str]:
    """The start of a question for the reasons of several jobs: of all of them, or of some that it says more of."""
    jobs, articles, failed, whole, reasons, every, many = (
        words_of(of, key)
        for of, key in (
            ("lists", "jobs"), ("names", "articles"), ("lists", "failed"), ("lists", "whole"), ("lists", "reasons_of"),
            ("lists", "all"), ("lists", "so_many"),
        )
    )  # fmt: skip
    some = rf"{articles}\s+(?=(?:\S+\s+)?{jobs}(?!(?:\s+{failed})?(?:\s+{whole})?\W*$))"
    return re.compile(
        rf"\W*(?P<reasons>{reasons}\b)(?P<before>.*)(?<!\w)(?:(?:{every}|{many})\s+|{some})(?:\S+\s+)?{jobs}(?!\w)",
        re.IGNORECASE,
    )


@cache
def _place_noun() -> re.Pattern[str]:
    return re.compile(rf"\b(?:{words_of('names', 'workstations')}|{words_of('names', 'streams')})\b", re.IGNORECASE)


@cache
def _whole_list() -> re.Pattern[str]:
    """A list that is limited to nothing: "lista todos os jobs do plano", "quais jobs existem?"."""
    words = (words_of("lists", key) for key in ("leads", "which", "show", "of", "all", "whole", "are"))
    leads, which, show, of, every, whole, are = words
    nouns = "|".join(f"(?P<{listed}>{words_of('lists', listed)})" for listed in Listed)
    asked = rf"(?:{leads}\s+)*(?:{which}(?:\s+{are})?|{show}(?:\s+{of})?)\s+(?:{leads}\s+)?(?:{every}\s+)?"
    return re.compile(
        rf"\W*(?:{asked}|{every}\s+)(?:{words_of('names', 'articles')}\s+)?(?:{nouns})"
        rf"(?:\s+{are}){{0,2}}(?:\s+{whole}){{0,2}}\W*",
        re.IGNORECASE,
    )


@cache
def _status_of(listed: Listed) -> re.Pattern[str]:
    status, of, nouns = (words_of("lists", key) for key in ("status", "of", listed))
    return re.compile(rf"(?<![\w-]){status}\s+(?:{of}\s+)?{_GAP}{nouns}(?![\w-])", re.IGNORECASE)


@cache
def _in_place(listed: Listed) -> re.Pattern[str]:
    """What is listed, and where it is."""
    words = (words_of("lists", key) for key in ("which", "show", "any", "are", "of", listed))
    which, show, some, are, of, nouns = words
    place = rf"(?:{of}|{words_of('names', 'prepositions')})"
    return re.compile(
        rf"\W*(?:(?:{which}|{show}|{some})\s+{_GAP})?{nouns}(?:\s+{are}){{0,3}}\s+{place}\s+(?P<rest>.+)",
        re.IGNORECASE,
    )


@cache
def _runs_in_place() -> re.Pattern[str]:
    things, are, runs = (words_of("lists", key) for key in ("things", "are", "runs"))
    place = words_of("names", "prepositions")
    return re.compile(rf"\W*{things}\s+(?:{are}\s+)?{runs}\s+{place}\s+(?P<rest>.+)", re.IGNORECASE)


@cache
def _who_waits() -> re.Pattern[str]:
    jobs, who, waits = (words_of("lists", key) for key in ("jobs", "who", "waits"))
    return re.compile(rf"(?<![\w-])(?:{jobs}|{who}){_BETWEEN}{waits}", re.IGNORECASE)


@cache
def _waits_for_a_resource() -> re.Pattern[str]:
    """ "Jobs esperando o recurso FITAS", "who waits for resource TAPES?"."""
    return re.compile(
        rf"{_who_waits().pattern}{_BETWEEN}{words_of('names', 'resources')}\s+[\"'`“«]?"
        r"(?P<resource>(?-i:[A-Z][A-Z0-9_$#@-]+|[A-Za-z]\w*[0-9_]\w*))",
        re.IGNORECASE,
    )


@cache
def _place_word() -> re.Pattern[str]:
    """Words that may stand beside the name of a place."""
    kinds = (words_of("names", key) for key in ("streams", "workstations", "folders", "articles", "conjunctions"))
    return re.compile(rf"(?:{'|'.join(kinds)}|{words_of('lists', 'of')})", re.IGNORECASE)


@cache
def _first(listed: Listed) -> re.Pattern[str]:
    """A message that begins with what is listed: "jobs bloqueados na pasta PIX", "todos os jobs em abend"."""
    every, article = words_of("lists", "all"), words_of("names", "articles")
    nouns = words_of("lists", listed)
    states = "|".join((*(words_of("lists", name) for name in STATES), *sorted(STATE_NAMES, key=len, reverse=True)))
    return re.compile(
        rf"\W*(?:{every}\s+(?:{article}\s+)?)?(?:(?:{states})\s+(?={nouns}\W*$))?{nouns}(?![\w-])", re.IGNORECASE
    )


@cache
def _without_a_noun() -> re.Pattern[str]:
    """What is asked for without a noun: "quantos falharam", "list everything that abended", "o que está em abend?"."""
    count, show, some, things = (words_of("lists", key) for key in ("count", "show", "any", "things"))
    written = "|".join(sorted(STATE_NAMES, key=len, reverse=True))
    states = f"(?:{'|'.join(words_of('lists', name) for name in STATES)}|{words_of('lists', 'in')}\\s+(?:{written}))"
    begin, end = r"(?<![\w-])", r"(?![\w-])"
    return re.compile(
        rf"{begin}{count}\s+{_GAP}{states}{end}|^\W*{show}\s+(?:\S+\s+){{0,3}}?{states}{end}"
        rf"|^\W*(?:{some}\s+)?{things}\s+(?:[^\W\d]+\s+){{0,2}}?{states}{end}|^\W*{some}\s+{states}{end}",
        re.IGNORECASE,
    )
