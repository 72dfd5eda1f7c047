"""The interface of a knowledge base, whatever database holds it."""

from dataclasses import dataclass, field
from typing import ClassVar, Protocol

from orchestrator.errors import SourceError
from orchestrator.i18n.message import Message
from workers.knowledge.ranking.query import KnowledgeQuery


class KnowledgeError(SourceError):
    """The knowledge base could not answer."""

    reason: ClassVar[str] = "knowledge_unavailable"


@dataclass(frozen=True, slots=True)
class Hit:
    """A passage that matches the query: the matching section with its neighbours."""

    document: str
    title: str
    section: str
    text: str
    score: float
    """Higher is better; comparable within one answer only."""
    codes: tuple[str, ...] = ()
    language: str = ""
    cut_characters: int = 0
    """Characters of the section that do not fit into ``text``."""
    withdrawn: bool = False
    """Whether the page is revoked, obsolete, or older than its successor: it supports nothing."""

    @property
    def where(self) -> str:
        """``document#section``, as evidence cites it."""
        return f"{self.document}#{self.section}" if self.section else self.document


@dataclass(frozen=True, slots=True)
class SearchResult:
    """Passages, best first."""

    hits: tuple[Hit, ...] = ()
    total_found: int = 0
    """Relevant passages before the limit was applied."""
    backend: str = ""
    where: str = ""
    """The file or table that was searched; no path of this machine, no credentials."""
    notes: tuple[Message, ...] = ()
    """Parts of the search that were skipped, for example because the embedding endpoint did not answer."""


@dataclass(frozen=True, slots=True)
class KnowledgeStats:
    """Size and age of the knowledge base."""

    backend: str
    where: str
    documents: int
    passages: int
    embedded: int = 0
    """Passages with a vector of the configured model."""
    languages: dict[str, int] = field(default_factory=dict)
    """Documents per language."""
    updated_at: str | None = None
    """Time of the newest indexing (ISO 8601, UTC)."""


class KnowledgeBase(Protocol):
    """A searchable set of passages. Async, cancellable, read-only."""

    async def search(self, query: KnowledgeQuery, *, limit: int, timeout_seconds: float) -> SearchResult:
        """At most ``limit`` passages from different places, best first; none when nothing is relevant.

        Raises KnowledgeError when the database does not answer within ``timeout_seconds``.
        """
        ...

    async def stats(self, *, timeout_seconds: float) -> KnowledgeStats:
        """Count documents and passages. Raises KnowledgeError."""
        ...

    async def close(self) -> None:
        """Release connections and threads."""
        ...
