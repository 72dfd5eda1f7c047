"""Following a run on an event loop whose reads do not let themselves be cut off."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from typing import Any

import pytest
from tests_support import stretched

from orchestrator.client.follower import AsyncFollower
from orchestrator.client.waiting import Pulse, Waiting
from orchestrator.deadline import Deadline
from orchestrator.store.events import START, Page
from orchestrator.store.run_copy import RunCopy

PATIENCE_SECONDS = 0.2


@dataclass
class OpenRun:
    """The reads of a run that never ends."""

    loses: int = 0
    """Cancellations that a blocking read loses, as ``asyncio.wait_for`` of Python 3.11 does when it ends just then."""
    block_seconds: float = 30.0

    async def is_closed(self, run_id: str) -> bool:
        return False

    async def wait_end(self, run_id: str, *, block_ms: int) -> bool:
        lost = 0
        while True:
            try:
                await asyncio.sleep(self.block_seconds)
            except asyncio.CancelledError:
                lost += 1
                if lost > self.loses:
                    raise
            else:
                return False

    async def read_copy(self, copy: RunCopy) -> bool:
        return False

    async def read(self, run_id: str, after: str, *, block_ms: int = 0, count: int = 500) -> Page:
        return Page([], after)


@pytest.mark.parametrize(
    "reader", [OpenRun(), OpenRun(loses=1), OpenRun(loses=3), OpenRun(loses=1, block_seconds=0.01)], ids=str
)
def test_a_callers_timeout_holds_whatever_the_reads_do(reader: Any) -> None:
    """A wait ends at the caller's own timeout, though a read loses its cancellation or is over as it comes."""

    async def follow() -> tuple[list[object], int]:
        waiting = Waiting(Deadline.after(60), Pulse(), Deadline.after(PATIENCE_SECONDS))
        follower = AsyncFollower("run-00000001", reader, end=lambda _closed: None, waiting=waiting, only_the_end=True)
        events = [event async for event in follower.events(START)]
        task = asyncio.current_task()
        assert task is not None
        return events, task.cancelling()

    began = time.monotonic()
    assert asyncio.run(follow()) == ([], 0)
    assert PATIENCE_SECONDS <= time.monotonic() - began < PATIENCE_SECONDS + stretched(1.0)
