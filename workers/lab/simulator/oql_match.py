"""The subset of the Orchestration Query Language that clients send: ``=``, ``IN [...]``, ``LIKE`` and ``AND``."""

import re
from collections.abc import Callable, Iterable, Mapping
from fnmatch import translate
from typing import Any

_CONDITION = re.compile(
    r"\s*(?P<field>[A-Za-z]+(?:\.[A-Za-z]+)*)\s*(?:=\s*'(?P<equal>[^']*)'|LIKE\s*'(?P<like>[^']*)'"
    r"|IN\s*\[(?P<list>\s*'[^']*'(?:\s*,\s*'[^']*')*\s*)\])\s*",
    re.IGNORECASE,
)
_AND = re.compile(r"AND\b", re.IGNORECASE)

Condition = Callable[[Mapping[str, Any]], bool]


class BadOql(ValueError):
    """The query is invalid: HTTP 400."""


def compile_oql(query: str, fields: frozenset[str]) -> Condition:
    """A predicate over objects. Raises BadOql for unknown syntax or fields."""
    conditions: list[Condition] = []
    position = 0
    while True:
        match = _CONDITION.match(query, position)
        if match is None or match["field"] not in fields:
            raise BadOql(query)
        conditions.append(_condition(match))
        position = match.end()
        if position == len(query):
            return lambda item: all(condition(item) for condition in conditions)
        joined = _AND.match(query, position)
        if joined is None:
            raise BadOql(query)
        position = joined.end()


def _condition(match: re.Match[str]) -> Condition:
    path = match["field"].split(".")
    if match["equal"] is not None:
        expected = {match["equal"]}
        return lambda item: bool(expected & set(_values(item, path)))
    if match["list"] is not None:
        listed = set(re.findall(r"'([^']*)'", match["list"]))
        return lambda item: bool(listed & set(_values(item, path)))
    pattern = re.compile(translate(match["like"].replace("*", "[*]").replace("@", "*")))
    return lambda item: any(pattern.match(value) for value in _values(item, path))


def _values(item: Any, path: list[str]) -> Iterable[str]:
    """Every value at a dotted path, through lists."""
    if isinstance(item, list):
        for entry in item:
            yield from _values(entry, path)
    elif not path:
        yield str(item)
    elif isinstance(item, Mapping) and path[0] in item:
        yield from _values(item[path[0]], path[1:])
