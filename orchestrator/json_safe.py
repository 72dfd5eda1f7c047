"""Values that JSON and UTF-8 can hold and every reader can parse, made of whatever a source returned.

A source may return half a surrogate pair of a broken code page, bytes, NaN, a number of five thousand digits. Any of
them would fail only when the run is written or, worse, each time it is read.
"""

import math
from collections.abc import Mapping
from typing import Any

from pydantic_core import to_jsonable_python

MAX_DEPTH = 40
"""Nested containers; JSON parsers give up at a few hundred."""
MAX_INTEGER_BITS = 1_024
"""About the range of a double; parsers refuse numbers of more than about 4,300 digits."""
TOO_DEEP = "[...]"


def utf8_safe(text: str) -> str:
    """``text`` with pairs of surrogates joined and lone ones replaced, which UTF-8 cannot encode."""
    if text.isascii():
        return text
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def json_safe(value: Any, *, depth: int = 0) -> Any:
    """``value`` as JSON types: mappings with text keys, lists, text, finite numbers, booleans and null.

    Other types become text; NaN and the infinities become null.
    """
    if isinstance(value, (str, bytes, bytearray, int, float)) or value is None:
        return _scalar(value)
    if isinstance(value, (Mapping, list, tuple, set, frozenset)):
        return TOO_DEEP if depth >= MAX_DEPTH else _container(value, depth + 1)
    jsonable = to_jsonable_python(value, fallback=_text)
    return jsonable if depth >= MAX_DEPTH else json_safe(jsonable, depth=depth + 1)


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


def _container(value: Any, depth: int) -> Any:
    if isinstance(value, Mapping):
        return {utf8_safe(_text(key)): json_safe(item, depth=depth) for key, item in value.items()}
    return [json_safe(item, depth=depth) for item in value]


def _text(value: Any) -> str:
    return value if isinstance(value, str) else str(value)
