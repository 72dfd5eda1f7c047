"""The small executor of the asynchronous client."""

from __future__ import annotations

import asyncio
import threading
import time

import pytest

from orchestrator.client.executor import BlockingCalls
from orchestrator.errors import StoreUnreachable

HANG_SECONDS = 0.3


def hang() -> None:
    time.sleep(2 * HANG_SECONDS)
    raise StoreUnreachable("the call itself")


def refuse() -> None:
    raise StoreUnreachable("the call itself")


async def in_line(first: list[object], tried: threading.Event) -> object:
    """The outcome of a call that has one thread to wait for, behind the ``first``."""
    calls = BlockingCalls(threads=1, hang_seconds=HANG_SECONDS)
    try:
        before = [asyncio.ensure_future(calls.run(call)) for call in first]  # type: ignore[arg-type]
        results = await asyncio.gather(calls.run(tried.set), return_exceptions=True)
        await asyncio.gather(*before, return_exceptions=True)
        return results[0]
    finally:
        calls.close()


def test_a_call_that_waited_behind_a_hanging_one_is_told_at_once() -> None:
    """It does not wait for the same store once more, and is never tried."""
    tried = threading.Event()
    error = asyncio.run(in_line([hang], tried))
    assert isinstance(error, StoreUnreachable)
    assert "other calls" in str(error)
    assert not tried.is_set()


@pytest.mark.parametrize("first", [[lambda: time.sleep(2 * HANG_SECONDS)], [refuse], [refuse, refuse]])
def test_a_call_that_waited_behind_a_busy_one_is_tried(first: list[object]) -> None:
    """Threads that are busy, or a store that refuses at once, say nothing about a store that hangs."""
    tried = threading.Event()
    assert asyncio.run(in_line(first, tried)) is None
    assert tried.is_set()


def test_a_call_after_the_store_hung_is_tried() -> None:
    """The failure of an earlier call does not count for a later one."""

    async def two() -> None:
        calls = BlockingCalls(threads=1, hang_seconds=HANG_SECONDS)
        with pytest.raises(StoreUnreachable, match="itself"):
            await calls.run(hang)
        assert await calls.run(lambda: 1) == 1
        calls.close()

    asyncio.run(two())
