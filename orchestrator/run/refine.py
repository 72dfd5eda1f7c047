"""Refining a draft by a synthesizer, in bounded time: for the finisher and for a run without a store."""

import asyncio
import queue
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from concurrent.futures import CancelledError, Future
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from orchestrator.deadline import Deadline
from orchestrator.diagnosis.agreement import CONTRADICTS, sure_facts
from orchestrator.plugins import awaited, close_all
from orchestrator.redaction.pieces import RedactedStream
from orchestrator.run.loop_thread import LoopThread, end_threads, too_many_blocked
from orchestrator.synthesis import (
    MAX_SYNTHESIS_CHARACTERS,
    SYNTHESIZER_CLOSE_FAILED,
    Case,
    Synthesis,
    SynthesisFailed,
    Synthesizer,
    refinement_failure,
    synthesis_of,
    try_synthesizer,
)

COMMIT_RESERVE_SECONDS = 0.5
"""Kept free for the commit: a synthesizer gets the time to the deadline less this."""
MAKE_SECONDS = 2.0
"""Seconds for making a synthesizer in the process of a caller; loading the code of a model's client may take one."""
TOKEN_INTERVAL_SECONDS = 0.05
"""Seconds between two calls of ``on_progress``."""


class LeaseLost(Exception):
    """Another finisher has the run."""


@dataclass(frozen=True, slots=True)
class Refiner:
    """A synthesizer, and the way to run its coroutine outside the calling thread."""

    synthesizer: Synthesizer
    submit: Callable[[Coroutine[Any, Any, Synthesis]], Future[Synthesis]]
    redact_personal: bool = False

    def refine(
        self, case: Case, deadline: Deadline, on_progress: Callable[[str], None] | None = None
    ) -> tuple[Synthesis | None, dict[str, Any]]:
        """The synthesis, or None without one in time; and the report's metadata ``llm``.

        Blocks the calling thread at most until half a second before the deadline; a call that is still running then is
        cancelled, which closes its connection. ``on_progress`` is called about every 50 ms with the fragments written
        since, perhaps none; they end at ``MAX_SYNTHESIS_CHARACTERS``.

        Whatever the synthesizer, an answer that contradicts what TWS and the rules are sure of is none.

        Raises LeaseLost when ``on_progress`` does. After any other error there is no synthesis.
        """
        limit = deadline.remaining() - COMMIT_RESERVE_SECONDS
        if limit <= COMMIT_RESERVE_SECONDS:
            return None, {"skipped": "no_time_left"}
        fragments: queue.SimpleQueue[str] = queue.SimpleQueue()
        end = Deadline.after(limit)

        async def synthesize() -> Synthesis:  # the call itself may raise
            return await awaited(
                lambda: self.synthesizer.synthesize(case, timeout_seconds=limit, emit=fragments.put_nowait)
            )

        future = self.submit(synthesize())
        try:
            is_over, room = False, MAX_SYNTHESIS_CHARACTERS
            masked = RedactedStream(personal=self.redact_personal)
            while not is_over:
                _wait(future, min(TOKEN_INTERVAL_SECONDS, end.remaining()))
                is_over = future.done() or end.has_passed
                if on_progress is not None:
                    text = _drain(fragments)[:room]
                    room -= len(text)
                    on_progress(masked.add(text) + (masked.end() if is_over else ""))
            return self._agreeing(case, future)
        except LeaseLost:
            raise
        except Exception as error:  # noqa: BLE001  # border: a synthesizer of a site may raise anything
            return None, refinement_failure(case.run_id, error, personal=self.redact_personal)
        finally:
            future.cancel()

    def _agreeing(self, case: Case, future: Future[Synthesis]) -> tuple[Synthesis, dict[str, Any]]:
        synthesis, metadata = synthesis_of(case.run_id, future, personal=self.redact_personal)
        if (problem := sure_facts(case).contradiction(synthesis.diagnosis)) is not None:
            raise SynthesisFailed(CONTRADICTS, problem, metadata)
        return synthesis, metadata


@asynccontextmanager
async def local_refiner(environ: Mapping[str, str], *, redact_personal: bool = False) -> AsyncIterator[Refiner | None]:
    """The configured synthesizer, made and called on an event loop of its own; None without one in time.

    At the end its calls are cancelled and its client is closed; what takes longer is left behind. None also while too
    many threads of this process are left behind.
    """
    if too_many_blocked():
        yield None
        return
    thread = LoopThread("synthesizer")
    making = asyncio.wrap_future(thread.submit(_made(environ)))
    synthesizer: Synthesizer | None = None
    calls: list[Future[Synthesis]] = []

    def submit(work: Coroutine[Any, Any, Synthesis]) -> Future[Synthesis]:
        calls.append(thread.submit(work))
        return calls[-1]

    async def close() -> None:
        if synthesizer is not None:
            await close_all((synthesizer.close,), event=SYNTHESIZER_CLOSE_FAILED)

    try:
        await asyncio.wait({making}, timeout=MAKE_SECONDS)
        synthesizer = making.result() if making.done() else None
        yield None if synthesizer is None else Refiner(synthesizer, submit, redact_personal)
    finally:
        making.cancel()
        for call in calls:
            call.cancel()
        await end_threads({thread: close})


async def _made(environ: Mapping[str, str]) -> Synthesizer | None:
    return try_synthesizer(environ)


def _wait(future: Future[Synthesis], seconds: float) -> None:
    try:
        future.exception(timeout=seconds)
    except (TimeoutError, CancelledError):
        return


def _drain(fragments: queue.SimpleQueue[str]) -> str:
    # Not until it is empty: a synthesizer may write faster than this reads.
    return "".join([fragments.get_nowait() for _ in range(fragments.qsize())])
