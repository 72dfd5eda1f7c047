"""Checks a worker's configuration before it takes messages, and announces its TWS instances."""

import logging
import time
from collections.abc import Iterable, Mapping

from orchestrator.after_commit import load_after_commit
from orchestrator.broker.app import ORCHESTRATOR_QUEUE, SYNTHESIS_QUEUE
from orchestrator.config import Settings
from orchestrator.errors import SourceError, TroubleshootError
from orchestrator.run.conclusion import warm_up
from orchestrator.sources import load_source, source_names
from orchestrator.store.connection import session
from orchestrator.store.keys import Keys
from orchestrator.store.presence import Presence
from orchestrator.synthesis import load_synthesizer

_LOGGER = logging.getLogger(__name__)
ANNOUNCE_SECONDS = 30.0
_last_announced: dict[str, float] = {}


def check_sources(queues: Iterable[str], environ: Mapping[str, str]) -> None:
    """Create and prepare each source of this worker, so that a wrong setting stops it at its start.

    A failed preparation is logged and repeated by the first request.

    Raises ConfigurationError naming the variable, WorkersNotInstalled.
    """
    for name in set(queues) & set(source_names()):
        spec = load_source(name)
        spec.create(environ)
        if spec.prepare is not None:
            try:
                spec.prepare(environ)
            except SourceError as error:
                _LOGGER.warning("source_not_prepared source=%s reason=%s error=%s", name, error.reason, error)


def check_synthesis(queues: Iterable[str], environ: Mapping[str, str]) -> None:
    """Load synthesizer and after-commit steps of this worker, so that a wrong setting stops it at its start.

    Raises ConfigurationError naming the variable.
    """
    if SYNTHESIS_QUEUE in queues:
        load_synthesizer(environ)
        load_after_commit(environ)


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
    names = [name for spec in specs if spec.known_instances for name in spec.known_instances(environ)]
    if not names:
        return
    try:
        with session(settings) as client:
            Presence(client, Keys(settings.key_prefix)).announce(instances=names)
    except TroubleshootError as error:
        _LOGGER.warning("announce_failed reason=%s", error.reason)


def broker_answers(settings: Settings) -> bool:
    """Whether Redis answers a ping within its timeout, over a new connection."""
    try:
        with session(settings) as client:
            return bool(client.ping())
    except TroubleshootError:
        return False
