"""The graph's handling of its own tasks, without Redis."""

from __future__ import annotations

import asyncio
import gc
import logging
from typing import Any

import pytest
from tests_support import stretched

from orchestrator import graph
from orchestrator.client import pursuit
from orchestrator.errors import InvalidRequest, StoreUnreachable


def test_a_task_that_fails_after_the_answer_is_noted_in_one_line(caplog: pytest.LogCaptureFixture) -> None:
    """A take-over that fails once nobody waits for it leaves a warning, not asyncio's traceback in the app's log."""
    caplog.set_level(logging.WARNING)
    unheard: list[dict[str, Any]] = []

    async def fail() -> None:
        raise StoreUnreachable

    async def run() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda _loop, context: unheard.append(context))
        task = asyncio.ensure_future(fail())
        await asyncio.sleep(0)
        await pursuit.abandon(task)
        del task
        gc.collect()

    asyncio.run(run())
    assert unheard == []
    assert "run_abandoned error=StoreUnreachable reason=store_unreachable" in caplog.messages


def test_a_task_that_does_not_let_itself_be_cancelled_holds_nobody_up() -> None:
    """The wait for an abandoned task is short, whatever the task does with its cancellation."""

    async def stubborn() -> None:
        try:
            await asyncio.sleep(30)
        except asyncio.CancelledError:
            await asyncio.sleep(30)

    async def run() -> float:
        task = asyncio.ensure_future(stubborn())
        await asyncio.sleep(0)
        began = asyncio.get_running_loop().time()
        await pursuit.abandon(task)
        return asyncio.get_running_loop().time() - began

    assert asyncio.run(run()) < stretched(0.4)


def test_an_error_of_invoke_stands_alone() -> None:
    """What a blocking call raises carries no error of asyncio's along: an app's traceback shows one."""
    with pytest.raises(InvalidRequest) as caught:
        graph.FallbackParallelGraph().invoke({"message": ""})
    assert not isinstance(caught.value.__context__, RuntimeError)
