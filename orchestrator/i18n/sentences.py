"""Sentences of the rules and of the rendered answer, in Portuguese, English and Spanish (``data/sentences.json``)."""

from __future__ import annotations

import json
from functools import cache
from importlib.resources import files
from typing import Literal

from pydantic import BaseModel, ConfigDict

from orchestrator.i18n.languages import Language


class Sentence(BaseModel):
    """A template in the three languages; its ``{facts}`` are the same in each."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    pt: str
    en: str
    es: str


class SentencesFile(BaseModel):
    """The data file."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    schema_version: Literal[1]
    sentences: dict[str, Sentence]


@cache
def sentences() -> dict[str, Sentence]:
    """Every template by key."""
    text = (files("orchestrator.i18n") / "data" / "sentences.json").read_text(encoding="utf-8")
    return SentencesFile.model_validate(json.loads(text)).sentences


def say(language: Language, key: str, **facts: object) -> str:
    """The sentence ``key`` in ``language`` with its facts filled in. Raises KeyError for an unknown key or fact."""
    sentence = sentences()[key]
    template = {Language.PT_BR: sentence.pt, Language.EN: sentence.en, Language.ES: sentence.es}[language]
    return template.format_map(facts)


def say_count(language: Language, key: str, count: int, **facts: object) -> str:
    """The sentence ``key`` about ``count`` things; of exactly one it is ``key_one``."""
    return say(language, f"{key}_one" if count == 1 else key, count=count, **facts)


def decimal(language: Language, value: float) -> str:
    """A number with one digit after the language's decimal mark."""
    text = f"{value:.1f}"
    return text if language is Language.EN else text.replace(".", ",")
