"""Splits sections into chunks, without tables of contents and indexes, which match every question."""

import re
from collections.abc import Iterable

from orchestrator.redaction.redact import redact
from workers.knowledge.ranking.analysis import fold, folded_entries
from workers.knowledge.reading.documents import Chunk, Section

TARGET_CHARACTERS = 1_200
"""Size of a chunk: about 300 tokens, well below the limit of embedding models."""

_LISTING_LINE = re.compile(
    r"(?:\.\s?){4,}\s*[\divxlc]+\s*$"  # dotted leaders up to a page number
    r"|\S.*?\s{2,}\d{1,4}\s*$"  # a title, a gap, a page number
    r"|\D,\s*\d{1,4}(?:[-,\s]+\d{1,4})*\s*$"  # an index entry: term, 12, 34-36
    r"|^\s*(?:[-*+]|\d+\.)?\s*\[[^\]]+\]\([^)]*\)\s*$"  # nothing but a link
)
_MAX_LISTING_LINE = 300
_LISTING_SHARE = 0.6
_MIN_INDEX_LINES = 3
_MAX_INDEX_LINE = 80
_INDEX_NUMBERS = 0.15


def is_listing(section: Section) -> bool:
    """Whether this is a table of contents, a list of figures or an index, or the part of an index under one letter."""
    headings = [fold(heading).strip(" .:") for heading in section.headings]
    if not folded_entries("listing_headings").isdisjoint((*headings[1:], *headings[-1:])):
        return True
    if headings and len(headings[-1]) == 1 and _is_index_text(section.text):
        return True
    return _is_listing_text(section.text)


def _is_index_text(text: str) -> bool:
    """Whether a text under a letter lists terms: short lines, or many page numbers."""
    words, lines = text.split(), text.splitlines()
    numbers = sum(word.strip(",.-").isdigit() for word in words)
    short = len(lines) >= _MIN_INDEX_LINES and max(map(len, lines)) <= _MAX_INDEX_LINE
    return short or numbers >= _INDEX_NUMBERS * len(words)


def _is_listing_text(text: str) -> bool:
    lines = [stripped for line in text.splitlines() if (stripped := line.strip())]
    if len(lines) < 5:
        return False
    # A longer line is not an entry of a list, and the pattern takes quadratic time in its length.
    entries = [line for line in lines if len(line) <= _MAX_LISTING_LINE and _LISTING_LINE.search(line)]
    # By length as well: where each paragraph is one line, the lines of the contents may be the majority.
    return len(entries) >= _LISTING_SHARE * len(lines) and sum(map(len, entries)) >= 0.5 * sum(map(len, lines))


def _pieces(text: str, size: int) -> Iterable[str]:
    """``text`` in pieces of about ``size`` characters, cut at blank lines, then lines, then anywhere."""
    piece = ""
    for paragraph in re.split(r"\n\s*\n", text):
        for part in _fitting(paragraph, size):
            if piece and len(piece) + len(part) > size:
                yield piece
                piece = part
            else:
                piece = f"{piece}\n\n{part}" if piece else part
    if piece:
        yield piece


def _fitting(paragraph: str, size: int) -> Iterable[str]:
    if len(paragraph) <= size:
        yield paragraph
        return
    part = ""
    for line in paragraph.split("\n"):
        rest = line
        while len(rest) > size:
            cut = rest.rfind(" ", 1, size)
            cut = cut if cut > 0 else size
            if part:
                yield part
                part = ""
            yield rest[:cut]
            rest = rest[cut:].lstrip()
        if part and len(part) + len(rest) > size:
            yield part
            part = rest
        else:
            part = f"{part}\n{rest}" if part else rest
    if part:
        yield part


def cut_sections(sections: Iterable[Section], *, size: int = TARGET_CHARACTERS) -> tuple[Chunk, ...]:
    """The chunks of a document, in reading order, each within one section."""
    chunks: list[Chunk] = []
    for section in sections:
        if section.headings and is_listing(section):
            continue
        headings = tuple(map(redact, section.headings))
        # Masked before it is cut: neither the index nor an embedding endpoint gets a secret.
        for piece in _pieces(redact(section.text), size):
            # Text without headings is one section, contents and index included: each piece is judged by itself.
            if piece.strip() and (section.headings or not _is_listing_text(piece)):
                chunks.append(Chunk(len(chunks), headings, piece.strip()))
    return tuple(chunks)
