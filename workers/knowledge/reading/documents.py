"""Documents, their sections and the chunks that are indexed."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Section:
    """A heading and the text below it, up to the next heading."""

    headings: tuple[str, ...]
    """From the document's first level down to this section; empty for text before the first heading."""
    text: str


@dataclass(frozen=True, slots=True)
class Document:
    """A file that was read."""

    title: str
    language: str
    sections: tuple[Section, ...]


@dataclass(frozen=True, slots=True)
class Chunk:
    """A piece of a section, small enough to be ranked and embedded."""

    ordinal: int
    headings: tuple[str, ...]
    text: str

    @property
    def section(self) -> str:
        """The headings below the document's title, as one line."""
        return " / ".join(self.headings[1:] or self.headings)
