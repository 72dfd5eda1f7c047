"""A process that asks: takes questions from standard input, reads each answer in its own way, tells what it saw.

Both are JSON, one object a line. All times are seconds of the monotonic clock, which the processes of a machine share.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any

import httpx2

from orchestrator import (
    AsyncTroubleshootClient,
    Event,
    Overloaded,
    ParallelConfig,
    Report,
    RunNotFound,
    Settings,
    StoreUnreachable,
    TroubleshootClient,
    TroubleshootRequest,
    create_parallel_troubleshoot_graph,
    parallel_troubleshoot,
)
from orchestrator.errors import TroubleshootError

THREADS = 24
Record = dict[str, Any]
RETRY_SECONDS = 0.05
LONGEST_HTTP_SECONDS = 30.0
"""Seconds beyond a run's deadline after which a reader over HTTP counts its answer as lost."""


class Refused(Exception):
    """The question was not accepted."""


class Asker:
    """Asks and reads by every way that there is; ``webs`` are the addresses of the web servers."""

    def __init__(self, webs: list[str]) -> None:
        self.settings = Settings.from_env()
        self.sync = TroubleshootClient(self.settings)
        self.aio = AsyncTroubleshootClient(self.settings)
        self.webs = webs
        self.http = httpx2.AsyncClient(trust_env=False, timeout=httpx2.Timeout(3.0, read=20.0))
        self.threads = ThreadPoolExecutor(THREADS, thread_name_prefix="soak")
        for _ in range(THREADS):  # all of them now, so that their number says something
            self.threads.submit(time.sleep, 0.2)
        self.ways: dict[str, Callable[[Record, TroubleshootRequest], Awaitable[Record]]] = {
            "sync_result": self._in_thread(self._sync_result),
            "sync_stream": self._in_thread(self._sync_stream),
            "aio_result": self._aio_result,
            "aio_stream": self._aio_stream,
            "graph": self._graph,
            "graph_stream": self._graph_stream,
            "http_wait": self._http_wait,
            "http_sse": self._http_sse,
        }

    async def ask(self, spec: Record) -> None:
        """Ask the question, or read the run of somebody else with ``second``, and tell what happened."""
        asked = time.monotonic()
        told: Record = {"kind": "second" if spec.get("second") else "answer", "n": spec["n"], "how": spec["how"]}
        told |= {"run": spec["run"], "asked": asked, "limit": spec["limit"]}
        config = ParallelConfig(total_timeout_seconds=spec["limit"], node_timeout_seconds=spec["node"])
        request = TroubleshootRequest(message=spec["message"], jobs=tuple(spec["jobs"]), config=config)
        spec["told"] = told
        try:
            told |= await self.ways[spec["how"]](spec, request)
        except Refused as error:
            told |= {"class": "refused", "error": str(error)}
        except RunNotFound as error:
            told |= {"class": "forgotten" if "no longer stored" in str(error) else "not_found", "error": str(error)}
        except StoreUnreachable as error:
            told |= {"class": "unreachable", "error": f"{type(error).__name__}: {error}"}
        except Exception as error:  # noqa: BLE001  # what a caller must never get is told too
            told |= {"class": "error", "error": f"{type(error).__name__}: {error}"}
        told["answered"] = time.monotonic()
        tell(told)

    def _in_thread(
        self, way: Callable[[Record, TroubleshootRequest], Record]
    ) -> Callable[[Record, TroubleshootRequest], Awaitable[Record]]:
        async def run(spec: Record, request: TroubleshootRequest) -> Record:
            return await asyncio.get_running_loop().run_in_executor(self.threads, way, spec, request)

        return run

    def _accepted(self, spec: Record, run_id: str | None = None) -> None:
        spec["told"]["accepted"] = time.monotonic()
        if run_id is not None:
            spec["told"]["run"] = run_id
        tell({"kind": "accepted", "n": spec["n"], "run": spec["told"]["run"], "limit": spec["limit"]})

    def _sync_submit(self, spec: Record, request: TroubleshootRequest) -> str:
        if not spec.get("second"):
            try:
                self.sync.submit(request, run_id=spec["run"])
            except (Overloaded, StoreUnreachable) as error:
                raise Refused(type(error).__name__) from error
            self._accepted(spec)
        return str(spec["run"])

    async def _aio_submit(self, spec: Record, request: TroubleshootRequest) -> str:
        if not spec.get("second"):
            try:
                await self.aio.submit(request, run_id=spec["run"])
            except (Overloaded, StoreUnreachable) as error:
                raise Refused(type(error).__name__) from error
            self._accepted(spec)
        return str(spec["run"])

    def _sync_result(self, spec: Record, request: TroubleshootRequest) -> Record:
        return of_report(self.sync.result(self._sync_submit(spec, request)))

    def _sync_stream(self, spec: Record, request: TroubleshootRequest) -> Record:
        run_id = self._sync_submit(spec, request)
        events = list(self.sync.stream(run_id, keeps_answers=True))
        return of_events(events) or of_report(self.sync.result(run_id)) | {"cut": True}

    async def _aio_result(self, spec: Record, request: TroubleshootRequest) -> Record:
        return of_report(await self.aio.result(await self._aio_submit(spec, request)))

    async def _aio_stream(self, spec: Record, request: TroubleshootRequest) -> Record:
        run_id = await self._aio_submit(spec, request)
        events = [event async for event in self.aio.stream(run_id, keeps_answers=True)]
        return of_events(events) or of_report(await self.aio.result(run_id)) | {"cut": True}

    async def _graph(self, spec: Record, request: TroubleshootRequest) -> Record:
        try:
            state = await parallel_troubleshoot(
                request.message, jobs=request.jobs, config=request.config, settings=self.settings
            )
        except Overloaded as error:
            raise Refused(type(error).__name__) from error
        metadata = state["metadata"]
        return {
            "class": "stored" if metadata["committed"] else "own",
            "run": state["run_id"],
            "digest": digest(state["response"]),
            **{name: metadata.get(name) for name in ("outcome", "committed_by", "reason")},
        }

    async def _graph_stream(self, spec: Record, request: TroubleshootRequest) -> Record:
        graph = create_parallel_troubleshoot_graph(request.config, settings=self.settings)
        state = {"message": request.message, "jobs": list(request.jobs)}
        events = []
        try:
            async for event in graph.astream(state):
                if not events:
                    self._accepted(spec, event.run_id)
                events.append(event)
        except Overloaded as error:
            raise Refused(type(error).__name__) from error
        return of_events(events) or {"class": "error", "error": "the graph's stream ended without a terminal event"}

    async def _http_wait(self, spec: Record, request: TroubleshootRequest) -> Record:
        response = await self._post(spec, request, wait=True)
        if response is not None and response.status_code == 200:
            return of_report(Report.model_validate_json(response.content))
        return await self._http_read(spec)

    async def _http_sse(self, spec: Record, request: TroubleshootRequest) -> Record:
        if not spec.get("second"):
            await self._post(spec, request, wait=False)
        end, after, events = self._http_end(spec), "0", []
        while time.monotonic() < end:
            with suppress(httpx2.TransportError):
                async for event in self._events(spec, after):
                    events.append(event)
                    after = event.id
                    if event.type.is_terminal:
                        return of_events(events)
                # Without a terminal event: Redis was away at the deadline, or it is the end.
                return await self._http_read(spec) | {"cut": True}
            self._next_web(spec)
            await asyncio.sleep(RETRY_SECONDS)
        return {"class": "error", "error": "no answer over HTTP"}

    async def _post(self, spec: Record, request: TroubleshootRequest, *, wait: bool) -> httpx2.Response | None:
        """Submit until a server accepts or refuses it; the same key and id make it one run."""
        body = request.model_dump(mode="json", include={"message", "jobs", "config"})
        path = f"/troubleshoot/runs?run_id={spec['run']}&wait={'true' if wait else 'false'}"
        end = time.monotonic() + spec["limit"] + LONGEST_HTTP_SECONDS
        while time.monotonic() < end:
            began = time.monotonic()
            try:
                response = await self.http.post(
                    self._web(spec) + path, json=body, headers={"Idempotency-Key": spec["run"]}
                )
            except httpx2.TransportError:
                spec["told"]["broken"] = spec["told"].get("broken", 0) + 1
                self._next_web(spec)
                await asyncio.sleep(RETRY_SECONDS)
                continue
            if response.status_code in (429, 503) and not spec["told"].get("broken"):
                raise Refused({429: "Overloaded", 503: "StoreUnreachable"}[response.status_code])
            if response.status_code in (200, 202):
                if "accepted" not in spec["told"]:
                    # A report comes at the end of the run, which was accepted soon after it was sent.
                    self._accepted(spec)
                    spec["told"]["accepted"] = began if wait else time.monotonic()
                return response
            if response.status_code == 404:
                raise RunNotFound(response.text)
            if response.status_code not in (429, 503):
                raise RuntimeError(f"HTTP {response.status_code}: {response.text[:300]}")
            await asyncio.sleep(RETRY_SECONDS)
        raise Refused("no web server")

    async def _http_read(self, spec: Record) -> Record:
        """Poll the run until its report is there."""
        end = self._http_end(spec)
        while time.monotonic() < end:
            with suppress(httpx2.TransportError):
                response = await self.http.get(f"{self._web(spec)}/troubleshoot/runs/{spec['run']}")
                if response.status_code == 200:
                    return of_report(Report.model_validate_json(response.content))
                if response.status_code == 404:
                    raise RunNotFound(response.text)
                if response.status_code not in (202, 503):
                    raise RuntimeError(f"HTTP {response.status_code}: {response.text[:300]}")
            self._next_web(spec)
            await asyncio.sleep(RETRY_SECONDS)
        return {"class": "error", "error": "no answer over HTTP"}

    async def _events(self, spec: Record, after: str) -> AsyncIterator[Event]:
        url = f"{self._web(spec)}/troubleshoot/runs/{spec['run']}/events?after={after}"
        async with self.http.stream("GET", url) as response:
            if response.status_code == 404:
                raise RunNotFound((await response.aread()).decode())
            if response.status_code == 503:
                raise httpx2.ReadError("503")
            async for line in response.aiter_lines():
                if line.startswith("data: "):
                    yield Event.model_validate_json(line.removeprefix("data: "))

    def _http_end(self, spec: Record) -> float:
        return float(spec["told"].get("accepted", time.monotonic()) + spec["limit"] + LONGEST_HTTP_SECONDS)

    def _web(self, spec: Record) -> str:
        return self.webs[spec.setdefault("web", spec["n"]) % len(self.webs)]

    def _next_web(self, spec: Record) -> None:
        spec["web"] = spec.get("web", spec["n"]) + 1


def of_report(report: Report) -> Record:
    return {
        "class": "stored" if report.committed else "own",
        "digest": digest(report.response),
        "outcome": report.outcome.value,
        "committed_by": report.committed_by,
        "reason": report.reason,
    }


def of_events(events: list[Event]) -> Record | None:
    """What the terminal event says; None without one."""
    last = [event for event in events if event.type.is_terminal]
    if not last:
        return None
    # Events of the caller's own process have the id of the store's last one.
    data, ids = (
        last[-1].data,
        [(event.id, event.type, event.data.get("source"), event.data.get("job")) for event in events],
    )
    committed = data.get("committed", True)
    record: Record = {"class": "stored" if committed else "own", "digest": digest(data.get("response", ""))}
    record |= {name: data.get(name) for name in ("outcome", "committed_by", "reason")}
    if len(last) > 1:
        record |= {"class": "error", "error": f"{len(last)} terminal events were streamed"}
    elif committed and len(set(ids)) != len(ids):
        record |= {"class": "error", "error": "an event was streamed twice"}
    return record


def digest(response: str) -> str:
    return hashlib.sha256(response.encode()).hexdigest()[:16]


def tell(record: Record) -> None:
    os.write(1, json.dumps(record).encode() + b"\n")


async def main() -> None:
    asker = Asker(sys.argv[1:])
    reader = asyncio.StreamReader(limit=2**20)
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    tell({"kind": "ready"})
    tasks: set[asyncio.Task[None]] = set()
    while line := await reader.readline():
        task = asyncio.ensure_future(asker.ask(json.loads(line)))
        tasks.add(task)
        task.add_done_callback(tasks.discard)
    if tasks:
        await asyncio.wait(tasks, timeout=60)
    with suppress(TroubleshootError):
        await asker.aio.close()


if __name__ == "__main__":
    asyncio.run(main())
