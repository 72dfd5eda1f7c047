"""What somebody may have meant by a name that is not known: the nearest of those that are."""

from collections.abc import Collection
from difflib import SequenceMatcher

from orchestrator.i18n.message import Message

_MOST_CHARACTERS = 80
_LEAST = 0.6
"""Likeness from which a name may have been meant, as in difflib."""


def nearest(name: str, known: Collection[str], *, most: int = 3) -> tuple[str, ...]:
    """The names that are most like ``name``, best first; capitals, ``-`` and ``_`` make no difference."""
    typed = _plain(name[:_MOST_CHARACTERS])
    likeness = {other: _likeness(_plain(other), typed) for other in known}
    likely = (other for other, ratio in likeness.items() if ratio >= _LEAST)
    return tuple(sorted(likely, key=likeness.__getitem__, reverse=True)[:most])


def not_known(name: str, known: Collection[str]) -> Message:
    """That ``name`` is not known, which names there are, and which of them may have been meant."""
    problem = Message("{name!r} is not known; known: {known}", name=name[:_MOST_CHARACTERS], known=", ".join(known))
    return with_nearest(problem, name, known)


def with_nearest(problem: Message, name: str, known: Collection[str]) -> Message:
    """A problem about ``name``, and which of the known names may have been meant."""
    likely = nearest(name, known)
    return (
        Message("{problem}; did you mean {likely}?", problem=problem, likely=", ".join(likely)) if likely else problem
    )


def _likeness(name: str, typed: str) -> float:
    # What was not typed to its end is meant as well: "tws" for tws_status.
    is_begun = len(typed) > 1 and name.startswith(typed)
    return max(_LEAST if is_begun else 0.0, SequenceMatcher(None, name, typed).ratio())


def _plain(name: str) -> str:
    return name.casefold().replace("_", "-")
