"""From an accepted run to its stored plan: what the ``troubleshoot.run`` task and the fallback share."""

from __future__ import annotations

import logging

from orchestrator.errors import ConfigurationError, InvalidRequest
from orchestrator.models import Plan
from orchestrator.routing.plan import per_job_sources, plan_request, refused_plan
from orchestrator.store.records import Dispatch
from orchestrator.store.runs import RunStore

_LOGGER = logging.getLogger(__name__)


def plan_dispatch(store: RunStore, run_id: str, dispatch: Dispatch) -> Plan:
    """Plan the run under a dispatch lease, store the plan and say ``routed``.

    A request that cannot be planned gets a plan without sources. Raises RunRefused when the lease was lost
    meanwhile, WorkersNotInstalled.
    """
    try:
        plan = dispatch.plan or plan_request(dispatch.request, per_job_sources())
    except (InvalidRequest, ConfigurationError) as error:
        plan = refused_plan(dispatch.request, error)
    return store.put_plan(run_id, dispatch.token, plan)
