"""Messages for pydantic's validation errors, made from their ``type`` and ``ctx``."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import ValidationError

from orchestrator.errors import InvalidValue
from orchestrator.i18n.message import Joined, Message, join

_MESSAGES = {
    "missing": Message("Field required"),
    "extra_forbidden": Message("is not a known field"),
    "greater_than": Message("must be greater than {gt}"),
    "greater_than_equal": Message("must be greater than or equal to {ge}"),
    "less_than": Message("must be less than {lt}"),
    "less_than_equal": Message("must be less than or equal to {le}"),
    "finite_number": Message("must be a finite number"),
    "float_type": Message("must be a valid number"),
    "float_parsing": Message("must be a valid number"),
    "int_type": Message("must be a valid integer"),
    "int_parsing": Message("must be a valid integer"),
    "int_from_float": Message("must be a valid integer, got a number with a fractional part"),
    "bool_type": Message("must be true or false"),
    "bool_parsing": Message("must be true or false"),
    "string_type": Message("must be a valid string"),
    "string_pattern_mismatch": Message("String should match pattern '{pattern}'"),
    "string_too_short": Message(
        "String should have at least {count} character", plural="String should have at least {count} characters"
    ),
    "string_too_long": Message(
        "String should have at most {count} character", plural="String should have at most {count} characters"
    ),
    "too_short": Message("must have at least {count} item", plural="must have at least {count} items"),
    "too_long": Message(
        "must have at most {count} item, not {actual_length}",
        plural="must have at most {count} items, not {actual_length}",
    ),
    "dict_type": Message("must be a valid dictionary"),
    "list_type": Message("must be a list"),
    "tuple_type": Message("must be a list"),
    "json_invalid": Message("Invalid JSON: {error}"),
}
"""By the error's type; the facts are those of its ``ctx``. Any other type keeps pydantic's own English."""
_SMALL_NAME = Message("a name is small letters, digits, '-' and '_', beginning with a letter")
"""For every pattern of a name in small letters, which begins so."""
_CHOICES = Message("must be {choices} or {last}")
_MOST_TOLD = 10
"""Most problems that one message tells."""
_MOST_CHARACTERS = 80
"""Most characters of a field's name that are repeated: that of an unknown field may be anything."""
_QUOTED = re.compile(r"'[^']*'")


def describe(error: ValidationError) -> Message:
    """One message for all wrong fields: name and problem of each. Values are left out, they may be secrets."""
    errors = error.errors(include_url=False, include_input=False)
    # pydantic counts valid items only: a list with a wrong one would be too short as well.
    items = [item for item in errors if item["type"] != "too_short" or not _has_wrong_items(item["loc"], errors)]
    return all_of([about(".".join(map(str, item["loc"])), problem_of(item)) for item in items])


def _has_wrong_items(place: tuple[int | str, ...], errors: Sequence[Mapping[str, Any]]) -> bool:
    return any(len(item["loc"]) > len(place) and item["loc"][: len(place)] == place for item in errors)


def about(field: str, problem: Message) -> Message:
    """``problem`` with the name of its field; a problem of the whole object has none."""
    field = field if len(field) <= _MOST_CHARACTERS else f"{field[:_MOST_CHARACTERS]}..."
    return Message("{field}: {problem}", field=field, problem=problem) if field else problem


def all_of(problems: Sequence[Message]) -> Message:
    """Several problems as one message: the first of them, and how many more there are."""
    if len(problems) == 1:
        return problems[0]
    told, more = problems[:_MOST_TOLD], len(problems) - _MOST_TOLD
    if more > 0:
        told = [*told, Message("and {count} more problem", plural="and {count} more problems", count=more)]
    return Message("{problems}", problems=join(told, "; "))


def problem_of(item: Mapping[str, Any]) -> Message:
    """The message of one entry of ``ValidationError.errors()``, without the name of its field."""
    kind, facts = item["type"], {name: _as_typed(value) for name, value in item.get("ctx", {}).items()}
    if kind == "value_error":  # a validator's own error
        error = facts["error"]
        return error.message if isinstance(error, InvalidValue) else Message(str(error))
    if kind == "string_pattern_mismatch" and str(facts.get("pattern")).startswith("^[a-z]"):
        return _SMALL_NAME
    choices = _QUOTED.findall(str(facts.get("expected")))
    if len(choices) > 1:
        return _CHOICES.with_facts(choices=", ".join(choices[:-1]), last=choices[-1])
    if kind not in _MESSAGES:
        return Message(str(item["msg"]).replace("Input should be", "must be"))
    count = facts.get("max_length", facts.get("min_length"))
    return _MESSAGES[kind].with_facts(**facts, **({} if count is None else {"count": count}))


def with_names(text: object, names: Mapping[str, str]) -> Any:
    """A message with other names for its fields: those of its facts ``field``, ``other_field``, ``third_field``."""
    if isinstance(text, Joined):
        return join((with_names(part, names) for part in text.parts), text.separator)
    if not isinstance(text, Message):
        return text
    facts = {
        name: names.get(str(value), value) if name.endswith("field") else with_names(value, names)
        for name, value in text.facts.items()
    }
    return text.with_facts(**facts)


def _as_typed(value: object) -> object:
    """Limits as a person types them: with a decimal point in every language."""
    return f"{value:g}" if isinstance(value, float) else value
