"""An event loop in a thread of its own, for code of others: what blocks or ends it is not the caller's loop."""

import asyncio
import threading
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from concurrent.futures import Future
from typing import Any, TypeVar

from orchestrator.logs import get_logger, log_error
from orchestrator.plugins import CLOSE_SECONDS

_LOGGER = get_logger(__name__)
T = TypeVar("T")
CANCEL_SECONDS = 1.0
"""How long a call that was cancelled may take to close what it opened, before the client behind it is closed."""
MAX_LEFT = 16
"""Most threads of this process that code of earlier runs still blocks; no further one is started for a run then."""


class LoopThread:
    """An event loop that runs in a daemon thread until ``stop`` or ``end``; an exception that leaves it ends nothing.

    A loop that is blocked for ever keeps its thread, and cannot be stopped.
    """

    def __init__(self, name: str) -> None:
        self.loop = asyncio.new_event_loop()
        self.ended: Future[None] = Future()
        """Done once the thread has closed its loop."""
        self._is_stopping = threading.Event()
        self.thread = threading.Thread(target=self._run, name=name, daemon=True)
        self.thread.start()

    def submit(self, coroutine: Coroutine[Any, Any, T]) -> Future[T]:
        """Start a coroutine on the loop; cancelling the future cancels it there."""
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop)

    def stop(self) -> None:
        """Stop the loop and cancel its tasks; returns at once."""
        self._is_stopping.set()
        self.loop.call_soon_threadsafe(self.loop.stop)

    def end(self, last: Callable[[], Awaitable[object]]) -> None:
        """Await ``last`` when what was cancelled has ended, and stop; returns at once."""
        asyncio.run_coroutine_threadsafe(self._end(last), self.loop)

    async def _end(self, last: Callable[[], Awaitable[object]]) -> None:
        try:
            cancelled = [task for task in asyncio.all_tasks() if task.cancelling()]
            if cancelled:
                await asyncio.wait(cancelled, timeout=CANCEL_SECONDS)
            await last()
        finally:
            self.stop()

    def _run(self) -> None:
        asyncio.set_event_loop(self.loop)
        self._turn(self.loop.run_forever)
        pending = asyncio.all_tasks(self.loop)
        for task in pending:
            task.cancel()
        if pending:
            self._turn(lambda: self.loop.run_until_complete(asyncio.gather(*pending, return_exceptions=True)))
        self._turn(lambda: self.loop.run_until_complete(self.loop.shutdown_asyncgens()))
        self._turn(lambda: self.loop.run_until_complete(self.loop.shutdown_default_executor()))
        self.loop.close()
        self.ended.set_result(None)

    def _turn(self, turn: Callable[[], object]) -> None:
        while True:
            try:
                turn()
            except BaseException as error:  # noqa: BLE001  # border: a task that other code has started ends no other
                log_error(_LOGGER, "loop_resumed", error=error)
            if self._is_stopping.is_set():
                return


_left: list[LoopThread] = []
_left_lock = threading.Lock()


def too_many_blocked() -> int:
    """The threads that earlier runs have left behind, where they are too many to start another; else 0."""
    with _left_lock:
        _left[:] = [thread for thread in _left if not thread.ended.done()]
        return len(_left) if len(_left) >= MAX_LEFT else 0


async def end_threads(last: Mapping[LoopThread, Callable[[], Awaitable[object]]]) -> None:
    """End each thread with what closes its client; one that is still blocked after that time is left behind."""
    try:
        for thread, close in last.items():
            thread.end(close)
        if last:
            await asyncio.wait([asyncio.wrap_future(thread.ended) for thread in last], timeout=CLOSE_SECONDS)
    finally:
        with _left_lock:
            _left.extend(thread for thread in last if not thread.ended.done())
