"""English texts and what they are in the other languages: the words of ``--help`` and of errors.

The English text stands where it is used (in a command's docstring, an option's ``help``, an exception) and is the key,
as in gettext; so a text that is changed loses its translation, and a test says so. JSON always carries the English.
Installed packages bring their own words through the entry point group ``resync_troubleshoot.words``.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from importlib.metadata import entry_points
from string import Formatter

from orchestrator.cli.click_words import CLICK_WORDS
from orchestrator.cli.error_words import ERROR_WORDS
from orchestrator.cli.help_words import HELP_WORDS
from orchestrator.models import Language

WORDS_GROUP = "resync_troubleshoot.words"

Words = Mapping[str, tuple[str, str]]
"""English text: its Portuguese and its Spanish. ``{field}`` stands for what is filled in."""

_COLUMN = {Language.PT_BR: 0, Language.ES: 1}
_NESTED = "message"
"""A field of this name holds a text that is translated in its turn."""
_DEEPEST = 8
"""Texts of ours within each other; colons beyond that are the user's own."""


def all_words() -> dict[str, tuple[str, str]]:
    """The client's words, click's, and those of the installed packages."""
    words = {**CLICK_WORDS, **HELP_WORDS, **ERROR_WORDS}
    for point in entry_points(group=WORDS_GROUP):
        try:
            words |= point.load()
        except ImportError:  # a package that is half installed: its texts stay English
            continue
    return words


@dataclass(frozen=True, slots=True)
class Catalogue:
    """The texts in one language."""

    language: Language = Language.EN
    words: Words = field(default_factory=dict, repr=False)

    @classmethod
    def of(cls, language: Language, words: Words | None = None) -> Catalogue:
        """The catalogue of a language, with all words or ``words`` alone; English needs none."""
        if language not in _COLUMN:
            return cls(language)
        return cls(language, all_words() if words is None else words)

    def __call__(self, text: str, /, **fields: object) -> str:
        """The text in this language, with ``fields`` filled in; one that is not in the catalogue stays English."""
        found = self.words.get(text)
        return (text if found is None else found[_COLUMN[self.language]]).format(**fields)

    def paragraphs(self, text: str) -> str:
        """A text of several paragraphs, each translated by itself."""
        parts = (" ".join(part.split()) for part in re.split(r"\n\s*\n", text.strip()))
        return "\n\n".join(self.translate(part, exactly=True) for part in parts)

    def translate(self, text: str, *, exactly: bool = False) -> str:
        """A text whose fields are filled in already, in this language; ``exactly``: one without fields alone."""
        return self._translate(text, 0 if exactly else _DEEPEST)

    def _translate(self, text: str, depth: int) -> str:
        if not self.words:
            return text
        found = self.words.get(text)
        if found is not None:
            return found[_COLUMN[self.language]]
        return text if depth == 0 else self._translate_filled(text, depth)

    def _translate_filled(self, text: str, depth: int) -> str:
        otherwise = text
        for known in _by_precision(self.words):
            match = re.fullmatch(_pattern(known), text, re.DOTALL)
            if match is None:
                continue
            fields = match.groupdict()
            nested = fields.get(_NESTED)
            if nested is not None:
                fields[_NESTED] = self._translate(nested, depth - 1)
            told = self.words[known][_COLUMN[self.language]].format(**fields)
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


def _pattern(text: str) -> str:
    """A regular expression for the text with anything filled in."""
    parts = []
    for literal, name, *_ in Formatter().parse(text):
        parts.append(re.escape(literal))
        if name is not None:
            parts.append(f"(?P<{name}>.+?)")
    return "".join(parts)
