"""Builds a query from a question: concepts with their synonyms, codes, names and states."""

import re
from collections.abc import Container, Iterable
from dataclasses import dataclass

from orchestrator.routing.listing import words_for_a_state
from workers.knowledge.ranking.analysis import guess_language, stems, stop_words, words
from workers.knowledge.ranking.codes import find_code_tokens, find_names, find_states, name_token, return_code_token
from workers.knowledge.ranking.glossary import Glossary, load_glossary

MAX_CONCEPTS = 48
"""Most concepts of a query: a pasted log would otherwise become a query of a thousand terms."""
MAX_TEXT = 2_000
"""Characters of the question that are embedded."""


@dataclass(frozen=True, slots=True)
class QueryConcept:
    """A concept of the question: its words and their synonyms."""

    own: tuple[str, ...]
    others: tuple[tuple[str, ...], ...] = ()
    """Phrases of the glossary, each as its stems."""

    @property
    def is_domain(self) -> bool:
        """Whether the glossary has it."""
        return bool(self.others)

    @property
    def single_stems(self) -> tuple[str, ...]:
        """Stems that name the concept by themselves."""
        return (*self.own, *(phrase[0] for phrase in self.others if len(phrase) == 1))

    def is_in(self, tokens: Container[str]) -> bool:
        """Whether a text with these tokens names the concept."""
        return any(stem in tokens for stem in self.own) or any(
            all(stem in tokens for stem in phrase) for phrase in self.others
        )


@dataclass(frozen=True, slots=True)
class KnowledgeQuery:
    """A question, prepared for any knowledge base."""

    text: str
    """The question itself, for the embedding and for display."""
    concepts: tuple[QueryConcept, ...] = ()
    codes: tuple[str, ...] = ()
    """Code tokens, lower case: ``s0c7``, ``awsbht001e``, ``rc137``."""
    names: tuple[str, ...] = ()
    """Identifiers: jobs, workstations, substates."""
    states: tuple[str, ...] = ()
    """Job states as tokens; they count for pages headed by them, not for those that mention them."""
    language: str = ""
    """The language by its code, ``pt``; pages in it are favoured. Empty when unknown."""

    @property
    def name_tokens(self) -> tuple[str, ...]:
        """The names as index tokens."""
        return tuple(dict.fromkeys(name_token(name) for name in self.names))

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to search for."""
        return not (self.concepts or self.codes or self.names)


def _concepts(text_words: list[str], glossary: Glossary) -> list[QueryConcept]:
    """Concepts in the order of the words; a word outside every phrase of the glossary is a concept of its own."""
    others: dict[int, list[tuple[str, ...]]] = {}
    starts: dict[int, int] = {}
    for start, length, concept in glossary.find(text_words):
        for position in range(start, start + length):
            others.setdefault(position, []).extend(concept.searched)
            starts[position] = min(start, starts.get(position, start))
    grouped: dict[int, tuple[list[str], list[tuple[str, ...]]]] = {}
    ignored = stop_words()
    for position, word in enumerate(text_words):
        in_glossary = position in others
        if (word in ignored or len(word) < 2) and not in_glossary:
            continue
        own, more = grouped.setdefault(starts.get(position, position), ([], []))
        if word not in ignored:
            own += stems(word)
        more += others.get(position, ())
    concepts: dict[object, QueryConcept] = {}
    for own, more in grouped.values():
        own_stems = tuple(dict.fromkeys(own))
        rest = tuple(phrase for phrase in dict.fromkeys(more) if phrase[0] not in own_stems or len(phrase) > 1)
        if own_stems or rest:
            concepts.setdefault(own_stems or rest, QueryConcept(own_stems, rest))
    return list(concepts.values())[:MAX_CONCEPTS]


def build_query(
    text: str,
    *,
    codes: Iterable[str] = (),
    return_codes: Iterable[int] = (),
    names: Iterable[str] = (),
    language: str | None = None,
    glossary: Glossary | None = None,
) -> KnowledgeQuery:
    """The query for a question and the codes, names and language recognised in it.

    ``names`` are identifiers such as jobs: pages that name them rank first, and they do not count as words.
    """
    # Some databases end a text at NUL, and a lone surrogate cannot be encoded as UTF-8.
    clean = text.replace("\x00", " ").encode("utf-8", "replace").decode()
    recognised = (*(name_token(code) for code in codes), *(return_code_token(code) for code in return_codes))
    code_tokens = tuple(dict.fromkeys(token for token in (*recognised, *find_code_tokens(clean)) if token))
    # Each part of WS#STREAM.JOB is searched by itself.
    parts = (part for name in names for part in re.split(r"[#./]", name))
    identifiers = (
        name for name in (*parts, *find_names(clean)) if len(name) > 2 and name_token(name) not in code_tokens
    )
    all_names = tuple({name_token(name): name for name in identifiers}.values())
    used = {*code_tokens, *(word for name in all_names for word in (name_token(name), *_whole_words(name)))}
    text_words = [word for word in words(clean) if word not in used and not word.isdigit()]
    return KnowledgeQuery(
        text=" ".join(clean.split())[:MAX_TEXT],
        concepts=tuple(_concepts(text_words, glossary or load_glossary())),
        codes=code_tokens,
        names=all_names,
        # In a question a state may stand in small letters: "um job em hold".
        states=find_states(" ".join((clean, *(word.upper() for word in words_for_a_state(clean))))),
        language=(language or guess_language(clean, "")).split("-")[0],
    )


def _whole_words(name: str) -> tuple[str, ...]:
    """The words of a name that have no meaning by themselves: those with a digit."""
    return tuple(word for word in words(name) if any(character.isdigit() for character in word))
