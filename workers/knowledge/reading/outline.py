"""The headings above a text: which of them belong together.

Vendors' manuals, and what converters make of them, put a message and its remedy on one level: "AWSJPL017E ...", "Cause
and solution", "Note". The remedy is found by the words of the message only if it stands below it.
"""

import re
from dataclasses import dataclass, field
from functools import cache, lru_cache

from workers.knowledge.ranking.analysis import fold, folded_entries, stop_words

_MAX_PART_WORDS = 8
_ENDS = " .:;-–—*_"


@lru_cache(maxsize=10_000)
def is_part(heading: str) -> bool:
    """Whether the heading names a part of an entry: "Cause and solution:", "System action"."""
    return _is_part(fold(heading).strip(_ENDS))


def is_note(heading: str) -> bool:
    """Whether the heading only announces a remark: "Note:"."""
    return fold(heading).strip(_ENDS) in folded_entries("note_headings")


@cache
def _joints() -> frozenset[str]:
    return stop_words() | {"&", "/", "+"}


def _is_part(heading: str) -> bool:
    parts = folded_entries("part_headings")
    if heading in parts:
        return True
    words = re.findall(r"[^\s,/&+]+|[/&+]", heading)
    if not 2 <= len(words) <= _MAX_PART_WORDS:
        return False
    names, current = [], ""
    for word in words:
        if word in _joints():
            names.append(current)
            current = ""
        else:
            current = f"{current} {word}".strip()
    names.append(current)
    return all(name in parts for name in names)


@dataclass(slots=True)
class Outline:
    """The headings from the document's first level down to the present line."""

    _path: list[tuple[int, str, bool]] = field(default_factory=list)
    _own_level: set[int] = field(default_factory=set)
    """Levels on which parts stand by themselves: those of a page whose title is the entry."""

    def enter(self, level: int, heading: str) -> None:
        """Go on below ``heading``; a part stays below the heading of its level that is none."""
        part = is_part(heading)
        self._own_level = {own for own in self._own_level if own <= level}
        if part and not any(entry[0] == level and not entry[2] for entry in self._path):
            self._own_level.add(level)
        nests = part and level not in self._own_level
        self._path = [
            entry for entry in self._path if entry[0] < level or (nests and entry[0] == level and not entry[2])
        ]
        self._path.append((level, heading, part))

    @property
    def headings(self) -> tuple[str, ...]:
        """The headings, from the first level down."""
        return tuple(heading for _, heading, _ in self._path)
