"""Asking the sources in this process with ``asyncio.gather``: the fallback when no worker takes a run.

The sources are the workers' own, found through their entry points; this file never imports them.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Self

from orchestrator.deadline import Deadline
from orchestrator.models import Plan, PlannedSource, SourceEnvelope, SourceRequest, TroubleshootRequest
from orchestrator.run.envelopes import answered, fit, raised, source_request, timed_out
from orchestrator.sources import Source, load_source

WORKER = "in-process"
Begin = Callable[[PlannedSource], Awaitable[bool]]
Put = Callable[[SourceEnvelope], Awaitable[None]]


@dataclass(slots=True)
class LocalSources:
    """The sources of a plan, made from the environment and closed at the end; an async context manager."""

    environ: Mapping[str, str] = field(default_factory=lambda: os.environ)
    redact_personal: bool = False
    _made: dict[str, Source] = field(default_factory=dict)

    def get(self, name: str) -> Source:
        """The source of that name.

        Raises WorkersNotInstalled, ConfigurationError.
        """
        if name not in self._made:
            self._made[name] = load_source(name).create(self.environ)
        return self._made[name]

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await asyncio.gather(*(source.close() for source in self._made.values()), return_exceptions=True)


async def ask_all(
    run_id: str,
    request: TroubleshootRequest,
    plan: Plan,
    *,
    sources: LocalSources,
    fan_in: Deadline,
    begin: Begin,
    put: Put,
) -> list[SourceEnvelope]:
    """Ask every planned source at once, each within its limit and what remains to the fan-in.

    ``begin`` may turn a source down (another worker has it); ``put`` gets each envelope as it is made.
    """

    async def ask(planned: PlannedSource) -> SourceEnvelope | None:
        if not await begin(planned):
            return None
        clock = asyncio.get_running_loop().time
        began, limit = clock(), min(planned.limit_seconds, fan_in.remaining())
        asked = source_request(run_id, request, plan, planned, limit_seconds=max(limit, 0.001))
        envelope = await _envelope(asked, planned, sources, limit)
        envelope = envelope.model_copy(update={"latency_ms": round((clock() - began) * 1000, 1)})
        await put(envelope)
        return envelope

    found = await asyncio.gather(*(ask(planned) for planned in plan.sources))
    return [envelope for envelope in found if envelope is not None]


async def _envelope(
    asked: SourceRequest, planned: PlannedSource, sources: LocalSources, limit: float
) -> SourceEnvelope:
    language = asked.routing.language
    try:
        # Not asyncio.timeout around the call: its TimeoutError could not be told from one of the source's own.
        task = asyncio.ensure_future(sources.get(planned.source).fetch(asked))
        done, _ = await asyncio.wait({task}, timeout=max(limit, 0.0))
        if not done:
            task.cancel()
            await asyncio.wait({task}, timeout=1.0)
            return timed_out(planned, limit_seconds=limit, language=language, worker=WORKER)
        return fit(answered(planned, task.result(), worker=WORKER, language=language, personal=sources.redact_personal))
    except Exception as error:  # noqa: BLE001  # border: a source may raise anything, the others still serve
        return raised(
            asked.run_id,
            planned,
            error,
            worker=WORKER,
            language=language,
            personal=sources.redact_personal,
        )
