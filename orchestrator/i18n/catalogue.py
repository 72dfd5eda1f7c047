"""English texts and what they are in the other languages: the words of ``--help`` and of errors.

The English text stands where it is used (in a command's docstring, an option's ``help``, an exception) and is the key,
as in gettext; so a text that is changed loses its translation, and a test says so. JSON always carries the English.
Installed packages bring their own words through the entry point group ``resync_troubleshoot.words``.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from importlib.metadata import entry_points

from orchestrator.i18n.languages import Language
from orchestrator.i18n.translation import COLUMN, Words, translate

WORDS_GROUP = "resync_troubleshoot.words"


def all_words() -> dict[str, tuple[str, str]]:
    """The words of the installed packages."""
    words = {"{name}: {message}": ("{name}: {message}", "{name}: {message}")}
    for point in entry_points(group=WORDS_GROUP):
        try:
            loaded = point.load()
            words |= loaded if isinstance(loaded, dict) else {}  # else a package with catalogues of its own
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
        if language not in COLUMN:
            return cls(language)
        return cls(language, all_words() if words is None else words)

    def __call__(self, text: str, /, **fields: object) -> str:
        """The text in this language, with ``fields`` filled in; one that is not in the catalogue stays English."""
        found = self.words.get(text)
        return (text if found is None else found[COLUMN[self.language]]).format(**fields)

    def paragraphs(self, text: str) -> str:
        """A text of several paragraphs, each translated by itself."""
        parts = (" ".join(part.split()) for part in re.split(r"\n\s*\n", text.strip()))
        return "\n\n".join(self.translate(part, exactly=True) for part in parts)

    def translate(self, text: str, *, exactly: bool = False) -> str:
        """A text whose fields are filled in already, in this language; ``exactly``: one without fields alone."""
        return translate(text, self.words, self.language, exactly=exactly)
