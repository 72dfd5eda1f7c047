"""A question to a simulated plan: routed, answered by the real ``tws_status`` and diagnosed by the rules."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from tests_support import fetch_once

from orchestrator.aggregate import aggregate, number_evidence
from orchestrator.diagnosis.evidence import check_diagnosis
from orchestrator.diagnosis.rules.diagnose import diagnose
from orchestrator.i18n.languages import Language
from orchestrator.i18n.message import write
from orchestrator.models import Diagnosis, PlannedSource, Routing, SourceEnvelope, SourceRequest, TroubleshootRequest
from orchestrator.payloads import TwsPayload
from orchestrator.routing.pipelines import plan_run
from orchestrator.routing.router import route
from orchestrator.sources import FetchResult
from workers.lab.simulator.faults import Fault
from workers.lab.simulator.hwa import HwaSimulator, Received
from workers.lab.simulator.plan import Plan
from workers.sources.tws_status.source import SPEC

PER_JOB = {"tws_status": True}


@dataclass(frozen=True, slots=True)
class Asked:
    """The diagnosis of a question, and what it rests on."""

    diagnosis: Diagnosis
    payload: TwsPayload
    result: FetchResult
    routing: Routing
    requests: tuple[Received, ...]

    @property
    def commands(self) -> list[str]:
        """The commands of the proposed actions."""
        return [action.command for action in self.diagnosis.actions if action.command]


def envelope_of(planned: PlannedSource, result: FetchResult, language: Language) -> SourceEnvelope:
    """The envelope of a source that answered."""
    return SourceEnvelope(
        source=planned.source,
        job=planned.job,
        outcome=result.outcome,
        success=True,
        data=result.data,
        evidence=result.evidence,
        finding=str(result.finding),
        latency_ms=100,
        truncated=None if result.truncated is None else write(result.truncated, language),
    )


def ask_plan(
    plan: Plan,
    message: str,
    *,
    max_results: int | None = None,
    limit_seconds: float = 20,
    job: str | None = None,
    faults: Sequence[Fault] = (),
    ignores_offset: bool = False,
) -> Asked:
    """Ask ``message`` about ``plan``; ``max_results``, ``ignores_offset``: as of the simulator."""
    request = TroubleshootRequest(message=message, job_name=job)
    routing = route(message, jobs=request.named_jobs)
    run = plan_run(request, routing, PER_JOB)
    planned = next(planned for planned in run.sources if planned.source == "tws_status")
    source_request = SourceRequest(
        run_id="run-00000001",
        source="tws_status",
        job=planned.job,
        message=message,
        routing=routing,
        limit_seconds=limit_seconds,
    )
    with HwaSimulator(plan, max_results=max_results, faults=faults, ignores_offset=ignores_offset) as simulator:
        result = asyncio.run(fetch_once(SPEC.create(simulator.environ()), source_request))
        requests = simulator.requests
    envelopes = number_evidence([envelope_of(planned, result, routing.language)])
    diagnosis = diagnose(request, run, envelopes, aggregate(envelopes, run.jobs))
    evidence = envelopes[0].evidence
    _, report = check_diagnosis(diagnosis, evidence, question_codes=routing.entities.codes)
    assert (report.claims_dropped, report.ids_removed) == (0, 0)
    return Asked(diagnosis, TwsPayload.model_validate(result.data), result, routing, requests)
