"""Stops the queries of runs that have ended: a run that was cancelled needs no more answers."""

import threading
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from typing import Any

from orchestrator.errors import StoreUnreachable
from orchestrator.logs import get_logger
from orchestrator.models import RunState
from orchestrator.store.runs import RunStore

_LOGGER = get_logger(__name__)
POLL_SECONDS = 0.5


class EndedRuns:
    """Reads the states of the runs for which this process queries, all in one call, and cancels what has become idle.

    In a thread of its own, so that a slow store delays no answer. Thread-safe.
    """

    def __init__(self, store: RunStore, *, poll_seconds: float = POLL_SECONDS) -> None:
        self._store = store
        self._poll_seconds = poll_seconds
        self._lock = threading.Lock()
        self._queries: dict[Future[Any], tuple[str, threading.Event]] = {}
        self._thread: threading.Thread | None = None
        self._closed = threading.Event()

    @contextmanager
    def watching(self, run_id: str, query: Future[Any]) -> Iterator[threading.Event]:
        """Cancel ``query`` in the block if the run ends, of which the event tells."""
        has_ended = threading.Event()
        with self._lock:
            self._queries[query] = run_id, has_ended
            if self._thread is None:
                self._thread = threading.Thread(target=self._watch, name="ended-runs", daemon=True)
                self._thread.start()
        try:
            yield has_ended
        finally:
            with self._lock:
                del self._queries[query]

    def close(self) -> None:
        """End the thread."""
        self._closed.set()

    def _watch(self) -> None:
        while not self._closed.wait(self._poll_seconds):
            with self._lock:
                queries = dict(self._queries)
                if not queries:
                    self._thread = None
                    return
            try:
                self._cancel_idle(queries)
            except Exception:
                _LOGGER.exception("ended_runs_failed")  # the queries go on to their limits

    def _cancel_idle(self, queries: dict[Future[Any], tuple[str, threading.Event]]) -> None:
        run_ids = list(dict.fromkeys(run_id for run_id, _ in queries.values()))
        try:
            states = dict(zip(run_ids, self._store.states(run_ids), strict=True))
        except StoreUnreachable:
            return  # they go on to their limits
        for query, (run_id, has_ended) in queries.items():
            state = states[run_id]
            if isinstance(state, RunState) and state.is_closed and not query.done():
                has_ended.set()
                query.cancel()
                _LOGGER.info("source_stopped run_id=%s reason=%s", run_id, state)
