"""The steps of a run as nodes of an app's own LangGraph graph: each source, the aggregator, the answer.

A node takes the state and returns the keys that it adds. Nothing is stored, and no worker is needed: the sources are
asked in this process, with the limits of the environment. Put together they are a run without its deadline, clues and
take-over, which the graphs of ``graph`` have.
"""

import asyncio
import os
import uuid
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from pydantic import ValidationError

from orchestrator.aggregate import aggregate, failures
from orchestrator.app_state import (
    TIMEOUT,
    DataSourceResult,
    ParallelState,
    app_aggregate,
    app_error,
    app_result,
    make_request,
)
from orchestrator.client.sync import masked_request
from orchestrator.config import Settings
from orchestrator.deadline import Deadline
from orchestrator.errors import InvalidRequest
from orchestrator.models import Intent, PlannedSource, SourceEnvelope, SourceOutcome, TroubleshootRequest
from orchestrator.routing.plan import plan_request
from orchestrator.run.conclusion import conclude
from orchestrator.run.in_process import WORKER, LocalSources, ask_all, begin_without_store
from orchestrator.run.refine import local_refiner
from orchestrator.run.report import figures_of, make_report
from orchestrator.sources import load_source, source_names
from orchestrator.store.records import RunRecord
from orchestrator.validation import describe


async def tws_status_node(state: ParallelState) -> dict[str, Any]:
    """The state of the job in TWS; see ``ask_source``."""
    return await ask_source("tws_status", state)


async def rag_search_node(state: ParallelState) -> dict[str, Any]:
    """What the knowledge base says; see ``ask_source``."""
    return await ask_source("rag_search", state)


async def log_cache_node(state: ParallelState) -> dict[str, Any]:
    """Earlier errors and runs of the job; see ``ask_source``."""
    return await ask_source("log_cache", state)


async def metrics_node(state: ParallelState) -> dict[str, Any]:
    """The metrics; see ``ask_source``."""
    return await ask_source("metrics", state)


async def ask_source(source: str, state: ParallelState) -> dict[str, Any]:
    """Ask one source in this process: its ``parallel_results``, one for each job, and ``errors``.

    A source that fails is a result with an error. Raises InvalidRequest naming the field of the state.
    """
    request, settings = _request(state)
    plan = plan_request(request, {source: await asyncio.to_thread(_asked_per_job, source)})
    fan_in = Deadline.after(request.config.fan_in_seconds)
    async with LocalSources(redact_personal=settings.redact_personal) as sources:
        begin = begin_without_store(request, plan, fan_in)
        envelopes = await ask_all(uuid.uuid4().hex, plan, sources=sources, begin=begin)
    return {
        "parallel_results": [app_result(envelope) for envelope in envelopes],
        "errors": [app_error(failure) for failure in failures(envelopes)],
    }


async def aggregator_node(state: ParallelState) -> dict[str, Any]:
    """``aggregated_data`` of the ``parallel_results``, ``parallel_latency_ms``, and the figures as ``metadata``.

    Raises InvalidRequest for a result that is none.
    """
    envelopes = _envelopes(state)
    aggregated = aggregate(envelopes)
    figures = figures_of(envelopes, aggregated, queried={envelope.source for envelope in envelopes})
    return {
        "aggregated_data": app_aggregate(aggregated),
        "parallel_latency_ms": aggregated.parallel_latency_ms,
        "metadata": figures,
    }


async def response_generator_node(state: ParallelState) -> dict[str, Any]:
    """``response``: the answer of the rules to the ``parallel_results``, or of a model where one is configured.

    Raises InvalidRequest naming the field of the state.
    """
    request, settings = _request(state)
    deadline = Deadline.after(request.config.total_timeout_seconds)
    conclusion = await asyncio.to_thread(conclude, _record(request, _envelopes(state)))
    synthesis, llm = None, None
    async with local_refiner(os.environ, redact_personal=settings.redact_personal) as refiner:
        if refiner is not None and conclusion.case is not None:
            synthesis, llm = await asyncio.to_thread(refiner.refine, conclusion.case, deadline)
    refined = synthesis.diagnosis if synthesis else None
    return {"response": make_report(conclusion, by=WORKER, total_latency_ms=0.0, refined=refined, llm=llm).response}


def _request(state: ParallelState) -> tuple[TroubleshootRequest, Settings]:
    settings = Settings.from_env()
    request = make_request(state, settings.parallel_config(), Intent.TROUBLESHOOT)
    return masked_request(request, personal=settings.redact_personal), settings


def _asked_per_job(source: str) -> int:
    """One job a task where the source is asked per job, else 0: a node's results are those of single jobs."""
    return int(load_source(source).per_job)


def _record(request: TroubleshootRequest, envelopes: Sequence[SourceEnvelope]) -> RunRecord:
    """A run as if it had planned the sources of ``envelopes``."""
    plan = plan_request(request, dict.fromkeys(source_names(), 0))
    if envelopes:
        limit = request.config.limit_seconds
        sources = tuple(
            PlannedSource(source=item.source, job=item.job, limit_seconds=limit(item.source)) for item in envelopes
        )
        plan = plan.model_copy(update={"sources": sources})
    answers = {envelope.key: envelope for envelope in envelopes}
    return replace(RunRecord.unstored(uuid.uuid4().hex, request), plan=plan, envelopes=answers, received=len(answers))


def _envelopes(state: ParallelState) -> tuple[SourceEnvelope, ...]:
    """The results of the state, those of an app's own nodes too, which have no outcome."""
    try:
        return tuple(_envelope(result) for result in state.get("parallel_results") or ())
    except ValidationError as error:
        raise InvalidRequest("{field}: {problem}", field="parallel_results", problem=describe(error)) from None


def _envelope(result: DataSourceResult) -> SourceEnvelope:
    is_timeout = TIMEOUT in str(result.get("error")).lower()
    failed = SourceOutcome.TIMEOUT if is_timeout else SourceOutcome.ERROR
    outcome = SourceOutcome.OK if result.get("success") else failed
    return SourceEnvelope.model_validate({"outcome": outcome, **result})
