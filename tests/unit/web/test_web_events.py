"""A run's events as server-sent events, and what a reader leaves behind that goes away."""

from __future__ import annotations

import asyncio
import gc
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from fastapi import FastAPI
from web_support import EVENTS, RUN, FakeClient, ask, snapshot

from orchestrator.errors import StoreUnreachable
from orchestrator.models import Event, RunState
from orchestrator.web import create_router

URL = f"/troubleshoot/runs/{RUN}/events"


def app_of(client: FakeClient, **options: Any) -> FastAPI:
    app = FastAPI()
    app.include_router(create_router(client, **options))
    return app


def parsed(text: str) -> list[dict[str, str]]:
    """The blocks of a stream, as a browser splits them."""
    return [
        dict(line.split(": ", 1) for line in block.split("\n")) for block in text.removesuffix("\n\n").split("\n\n")
    ]


def test_an_event_has_its_id_its_name_and_its_json() -> None:
    """Each event is one block: ``id`` to resume after, ``event`` its kind, ``data`` the contract's event."""
    response = ask(app_of(FakeClient()), "GET", URL)
    assert response.headers["content-type"] == "text/event-stream; charset=utf-8"
    retry, *blocks = parsed(response.text)
    assert retry == {"retry": "1000"}
    assert [(block["id"], block["event"]) for block in blocks] == [("1-0", "accepted"), ("2-0", "final")]
    assert [Event.model_validate_json(block["data"]) for block in blocks] == list(EVENTS)


def test_nothing_on_the_way_is_told_to_keep_the_stream() -> None:
    """Caches, compressing proxies and nginx's buffer are told to leave the stream alone."""
    headers = ask(app_of(FakeClient()), "GET", URL).headers
    assert headers["cache-control"] == "no-store, no-transform"
    assert headers["x-accel-buffering"] == "no"


@pytest.mark.parametrize(
    ("query", "headers", "after"),
    [
        ("", {}, "0"),
        ("?after=1-0", {}, "1-0"),
        ("", {"Last-Event-ID": "1-0"}, "1-0"),
        ("?after=0", {"Last-Event-ID": "1-0"}, "1-0"),
        ("?after=1-0", {"Last-Event-ID": ""}, "1-0"),
    ],
)
def test_a_reader_resumes_after_the_event_it_has(query: str, headers: dict[str, str], after: str) -> None:
    """A browser connects again to the same address: the event it has had goes before the one in the address."""
    client = FakeClient()
    response = ask(app_of(client), "GET", URL + query, headers=headers)
    assert ("stream", after) in client.calls
    assert ("id: 1-0" in response.text) == (after == "0")


def test_an_id_that_is_none_is_refused_before_the_stream_begins() -> None:
    """A wrong id is a problem with a status, not an empty stream."""
    for query, headers in (("?after=x", {}), ("", {"Last-Event-ID": "x"})):
        response = ask(app_of(FakeClient()), "GET", URL + query, headers=headers)
        assert (response.status_code, response.json()["reason"]) == (422, "invalid_request")


def test_a_browser_that_has_everything_is_told_to_stop() -> None:
    """After the last event of an ended run there is 204, without which a browser connects again for ever."""
    client = FakeClient(found=snapshot(RunState.DONE))
    response = ask(app_of(client), "GET", URL, headers={"Last-Event-ID": "2-0"})
    assert (response.status_code, response.text) == (204, "")
    rest = ask(app_of(client), "GET", URL, headers={"Last-Event-ID": "1-0"})
    assert [block.get("id") for block in parsed(rest.text)] == [None, "2-0"]


def test_silence_is_filled_with_comments() -> None:
    """While nothing happens a comment keeps the connection alive, and no event is lost to it."""
    proceed = asyncio.Event()

    async def slow(_after: str) -> AsyncIterator[Event]:
        yield EVENTS[0]
        await proceed.wait()
        yield EVENTS[1]

    async def listen() -> list[str]:
        stream = Stream(app_of(FakeClient(stream_of=slow), keep_alive_seconds=0.01))
        await stream.until(lambda: stream.text.count(": keep-alive\n\n") >= 3)
        assert "id: 2-0" not in stream.text
        proceed.set()
        await asyncio.wait_for(stream.task, 5)
        return [line for line in stream.text.splitlines() if line.startswith("id:")]

    assert asyncio.run(listen()) == ["id: 1-0", "id: 2-0"]


def test_a_store_that_goes_away_ends_the_stream(caplog: pytest.LogCaptureFixture) -> None:
    """What was read is sent, the connection ends in order, and the log has one line without a traceback."""

    async def breaking(_after: str) -> AsyncIterator[Event]:
        yield EVENTS[0]
        raise StoreUnreachable("Redis does not answer")

    response = ask(app_of(FakeClient(stream_of=breaking)), "GET", URL)
    assert [block.get("id") for block in parsed(response.text)] == [None, "1-0"]
    (record,) = [record for record in caplog.records if record.name.startswith("orchestrator")]
    assert record.getMessage().startswith("web_stream_cut reason=store_unreachable")
    assert record.exc_info is None
    assert vars(record)["run_id"] == RUN


@pytest.mark.parametrize("version", ["2.3", "2.4"])
@pytest.mark.parametrize("middleware", [False, True])
def test_a_reader_that_goes_away_ends_the_reading(version: str, middleware: bool) -> None:
    """Whichever way the server tells of it, and through an app's middleware too: no task is left, no wait goes on."""
    ended = asyncio.Event()

    async def endless(_after: str) -> AsyncIterator[Event]:
        yield EVENTS[0]
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    async def listen() -> set[asyncio.Task[Any]]:
        app = app_of(FakeClient(stream_of=endless), keep_alive_seconds=0.02)
        if middleware:

            @app.middleware("http")
            async def pass_on(request: Any, call_next: Any) -> Any:
                return await call_next(request)

        stream = Stream(app, version=version)
        await stream.until(lambda: "id: 1-0" in stream.text)
        stream.gone = True
        stream.disconnected.set()
        # Starlette lets the server know that its reader has gone.
        await asyncio.wait_for(asyncio.gather(stream.task, return_exceptions=True), 5)
        await asyncio.wait_for(ended.wait(), 5)
        return asyncio.all_tasks() - {asyncio.current_task()}

    assert asyncio.run(listen()) == set()


def test_a_read_that_fails_after_its_reader_has_gone_is_nobodys_error() -> None:
    """When the reading ends with an error of the store instead of its cancellation, asyncio reports nothing."""
    reported: list[dict[str, Any]] = []

    async def breaking(_after: str) -> AsyncIterator[Event]:
        yield EVENTS[0]
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            raise StoreUnreachable("Redis does not answer") from None

    async def listen() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda _, context: reported.append(context))
        stream = Stream(app_of(FakeClient(stream_of=breaking)))
        await stream.until(lambda: "id: 1-0" in stream.text)
        stream.disconnected.set()
        await asyncio.wait_for(asyncio.gather(stream.task, return_exceptions=True), 5)

    asyncio.run(listen())
    gc.collect()
    assert reported == []


class Stream:
    """A server's side of one request for events: what it gets, and how it tells that the reader has gone."""

    def __init__(self, app: FastAPI, *, version: str = "2.3") -> None:
        self.text = ""
        self.gone = False
        self.disconnected = asyncio.Event()
        self._version = version
        self._asked = False
        self._changed = asyncio.Event()
        scope = {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": version},
            "http_version": "1.1",
            "method": "GET",
            "path": URL,
            "raw_path": URL.encode(),
            "root_path": "",
            "scheme": "http",
            "query_string": b"",
            "headers": [],
            "client": ("127.0.0.1", 1),
            "server": ("127.0.0.1", 2),
        }
        self.task = asyncio.ensure_future(app(scope, self._receive, self._send))

    async def until(self, condition: Any) -> None:
        async with asyncio.timeout(5):
            while not condition():
                await self._changed.wait()
                self._changed.clear()

    async def _receive(self) -> dict[str, Any]:
        if not self._asked:
            self._asked = True
            return {"type": "http.request", "body": b"", "more_body": False}
        await self.disconnected.wait()
        return {"type": "http.disconnect"}

    async def _send(self, message: dict[str, Any]) -> None:
        if self.gone and self._version == "2.4":  # an older server drops the bytes
            raise OSError("the reader has gone")
        self.text += message.get("body", b"").decode()
        self._changed.set()


def test_events_are_json_that_a_page_can_read() -> None:
    """Line ends inside a text do not break a block: they are escaped in its JSON."""
    _, accepted, _ = parsed(ask(app_of(FakeClient()), "GET", URL).text)
    assert json.loads(accepted["data"])["data"]["message"] == "linha um\nlinha dois"
