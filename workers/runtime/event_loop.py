"""The event loop of a worker process, and the sources that use it.

Celery has no asyncio pool: a thread of the pool submits its coroutine to the single loop of the process and waits for
it. Created at first use, so that each prefork child has its own.
"""

import asyncio
import logging
import os
import threading
import time
from collections.abc import Callable, Coroutine, Mapping
from concurrent.futures import Future, wait
from typing import Any, TypeVar

from orchestrator.logs import log_error
from orchestrator.plugins import awaited
from orchestrator.sources import Source, load_source

_LOGGER = logging.getLogger(__name__)
T = TypeVar("T")
EX_LOOP_BLOCKED = 75
"""Exit status (EX_TEMPFAIL) of a process with a blocked loop, to be restarted by its supervisor."""
DEFAULT_LAG_LIMIT_SECONDS = 15.0


class Runtime:
    """An event loop in a thread, with one instance of each source."""

    def __init__(
        self,
        environ: Mapping[str, str],
        *,
        lag_limit_seconds: float = DEFAULT_LAG_LIMIT_SECONDS,
        on_blocked: Callable[[], None] | None = None,
    ) -> None:
        self._environ = environ
        self._lag_limit_seconds = lag_limit_seconds
        self._on_blocked = on_blocked or _exit_blocked
        self._sources: dict[str, Source] = {}
        self._lock = threading.Lock()
        self._closing = threading.Event()
        self._beat = time.monotonic()
        self.loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, name="event-loop", daemon=True)
        self._thread.start()
        self._watchdog = threading.Thread(target=self._watch, name="loop-watchdog", daemon=True)
        self._watchdog.start()

    def submit(self, coroutine: Coroutine[Any, Any, T]) -> Future[T]:
        """Start a coroutine on the loop; cancelling the future cancels it there."""
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop)

    def source(self, name: str) -> Source:
        """This process's instance of a source.

        Raises ConfigurationError naming the variable, WorkersNotInstalled.
        """
        with self._lock:
            source = self._sources.get(name)
            if source is None:
                source = self._sources[name] = load_source(name).create(self._environ)
            return source

    @property
    def lag_seconds(self) -> float:
        """Time since the loop last ran a callback of the watchdog."""
        return time.monotonic() - self._beat

    def close(self, *, timeout_seconds: float = 5.0) -> None:
        """Close the sources and stop the loop; a hanging source is abandoned."""
        self._closing.set()
        with self._lock:
            sources, self._sources = list(self._sources.values()), {}
        for source in sources:
            future = self.submit(awaited(source.close))
            wait([future], timeout_seconds)
            # Not result(), which raises whatever a site's class does: closing is best effort, the process ends.
            if not future.done() or future.cancelled() or future.exception() is not None:
                future.cancel()
                _LOGGER.warning("source_close_failed source=%s", type(source).__name__)
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join(timeout_seconds)
        if not self._thread.is_alive():
            self.loop.close()
        self._watchdog.join(timeout_seconds)

    def _run(self) -> None:
        asyncio.set_event_loop(self.loop)
        while True:
            try:
                self.loop.run_forever()
            except BaseException as error:  # noqa: BLE001  # border: a task that a source has started ends no other
                log_error(_LOGGER, "loop_resumed", error=error)
            else:
                if self._closing.is_set():
                    break
        pending = asyncio.all_tasks(self.loop)
        for task in pending:
            task.cancel()
        if pending:
            self.loop.run_until_complete(asyncio.gather(*pending, return_exceptions=True))
        self.loop.run_until_complete(self.loop.shutdown_asyncgens())
        self.loop.run_until_complete(self.loop.shutdown_default_executor())

    def _mark(self) -> None:
        self._beat = time.monotonic()

    def _watch(self) -> None:
        interval = min(1.0, self._lag_limit_seconds / 4)
        while not self._closing.wait(interval):
            if self.lag_seconds > self._lag_limit_seconds:
                _LOGGER.critical("loop_blocked lag_seconds=%.1f", self.lag_seconds)
                self._on_blocked()
                return
            self.loop.call_soon_threadsafe(self._mark)


def _exit_blocked() -> None:
    # A blocked loop cannot be stopped from another thread, so the process must be replaced.
    logging.shutdown()
    os._exit(EX_LOOP_BLOCKED)
