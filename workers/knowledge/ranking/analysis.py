"""Text to index tokens: accents folded, stop words removed, light stems of Portuguese and English.

The stems are deliberately light: they unite the forms of one word (``falhou``, ``falhas``, ``falhando``) and leave
tokens with a digit alone, so that codes and identifiers stay whole.
"""

import re
import unicodedata
from functools import lru_cache

_WORD = re.compile(r"[a-z0-9]+")

_PT = """
a ao aos aquela aquele aqui as ate com como da das de dela dele deles depois do dos e ela elas ele eles em entre era
essa esse esta estamos estao estava este estou eu faz fazer foi for foram ha isso isto ja la lhe mais mas me mesmo
meu minha muito na nas nao nem no nos nossa nosso num numa o os ou para pela pelas pelo pelos pode por porque pra
qual quais quando que quem sao se sem ser seu seus sido so sobre sua suas tambem te tem tenho ter teve um uma umas
uns vai voce hoje ontem agora sempre ainda devo deve preciso favor ajuda bom dia ola acontece aconteceu significa
quero saber
"""
_EN = """
a about after all also an and any are as at be because been but by can could did do does done for from get gets got
had has have how i if in into is it its just me my no not of on or our out please should so some than that the their
them then there these they this to up us was we were what when where which while who why will with would you your
today yesterday now still always need mean means happens happened
"""
_ES = """
al algo ante con cual cuando de del desde donde el ella en es esta este esto hay la las lo los mas mi muy ni para
pero por que se ser si sin sobre su sus un una unos y ya fue son hace hacer porque como
"""
STOP_WORDS_PT = frozenset(_PT.split())
STOP_WORDS_EN = frozenset(_EN.split())
STOP_WORDS_ES = frozenset(_ES.split())
STOP_WORDS = STOP_WORDS_PT | STOP_WORDS_EN | STOP_WORDS_ES

# A word of two languages (no, do, as) does not identify the language.
_DISTINCTIVE = {
    "en": STOP_WORDS_EN - STOP_WORDS_PT - STOP_WORDS_ES,
    "pt": STOP_WORDS_PT - STOP_WORDS_EN - STOP_WORDS_ES,
    "es": STOP_WORDS_ES - STOP_WORDS_EN - STOP_WORDS_PT,
}

_PT_PLURALS = (("oes", "ao"), ("aes", "ao"), ("ais", "al"), ("eis", "el"), ("ns", "m"), ("s", ""))
_PT_SUFFIXES = (
    "adas", "ados", "idas", "idos", "ando", "endo", "indo", "aram", "eram", "iram", "avam", "ada", "ado", "ida", "ido",
    "ava", "ar", "er", "ir", "ou", "eu", "iu", "am", "em", "a", "e", "o",
)  # fmt: skip


def fold(text: str) -> str:
    """Lower case without accents."""
    decomposed = unicodedata.normalize("NFKD", text.casefold())
    return "".join(character for character in decomposed if not unicodedata.combining(character))


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
    """The tokens under which ``text`` is indexed, in order; ``language`` is ``pt``, ``es`` or ``en``."""
    stem = stem_english if language == "en" else stem_portuguese
    return [
        word if any(character.isdigit() for character in word) else stem(word)
        for word in words(text)
        if word not in STOP_WORDS
    ]


def guess_language(text: str, default: str = "en") -> str:
    """``pt``, ``es`` or ``en``, by stop words and letters of the first 4,000 characters; ``default`` on a tie."""
    start = text[:4_000].casefold()
    start_words = words(start)
    counts = {
        language: sum(word in distinctive for word in start_words) for language, distinctive in _DISTINCTIVE.items()
    }
    counts["pt"] += 2 * sum(start.count(letter) for letter in "ãõç")
    counts["es"] += 2 * sum(start.count(letter) for letter in "ñ¿¡")
    best = max(counts.values())
    leaders = [language for language, count in counts.items() if count == best]
    return leaders[0] if len(leaders) == 1 else default
