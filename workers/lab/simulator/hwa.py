"""The simulated HCL Workload Automation server: the read-only REST API v2 over a ``Plan``."""

import base64
import binascii
import hmac
import json
import re
import secrets
import ssl
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler
from typing import Any, Self
from urllib.parse import parse_qs, unquote, urlencode, urlsplit

from workers.lab.simulator.faults import Fault, FaultBox
from workers.lab.simulator.http import LocalServer
from workers.lab.simulator.oql_match import BadOql, compile_oql
from workers.lab.simulator.plan import Json, Plan

PREFIX = "/twsd/api/v2"
_PATH = ":path"
"""Key of a request's path among its parameters, for the links to other pages."""
_JOB_FIELDS = frozenset(
    {
        "id",
        "name",
        "folder",
        "workstation",
        "jobStreamName",
        "jobStreamWorkstation",
        "jobruns.compositeStatus.status",
        "lastRunCommonStatus",
    }
)
_STREAM_FIELDS = frozenset({"id", "name", "folder", "workstation", "compositeStatus.status", "commonStatus"})
_STATION_FIELDS = frozenset({"id", "name", "folder", "type", "activeStates"})
_DEFINITION_FIELDS = ("id", "folder", "name", "workstation", "description", "userLogins", "task")
_RESOURCE_FIELDS = frozenset({"id", "name", "folder", "workstation"})


@dataclass(frozen=True, slots=True)
class Received:
    """A received request. Names of headers are in lower case; credentials are removed."""

    method: str
    path: str
    query: Mapping[str, tuple[str, ...]]
    headers: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Reply:
    """A response."""

    status: int
    body: bytes = b""
    kind: str = "application/json"

    @classmethod
    def of(cls, value: object) -> Self:
        """A JSON response."""
        return cls(200, json.dumps(value, ensure_ascii=False).encode())


@dataclass(slots=True)
class _State:
    plan: Plan
    user: str
    password: str
    token: str | None
    header: tuple[str, str] | None
    max_results: int | None = None
    ignores_offset: bool = False
    faults: FaultBox = field(default_factory=FaultBox)
    received: list[Received] = field(default_factory=list)
    answering: int = 0
    most_at_once: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)


class HwaSimulator(LocalServer):
    """Simulates HWA for one plan; a context manager. The password is random by default."""

    def __init__(
        self,
        plan: Plan,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        user: str = "resync",
        password: str | None = None,
        token: str | None = None,
        header: tuple[str, str] | None = None,
        tls: ssl.SSLContext | None = None,
        faults: Sequence[Fault] = (),
        max_results: int | None = None,
        ignores_offset: bool = False,
    ) -> None:
        """``max_results``: the most results on a page, whatever limit a client sends."""
        self._state = _State(
            plan, user, password or secrets.token_urlsafe(18), token, header, max_results, ignores_offset
        )
        self._began = time.monotonic()
        for fault in faults:
            self._state.faults.add(fault)
        super().__init__(_handler(self._state, self), host=host, port=port, tls=tls)

    @property
    def user(self) -> str:
        """The authorized user."""
        return self._state.user

    @property
    def password(self) -> str:
        """The user's password."""
        return self._state.password

    @property
    def requests(self) -> tuple[Received, ...]:
        """All requests so far, including refused ones."""
        with self._state.lock:
            return tuple(self._state.received)

    @property
    def most_at_once(self) -> int:
        """The largest number of requests that were being answered at the same time."""
        with self._state.lock:
            return self._state.most_at_once

    def now(self) -> datetime:
        """The present time of the plan."""
        return self._state.plan.now + timedelta(seconds=time.monotonic() - self._began)

    def fail(self, fault: Fault) -> None:
        """Activate a fault."""
        self._state.faults.add(fault)

    def heal(self) -> None:
        """Remove all faults."""
        self._state.faults.clear()

    def environ(self) -> dict[str, str]:
        """The variables for the source ``tws_status``."""
        return {"TWS_BASE_URL": self.base_url, "TWS_USER": self.user, "TWS_PASSWORD": self.password}


def _handler(state: _State, server: HwaSimulator) -> type[BaseHTTPRequestHandler]:
    """A handler class bound to one server: http.server creates handlers without arguments."""
    return type("BoundHandler", (_Handler,), {"state": state, "simulator": server})


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = 30
    # Head and body in one packet without delay: else each response waits 40 ms for the client's delayed ACK.
    wbufsize = -1
    disable_nagle_algorithm = True
    state: _State
    simulator: HwaSimulator
    _is_answering = False

    def date_time_string(self, timestamp: float | None = None) -> str:
        """The plan's time, which goes on from the start of the server."""
        return super().date_time_string(timestamp or self.simulator.now().timestamp())

    def do_GET(self) -> None:
        parts = urlsplit(self.path)
        query = {name: tuple(values) for name, values in parse_qs(parts.query, keep_blank_values=True).items()}
        headers = {name.lower(): value for name, value in self.headers.items() if name.lower() != "authorization"}
        self._record(Received("GET", parts.path, query, headers))
        try:
            self._answer(parts.path, query)
        finally:
            self._ended()

    def _answer(self, path: str, query: dict[str, tuple[str, ...]]) -> None:
        fault = self.state.faults.take(path)
        if fault is not None and self._fails(fault):
            return
        if not _is_authorized(self.state, self.headers):
            self._send(Reply(401))
            return
        if self.state.ignores_offset:
            query.pop("offset", None)
        limit = self.state.max_results
        if limit is not None:
            query["limit"] = (str(min(limit, int(query.get("limit", (str(limit),))[0]))),)
        self._send(answer(self.state.plan, path, query), cut=fault is not None and fault.broken == "cut")

    def _refuse(self) -> None:
        self._record(Received(self.command, urlsplit(self.path).path, {}, {}))
        self.close_connection = True
        self._send(Reply(405))

    do_POST = do_PUT = do_DELETE = do_PATCH = _refuse  # noqa: N815  # the names http.server looks for

    def _record(self, received: Received) -> None:
        with self.state.lock:
            self.state.received.append(received)
            self.state.answering += received.method == "GET"
            self.state.most_at_once = max(self.state.most_at_once, self.state.answering)
        self._is_answering = received.method == "GET"

    def _ended(self) -> None:
        if self._is_answering:
            self._is_answering = False
            with self.state.lock:
                self.state.answering -= 1

    def _fails(self, fault: Fault) -> bool:
        """Apply the fault; False when the request is answered nevertheless."""
        if fault.latency_seconds:
            self.simulator.stopping.wait(fault.latency_seconds)
        if fault.status is not None:
            self._send(Reply(fault.status))
        elif fault.broken == "garbage":
            self._send(Reply(200, b'{"results": [\x00\xff not json'))
        elif fault.broken == "html":
            self._send(Reply(200, b"<html><body>Login</body></html>", "text/html"))
        elif fault.broken == "reset":
            self.close_connection = True
        else:
            return self.simulator.stopping.is_set()
        return True

    def _send(self, reply: Reply, *, cut: bool = False) -> None:
        self.send_response(reply.status)
        if reply.status == HTTPStatus.UNAUTHORIZED:
            self.send_header("WWW-Authenticate", 'Basic realm="HWA"')
        self.send_header("Content-Type", reply.kind)
        self.send_header("Content-Length", str(len(reply.body)))
        self.end_headers()
        # Before the last byte: a client that has read it may send its next request at once.
        self._ended()
        self.wfile.write(reply.body[: len(reply.body) // 2] if cut else reply.body)
        self.wfile.flush()
        self.close_connection |= cut

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  # the name http.server gives it
        pass


def _is_authorized(state: _State, headers: Any) -> bool:
    if state.header is not None:
        name, value = state.header
        return hmac.compare_digest(headers.get(name, "").encode(), value.encode())
    kind, _, credentials = headers.get("Authorization", "").partition(" ")
    if kind == "Bearer" and state.token is not None:
        return hmac.compare_digest(credentials.encode(), state.token.encode())
    if kind != "Basic":
        return False
    try:
        decoded = base64.b64decode(credentials, validate=True)
    except (binascii.Error, ValueError):
        return False
    return hmac.compare_digest(decoded, f"{state.user}:{state.password}".encode())


Query = Mapping[str, tuple[str, ...]]


def answer(plan: Plan, path: str, query: Query) -> Reply:
    """The response to a GET, without authentication and faults."""
    if not path.startswith(PREFIX + "/"):
        return Reply(404)
    inside = path.removeprefix(PREFIX)
    for pattern, reply in _ROUTES:
        match = pattern.fullmatch(inside)
        if match is not None:
            return reply(plan, unquote(match["id"]) if "id" in match.groupdict() else "", {**query, _PATH: (path,)})
    return Reply(404)


def _engine(plan: Plan, _: str, __: Query) -> Reply:
    return Reply.of(plan.engine)


def _search(items: Sequence[Json], fields: frozenset[str], query: Query) -> Reply:
    try:
        limit, offset = _number(query, "limit", 10_000), _number(query, "offset", 0)
        oql = query.get("oql", ("",))[0]
        matches = compile_oql(oql, fields) if oql else lambda _: True
    except ValueError:
        return Reply(400)
    results = [item for item in items if matches(item)]
    body: Json = {"count": len(results), "results": results[offset : offset + limit]}
    for name, start in (("next", offset + limit), ("previous", offset - limit)):
        if limit and (start < len(results) if name == "next" else offset > 0):
            kept = {key: value[0] for key, value in query.items() if key != _PATH}
            page = urlencode({**kept, "limit": limit, "offset": max(0, start)})
            body[name] = f"{query[_PATH][0]}?{page}"
    return Reply.of(body)


def _number(query: Query, name: str, default: int) -> int:
    value = int(query.get(name, (str(default),))[0])
    if value < 0:
        raise BadOql(name)
    return value


def _jobs(plan: Plan, _: str, query: Query) -> Reply:
    # Lists contain no dependencies and, with the client's scope, no definitions.
    slim = [
        {key: value for key, value in job.items() if key not in ("dependencies", "jobDefinition")} for job in plan.jobs
    ]
    return _search(slim, _JOB_FIELDS, query)


def _streams(plan: Plan, _: str, query: Query) -> Reply:
    return _search([_with_figures(plan, stream) for stream in plan.streams], _STREAM_FIELDS, query)


def _with_figures(plan: Plan, stream: Json) -> Json:
    statuses = [job["lastRunCompositeStatus"]["status"] for job in plan.jobs if job["jobStreamId"] == stream["id"]]
    figures = {
        "numberOfJob": len(statuses),
        "numberOfSuccessfullJob": statuses.count("SUCC"),
        "numberOfExecutingJob": statuses.count("EXEC"),
        "numberOfAbendedJob": statuses.count("ABEND"),
        "numberOfFailedJob": statuses.count("FAIL"),
        "numberOfNotRunningJob": sum(status in ("HOLD", "READY") for status in statuses),
    }
    return {**stream, "jobStreamStats": figures}


def _stations(plan: Plan, _: str, query: Query) -> Reply:
    return _search(plan.workstations, _STATION_FIELDS, query)


def _resources(plan: Plan, _: str, query: Query) -> Reply:
    return _search(plan.resources, _RESOURCE_FIELDS, query)


def _one(items: Sequence[Json], object_id: str) -> Json | None:
    return next((item for item in items if item["id"] == object_id), None)


def _job(plan: Plan, object_id: str, _: Query) -> Reply:
    job = _one(plan.jobs, object_id)
    if job is None:
        return Reply(404)
    unresolved = sum(not item["satisfied"] for item in job["dependencies"])
    figures = {"numberOfDependencies": len(job["dependencies"]), "numberOfUnresolvedDependencies": unresolved}
    return Reply.of({**job, "dependenciesStats": figures})


def _stream(plan: Plan, object_id: str, _: Query) -> Reply:
    stream = _one(plan.streams, object_id)
    return Reply(404) if stream is None else Reply.of(_with_figures(plan, stream))


def _station(plan: Plan, object_id: str, _: Query) -> Reply:
    station = _one(plan.workstations, object_id)
    return Reply(404) if station is None else Reply.of(station)


def _neighbours(of: Callable[[Plan, Json], list[Json]]) -> Callable[[Plan, str, Query], Reply]:
    def reply(plan: Plan, object_id: str, _: Query) -> Reply:
        job = _one(plan.jobs, object_id)
        if job is None:
            return Reply(404)
        results = of(plan, job)
        return Reply.of({"count": len(results), "results": results})

    return reply


def _issues(plan: Plan, _: str, query: Query) -> Reply:
    try:
        matches = compile_oql(query.get("oql", ("",))[0], _JOB_FIELDS)
    except BadOql:
        return Reply(400)
    issues = [issue for job in plan.jobs if matches(job) for issue in plan.issues.get(job["id"], [])]
    return Reply.of({"issues": issues})


def _count(plan: Plan, _: str, query: Query) -> Reply:
    filters = [name for name in query.get("grouping_filters", ("",))[0].split(",") if name]
    if set(filters) - {"workstation", "status", "folder"}:
        return Reply(400)
    grouped: dict[str, int] = {}
    for job in plan.jobs:
        values = {**job, "status": job["lastRunCompositeStatus"]["status"]}
        key = ",".join(values[name] for name in filters)
        grouped[key] = grouped.get(key, 0) + 1
    return Reply.of({"count": len(plan.jobs), "groupedCount": grouped if filters else {}})


def _joblog(plan: Plan, object_id: str, query: Query) -> Reply:
    log = plan.logs.get(object_id)
    if log is None:
        return Reply(404)
    try:
        first, last = _number(query, "from_line", 1), _number(query, "to_line", len(log))
    except ValueError:
        return Reply(400)
    lines = log[max(0, first - 1) : last]
    return Reply(200, "".join(f"{line}\n" for line in lines).encode(), "text/plain; charset=utf-8")


def _definition(plan: Plan, object_id: str, _: Query) -> Reply:
    stored = _one([job["jobDefinition"] for job in plan.jobs], object_id)
    if stored is None:
        return Reply(404)
    definition = {name: stored[name] for name in _DEFINITION_FIELDS}
    definition |= {"type": "executable", "recovery": {"action": stored["recoveryOption"]}}
    return Reply.of({"kind": "JobDefinition", "key": f"/{stored['name']}", "def": definition})


_ROUTES: tuple[tuple[re.Pattern[str], Callable[[Plan, str, Query], Reply]], ...] = tuple(
    (re.compile(pattern), reply)
    for pattern, reply in (
        ("/engine/info", _engine),
        ("/plan/job", _jobs),
        ("/plan/job/count", _count),
        ("/plan/job/issues", _issues),
        ("/plan/job/run/(?P<id>[^/]+)/joblog", _joblog),
        ("/plan/job/(?P<id>[^/]+)/predecessors", _neighbours(Plan.predecessors)),
        ("/plan/job/(?P<id>[^/]+)/successors", _neighbours(Plan.successors)),
        ("/plan/job/(?P<id>[^/]+)", _job),
        ("/plan/jobstream", _streams),
        ("/plan/jobstream/(?P<id>[^/]+)", _stream),
        ("/plan/resource", _resources),
        ("/plan/workstation", _stations),
        ("/plan/workstation/(?P<id>[^/]+)", _station),
        ("/model/jobdefinition/(?P<id>[^/]+)", _definition),
    )
)
