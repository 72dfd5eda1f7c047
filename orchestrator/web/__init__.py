"""The run endpoints for an app on FastAPI: ``app.include_router(create_router())`` (extra ``api``)."""

from __future__ import annotations

try:
    import fastapi as _fastapi  # noqa: F401  # only asked for: whoever lacks it is told what to install
except ModuleNotFoundError as error:
    raise ModuleNotFoundError(
        "orchestrator.web needs FastAPI: pip install 'resync-troubleshoot[api]'", name=error.name
    ) from error

from orchestrator.web.router import create_router
from orchestrator.web.submission import Identity

__all__ = ["Identity", "create_router"]
