"""The API that the Resync app calls: ``parallel_troubleshoot`` and the graphs.

A graph has ``ainvoke(state) -> state``, ``invoke`` and ``astream``; the state is a dict with the keys of the app.
"""

import asyncio
import logging
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Coroutine, Mapping
from typing import Any, TypedDict, cast

from pydantic import ValidationError

from orchestrator.client.aio import AsyncTroubleshootClient
from orchestrator.client.fallback import run_in_process, take_over
from orchestrator.config import ParallelConfig, Settings
from orchestrator.deadline import Deadline
from orchestrator.errors import InvalidRequest, RunNotFound, StoreUnreachable
from orchestrator.models import Event, Intent, Report, RunState, TroubleshootRequest
from orchestrator.routing.router import route
from orchestrator.validation import describe

_LOGGER = logging.getLogger(__name__)
DISPATCH_WAIT_SECONDS = 1.0
"""Seconds for which a run waits for a worker, before this process asks the sources itself."""


class DataSourceResult(TypedDict, total=False):
    """An entry of ``parallel_results`` in the state: the keys that the Resync app reads.

    An entry has every field of ``SourceEnvelope``.
    """

    source: str
    data: dict[str, Any]
    latency_ms: float
    success: bool
    error: str | None


class ParallelState(TypedDict, total=False):
    """The state of a graph: the keys that the Resync app writes and reads."""

    message: str
    user_id: str | None
    session_id: str | None
    tws_instance_id: str | None
    job_name: str | None
    jobs: list[str]
    intent: str
    confidence: float
    entities: dict[str, Any]
    parallel_results: list[DataSourceResult]
    aggregated_data: dict[str, Any]
    total_latency_ms: float
    parallel_latency_ms: float
    response: str
    metadata: dict[str, Any]
    errors: list[dict[str, Any]]
    run_id: str


class _Graph(ABC):
    @abstractmethod
    async def ainvoke(self, state: Mapping[str, Any]) -> ParallelState: ...

    def invoke(self, state: Mapping[str, Any]) -> ParallelState:
        """``ainvoke`` for callers without an event loop.

        Raises RuntimeError inside a running event loop, and what ``ainvoke`` raises.
        """
        try:
            asyncio.get_running_loop()
        except RuntimeError:
            pass
        else:
            raise RuntimeError(
                "invoke() would block the running event loop for the whole run; use: await graph.ainvoke(state)"
            )
        # Not in the except clause: every error of the run would have that RuntimeError as its context.
        return asyncio.run(self.ainvoke(state))


class ParallelTroubleshootGraph(_Graph):
    """Answers a question on the workers, or in this process when no worker takes it within one second.

    ``config`` limits the run and ``settings`` are those of the environment when left out. ``intent`` fixes the kind of
    question and so the sources; None lets the router decide::

        graph = create_parallel_troubleshoot_graph()
        state = await graph.ainvoke({"message": "Job BATCH001 failed with ABEND S0C7"})
        print(state["response"])
    """

    def __init__(
        self,
        config: ParallelConfig | None = None,
        *,
        settings: Settings | None = None,
        intent: Intent | None = Intent.TROUBLESHOOT,
    ) -> None:
        self._settings = settings
        self._config = config
        self._intent = intent

    async def ainvoke(self, state: Mapping[str, Any]) -> ParallelState:
        """Answer the question in ``state`` by the run's deadline; returns the state with the keys of the answer.

        Raises InvalidRequest naming the field, UnknownInstance, Overloaded, and WorkersNotInstalled when no worker runs
        and their code is not installed here.
        """
        settings = self._settings or Settings.from_env()
        request = make_request(state, self._config or settings.parallel_config(), self._intent)
        deadline = Deadline.after(request.config.total_timeout_seconds)
        try:
            async with AsyncTroubleshootClient(settings) as client:
                run_id = await client.submit(request)
                report = await _with_dispatch(client, run_id, client.result(run_id))
        except (StoreUnreachable, RunNotFound):
            # RunNotFound: Redis was restarted and has lost the run.
            report = await run_in_process(request, settings, deadline=deadline)
        return fill_state(state, report)

    async def astream(self, state: Mapping[str, Any]) -> AsyncIterator[Event]:
        """The events of the run as they come: each source, the draft, fragments of the answer, the report.

        Raises InvalidRequest, UnknownInstance, Overloaded, StoreUnreachable.
        """
        settings = self._settings or Settings.from_env()
        request = make_request(state, self._config or settings.parallel_config(), self._intent)
        async with AsyncTroubleshootClient(settings) as client:
            run_id = await client.submit(request)
            dispatch = asyncio.ensure_future(_ensure_dispatch(client, run_id))
            try:
                async for event in client.stream(run_id):
                    yield event
            finally:
                await _abandon(dispatch)


class FallbackParallelGraph(_Graph):
    """Answers a question without Redis and without workers: asks the sources in this process."""

    def __init__(self, config: ParallelConfig | None = None, *, intent: Intent | None = Intent.TROUBLESHOOT) -> None:
        self._config = config or ParallelConfig()
        self._intent = intent

    async def ainvoke(self, state: Mapping[str, Any]) -> ParallelState:
        """See ``ParallelTroubleshootGraph.ainvoke``; nothing is stored, and ``metadata["committed"]`` is False."""
        request = make_request(state, self._config, self._intent)
        return fill_state(state, await run_in_process(request, Settings.from_env()))


def create_parallel_troubleshoot_graph(
    config: ParallelConfig | None = None, *, settings: Settings | None = None
) -> ParallelTroubleshootGraph:
    """A graph that asks every enabled source, whatever the question."""
    return ParallelTroubleshootGraph(config, settings=settings)


def create_tws_agent_graph(
    config: ParallelConfig | None = None, *, settings: Settings | None = None
) -> ParallelTroubleshootGraph:
    """A graph whose router decides by the question which sources are asked."""
    return ParallelTroubleshootGraph(config, settings=settings, intent=None)


async def parallel_troubleshoot(
    message: str,
    job_name: str | None = None,
    tws_instance_id: str | None = None,
    config: ParallelConfig | None = None,
    *,
    user_id: str | None = None,
    session_id: str | None = None,
    jobs: tuple[str, ...] = (),
    settings: Settings | None = None,
) -> ParallelState:
    """Ask the sources in parallel why a job failed, and answer within ``config.total_timeout_seconds``.

    ``message`` is the question, in any installed language. ``job_name`` or ``jobs`` name the jobs, which are
    taken from the message otherwise; ``tws_instance_id`` names the TWS to ask. Returns the state: ``response`` is the
    answer in Markdown, beside ``metadata``, ``parallel_latency_ms``, ``total_latency_ms`` and ``errors``::

        state = await parallel_troubleshoot("Why did BATCH001 fail?", job_name="BATCH001")

    Raises InvalidRequest naming the field, UnknownInstance, Overloaded, WorkersNotInstalled.
    """
    state = {
        "message": message,
        "job_name": job_name,
        "tws_instance_id": tws_instance_id,
        "user_id": user_id,
        "session_id": session_id,
        "jobs": list(jobs),
    }
    return await ParallelTroubleshootGraph(config, settings=settings).ainvoke(state)


def make_request(state: Mapping[str, Any], config: ParallelConfig, intent: Intent | None) -> TroubleshootRequest:
    """The request in the keys of a state.

    Raises InvalidRequest naming the field.
    """
    fields = {
        name: state.get(name)
        for name in ("message", "user_id", "session_id", "tws_instance_id", "job_name")
        if state.get(name) is not None
    }
    jobs = tuple(state.get("jobs") or ())
    try:
        return TroubleshootRequest.model_validate({**fields, "jobs": jobs, "config": config, "intent": intent})
    except ValidationError as error:
        raise InvalidRequest(describe(error)) from None


def fill_state(state: Mapping[str, Any], report: Report) -> ParallelState:
    """The state with the keys that the app reads from the report."""
    routing = report.routing or route(str(state.get("message", "")))
    return {
        **state,  # type: ignore[typeddict-item]  # the state may have other keys of the app
        "run_id": report.run_id,
        "intent": routing.intent.value,
        "confidence": routing.confidence,
        "entities": routing.entities.model_dump(mode="json"),
        "parallel_results": [
            cast("DataSourceResult", envelope.model_dump(mode="json")) for envelope in report.parallel_results
        ],
        "aggregated_data": report.aggregated_data.model_dump(mode="json"),
        "total_latency_ms": report.total_latency_ms,
        "parallel_latency_ms": report.parallel_latency_ms,
        "response": report.response,
        "metadata": {
            **report.metadata,
            "outcome": report.outcome.value,
            "committed": report.committed,
            "committed_by": report.committed_by,
            "reason": report.reason,
        },
        "errors": [failure.model_dump(mode="json") for failure in report.errors],
    }


async def _wait_for_dispatch(client: AsyncTroubleshootClient, run_id: str) -> bool:
    """Whether a worker dispatches the run within ``DISPATCH_WAIT_SECONDS``; also True when the run ends."""
    loop = asyncio.get_running_loop()
    end = loop.time() + DISPATCH_WAIT_SECONDS
    while True:
        state, _ = await client.call(client.sync.store.state, run_id)
        if state not in (RunState.ACCEPTED, RunState.DISPATCHING):
            return True
        if loop.time() >= end:
            return False
        await asyncio.sleep(0.05)


async def _ensure_dispatch(client: AsyncTroubleshootClient, run_id: str) -> None:
    if not await _wait_for_dispatch(client, run_id):
        await take_over(client, run_id)


async def _with_dispatch(client: AsyncTroubleshootClient, run_id: str, result: Coroutine[Any, Any, Report]) -> Report:
    """Await ``result`` while taking over the run if no worker does; an error of the take-over is raised at once."""
    dispatch, report = asyncio.ensure_future(_ensure_dispatch(client, run_id)), asyncio.ensure_future(result)
    try:
        await asyncio.wait({dispatch, report}, return_when=asyncio.FIRST_COMPLETED)
        if dispatch.done() and not report.done():
            dispatch.result()
        return await report
    finally:
        await _abandon(dispatch, report)


async def _abandon(*tasks: asyncio.Future[Any]) -> None:
    """Cancel tasks and wait briefly: a source that ignores its cancellation must not delay the answer."""
    for task in tasks:
        task.cancel()
        task.add_done_callback(_note_failure)
    await asyncio.wait(tasks, timeout=0.1)


def _note_failure(task: asyncio.Future[Any]) -> None:
    # Retrieved here, or asyncio writes "exception was never retrieved" with a traceback into the app's log.
    error = None if task.cancelled() else task.exception()
    if error is not None:
        _LOGGER.warning(
            "run_abandoned error=%s reason=%s", type(error).__name__, getattr(error, "reason", "unexpected")
        )
