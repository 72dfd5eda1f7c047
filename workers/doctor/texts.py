"""The words of ``doctor`` in the terminal's language."""

from __future__ import annotations

from dataclasses import dataclass

from orchestrator.i18n.languages import Language
from workers.doctor.texts_fix import FIXES
from workers.doctor.texts_fix_outside import FIXES_OUTSIDE
from workers.doctor.texts_found import FOUND
from workers.doctor.texts_outside import FOUND_OUTSIDE

_COLUMN = {Language.EN: 0, Language.PT_BR: 1, Language.ES: 2}
TEXTS = FOUND | FOUND_OUTSIDE | FIXES | FIXES_OUTSIDE
"""Every text in English, Portuguese and Spanish, in that order."""


@dataclass(frozen=True, slots=True)
class Texts:
    """The texts in one language."""

    language: Language = Language.EN

    def __call__(self, key: str, /, **fields: object) -> str:
        """The text of ``key`` with ``fields`` filled in. Raises KeyError for a key that does not exist."""
        return TEXTS[key][_COLUMN[self.language]].format(**fields)
