"""Text to index tokens: accents folded, stop words removed, light stems of Portuguese and English.

The stems are deliberately light: they unite the forms of one word (``falhou``, ``falhas``, ``falhando``) and leave
tokens with a digit alone, so that codes and identifiers stay whole.
"""

import re
import unicodedata
from collections import Counter
from functools import cache, lru_cache

from orchestrator.i18n.languages import Language, language_facts

_WORD = re.compile(r"[a-z0-9]+")

_PT_PLURALS = (("oes", "ao"), ("aes", "ao"), ("ais", "al"), ("eis", "el"), ("ns", "m"), ("s", ""))
_PT_SUFFIXES = (
    "adas", "ados", "idas", "idos", "ando", "endo", "indo", "aram", "eram", "iram", "avam", "ada", "ado", "ida", "ido",
    "ava", "ar", "er", "ir", "ou", "eu", "iu", "am", "em", "a", "e", "o",
)  # fmt: skip


def fold(text: str) -> str:
    """Lower case without accents."""
    decomposed = unicodedata.normalize("NFKD", text.casefold())
    return "".join(character for character in decomposed if not unicodedata.combining(character))


@cache
def by_language(key: str) -> dict[str, tuple[str, ...]]:
    """The entries under ``key`` in each ``language.toml``, by language: ``pt`` for pt-BR."""
    entries: dict[str, tuple[str, ...]] = {}
    for language in Language:
        code = language.value.partition("-")[0]
        entries[code] = (*entries.get(code, ()), *language_facts(language).get(key, ()))
    return entries


@cache
def folded_entries(key: str) -> frozenset[str]:
    """The entries under ``key`` of every language, folded."""
    return frozenset(fold(entry) for entries in by_language(key).values() for entry in entries)


def stop_words() -> frozenset[str]:
    """The folded stop words of every language."""
    return folded_entries("stop_words")


@cache
def _distinctive_words() -> dict[str, frozenset[str]]:
    """The stop words that only one language has, by language: a word of two (no, do, as) does not identify it."""
    own = {language: frozenset(map(fold, entries)) for language, entries in by_language("stop_words").items()}
    counts = Counter(word for entries in own.values() for word in entries)
    return {language: frozenset(word for word in entries if counts[word] == 1) for language, entries in own.items()}


def words(text: str) -> list[str]:
    """The folded words of ``text``, stop words included."""
    return _WORD.findall(fold(text))


@lru_cache(maxsize=50_000)
def stem_portuguese(word: str) -> str:
    """A light stem of a folded Portuguese word; at least three letters stay."""
    for ending, replacement in _PT_PLURALS:
        if word.endswith(ending) and len(word) - len(ending) >= 3 and not word.endswith("ss"):
            word = word.removesuffix(ending) + replacement
            break
    for ending in _PT_SUFFIXES:
        if word.endswith(ending) and len(word) - len(ending) >= 3:
            return word.removesuffix(ending)
    return word


@lru_cache(maxsize=50_000)
def stem_english(word: str) -> str:
    """A light stem of an English word, after the first steps of Porter's algorithm."""
    if word.endswith("ies") and len(word) > 4:
        word = word[:-3] + "y"
    elif word.endswith("s") and not word.endswith(("ss", "us", "is")) and len(word) > 3:
        word = word[:-1]
    for ending in ("ing", "ed"):
        base = word.removesuffix(ending)
        if base != word and len(base) >= 3 and re.search(r"[aeiouy]", base):
            doubled = len(base) > 3 and base[-1] == base[-2] and base[-1] not in "lsz"
            return base[:-1] if doubled else base.removesuffix("e")
    return word.removesuffix("e") if len(word) > 4 else word


def stems(word: str) -> tuple[str, ...]:
    """The possible stems of a folded word of unknown language; a word with a digit stays whole."""
    if any(character.isdigit() for character in word):
        return (word,)
    return tuple(dict.fromkeys((stem_portuguese(word), stem_english(word))))


def index_tokens(text: str, language: str) -> list[str]:
    """The tokens under which ``text`` is indexed, in order; ``language`` is ``pt``, ``es``, ``en`` or another."""
    stem, ignored = stem_english if language == "en" else stem_portuguese, stop_words()
    return [
        word if any(character.isdigit() for character in word) else stem(word)
        for word in words(text)
        if word not in ignored
    ]


def guess_language(text: str, default: str = "en") -> str:
    """The language (``pt``) by stop words and letters of the first 4,000 characters; ``default`` on a tie."""
    start = text[:4_000].casefold()
    start_words = words(start)
    counts = {
        language: sum(word in distinctive for word in start_words)
        + 2 * sum(start.count(letter) for letter in by_language("letters")[language])
        for language, distinctive in _distinctive_words().items()
    }
    best = max(counts.values())
    leaders = [language for language, count in counts.items() if count == best]
    return leaders[0] if len(leaders) == 1 else default
