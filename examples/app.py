"""An app with the run endpoints: ``uvicorn --app-dir examples app:app``, then http://127.0.0.1:8000/."""

from pathlib import Path

from fastapi import FastAPI
from fastapi.responses import FileResponse

from orchestrator import create_router

app = FastAPI(title="Resync")
# Settings from the environment: REDIS_URL, ... Without identify=..., only this machine is served.
app.include_router(create_router())


@app.get("/", include_in_schema=False)
def page() -> FileResponse:
    """A page that shows the sources' answers as they arrive."""
    return FileResponse(Path(__file__).with_name("live.html"))
