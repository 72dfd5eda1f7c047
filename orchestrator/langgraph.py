"""The names of ``resync.core.langgraph`` that this package serves, so that the Resync app changes one import.

    from orchestrator.langgraph import parallel_troubleshoot

The agent of the app (its state, nodes for models, tools and approvals, checkpointer) is not among them: it stays where
it is and calls these.
"""

from orchestrator.app_state import DataSourceResult, ParallelState
from orchestrator.config import ParallelConfig
from orchestrator.graph import (
    FallbackParallelGraph,
    create_parallel_troubleshoot_graph,
    create_tws_agent_graph,
    parallel_troubleshoot,
)
from orchestrator.models import Intent
from orchestrator.nodes import (
    aggregator_node,
    log_cache_node,
    metrics_node,
    rag_search_node,
    response_generator_node,
    tws_status_node,
)

__all__ = [
    "DataSourceResult",
    "FallbackParallelGraph",
    "Intent",
    "ParallelConfig",
    "ParallelState",
    "aggregator_node",
    "create_parallel_troubleshoot_graph",
    "create_tws_agent_graph",
    "log_cache_node",
    "metrics_node",
    "parallel_troubleshoot",
    "rag_search_node",
    "response_generator_node",
    "tws_status_node",
]
