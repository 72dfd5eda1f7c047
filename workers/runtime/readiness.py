"""Checks a worker's configuration before it takes messages, and announces its TWS instances."""

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager

from orchestrator.after_commit import load_after_commit
from orchestrator.config import Settings
from orchestrator.errors import SourceError, TroubleshootError
from orchestrator.logs import get_logger, log_error
from orchestrator.plugins import contained, made_or
from orchestrator.routing.registry import check_pipelines
from orchestrator.run.conclusion import warm_up
from orchestrator.sources import SourceSpec, load_source, source_names
from orchestrator.store.connection import session
from orchestrator.store.keys import ORCHESTRATOR_QUEUE, SYNTHESIS_QUEUE, Keys
from orchestrator.store.presence import Presence
from orchestrator.synthesis import load_synthesizer

_LOGGER = get_logger(__name__)
ANNOUNCE_SECONDS = 30.0
_last_announced: dict[str, float] = {}


def check_sources(queues: Iterable[str], environ: Mapping[str, str]) -> None:
    """Create and prepare each source of this worker, so that a wrong setting stops it at its start.

    Any other failure, also of a preparation, is logged and left to the first request.

    Raises ConfigurationError naming the variable, WorkersNotInstalled.
    """
    for name in set(queues) & set(source_names()):
        spec = load_source(name)
        with _unexpected_logged("source_not_created", name):
            spec.create(environ)
        if spec.prepare is not None:
            with _unexpected_logged("source_not_prepared", name):
                spec.prepare(environ)


@contextmanager
def _unexpected_logged(event: str, name: str) -> Iterator[None]:
    """Log what a site's code raises that is not about its settings, as ``event``: the worker starts all the same."""
    try:
        with contained():
            yield
    except SourceError as error:
        _LOGGER.warning(f"{event} source=%s reason=%s error=%s", name, error.reason, error)
    except TroubleshootError:
        raise
    except Exception as error:  # noqa: BLE001  # border: a site's code may raise anything
        log_error(_LOGGER, f"{event} source=%s reason=unexpected", name, error=error)


def check_synthesis(queues: Iterable[str], environ: Mapping[str, str]) -> None:
    """Load synthesizer and after-commit steps of this worker, so that a wrong setting stops it at its start.

    Raises ConfigurationError naming the variable.
    """
    if SYNTHESIS_QUEUE in queues:
        for name, load in (("synthesizer", load_synthesizer), ("after_commit", load_after_commit)):
            with _unexpected_logged("hook_not_created", name):
                load(environ)


def check_planning(queues: Iterable[str], environ: Mapping[str, str]) -> None:
    """Read the pipelines of the site for a worker that plans. Raises ConfigurationError naming file and key."""
    if ORCHESTRATOR_QUEUE in queues:
        check_pipelines(environ)


def load_catalogues(queues: Iterable[str]) -> None:
    """Load at the start of a worker that plans or answers what its first run would otherwise wait for."""
    if {ORCHESTRATOR_QUEUE, SYNTHESIS_QUEUE} & set(queues):
        warm_up()


def announce_instances(queues: Iterable[str], settings: Settings, environ: Mapping[str, str]) -> None:
    """Announce the worker's TWS instances in the store, at most every ``ANNOUNCE_SECONDS``."""
    now = time.monotonic()
    if now - _last_announced.get("at", -ANNOUNCE_SECONDS) < ANNOUNCE_SECONDS:
        return
    _last_announced["at"] = now
    specs = [load_source(name) for name in set(queues) & set(source_names())]
    nothing: tuple[str, ...] = ()
    known = [made_or(nothing, _instances(spec), environ, event="instances_not_known") for spec in specs]
    names = [name for instances in known for name in instances]
    if not names:
        return
    try:
        with session(settings) as client:
            Presence(client, Keys(settings.key_prefix)).announce(instances=names)
    except TroubleshootError as error:
        _LOGGER.warning("announce_failed reason=%s", error.reason)


def _instances(spec: SourceSpec) -> Callable[[Mapping[str, str]], tuple[str, ...]]:
    known = spec.known_instances
    return lambda environ: tuple(map(str, known(environ))) if known else ()


def broker_problem(settings: Settings) -> str | None:
    """Why Redis does not serve over a new connection, or None.

    A Redis that became a replica, is full or may not write answers a ping; this writes, and changes nothing.
    """
    try:
        with session(settings) as client:
            client.setrange(Keys(settings.key_prefix).broker_prefix + "nothing", 0, "")
    except TroubleshootError as error:
        return str(error)
    return None
