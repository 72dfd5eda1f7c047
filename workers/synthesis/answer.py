"""The model's answer: found in what it wrote, validated leniently, turned into a ``Diagnosis``."""

from __future__ import annotations

import json
import re
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from orchestrator.codes.catalogue import Category
from orchestrator.codes.control import visible
from orchestrator.json_safe import storable
from orchestrator.models import Action, Claim, Diagnosis, Hypothesis
from orchestrator.redaction.redact import redact_data
from orchestrator.validation import describe

MAX_TEXT = 2_000
MAX_ITEMS = 20
MAX_STARTS = 40
"""Braces tried as the beginning of the object; prose before it may hold some."""
_THINKING = re.compile(r"\s*<think(?:ing)?>", re.IGNORECASE)
_THINKING_END = re.compile(r"</think(?:ing)?>", re.IGNORECASE)
_KNOWN_CATEGORIES = frozenset(item.value for item in Category)


class AnswerUnusable(Exception):
    """The text is no usable answer; ``reason`` is ``empty``, ``bad_json`` or ``invalid``."""

    def __init__(self, reason: str, problem: str) -> None:
        super().__init__(problem)
        self.reason = reason


class _Lenient(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True, populate_by_name=True)


def _texts(value: object) -> object:
    """Null, one string, or a list with other things in it: models write all of these for a list of strings."""
    if value is None:
        return ()
    items = value if isinstance(value, list) else [value]
    out = []
    for item in items[:MAX_ITEMS]:
        text = item.get("text", item.get("id")) if isinstance(item, dict) else item
        if isinstance(text, (str, int, float)) and str(text).strip():
            out.append(str(text).strip()[:MAX_TEXT])
    return tuple(out)


def _objects(value: object) -> object:
    """The items that say something; one that does not must not cost the others."""
    if value is None:
        return ()
    out = []
    for item in value if isinstance(value, list) else [value]:
        known = {"text": item} if isinstance(item, str) else item
        if not isinstance(known, dict):
            continue
        texts = (known.get(name) for name in ("text", "title", "command"))
        text = next((text.strip() for text in texts if isinstance(text, str) and text.strip()), "")
        if text:
            out.append({**known, "text": text[:MAX_TEXT]})
    return tuple(out[:MAX_ITEMS])


def _prose(value: object) -> object:
    """Null is nothing; a list of sentences is their text."""
    if isinstance(value, list) and all(isinstance(item, str) for item in value):
        return " ".join(value)
    return "" if value is None else value


def _fraction(value: object) -> object:
    """``0.8``, ``"0.8"``, ``80`` and ``"80%"`` all mean the same."""
    if isinstance(value, str):
        match = re.search(r"\d+(?:[.,]\d+)?", value)
        value = float(match[0].replace(",", ".")) if match else 0.0
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        number = float(value)
        return min(1.0, max(0.0, number / 100 if number > 1 else number))
    return 0.0


class AnswerClaim(_Lenient):
    """A statement with its evidence."""

    text: str = Field(max_length=MAX_TEXT)
    evidence_ids: tuple[str, ...] = ()

    @field_validator("evidence_ids", mode="before")
    @classmethod
    def _ids(cls, value: object) -> object:
        return _texts(value)

    def to_claim(self) -> Claim:
        """The contract's claim, unchecked."""
        return Claim(text=self.text.strip(), evidence_ids=self.evidence_ids)


class AnswerAction(_Lenient):
    """A proposed step."""

    text: str = Field(max_length=MAX_TEXT)
    risk: Literal["none", "low", "medium", "high"] = "none"
    command: str | None = Field(default=None, max_length=MAX_TEXT)

    @field_validator("risk", mode="before")
    @classmethod
    def _risk(cls, value: object) -> object:
        word = str(value).strip().lower()
        return word if word in ("none", "low", "medium", "high") else "none"

    @field_validator("command", mode="before")
    @classmethod
    def _command(cls, value: object) -> object:
        if isinstance(value, list) and all(isinstance(item, str) for item in value):
            value = "\n".join(value)
        return value.strip() if isinstance(value, str) and value.strip().lower() not in ("", "null", "none") else None

    def to_action(self) -> Action:
        """The contract's action; whether it mutates is found out by the check."""
        return Action(text=self.text.strip(), risk=self.risk, command=self.command)


class _Alternative(_Lenient):
    title: str = Field(alias="text", default="", max_length=MAX_TEXT)
    category: str = Category.UNKNOWN.value
    confidence: float = 0.0
    evidence_ids: tuple[str, ...] = ()
    against: tuple[str, ...] = ()

    @field_validator("evidence_ids", "against", mode="before")
    @classmethod
    def _ids(cls, value: object) -> object:
        return _texts(value)

    @field_validator("confidence", mode="before")
    @classmethod
    def _confidence(cls, value: object) -> object:
        return _fraction(value)


class ModelAnswer(_Lenient):
    """The JSON object the prompt asks for. Unknown keys are ignored, missing ones are empty."""

    summary: str = Field(min_length=1, max_length=MAX_TEXT)
    root_cause: str = Field(default="", max_length=MAX_TEXT)
    category: str = Category.UNKNOWN.value
    confidence: float = 0.0
    claims: tuple[AnswerClaim, ...] = ()
    alternatives: tuple[_Alternative, ...] = ()
    actions: tuple[AnswerAction, ...] = ()
    prevention: tuple[str, ...] = ()
    missing_evidence: tuple[str, ...] = ()
    suspicious: tuple[str, ...] = ()

    @property
    def prose(self) -> str:
        """What is written for a reader, one statement a line."""
        parts = (self.summary, self.root_cause, *(c.text for c in self.claims), *(a.text for a in self.actions))
        return "\n".join(parts)

    @field_validator("prevention", "missing_evidence", "suspicious", mode="before")
    @classmethod
    def _lists(cls, value: object) -> object:
        return _texts(value)

    @field_validator("claims", "alternatives", "actions", mode="before")
    @classmethod
    def _items(cls, value: object) -> object:
        return _objects(value)

    @field_validator("summary", "root_cause", "category", mode="before")
    @classmethod
    def _sentences(cls, value: object) -> object:
        return _prose(value)

    @field_validator("confidence", mode="before")
    @classmethod
    def _confidence(cls, value: object) -> object:
        return _fraction(value)


def parse_answer(text: str, *, personal: bool = False) -> ModelAnswer:
    """The answer in ``text``, redacted. Prose, code fences and a reasoning block around the object are let pass.

    Raises AnswerUnusable.
    """
    body = answer_text(text)
    if not body.strip():
        raise AnswerUnusable("empty", "the answer is empty")
    data = readable(_find_object(body))
    try:
        return ModelAnswer.model_validate(redact_data(data, personal=personal))
    except ValidationError as error:
        raise AnswerUnusable("invalid", str(describe(error))[:500]) from None


def readable(value: Any) -> Any:
    """What a model wrote as a reader sees it: a character of no width must not hide a command from the checks."""
    return _visible(storable(value))


def _visible(value: Any) -> Any:
    match value:
        case str():
            return visible(value)
        case list():
            return [_visible(item) for item in value]
        case dict():
            return {key: _visible(item) for key, item in value.items()}
    return value


def answer_text(text: str) -> str:
    """``text`` without the reasoning that some models write first; a chat template may have swallowed its beginning."""
    end = max(_THINKING_END.finditer(text), key=lambda match: match.start(), default=None)
    if end is None:
        return "" if _THINKING.match(text) else text
    # In a string of the object itself the words end nothing.
    return text if _is_within_object(text, end.start()) else text[end.end() :]


def _is_within_object(text: str, at: int) -> bool:
    try:
        found, end = _decode(text, text.find("{"))
    except (ValueError, RecursionError):
        return False
    return text.find("{") < at < end and _answer_in(found) is not None


def _find_object(body: str) -> dict[str, Any]:
    """The object with a summary; without one the first that is valid. Raises AnswerUnusable."""
    at, problem, first = body.find("{"), "there is no JSON object in it", None
    for _ in range(MAX_STARTS):
        if at < 0:
            break
        try:
            found, end = _decode(body, at)
        except (ValueError, RecursionError) as error:  # a number of thousands of digits is a ValueError
            problem = f"not valid JSON ({error})"[:300] if first is None and at == body.find("{") else problem
            at = body.find("{", at + 1)
            continue
        answer = _answer_in(found)
        if answer is not None:
            return answer
        first = found if first is None else first
        at = body.find("{", end)
    if first is None or problem.startswith("not valid"):
        raise AnswerUnusable("bad_json", problem)
    return first


def _decode(text: str, at: int) -> tuple[dict[str, Any], int]:
    found, end = json.JSONDecoder(strict=False).raw_decode(text, at)
    return found, end


def _answer_in(found: dict[str, Any]) -> dict[str, Any] | None:
    """The object itself, or the one it wraps: ``{"answer": {...}}``."""
    return next((item for item in (found, *found.values()) if isinstance(item, dict) and "summary" in item), None)


def to_diagnosis(answer: ModelAnswer, draft: Diagnosis) -> Diagnosis:
    """The unchecked diagnosis: the model's where it said something, the draft's elsewhere.

    What the rules found missing or suspicious stays, whatever the model says; so does their category, unless the
    model chose another of their hypotheses, or they had come to none.
    """
    hypotheses = tuple(
        Hypothesis(
            category=_category(item.category, Category.UNKNOWN.value),
            title=item.title,
            confidence=item.confidence,
            supports=item.evidence_ids,
            contradicts=item.against,
        )
        for item in answer.alternatives
        if item.title.strip() and item.evidence_ids  # a guess that rests on nothing helps nobody
    )
    return Diagnosis(
        summary=answer.summary.strip(),
        root_cause=answer.root_cause.strip(),
        category=_chosen(answer.category, draft),
        confidence=answer.confidence,
        claims=tuple(item.to_claim() for item in answer.claims),
        hypotheses=hypotheses or draft.hypotheses,
        actions=tuple(item.to_action() for item in answer.actions) or draft.actions,
        prevention=answer.prevention or draft.prevention,
        missing_evidence=_merged(draft.missing_evidence, answer.missing_evidence),
        suspicious=_merged(draft.suspicious, answer.suspicious),
    )


def _chosen(written: str, draft: Diagnosis) -> str:
    """The model's category where it is one of the draft's: the prompt offers no other, and programs act on it."""
    category = _category(written, draft.category)
    offered = {draft.category, *(item.category for item in draft.hypotheses)}
    return category if category in offered or draft.category == Category.UNKNOWN else draft.category


def _category(written: str, otherwise: str) -> str:
    word = re.sub(r"[^a-z]+", "_", written.strip().lower()).strip("_")
    return word if word in _KNOWN_CATEGORIES and word != Category.UNKNOWN else otherwise


def _merged(first: tuple[str, ...], second: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(dict.fromkeys((*first, *second)))
