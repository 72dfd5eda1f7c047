"""Single-flight: a run is finished, or its report read, once per process, however many readers wait for it."""

import threading
import time
from concurrent.futures import Future

from orchestrator.client.waiting import Pulse
from orchestrator.deadline import Deadline
from orchestrator.models import Report
from orchestrator.run.finisher import Finisher
from orchestrator.run.report import stored_report
from orchestrator.store.runs import RunStore

_CACHE_SECONDS = 1.0
"""Seconds for which a run's end is cached, for readers that ask for it a little later than others."""


class SingleFlight:
    """Finishes runs and reads their reports for all readers of a process; safe to share between threads."""

    def __init__(self, store: RunStore, finisher: Finisher, pulse: Pulse) -> None:
        self._store = store
        self._finisher = finisher
        self._pulse = pulse
        self._lock = threading.Lock()
        self._in_flight: dict[str, Future[Report | None]] = {}
        self._cache: dict[str, tuple[float, Report]] = {}

    def end(self, run_id: str, *, is_closed: bool, deadline: Deadline | None = None) -> Report | None:
        """The report of a closed run; one that is open at its deadline is finished first; None of an open run.

        ``deadline`` is that of the run by the clock of this process, where it is known.

        A call for a run that another thread is busy with waits for that thread, and returns or raises the same.

        Raises RunNotFound, StoreUnreachable, SchemaMismatch.
        """
        with self._lock:
            cached, leader = self._cache.get(run_id), self._in_flight.get(run_id)
            if cached is not None and cached[0] > time.monotonic():
                return cached[1]
            if leader is None:
                mine = self._in_flight[run_id] = Future[Report | None]()
        if leader is not None:
            return leader.result()
        try:
            with self._pulse.working():
                report = self._report(run_id) if is_closed else self._finish(run_id, deadline)
        except BaseException as error:
            self._settle(run_id)
            mine.set_exception(error)
            raise
        self._settle(run_id, report)
        mine.set_result(report)
        return report

    def _settle(self, run_id: str, report: Report | None = None) -> None:
        now = time.monotonic()
        with self._lock:
            del self._in_flight[run_id]
            # The entries are in the order of their expiry.
            while self._cache and self._cache[oldest := next(iter(self._cache))][0] <= now:
                del self._cache[oldest]
            if report is not None:
                self._cache[run_id] = now + _CACHE_SECONDS, report

    def _finish(self, run_id: str, deadline: Deadline | None) -> Report | None:
        report = self._finisher.finish_at_deadline(run_id, deadline=deadline)
        if report is not None:
            return report
        state, _ = self._store.state(run_id)
        return self._report(run_id) if state.is_closed else None

    def _report(self, run_id: str) -> Report:
        return self._store.report(run_id) or stored_report(self._store.read(run_id))
