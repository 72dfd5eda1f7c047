"""An app with the run endpoints: ``uvicorn --app-dir examples app:app``, then http://127.0.0.1:8000/."""

from pathlib import Path
from typing import Literal

from fastapi import FastAPI
from fastapi.responses import FileResponse

from orchestrator import create_router

HERE = Path(__file__).parent
# Whatever an answer quotes, the page runs its own script alone and loads nothing from elsewhere.
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)

app = FastAPI(title="Resync")
# Settings from the environment: REDIS_URL, ... Without identify=..., only this machine is served.
app.include_router(create_router())


@app.get("/", include_in_schema=False)
def page() -> FileResponse:
    """A page that shows the sources' answers as they arrive."""
    return FileResponse(HERE / "live.html", headers={"Content-Security-Policy": POLICY})


@app.get("/live.{kind}", include_in_schema=False)
def part(kind: Literal["css", "js"]) -> FileResponse:
    """Its style sheet and its script."""
    return FileResponse(HERE / f"live.{kind}", headers={"X-Content-Type-Options": "nosniff"})
