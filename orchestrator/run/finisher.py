"""The one finisher: lease, aggregate, rules, model, commit.

Called by the chord's body, by the watcher, by a waiting client and by whoever reads an open run past its deadline.
It reads the run in Redis, never the chord's arguments.
"""

from __future__ import annotations

import logging
import queue
import time
from collections.abc import Callable, Coroutine, Sequence
from concurrent.futures import CancelledError, Future
from concurrent.futures import TimeoutError as FutureTimeoutError
from dataclasses import dataclass
from typing import Any

from orchestrator.after_commit import AfterCommit, run_after_commit
from orchestrator.aggregate import performance_event
from orchestrator.deadline import Deadline
from orchestrator.errors import TroubleshootError
from orchestrator.json_safe import storable_text
from orchestrator.logs import log_error, log_performance
from orchestrator.models import EventType, Report
from orchestrator.run.conclusion import Conclusion, conclude
from orchestrator.run.report import last_resort_report, make_report, stored_report
from orchestrator.store.records import RunRecord
from orchestrator.store.runs import NewEvent, RunStore, new_token
from orchestrator.synthesis import Case, Synthesis, Synthesizer, refinement_failure, synthesis_of

_LOGGER = logging.getLogger(__name__)
RENEW_SECONDS = 0.5
COMMIT_RESERVE_SECONDS = 0.5
"""Kept free for the commit: a model gets the remaining time less this."""
TOKEN_INTERVAL_SECONDS = 0.05
"""At least this lies between two fragments in a run's events."""
_STALE_TRIES = 5


@dataclass(frozen=True, slots=True)
class Refiner:
    """A synthesizer, and the way to run its coroutine outside the calling thread."""

    synthesizer: Synthesizer
    submit: Callable[[Coroutine[Any, Any, Synthesis]], Future[Synthesis]]


class LeaseLost(Exception):
    """Another finisher has the run."""


class Finisher:
    """Finishes runs in the name of ``by``."""

    def __init__(
        self,
        store: RunStore,
        *,
        by: str,
        refiner: Refiner | None = None,
        after_commit: Sequence[AfterCommit] = (),
    ) -> None:
        self._store = store
        self._after_commit = after_commit
        self._by = by
        self._refiner = refiner

    def finish(self, run_id: str) -> Report | None:
        """Take the lease, write the answer, commit; None when somebody else has the run or it is too early.

        Raises RunNotFound, StoreUnreachable, SchemaMismatch.
        """
        token = new_token()
        record = self._store.lease(run_id, token, by=self._by)
        if not isinstance(record, RunRecord):
            _LOGGER.info("finish_skipped run_id=%s reason=%s by=%s", run_id, record, self._by)
            return None
        clock = _RunClock(record)
        conclusion = conclude(record)
        try:
            report, events = self._answer(conclusion, token, clock)
        except LeaseLost:
            _LOGGER.warning("finish_lease_lost run_id=%s by=%s", run_id, self._by)
            return None
        status = self._store.commit(
            report, token=token, seen_received=record.received, events=events, stored=record.envelopes
        )
        return self._committed(report, conclusion, status)

    def finish_at_deadline(self, run_id: str) -> Report | None:
        """Commit what is there, without a model and without asking for the lease: only at the deadline.

        Raises RunNotFound, StoreUnreachable, SchemaMismatch.
        """
        try:
            return self._commit_what_is_there(run_id)
        except TroubleshootError:
            raise
        except Exception as error:  # noqa: BLE001  # border: whatever is stored, the run ends
            log_error(_LOGGER, "finish_failed run_id=%s by=%s", run_id, self._by, error=error)
            self.close_unread(run_id, reason=f"finisher: {type(error).__name__}")
            return None

    def _commit_what_is_there(self, run_id: str) -> Report | None:
        for _ in range(_STALE_TRIES):
            record = self._store.read(run_id)
            if record.state.is_closed:
                return stored_report(record)
            clock = _RunClock(record)
            conclusion = conclude(record)
            report = make_report(conclusion, by=self._by, total_latency_ms=clock.elapsed_ms())
            status = self._store.commit(
                report, token=new_token(), seen_received=record.received, stored=record.envelopes
            )
            if status != "stale":
                return self._committed(report, conclusion, status)
        return None

    def close_unread(self, run_id: str, *, reason: str) -> bool:
        """The last resort: close a run that cannot be read, from its state and its deadline alone.

        False before the deadline and for a run that is closed. Raises RunNotFound, StoreUnreachable.
        """
        report = last_resort_report(run_id, by=self._by, reason=reason)
        return self._store.commit(report, token=new_token(), seen_received=None) == "ok"

    def _answer(self, conclusion: Conclusion, token: str, clock: _RunClock) -> tuple[Report, Sequence[NewEvent]]:
        """The report, and the events that its commit has still to write."""
        events: Sequence[NewEvent] = _drafted(conclusion)
        refined, llm = None, None
        if conclusion.case is not None and self._refiner is not None:
            # Readers get the draft while the model writes; without a model it comes with the answer, one call less.
            self._emit(conclusion.record.run_id, token, *events)
            events = ()
            refined, llm = self._refine(conclusion.case, self._refiner, token, clock)
        report = make_report(
            conclusion,
            by=self._by,
            total_latency_ms=clock.elapsed_ms(),
            refined=refined.diagnosis if refined else None,
            llm=llm,
        )
        return report, events

    def _refine(
        self, case: Case, refiner: Refiner, token: str, clock: _RunClock
    ) -> tuple[Synthesis | None, dict[str, Any]]:
        limit = clock.deadline.remaining() - COMMIT_RESERVE_SECONDS
        if limit <= COMMIT_RESERVE_SECONDS:
            return None, {"skipped": "no_time_left"}
        fragments: queue.SimpleQueue[str] = queue.SimpleQueue()
        bound = Deadline.after(limit)
        future = refiner.submit(refiner.synthesizer.synthesize(case, timeout_seconds=limit, emit=fragments.put_nowait))
        try:
            # The thread that holds the lease also renews it and writes the fragments: when it is refused, the
            # coroutine is cancelled, and with it the model's connection is closed.
            renew, pause, held = Deadline.after(RENEW_SECONDS), Deadline.after(0), ""
            while not future.done() and not bound.has_passed:
                self._wait(future, min(TOKEN_INTERVAL_SECONDS, bound.remaining()))
                held += _drain(fragments)
                if held and pause.has_passed:
                    self._emit(case.run_id, token, _token(held))
                    renew, pause, held = Deadline.after(RENEW_SECONDS), Deadline.after(TOKEN_INTERVAL_SECONDS), ""
                elif renew.has_passed:
                    self._renew(case.run_id, token)
                    renew = Deadline.after(RENEW_SECONDS)
            held += _drain(fragments)
            # Too soon after the last one there is no need for another: the final answer follows at once.
            if held and pause.has_passed and future.done():
                self._emit(case.run_id, token, _token(held))
            return synthesis_of(case.run_id, future)
        except LeaseLost:
            raise
        except Exception as error:  # noqa: BLE001  # border: a synthesizer of a site may raise anything
            return None, refinement_failure(case.run_id, error)
        finally:
            future.cancel()

    @staticmethod
    def _wait(future: Future[Synthesis], seconds: float) -> None:
        try:
            future.exception(timeout=seconds)
        except (FutureTimeoutError, CancelledError):
            return

    def _emit(self, run_id: str, token: str, *events: NewEvent) -> None:
        if not self._store.emit(run_id, token, *events):
            raise LeaseLost

    def _renew(self, run_id: str, token: str) -> None:
        if not self._store.renew(run_id, token):
            raise LeaseLost

    def _committed(self, report: Report, conclusion: Conclusion, status: str) -> Report | None:
        if status != "ok":
            _LOGGER.info("commit_refused run_id=%s status=%s by=%s", report.run_id, status, self._by)
            return None
        log_performance(performance_event(report.run_id, conclusion.aggregated))
        run_after_commit(self._after_commit, report)
        return report


def _token(text: str) -> NewEvent:
    return EventType.TOKEN, {"text": storable_text(text)}


def _drafted(conclusion: Conclusion) -> list[NewEvent]:
    data = conclusion.aggregated
    aggregated = {
        "sources_available": list(data.sources_available),
        "sources_failed": [failure.model_dump(mode="json") for failure in data.sources_failed],
        "parallel_latency_ms": data.parallel_latency_ms,
        "sequential_equivalent_ms": data.sequential_equivalent_ms,
        "speedup_factor": data.speedup_factor,
    }
    events: list[NewEvent] = [(EventType.AGGREGATED, aggregated)]
    if conclusion.draft is not None:
        draft = {
            "text": conclusion.response,
            "category": conclusion.draft.category,
            "confidence": conclusion.draft.confidence,
        }
        events.append((EventType.DRAFT, draft))
    return events


class _RunClock:
    """The run's times on this process's monotonic clock, from one reading of the Redis clock."""

    def __init__(self, record: RunRecord) -> None:
        self._read_at = time.monotonic()
        self._age_ms = record.now_ms - record.created_ms
        self.deadline = Deadline.after(record.remaining_seconds)

    def elapsed_ms(self) -> float:
        """Milliseconds since the run was accepted."""
        return self._age_ms + (time.monotonic() - self._read_at) * 1000


def _drain(fragments: queue.SimpleQueue[str]) -> str:
    parts = []
    while not fragments.empty():
        parts.append(fragments.get_nowait())
    return "".join(parts)
