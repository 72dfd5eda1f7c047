"""From an accepted run to its stored plan, for the ``troubleshoot.run`` task and for the in-process fallback."""

from orchestrator.errors import ConfigurationError, InvalidRequest
from orchestrator.models import Plan
from orchestrator.routing.plan import per_job_sources, plan_request, refused_plan
from orchestrator.store.records import Dispatch
from orchestrator.store.runs import RunStore


def plan_dispatch(store: RunStore, run_id: str, dispatch: Dispatch) -> Plan:
    """Plan a run under its dispatch lease and store the plan, which appends the event ``routed``.

    A request that cannot be planned gets a plan without sources. The plan of an earlier dispatcher is kept.

    Raises RunRefused when the lease was lost meanwhile, WorkersNotInstalled, StoreUnreachable.
    """
    try:
        plan = dispatch.plan or plan_request(dispatch.request, per_job_sources())
    except (InvalidRequest, ConfigurationError) as error:
        plan = refused_plan(dispatch.request, error)
    return store.put_plan(run_id, dispatch.token, plan)
