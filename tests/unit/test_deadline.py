"""Time limits on an event loop, over code that does not always end when it is cancelled."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress

import pytest
from tests_support import stretched

from orchestrator.deadline import Deadline, time_limit

LIMIT_SECONDS = 0.1


async def obey() -> None:
    await asyncio.sleep(10)


async def lose(times: int) -> None:
    """Lose cancellations, as ``asyncio.wait_for`` of Python 3.11 does with one that comes as it ends."""
    for _ in range(times):
        with suppress(asyncio.CancelledError):
            await asyncio.sleep(10)
    await asyncio.sleep(10)


async def limited(block: Callable[[], Awaitable[object]], left: Callable[[float], float]) -> int:
    """Run ``block`` within the limit; returns the cancellations that the task is left with."""
    task = asyncio.current_task()
    assert task is not None
    with pytest.raises(TimeoutError):
        async with time_limit(left):
            await block()
    await asyncio.sleep(0)
    return task.cancelling()


@pytest.mark.parametrize("block", [obey, lambda: lose(1), lambda: lose(3)], ids=["obeys", "loses one", "loses three"])
def test_a_block_ends_at_its_limit_whatever_it_loses(block: Callable[[], Awaitable[object]]) -> None:
    """The cancellation is repeated until it takes effect, and leaves no trace in the task."""
    deadline = Deadline.after(LIMIT_SECONDS)
    began = time.monotonic()
    assert asyncio.run(limited(block, lambda _: deadline.remaining())) == 0
    assert LIMIT_SECONDS <= time.monotonic() - began < LIMIT_SECONDS + stretched(1.0)


def test_a_limit_may_move_while_the_block_runs() -> None:
    """What is left is asked again when it is over: a limit that has moved on holds from then."""
    ends = [Deadline.after(LIMIT_SECONDS), Deadline.after(3 * LIMIT_SECONDS)]

    def left(_late_seconds: float) -> float:
        if len(ends) > 1 and ends[0].has_passed:
            del ends[0]
        return ends[0].remaining()

    began = time.monotonic()
    assert asyncio.run(limited(obey, left)) == 0
    assert time.monotonic() - began >= 3 * LIMIT_SECONDS


def test_nothing_is_begun_without_time() -> None:
    """A limit that has passed is a timeout before the block begins."""
    begun: list[bool] = []

    async def block() -> None:
        begun.append(True)

    assert asyncio.run(limited(block, lambda _: 0.0)) == 0
    assert begun == []


def test_a_cancellation_from_outside_is_no_timeout() -> None:
    """A task that is cancelled by others ends as cancelled, before its limit and at it."""

    async def run(pause_seconds: float) -> None:
        async def block() -> None:
            async with time_limit(lambda _: deadline.remaining()):
                await lose(1) if pause_seconds else await obey()

        deadline = Deadline.after(LIMIT_SECONDS)
        task = asyncio.ensure_future(block())
        await asyncio.sleep(pause_seconds)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(run(0))
    asyncio.run(run(LIMIT_SECONDS + 0.02))
