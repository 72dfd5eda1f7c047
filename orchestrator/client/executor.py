"""Blocking calls of the store for an event loop, in a few threads; no call waits behind a store that hangs."""

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from typing import ParamSpec, TypeVar

from orchestrator.errors import StoreUnreachable

P = ParamSpec("P")
T = TypeVar("T")


class BlockingCalls:
    """A small thread pool that fails fast while the store hangs.

    A store that hangs soon takes every thread, each for as long as one try of the store takes. A call that waited for a
    thread meanwhile would find out the same, twice as late: it gets StoreUnreachable at once.
    """

    def __init__(self, *, threads: int, hang_seconds: float) -> None:
        """``hang_seconds`` is how long a call must have waited in vain; less than one try of a store that hangs."""
        self._executor = ThreadPoolExecutor(threads, thread_name_prefix="troubleshoot-client")
        self._hang_seconds = hang_seconds
        self._hung_at = 0.0

    async def run(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run ``function`` in a thread.

        Raises whatever it raises, and StoreUnreachable when another call waited for the store in vain while this one
        waited for a thread.
        """
        queued_at = time.monotonic()
        context = copy_context()
        return await asyncio.get_running_loop().run_in_executor(
            self._executor, lambda: self._work(queued_at, lambda: context.run(function, *args, **kwargs))
        )

    def close(self) -> None:
        """Stop the threads and cancel the calls that wait for one."""
        self._executor.shutdown(wait=False, cancel_futures=True)

    def _work(self, queued_at: float, function: Callable[[], T]) -> T:
        started_at = time.monotonic()
        if self._hung_at > queued_at and started_at - queued_at > self._hang_seconds:
            raise StoreUnreachable("Redis does not answer; other calls have just waited for it in vain")
        try:
            return function()
        except StoreUnreachable:
            # A store that refuses at once frees the thread at once.
            if time.monotonic() - started_at > self._hang_seconds:
                self._hung_at = time.monotonic()
            raise
