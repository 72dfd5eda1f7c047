"""The in-process fallback: a run that no worker has dispatched, or a question without any store."""

import asyncio
import logging
import os
import time
import uuid
from typing import Any

from orchestrator.after_commit import try_after_commit
from orchestrator.aggregate import performance_event
from orchestrator.client.aio import AsyncTroubleshootClient
from orchestrator.client.sync import masked_request
from orchestrator.config import Settings
from orchestrator.deadline import Deadline
from orchestrator.errors import RunDamaged, RunNotFound, RunRefused, SchemaMismatch
from orchestrator.logs import log_performance
from orchestrator.models import PlannedSource, Report, RunState, SourceEnvelope, TroubleshootRequest
from orchestrator.routing.plan import per_job_sources, plan_request
from orchestrator.run.conclusion import conclude
from orchestrator.run.dispatch import plan_dispatch
from orchestrator.run.envelopes import unreadable_envelope
from orchestrator.run.finisher import Finisher
from orchestrator.run.in_process import WORKER, LocalSources, ask_all, begin_without_store
from orchestrator.run.refine import local_refiner
from orchestrator.run.report import make_report
from orchestrator.store.records import RunRecord, SourceStart
from orchestrator.store.runs import new_token
from orchestrator.synthesis import Case, Synthesis

_LOGGER = logging.getLogger(__name__)


async def take_over(client: AsyncTroubleshootClient, run_id: str) -> None:
    """Take the dispatch lease of a run that no worker has dispatched, ask its sources here and finish it.

    Does nothing when a worker was quicker.

    Raises WorkersNotInstalled, StoreUnreachable.
    """
    store, token = client.sync.store, new_token()
    # Before the lease is taken: where the sources cannot be asked, the run is left to workers that may start later.
    await client.call(per_job_sources, all_builtin=True)
    try:
        dispatch = await client.call(store.claim_dispatch, run_id, token)
        if dispatch is None:
            return
        plan = await client.call(plan_dispatch, store, run_id, dispatch)
        await client.call(store.mark_dispatched, run_id, token)
    except (RunRefused, RunNotFound):
        return
    except (RunDamaged, SchemaMismatch) as error:
        # As on a worker: the run is left to processes that can read it, and to its deadline.
        _LOGGER.warning("dispatch_dropped run_id=%s reason=%s", run_id, error.reason)
        return
    _LOGGER.warning("run_taken_over run_id=%s reason=no_worker", run_id)
    claims = {planned.key: new_token() for planned in plan.sources}

    async def begin(planned: PlannedSource) -> SourceStart | None:
        try:
            start = await client.call(
                store.begin_source,
                run_id,
                planned.key,
                claims[planned.key],
                source=planned.source,
                job=planned.job,
                worker=WORKER,
            )
        except (RunDamaged, SchemaMismatch) as error:
            await put(unreadable_envelope(run_id, planned.source, planned.job, error, WORKER))
            return None
        return None if isinstance(start, str) else start

    async def put(envelope: SourceEnvelope) -> None:
        await client.call(store.put_envelope, run_id, claims[envelope.key], envelope)

    async with LocalSources(redact_personal=client.sync.settings.redact_personal) as sources:
        await ask_all(run_id, plan, sources=sources, begin=begin, put=put)
    async with local_refiner(os.environ) as refiner:
        finisher = Finisher(store, by=WORKER, refiner=refiner, after_commit=try_after_commit(os.environ))
        await client.call(finisher.finish, run_id)


async def run_in_process(
    request: TroubleshootRequest, settings: Settings, *, deadline: Deadline | None = None
) -> Report:
    """Answer a question without a store: no events, nothing stored, and ``committed`` False in the report.

    Secrets in the message are masked before any source is asked. ``deadline`` is given when the store went away after a
    part of the time was spent; left out, the time begins now.

    Raises WorkersNotInstalled, InvalidRequest.
    """
    now_ms = int(time.time() * 1000)
    request = masked_request(request, personal=settings.redact_personal)
    config = request.config
    deadline = deadline or Deadline.after(config.total_timeout_seconds)
    fan_in = Deadline.after(deadline.remaining() - config.reserve_seconds)
    plan = plan_request(request, per_job_sources(all_builtin=True))
    run_id = uuid.uuid4().hex
    async with LocalSources(redact_personal=settings.redact_personal) as sources:
        begin = begin_without_store(request, plan, fan_in)
        envelopes = await ask_all(run_id, plan, sources=sources, begin=begin)
    record = RunRecord(
        run_id=run_id,
        now_ms=int(time.time() * 1000),
        state=RunState.DISPATCHED,
        request=request,
        plan=plan,
        envelopes={envelope.key: envelope for envelope in envelopes},
        started_ms={},
        late=frozenset(),
        received=len(envelopes),
        created_ms=now_ms,
        deadline_ms=now_ms + int(config.total_timeout_seconds * 1000),
        fan_in_ms=now_ms + int(config.fan_in_seconds * 1000),
        attempt=1,
        report=None,
        outcome=None,
    )
    conclusion = conclude(record)
    synthesis, llm = await _refine(conclusion.case, deadline) if conclusion.case else (None, None)
    report = make_report(
        conclusion,
        by=WORKER,
        total_latency_ms=deadline.elapsed_ms(config.total_timeout_seconds),
        refined=synthesis.diagnosis if synthesis else None,
        llm=llm,
    )
    log_performance(performance_event(run_id, conclusion.aggregated))
    return report.model_copy(update={"committed": False, "reason": report.reason or "store_unreachable"})


async def _refine(case: Case, deadline: Deadline) -> tuple[Synthesis | None, dict[str, Any] | None]:
    async with local_refiner(os.environ) as refiner:
        return (None, None) if refiner is None else await asyncio.to_thread(refiner.refine, case, deadline)
