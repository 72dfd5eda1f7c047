"""Asking the sources in this process, each on an event loop of its own: the fallback when no worker takes a run.

The sources are those of the workers, found through their entry points; this file never imports them.
"""

import asyncio
import logging
import os
import time
from collections.abc import Awaitable, Callable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass, field
from functools import partial
from typing import Self

from orchestrator.deadline import Deadline
from orchestrator.errors import SourceError
from orchestrator.logs import bound, get_logger
from orchestrator.models import Plan, PlannedSource, SourceEnvelope, TroubleshootRequest
from orchestrator.outcomes import LOOP_BLOCKED
from orchestrator.plugins import close_all, contained
from orchestrator.routing.stages import next_stage
from orchestrator.run.clues import ClaimedClues, LocalClues
from orchestrator.run.envelopes import log_finished
from orchestrator.run.loop_thread import LoopThread, end_threads, too_many_blocked
from orchestrator.run.source_call import SourceCall, fetched
from orchestrator.sources import FetchResult, Source, load_source
from orchestrator.store.records import SourceStart, of_each_job
from orchestrator.tracing import annotate, span

_LOGGER = get_logger(__name__)
WORKER = "in-process"
Begin = Callable[[PlannedSource], Awaitable[SourceStart | None]]
Put = Callable[[SourceEnvelope], Awaitable[None]]


@dataclass(slots=True)
class LocalSources:
    """The sources that this process asks, made from the environment; closed at the end of the ``async with`` block.

    Each is made, asked and closed in a thread of its own: one that blocks, or ends its event loop, costs no other
    source its answer and delays no caller. A thread that is blocked when the block ends is left behind.
    """

    environ: Mapping[str, str] = field(default_factory=lambda: os.environ)
    redact_personal: bool = False
    _sources: dict[str, Source] = field(default_factory=dict)
    _threads: dict[str, LoopThread] = field(default_factory=dict)

    def get(self, name: str) -> Source:
        """The source of that name, made at its first use.

        Raises WorkersNotInstalled, ConfigurationError.
        """
        if name not in self._sources:
            self._sources[name] = load_source(name).create(self.environ)
        return self._sources[name]

    async def __aenter__(self) -> Self:
        return self

    def submit(self, call: SourceCall) -> Future[FetchResult | None]:
        """Start the call in the thread of its source.

        The future raises what the source raises, and SourceError while too many earlier calls block their threads.
        """
        name = call.planned.source
        if name not in self._threads:
            if count := too_many_blocked():
                refused: Future[FetchResult | None] = Future()
                error = SourceError(
                    "not queried: earlier queries of this process still block their threads ({count})",
                    count=count,
                    reason=LOOP_BLOCKED,
                )
                refused.set_exception(error)
                return refused
            self._threads[name] = LoopThread(f"source-{name}")
        return self._threads[name].submit(_fetch(call, self))

    async def __aexit__(self, *_: object) -> None:
        await end_threads({thread: partial(self._close, name) for name, thread in self._threads.items()})

    async def _close(self, name: str) -> None:
        if (source := self._sources.get(name)) is not None:
            await close_all((source.close,), event="source_close_failed")


async def ask_all(
    run_id: str, plan: Plan, *, sources: LocalSources, begin: Begin, put: Put | None = None
) -> list[SourceEnvelope]:
    """Ask every planned source of a stage at once, and the stages one after the other; see ``ask``."""
    clues, stage = LocalClues(plan, sources.redact_personal), plan
    asks: dict[str, asyncio.Task[SourceEnvelope | None]] = {}
    try:
        while True:
            for planned in stage.sources:
                work = ask(run_id, planned, sources=sources, clues=clues, begin=begin, put=put)
                asks[planned.key] = asyncio.create_task(work)
            if not plan.then:
                break
            answers = await asyncio.gather(*(asks[planned.key] for planned in plan.awaited))
            stage = next_stage(plan, of_each_job(filter(None, answers), plan))
            plan = clues.plan = plan.with_stage(stage)
        return [envelope for envelope in await asyncio.gather(*asks.values()) if envelope is not None]
    finally:
        for task in asks.values():
            task.cancel()


async def ask(
    run_id: str,
    planned: PlannedSource,
    *,
    sources: LocalSources,
    clues: LocalClues | ClaimedClues,
    begin: Begin,
    put: Put | None = None,
) -> SourceEnvelope | None:
    """Ask a source within its limit and what remains to the fan-in.

    ``begin`` returns None for a source that another worker has; ``put`` takes the envelope as soon as it is made.
    """
    with (
        bound(run_id=run_id, source=planned.key, worker=WORKER),
        span(f"troubleshoot.source.{planned.source}", run_id=run_id, source=planned.source, worker=WORKER),
    ):
        start = await begin(planned)
        if start is not None:
            return await _ask(run_id, planned, start, sources=sources, clues=clues, put=put)
    await clues.end(planned)
    return None


async def _ask(
    run_id: str,
    planned: PlannedSource,
    start: SourceStart,
    *,
    sources: LocalSources,
    clues: LocalClues | ClaimedClues,
    put: Put | None,
) -> SourceEnvelope:
    call = SourceCall(
        run_id=run_id,
        planned=planned,
        start=start,
        worker=WORKER,
        redact_personal=sources.redact_personal,
        clues=clues.board_of(planned),
    )
    _LOGGER.info("source_started run_id=%s source=%s limit_seconds=%.1f", run_id, planned.key, call.limit_seconds)
    fetch = sources.submit(call)
    waiting = asyncio.wrap_future(fetch)
    # It may hear of the end only after the wait for it; of an error that nobody has read then, asyncio would log.
    waiting.add_done_callback(_read_error)
    try:
        # Not asyncio.timeout: its TimeoutError could not be distinguished from one that the source raised.
        await asyncio.wait({waiting}, timeout=max(call.left_seconds, 0.0))
        envelope = call.envelope(lambda: fetched(fetch))
        # The caller is told in the answer; where it has set up no logging, a warning would appear on its terminal.
        log_finished(run_id, envelope, "stored", failed=logging.INFO)
        annotate(outcome=envelope.outcome.value, latency_ms=envelope.latency_ms)
        await clues.end(planned)
        if put is not None:
            await put(envelope)
    finally:
        fetch.cancel()
    return envelope


def _read_error(future: asyncio.Future[FetchResult | None]) -> None:
    if not future.cancelled():
        future.exception()


def begin_without_store(request: TroubleshootRequest, plan: Plan, fan_in: Deadline) -> Begin:
    """A ``begin`` for a run that is not stored: every source is asked, by the clock of this process."""

    async def begin(_: PlannedSource) -> SourceStart:
        return SourceStart(
            request=request, plan=plan, remaining_seconds=fan_in.remaining(), now_ms=int(time.time() * 1000)
        )

    return begin


async def _fetch(call: SourceCall, sources: LocalSources) -> FetchResult | None:
    request = call.source_request()
    with contained():
        source = sources.get(request.source)
    return await call.fetch(source, request)
