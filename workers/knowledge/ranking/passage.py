"""The passage of a hit: its whole section and the neighbours on the same topic.

A manual names the message in one section and the remedy in the next, so the matching chunk alone is not enough.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from orchestrator.codes.patterns import find_codes_to_look_up
from workers.knowledge.reading.documents import Chunk
from workers.knowledge.reading.outline import is_part

PASSAGE_CHARACTERS = 2_400
"""Longest passage; five of them fit into a model's prompt beside the other evidence."""


@dataclass(frozen=True, slots=True)
class Region:
    """A run of chunks ``first..last`` of one document, and its text."""

    first: int
    last: int
    text: str
    cut_characters: int = 0


def _is_other_topic(candidate: Chunk, hit: Chunk, *, is_manual: bool) -> bool:
    """Whether ``candidate`` is about another topic than ``hit``."""
    depth = max(1, len(hit.headings) - 1)
    if candidate.headings[:depth] != hit.headings[:depth]:
        return True
    if candidate.headings[: len(hit.headings)] == hit.headings:
        return False
    if is_manual and not is_part(candidate.headings[-1]) and not is_part(hit.headings[-1]):
        return True
    # A sibling headed by another code is the next message of a list, not the remedy of this one.
    return bool(_codes_in(candidate.headings[depth:]) - _codes_in(hit.headings))


@lru_cache(maxsize=20_000)
def _codes_in(headings: tuple[str, ...]) -> frozenset[str]:
    return frozenset(find_codes_to_look_up(" ".join(headings)))


def _render(chunks: Sequence[Chunk], hit: Chunk) -> str:
    parts: list[str] = []
    previous = chunks[0].headings if chunks else hit.headings
    for position, chunk in enumerate(chunks):
        if (position == 0 or chunk.headings != previous) and len(chunk.headings) > 1:
            parts.append(f"{chunk.headings[-1]}:")
        parts.append(chunk.text)
        previous = chunk.headings
    return "\n".join(parts)


def grow(chunks: Sequence[Chunk], position: int, *, size: int = PASSAGE_CHARACTERS, is_manual: bool = False) -> Region:
    """The region around ``chunks[position]`` of at most ``size`` characters.

    It grows forward first, since the remedy follows the symptom, then backward. The sections of a page are about one
    topic; in a manual (``is_manual``) the next section on the same level is another topic.
    """
    hit = chunks[position]
    first = last = position
    length = len(hit.text)
    while last + 1 < len(chunks) and not _is_other_topic(chunks[last + 1], hit, is_manual=is_manual):
        if length + len(chunks[last + 1].text) > size:
            break
        last += 1
        length += len(chunks[last].text)
    while first > 0 and not _is_other_topic(chunks[first - 1], hit, is_manual=is_manual):
        if length + len(chunks[first - 1].text) > size:
            break
        first -= 1
        length += len(chunks[first].text)
    left_out = sum(len(chunk.text) for chunk in chunks if chunk.headings == hit.headings) - sum(
        len(chunk.text) for chunk in chunks[first : last + 1] if chunk.headings == hit.headings
    )
    return Region(first, last, _render(chunks[first : last + 1], hit), max(0, left_out))
