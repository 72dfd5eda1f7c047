"""Values that JSON and UTF-8 can hold and every reader can parse, made of whatever a source returned.

A source may return half a surrogate pair of a broken code page, bytes, NaN, a number of five thousand digits, a mapping
without an end. Any of them would fail only when the run is written or, worse, each time it is read.
"""

import dataclasses
import math
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set, ValuesView
from typing import Any

from pydantic import BaseModel
from pydantic_core import to_jsonable_python

MAX_DEPTH = 40
"""Nested containers; JSON parsers give up at a few hundred."""
MAX_CHARACTERS = 1_000_000
"""Characters of a whole value; a list that holds itself twice has two to the power of its depth of them."""
MAX_INTEGER_BITS = 1_024
"""About the range of a double; parsers refuse numbers of more than about 4,300 digits."""
TOO_DEEP = "[...]"
_SEPARATORS, _NUMBER, _CONTAINER = 2, 4, 6
"""What each value counts for in addition to its text; a value without text takes its time as well."""
_SCALARS = (str, bytes, bytearray, int, float)


class TooLarge(ValueError):
    """The value has more characters than its JSON may have."""


def utf8_safe(text: str) -> str:
    """``text`` with pairs of surrogates joined and lone ones replaced, which UTF-8 cannot encode."""
    if text.isascii():
        return text
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def json_safe(value: Any, *, max_characters: int = MAX_CHARACTERS) -> Any:
    """``value`` as JSON types: mappings with text keys, lists, text, finite numbers, booleans and null.

    Other types become text; NaN and the infinities become null.

    Raises TooLarge as soon as there are more than ``max_characters``, about as many as the JSON has; and whatever a
    mapping or an object of somebody else raises.
    """
    return _Converter(max_characters).convert(value, 0)


class _Converter:
    """Converts one value, within the characters that are left."""

    def __init__(self, max_characters: int) -> None:
        self._left = max_characters

    def convert(self, value: Any, depth: int) -> Any:
        kind = type(value)
        if kind is dict or kind is list or kind is tuple:
            self._spend(_CONTAINER)
            if depth >= MAX_DEPTH:
                return TOO_DEEP
            return self._mapping(value, depth + 1) if kind is dict else self._items(value, depth + 1)
        if isinstance(value, _SCALARS) or value is None:
            self._spend(len(value) if isinstance(value, (str, bytes, bytearray)) else _NUMBER)
            return _scalar(value)
        self._spend(_CONTAINER)
        if isinstance(value, BaseModel):
            value = {name: item for name, item in value if not _is_excluded(type(value), name)}
        elif dataclasses.is_dataclass(value) and not isinstance(value, type):
            value = {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
        if isinstance(value, Mapping):
            return TOO_DEEP if depth >= MAX_DEPTH else self._mapping(value, depth + 1)
        if isinstance(value, (Sequence, Set, deque, ValuesView, Iterator)):
            return TOO_DEEP if depth >= MAX_DEPTH else self._items(value, depth + 1)
        # Not for containers, which have no limit there.
        jsonable = to_jsonable_python(value, fallback=_text)
        return jsonable if depth >= MAX_DEPTH else self.convert(jsonable, depth + 1)

    def _items(self, value: Iterable[Any], depth: int) -> list[Any]:
        return [self.convert(item, depth) for item in value]

    def _mapping(self, value: Mapping[Any, Any], depth: int) -> dict[str, Any]:
        converted = {}
        for key, item in value.items():
            name = _text(key)
            self._spend(len(name))
            converted[utf8_safe(name)] = self.convert(item, depth)
        return converted

    def _spend(self, characters: int) -> None:
        self._left -= characters + _SEPARATORS
        if self._left < 0:
            raise TooLarge("the value is too large")


def _is_excluded(model: type[BaseModel], name: str) -> bool:
    field = model.model_fields.get(name)
    return field is not None and bool(field.exclude)


def _scalar(value: Any) -> Any:
    match value:
        case str():
            return utf8_safe(value)
        case bytes() | bytearray():
            return value.decode(errors="replace")
        case int() if value.bit_length() > MAX_INTEGER_BITS:
            return f"{value:#x}"[:32] + "..."
        case float() if not math.isfinite(value):
            return None
    return value


def _text(value: Any) -> str:
    return value if isinstance(value, str) else str(value)
