"""The run endpoints over a client that answers from what it was given."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from http import HTTPStatus
from typing import Annotated, Any

import httpx2
import pytest
from fastapi import APIRouter, Depends, FastAPI, Header, HTTPException
from web_support import REPORT, RUN, SUMMARY, FakeClient, ask, ask_over, snapshot

from orchestrator.config import Settings
from orchestrator.errors import (
    ConfigurationError,
    Conflict,
    InvalidRequest,
    Overloaded,
    RunDamaged,
    RunNotFound,
    SchemaMismatch,
    StoreUnreachable,
    UnknownInstance,
)
from orchestrator.models import RunState
from orchestrator.store.run_filter import RunFilter
from orchestrator.web import Identity, create_router
from orchestrator.web.problems import run_id_of

RUNS = "/troubleshoot/runs"
ASKED = {"message": "Job BATCH001 falhou"}
ROUTES = (
    ("POST", RUNS),
    ("GET", RUNS),
    ("GET", f"{RUNS}/{RUN}"),
    ("DELETE", f"{RUNS}/{RUN}"),
    ("GET", f"{RUNS}/{RUN}/answer.md"),
    ("GET", f"{RUNS}/{RUN}/events"),
)


def app_of(client: FakeClient | Settings | None, **options: Any) -> FastAPI:
    app = FastAPI()
    app.include_router(create_router(client, **options))
    return app


def problem(response: Any, status: int, reason: str) -> str:
    """The detail of a problem, after its form has been looked at."""
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    told = response.json()
    assert set(told) == {"type", "title", "status", "detail", "reason"}
    assert (told["status"], told["reason"], told["title"]) == (status, reason, HTTPStatus(status).phrase)
    return str(told["detail"])


def test_a_question_is_accepted_and_told_where_it_is_followed() -> None:
    """202 with the run's id, its address in Location, and addresses for the events and the answer."""
    client = FakeClient()
    body = {**ASKED, "jobs": ["BATCH001", "BATCH002"], "config": {"rag_result_limit": 3}}
    response = ask(app_of(client, prefix="/api/t"), "POST", "/api/t/runs", json=body)
    told = response.json()
    url = f"/api/t/runs/{told['run_id']}"
    assert (response.status_code, response.headers["location"]) == (202, url)
    assert told == {
        "run_id": told["run_id"],
        "url": url,
        "events_url": f"{url}/events",
        "answer_url": f"{url}/answer.md",
    }
    assert client.requests[0].jobs == ("BATCH001", "BATCH002")
    assert client.requests[0].config.rag_result_limit == 3
    assert response.headers["cache-control"] == "no-store"


def test_the_run_id_and_the_key_of_the_caller_are_used() -> None:
    """``run_id`` and ``Idempotency-Key`` reach the submit."""
    client = FakeClient()
    headers = {"Idempotency-Key": "incident-4711"}
    response = ask(app_of(client), "POST", f"{RUNS}?run_id=my-run-0001", json=ASKED, headers=headers)
    assert response.json()["run_id"] == "my-run-0001"
    assert client.calls == [("submit", "incident-4711")]


def test_limits_that_a_body_leaves_out_are_those_of_the_settings() -> None:
    """The environment's limits hold for HTTP as for every other way in, and a body's limit is judged beside them."""
    settings = Settings.from_env({"RESYNC_NODE_TIMEOUT_SECONDS": "12", "RESYNC_TOTAL_TIMEOUT_SECONDS": "30"})
    client = FakeClient(settings)
    for config in ({}, {"node_timeout_seconds": 20}):
        assert ask(app_of(client), "POST", RUNS, json={**ASKED, "config": config}).status_code == 202
    limits = [
        (request.config.node_timeout_seconds, request.config.total_timeout_seconds) for request in client.requests
    ]
    assert limits == [(12, 30), (20, 30)]


def test_the_identity_of_the_app_stands_in_the_place_of_the_body() -> None:
    """A body cannot name another user; its session counts where the app knows the user, and none of its own."""
    client = FakeClient()

    def identify(authorization: Annotated[str, Header()], session: Annotated[str | None, Header()] = None) -> Identity:
        return Identity(user_id=authorization or None, session_id=session)

    app = app_of(client, identify=identify)
    body = {**ASKED, "user_id": "mallory", "session_id": "s-body"}
    for headers in ({"Authorization": "alice"}, {"Authorization": "alice", "Session": "s-app"}, {"Authorization": ""}):
        assert ask(app, "POST", RUNS, json=body, headers=headers).status_code == 202
    seen = [(request.user_id, request.session_id) for request in client.requests]
    assert seen == [("alice", "s-body"), ("alice", "s-app"), (None, None)]
    assert problem(ask(app, "POST", RUNS, json=body), 422, "invalid_request") == "authorization: Field required"


def test_a_visitor_without_a_name_cannot_take_one_from_the_body() -> None:
    """An app whose ``identify`` knows nobody gets a run of nobody, whatever the body says."""
    client = FakeClient()
    ask(app_of(client, identify=lambda: None), "POST", RUNS, json={**ASKED, "user_id": "mallory"})
    assert client.requests[0].user_id is None


def test_without_an_identity_the_body_is_believed() -> None:
    """An app that identifies nobody passes on whom the body names."""
    client = FakeClient()
    ask(app_of(client), "POST", RUNS, json={**ASKED, "user_id": "ana"})
    assert client.requests[0].user_id == "ana"


def test_a_pipeline_is_passed_on() -> None:
    """The body names a pipeline, and several as one."""
    client = FakeClient()
    ask(app_of(client), "POST", RUNS, json={**ASKED, "pipeline": "fechamento|status"})
    assert client.requests[0].pipeline == "fechamento|status"


@pytest.mark.parametrize(
    ("query", "prefer", "seconds"),
    [
        ("?wait=true", None, None),
        ("", "wait", None),
        ("", "wait=3", 3.0),
        ("", 'respond-async, WAIT = "3"; x=1', 3.0),
        ("?wait=true", "wait=3", None),
    ],
)
def test_a_caller_who_waits_gets_the_report(query: str, prefer: str | None, seconds: float | None) -> None:
    """``?wait=true`` and ``Prefer: wait`` answer with the report; the seconds are the limit of the client's wait."""
    client = FakeClient()
    headers = {} if prefer is None else {"Prefer": prefer}
    response = ask(app_of(client), "POST", RUNS + query, json=ASKED, headers=headers)
    assert (response.status_code, response.json()) == (200, REPORT.model_dump(mode="json"))
    assert client.calls[-1] == ("result", seconds)
    assert response.headers.get("preference-applied") == (None if query else "wait")


def test_another_preference_waits_for_nothing() -> None:
    """Preferences that are not understood are left alone, as RFC 7240 asks."""
    client = FakeClient()
    app = app_of(client)
    for prefer in ("wait=soon", "await=3", "wait-a-bit", "respond-async", "wait=3s"):
        assert ask(app, "POST", RUNS, json=ASKED, headers={"Prefer": prefer}).status_code == 202, prefer
    assert {name for name, _ in client.calls} == {"submit"}


def test_a_caller_whose_patience_ends_is_told_where_the_run_is() -> None:
    """A run that outlasts ``Prefer: wait=1`` goes on, and its address is given."""
    response = ask(app_of(FakeClient(report=TimeoutError())), "POST", RUNS, json=ASKED, headers={"Prefer": "wait=1"})
    assert (response.status_code, response.headers["location"]) == (202, response.json()["url"])
    assert "preference-applied" not in response.headers


def test_a_key_of_another_question_is_named_by_its_header() -> None:
    """The client refuses the field ``idempotency_key``; a caller over HTTP wrote a header."""
    app = app_of(FakeClient(error=Conflict("{field}: another question", field="idempotency_key")))
    detail = problem(ask(app, "POST", RUNS, json=ASKED, headers={"Idempotency-Key": "k"}), 409, "conflict")
    assert detail == "Idempotency-Key: another question"


@pytest.mark.parametrize(
    ("error", "status", "reason"),
    [
        (InvalidRequest("field: fix"), 422, "invalid_request"),
        (UnknownInstance("field: fix"), 422, "unknown_instance"),
        (Conflict("field: fix"), 409, "conflict"),
        (RunNotFound("field: fix"), 404, "run_not_found"),
        (Overloaded("field: fix"), 429, "overloaded"),
        (StoreUnreachable("field: fix"), 503, "store_unreachable"),
        (SchemaMismatch("field: fix"), 501, "schema_mismatch"),
        (RunDamaged("field: fix"), 500, "run_damaged"),
        (ConfigurationError("field: fix"), 500, "configuration"),
    ],
)
def test_an_error_is_a_problem_with_its_reason(error: Exception, status: int, reason: str) -> None:
    """On every route an error of the client has its status, its reason and its words, and says when to come again."""
    app = app_of(FakeClient(error=error))
    for method, path in ROUTES:
        response = ask(app, method, path, json=ASKED if method == "POST" else None)
        assert problem(response, status, reason) == "field: fix"
        assert ("retry-after" in response.headers) == (status in (429, 503))
        assert response.headers["cache-control"] == "no-store"


def test_what_is_logged_of_a_request_names_its_run(caplog: pytest.LogCaptureFixture) -> None:
    """A field of the record; what is no id of a run stays out of the log."""
    app = app_of(FakeClient(error=StoreUnreachable("away")))
    ask(app, "GET", f"{RUNS}/run-00000001")
    ask(app, "GET", f"{RUNS}/x%0Aforged")
    (record,) = (record for record in caplog.records if record.name.startswith("orchestrator"))
    assert (vars(record)["event"], vars(record)["run_id"]) == ("web_request_failed", "run-00000001")
    assert run_id_of({"path_params": {"run_id": "x\nforged"}}) is None


@pytest.mark.parametrize(("seconds", "header"), [(7, "7"), (None, "10")])
def test_an_overloaded_system_says_when_there_is_room(seconds: int | None, header: str) -> None:
    """``Retry-After`` is what the queue needs, or the time of a run where that is not known."""
    error = Overloaded("full")
    error.retry_after_seconds = seconds
    response = ask(app_of(FakeClient(error=error)), "POST", RUNS, json=ASKED)
    assert (response.status_code, response.headers["retry-after"]) == (429, header)


BODIES = (
    (b"", "JSON object"),
    (b"{", "JSON object"),
    (b"[]", "JSON object"),
    (b"\xff", "JSON object"),
    (b"[" * 9_000, "JSON object"),
    (b"{}", "message: Field required"),
    (b'{"message": " "}', "message: the message is empty; write what failed"),
    (b'{"message": "segredo", "job_name": "../x"}', "job_name: '../x' is not a TWS job name; expected"),
    (b'{"message": "segredo", "jobs": "BATCH001"}', "jobs: "),
    (b'{"message": "segredo", "jobs": ["J001..J300"]}', "jobs: 300 jobs are named, and one question is about 200"),
    (b'{"message": "segredo", "pipeline": "A b"}', "pipeline: a name is small letters"),
    (b'{"message": "segredo", "mesage": "segredo"}', "mesage: is not a known field"),
    (b'{"message": "segredo", "config": null}', "config: "),
    (b'{"message": "segredo", "config": {"total_timeout_seconds": 4}}', "must be less than total_timeout_seconds"),
    (b'{"message": "segredo", "config": {"total_timeout_seconds": NaN}}', "config.total_timeout_seconds: "),
    (b'{"message": "segredo \\ud800"}', "message: "),
)


def test_a_body_that_cannot_be_accepted_is_told_which_field_and_why() -> None:
    """422 with the field and what it must be; the question itself is not repeated, it may hold a secret."""
    client = FakeClient()
    app = app_of(client)
    for body, told in BODIES:
        response = ask(app, "POST", RUNS, content=body, headers={"Content-Type": "application/json"})
        assert told in problem(response, 422, "invalid_request")
        assert "segredo" not in response.text
    assert client.calls == []


@pytest.mark.parametrize("headers", [{"Content-Type": "text/plain"}, {}], ids=["text", "nothing"])
def test_a_body_that_is_not_said_to_be_json_is_refused(headers: dict[str, str]) -> None:
    """A page of another site cannot post a form: it may send text unasked, JSON only after it was asked for."""
    client = FakeClient()
    response = ask(app_of(client), "POST", RUNS, content=json.dumps(ASKED).encode(), headers=headers)
    assert "application/json" in problem(response, 422, "invalid_request")
    assert client.calls == []


@pytest.mark.parametrize("path", [RUNS, f"/api{RUNS}"], ids=["taken away", "passed on"])
def test_addresses_hold_below_a_proxys_prefix(path: str) -> None:
    """Addresses begin with the prefix under which a proxy shows the app, and are not taken from the Host header."""
    transport = httpx2.ASGITransport(app=app_of(FakeClient()), root_path="/api")
    headers = {"Host": "elsewhere/page"}
    response = ask_over(transport, "POST", path, json=ASKED, headers=headers)
    told = response.json()
    assert told["url"] == response.headers["location"] == f"/api{RUNS}/{told['run_id']}"


def test_an_open_run_is_told_with_202_and_an_ended_one_with_its_report() -> None:
    """While a run is open its address gives how far it is and when to ask again; afterwards the report."""
    app = app_of(FakeClient(found=snapshot()))
    for path in (f"{RUNS}/{RUN}", f"{RUNS}/{RUN}/answer.md"):
        response = ask(app, "GET", path)
        assert (response.status_code, response.headers["retry-after"]) == (202, "1")
        assert response.json()["state"] == "dispatched"
    app = app_of(FakeClient(found=snapshot(RunState.DONE, report=REPORT)))
    assert ask(app, "GET", f"{RUNS}/{RUN}").json() == REPORT.model_dump(mode="json")


def test_a_cancelled_run_has_the_report_that_the_client_gives_it() -> None:
    """The store keeps no report of a cancelled run; its address gives one all the same."""
    client = FakeClient(found=snapshot(RunState.CANCELLED))
    response = ask(app_of(client), "GET", f"{RUNS}/{RUN}")
    assert (response.status_code, response.json()["run_id"]) == (200, RUN)
    assert client.calls[-1] == ("result", None)


def test_the_answer_is_markdown_that_no_browser_takes_for_a_page() -> None:
    """``answer.md`` is the report's response; a log line in it that looks like HTML is not sniffed into HTML."""
    response = ask(app_of(FakeClient(found=snapshot(RunState.DONE, report=REPORT))), "GET", f"{RUNS}/{RUN}/answer.md")
    assert (response.status_code, response.text) == (200, REPORT.response)
    assert response.headers["content-type"] == "text/markdown; charset=utf-8"
    assert response.headers["x-content-type-options"] == "nosniff"


def test_runs_are_listed_and_cancelled() -> None:
    """The list takes the command line's limits; a cancel says how the run stands now."""
    client = FakeClient()
    app = app_of(client)
    assert ask(app, "GET", RUNS).json() == [SUMMARY.model_dump(mode="json")]
    assert ask(app, "GET", f"{RUNS}?limit=1000").status_code == 200
    assert ask(app, "DELETE", f"{RUNS}/{RUN}").json()["state"] == "cancelled"
    everything = RunFilter()
    assert client.calls == [
        ("page", (20, None, everything)),
        ("page", (1000, None, everything)),
        ("cancel", "web"),
    ]
    for limit in ("0", "1001", "x"):
        assert problem(ask(app, "GET", f"{RUNS}?limit={limit}"), 422, "invalid_request").startswith("limit: ")


def test_a_list_is_filtered_and_read_page_by_page() -> None:
    """Each filter reaches the store; ``Link`` has the next page with the same filters, and the body stays a list."""
    client = FakeClient(next_page="1795514607641-run-00000001")
    query = "state=open&outcome=failed&outcome=partial&job=MDM%23A.B&instance=prd&user=ana&since=2h&limit=5"
    response = ask(app_of(client), "GET", f"{RUNS}?{query}&after=1-run-00000009")
    assert response.json() == [SUMMARY.model_dump(mode="json")]
    assert response.headers["link"] == f'<{RUNS}?{query}&after=1795514607641-run-00000001>; rel="next"'
    where = RunFilter(
        state=("open",), outcome=("failed", "partial"), job="MDM#A.B", instance="prd", user="ana", since="2h"
    )
    assert client.calls == [("page", (5, "1-run-00000009", where))]
    client.next_page = None
    assert "link" not in ask(app_of(client), "GET", RUNS).headers


@pytest.mark.parametrize(
    ("query", "told"),
    [
        (
            "state=cancelld",
            "state: 'cancelld' is not known; known: open, accepted, dispatching, dispatched, done, cancelled; did you ",
        ),
        (
            "outcome=fail",
            "outcome: 'fail' is not known; known: complete, partial, failed, timed_out, cancelled; did you mean ",
        ),
        ("job=a!", "job: 'a!' is not a TWS job name"),
        ("since=ontem", "since: 'ontem' is no time; write how long ago (30m, 2h, 7d) or when (2026-11-29, "),
        ("limit=0", "limit: must be greater than or equal to 1"),
        (
            "stat=open",
            "query: 'stat' is not known; known: limit, after, state, outcome, job, instance, user, since; did ",
        ),
    ],
)
def test_a_wrong_filter_is_named_with_what_it_must_be(query: str, told: str) -> None:
    """The problem names the field, the value, and the values that there are."""
    client = FakeClient()
    assert problem(ask(app_of(client), "GET", f"{RUNS}?{query}"), 422, "invalid_request").startswith(told)
    assert client.calls == []


def test_what_cannot_be_a_run_is_not_found() -> None:
    """An address that no run can have is 404, and the store is not asked about it."""
    client = FakeClient()
    app = app_of(client)
    for run_id in ("x", "run:0001", "a" * 65, "%2e%2e%2e%2e%2e%2e%2e%2e%2e"):
        for method, path in (("GET", ""), ("DELETE", ""), ("GET", "/answer.md"), ("GET", "/events")):
            problem(ask(app, method, f"{RUNS}/{run_id}{path}"), 404, "run_not_found")
    assert client.calls == []


def test_a_rerun_is_a_new_run() -> None:
    """It has its own URLs; it is asked by who asks now, and no form of another site can ask for it."""
    client = FakeClient()
    path = f"{RUNS}/{RUN}/rerun"
    response = ask(app_of(client), "POST", path, json={"all": True}, headers={"Idempotency-Key": "k"})
    new = response.json()["run_id"]
    assert (response.status_code, response.json()["url"], new != RUN) == (202, f"{RUNS}/{new}", True)
    assert response.headers["location"] == f"{RUNS}/{new}"
    ask(app_of(client, identify=lambda: None), "POST", path, json={})
    ask(app_of(client, identify=lambda: Identity("ana", all_runs=True)), "POST", path, json={})
    fields = [asked["user_id"] for what, (_, asked) in client.calls if what == "rerun"]
    assert fields == [..., None, "ana"]
    for headers in ({"Content-Type": "text/plain"}, {}):
        problem(ask(app_of(client), "POST", path, content=b"{}", headers=headers), 422, "invalid_request")
    client.error = Conflict("run_id: open")
    problem(ask(app_of(client), "POST", path, json={}), 409, "conflict")


@pytest.mark.parametrize("body", [{"al": True}, {"all": "maybe"}])
def test_a_rerun_names_the_field_that_it_refuses(body: dict[str, Any]) -> None:
    """A body that is an object is not said to be none."""
    response = ask(app_of(FakeClient()), "POST", f"{RUNS}/{RUN}/rerun", json=body)
    assert problem(response, 422, "invalid_request").startswith(next(iter(body)))


def test_the_app_decides_who_may_come_in() -> None:
    """``dependencies`` guard every route, and what they raise is answered by the app's own handlers."""

    def guard() -> None:
        raise HTTPException(401, "who are you?")

    client = FakeClient()
    app = app_of(client, dependencies=[Depends(guard)])
    for method, path in (
        ("POST", ""),
        ("POST", f"/{RUN}/rerun"),
        ("GET", ""),
        ("GET", f"/{RUN}"),
        ("DELETE", f"/{RUN}"),
        ("GET", f"/{RUN}/events"),
    ):
        response = ask(app, method, RUNS + path, json=ASKED if method == "POST" else None)
        assert (response.status_code, response.json()) == (401, {"detail": "who are you?"})
    assert client.calls == []


def test_openapi_documents_every_answer() -> None:
    """Each route names its media types, the problem's fields, and schemas that are there."""
    schema = ask(app_of(FakeClient()), "GET", "/openapi.json").json()
    routes = {f"{method} {path}": told for path, ways in schema["paths"].items() for method, told in ways.items()}
    media = {
        route: {status: next(iter(answer.get("content", {"": 0}))) for status, answer in told["responses"].items()}
        for route, told in routes.items()
    }
    failed = dict.fromkeys(("403", "422", "429", "501", "503"), "application/problem+json")
    bodies = dict.fromkeys(("408", "409", "413"), "application/problem+json")
    missing = {"404": "application/problem+json"}
    as_json = {"200": "application/json"}
    run = f"{RUNS}/{{run_id}}"
    assert media == {
        f"post {RUNS}": as_json | failed | bodies | {"202": "application/json"},
        f"post {run}/rerun": {"202": "application/json"} | failed | missing | bodies,
        f"get {RUNS}": as_json | failed,
        f"get {run}": as_json | failed | missing | {"202": "application/json"},
        f"delete {run}": as_json | failed | missing,
        f"get {run}/answer.md": {"200": "text/markdown", "202": "application/json"} | failed | missing,
        f"get {run}/events": {"200": "text/event-stream", "204": ""} | failed | missing,
    }
    body = routes[f"post {RUNS}"]["requestBody"]["content"]["application/json"]["schema"]
    assert {"message", "jobs", "config", "user_id"} <= set(body["properties"])
    told = routes[f"post {RUNS}"]["responses"]["422"]["content"]["application/problem+json"]["schema"]
    assert set(told["properties"]) == {"type", "title", "status", "detail", "reason"}
    references = {item.removeprefix("#/components/schemas/") for item in _references(schema)}
    assert {"Report", "RunSnapshot", "RunSummary", "Accepted"} <= references <= set(schema["components"]["schemas"])


def _references(value: Any) -> set[str]:
    if isinstance(value, dict):
        found = {value["$ref"]} if isinstance(value.get("$ref"), str) else set()
        return found.union(*map(_references, value.values()))
    return set().union(*map(_references, value)) if isinstance(value, list) else set()


def test_the_router_opens_one_client_for_the_life_of_the_app(monkeypatch: pytest.MonkeyPatch) -> None:
    """Included twice, and below another router, it has one client, opened at the start and closed at the end."""
    opened: list[FakeClient] = []

    def make(settings: Settings) -> FakeClient:
        opened.append(FakeClient(settings))
        return opened[-1]

    monkeypatch.setattr("orchestrator.web.router.AsyncTroubleshootClient", make)
    settings = Settings.from_env({"REDIS_URL": "redis://127.0.0.1:1/0"})
    router, api, app = create_router(settings), APIRouter(), FastAPI()
    api.include_router(router)
    app.include_router(api, prefix="/v1")
    app.include_router(router)

    async def live() -> None:
        for _ in range(2):
            async with app.router.lifespan_context(app):
                assert not opened[-1].closed
                assert opened[-1].settings is settings
            assert opened[-1].closed

    asyncio.run(live())
    assert len(opened) == 2


def test_a_client_of_the_app_is_left_open() -> None:
    """Who opened the client closes it."""
    client = FakeClient()
    app = app_of(client)

    async def live() -> None:
        async with app.router.lifespan_context(app):
            pass

    asyncio.run(live())
    assert not client.closed


def test_an_app_that_was_never_started_says_so() -> None:
    """In a mounted app, whose lifespan nobody runs, the answer names the mistake."""
    detail = problem(ask(app_of(None), "GET", RUNS), 500, "configuration")
    assert "lifespan" in detail


def test_a_wrong_setting_stops_the_app_at_its_start(monkeypatch: pytest.MonkeyPatch) -> None:
    """The environment is read when the app starts, and a wrong value is named by its variable."""
    app = app_of(None)
    monkeypatch.setenv("REDIS_URL", "http://127.0.0.1")

    async def live() -> None:
        async with app.router.lifespan_context(app):
            pass

    with pytest.raises(ConfigurationError, match="REDIS_URL"):
        asyncio.run(live())


def test_only_the_web_part_needs_fastapi() -> None:
    """The client does not load FastAPI; where it is not installed, the import names the extra to install."""
    code = (
        "import sys\n"
        "import orchestrator, orchestrator.graph, orchestrator.cli.main, orchestrator.watcher\n"
        "print([m for m in ('fastapi', 'starlette') if m in sys.modules])\n"
        "sys.modules['fastapi'] = None\n"
        "try: import orchestrator.web\n"
        "except ModuleNotFoundError as error: print(error)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=100, check=True)
    assert done.stdout.splitlines() == ["[]", "orchestrator.web needs FastAPI: pip install 'resync-troubleshoot[api]'"]
