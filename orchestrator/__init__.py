"""Resync troubleshoot: ask four data sources at once why a TWS / HCL Workload Automation job failed.

Everything that applications import stands here; module paths below this package are private and may change between
versions. Names are loaded at their first use, so that ``import orchestrator`` imports neither Celery nor pydantic.

    from orchestrator import ParallelConfig, parallel_troubleshoot

    state = await parallel_troubleshoot("Job BATCH001 falhou com ABEND S0C7", job_name="BATCH001")
    print(state["response"])
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:  # "as" of the same name exports it (PEP 484)
    from orchestrator.app_state import DataSourceResult as DataSourceResult
    from orchestrator.app_state import ParallelState as ParallelState
    from orchestrator.client.aio import AsyncTroubleshootClient as AsyncTroubleshootClient
    from orchestrator.client.sync import TroubleshootClient as TroubleshootClient
    from orchestrator.config import ParallelConfig as ParallelConfig
    from orchestrator.config import Settings as Settings
    from orchestrator.errors import ConfigurationError as ConfigurationError
    from orchestrator.errors import Conflict as Conflict
    from orchestrator.errors import InvalidRequest as InvalidRequest
    from orchestrator.errors import OutOfConnections as OutOfConnections
    from orchestrator.errors import Overloaded as Overloaded
    from orchestrator.errors import RunNotFound as RunNotFound
    from orchestrator.errors import SourceError as SourceError
    from orchestrator.errors import StoreUnreachable as StoreUnreachable
    from orchestrator.errors import TroubleshootError as TroubleshootError
    from orchestrator.errors import UnknownInstance as UnknownInstance
    from orchestrator.errors import WorkersNotInstalled as WorkersNotInstalled
    from orchestrator.graph import FallbackParallelGraph as FallbackParallelGraph
    from orchestrator.graph import ParallelTroubleshootGraph as ParallelTroubleshootGraph
    from orchestrator.graph import create_parallel_troubleshoot_graph as create_parallel_troubleshoot_graph
    from orchestrator.graph import create_tws_agent_graph as create_tws_agent_graph
    from orchestrator.graph import parallel_troubleshoot as parallel_troubleshoot
    from orchestrator.i18n.languages import Language as Language
    from orchestrator.i18n.message import Message as Message
    from orchestrator.models import Clue as Clue
    from orchestrator.models import Event as Event
    from orchestrator.models import EventType as EventType
    from orchestrator.models import Evidence as Evidence
    from orchestrator.models import Intent as Intent
    from orchestrator.models import Report as Report
    from orchestrator.models import RunOutcome as RunOutcome
    from orchestrator.models import RunPage as RunPage
    from orchestrator.models import RunSnapshot as RunSnapshot
    from orchestrator.models import RunState as RunState
    from orchestrator.models import RunSummary as RunSummary
    from orchestrator.models import SourceOutcome as SourceOutcome
    from orchestrator.models import SourceRequest as SourceRequest
    from orchestrator.models import TroubleshootRequest as TroubleshootRequest
    from orchestrator.redaction.pieces import redact_lines as redact_lines
    from orchestrator.redaction.redact import redact_start as redact_start
    from orchestrator.routing.pipeline import Pipeline as Pipeline
    from orchestrator.routing.pipeline import Reduce as Reduce
    from orchestrator.routing.pipeline import SourceLimits as SourceLimits
    from orchestrator.sources import FetchResult as FetchResult
    from orchestrator.sources import Source as Source
    from orchestrator.sources import SourceSpec as SourceSpec
    from orchestrator.sources import call_limit_seconds as call_limit_seconds
    from orchestrator.store.run_filter import RunFilter as RunFilter
    from orchestrator.web import Identity as Identity
    from orchestrator.web import create_router as create_router

    __version__: str

_HOMES = {
    "app_state": ("DataSourceResult", "ParallelState"),
    "client.aio": ("AsyncTroubleshootClient",),
    "client.sync": ("TroubleshootClient",),
    "config": ("ParallelConfig", "Settings"),
    "errors": (
        *("ConfigurationError", "Conflict", "InvalidRequest", "OutOfConnections", "Overloaded", "RunNotFound"),
        *("SourceError", "StoreUnreachable", "TroubleshootError", "UnknownInstance", "WorkersNotInstalled"),
    ),
    "graph": (
        *("FallbackParallelGraph", "ParallelTroubleshootGraph"),
        *("create_parallel_troubleshoot_graph", "create_tws_agent_graph", "parallel_troubleshoot"),
    ),
    "i18n.languages": ("Language",),
    "i18n.message": ("Message",),
    "models": (
        *("Clue", "Event", "EventType", "Evidence", "Intent", "Report", "RunOutcome", "RunPage", "RunSnapshot"),
        *("RunState", "RunSummary", "SourceOutcome", "SourceRequest", "TroubleshootRequest"),
    ),
    "redaction.pieces": ("redact_lines",),
    "redaction.redact": ("redact_start",),
    "routing.pipeline": ("Pipeline", "Reduce", "SourceLimits"),
    "sources": ("FetchResult", "Source", "SourceSpec", "call_limit_seconds"),
    "store.run_filter": ("RunFilter",),
    "web": ("Identity", "create_router"),
}
"""Module of each name."""
_HOME = {name: module for module, names in _HOMES.items() for name in names}
__all__ = sorted((*_HOME, "__version__"))  # noqa: PLE0605  # a list


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
