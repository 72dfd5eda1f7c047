"""Making what a source returned storable: values that JSON and UTF-8 can hold, and every reader can read back.

A source may return whatever Python has: half a surrogate pair out of a broken code page, bytes, NaN, a number of five
thousand digits. Any of them would fail only when the run is written or, worse, each time it is read.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from pydantic_core import to_jsonable_python

MAX_DEPTH = 40
"""Containers within containers; JSON parsers give up at a few hundred."""
MAX_INTEGER_BITS = 1_024
"""What a double can nearly hold; parsers refuse numbers of more than about 4,300 digits."""
TOO_DEEP = "[...]"


def storable_text(text: str) -> str:
    """``text`` with pairs of surrogates joined and lone ones replaced: no UTF-8 has a place for them."""
    if text.isascii():
        return text
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def storable(value: Any, *, depth: int = 0) -> Any:
    """``value`` as JSON has it: mappings with text keys, lists, text, finite numbers, booleans and null.

    What JSON does not know is written as text; NaN and the infinities become null.
    """
    if isinstance(value, (str, bytes, bytearray, int, float)) or value is None:
        return _scalar(value)
    if isinstance(value, (Mapping, list, tuple, set, frozenset)):
        return TOO_DEEP if depth >= MAX_DEPTH else _container(value, depth + 1)
    known = to_jsonable_python(value, fallback=_text)
    return known if depth >= MAX_DEPTH else storable(known, depth=depth + 1)


def _scalar(value: Any) -> Any:
    match value:
        case str():
            return storable_text(value)
        case bytes() | bytearray():
            return value.decode(errors="replace")
        case int() if value.bit_length() > MAX_INTEGER_BITS:
            return f"{value:#x}"[:32] + "..."
        case float() if not math.isfinite(value):
            return None
    return value


def _container(value: Any, depth: int) -> Any:
    if isinstance(value, Mapping):
        return {storable_text(_text(key)): storable(item, depth=depth) for key, item in value.items()}
    return [storable(item, depth=depth) for item in value]


def _text(value: Any) -> str:
    return value if isinstance(value, str) else str(value)
