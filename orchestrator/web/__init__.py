"""HTTP API of runs for a FastAPI app: ``app.include_router(create_router())`` (extra ``api``)."""

try:
    import fastapi as _fastapi  # noqa: F401  # imported only for an error that names the extra
except ModuleNotFoundError as error:
    raise ModuleNotFoundError(
        "orchestrator.web needs FastAPI: pip install 'resync-troubleshoot[api]'", name=error.name
    ) from error

from orchestrator.web.router import create_router
from orchestrator.web.submission import Identity

__all__ = ["Identity", "create_router"]
