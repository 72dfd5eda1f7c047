"""When a caller takes the store for gone."""

from __future__ import annotations

import asyncio
import time

from orchestrator.client import pursuit
from orchestrator.client.waiting import Pulse


def silence(seconds: float, *, beats: bool = False, busy: bool = False, limit: float = 0.6) -> bool:
    """Whether a store counts as silent for ``seconds`` within ``limit`` seconds of this process."""

    async def scenario() -> bool:
        pulse = Pulse()
        watching = asyncio.ensure_future(pursuit._silence(pulse, lambda: seconds))
        end = time.monotonic() + limit
        while time.monotonic() < end and not watching.done():
            if beats:
                pulse.beat()
            if busy:
                time.sleep(0.15)  # noqa: ASYNC251  # a loop that is late
            await asyncio.sleep(0.01)
        was_silent = watching.done()
        watching.cancel()
        return was_silent

    return asyncio.run(scenario())


def test_a_store_that_answers_nobody_is_silent() -> None:
    """Without any answer the time is over at once; with answers it never is."""
    assert silence(0.2, limit=10)
    assert not silence(0.2, beats=True)


def test_the_time_of_a_busy_loop_is_no_silence_of_the_store() -> None:
    """A process that cannot look at the answers in time does not blame the store, and does not work even more."""
    assert not silence(0.4, busy=True, limit=1.0)
