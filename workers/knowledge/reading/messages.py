"""Messages that a manual lists as text, each as a section of its own: id, text, "Explanation:", "System action:".

Without this the id and the remedy of a message come apart where the text is cut, or share a passage with the next one.
"""

import re
from collections.abc import Iterable, Iterator
from itertools import pairwise

from orchestrator.codes.patterns import find_codes_to_look_up
from workers.knowledge.reading.documents import Section
from workers.knowledge.reading.outline import is_part

_START = re.compile(r"[ \t>*|-]{0,6}([A-Z][A-Z0-9]{2,9}(?:-\d{3,5})?[A-Z]?)\b")
_MAX_LABEL = 60
_MAX_HEADING = 200


def split_messages(sections: Iterable[Section]) -> Iterator[Section]:
    """The sections, those that list messages in pieces: the text before the first one, then one for each."""
    for section in sections:
        yield from _split(section)


def _split(section: Section) -> Iterator[Section]:
    lines = section.text.split("\n")
    own = set(find_codes_to_look_up(" ".join(section.headings)))
    starts = [index for index, line in enumerate(lines) if _starts_message(line, own)]
    starts = [
        start for start, end in pairwise([*starts, len(lines)]) if any(map(_is_part_line, lines[start + 1 : end]))
    ]
    if not starts:
        yield section
        return
    if before := "\n".join(lines[: starts[0]]).strip():
        yield Section(section.headings, before)
    for start, end in pairwise([*starts, len(lines)]):
        heading = lines[start].strip(" \t>*|-")[:_MAX_HEADING]
        yield Section((*section.headings, heading), "\n".join(lines[start:end]).strip())


def _starts_message(line: str, own: set[str]) -> bool:
    match = _START.match(line)
    return match is not None and bool(codes := find_codes_to_look_up(match[1])) and own.isdisjoint(codes)


def _is_part_line(line: str) -> bool:
    """``Explanation``, ``**System action:** the job ends``."""
    label, colon, _ = line.strip(" \t*_").partition(":")
    return len(label) <= _MAX_LABEL and (bool(colon) or label == line.strip(" \t*_")) and is_part(label)
