"""The page about HTTP against the code."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from web_support import FakeClient, ask

from orchestrator import errors
from orchestrator.models import EventType
from orchestrator.web import create_router

PAGE = (Path(__file__).parents[3] / "docs" / "web.md").read_text("utf-8")
EXAMPLES = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)


@pytest.mark.parametrize("number", range(3))
def test_an_example_of_the_page_makes_an_app_with_the_routes(number: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each way of mounting the router runs as it stands, and the page's table lists the routes that are there."""
    monkeypatch.delenv("REDIS_URL", raising=False)
    names: dict[str, Any] = {}
    exec(EXAMPLES[number], names)
    schema = ask(names["app"], "GET", "/openapi.json").json()
    there = {
        f"{method.upper()} {path.removeprefix('/troubleshoot')}"
        for path in schema["paths"]
        for method in schema["paths"][path]
    }
    assert set(re.findall(r"^\| `((?:GET|POST|DELETE) [^`]+)`", PAGE, re.MULTILINE)) == there


def test_the_guarded_example_lets_nobody_in_unasked() -> None:
    """The page's example of authentication answers 401 to who does not say who they are."""
    client = FakeClient()
    names: dict[str, Any] = {"client": client}
    exec(EXAMPLES[2].replace("create_router(", "create_router(client, "), names)
    app = names["app"]
    assert ask(app, "GET", "/troubleshoot/runs").status_code == 401
    body = {"message": "x", "user_id": "mallory"}
    assert ask(app, "POST", "/troubleshoot/runs", json=body, headers={"Authorization": "Bearer ana"}).status_code == 202
    assert client.requests[0].user_id == "ana"


def test_the_page_names_the_errors_and_events_that_are_there() -> None:
    """Reasons and kinds of event on the page are those of the code, and every kind is told."""
    table = PAGE[PAGE.index("## Errors") :]
    told = set(
        re.findall(r"`(\w+)`", " ".join(row.split("|")[2] for row in table.splitlines() if row.startswith("| ")))
    )
    known = {error.reason for error in vars(errors).values() if isinstance(error, type) and hasattr(error, "reason")}
    assert {"run_not_found", "conflict", "overloaded"} <= told - {"reason"} <= known
    kinds = PAGE[PAGE.index("Types: ") : PAGE.index("On `synthesis_started`")]
    assert set(re.findall(r"\w+_?\w+", " ".join(re.findall(r"`([^`]+)`", kinds)))) == {kind.value for kind in EventType}


def test_the_arguments_on_the_page_are_those_of_the_code() -> None:
    """The page's table of arguments has every keyword of ``create_router``."""
    keywords = set(create_router.__kwdefaults__ or {})
    assert keywords == {name for name in re.findall(r"^\| `(\w+)` \|", PAGE, re.MULTILINE) if name in keywords}
