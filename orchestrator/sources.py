"""The interface of a source, and the registry of installed sources.

A source is registered as an entry point of group ``resync_troubleshoot.sources``. The entry point's name is the name of
the source, its queue and its task; nothing else needs to be configured.
"""

from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from typing import Any, Protocol, runtime_checkable

from orchestrator.errors import ConfigurationError, SourceError
from orchestrator.i18n.message import Message, Text
from orchestrator.models import Evidence, SourceOutcome, SourceRequest
from orchestrator.plugins import Escaped, contained, not_loaded

SOURCES_GROUP = "resync_troubleshoot.sources"
BUILTIN_SOURCES = ("tws_status", "rag_search", "log_cache", "metrics")
CIRCUIT_STATES = ("closed", "half-opened", "opened")
"""Of a ``CircuitSource``, by how bad each is."""
JOB_LOG_SOURCE = "tws_status"
"""The built-in source that reads the job log and gives clues (``SourceRequest.clues``) to the others."""


@dataclass(frozen=True, slots=True)
class FetchResult:
    """The result of a source. ``no_data`` is a result without content; failures are raised as SourceError.

    A ``Message`` in ``finding`` or ``truncated`` is written in the question's language, a plain string shown as it is.
    """

    outcome: SourceOutcome = SourceOutcome.OK
    data: dict[str, Any] = field(default_factory=dict)
    evidence: tuple[Evidence, ...] = ()
    finding: Text | str = ""
    """One line, for the live view."""
    asked: tuple[str, ...] = ()
    """The queries, with their time window; no secrets."""
    where: str = ""
    """The counterpart: host, file or key pattern; no credentials."""
    truncated: Text | str | None = None
    """What was cut and by how much; several cuts are one text by ``join(cuts, "; ")``."""
    seconds: float | None = None
    """Of a job of a batch: how long it took itself. None: it is taken to have begun with the batch."""


class Source(Protocol):
    """A data source: async, cancellable, independent of Celery and of the store."""

    async def fetch(self, request: SourceRequest) -> FetchResult:
        """Query the counterpart within ``request.limit_seconds``.

        Raises SourceError with a machine-readable ``reason``. Cancellation must close whatever was opened.
        """
        ...

    async def close(self) -> None:
        """Close the clients held by this source."""
        ...


@runtime_checkable
class BatchSource(Source, Protocol):
    """A source that can be asked about many jobs in one call."""

    def fetch_many(self, request: SourceRequest) -> AsyncIterator[tuple[str, FetchResult | SourceError]]:
        """The results for ``request.jobs``, each as soon as it is known, in any order.

        What has been given when the limit comes is kept; a job that is not given by then has timed out. What is raised
        is the error of all jobs that are missing. Cancellation must close whatever was opened.
        """
        ...


@runtime_checkable
class CircuitSource(Source, Protocol):
    """A source that leaves a counterpart alone for a while after it has failed."""

    def circuits(self) -> Mapping[str, str]:
        """By the name of each counterpart ``closed``, ``opened`` (left alone) or ``half-opened`` (to be tried again).

        For the metrics of a worker; called by another thread.
        """
        ...


@dataclass(frozen=True, slots=True)
class SourceSpec:
    """The registration of a source."""

    name: str
    create: Callable[[Mapping[str, str]], Source]
    """Builds the source from the environment. Raises ConfigurationError naming the variable."""
    per_job: bool = True
    """Queried once per job of the question, else once per run."""
    batch_size: int = 1
    """Most jobs that one task asks about, by ``BatchSource.fetch_many``, at most 50; 1: a task for each job."""
    known_instances: Callable[[Mapping[str, str]], tuple[str, ...]] | None = None
    """Names of the TWS instances that this source serves; a submit for any other is refused."""
    prepare: Callable[[Mapping[str, str]], None] | None = None
    """Run once per worker before its first message, for slow preparations. May raise SourceError."""


def call_limit_seconds(limit_seconds: float) -> float:
    """Seconds for the calls of a fetch limited to ``limit_seconds``: less by a tenth, but by 50 ms to 0.5 s.

    A client that times out before its source does can name the slow counterpart and close its connections.
    """
    return max(0.05, limit_seconds - max(0.05, min(0.5, 0.1 * limit_seconds)))


def _installed() -> dict[str, EntryPoint]:
    # The first on the path wins, so that a site or a test can replace a built-in source.
    points: dict[str, EntryPoint] = {}
    for point in entry_points(group=SOURCES_GROUP):
        points.setdefault(point.name, point)
    return points


@cache
def source_names() -> tuple[str, ...]:
    """Names of the installed sources: the built-in four, then a site's own in alphabetical order."""
    installed = _installed()
    own = sorted(set(installed) - set(BUILTIN_SOURCES))
    return (*(name for name in BUILTIN_SOURCES if name in installed), *own)


@cache
def load_source(name: str) -> SourceSpec:
    """The registration of one source.

    Raises WorkersNotInstalled when the code it needs is missing, ConfigurationError for any other source that is none.
    """
    point = _installed().get(name)
    if point is None:
        known = ", ".join(source_names())
        raise ConfigurationError("source {name!r} is not installed; installed: {known}", name=name, known=known)
    try:
        with contained():
            spec = point.load()
    except ImportError as error:
        raise not_loaded(Message("source {name!r}", name=name), error) from error
    except Exception as error:  # border: a site's module may raise anything
        cause = error.error if isinstance(error, Escaped) else error
        detail = f"{type(cause).__name__}: {cause}"
        raise ConfigurationError("source {name!r} cannot be loaded: {detail}", name=name, detail=detail) from error
    if not isinstance(spec, SourceSpec) or spec.name != name:
        raise ConfigurationError(
            "entry point {point!r} must be a SourceSpec named {name!r}", point=point.value, name=name
        )
    return spec
