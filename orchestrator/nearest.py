"""What somebody may have meant by a name that is not known: the nearest of those that are."""

from collections.abc import Collection
from difflib import SequenceMatcher
from typing import Any

from orchestrator.i18n.message import Message

_MOST_NAMED = 20
"""Most known names that are told."""
_MOST_CHARACTERS = 80
_LEAST = 0.6
"""Likeness from which a name may have been meant, as in difflib."""


def nearest(name: str, known: Collection[str], *, most: int = 3) -> tuple[str, ...]:
    """The names that are most like ``name``, best first; capitals, ``-`` and ``_`` make no difference."""
    typed = _plain(name[:_MOST_CHARACTERS])
    likeness = {other: _likeness(_plain(other), typed) for other in known}
    likely = (other for other, ratio in likeness.items() if ratio >= _LEAST)
    return tuple(sorted(likely, key=likeness.__getitem__, reverse=True)[:most])


def not_known(name: str, known: Collection[str], *, what: Message | None = None) -> Message:
    """That ``name`` is not known, which ones may have been meant, and which there are."""
    problem = what or Message("{name!r} is not known")
    facts: dict[str, Any] = {
        "problem": problem.with_facts(name=name[:_MOST_CHARACTERS]),
        "known": ", ".join(list(known)[:_MOST_NAMED]),
    }
    if likely := nearest(name, known):
        return Message("{problem}; did you mean {likely}? Known: {known}", **facts, likely=", ".join(likely))
    return Message("{problem}; known: {known}", **facts)


def _likeness(name: str, typed: str) -> float:
    # What was not typed to its end is meant as well: "tws" for tws_status.
    is_begun = len(typed) > 1 and name.startswith(typed)
    return max(_LEAST if is_begun else 0.0, SequenceMatcher(None, name, typed).ratio())


def _plain(name: str) -> str:
    return name.casefold().replace("_", "-")
