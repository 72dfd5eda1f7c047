"""A fake client for the web tests, and requests to an app without a server."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import httpx2
from fastapi import FastAPI

from orchestrator.config import Settings
from orchestrator.models import (
    AnswerMode,
    Event,
    EventType,
    Report,
    RunOutcome,
    RunPage,
    RunSnapshot,
    RunState,
    RunSummary,
    TroubleshootRequest,
)
from orchestrator.store.run_filter import RunFilter
from orchestrator.store.runs import new_token

RUN = "run-0001"
QUESTION = TroubleshootRequest(message="Job BATCH001 falhou")
EVENTS = (
    Event(id="1-0", run_id=RUN, type=EventType.ACCEPTED, at_ms=1, data={"message": "linha um\nlinha dois"}),
    Event(id="2-0", run_id=RUN, type=EventType.FINAL, at_ms=2, data={"response": "## Diagnóstico\n"}),
)
REPORT = Report(run_id=RUN, outcome=RunOutcome.COMPLETE, mode=AnswerMode.DETERMINISTIC, response="## Diagnóstico\n")
SUMMARY = RunSummary(run_id=RUN, state=RunState.CANCELLED, message="x", created_at_ms=1, deadline_ms=2)


def snapshot(state: RunState = RunState.DISPATCHED, **fields: Any) -> RunSnapshot:
    return RunSnapshot(
        **{"run_id": RUN, "state": state, "request": QUESTION, "created_at_ms": 1, "deadline_ms": 2} | fields
    )


@dataclass
class FakeClient:
    """Records its calls and answers from its fields; with ``error`` every call raises it."""

    settings: Settings = field(default_factory=lambda: Settings.from_env({}))
    error: Exception | None = None
    report: Report | Exception = REPORT
    found: RunSnapshot = field(default_factory=snapshot)
    stream_of: Callable[[str], AsyncIterator[Event]] | None = None
    requests: list[TroubleshootRequest] = field(default_factory=list)
    calls: list[tuple[str, Any]] = field(default_factory=list)
    closed: bool = False
    next_page: str | None = None

    def __post_init__(self) -> None:
        store = SimpleNamespace(state=lambda run_id: (self.found.state, 1_000))
        self.sync = SimpleNamespace(settings=self.settings, store=store)

    def _asked(self, name: str, what: Any) -> None:
        self.calls.append((name, what))
        if self.error is not None:
            raise self.error

    async def submit(self, request: TroubleshootRequest, *, run_id: str | None, idempotency_key: str | None) -> str:
        self._asked("submit", idempotency_key)
        self.requests.append(request)
        return run_id or new_token()

    async def rerun(self, run_id: str, **fields: Any) -> str:
        self._asked("rerun", (run_id, fields))
        return new_token()

    async def result(self, run_id: str, *, timeout_seconds: float | None = None) -> Report:
        self._asked("result", timeout_seconds)
        if isinstance(self.report, Exception):
            raise self.report
        return self.report

    async def get(self, run_id: str) -> RunSnapshot:
        self._asked("get", run_id)
        return self.found

    async def cancel(self, run_id: str, *, by: str) -> RunSummary:
        self._asked("cancel", by)
        return SUMMARY

    async def page(self, *, limit: int, after: str | None, where: RunFilter) -> RunPage:
        self._asked("page", (limit, after, where))
        return RunPage(runs=(SUMMARY,), next=self.next_page)

    async def check_owner(self, run_id: str, user_id: str | None) -> None:
        self._asked("check_owner", (run_id, user_id))

    async def call(self, function: Callable[..., Any], *args: Any) -> Any:
        self._asked("call", args)
        return function(*args)

    async def stream(self, run_id: str, *, after: str, with_results: bool) -> AsyncIterator[Event]:
        self._asked("stream", after)
        if self.stream_of is not None:
            async for event in self.stream_of(after):
                yield event
            return
        for event in EVENTS:
            if event.id > after:
                yield event

    async def close(self) -> None:
        self.closed = True


def ask(app: FastAPI, method: str, path: str, **options: Any) -> httpx2.Response:
    """One request to an app, without a server and without its lifespan."""
    return ask_over(httpx2.ASGITransport(app=app), method, path, **options)


def ask_over(transport: httpx2.ASGITransport, method: str, path: str, **options: Any) -> httpx2.Response:
    """One request over a transport."""

    async def send() -> httpx2.Response:
        async with httpx2.AsyncClient(transport=transport, base_url="http://app", trust_env=False) as client:
            return await client.request(method, path, **options)

    return asyncio.run(send())
