"""Documents, their sections and their chunks."""

from dataclasses import dataclass
from typing import ClassVar

from orchestrator.errors import TroubleshootError


class UnreadableDocument(TroubleshootError, ValueError):
    """The file cannot be read as a document."""

    reason: ClassVar[str] = "unreadable_document"


@dataclass(frozen=True, slots=True)
class Section:
    """A heading and the text below it, up to the next heading."""

    headings: tuple[str, ...]
    """From the document's first level down to this section; empty for text before the first heading."""
    text: str


@dataclass(frozen=True, slots=True)
class Standing:
    """Whether a page still holds, and which others it brings to an end."""

    withdrawn: bool = False
    """It says of itself that it is revoked, obsolete or replaced."""
    topic: str = ""
    """Its title without version and date: equal for all editions of one page."""
    edition: str = ""
    """Version or date, sortable among its kind, which is the first letter; empty without one."""
    names: tuple[str, ...] = ()
    """What others call it: title and file name."""
    replaces: tuple[str, ...] = ()
    """Names of the pages that it says it replaces."""


@dataclass(frozen=True, slots=True)
class Document:
    """The content of a file."""

    title: str
    language: str
    sections: tuple[Section, ...]
    standing: Standing = Standing()


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
