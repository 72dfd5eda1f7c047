"""The only finisher: take the lease, aggregate, apply the rules, refine, commit.

Called by the chord's body, by the watcher, by a waiting client and by a reader of an open run past its deadline. It
reads the run in Redis, never the chord's arguments.
"""

import threading
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from contextvars import copy_context
from typing import Any

from orchestrator.after_commit import AfterCommit, run_after_commit
from orchestrator.aggregate import performance_event
from orchestrator.deadline import Deadline
from orchestrator.errors import RunDamaged, RunNotFound, SchemaMismatch, TroubleshootError
from orchestrator.json_safe import utf8_safe
from orchestrator.logs import bound, get_logger, log_error, log_performance, shown
from orchestrator.models import EventType, Report
from orchestrator.run.conclusion import BUSY, FEW_JOBS, Conclusion, conclude
from orchestrator.run.refine import TOKEN_INTERVAL_SECONDS, LeaseLost, Refiner
from orchestrator.run.report import last_resort_report, make_report, stored_report
from orchestrator.store.records import RunRecord
from orchestrator.store.runs import COMMIT_MARGIN_MS, NewEvent, RunStore, new_token
from orchestrator.tracing import Span, parent_of, span, traceparent

_LOGGER = get_logger(__name__)
RENEW_SECONDS = 0.5
"""Seconds after which a lease is renewed, well before it expires."""
MAX_BY_RULES = 6
"""Runs that one process finishes by the rules at the same time at their deadlines, as a caller of many runs does where
no watcher does; the others get the raw data. More threads would take longer than the grace lasts."""
JOB_SECONDS = 0.01
"""Seconds that the rules take for each job of a run with many, when no two of them have a cause in common."""
_BY_RULES = threading.BoundedSemaphore(MAX_BY_RULES)
MAX_MISSING = 20
"""Sources without an answer that a line of the log names."""
MAX_UNHOOKED = 10_000
"""Runs that are remembered for their hooks."""
_NO_WORKER, _NO_WATCHER = {"skipped": "no_worker"}, {"skipped": "no_watcher"}
"""Metadata ``llm`` of an answer that no worker of the synthesis queue has written, whether or not it has a model: none
took the run on, or no source's end and no watcher had called for one."""
_STALE_TRIES = 5
"""Times that a run is read again because an envelope came in between reading and commit."""


class Finisher:
    """Finishes runs in the name of ``by``, with a model where there is a ``refiner``.

    ``after_commit`` are the hooks to call with each report that this finisher commits. ``serves_queue`` marks the
    finisher of a worker of the synthesis queue: its leases are signs of life.
    """

    def __init__(
        self,
        store: RunStore,
        *,
        by: str,
        refiner: Refiner | None = None,
        after_commit: Sequence[AfterCommit] = (),
        serves_queue: bool = False,
    ) -> None:
        self._store = store
        self._serves_queue = serves_queue
        self._after_commit = after_commit
        self._by = by
        self._refiner = refiner
        self._unhooked: deque[str] = deque(maxlen=MAX_UNHOOKED)

    def finish(self, run_id: str, *, in_place_of_worker: bool = False) -> Report | None:
        """Finish a run under its lease: None when another finisher has it, when it is closed, or before the fan-in.

        ``in_place_of_worker``: no worker has taken the run for synthesis, which the answer says.

        Raises RunNotFound, StoreUnreachable, SchemaMismatch.
        """
        token = new_token()
        record = self._store.lease(run_id, token, by=self._by, serves_queue=self._serves_queue)
        if not isinstance(record, RunRecord):
            _LOGGER.info("finish_skipped run_id=%s reason=%s by=%s", run_id, record, self._by)
            return None
        with (
            bound(run_id=run_id, attempt=record.attempt),
            span("troubleshoot.finish", run_id=run_id, attempt=record.attempt, by=self._by) as traced,
        ):
            return _traced(traced, self._finish(record, token, in_place_of_worker))

    def _finish(self, record: RunRecord, token: str, in_place_of_worker: bool) -> Report | None:
        run_id, deadline = record.run_id, Deadline.after(record.remaining_seconds)
        _LOGGER.info("synthesis_started run_id=%s received=%s by=%s", run_id, record.received, self._by)
        with self._renewing(record, token):
            conclusion = conclude(record, briefly=not _has_time(record, deadline.remaining()))
        try:
            lease = _Lease(self._store, run_id, token, self._serves_queue)
            llm = _NO_WORKER if in_place_of_worker and conclusion.case is not None else None
            report, events = self._answer(conclusion, lease, deadline, llm)
        except LeaseLost:
            _LOGGER.warning("finish_lease_lost run_id=%s by=%s", run_id, self._by)
            return None
        status = self._store.commit(
            report, token=token, seen_received=record.received, events=events, stored=record.envelopes
        )
        return self._committed(report, conclusion, status)

    @contextmanager
    def _renewing(self, record: RunRecord, token: str) -> Iterator[None]:
        """Renew the lease while the rules examine many jobs, which may take longer than it lasts."""
        if _jobs_of(record) <= FEW_JOBS:
            yield
            return
        done = threading.Event()

        def renew() -> None:
            while not done.wait(RENEW_SECONDS):
                try:
                    if not self._store.renew(record.run_id, token, serves_queue=self._serves_queue):
                        return
                except TroubleshootError as error:
                    _LOGGER.warning("lease_not_renewed run_id=%s error=%s", record.run_id, shown(error))

        thread = threading.Thread(target=copy_context().run, args=(renew,), name="lease-renewal")
        thread.start()
        try:
            yield
        finally:
            done.set()
            thread.join()

    def finish_at_deadline(self, run_id: str, *, deadline: Deadline | None = None) -> Report | None:
        """Commit the envelopes that are stored, without a model and without the lease; the store refuses before the
        deadline.

        ``deadline`` is that of the run by the clock of a caller that knows it, and holds whatever the Redis clock says.

        Returns the report of this or another finisher, None when it is too early or the run was closed unread.

        Raises RunNotFound, StoreUnreachable, SchemaMismatch.
        """
        parent = None if traceparent() else parent_of(run_id, None, lambda: self._store.traceparent(run_id))
        try:
            with span("troubleshoot.finish", parent=parent, run_id=run_id, by=self._by) as traced:
                return _traced(traced, self._commit_stored(run_id, deadline))
        except TroubleshootError:
            raise
        except Exception as error:  # noqa: BLE001  # border: whatever is stored, the run ends
            log_error(_LOGGER, "finish_failed run_id=%s by=%s", run_id, self._by, error=error)
            self.close_unread(run_id, reason=f"finisher: {type(error).__name__}", is_over=_is_over(deadline))
            return None

    def _commit_stored(self, run_id: str, known: Deadline | None) -> Report | None:
        has_time = _BY_RULES.acquire(blocking=False)
        try:
            return self._try_to_commit(run_id, known, briefly=not has_time)
        finally:
            if has_time:
                _BY_RULES.release()

    def _try_to_commit(self, run_id: str, known: Deadline | None, *, briefly: bool) -> Report | None:
        for _ in range(_STALE_TRIES):
            record = self._store.read(run_id)
            if record.state.is_closed:
                return stored_report(record)
            deadline = known or Deadline.after(record.remaining_seconds)
            conclusion = conclude(record, briefly=briefly or not _has_time(record, deadline.remaining()))
            elapsed_ms = deadline.elapsed_ms(record.total_seconds)
            was_due = record.attempt == 0 and conclusion.case is not None
            llm = (_NO_WORKER if record.is_called else _NO_WATCHER) if was_due else None
            report = make_report(conclusion, by=self._by, total_latency_ms=elapsed_ms, llm=llm)
            status = self._store.commit(
                report,
                token=new_token(),
                seen_received=record.received,
                stored=record.envelopes,
                is_over=_is_over(known),
            )
            if status != "stale":
                return self._committed(report, conclusion, status)
        return None

    def finish_briefly(self, run_ids: Sequence[str]) -> dict[str, str | Exception]:
        """Finish runs with the data of their sources as they came, in a fraction of the time that the rules take.

        For runs whose deadline does not allow for more. Returns of each run ``ok`` or ``closed``; ``held`` while
        another finisher has it or its sources have time; ``stale`` to be called again; or what went wrong. A run that
        is gone or cannot be read has no entry.

        Raises StoreUnreachable.
        """
        statuses: dict[str, str | Exception] = {}
        commits: list[tuple[Report, RunRecord]] = []
        for run_id, record in self._store.read_all(run_ids).items():
            is_early = record.remaining_seconds * 1000 > COMMIT_MARGIN_MS
            if record.state.is_closed:
                statuses[run_id] = "closed"
            elif is_early and record.now_ms < max(record.fan_in_ms, record.leased_ms):
                statuses[run_id] = "held"
            else:
                try:
                    commits.append((self._brief_report(record), record))
                except Exception as error:  # noqa: BLE001  # border: it is finished alone
                    statuses[run_id] = error
        return statuses | self._commit_all(commits)

    def close_briefly(self, run_ids: Sequence[str]) -> dict[str, str | Exception]:
        """Close runs by their outlines, in a fraction of the time of ``finish_briefly``, whose values it returns.

        What their sources answered is in their results. For runs after their fan-in that no finisher has.

        Raises StoreUnreachable.
        """
        return self._commit_all([(report, None) for report in self._last_resorts(run_ids, BUSY)])

    def _brief_report(self, record: RunRecord) -> Report:
        conclusion = conclude(record, briefly=True)
        log_performance(performance_event(record.run_id, conclusion.aggregated))
        return make_report(conclusion, by=self._by, total_latency_ms=float(record.now_ms - record.created_ms))

    def _commit_all(self, commits: Sequence[tuple[Report, RunRecord | None]]) -> dict[str, str | Exception]:
        statuses = self._store.commit_early(commits) if commits else []
        by_run = {report.run_id: status for (report, _), status in zip(commits, statuses, strict=True)}
        if self._after_commit:
            self._unhooked.extend(run_id for run_id, status in by_run.items() if status == "ok")
        return by_run

    def run_hooks(self) -> bool:
        """Call the after-commit hooks for one of the runs that were finished briefly; False when there is none.

        Raises StoreUnreachable.
        """
        if not self._unhooked:
            return False
        report = None
        with suppress(RunDamaged, RunNotFound, SchemaMismatch):
            report = self._store.report(self._unhooked[0])
        self._unhooked.popleft()  # not before: the store may not answer
        if report is not None:
            run_after_commit(self._after_commit, report)
        return True

    def close_unread(self, run_id: str, *, reason: str, is_over: bool = False) -> bool:
        """Close a run that cannot be read, by its state and deadline alone.

        False before the deadline and for a run that is closed already.

        Raises RunNotFound, StoreUnreachable.
        """
        (report,) = self._last_resorts([run_id], reason)
        return self._store.commit(report, token=new_token(), seen_received=None, is_over=is_over) == "ok"

    def _last_resorts(self, run_ids: Sequence[str], reason: str) -> list[Report]:
        outlines = zip(run_ids, self._store.outlines(run_ids), strict=True)
        return [last_resort_report(run_id, outline, by=self._by, reason=reason) for run_id, outline in outlines]

    def _answer(
        self, conclusion: Conclusion, lease: "_Lease", deadline: Deadline, llm: Mapping[str, Any] | None
    ) -> tuple[Report, Sequence[NewEvent]]:
        """The report, and the events that its commit has still to write; ``llm`` says why no model is asked.

        Raises LeaseLost.
        """
        events: Sequence[NewEvent] = _draft_events(conclusion)
        synthesis = None
        if conclusion.case is not None and self._refiner is not None:
            # Readers get the draft while the model writes; without a model it comes with the answer, one call less.
            lease.emit(*events)
            events = ()
            # The thread that holds the lease also renews it: when it is refused, the model's call is cancelled.
            synthesis, llm = self._refiner.refine(conclusion.case, deadline, lease.stream)
        report = make_report(
            conclusion,
            by=self._by,
            total_latency_ms=deadline.elapsed_ms(conclusion.record.total_seconds),
            refined=synthesis.diagnosis if synthesis else None,
            llm=llm,
        )
        return report, events

    def _committed(self, report: Report, conclusion: Conclusion, status: str) -> Report | None:
        if status != "ok":
            _LOGGER.info("commit_refused run_id=%s status=%s by=%s", report.run_id, status, self._by)
            return None
        log_performance(performance_event(report.run_id, conclusion.aggregated))
        # Of those nobody has logged how they ended: the worker is dead, or there was none.
        if missing := [item for item in conclusion.envelopes if item.key not in conclusion.record.envelopes]:
            sources = ",".join(f"{item.key}:{item.outcome.value}" for item in missing[:MAX_MISSING])
            _LOGGER.warning("sources_missing run_id=%s count=%s sources=%s", report.run_id, len(missing), sources)
        log_committed(report)
        run_after_commit(self._after_commit, report)
        return report


def _traced(traced: Span, report: Report | None) -> Report | None:
    if report is not None:
        traced.set(outcome=report.outcome.value, mode=report.mode.value, committed_by=report.committed_by)
    return report


def log_committed(report: Report) -> None:
    """Log the end of a run, as it was committed."""
    _LOGGER.info(
        "run_committed run_id=%s outcome=%s mode=%s by=%s latency_ms=%.1f",
        report.run_id,
        report.outcome.value,
        report.mode.value,
        report.committed_by,
        report.total_latency_ms,
    )


class _Lease:
    """The lease of one run; every write under it raises LeaseLost once another finisher has the run."""

    def __init__(self, store: RunStore, run_id: str, token: str, serves_queue: bool) -> None:
        self._store = store
        self._serves_queue = serves_queue
        self._run_id = run_id
        self._token = token
        self._renewal = Deadline.after(RENEW_SECONDS)
        self._pause = Deadline.after(0)
        self._fragments = ""

    def emit(self, *events: NewEvent) -> None:
        """Append events to the run, which renews the lease as well."""
        if not self._store.emit(self._run_id, self._token, *events, serves_queue=self._serves_queue):
            raise LeaseLost
        self._renewal = Deadline.after(RENEW_SECONDS)

    def stream(self, fragments: str) -> None:
        """Append fragments of the answer, in events at least 50 ms apart; renew the lease when there are none."""
        self._fragments += fragments
        if self._fragments and self._pause.has_passed:
            self.emit((EventType.TOKEN, {"text": utf8_safe(self._fragments)}))
            self._fragments, self._pause = "", Deadline.after(TOKEN_INTERVAL_SECONDS)
        elif self._renewal.has_passed:
            if not self._store.renew(self._run_id, self._token, serves_queue=self._serves_queue):
                raise LeaseLost
            self._renewal = Deadline.after(RENEW_SECONDS)


def _jobs_of(record: RunRecord) -> int:
    return 0 if record.plan is None else len(record.plan.jobs)


def _has_time(record: RunRecord, seconds: float) -> bool:
    """Whether the rules can examine all jobs of a run in the time that is left."""
    jobs = _jobs_of(record)
    return jobs <= FEW_JOBS or jobs * JOB_SECONDS <= seconds


def _is_over(deadline: Deadline | None) -> bool:
    return deadline is not None and deadline.has_passed


def _draft_events(conclusion: Conclusion) -> list[NewEvent]:
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
