"""The API that the Resync app calls: ``parallel_troubleshoot`` and the graphs.

A graph has ``ainvoke(state) -> state``, ``invoke`` and ``astream``; the state is a dict with the keys of the app.
"""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Callable, Coroutine, Generator, Mapping
from types import TracebackType
from typing import Any, NoReturn, Optional, TypeVar, cast

from orchestrator.app_state import ParallelState, fill_state, make_request, with_thread
from orchestrator.client.aio import shared_client
from orchestrator.client.fallback import OwnProcess, run_in_process
from orchestrator.client.pursuit import abandon, pursue
from orchestrator.config import ParallelConfig, Settings
from orchestrator.deadline import Deadline
from orchestrator.errors import StoreUnreachable
from orchestrator.models import Event, EventType, Intent, Report
from orchestrator.store.events import START, key_of
from orchestrator.tracing import span

_T = TypeVar("_T")
RunnableConfig = Mapping[str, Any]
"""LangGraph's settings of one call, of which ``thread_id`` is read."""


class _Ready(Coroutine[Any, Any, _T]):
    """Base of results that are there at once and may be awaited all the same, which gives the object itself.

    A coroutine, since ``asyncio.run`` takes nothing else.
    """

    def send(self, _: Any) -> NoReturn:
        """See ``collections.abc.Coroutine``."""
        raise StopIteration(self)

    def throw(
        self,
        error: type[BaseException] | BaseException,
        value: BaseException | object = None,
        _: TracebackType | None = None,
    ) -> NoReturn:
        """See ``collections.abc.Coroutine``."""
        raise value if isinstance(value, BaseException) else error

    def close(self) -> None:
        """See ``collections.abc.Coroutine``."""

    def __await__(self) -> Generator[Any, Any, _T]:
        yield from ()
        return cast("_T", self)


class State(dict[str, Any], _Ready[ParallelState]):
    """The state that ``invoke`` returns without a running event loop: a dict that can be awaited as well."""


class _Graph(ABC):
    def __init__(self, config: ParallelConfig | None, intent: Intent | None) -> None:
        self._config = config
        self._intent = intent

    async def ainvoke(
        self,
        state: Mapping[str, Any],
        config: "Optional[RunnableConfig]" = None,  # noqa: UP045  # in these words LangGraph gives it to a node
    ) -> ParallelState:
        """Answer the question in ``state`` by the run's deadline; returns the state with the keys of the answer.

        ``config`` is that of LangGraph: its ``thread_id`` is the session of a state without ``session_id``.

        Raises InvalidRequest naming the field, UnknownInstance, Overloaded, and WorkersNotInstalled when no worker runs
        and their code is not installed here.
        """
        state = with_thread(state, config)
        report = await self._traced(state, None)
        return fill_state(state, cast("Report", report))

    def invoke(
        self,
        state: Mapping[str, Any],
        config: "Optional[RunnableConfig]" = None,  # noqa: UP045  # as ``ainvoke``
    ) -> State:
        """``ainvoke`` for callers with and without an event loop.

        In a running loop, returns the coroutine of ``ainvoke``, to be awaited: nothing is asked before. Without one,
        blocks and returns the state, a dict. Raises what ``ainvoke`` raises::

            state = await graph.invoke({"message": "Job BATCH001 failed"})  # in a coroutine
            state = graph.invoke({"message": "Job BATCH001 failed"})  # elsewhere
        """
        answer = self.ainvoke(state, config)
        try:
            asyncio.get_running_loop()
        except RuntimeError:
            pass
        else:
            # Typed as what it gives: a checker does not know of loops.
            return cast("State", answer)
        # Not in the except clause: every error of the run would have that RuntimeError as its context.
        return State(asyncio.run(answer))

    async def astream(self, state: Mapping[str, Any], config: RunnableConfig | None = None) -> AsyncIterator[Event]:
        """The events of the run as they come: each source, the draft, fragments of the answer, the report.

        Without Redis, and when it goes away in mid-run, the events of what is asked here follow, up to a terminal one
        with ``committed`` False. Their ``id`` is that of the last event of the store.

        Raises InvalidRequest naming the field, UnknownInstance, Overloaded, WorkersNotInstalled.
        """
        events: asyncio.Queue[Event | None] = asyncio.Queue()
        run = asyncio.ensure_future(self._traced(with_thread(state, config), _Stream(events.put_nowait)))
        run.add_done_callback(lambda _: events.put_nowait(None))
        try:
            while (event := await events.get()) is not None:
                yield event
            await run
        finally:
            if not run.done():
                await abandon(run)

    async def _traced(self, state: Mapping[str, Any], stream: "_Stream | None") -> Report | None:
        with span("parallel_troubleshoot") as traced:
            report = await self._run(state, stream)
            if report is not None:
                traced.set(run_id=report.run_id, outcome=report.outcome.value, committed_by=report.committed_by)
            return report

    @abstractmethod
    async def _run(self, state: Mapping[str, Any], stream: "_Stream | None") -> Report | None:
        """The report; with ``stream``, None when the terminal event of the store was the last."""


class ParallelTroubleshootGraph(_Graph, _Ready["ParallelTroubleshootGraph"]):
    """Answers a question on the workers, or in this process when no worker takes it within one second.

    ``config`` limits the run and ``settings`` are those of the environment when left out. ``intent`` fixes the kind of
    question and so the sources; None lets the router decide. A graph may be awaited, which gives the graph::

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
        super().__init__(config, intent)
        self._settings = settings

    async def _run(self, state: Mapping[str, Any], stream: "_Stream | None") -> Report | None:
        settings = self._settings or Settings.from_env()
        request = make_request(state, self._config or settings.parallel_config(), self._intent)
        deadline = Deadline.after(request.config.total_timeout_seconds)
        emit = stream.take_own if stream else None
        try:
            async with shared_client(settings) as client:
                run_id = await client.submit(request)
                streams = stream is not None
                follower = await client.follower(run_id, only_the_end=not streams, keeps_copy=streams)
                take = stream.take_stored if stream else _ignore
                async with OwnProcess(request, settings, deadline, client=client, copy=follower.copy, emit=emit) as own:
                    return await pursue(client, follower, own, deadline, take)
        except StoreUnreachable:
            # The submit failed.
            return await run_in_process(request, settings, deadline=deadline, emit=emit)


class _Stream:
    """The events of a run for its caller: those of the store, and after them those of this process."""

    def __init__(self, take: Callable[[Event], None]) -> None:
        self._take = take
        self._last_id = START
        self._told: set[str] = set()

    def take_stored(self, event: Event) -> None:
        """Pass on an event that was read, unless this process told the same while the store was away."""
        self._last_id = event.id
        if self._is_new(event):
            self._take(event)

    def take_own(self, event: Event) -> None:
        """Pass on an event of this process, unless the store told the same."""
        if self._is_new(event):
            self._take(event.model_copy(update={"id": self._last_id}))

    def _is_new(self, event: Event) -> bool:
        if event.type is EventType.ROUTED:
            key = f"|{event.data.get('stage')}"  # of no source
        elif event.type is EventType.SOURCE_FINISHED:
            key = key_of(event.data)
        else:
            return True
        is_new = key not in self._told
        self._told.add(key)
        return is_new


def _ignore(_: Event) -> None:
    return


class FallbackParallelGraph(_Graph):
    """Answers a question without Redis and without workers: asks the sources in this process.

    Nothing is stored: ``metadata["committed"]`` is False, with the ``reason`` ``no_store``.
    """

    def __init__(self, config: ParallelConfig | None = None, *, intent: Intent | None = Intent.TROUBLESHOOT) -> None:
        super().__init__(config or ParallelConfig(), intent)

    async def _run(self, state: Mapping[str, Any], stream: _Stream | None) -> Report:
        request = make_request(state, self._config or ParallelConfig(), self._intent)
        emit = stream.take_own if stream else None
        return await run_in_process(request, Settings.from_env(), emit=emit, expects_store=False)


def create_parallel_troubleshoot_graph(
    config: ParallelConfig | None = None, *, settings: Settings | None = None
) -> ParallelTroubleshootGraph:
    """A graph that asks every enabled source, whatever the question; ``await`` gives the same graph."""
    return ParallelTroubleshootGraph(config, settings=settings)


def create_tws_agent_graph(
    config: ParallelConfig | None = None, *, settings: Settings | None = None
) -> ParallelTroubleshootGraph:
    """A graph whose router decides by the question which sources are asked; ``await`` gives the same graph."""
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
    pipeline: str | None = None,
    settings: Settings | None = None,
) -> ParallelState:
    """Ask the sources in parallel why a job failed, and answer within ``config.total_timeout_seconds``.

    ``message`` is the question, in any installed language. ``job_name`` and ``jobs`` name jobs, beside those of the
    message; ``tws_instance_id`` names the TWS to ask, ``pipeline`` the pipeline to run. Returns the state: ``response``
    is the answer in Markdown, beside ``metadata``, ``parallel_latency_ms``, ``total_latency_ms`` and ``errors``::

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
        "pipeline": pipeline,
    }
    return await ParallelTroubleshootGraph(config, settings=settings).ainvoke(state)
