"""Blocking calls of the store for an event loop, in a few threads; a store that hangs makes nobody wait in line."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import ParamSpec, TypeVar

from orchestrator.errors import StoreUnreachable

P = ParamSpec("P")
T = TypeVar("T")


class BlockingCalls:
    """A small executor. Its threads are soon taken while the store hangs, each for as long as one try of the store
    takes. A call that has waited for a thread meanwhile would only find out the same once more, and twice as late: it
    is told at once."""

    def __init__(self, *, threads: int, hang_seconds: float) -> None:
        """``hang_seconds`` is less than what one try of a store that hangs takes."""
        self._executor = ThreadPoolExecutor(threads, thread_name_prefix="troubleshoot-client")
        self._hang_seconds = hang_seconds
        self._hung_at = 0.0

    async def run(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run ``function`` in a thread.

        Raises what it raises, or StoreUnreachable when another call has waited for the store in vain while this one
        waited for a thread.
        """
        asked = time.monotonic()
        return await asyncio.get_running_loop().run_in_executor(
            self._executor, lambda: self._work(asked, lambda: function(*args, **kwargs))
        )

    def close(self) -> None:
        """Give the threads back."""
        self._executor.shutdown(wait=False, cancel_futures=True)

    def _work(self, asked: float, function: Callable[[], T]) -> T:
        began = time.monotonic()
        if self._hung_at > asked and began - asked > self._hang_seconds:
            raise StoreUnreachable("Redis does not answer; other calls have just waited for it in vain")
        try:
            return function()
        except StoreUnreachable:
            # One that refuses at once frees the thread at once.
            if time.monotonic() - began > self._hang_seconds:
                self._hung_at = time.monotonic()
            raise
