"""Resync troubleshoot: ask four data sources at once why a TWS / HCL Workload Automation job failed.

Everything that applications import stands here; module paths below this package are private and may change between
versions. Names are loaded at their first use, so that ``import orchestrator`` imports neither Celery nor pydantic.

    from orchestrator import ParallelConfig, parallel_troubleshoot

    state = await parallel_troubleshoot("Job BATCH001 falhou com ABEND S0C7", job_name="BATCH001")
    print(state["response"])
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from orchestrator.client.aio import AsyncTroubleshootClient
    from orchestrator.client.sync import TroubleshootClient
    from orchestrator.config import ParallelConfig, Settings
    from orchestrator.errors import (
        ConfigurationError,
        Conflict,
        InvalidRequest,
        OutOfConnections,
        Overloaded,
        RunNotFound,
        SourceError,
        StoreUnreachable,
        TroubleshootError,
        UnknownInstance,
        WorkersNotInstalled,
    )
    from orchestrator.graph import (
        DataSourceResult,
        FallbackParallelGraph,
        ParallelState,
        ParallelTroubleshootGraph,
        create_parallel_troubleshoot_graph,
        create_tws_agent_graph,
        parallel_troubleshoot,
    )
    from orchestrator.i18n.languages import Language
    from orchestrator.i18n.message import Message
    from orchestrator.models import (
        Event,
        EventType,
        Evidence,
        Intent,
        Report,
        RunOutcome,
        RunSnapshot,
        RunState,
        RunSummary,
        SourceOutcome,
        SourceRequest,
        TroubleshootRequest,
    )
    from orchestrator.sources import FetchResult, Source, SourceSpec, call_limit_seconds
    from orchestrator.web import Identity, create_router

    __version__: str

__all__ = [
    "AsyncTroubleshootClient",
    "ConfigurationError",
    "Conflict",
    "DataSourceResult",
    "Event",
    "EventType",
    "Evidence",
    "FallbackParallelGraph",
    "FetchResult",
    "Identity",
    "Intent",
    "InvalidRequest",
    "Language",
    "Message",
    "OutOfConnections",
    "Overloaded",
    "ParallelConfig",
    "ParallelState",
    "ParallelTroubleshootGraph",
    "Report",
    "RunNotFound",
    "RunOutcome",
    "RunSnapshot",
    "RunState",
    "RunSummary",
    "Settings",
    "Source",
    "SourceError",
    "SourceOutcome",
    "SourceRequest",
    "SourceSpec",
    "StoreUnreachable",
    "TroubleshootClient",
    "TroubleshootError",
    "TroubleshootRequest",
    "UnknownInstance",
    "WorkersNotInstalled",
    "__version__",
    "call_limit_seconds",
    "create_parallel_troubleshoot_graph",
    "create_router",
    "create_tws_agent_graph",
    "parallel_troubleshoot",
]

_HOMES = {
    "client.aio": ("AsyncTroubleshootClient",),
    "client.sync": ("TroubleshootClient",),
    "config": ("ParallelConfig", "Settings"),
    "errors": (
        *("ConfigurationError", "Conflict", "InvalidRequest", "OutOfConnections", "Overloaded", "RunNotFound"),
        *("SourceError", "StoreUnreachable", "TroubleshootError", "UnknownInstance", "WorkersNotInstalled"),
    ),
    "graph": (
        *("DataSourceResult", "FallbackParallelGraph", "ParallelState", "ParallelTroubleshootGraph"),
        *("create_parallel_troubleshoot_graph", "create_tws_agent_graph", "parallel_troubleshoot"),
    ),
    "i18n.languages": ("Language",),
    "i18n.message": ("Message",),
    "models": (
        *("Event", "EventType", "Evidence", "Intent", "Report", "RunOutcome", "RunSnapshot", "RunState"),
        *("RunSummary", "SourceOutcome", "SourceRequest", "TroubleshootRequest"),
    ),
    "sources": ("FetchResult", "Source", "SourceSpec", "call_limit_seconds"),
    "web": ("Identity", "create_router"),
}
"""Module of each name."""
_HOME = {name: module for module, names in _HOMES.items() for name in names}


def __getattr__(name: str) -> object:
    """Load a name of the public face at its first use (PEP 562)."""
    if name == "__version__":
        from importlib.metadata import version  # noqa: PLC0415  # costs 20 ms that most programs do not need

        value: object = version("resync-troubleshoot")
    elif name in _HOME:
        from importlib import import_module  # noqa: PLC0415

        value = getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
    else:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    """The public names."""
    return __all__
