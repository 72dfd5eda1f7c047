"""Asking one source for one run: the limit, the border and the envelope, the same on a worker and in process."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from concurrent.futures import CancelledError, Future
from dataclasses import dataclass, field
from typing import Any

from orchestrator.deadline import Deadline
from orchestrator.errors import SourceError
from orchestrator.i18n.languages import Language
from orchestrator.logs import bound
from orchestrator.models import NO_CLUES, ClueBoard, PlannedSource, SourceEnvelope, SourceRequest
from orchestrator.outcomes import Blockage
from orchestrator.plugins import awaited, contained
from orchestrator.redaction.redact import redacting
from orchestrator.run.envelopes import batch_envelope, error_envelope, result_envelope, timeout_envelope
from orchestrator.run.retries import PAUSE_SECONDS, may_pass, with_retries
from orchestrator.sources import BatchSource, FetchResult, Source
from orchestrator.store.records import SourceStart

FAN_IN_MARGIN_SECONDS = 0.05
"""A source is stopped this long before the fan-in, so that its envelope is stored before the partials are frozen."""


class LimitReached(Exception):
    """The time for this source is over; ``blockage`` is what blocked the event loop then."""

    blockage: Blockage | None = None


@dataclass(frozen=True, slots=True)
class _Given:
    """What a source gave for a job of a batch, with the time at which it began and ended, by the monotonic clock."""

    what: object
    began: float
    ended: float


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceCall:
    """One source of a plan, asked once for a run, about one job, a batch of jobs or the whole question.

    The caller runs ``fetch`` in its own way, on a thread or on a loop, and stops after ``limit_seconds``; ``envelope``
    turns whatever came of it into the envelope to store.
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
    _given: dict[str, _Given] = field(default_factory=dict)
    """What the source has given by now for the jobs of a batch."""
    _parts: dict[str, tuple[_Given, SourceEnvelope]] = field(default_factory=dict)
    """The envelopes of these as far as they are made, each with what it is made of."""

    @property
    def limit_seconds(self) -> float:
        """Seconds for the fetch, from the start of the call; zero or less when no time is left to the fan-in."""
        return min(self.soft_seconds, self.start.remaining_seconds - FAN_IN_MARGIN_SECONDS)

    @property
    def left_seconds(self) -> float:
        """Seconds of the limit that are left: the call may have waited for an answer of another run."""
        return self.limit_seconds - (time.monotonic() - self._began)

    @property
    def soft_seconds(self) -> float:
        """The source's own limit in seconds, whatever is left to the fan-in."""
        return self.planned.limit_seconds if self.soft_limit_seconds is None else self.soft_limit_seconds

    def source_request(self) -> SourceRequest:
        """The request to fetch.

        Raises LimitReached when no time is left, so that no fetch is started then.
        """
        limit_seconds = self.left_seconds
        if limit_seconds <= 0:
            raise LimitReached
        request, plan = self.start.request, self.start.plan
        return SourceRequest(
            run_id=self.run_id,
            source=self.planned.source,
            job=self.planned.job,
            jobs=self.planned.jobs,
            message=request.message,
            routing=plan.routing,
            tws_instance_id=request.tws_instance_id,
            limit_seconds=limit_seconds,
            result_limit=request.config.rag_result_limit,
            jobs_follow=self.planned in plan.awaited,
            clues=self.clues,
        )

    async def fetch(self, source: Source, request: SourceRequest) -> FetchResult | None:
        """Ask the source; None for a batch, whose results are kept here as they come.

        Raises what the source raises, what would end the event loop as ``Escaped``.
        """
        if (task := asyncio.current_task()) is not None:
            # Of an error with which a source answers its cancellation, asyncio would log that nobody has read it.
            task.add_done_callback(_read_error)
        # A source masks what it cuts, before its envelope is.
        with redacting(personal=self.redact_personal):
            if self.planned.batch is None:
                return await awaited(lambda: with_retries(lambda: source.fetch(request), self.planned.retries))
            await awaited(lambda: self._fetch_batch(source, request))
            return None

    async def _fetch_batch(self, source: Source, request: SourceRequest) -> None:
        """Ask about all jobs, then again about those that have no answer for a reason that may pass."""
        for left in range(self.planned.retries, -1, -1):
            try:
                with bound(attempt=self.planned.retries - left + 1):
                    await self._fetch_many(source, request)
            except Exception as error:  # border: a source may raise anything
                if not left or not may_pass(error):
                    raise
            open_jobs = tuple(job for job in request.jobs if not self._is_settled(job))
            if not left or not open_jobs:
                return
            request = request.model_copy(update={"jobs": open_jobs})
            await asyncio.sleep(PAUSE_SECONDS)

    def _is_settled(self, job: str) -> bool:
        given = self._given.get(job)
        return given is not None and not (isinstance(given.what, Exception) and may_pass(given.what))

    async def _fetch_many(self, source: Source, request: SourceRequest) -> None:
        many = source if isinstance(source, BatchSource) else None
        results = _one_by_one(source, request) if many is None else many.fetch_many(request)
        expected, making, since = set(request.jobs), [], time.monotonic()
        try:
            async for job, what in results:
                ended = time.monotonic()
                if job in expected:
                    expected.remove(job)
                    seconds = what.seconds if isinstance(what, FetchResult) else None
                    began = since if seconds is None else max(since, ended - max(seconds, 0.0))
                    self._given[job] = _Given(what, began, ended)
                    # In a thread, while the source works on: after the limit there is no time for it.
                    making.append(asyncio.ensure_future(asyncio.to_thread(self._make_part, job)))
                since = ended if many is None else since
            if making:
                await asyncio.wait(making)
        finally:
            if (close := getattr(results, "aclose", None)) is not None:
                await close()

    def _make_part(self, job: str) -> SourceEnvelope:
        """The envelope of a job for which something was given."""
        given = self._given[job]
        planned = self.planned.model_copy(update={"job": job, "jobs": (), "batch": None})
        part = self._timed(self._made(planned, given.what), given.began, given.ended)
        self._parts[job] = given, part
        return part

    def _part(self, job: str) -> SourceEnvelope:
        """The envelope of what was given last for a job: after an error the source may have been asked again."""
        given, part = self._parts.get(job, (None, None))
        return part if part is not None and given is self._given[job] else self._make_part(job)

    def envelope(self, fetch: Callable[[], FetchResult | None]) -> SourceEnvelope:
        """The redacted envelope of what ``fetch`` returns or raises, with the call's start and latency.

        In that of a batch each job has its own: of what was given for it, else of what ``fetch`` raised.
        """
        is_batch = self.planned.batch is not None
        try:
            what: object = fetch()
        except Exception as error:  # noqa: BLE001  # border: a source may raise anything, the others still serve
            what = error
        if not is_batch:
            return self.timed(self._made(self.planned, what))
        # The source may still be giving results, in another thread.
        parts = {job: self._part(job) for job in tuple(self._given)}
        if missing := tuple(job for job in self.planned.jobs if job not in parts):
            rest = self.planned.model_copy(update={"jobs": missing})
            why = SourceError("the source gave no result for this job", reason="no_result") if what is None else what
            parts |= {str(part.job): self.timed(part) for part in self._made(rest, why).parts}
        return batch_envelope(self.planned, (parts[job] for job in self.planned.jobs), language=self._language)

    @property
    def _language(self) -> Language:
        return self.start.plan.routing.language

    def timed(self, envelope: SourceEnvelope) -> SourceEnvelope:
        """The envelope with the call's start and latency; so have its parts."""
        timed = self._timed(envelope, self._began, time.monotonic())
        return timed.model_copy(update={"parts": tuple(map(self.timed, envelope.parts))}) if envelope.parts else timed

    def _timed(self, envelope: SourceEnvelope, began: float, ended: float) -> SourceEnvelope:
        latency_ms = round((ended - began) * 1000, 1)
        waited_ms = min(round(self.clues.waited_seconds * 1000, 1), latency_ms)
        started_at_ms = self.start.now_ms + round((began - self._began) * 1000)
        return envelope.model_copy(
            update={"latency_ms": latency_ms, "waited_ms": waited_ms, "started_at_ms": started_at_ms}
        )

    def _made(self, planned: PlannedSource, what: Any) -> SourceEnvelope:
        """The envelope of what the source returned or raised."""
        language = self._language
        try:
            # Within the border: what a source returned may be as wrong as what it raises.
            with contained():
                return result_envelope(
                    planned,
                    _result(what),
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


def _read_error(task: "asyncio.Task[Any]") -> None:
    if not task.cancelled():
        task.exception()


async def _one_by_one(
    source: Source, request: SourceRequest
) -> AsyncIterator[tuple[str, FetchResult | SourceError | Exception]]:
    """The results of a source that takes one job at a time."""
    for job in request.jobs:
        what: FetchResult | Exception
        try:
            what = await source.fetch(request.model_copy(update={"job": job, "jobs": ()}))
        except Exception as error:  # noqa: BLE001  # border: what it raises for one job is no error of the next
            what = error
        yield job, what


def _result(what: Any) -> Any:
    if isinstance(what, BaseException):
        raise what
    return what


def fetched(fetch: Future[FetchResult | None]) -> FetchResult | None:
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
