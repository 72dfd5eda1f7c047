"""The model's answer: extracted from its text, validated leniently, converted into a ``Diagnosis``."""

import json
import re
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, field_validator

from orchestrator.codes.catalogue import Category
from orchestrator.codes.control import visible_in
from orchestrator.json_safe import json_safe
from orchestrator.models import Action, Claim, Diagnosis, Hypothesis
from orchestrator.redaction.redact import redact_data
from orchestrator.validation import describe

MAX_TEXT = 2_000
MAX_ITEMS = 20
MAX_STARTS = 40
"""Most braces tried as the start of the object; prose before it may contain some."""
_THINKING = re.compile(r"\s*<think(?:ing)?>", re.IGNORECASE)
_THINKING_END = re.compile(r"</think(?:ing)?>", re.IGNORECASE)
_KNOWN_CATEGORIES = frozenset(item.value for item in Category)


class AnswerUnusable(Exception):
    """The text is not a usable answer; ``reason`` is ``empty``, ``bad_json``, ``invalid`` or ``contradicts``."""

    def __init__(self, reason: str, problem: str) -> None:
        super().__init__(problem)
        self.reason = reason


class _Lenient(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True, populate_by_name=True)


def _texts(value: object) -> object:
    """A tuple of strings from null, one string or a mixed list: models write all of these."""
    if value is None:
        return ()
    items = value if isinstance(value, list) else [value]
    texts = []
    for item in items[:MAX_ITEMS]:
        text = item.get("text", item.get("id")) if isinstance(item, dict) else item
        if isinstance(text, (str, int, float)) and str(text).strip():
            texts.append(str(text).strip()[:MAX_TEXT])
    return tuple(texts)


def _objects(value: object) -> object:
    """The items with text; an invalid item does not invalidate the others."""
    if value is None:
        return ()
    objects = []
    for item in value if isinstance(value, list) else [value]:
        entry = {"text": item} if isinstance(item, str) else item
        if not isinstance(entry, dict):
            continue
        texts = (entry.get(name) for name in ("text", "title", "job", "command"))
        text = next((text.strip() for text in texts if isinstance(text, str) and text.strip()), "")
        if text:
            objects.append({**entry, "text": text[:MAX_TEXT]})
    return tuple(objects[:MAX_ITEMS])


def _prose(value: object) -> object:
    """A string from null or a list of sentences."""
    if isinstance(value, list) and all(isinstance(item, str) for item in value):
        return " ".join(value)
    return "" if value is None else value


def _fraction(value: object) -> object:
    """A number from 0 to 1; ``0.8``, ``"0.8"``, ``80`` and ``"80%"`` are equal."""
    if isinstance(value, str):
        match = re.search(r"\d+(?:[.,]\d+)?", value)
        value = float(match[0].replace(",", ".")) if match else 0.0
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        number = float(value)
        return min(1.0, max(0.0, number / 100 if number > 1 else number))
    return 0.0


Texts = Annotated[tuple[str, ...], BeforeValidator(_texts)]
Prose = Annotated[str, BeforeValidator(_prose)]
Fraction = Annotated[float, BeforeValidator(_fraction)]
Items = BeforeValidator(_objects)


class AnswerClaim(_Lenient):
    """A statement with its evidence."""

    text: str = Field(max_length=MAX_TEXT)
    evidence_ids: Texts = ()

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
        """The contract's action; the check decides whether it mutates."""
        return Action(text=self.text.strip(), risk=self.risk, command=self.command)


class _Alternative(_Lenient):
    title: str = Field(alias="text", default="", max_length=MAX_TEXT)
    category: str = Category.UNKNOWN.value
    confidence: Fraction = 0.0
    evidence_ids: Texts = ()
    against: Texts = ()


class AnswerJob(_Lenient):
    """A job as the model understood it, to be compared with what TWS has."""

    job: str = Field(alias="text", max_length=MAX_TEXT)
    state: str | None = None
    return_code: int | None = None
    code: str | None = None

    @field_validator("state", "code", mode="before")
    @classmethod
    def _word(cls, value: object) -> object:
        return (
            value.strip()[:100]
            if isinstance(value, str) and value.strip().lower() not in ("", "null", "none")
            else None
        )

    @field_validator("return_code", mode="before")
    @classmethod
    def _number(cls, value: object) -> object:
        match = re.fullmatch(r"\s*(-?\d{1,12})(?:\.0)?\s*", str(value))
        return int(match[1]) if match and not isinstance(value, bool) else None


class ModelAnswer(_Lenient):
    """The JSON object that the prompt requests. Unknown keys are ignored, missing ones are empty."""

    jobs: Annotated[tuple[AnswerJob, ...], Items] = ()
    summary: Prose = Field(min_length=1, max_length=MAX_TEXT)
    root_cause: Prose = Field(default="", max_length=MAX_TEXT)
    category: Prose = Category.UNKNOWN.value
    confidence: Fraction = 0.0
    claims: Annotated[tuple[AnswerClaim, ...], Items] = ()
    alternatives: Annotated[tuple[_Alternative, ...], Items] = ()
    actions: Annotated[tuple[AnswerAction, ...], Items] = ()
    prevention: Texts = ()
    missing_evidence: Texts = ()
    suspicious: Texts = ()

    @property
    def prose(self) -> str:
        """The text for readers, one statement per line."""
        parts = (self.summary, self.root_cause, *(c.text for c in self.claims), *(a.text for a in self.actions))
        return "\n".join(parts)


def parse_answer(text: str, *, personal: bool = False) -> ModelAnswer:
    """The answer in ``text``, redacted. Prose, code fences and a reasoning block around the object are ignored.

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
    """``value`` without invisible characters, which could hide a command from the checks."""
    return visible_in(json_safe(value))


def answer_text(text: str) -> str:
    """``text`` without a leading reasoning block, whose opening tag may be missing."""
    end = max(_THINKING_END.finditer(text), key=lambda match: match.start(), default=None)
    if end is None:
        return "" if _THINKING.match(text) else text
    # Within a string of the object the tag has no meaning.
    return text if _is_within_object(text, end.start()) else text[end.end() :]


def _is_within_object(text: str, at: int) -> bool:
    try:
        document, end = _decode(text, text.find("{"))
    except (ValueError, RecursionError):
        return False
    return text.find("{") < at < end and _answer_in(document) is not None


def _find_object(body: str) -> dict[str, Any]:
    """The first object with a summary, else the first valid one. Raises AnswerUnusable."""
    at, problem, first = body.find("{"), "there is no JSON object in it", None
    for _ in range(MAX_STARTS):
        if at < 0:
            break
        try:
            document, end = _decode(body, at)
        except (ValueError, RecursionError) as error:  # a number with thousands of digits raises ValueError
            problem = f"not valid JSON ({error})"[:300] if first is None and at == body.find("{") else problem
            at = body.find("{", at + 1)
            continue
        answer = _answer_in(document)
        if answer is not None:
            return answer
        first = document if first is None else first
        at = body.find("{", end)
    if first is None or problem.startswith("not valid"):
        raise AnswerUnusable("bad_json", problem)
    return first


def _decode(text: str, at: int) -> tuple[dict[str, Any], int]:
    document, end = json.JSONDecoder(strict=False).raw_decode(text, at)
    return document, end


def _answer_in(document: dict[str, Any]) -> dict[str, Any] | None:
    """The object itself, or the one it wraps: ``{"answer": {...}}``."""
    return next((item for item in (document, *document.values()) if isinstance(item, dict) and "summary" in item), None)


def to_diagnosis(answer: ModelAnswer, draft: Diagnosis) -> Diagnosis:
    """The unchecked diagnosis: the answer's fields, and the draft's where the answer has none.

    Missing and suspicious evidence of the draft is always included. The category is the draft's, unless the model chose
    that of another hypothesis, or the draft has none.
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
        if item.title.strip() and item.evidence_ids  # an alternative without evidence is dropped
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
    """The model's category if it is one of the draft's, which are all that the prompt offers."""
    category = _category(written, draft.category)
    offered = {draft.category, *(item.category for item in draft.hypotheses)}
    return category if category in offered or draft.category == Category.UNKNOWN else draft.category


def _category(written: str, otherwise: str) -> str:
    word = re.sub(r"[^a-z]+", "_", written.strip().lower()).strip("_")
    return word if word in _KNOWN_CATEGORIES and word != Category.UNKNOWN else otherwise


def _merged(first: tuple[str, ...], second: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(dict.fromkeys((*first, *second)))
