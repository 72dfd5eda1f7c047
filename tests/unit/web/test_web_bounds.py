"""What one request can take of an app: so many bytes, so long, from where, and so many readers."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import httpx2
import pytest
from fastapi import Depends, FastAPI, HTTPException
from web_support import EVENTS, RUN, FakeClient, ask, ask_over

from orchestrator.models import Event, TroubleshootRequest
from orchestrator.web import Identity, create_router
from orchestrator.web.body import MAX_BODY_BYTES
from orchestrator.web.event_stream import EventStream, Readers

RUNS = "/troubleshoot/runs"
JSON = {"Content-Type": "application/json"}
Message = dict[str, Any]


def app_of(client: FakeClient, **options: Any) -> FastAPI:
    app = FastAPI()
    app.include_router(create_router(client, **options))
    return app


class Wire:
    """A connection to an app, without a server: gives ``chunks`` as the body, then stays silent or repeats the last."""

    def __init__(self, *chunks: bytes, endless: bool = False) -> None:
        self._chunks = list(chunks)
        self._endless = endless
        self.received = 0
        self.sent: list[Message] = []

    async def receive(self) -> Message:
        if not self._chunks:
            await asyncio.Event().wait()
        chunk = self._chunks[0] if self._endless else self._chunks.pop(0)
        self.received += len(chunk)
        return {"type": "http.request", "body": chunk, "more_body": True}

    async def send(self, message: Message) -> None:
        self.sent.append(message)

    def post(self, app: FastAPI) -> tuple[int, Message]:
        """Status and JSON of the answer to a POST of a run."""
        headers = [(b"content-type", b"application/json")]
        scope = {"type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": "POST", "path": RUNS}
        scope |= {"raw_path": RUNS.encode(), "query_string": b"", "scheme": "http", "root_path": "", "headers": headers}
        scope |= {"client": ("127.0.0.1", 1), "server": ("127.0.0.1", 80)}
        asyncio.run(app(scope, self.receive, self.send))
        body = b"".join(message.get("body", b"") for message in self.sent)
        return self.sent[0]["status"], json.loads(body)


def test_a_body_is_received_up_to_a_limit_however_it_is_sent() -> None:
    """A body that never ends is refused as soon as it is too long, and no more of it is taken."""
    client, wire = FakeClient(), Wire(b" " * 65_536, endless=True)
    status, told = wire.post(app_of(client))
    assert (status, told["reason"]) == (413, "body_too_large")
    assert wire.received <= MAX_BODY_BYTES + 65_536
    assert client.calls == []


def test_a_body_that_does_not_come_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """Half a body and then silence ends with 408."""
    monkeypatch.setattr("orchestrator.web.body.BODY_SECONDS", 0.05)
    status, told = Wire(b'{"message":').post(app_of(FakeClient()))
    assert (status, told["reason"]) == (408, "body_too_slow")


def test_nothing_is_received_from_who_may_not_call() -> None:
    """Who the app turns away cannot make it read a body."""

    def nobody() -> None:
        raise HTTPException(401, "who are you?")

    for options in ({"identify": nobody}, {"dependencies": [Depends(nobody)]}):
        wire = Wire(b" " * 65_536, endless=True)
        assert (wire.post(app_of(FakeClient(), **options))[0], wire.received) == (401, 0)


def test_the_largest_request_fits_into_a_body() -> None:
    """Every field at its limit, written as JSON with all that is not ASCII escaped."""
    names = [f"{'/'.join(['F' * 39] * 21)}/WS#STREAM.JOB{number}"[-899:].lstrip("/") for number in range(200)]
    fields = {
        "message": "\U0001f4a5" * 8_000,
        "jobs": names,
        "entities": {"workstations": ["W" * 200] * 500},
        "user_id": "ç" * 200,
        "session_id": "ç" * 200,
    }
    TroubleshootRequest.model_validate(fields)
    assert len(json.dumps(fields)) < MAX_BODY_BYTES
    client = FakeClient()
    assert ask(app_of(client), "POST", RUNS, json=fields).status_code == 202
    assert len(client.requests[0].jobs) == 200


@pytest.mark.parametrize(
    ("body", "told"),
    [
        (b'{"message": "a", "config": {}, "message": "b"}', "message: is named twice"),
        (b'{"message": "a", "config": {"rag_result_limit": 1, "rag_result_limit": 2}}', "rag_result_limit: is named"),
        (b'{"message": "a", "confidence": ' + b"9" * 5_000 + b"}", "JSON object"),
        (b'{"message": "a", "confidence": 1e999}', "confidence: must be"),
        (b'{"message": "a", "confidence": NaN}', "confidence: must be"),
        (b'{"message": "a", "entities": ' + b'{"a":' * 9_000, "JSON object"),
        (b'{"message": "a", "jobs": [' + b"1," * 200_000 + b"1]}", "jobs: 200001 items are given, and 1000 at most"),
        (b'{"message": "a", "' + b"k" * 500_000 + b'": 1}', "...: is not a known field"),
        ("{}".encode("utf-16"), "JSON object"),
        (b'{"message": "a", "user_id": "\\udfff"}', "user_id: must be a valid string"),
        (b'{"message": "a", "\\udfff": 1, "\\udfff": 2}', "JSON object"),
        (b'{"message": "a", "jobs": [' + b"[]," * 10_000 + b"1]}", "more than 10000 lists and objects"),
    ],
    ids=["twice", "twice in", "digits", "infinite", "nan", "deep", "many", "long", "utf-16", "half", "name", "lists"],
)
def test_a_hostile_body_is_refused_briefly(body: bytes, told: str) -> None:
    """422 that names the field, in fewer bytes than a screen holds."""
    client = FakeClient()
    response = ask(app_of(client), "POST", RUNS, content=body, headers=JSON)
    assert (response.status_code, response.json()["reason"]) == (422, "invalid_request")
    assert told in response.json()["detail"]
    assert len(response.content) < 1_000
    assert client.calls == []


def served(client: str = "127.0.0.1", host: str = "127.0.0.1:8000", *, app: FastAPI, **headers: str) -> int:
    """The status of the list of runs for a caller at that address, who calls this machine ``host``."""
    transport = httpx2.ASGITransport(app=app, client=(client, 50_000))
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return ask_over(transport, "GET", f"http://127.0.0.1:8000{RUNS}", headers={"Host": host, **named}).status_code


def test_an_app_that_identifies_nobody_serves_its_own_machine() -> None:
    """By the loopback addresses and the names that only stand for them, and within a test."""
    app = app_of(FakeClient())
    for client in ("127.0.0.1", "127.9.9.9", "::1", "::ffff:127.0.0.1", "testclient"):
        assert served(client, app=app) == 200, client
    for host in ("localhost:8000", "LOCALHOST", "[::1]:8000", "resync.localhost", "127.0.0.1"):
        assert served(host=host, app=app) == 200, host


NETWORK: tuple[tuple[str, str, dict[str, str]], ...] = (
    ("192.168.1.7", "127.0.0.1", {}),
    ("10.0.0.1", "localhost", {}),
    ("fe80::1%eth0", "localhost", {}),
    ("::ffff:10.0.0.1", "localhost", {}),
    ("", "localhost", {}),
    ("127.0.0.1", "resync.example:8000", {}),
    ("127.0.0.1", "127.0.0.1.evil.example", {}),
    ("127.0.0.1", "[::1", {}),
    ("127.0.0.1", "10.0.0.1", {}),
    ("127.0.0.1", "localhost", {"X_Forwarded_For": "127.0.0.1"}),
    ("127.0.0.1", "localhost", {"X_Forwarded_Proto": "https"}),
    ("127.0.0.1", "localhost", {"Forwarded": "for=10.0.0.1"}),
    ("127.0.0.1", "localhost", {"X_Real_IP": "127.0.0.1"}),
    ("127.0.0.1", "localhost", {"Via": "1.1 proxy"}),
    ("127.0.0.1", "localhost", {"X_Forwarded": "for=10.0.0.1"}),
    ("127.0.0.1", "localhost", {"X_Original_Forwarded_For": "10.0.0.1"}),
    ("127.0.0.1", "localhost", {"WL_Proxy_Client_IP": "10.0.0.1"}),
    ("127.0.0.1", "localhost", {"X_Envoy_External_Address": "10.0.0.1"}),
)


def test_an_app_that_identifies_nobody_serves_no_other() -> None:
    """Not over a network, not behind a proxy of this machine, not by another name; but when it is told to, or knows."""
    asked = FakeClient()
    closed = app_of(asked)
    refused = [served(client, host, app=closed, **headers) for client, host, headers in NETWORK]
    assert (refused, asked.calls) == ([403] * len(NETWORK), [])
    for app in (app_of(asked, open_to_network=True), app_of(asked, identify=lambda: Identity("ana"))):
        assert [served(client, host, app=app, **headers) for client, host, headers in NETWORK] == [200] * len(NETWORK)


def test_a_caller_of_http_1_0_is_a_proxy() -> None:
    """nginx as it is installed adds no header to what it passes on, but speaks the old version."""
    app, sent = app_of(FakeClient()), list[Message]()

    async def ask_by(version: str) -> int:
        scope = {"type": "http", "asgi": {"version": "3.0"}, "http_version": version, "method": "GET", "path": RUNS}
        scope |= {"query_string": b"", "headers": [(b"host", b"127.0.0.1:8000")], "client": ("127.0.0.1", 1)}

        async def receive() -> Message:
            return {"type": "http.request"}

        async def send(message: Message) -> None:
            sent.append(message)

        sent.clear()
        await app(scope, receive, send)
        return int(sent[0]["status"])

    assert [asyncio.run(ask_by(version)) for version in ("1.1", "1.0")] == [200, 403]


def test_a_refused_network_is_told_what_to_set() -> None:
    """A problem that names the two arguments; a Unix socket, which has no address, is refused as well."""
    for client in (("10.0.0.1", 1), None):
        transport = httpx2.ASGITransport(app=app_of(FakeClient()), client=client)
        response = ask_over(transport, "POST", RUNS, json={"message": "x"})
        assert (response.status_code, response.json()["reason"]) == (403, "not_open")
        assert "identify" in response.json()["detail"]
        assert "open_to_network=True" in response.json()["detail"]


def test_whoever_is_not_identified_reads_nothing_either() -> None:
    """``identify`` guards every route: a list of runs, their answers and their end are nobody's business."""

    def nobody() -> None:
        raise HTTPException(401, "who are you?")

    app, client = FastAPI(), FakeClient()
    app.include_router(create_router(client, identify=nobody))
    ways = (
        ("GET", ""),
        ("GET", f"/{RUN}"),
        ("DELETE", f"/{RUN}"),
        ("GET", f"/{RUN}/answer.md"),
        ("GET", f"/{RUN}/events"),
    )
    assert {ask(app, method, RUNS + path).status_code for method, path in ways} == {401}
    assert client.calls == []


def test_readers_beyond_the_limit_are_sent_away_and_start_no_run() -> None:
    """503 with ``Retry-After`` for a stream and for who would wait; a submit that does not wait is accepted."""
    client = FakeClient()
    app = app_of(client, max_readers=0)
    for method, path in (("GET", f"{RUNS}/{RUN}/events"), ("POST", f"{RUNS}?wait=true")):
        response = ask(app, method, path, json={"message": "x"} if method == "POST" else None)
        assert (response.status_code, response.json()["reason"]) == (503, "out_of_connections")
        assert "retry-after" in response.headers
    assert client.requests == []
    assert ask(app, "POST", RUNS, json={"message": "x"}).status_code == 202


def test_a_reader_that_ends_gives_its_place_to_another() -> None:
    """One place is enough for one reader after another."""
    app = app_of(FakeClient(), max_readers=1)
    for _ in range(3):
        assert ask(app, "GET", f"{RUNS}/{RUN}/events").status_code == 200
        assert ask(app, "POST", f"{RUNS}?wait=true", json={"message": "x"}).status_code == 200


def test_a_reader_that_takes_nothing_loses_its_place(monkeypatch: pytest.MonkeyPatch) -> None:
    """A stream whose reader does not read ends after a while, and leaves no read of the store behind."""
    monkeypatch.setattr("orchestrator.web.event_stream.SEND_SECONDS", 0.05)
    readers = Readers(1)

    async def events() -> AsyncIterator[Event]:
        for event in EVENTS:
            yield event

    async def silent() -> Message:
        await asyncio.Event().wait()
        return {}

    async def stalled(_message: Message) -> None:
        await asyncio.Event().wait()

    async def scenario() -> None:
        for version in ("2.3", "2.4"):
            stream = EventStream(events(), keep_alive_seconds=15, readers=readers)
            await stream({"type": "http", "asgi": {"spec_version": version}}, silent, stalled)

    asyncio.run(scenario())
    readers.check()
