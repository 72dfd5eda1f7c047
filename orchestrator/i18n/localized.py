"""Texts of data files: one JSON object of language tag to text, whatever file they stand in."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from string import Formatter
from typing import Annotated, Self

from pydantic import ConfigDict, RootModel, StringConstraints, model_validator

from orchestrator.i18n.languages import TAG, Language, translations
from orchestrator.i18n.message import fill

_Tag = Annotated[str, StringConstraints(pattern=f"^{TAG}$")]
_Words = Annotated[str, StringConstraints(min_length=3)]


class Localized(RootModel[dict[_Tag, _Words]]):
    """A text by language tag, ``{"en": ..., "pt-BR": ...}``; English is always among them.

    A language that the file lacks is looked up in that language's catalogues by the English text, so that a new
    language folder translates data as well; failing that, the text is English.
    """

    model_config = ConfigDict(frozen=True, json_schema_extra={"required": [Language.EN.value]})

    @model_validator(mode="after")
    def _has_english(self) -> Self:
        if Language.EN.value not in self.root:
            raise ValueError("a text needs its English: it is what a language without the text reads")
        return self

    @property
    def english(self) -> str:
        """The English text, which is the key of the catalogues."""
        return self.root[Language.EN.value]

    def in_language(self, language: Language) -> str:
        """The text in ``language``, else in English."""
        return self.root.get(language.value) or translations(language).gettext(self.english)

    def with_facts(self, facts: Mapping[str, object]) -> "Filled":
        """The text as a template, filled with those of ``facts`` that it names."""
        names = {name for _, name, _, _ in Formatter().parse(self.english) if name}
        return Filled(self, {name: facts[name] for name in names})

    def __hash__(self) -> int:
        return hash(self.english)


@dataclass(frozen=True, slots=True)
class Filled:
    """A template of a data file with the facts of its ``{fields}``."""

    template: Localized
    facts: Mapping[str, object] = field(hash=False)

    def in_language(self, language: Language) -> str:
        """The sentence in ``language``."""
        return fill(self.template.in_language(language), self.facts, language, self.template.english)
