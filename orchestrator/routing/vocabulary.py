"""The words of a question as the router's model reads them: plain, without names, accents and abbreviations.

``data/intent_words.json`` holds the abbreviations of chats and the families: words of Portuguese, English and Spanish
that mean the same to the router (``falhou``, ``crashed``, ``se cayó``). An entry that ends in ``*`` is a stem.
"""

import json
import re
import unicodedata
from dataclasses import dataclass
from functools import lru_cache
from importlib import resources

from orchestrator.codes.states import is_state
from orchestrator.i18n.languages import Language, language_facts
from orchestrator.models import Entities

HEAD_WORDS, TAIL_WORDS = 120, 40
"""Of a long message the beginning and the end count: the question stands around what was pasted."""

NAMED = {
    "jobs": "<job>",
    "job_patterns": "<job>",
    "excluded": "<job>",
    "job_streams": "<stream>",
    "workstations": "<workstation>",
    "folders": "<folder>",
    "message_ids": "<message>",
    "times": "<time>",
}
"""Placeholder of each kind of name: the model must not learn the names of its examples."""

OPENING_WORDS = 3
"""Words at the beginning of a question among which one for a time makes it a question for the time."""

STATE = "<state>"
MARKS = frozenset("?!")

_CHUNK = re.compile(r"[?!]|[^\s?!,;()\[\]{}\"“”«»¿¡]+")
_WORD = re.compile(r"[a-z]+(?:'[a-z]+)?")
_PLAIN_WORD = re.compile(r"[a-z0-9#$@_+/'-]+")
_REPEATED = re.compile(r"([a-z])\1{2,}")
# An abend code as written in a chat, its reason code included.
_CODE = re.compile(r"(?i)(?:abend)?[su]?(?:[0-9a-f]{3}|\d{4}|oc[0-9a-f])(?:-[0-9a-f]{1,4})?")
_MAX_WORD = 24


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """Abbreviations and word families, as loaded from the data file."""

    abbreviations: dict[str, tuple[str, ...]]
    exact: dict[str, tuple[str, ...]]
    stems: dict[str, tuple[str, ...]]

    def families(self, word: str) -> tuple[str, ...]:
        """The families that ``word`` belongs to, sorted."""
        families = {*self.exact.get(word, ())}
        for end in range(1, len(word) + 1):
            families.update(self.stems.get(word[:end], ()))
        return tuple(sorted(families))


@lru_cache(maxsize=1)
def vocabulary() -> Vocabulary:
    """The shipped abbreviations and families."""
    raw = json.loads(resources.files(__package__).joinpath("data/intent_words.json").read_text(encoding="utf-8"))
    exact: dict[str, list[str]] = {}
    stems: dict[str, list[str]] = {}
    for family, words in raw["families"].items():
        for word in words.split():
            (stems if word.endswith("*") else exact).setdefault(word.rstrip("*"), []).append(family)
    return Vocabulary(
        abbreviations={short: tuple(long.split()) for short, long in raw["abbreviations"].items()},
        exact={word: tuple(families) for word, families in exact.items()},
        stems={stem: tuple(families) for stem, families in stems.items()},
    )


def plain(text: str) -> str:
    """Lower case without accents; a letter that is drawn out (``bom diaaa``) stands twice at most."""
    decomposed = unicodedata.normalize("NFKD", text.lower())
    return _REPEATED.sub(r"\1\1", "".join(char for char in decomposed if not unicodedata.combining(char)))


def plain_text(text: str) -> str:
    """The plain words of ``text`` in order, without punctuation."""
    return " ".join(_PLAIN_WORD.findall(plain(text)))


@lru_cache(maxsize=1)
def _stop_words() -> frozenset[str]:
    facts = [language_facts(language) for language in Language]
    kinds = ("stop_words", "function_words")
    return frozenset(plain(word) for each in facts for kind in kinds for word in each.get(kind, ()))


@lru_cache(maxsize=1)
def _learnt_words() -> frozenset[str]:
    """The words of the examples that the router learnt from."""
    model = json.loads(resources.files(__package__).joinpath("data/intent_model.json").read_text(encoding="utf-8"))
    return frozenset(name[2:] for name in model["weights"] if name.startswith("w:"))


def is_stop_word(word: str) -> bool:
    """Whether ``word``, plain, is one that no sentence is about, in any language."""
    return word in _stop_words()


def is_known(word: str) -> bool:
    """Whether ``word``, plain, is one of sentences rather than a name."""
    known = vocabulary()
    return is_stop_word(word) or word in _learnt_words() or word in known.abbreviations or bool(known.families(word))


def words_of(message: str, entities: Entities) -> list[str]:
    """The words in order; names, codes and numbers by their kind, ``?`` and ``!`` as words of their own."""
    names = {name: kind for field, kind in NAMED.items() for name in getattr(entities, field)}
    codes = set(entities.abend_codes)
    for pattern in entities.job_patterns:
        # Of a pattern with "?" one word, and no mark of a question; of "names that begin with FECH" the name.
        one = pattern.replace("?", "-")
        message = message.replace(pattern, one)
        names |= dict.fromkeys((one, pattern.rstrip("*@")), "<job>")
    chunks = _CHUNK.findall(message)
    if len(chunks) > HEAD_WORDS + TAIL_WORDS:
        chunks = [*chunks[:HEAD_WORDS], *chunks[-TAIL_WORDS:]]
    if message.upper() != message:
        # In capitals among small letters these are states; where everything is shouted they may be words.
        chunks = [STATE if is_state(chunk.strip(".:")) else chunk for chunk in chunks]
    words = [word for chunk in chunks for word in _words(chunk, names, has_codes=bool(codes))]
    return _joined(words)


def _joined(words: list[str]) -> list[str]:
    """``por que`` as one word, as ``porque``, ``pq`` and ``why`` are."""
    joined: list[str] = []
    for word in words:
        if word == "que" and joined[-1:] == ["por"]:
            joined[-1] = "porque"
        else:
            joined.append(word)
    return joined


def _words(chunk: str, names: dict[str, str], *, has_codes: bool) -> list[str]:
    if chunk in MARKS or chunk == STATE:
        return [chunk]
    bare = chunk.strip(".:'`=-/")
    if kind := names.get(bare) or names.get(chunk):
        return [kind]
    first, _, last = bare.partition("-")
    if (last.isdecimal() or last in names) and (kind := names.get(first)):  # the range FECH001-020
        return [kind]
    if has_codes and any(char.isdigit() for char in bare) and _CODE.fullmatch(bare):
        return ["<abend>"]
    if "/" in bare and bare.count("/") > 1:
        return ["<path>"]
    words: list[str] = []
    for part in re.split(r"[:=/.|>+]|--", chunk):
        inner = part.strip("'`-")
        if not inner:
            continue
        if kind := names.get(inner):
            words.append(kind)
        elif any(char.isdigit() for char in inner):
            # RC8 and rc=8 are the same two words.
            letters = inner.rstrip("0123456789")
            words += _spelled_out(plain(letters)) if letters.isalpha() and letters != inner else []
            words.append("<number>" if inner.lstrip("+-").isdigit() or letters.isalpha() else "<other>")
        elif "_" in inner:
            words.append("<other>")
        else:
            words += _spelled_out(plain(inner.replace("’", "'")))
    return words


def _spelled_out(text: str) -> list[str]:
    known = vocabulary().abbreviations
    words = (word.replace("'", "")[:_MAX_WORD] for word in _WORD.findall(text))
    return [long for word in words for long in known.get(word, (word,))]


def asks_when(message: str) -> bool:
    """Whether a question begins with a word for a time: "a que horas ...?", "quando ...?", "when ...?"."""
    first = plain(message).split()[:OPENING_WORDS]
    return any("when" in vocabulary().families(word.strip("¿¡?!.,")) for word in first)
