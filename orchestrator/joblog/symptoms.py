"""The catalogue of symptoms: what a line of a job log means, by the documentation of the program that writes it.

One data file for each family of programs (``data/*.json``). A symptom is recognised by a regular expression over the
text of the log; its named groups are the facts of its sentences. Each cites its source and carries an example, which
the tests match.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cache
from importlib.resources import files
from string import Formatter
from typing import Literal, Self

from pydantic import Field, model_validator

from orchestrator.codes.catalogue import Entry, Model, Platform
from orchestrator.i18n.languages import Language
from orchestrator.i18n.localized import Localized

_CLAUSE = re.compile(r"\[\[(.*?)\]\]")

FACT_CHARACTERS = 120
"""Longest fact that a sentence may take from a log."""
LONG_FACT = 50
"""Length from which on a fact may have been cut by its pattern."""


class Role(StrEnum):
    """What a symptom says about the failure."""

    CAUSE = "cause"
    """It names why the job failed."""
    CONSEQUENCE = "consequence"
    """It follows from a cause that stands elsewhere in the log: it counts only when no cause is found."""
    ROUTINE = "routine"
    """It looks like an error and is none: never quoted, and its numbers are no codes."""


class Certainty(StrEnum):
    """How surely a symptom of role ``cause`` explains the failure when it is the only one."""

    CERTAIN = "certain"
    """The message reports the very error that ends the program."""
    LIKELY = "likely"
    """It is usually the cause, but programs also go on after it."""
    HINT = "hint"
    """Several causes are possible, or the words are general."""


class Symptom(Entry):
    """One message, or one family of messages with one meaning.

    ``key`` is the message id, else a short name: ``IGD17101I``, ``curl 60``, ``no space left``. ``meaning`` is one or
    two sentences on what happened, with the facts as ``{name}``; ``[[ ... {name} ...]]`` is left out when a fact in it
    is missing.
    """

    hints: tuple[str, ...] = Field(min_length=1)
    """Literals in lower case, one of which every matching log contains: the pattern is not tried without."""
    needs: tuple[str, ...] = ()
    """Literals in lower case, one of which every matching log contains as well."""
    in_match: tuple[str, ...] = ()
    """Literals in lower case, one of which every match itself contains: the pattern is tried only where one stands."""
    gate: str = ""
    """Regular expression that symptoms share which differ in a code alone, searched once for all of them.

    Its one group, in lower case, is one of ``in_match`` on a line that holds one of ``hints``, or on the next line.
    """
    match: str
    """Regular expression, searched in the whole log, case-sensitive, ``^`` and ``$`` at each line."""
    role: Role = Role.CAUSE
    certainty: Certainty = Certainty.CERTAIN
    platforms: tuple[Platform, ...] = ()
    """Where the message occurs; empty for all."""
    return_codes: tuple[int, ...] = ()
    """The run's return codes for which this holds; empty for all."""
    source: str = Field(min_length=5)
    """The document that states it."""
    example: str
    """Log lines in the program's own format that match."""

    @property
    def explains_failure(self) -> bool:
        """Whether a job may have failed by it."""
        return self.role is not Role.ROUTINE and super().explains_failure

    @property
    def in_general(self) -> "SymptomText":
        """The meaning without the facts of a log."""
        return self.told({})

    def told(self, facts: Mapping[str, str]) -> "SymptomText":
        """The meaning with its facts."""
        return SymptomText(self.meaning, facts)

    @property
    def gate_pattern(self) -> re.Pattern[str] | None:
        """``gate``, compiled."""
        return _compiled(self.gate) if self.gate else None

    @property
    def pattern(self) -> re.Pattern[str]:
        """``match``, compiled."""
        return _compiled(self.match)


@dataclass(frozen=True, slots=True)
class SymptomText:
    """The meaning of a symptom with the facts of one log; a clause whose fact is missing is left out."""

    template: Localized
    facts: Mapping[str, str] = field(hash=False)

    def in_language(self, language: Language) -> str:
        """The sentences in ``language``."""

        def clause(match: re.Match[str]) -> str:
            names = [name for _, name, _, _ in Formatter().parse(match[1]) if name]
            return match[1] if all(self.facts.get(name) for name in names) else ""

        words = _CLAUSE.sub(clause, self.template.in_language(language))
        names = {name for _, name, _, _ in Formatter().parse(words) if name}
        return words.format_map({name: self.facts.get(name, "…") for name in names}).replace("….", "…")


class SymptomsFile(Model):
    """A data file: the symptoms of one family of programs."""

    schema_version: Literal[1]
    family: str
    symptoms: tuple[Symptom, ...]

    @model_validator(mode="after")
    def _keys_are_unique(self) -> Self:
        keys = [key for symptom in self.symptoms for key in (symptom.key, *symptom.aliases)]
        if repeated := {key for key in keys if keys.count(key) > 1}:
            raise ValueError(f"keys stand twice: {sorted(repeated)}")
        return self


@cache
def _compiled(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern, re.MULTILINE)


@cache
def symptoms() -> tuple[Symptom, ...]:
    """Every symptom of every family."""
    return tuple(symptom for file in families().values() for symptom in file.symptoms)


@cache
def families() -> Mapping[str, SymptomsFile]:
    """The data files, by name. Raises ValueError, with the name in its notes, for one that is wrong."""
    folder = files(__package__).joinpath("data")
    names = sorted(item.name for item in folder.iterdir() if item.name.endswith(".json") and "schema" not in item.name)
    return {name: _read(name, folder.joinpath(name).read_bytes()) for name in names}


def _read(name: str, text: bytes) -> SymptomsFile:
    try:
        return SymptomsFile.model_validate_json(text)
    except ValueError as error:
        error.add_note(f"in orchestrator/joblog/data/{name}")
        raise


PART = 3
"""Characters of a part of a text; no hint is shorter."""


def parts_of(text: str) -> Set[str]:
    """Every run of ``PART`` characters in a text: it holds a word only if it has all parts of the word."""
    return {text[at : at + PART] for at in range(len(text) - PART + 1)}


@cache
def _by_part() -> Mapping[str, Mapping[str, Sequence[int]]]:
    """The hints by the one part of each that fewest hints have, with the numbers of their symptoms."""
    numbers: defaultdict[str, list[int]] = defaultdict(list)
    for number, symptom in enumerate(symptoms()):
        for hint in symptom.hints:
            numbers[hint].append(number)
    common = Counter(part for hint in numbers for part in parts_of(hint))
    by_part: defaultdict[str, dict[str, list[int]]] = defaultdict(dict)
    for hint, of_hint in numbers.items():
        by_part[min(sorted(parts_of(hint)), key=common.__getitem__)][hint] = of_hint
    return by_part


def candidates(parts: Set[str], holds: Callable[[str], bool]) -> Iterator[Symptom]:
    """The symptoms of which a text holds a hint, by its parts, in order."""
    by_part = _by_part()
    hints = (item for part in by_part.keys() & parts for item in by_part[part].items())
    numbers = {number for hint, of_hint in hints if holds(hint) for number in of_hint}
    return (symptoms()[number] for number in sorted(numbers))


def facts_of(match: re.Match[str]) -> Mapping[str, str]:
    """The named groups that took part, on one line and of bounded length; an ellipsis marks where one was cut."""
    return {name: _fact(match, name) for name, value in match.groupdict().items() if value and value.strip()}


def _fact(match: re.Match[str], name: str) -> str:
    # As in a quotation of the line: nothing of it becomes code in an answer.
    value = " ".join(match[name].split()).replace("`", "'")
    if len(value) > FACT_CHARACTERS:
        return f"{value[:FACT_CHARACTERS]}…"
    # A pattern bounds what it takes: a long fact that ends inside a word is only its beginning.
    end = match.end(name)
    is_cut = len(value) >= LONG_FACT and match.string[end - 1 : end + 1].isalnum() and end < len(match.string)
    return f"{value}…" if is_cut else value
