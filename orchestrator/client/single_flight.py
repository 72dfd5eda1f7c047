"""A run's end, brought about or read once per run and process, however many wait for it there."""

from __future__ import annotations

import threading
import time
from concurrent.futures import Future
from dataclasses import dataclass

from orchestrator.client.waiting import Pulse
from orchestrator.models import Report
from orchestrator.run.finisher import Finisher
from orchestrator.run.report import stored_report
from orchestrator.store.runs import RunStore

_KEPT_SECONDS = 1.0
"""How long an ending is kept for readers that come to it a little later than others."""


@dataclass(frozen=True, slots=True)
class Ending:
    """How a run stands at its deadline or after its end."""

    report: Report | None
    """None: it is still open."""
    remaining_seconds: float = 0.0
    """To the deadline of an open run, by the store's clock: it may be a little behind ours."""


class Endings:
    """Ends runs for all readers of a process; safe to share between threads."""

    def __init__(self, store: RunStore, finisher: Finisher, pulse: Pulse) -> None:
        self._store = store
        self._finisher = finisher
        self._pulse = pulse
        self._lock = threading.Lock()
        self._asked: dict[str, Future[Ending]] = {}
        self._kept: dict[str, tuple[float, Ending]] = {}

    def end(self, run_id: str, *, is_closed: bool) -> Ending:
        """The report of a run that has ended (``is_closed``), or the end of one whose deadline has come.

        While another thread asks the same, its answer is waited for, or its error raised.

        Raises RunNotFound, StoreUnreachable, SchemaMismatch.
        """
        with self._lock:
            kept, asked = self._kept.get(run_id), self._asked.get(run_id)
            if kept is not None and kept[0] > time.monotonic():
                return kept[1]
            if asked is None:
                mine = self._asked[run_id] = Future[Ending]()
        if asked is not None:
            return asked.result()
        try:
            ending = self._report(run_id) if is_closed else self._finish(run_id)
        except BaseException as error:
            self._settle(run_id)
            mine.set_exception(error)
            raise
        self._pulse.beat()
        self._settle(run_id, ending)
        mine.set_result(ending)
        return ending

    def _settle(self, run_id: str, ending: Ending | None = None) -> None:
        now = time.monotonic()
        with self._lock:
            del self._asked[run_id]
            # The oldest first; only they can be over.
            while self._kept and self._kept[oldest := next(iter(self._kept))][0] <= now:
                del self._kept[oldest]
            if ending is not None and ending.report is not None:
                self._kept[run_id] = now + _KEPT_SECONDS, ending

    def _finish(self, run_id: str) -> Ending:
        report = self._finisher.finish_at_deadline(run_id)
        if report is not None:
            return Ending(report)
        state, remaining_ms = self._store.state(run_id)
        return self._report(run_id) if state.is_closed else Ending(None, remaining_ms / 1000)

    def _report(self, run_id: str) -> Ending:
        return Ending(self._store.report(run_id) or stored_report(self._store.read(run_id)))
