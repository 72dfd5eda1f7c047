"""Asking one source for one run: the limit, the border and the envelope, the same on a worker and in process."""

import time
from collections.abc import Callable
from concurrent.futures import CancelledError, Future
from dataclasses import dataclass, field

from orchestrator.deadline import Deadline
from orchestrator.models import NO_CLUES, ClueBoard, PlannedSource, SourceEnvelope, SourceRequest
from orchestrator.outcomes import Blockage
from orchestrator.plugins import contained
from orchestrator.run.envelopes import error_envelope, result_envelope, timeout_envelope
from orchestrator.sources import FetchResult
from orchestrator.store.records import SourceStart

FAN_IN_MARGIN_SECONDS = 0.05
"""A source is stopped this long before the fan-in, so that its envelope is stored before the partials are frozen."""


class LimitReached(Exception):
    """The time for this source is over; ``blockage`` is what blocked the event loop then."""

    blockage: Blockage | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceCall:
    """One source of a plan, asked once for a run.

    The caller fetches ``source_request()`` in its own way, on a thread or on a loop, and stops after
    ``limit_seconds``; ``envelope`` turns whatever came of it into the envelope to store.
    """

    run_id: str
    planned: PlannedSource
    start: SourceStart
    worker: str
    soft_limit_seconds: float | None = None
    """The task's soft time limit; None: the plan's limit for this source."""
    redact_personal: bool = False
    """Mask e-mail addresses and CPF/CNPJ numbers as well as secrets."""
    clues: ClueBoard = NO_CLUES
    """What the other sources of the run have found."""
    _began: float = field(default_factory=time.monotonic)

    @property
    def limit_seconds(self) -> float:
        """Seconds for the fetch, from the start of the call; zero or less when no time is left to the fan-in."""
        return min(self.soft_seconds, self.start.remaining_seconds - FAN_IN_MARGIN_SECONDS)

    @property
    def soft_seconds(self) -> float:
        """The source's own limit in seconds, whatever is left to the fan-in."""
        return self.planned.limit_seconds if self.soft_limit_seconds is None else self.soft_limit_seconds

    def source_request(self) -> SourceRequest:
        """The request to fetch.

        Raises LimitReached when no time is left, so that no fetch is started then.
        """
        if self.limit_seconds <= 0:
            raise LimitReached
        request, plan = self.start.request, self.start.plan
        return SourceRequest(
            run_id=self.run_id,
            source=self.planned.source,
            job=self.planned.job,
            message=request.message,
            routing=plan.routing,
            tws_instance_id=request.tws_instance_id,
            limit_seconds=self.limit_seconds,
            result_limit=request.config.rag_result_limit,
            clues=self.clues,
        )

    def envelope(self, fetch: Callable[[], FetchResult]) -> SourceEnvelope:
        """The redacted envelope of what ``fetch`` returns or raises, with the call's start and latency."""
        return self.timed(self._envelope(fetch))

    def timed(self, envelope: SourceEnvelope) -> SourceEnvelope:
        """The envelope with the call's start and latency."""
        latency_ms = round((time.monotonic() - self._began) * 1000, 1)
        waited_ms = min(round(self.clues.waited_seconds * 1000, 1), latency_ms)
        return envelope.model_copy(
            update={"latency_ms": latency_ms, "waited_ms": waited_ms, "started_at_ms": self.start.now_ms}
        )

    def _envelope(self, fetch: Callable[[], FetchResult]) -> SourceEnvelope:
        planned, language = self.planned, self.start.plan.routing.language
        try:
            result = fetch()
            # Within the border: what a source returned may be as wrong as what it raises.
            with contained():
                return result_envelope(
                    planned,
                    result,
                    worker=self.worker,
                    language=language,
                    personal=self.redact_personal,
                    until=Deadline(self._began + self.start.remaining_seconds - FAN_IN_MARGIN_SECONDS),
                )
        except LimitReached as error:
            return timeout_envelope(
                planned,
                limit_seconds=self.limit_seconds,
                language=language,
                worker=self.worker,
                blockage=error.blockage,
            )
        except Exception as error:  # noqa: BLE001  # border: a source may raise anything, the others still serve
            return error_envelope(
                self.run_id, planned, error, worker=self.worker, language=language, personal=self.redact_personal
            )


def fetched(fetch: Future[FetchResult]) -> FetchResult:
    """What a fetch has returned by now; one that is still running is cancelled.

    Raises LimitReached when it was still running, and whatever the source raised, as an ``Exception``.
    """
    if not fetch.done():
        fetch.cancel()
        raise LimitReached
    if fetch.cancelled():
        raise CancelledError("the source cancelled itself")
    with contained():
        return fetch.result()
