"""The event loops of a worker process, and the sources that use them.

Celery has no asyncio pool: a thread of the pool submits its coroutine to the loop of the process and waits for it.
Created at first use, so that each prefork child has its own. A source that has blocked it gets loops of its own.
"""

import asyncio
import logging
import os
import sys
import sysconfig
import threading
import time
import traceback
from collections.abc import Callable, Collection, Coroutine, Iterator, Mapping
from concurrent.futures import Future, wait
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from pathlib import Path
from types import FrameType
from typing import Any, TypeVar
from weakref import WeakKeyDictionary

from orchestrator.deadline import Deadline
from orchestrator.logs import get_logger
from orchestrator.outcomes import Blockage
from orchestrator.plugins import awaited, contained
from orchestrator.run.loop_thread import LoopThread
from orchestrator.sources import CIRCUIT_STATES, CircuitSource, Source, load_source

_LOGGER = get_logger(__name__)
T = TypeVar("T")
EX_LOOP_BLOCKED = 75
"""Exit status (EX_TEMPFAIL) of a process with a blocked loop, to be restarted by its supervisor."""
DEFAULT_LAG_LIMIT_SECONDS = 15.0
BLOCKED_SECONDS = 0.5
"""Seconds of silence by which a loop counts as blocked, so that its worker takes no new message."""
REPORTED_SECONDS = 1.0
"""Seconds by which a blocked loop is reported."""
MARK_SECONDS = 0.2
"""Seconds between two signs of life."""
MAX_FURTHER_LOOPS = 16
"""Most loops of a source that blocks: as many as a pool has places by default."""
STOP_SECONDS = 0.5
"""Seconds that loops have at least to end, whatever closing their sources took."""
_LIBRARY = sysconfig.get_path("stdlib")
_OWNER: ContextVar[str] = ContextVar("owner", default="")
"""The source in whose name a task runs; tasks that it starts inherit it."""


class WorkerLoop:
    """An event loop in a thread, with one instance of each source that is asked on it."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self.asks = 0
        """How many tasks ask on it now; kept by ``Runtime.loop_of``."""
        self._environ = environ
        self._sources: dict[str, Future[Source]] = {}
        self._lock = threading.Lock()
        self._beat = time.monotonic()
        self._reported: Blockage | None = None
        self._owners: WeakKeyDictionary[asyncio.Future[Any], str] = WeakKeyDictionary()
        self._loop_thread = LoopThread("event-loop")
        self.loop = self._loop_thread.loop
        self.loop.set_task_factory(self._make_task)

    def submit(self, coroutine: Coroutine[Any, Any, T], owner: str = "") -> Future[T]:
        """Start a coroutine on the loop; cancelling the future cancels it there.

        ``owner`` is the key of the source, or another name, that is reported when its code blocks the loop.
        """
        token = _OWNER.set(owner)
        try:
            return self._loop_thread.submit(coroutine)
        finally:
            _OWNER.reset(token)

    def source(self, name: str) -> Future[Source]:
        """This loop's instance of a source, which is being made in a thread of its own.

        The future raises ConfigurationError naming the variable, WorkersNotInstalled, or whatever the source's code
        raises; then the next call tries again.
        """
        with self._lock:
            source = self._sources.get(name)
            if source is None:
                source = self._sources[name] = Future()
                threading.Thread(target=self._make, args=(name, source), name=f"make-{name}", daemon=True).start()
            return source

    def _make(self, name: str, made: Future[Source]) -> None:
        try:
            made.set_result(load_source(name).create(self._environ))
        except BaseException as error:  # noqa: BLE001  # border: the task that waits for it raises it
            with self._lock:
                self._sources.pop(name, None)
            made.set_exception(error)

    def made_sources(self) -> dict[str, Source]:
        """This loop's instances of sources, by name, without those that are still being made."""
        with self._lock:
            return _made(self._sources)

    @property
    def lag_seconds(self) -> float:
        """Time since the loop last ran a callback of the watchdog."""
        return time.monotonic() - self._beat

    @property
    def is_blocked(self) -> bool:
        """Whether the loop has been silent for ``BLOCKED_SECONDS``."""
        return self.lag_seconds > BLOCKED_SECONDS

    def blockage(self) -> Blockage | None:
        """What blocks the loop, if anything does."""
        if not self.is_blocked:
            return None
        task = asyncio.current_task(self.loop)
        return Blockage(
            key="" if task is None else self._owners.get(task, ""),
            seconds=round(self.lag_seconds, 1),
            where=_place(self._frame()),
        )

    def answers(self, seconds: float) -> bool:
        """Whether the loop runs a callback within that time."""
        answered = threading.Event()
        self.loop.call_soon_threadsafe(answered.set)
        return answered.wait(seconds)

    def close_sources(self) -> dict[Future[None], str]:
        """Begin to close the sources: the name of the class by what is to be waited for."""
        with self._lock:
            made, self._sources = self._sources, {}
        # One that is still being made is abandoned.
        return {self.submit(awaited(source.close)): type(source).__name__ for source in _made(made).values()}

    def stop(self) -> Future[None]:
        """Stop the loop; returns at once what is done when it has ended."""
        self._loop_thread.stop()
        return self._loop_thread.ended

    def watch(self, late_seconds: float) -> Blockage | None:
        """Log a blockage and its end, and ask for a sign of life; the watchdog was ``late_seconds`` late itself."""
        # The whole process stood still, or had no processor: that is no fault of a task.
        self._beat += late_seconds
        blockage = self.blockage()
        if self._reported is not None and blockage is None:
            _LOGGER.warning("loop_free source=%s blocked_seconds=%.1f", self._reported.key, self._reported.seconds)
            self._reported = None
        elif blockage is not None and blockage.seconds >= REPORTED_SECONDS:
            if self._reported is None:
                stack = "".join(traceback.format_stack(self._frame()))
                _LOGGER.error("loop_blocked source=%s where=%s\n%s", blockage.key, blockage.where, stack.rstrip())
            self._reported = blockage
        self.loop.call_soon_threadsafe(self._mark)
        return blockage

    def _make_task(self, loop: asyncio.AbstractEventLoop, coroutine: Any, **options: Any) -> asyncio.Future[Any]:
        task: asyncio.Future[Any] = asyncio.Task(coroutine, loop=loop, **options)
        self._owners[task] = _OWNER.get()
        return task

    def _mark(self) -> None:
        self._beat = time.monotonic()

    def _frame(self) -> FrameType | None:
        return sys._current_frames().get(self._loop_thread.thread.ident or 0)  # noqa: SLF001  # documented, for debuggers


class Runtime(WorkerLoop):
    """The event loop of a process, its watchdog, and further loops for the sources that have blocked it."""

    def __init__(
        self,
        environ: Mapping[str, str],
        *,
        lag_limit_seconds: float = DEFAULT_LAG_LIMIT_SECONDS,
        on_blocked: Callable[[], None] | None = None,
    ) -> None:
        super().__init__(environ)
        self._lag_limit_seconds = lag_limit_seconds
        self._on_blocked = on_blocked or _exit_blocked
        self._further: dict[str, list[WorkerLoop]] = {}
        """For each source that has blocked a loop, those that ask it from then on."""
        self._closing = threading.Event()
        self._watchdog = threading.Thread(target=self._watch, name="loop-watchdog", daemon=True)
        self._watchdog.start()

    @contextmanager
    def loop_of(self, source: str) -> Iterator[WorkerLoop]:
        """The loop to ask a source on.

        It is this one, unless the source has blocked it: then one of its own that no other task uses, if there can be
        one, so that its next blocking call holds up nothing else.
        """
        with self._lock:
            loop = self._choose(source)
            loop.asks += 1
        try:
            yield loop
        finally:
            with self._lock:
                loop.asks -= 1

    def _choose(self, source: str) -> WorkerLoop:
        loops = self._further.get(source)
        if loops is None:
            return self
        if len(loops) < MAX_FURTHER_LOOPS and not any(loop.asks == 0 and not loop.is_blocked for loop in loops):
            with suppress(OSError, RuntimeError):  # no descriptor or thread is left
                loops.append(WorkerLoop(self._environ))
                return loops[-1]
        return min(loops, key=lambda loop: (loop.is_blocked, loop.asks), default=self)

    def holds_up(self, queues: Collection[str]) -> Blockage | None:
        """What keeps a task of one of these queues from running: of the loop that it would run on."""
        with self._lock:
            further = [list(self._further[queue]) for queue in queues if queue in self._further]
        used = [self] if len(further) < len(queues) else list[WorkerLoop]()
        used += [loops[0] for loops in further if len(loops) == MAX_FURTHER_LOOPS and all(x.is_blocked for x in loops)]
        return next((blockage for loop in used if (blockage := loop.blockage()) is not None), None)

    @property
    def longest_lag_seconds(self) -> float:
        """The lag of the loop that has been silent for longest."""
        return max(loop.lag_seconds for loop in self._loops())

    def circuits(self) -> dict[tuple[str, str], str]:
        """The state of each circuit, by source and counterpart: of several instances of a source the worst."""
        states: dict[tuple[str, str], str] = {}
        for name, source in (item for loop in self._loops() for item in loop.made_sources().items()):
            # Border: a site's source may raise anything, and the page has more to tell.
            with suppress(Exception), contained():
                for counterpart, state in source.circuits().items() if isinstance(source, CircuitSource) else ():
                    states[name, counterpart] = max(states.get((name, counterpart), state), state, key=_severity)
        return states

    def wait_until_free(self) -> None:
        """Wait as long as the loop is blocked; the watchdog ends the process when that lasts too long."""
        while not self.answers(MARK_SECONDS) and not self._closing.is_set():
            pass

    def close(self, *, timeout_seconds: float = 5.0) -> None:
        """Close the sources and stop every loop, side by side: what hangs is abandoned after that time in all.

        Of further loops that are blocked none is waited for.
        """
        self._closing.set()
        self._watchdog.join(timeout_seconds)  # it calls into the loops
        end = Deadline.after(timeout_seconds)
        loops = [loop for loop in self._loops() if loop is self or not loop.is_blocked]
        closing = {future: source for loop in loops for future, source in loop.close_sources().items()}
        wait(closing, end.remaining())
        for future, source in closing.items():
            # Not result(), which raises whatever a site's class does: closing is best effort, the process ends.
            if not future.done() or future.cancelled() or future.exception() is not None:
                future.cancel()
                _LOGGER.warning("source_close_failed source=%s", source)
        wait([loop.stop() for loop in loops], max(STOP_SECONDS, end.remaining()))

    def _loops(self) -> list[WorkerLoop]:
        with self._lock:
            return [self, *(loop for loops in self._further.values() for loop in loops)]

    def _watch(self) -> None:
        ticked = time.monotonic()
        while not self._closing.wait(MARK_SECONDS):
            late_seconds = time.monotonic() - ticked - MARK_SECONDS
            ticked = time.monotonic()
            for loop in self._loops():
                blockage = loop.watch(late_seconds if late_seconds > MARK_SECONDS else 0.0)
                if blockage is not None:
                    self._give_loops(blockage)
                if loop.lag_seconds > self._lag_limit_seconds:
                    key = blockage and blockage.key
                    _LOGGER.critical("loop_blocked lag_seconds=%.1f source=%s", loop.lag_seconds, key)
                    self._on_blocked()
                    return

    def _give_loops(self, blockage: Blockage) -> None:
        source = blockage.key.partition("|")[0]
        with self._lock:
            if source not in self._sources or source in self._further:
                return
            self._further[source] = []
        _LOGGER.warning("source_has_loops_of_its_own source=%s where=%s", source, blockage.where)


def _severity(state: str) -> int:
    return CIRCUIT_STATES.index(state) if state in CIRCUIT_STATES else 0


def _made(sources: Mapping[str, Future[Source]]) -> dict[str, Source]:
    return {name: item.result() for name, item in sources.items() if item.done() and item.exception() is None}


def _place(frame: FrameType | None) -> str:
    """The innermost line of code that is not Python's own."""
    while frame is not None:
        path = frame.f_code.co_filename
        if not path.startswith(_LIBRARY) or "site-packages" in path:
            return f"{Path(path).name}:{frame.f_lineno}, {frame.f_code.co_name}"
        frame = frame.f_back
    return ""


def _exit_blocked() -> None:
    # A blocked loop cannot be stopped from another thread, so the process must be replaced.
    logging.shutdown()
    os._exit(EX_LOOP_BLOCKED)
