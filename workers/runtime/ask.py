"""Asks one source for one run, independent of Celery: begin, fetch within the limit, store the envelope."""

import signal
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import Future, wait
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from dataclasses import dataclass
from threading import Event
from types import FrameType
from typing import Any

from celery.exceptions import SoftTimeLimitExceeded

from orchestrator.deadline import Deadline
from orchestrator.errors import RunDamaged, SchemaMismatch
from orchestrator.logs import bound, get_logger
from orchestrator.models import PlannedSource, SourceEnvelope, read_part, source_key
from orchestrator.outcomes import Blockage
from orchestrator.plugins import contained
from orchestrator.run.clues import StoredClues
from orchestrator.run.envelopes import log_finished, unreadable_envelope
from orchestrator.run.sharing import SharedAnswers
from orchestrator.run.source_call import LimitReached, SourceCall, fetched
from orchestrator.sources import FetchResult, Source
from orchestrator.store.records import SourceStart
from orchestrator.store.runs import RunStore

_LOGGER = get_logger(__name__)
NOT_ASKED = "not_asked"
STORED = "stored"
"""Status of an envelope that enters the answer of its run."""

_is_interruptible = False


@contextmanager
def soft_limit_signal() -> Iterator[None]:
    """In a prefork child: let the signal of the soft time limit raise SoftTimeLimitExceeded in the block only.

    Celery sends it when the limit has passed and it has not yet heard that the task is done. In 5.7.0 one that comes
    later raises wherever the child is by then: while it stores the answer or counts its part of the chord, which are
    then lost, or while it takes the next message, which ends the child.
    """
    global _is_interruptible  # noqa: PLW0603  # there is one signal per process
    _is_interruptible = True
    try:
        yield
    finally:
        _is_interruptible = False


def heed_soft_limit() -> None:
    """In a prefork child: take the signal of the soft time limit over from Celery, for ``soft_limit_signal``."""
    signal.signal(signal.SIGUSR1, _on_soft_limit)


def _on_soft_limit(_number: int, _frame: FrameType | None) -> None:
    global _is_interruptible  # noqa: PLW0603
    if _is_interruptible:
        _is_interruptible = False
        raise SoftTimeLimitExceeded


def not_asked(source: str, reason: str) -> dict[str, Any]:
    """What Celery receives of a source that was not asked, and why: its run was ``done``, say."""
    return {"source": source, "outcome": NOT_ASKED, "reason": reason}


def answer_summary(envelope: SourceEnvelope, status: str) -> dict[str, Any]:
    """What Celery receives of a source that was asked: ``source``, ``outcome`` and ``latency_ms``.

    The outcome of an answer that does not enter the run's is what became of it: ``late`` or ``duplicate``, and
    ``answer`` has its own.
    """
    summary = {"source": envelope.source, "outcome": envelope.outcome.value, "latency_ms": envelope.latency_ms}
    return summary if status == STORED else {**summary, "outcome": status, "answer": envelope.outcome.value}


@dataclass(frozen=True, slots=True)
class SourceRunner:
    """Asks sources with the store, the event loop and the clients of this process."""

    store: RunStore
    source: Callable[[str], Future[Source]]
    """The source of that name, which may be still in the making."""
    submit: Callable[[Coroutine[Any, Any, FetchResult | None], str], Future[FetchResult | None]]
    """Start a coroutine on the event loop, as the code of the source with that key."""
    worker: str
    blockage: Callable[[], Blockage | None] = lambda: None
    """What blocks the event loop."""
    watching: Callable[[str, Future[Any]], AbstractContextManager[Event]] = lambda _run_id, _query: nullcontext(Event())
    """Cancels a query whose run ends in the block, and sets the event."""
    redact_personal: bool = False
    native_limits: bool = False
    """Whether Celery enforces the soft limit itself, by a signal that ``heed_soft_limit`` has taken over (prefork)."""

    def ask(
        self, run_id: str, source: str, part: str | None, *, claim: str, soft_limit_seconds: float | None
    ) -> dict[str, Any]:
        """Ask one source about a job, a batch or all, and store its envelope; Celery receives only a short summary.

        ``soft_limit_seconds`` is the soft time limit of the task's message. The summary is ``answer_summary``'s or
        ``not_asked``'s.

        Raises RunNotFound, RunDamaged when the run's key is no hash, StoreUnreachable.
        """
        key, (job, _) = source_key(source, part), read_part(part)
        try:
            start = self.store.begin_source(
                run_id,
                key,
                claim,
                source=source,
                job=job,
                worker=self.worker,
                limit_seconds=soft_limit_seconds,
            )
        except (RunDamaged, SchemaMismatch) as error:
            self.store.put_envelope(run_id, claim, unreadable_envelope(run_id, source, part, error, self.worker))
            return not_asked(source, error.reason)
        if isinstance(start, str):
            _LOGGER.info("source_skipped run_id=%s source=%s reason=%s", run_id, key, start)
            return not_asked(source, start)
        planned = next((item for item in start.plan.sources if item.key == key), None)
        if planned is None:
            return not_asked(source, "not_planned")
        with bound(source=key):
            return self._ask_about(run_id, planned, start, claim, soft_limit_seconds)

    def _ask_about(
        self, run_id: str, planned: PlannedSource, start: SourceStart, claim: str, soft_limit_seconds: float | None
    ) -> dict[str, Any]:
        key = planned.key
        call = SourceCall(
            run_id=run_id,
            planned=planned,
            start=start,
            worker=self.worker,
            soft_limit_seconds=soft_limit_seconds,
            redact_personal=self.redact_personal,
            clues=StoredClues(self.store, run_id, start.plan, key, claim, redact_personal=self.redact_personal),
        )
        _LOGGER.info("source_started run_id=%s source=%s limit_seconds=%.1f", run_id, key, call.limit_seconds)
        envelope = SharedAnswers(self.store).answer(call, lambda: call.envelope(lambda: self._fetch(call)))
        status = self.store.put_envelope(run_id, claim, envelope)
        log_finished(run_id, envelope, status)
        return answer_summary(envelope, status)

    def _fetch(self, call: SourceCall) -> FetchResult | None:
        request = call.source_request()
        future, end = None, Deadline.after(request.limit_seconds)
        with suppress(SoftTimeLimitExceeded), soft_limit_signal() if self.native_limits else nullcontext():
            # Not result(timeout): in Python 3.11 its TimeoutError cannot be distinguished from the source's own.
            made = self.source(request.source)
            wait([made], timeout=end.remaining())
            if made.done():
                with contained():
                    source = made.result()
                future = self.submit(call.fetch(source, request), call.planned.key)
                with self.watching(call.run_id, future) as has_ended:
                    wait([future], timeout=end.remaining())
                if has_ended.is_set():
                    raise LimitReached
        if future is None:
            raise LimitReached
        try:
            return fetched(future)
        except LimitReached as error:
            error.blockage = self.blockage()
            raise
