"""Factories and ``invoke`` serve callers with and without await; ``make lint`` checks that their types do so too."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Coroutine, Mapping
from typing import Any, assert_type

import pytest

from orchestrator import graph
from orchestrator.app_state import ParallelState
from orchestrator.config import ParallelConfig
from orchestrator.graph import FallbackParallelGraph, ParallelTroubleshootGraph, State
from orchestrator.models import AnswerMode, Event, EventType, Report, RunOutcome

QUESTION: Mapping[str, Any] = {"message": "Job BATCH001 falhou", "own_key": 1}


@pytest.fixture(autouse=True)
def _answered(monkeypatch: pytest.MonkeyPatch) -> None:
    async def answer(*_: object, **__: object) -> Report:
        await asyncio.sleep(0)
        return Report(run_id="r", outcome=RunOutcome.COMPLETE, mode=AnswerMode.RAW, response="respondido")

    monkeypatch.setattr(graph, "run_in_process", answer)


def test_factories_serve_callers_with_and_without_await() -> None:
    """A graph is there at once, and awaiting it, in any way that a coroutine is, gives the same graph."""
    made = graph.create_parallel_troubleshoot_graph(ParallelConfig())
    assert_type(made, ParallelTroubleshootGraph)

    async def awaiting() -> None:
        awaited = await graph.create_parallel_troubleshoot_graph(ParallelConfig())
        assert_type(awaited, ParallelTroubleshootGraph)
        agent = await graph.create_tws_agent_graph()
        assert_type(agent, ParallelTroubleshootGraph)
        assert await made is made
        assert await made is made
        assert [*await asyncio.gather(made, agent)] == [made, agent]
        assert isinstance(awaited, ParallelTroubleshootGraph)

    asyncio.run(awaiting())
    assert asyncio.run(made) is made


def test_invoke_blocks_without_a_loop_and_gives_a_dict() -> None:
    """Without a running loop, ``invoke`` returns the state itself: a dict as any other."""
    state = FallbackParallelGraph().invoke(QUESTION)
    assert_type(state, State)
    assert state["response"] == "respondido"
    assert (state["own_key"], state.get("none"), f"{state['metadata'].get('speedup_factor', 1):.2f}") == (
        1,
        None,
        "1.00",
    )
    plain: dict[str, Any] = state
    assert json.loads(json.dumps(plain)) == {**state}


def test_invoke_is_awaited_on_a_loop() -> None:
    """On a running loop, ``invoke`` returns a coroutine and blocks nobody, in whatever way it is awaited."""

    async def asking() -> None:
        made = FallbackParallelGraph()
        state = await made.invoke(QUESTION)
        assert_type(state, ParallelState)
        assert state["response"] == "respondido"
        several = await asyncio.gather(made.invoke(QUESTION), made.invoke(QUESTION))
        assert [item["response"] for item in several] == ["respondido"] * 2
        task = asyncio.create_task(made.invoke(QUESTION))
        assert (await asyncio.wait_for(task, 5))["response"] == "respondido"
        unawaited = made.invoke(QUESTION)
        with pytest.raises(TypeError, match="'coroutine' object is not subscriptable"):
            unawaited["response"]
        unawaited.close()

    asyncio.run(asking())


def test_asyncio_run_takes_what_invoke_returns() -> None:
    """``asyncio.run(graph.invoke(state))``, as one writes for a coroutine, works though the answer is there."""
    made: Coroutine[Any, Any, ParallelState] = FallbackParallelGraph().invoke(QUESTION)
    assert asyncio.run(made)["response"] == "respondido"


def test_a_ready_result_raises_what_is_thrown_into_it() -> None:
    """A task that is cancelled before its first step ends by that, whatever it would have given."""
    made = graph.create_tws_agent_graph()
    with pytest.raises(asyncio.CancelledError):
        made.throw(asyncio.CancelledError)
    with pytest.raises(ValueError, match="x"):
        made.throw(ValueError, ValueError("x"))
    made.close()


def test_threads_of_an_app_may_block() -> None:
    """A thread beside the loop blocks for its answer and gets a dict."""

    async def asking() -> State:
        return await asyncio.to_thread(FallbackParallelGraph().invoke, QUESTION)

    assert asyncio.run(asking())["response"] == "respondido"


def test_a_stream_tells_the_end_of_each_batch_and_each_stage_once() -> None:
    """What the store and this process tell of the same batch is one event; another batch is another."""
    told: list[Event] = []
    stream = graph._Stream(told.append)
    ends = [{"source": "tws_status", "job": None, "batch": number} for number in (1, 2)]
    end = EventType.SOURCE_FINISHED
    events = [*((end, batch) for batch in ends), (EventType.ROUTED, {}), (EventType.ROUTED, {"stage": 2})]
    for kind, data in (*events, (end, {"source": "tws_status"})):
        event = Event(id="1-0", run_id="run-00000001", type=kind, at_ms=1, data=data)
        stream.take_stored(event)
        stream.take_own(event)
    assert [event.data for event in told] == [*ends, {}, {"stage": 2}, {"source": "tws_status"}]
