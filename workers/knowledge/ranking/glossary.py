"""The glossary of the domain: for each concept, how texts of each language name it."""

import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

from workers.knowledge.ranking.analysis import by_language, stem_english, stem_portuguese, stems, stop_words, words


@dataclass(frozen=True, slots=True)
class Concept:
    """A concept of the domain and the phrases that name it."""

    name: str
    phrases: tuple[tuple[frozenset[str], ...], ...]
    """Each phrase as a sequence of words, each word as the set of its stems."""
    searched: tuple[tuple[str, ...], ...]
    """Each phrase as the stems under which it is indexed, stop words left out."""


class Glossary:
    """Finds the concepts of a text."""

    def __init__(self, concepts: Sequence[Concept]) -> None:
        self.concepts = tuple(concepts)
        self._by_first: dict[str, list[tuple[tuple[frozenset[str], ...], Concept]]] = {}
        for concept in self.concepts:
            for phrase in concept.phrases:
                for stem in phrase[0]:
                    self._by_first.setdefault(stem, []).append((phrase, concept))

    def find(self, text_words: Sequence[str]) -> list[tuple[int, int, Concept]]:
        """``(start, length, concept)`` of each phrase in the folded words of a text, in order."""
        forms = [_forms(word) for word in text_words]
        matches: dict[tuple[int, int, str], Concept] = {}
        for start, form in enumerate(forms):
            for stem in form:
                for phrase, concept in self._by_first.get(stem, ()):
                    window = forms[start : start + len(phrase)]
                    if len(window) == len(phrase) and all(a & b for a, b in zip(window, phrase, strict=True)):
                        matches[start, len(phrase), concept.name] = concept
        return [(start, length, concept) for (start, length, _), concept in matches.items()]


def _forms(word: str) -> frozenset[str]:
    """The stems by which a word is found in a phrase; "como", a stop word, is no form of "comando"."""
    return frozenset({word} if word in stop_words() else stems(word))


def parse_glossary(text: str) -> Glossary:
    """Read a glossary: one TOML table per concept, with lists of phrases by language (``pt``).

    Raises ValueError naming the concept when a table holds anything else.
    """
    concepts, languages, ignored = [], by_language("stop_words").keys(), stop_words()
    for name, table in tomllib.loads(text).items():
        if not isinstance(table, dict) or not table or not table.keys() <= languages:
            raise ValueError(f"concept {name!r} must be a table of the languages {', '.join(languages)}")
        phrases: list[tuple[frozenset[str], ...]] = []
        searched: list[tuple[str, ...]] = []
        for language, entries in table.items():
            stem = stem_english if language == "en" else stem_portuguese
            for entry in entries:
                entry_words = words(entry)
                if not entry_words:
                    raise ValueError(f"concept {name!r} has an empty phrase under {language}")
                phrases.append(tuple(map(_forms, entry_words)))
                searched.append(tuple(stem(word) for word in entry_words if word not in ignored))
        concepts.append(Concept(name, tuple(dict.fromkeys(phrases)), tuple(filter(None, dict.fromkeys(searched)))))
    return Glossary(concepts)


@cache
def load_glossary() -> Glossary:
    """The glossary that ships with the package."""
    return parse_glossary(files(__package__).joinpath("glossary.toml").read_text(encoding="utf-8"))
