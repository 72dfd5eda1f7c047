"""From an accepted run to its stored plan: what the ``troubleshoot.run`` task and the fallback share."""

from __future__ import annotations

from collections.abc import Mapping

from orchestrator.models import Plan, TroubleshootRequest
from orchestrator.pipelines import plan_run
from orchestrator.router import route
from orchestrator.sources import load_source, source_names
from orchestrator.store.records import Dispatch
from orchestrator.store.runs import RunStore


def per_job_sources() -> dict[str, bool]:
    """The installed sources, and whether each is asked once per job.

    Raises WorkersNotInstalled.
    """
    return {name: load_source(name).per_job for name in source_names()}


def plan_request(request: TroubleshootRequest, per_job: Mapping[str, bool]) -> Plan:
    """Route the message and plan which sources are asked; pure.

    Raises InvalidRequest when no source is left to ask.
    """
    routing = route(request.message, jobs=request.named_jobs, language=request.language)
    if request.intent is not None:
        routing = routing.model_copy(update={"intent": request.intent, "confidence": 1.0})
    return plan_run(request, routing, per_job)


def plan_dispatch(store: RunStore, run_id: str, dispatch: Dispatch) -> Plan:
    """Plan the run under a dispatch lease, store the plan and say ``routed``.

    Raises RunRefused when the lease was lost meanwhile.
    """
    plan = dispatch.plan or plan_request(dispatch.request, per_job_sources())
    return store.put_plan(run_id, dispatch.token, plan)
