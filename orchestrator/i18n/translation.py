"""English texts whose fields are filled in already, in another language.

The English stands where it is said and is the key, as in gettext; ``{field}`` in a key stands for what was filled in.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from functools import lru_cache
from string import Formatter

from orchestrator.i18n.languages import Language

Words = Mapping[str, tuple[str, str]]
"""English text: its Portuguese and its Spanish. ``{field}`` stands for what is filled in."""

COLUMN = {Language.PT_BR: 0, Language.ES: 1}
"""Where a language stands in ``Words``; English needs no words."""
_NESTED = "message"
"""A field of this name holds a text that is translated in its turn."""


_DEEPEST = 8
"""Texts of ours within each other; colons beyond that are the user's own."""


def translate(text: str, words: Words, language: Language, *, exactly: bool = False) -> str:
    """The text in ``language``, or as it is where ``words`` lack it; ``exactly``: a text without fields alone."""
    return _translate(text, words, COLUMN[language], 0 if exactly else _DEEPEST) if language in COLUMN else text


def _translate(text: str, words: Words, column: int, depth: int) -> str:
    found = words.get(text)
    if found is not None:
        return found[column]
    return text if depth == 0 else _translate_filled(text, words, column, depth)


def _translate_filled(text: str, words: Words, column: int, depth: int) -> str:
    otherwise = text
    for known in _by_precision(words):
        match = _pattern(known).fullmatch(text)
        if match is None:
            continue
        fields = match.groupdict()
        nested = fields.get(_NESTED)
        if nested is not None:
            fields[_NESTED] = _translate(nested, words, column, depth - 1)
        told = words[known][column].format(**fields)
        if nested is None or fields[_NESTED] != nested:
            return told
        otherwise = told if otherwise == text else otherwise
    return otherwise


def _by_precision(words: Iterable[str]) -> list[str]:
    """The texts with fields, in the order they are tried: those with a beginning of their own, then those around
    another text; of these, those that say the most themselves.
    """

    def key(text: str) -> tuple[bool, bool, int]:
        own = sum(len(literal) for literal, *_ in Formatter().parse(text))
        return text.startswith("{"), f"{{{_NESTED}}}" not in text, -own

    return sorted((text for text in words if "{" in text), key=key)


@lru_cache(maxsize=1024)
def _pattern(text: str) -> re.Pattern[str]:
    """A regular expression for the text with anything filled in."""
    parts = []
    for literal, name, *_ in Formatter().parse(text):
        parts.append(re.escape(literal))
        if name is not None:
            parts.append(f"(?P<{name}>.+?)")
    return re.compile("".join(parts), re.DOTALL)
