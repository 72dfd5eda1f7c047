"""The callers of a trial: each asks one question by one of the ways there are, and keeps what became of it."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any

import httpx2

from orchestrator.client.aio import AsyncTroubleshootClient
from orchestrator.client.sync import TroubleshootClient
from orchestrator.config import Settings
from orchestrator.errors import Overloaded, RunNotFound, StoreUnreachable, TroubleshootError
from orchestrator.graph import create_parallel_troubleshoot_graph
from orchestrator.models import Report, TroubleshootRequest
from orchestrator.store.runs import new_token


@dataclass
class Question:
    """One question, and what became of it."""

    number: int
    reader: str
    request: TroubleshootRequest
    is_odd: bool = False
    run_id: str = field(default_factory=new_token)
    asked_at: float = 0.0
    answered_at: float | None = None
    outcome: str = "unanswered"
    response: str = ""
    available: tuple[str, ...] = ()
    """Sources that the answer has, as ``source|job``."""
    repeated_events: int = 0
    app_away_until: float = 0.0
    """When the app was last found to be away, by a reader over HTTP: nobody is answered meanwhile."""
    error: str = ""

    @property
    def total_seconds(self) -> float:
        return self.request.config.total_timeout_seconds

    def take(self, report: dict[str, Any]) -> None:
        """Keep what a report in JSON says."""
        outcome = "failed" if report["outcome"] == "timed_out" else report["outcome"]
        self.outcome = outcome if report["committed"] else "uncommitted"
        self.response = report["response"]
        results = report["parallel_results"]
        answered = (item for item in results if item["outcome"] in ("ok", "no_data"))
        self.available = tuple(f"{item['source']}|{item['job'] or ''}" for item in answered)

    def end(self, error: BaseException | None = None) -> None:
        """Keep the time of the answer, or of the error in its place."""
        self.answered_at = self.answered_at or time.monotonic()
        match error:
            case None:
                return
            case Overloaded():
                self.outcome = "refused"
            case StoreUnreachable():
                self.outcome = "unreachable"
            case RunNotFound() if "was accepted" in str(error):
                self.outcome = "forgotten"
            case _:
                self.outcome = f"{type(error).__name__}"
        self.error = str(error)


class Readers:
    """Clients of all kinds in this process, which is the app; a context manager."""

    def __init__(self, settings: Settings, web_url: str) -> None:
        self._settings, self._web_url = settings, web_url
        self.client = TroubleshootClient(settings)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self._aio: AsyncTroubleshootClient = self._run(self._open()).result(10)
        self._threads: list[threading.Thread] = []
        self._futures: list[Future[None]] = []

    def ask(self, question: Question) -> None:
        """Ask without waiting for the answer."""
        if question.reader in ("await", "astream", "graph"):
            self._futures.append(self._run(self._asked(question)))
        else:
            self._threads.append(threading.Thread(target=self._ask, args=(question,), daemon=True))
            self._threads[-1].start()

    def join(self, seconds: float) -> None:
        """Wait for all answers, for so long at most."""
        end = time.monotonic() + seconds
        for thread in self._threads:
            thread.join(max(0.0, end - time.monotonic()))
        for future in self._futures:
            try:
                future.result(max(0.0, end - time.monotonic()))
            except TimeoutError:
                future.cancel()
        self._threads, self._futures = [], []

    def close(self) -> None:
        self._run(self._aio.close()).result(20)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self.client.close()

    def _run(self, coroutine: Coroutine[Any, Any, Any]) -> Future[Any]:
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop)

    async def _open(self) -> AsyncTroubleshootClient:
        return AsyncTroubleshootClient(self._settings)

    def _ask(self, question: Question) -> None:
        question.asked_at = time.monotonic()
        try:
            _WAYS[question.reader](self, question)
        except Exception as error:  # noqa: BLE001  # whatever reaches a caller is judged
            question.end(error)
        else:
            question.end()

    async def _asked(self, question: Question) -> None:
        question.asked_at = time.monotonic()
        try:
            await _WAYS[question.reader](self, question)
        except Exception as error:  # noqa: BLE001  # whatever reaches a caller is judged
            question.end(error)
        else:
            question.end()

    def _result(self, question: Question) -> None:
        run_id = self.client.submit(question.request, run_id=question.run_id)
        question.take(_json(self.client.result(run_id)))

    def _stream(self, question: Question) -> None:
        run_id = self.client.submit(question.request, run_id=question.run_id)
        ids = [event.id for event in self.client.stream(run_id, keeps_answers=True)]
        question.repeated_events = len(ids) - len(set(ids))
        question.take(_json(self.client.result(run_id)))

    def _later(self, question: Question) -> None:
        """Wait for nothing, and read afterwards when the run was closed, and by whom: no caller has helped."""
        self.client.submit(question.request, run_id=question.run_id)
        time.sleep(question.total_seconds)
        key, store = self.client.store.keys.run(question.run_id), self.client.store._client
        end = time.monotonic() + 5
        while (closed_ms := store.hget(key, "closed_ms")) is None and time.monotonic() < end:
            time.sleep(0.1)
        if closed_ms is not None:
            question.take(_json(self.client.result(question.run_id)))
            question.answered_at = question.asked_at + (int(closed_ms) - int(store.hget(key, "created_ms"))) / 1000

    async def _await(self, question: Question) -> None:
        run_id = await self._aio.submit(question.request, run_id=question.run_id)
        question.take(_json(await self._aio.result(run_id)))

    async def _graph(self, question: Question) -> None:
        graph = create_parallel_troubleshoot_graph(question.request.config, settings=self._settings)
        state = await graph.ainvoke(_state(question.request))
        question.run_id = state["run_id"]
        question.take({**state, **state["metadata"]})

    async def _astream(self, question: Question) -> None:
        graph = create_parallel_troubleshoot_graph(question.request.config, settings=self._settings)
        events = [event async for event in graph.astream(_state(question.request))]
        question.run_id = events[-1].run_id
        last = events[-1].data
        if last.get("committed", True):
            question.take(_json(await self._aio.result(question.run_id)))
        else:
            question.outcome, question.response = "uncommitted", str(last.get("response"))

    def _sse(self, question: Question) -> None:
        """Post, follow and read over HTTP, connecting again as a browser does, until the deadline has passed.

        A question that the app could not accept, as Redis was away, is asked anew: its time begins again.
        """
        request, accepted, last = question.request.model_dump(mode="json"), False, ""
        refused = False
        due = question.asked_at + question.total_seconds
        give_up = due + 3
        with httpx2.Client(trust_env=False, timeout=question.total_seconds + 2) as http:
            url = f"{self._web_url}/{question.run_id}"
            while True:
                try:
                    if not accepted:
                        headers, asked_at = {"Idempotency-Key": question.run_id}, time.monotonic()
                        _check(
                            http.post(self._web_url, params={"run_id": question.run_id}, headers=headers, json=request)
                        )
                        accepted = True
                        if refused:
                            question.asked_at, due = asked_at, asked_at + question.total_seconds
                            give_up = max(give_up, due + 3)
                    last, is_over = self._follow(http, url, last, question)
                    if is_over:
                        answer = _check(http.get(url))
                        if answer.status_code == 200:
                            question.take(answer.json())
                            return
                except RunNotFound:
                    # The app's other processes cannot know that it was accepted, and this one may have been restarted.
                    if accepted:
                        raise RunNotFound.forgotten(question.run_id) from None
                    raise
                except httpx2.TransportError:
                    question.app_away_until = time.monotonic()
                    give_up = max(give_up, question.app_away_until + 2)
                except StoreUnreachable:
                    refused = refused or not accepted
                    if time.monotonic() > due:
                        raise
                if time.monotonic() > give_up:
                    raise HttpProblem("the stream ended without an end, again and again")
                time.sleep(0.1)

    def _follow(self, http: httpx2.Client, url: str, last: str, question: Question) -> tuple[str, bool]:
        headers = {"Last-Event-ID": last} if last else {}
        with http.stream("GET", f"{url}/events", headers=headers) as answer:
            if answer.status_code == 204:
                return last, True
            if answer.status_code != 200:
                answer.read()
                _check(answer)
            for line in answer.iter_lines():
                name, _, value = line.partition(": ")
                if name == "id":
                    question.repeated_events += _number(value) <= _number(last)
                    last = value
                elif name == "data" and json.loads(value)["type"] in ("final", "cancelled"):
                    return last, True
        return last, False


def _number(event_id: str) -> tuple[int, ...]:
    return tuple(map(int, event_id.split("-"))) if event_id else ()


def _json(report: Report) -> dict[str, Any]:
    return report.model_dump(mode="json")


def _state(request: TroubleshootRequest) -> dict[str, Any]:
    return {"message": request.message, "jobs": list(request.jobs), "job_name": request.job_name}


class HttpProblem(TroubleshootError):
    """The app answered with an unexpected status."""


def _check(answer: httpx2.Response) -> httpx2.Response:
    """Raise what a status stands for."""
    match answer.status_code:
        case 200 | 202 | 204:
            return answer
        case 429:
            raise Overloaded
        case 503:
            raise StoreUnreachable(answer.text)
        case 404:
            raise RunNotFound(answer.json()["detail"])
    raise HttpProblem(f"{answer.status_code}: {answer.text[:300]}")


_WAYS: dict[str, Callable[[Readers, Question], Any]] = {
    "result": Readers._result,
    "stream": Readers._stream,
    "sse": Readers._sse,
    "later": Readers._later,
    "await": Readers._await,
    "astream": Readers._astream,
    "graph": Readers._graph,
}
