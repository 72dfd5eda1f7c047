"""Orchestration Query Language: conditions built from validated values.

OQL has no documented escape, so a value may hold only characters that cannot end a string or act as a wildcard.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass

from orchestrator.codes.notation import is_zos_name
from orchestrator.errors import SourceError

_FIELD = re.compile(r"[A-Za-z]+(?:\.[A-Za-z]+)*")
_VALUE = re.compile(r"/?[A-Za-z0-9_$#][A-Za-z0-9_$#;:. /-]{0,799}|/")
"""Names, folder paths and ids. Quotes, parentheses and the wildcards ``@`` and ``?`` are not among them."""


class UnsafeValue(SourceError):
    """A value cannot be used in a query."""

    reason = "invalid_value"


def check_value(value: str) -> str:
    """Return ``value`` if it may be quoted in a query. Raises UnsafeValue."""
    if not _VALUE.fullmatch(value):
        shown = value if len(value) <= 80 else value[:80] + "…"
        raise UnsafeValue(
            "{value!r} cannot be used in a TWS query: "
            "letters, digits, spaces, '_', '-', '$', '#', '.', ';', ':' and '/' only",
            value=shown,
        )
    return value


@dataclass(frozen=True, slots=True)
class Oql:
    """A query condition; ``text`` is sent to the server."""

    text: str

    @classmethod
    def equals(cls, field: str, value: str) -> "Oql":
        """``field = 'value'``. Raises UnsafeValue."""
        return Oql(f"{_field(field)} = '{check_value(value)}'")

    @classmethod
    def named(cls, field: str, name: str) -> "Oql":
        """``field = 'name'``; in the name of a job of z/OS ``@`` is a letter, and a wildcard here: the query finds it
        and others. Raises UnsafeValue."""
        if "@" not in name:
            return cls.equals(field, name)
        if not is_zos_name(name):
            check_value(name)
        return Oql(f"{_field(field)} LIKE '{name}'")

    @classmethod
    def begins_with(cls, field: str, prefix: str) -> "Oql":
        """``field LIKE 'prefix@'``. Raises UnsafeValue."""
        return Oql(f"{_field(field)} LIKE '{check_value(prefix)}@'")

    @classmethod
    def like(cls, field: str, pattern: str) -> "Oql":
        """``field LIKE 'pattern'``, with ``@`` (or ``*``) and ``?`` as wildcards. Raises UnsafeValue."""
        known = pattern.replace("*", "@")
        check_value(re.sub("[@?]", "x", known))
        return Oql(f"{_field(field)} LIKE '{known}'")

    @classmethod
    def any_of(cls, field: str, values: Iterable[str]) -> "Oql":
        """``field IN ['a','b']``. Raises UnsafeValue, and ValueError without values."""
        checked = ",".join(f"'{check_value(value)}'" for value in values)
        if not checked:
            raise ValueError("a list of values is needed")
        return Oql(f"{_field(field)} IN [{checked}]")


def _field(name: str) -> str:
    if not _FIELD.fullmatch(name):
        raise ValueError(f"{name!r} is not the name of a field")
    return name
