"""An app with the run endpoints: ``uvicorn --app-dir examples app:app``, then http://127.0.0.1:8000/.

``EXAMPLE_USERS=ana:password,beto:password`` has each user log in, by HTTP Basic authentication, and see own runs alone.
"""

import os
import secrets
from pathlib import Path
from typing import Annotated, Literal

from fastapi import Depends, FastAPI, HTTPException
from fastapi.responses import FileResponse
from fastapi.security import HTTPBasic, HTTPBasicCredentials

from orchestrator import Identity, create_router

PAGE = Path(__file__).parent / "page"
# Whatever an answer quotes, the page runs its own scripts alone and loads nothing from elsewhere.
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data:; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
HEADERS = {"Content-Security-Policy": POLICY, "X-Content-Type-Options": "nosniff", "Cache-Control": "no-cache"}
USERS = dict(user.partition(":")[::2] for user in os.environ.get("EXAMPLE_USERS", "").split(",") if user)


def identify(given: Annotated[HTTPBasicCredentials, Depends(HTTPBasic(realm="Resync"))]) -> Identity:
    """The user who is logged in; an app has its own session or token here."""
    password = USERS.get(given.username, "")
    if not password or not secrets.compare_digest(password.encode(), given.password.encode()):
        raise HTTPException(401, "wrong user or password", {"WWW-Authenticate": 'Basic realm="Resync"'})
    return Identity(user_id=given.username)


app = FastAPI(title="Resync")
# Settings from the environment: REDIS_URL, ... Without identify=..., only this machine is served.
app.include_router(create_router(identify=identify if USERS else None))


@app.get("/", include_in_schema=False, dependencies=[Depends(identify)] if USERS else [])
def page() -> FileResponse:
    """The list of runs, and each run live."""
    return FileResponse(PAGE / "index.html", headers=HEADERS)


@app.get("/page/{name}", include_in_schema=False)
def part(name: Literal["page.css", "page.js", "dom.js", "list.js", "run.js", "texts.js"]) -> FileResponse:
    """Its style sheet and its scripts."""
    return FileResponse(PAGE / name, headers=HEADERS)
