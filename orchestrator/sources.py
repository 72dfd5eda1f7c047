"""What a source is, and the registry of installed ones.

A source registers itself as an entry point of group ``resync_troubleshoot.sources``; the name of the entry point is
the source's name, its queue and the tail of its task's name. Nothing else has to be told about it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from typing import Any, Protocol

from orchestrator.errors import ConfigurationError, WorkersNotInstalled
from orchestrator.i18n.message import Text
from orchestrator.models import Evidence, SourceOutcome, SourceRequest

SOURCES_GROUP = "resync_troubleshoot.sources"
BUILTIN_SOURCES = ("tws_status", "rag_search", "log_cache", "metrics")


@dataclass(frozen=True, slots=True)
class FetchResult:
    """What a source found. ``no_data``: it answered and had nothing; an error is raised instead.

    A ``Message`` is written in the question's language; a plain string is shown as it is.
    """

    outcome: SourceOutcome = SourceOutcome.OK
    data: dict[str, Any] = field(default_factory=dict)
    evidence: tuple[Evidence, ...] = ()
    finding: Text | str = ""
    """One line for the live view."""
    asked: tuple[str, ...] = ()
    """What was asked, over which window; no secrets."""
    where: str = ""
    """The counterpart: host, file or key pattern; no credentials."""
    truncated: Text | str | None = None
    """What was cut and by how much; several cuts are one text by ``join(cuts, "; ")``."""


class Source(Protocol):
    """A data source. Async and cancellable; it knows nothing of Celery or of the store."""

    async def fetch(self, request: SourceRequest) -> FetchResult:
        """Ask the counterpart within ``request.limit_seconds``.

        Raises SourceError with a machine-readable ``reason``. Cancelling the coroutine must close what it opened.
        """
        ...

    async def close(self) -> None:
        """Release the clients held by this source."""
        ...


@dataclass(frozen=True, slots=True)
class SourceSpec:
    """The registration of a source."""

    name: str
    create: Callable[[Mapping[str, str]], Source]
    """Builds the source from the environment; raises ConfigurationError naming the variable."""
    per_job: bool = True
    """Asked once per job of the question, or once per run."""
    known_instances: Callable[[Mapping[str, str]], tuple[str, ...]] | None = None
    """Names of the TWS instances this source can ask; a submit for any other is refused."""
    prepare: Callable[[Mapping[str, str]], None] | None = None
    """What a worker does once before its first message, so that no question pays for it; may raise SourceError."""


def call_limit_seconds(limit_seconds: float) -> float:
    """Seconds for the calls of a fetch that may take ``limit_seconds``: a tenth less, at least 50 ms, at most 0.5 s.

    A client that gives up before its source does tells which counterpart was slow, and closes what it opened.
    """
    return max(0.05, limit_seconds - max(0.05, min(0.5, 0.1 * limit_seconds)))


def _installed() -> dict[str, EntryPoint]:
    # The first on the path wins, so that a site (or a test) can put its own source in the place of a built-in one.
    found: dict[str, EntryPoint] = {}
    for point in entry_points(group=SOURCES_GROUP):
        found.setdefault(point.name, point)
    return found


@cache
def source_names() -> tuple[str, ...]:
    """Names of the installed sources: the built-in four first, then a site's own by name."""
    installed = _installed()
    own = sorted(set(installed) - set(BUILTIN_SOURCES))
    return (*(name for name in BUILTIN_SOURCES if name in installed), *own)


@cache
def load_source(name: str) -> SourceSpec:
    """The registration of one source.

    Raises WorkersNotInstalled when the code it needs is missing, ConfigurationError for an unknown name.
    """
    point = _installed().get(name)
    if point is None:
        known = ", ".join(source_names())
        raise ConfigurationError("source {name!r} is not installed; installed: {known}", name=name, known=known)
    try:
        spec = point.load()
    except ImportError as error:
        raise WorkersNotInstalled(
            "source {name!r} needs {package}: pip install 'resync-troubleshoot[workers]'",
            name=name,
            package=error.name or str(error),
        ) from error
    if not isinstance(spec, SourceSpec) or spec.name != name:
        raise ConfigurationError(
            "entry point {point!r} must be a SourceSpec named {name!r}", point=point.value, name=name
        )
    return spec
