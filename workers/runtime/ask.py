"""Asking one source for one run, without Celery: begin, fetch within the limit, store the envelope."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Coroutine
from concurrent.futures import Future, wait
from dataclasses import dataclass
from typing import Any

from celery.exceptions import SoftTimeLimitExceeded

from orchestrator.errors import RunDamaged, SchemaMismatch, TroubleshootError
from orchestrator.models import PlannedSource, SourceEnvelope, SourceRequest, source_key
from orchestrator.run.envelopes import answered, fit, raised, source_request, timed_out
from orchestrator.sources import FetchResult, Source
from orchestrator.store.records import SourceStart
from orchestrator.store.runs import RunStore

_LOGGER = logging.getLogger(__name__)
FAN_IN_MARGIN_SECONDS = 0.05
"""A source stops this long before the fan-in, so that its envelope is in before the partials are frozen."""


@dataclass(frozen=True, slots=True)
class Asking:
    """What a task needs to ask sources: the store, and the process's loop and clients."""

    store: RunStore
    source: Callable[[str], Source]
    submit: Callable[[Coroutine[Any, Any, FetchResult]], Future[FetchResult]]
    worker: str
    redact_personal: bool = False
    native_limits: bool = False
    """Under prefork Celery raises ``SoftTimeLimitExceeded`` itself; the wait here is only a second line then."""

    def ask(
        self, run_id: str, source: str, job: str | None, *, claim: str, soft_limit_seconds: float | None
    ) -> dict[str, Any]:
        """Ask one source and store what came back; the small result is all that Celery sees.

        ``soft_limit_seconds`` is the task's own, as its message carries it.
        """
        key = source_key(source, job)
        try:
            start = self.store.begin_source(run_id, key, claim, source=source, job=job, worker=self.worker)
        except (RunDamaged, SchemaMismatch) as error:
            return self._unread(run_id, source, job, error, claim=claim)
        if isinstance(start, str):
            _LOGGER.info("source_skipped run_id=%s source=%s reason=%s", run_id, key, start)
            return {"source": source, "outcome": start, "latency_ms": 0.0}
        planned = next((item for item in start.plan.sources if item.key == key), None)
        if planned is None:
            return {"source": source, "outcome": "not_planned", "latency_ms": 0.0}
        soft = planned.limit_seconds if soft_limit_seconds is None else soft_limit_seconds
        limit = min(soft, start.remaining_seconds - FAN_IN_MARGIN_SECONDS)
        began = time.monotonic()
        envelope = self._envelope(run_id, planned, start, limit=limit, soft=soft)
        latency_ms = round((time.monotonic() - began) * 1000, 1)
        envelope = envelope.model_copy(update={"latency_ms": latency_ms, "started_at_ms": start.now_ms})
        try:
            status = self.store.put_envelope(run_id, claim, envelope)
        except SoftTimeLimitExceeded:
            # Prefork's signal came while the answer was on its way; it comes once, and the claim makes two puts one.
            status = self.store.put_envelope(run_id, claim, envelope)
        _LOGGER.info(
            "source_finished run_id=%s source=%s outcome=%s latency_ms=%s status=%s",
            run_id,
            key,
            envelope.outcome,
            latency_ms,
            status,
        )
        return {"source": source, "outcome": envelope.outcome.value, "latency_ms": latency_ms}

    def _unread(
        self, run_id: str, source: str, job: str | None, error: TroubleshootError, *, claim: str
    ) -> dict[str, Any]:
        """The question cannot be read here: the source says so in the place of an answer."""
        _LOGGER.warning("source_unread run_id=%s source=%s error=%s", run_id, source_key(source, job), error)
        planned = PlannedSource(source=source, job=job, limit_seconds=1)
        self.store.put_envelope(run_id, claim, raised(run_id, planned, error, worker=self.worker))
        return {"source": source, "outcome": error.reason, "latency_ms": 0.0}

    def _envelope(
        self, run_id: str, planned: PlannedSource, start: SourceStart, *, limit: float, soft: float
    ) -> SourceEnvelope:
        if limit <= 0:
            return self._timed_out(planned, start, limit)
        request = source_request(run_id, start.request, start.plan, planned, limit_seconds=limit)
        language = request.routing.language
        # Where Celery stops the task at its soft limit, only the fan-in is left for the wait here.
        bound = limit + 1.0 if self.native_limits and limit >= soft else limit
        try:
            result = self._fetch(self.source(planned.source), request, bound)
            # Within the border: what a source returned may be as wrong as what it raises.
            return fit(answered(planned, result, worker=self.worker, language=language, personal=self.redact_personal))
        except SoftTimeLimitExceeded:
            return self._timed_out(planned, start, limit)
        except Exception as error:  # noqa: BLE001  # border: a source may raise anything, the others still serve
            return raised(run_id, planned, error, worker=self.worker, language=language, personal=self.redact_personal)

    def _timed_out(self, planned: PlannedSource, start: SourceStart, limit: float) -> SourceEnvelope:
        language = start.plan.routing.language
        return timed_out(planned, limit_seconds=limit, language=language, worker=self.worker)

    def _fetch(self, source: Source, request: SourceRequest, bound: float) -> FetchResult:
        future = self.submit(source.fetch(request))
        try:
            # Not result(timeout): on 3.11 its TimeoutError cannot be told from one that the source raised itself.
            done, _ = wait([future], timeout=bound)
        except SoftTimeLimitExceeded:
            if not future.done():
                future.cancel()
                raise
            return future.result()
        if not done and not future.done():
            future.cancel()
            raise SoftTimeLimitExceeded(bound)
        return future.result()
