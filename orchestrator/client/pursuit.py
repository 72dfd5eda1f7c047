"""Pursuing a run to its answer: by workers, by this process where they do not, without the store when it is gone."""

import asyncio
from collections.abc import Callable
from functools import partial
from typing import Any

from orchestrator.client.aio import AsyncTroubleshootClient
from orchestrator.client.fallback import OwnProcess
from orchestrator.client.follower import AsyncFollower
from orchestrator.client.waiting import GRACE_SECONDS, Pulse
from orchestrator.deadline import Deadline
from orchestrator.errors import RunNotFound, StoreUnreachable, WorkersNotInstalled
from orchestrator.logs import get_logger
from orchestrator.models import Event, Report
from orchestrator.store.connection import BLOCK_MS
from orchestrator.store.events import START

_LOGGER = get_logger(__name__)
SILENT_SECONDS = 0.75
"""Seconds beyond its longest blocking read for which a reader may hear nothing from the store, before the missing
sources are asked here. Time by which the event loop runs late does not count."""
_TICK_SECONDS = 0.05


async def pursue(
    client: AsyncTroubleshootClient,
    follower: AsyncFollower,
    own: OwnProcess,
    deadline: Deadline,
    take: Callable[[Event], None],
) -> Report | None:
    """Follow a run to its end, help it where no worker does, and answer here when the store is gone in mid-run.

    The store is read on meanwhile: if it comes back and has the answer first, that one is returned. ``take`` gets the
    events. None is returned when the last of them was the terminal event of the store.

    Raises WorkersNotInstalled when neither workers nor this process can ask the sources.
    """
    reading = asyncio.ensure_future(_read(follower, take))
    helping = asyncio.ensure_future(own.help())
    watching = asyncio.ensure_future(_silence(client.sync.pulse, partial(_lost_seconds, follower)))
    answering: asyncio.Future[Report] | None = None
    pending: set[asyncio.Future[Any]] = {reading, helping, watching}
    not_installed: WorkersNotInstalled | None = None
    try:
        while not reading.done() or (answering is not None and not answering.done()):
            timeout = None if answering is None else deadline.remaining() + GRACE_SECONDS
            done, pending = await asyncio.wait(pending, timeout=timeout, return_when=asyncio.FIRST_COMPLETED)
            if not done:
                break
            if reading in done and _has_ended(reading):
                return follower.report
            if answering is not None and answering in done:
                try:
                    return own.told(answering.result())
                except WorkersNotInstalled as error:
                    not_installed = error
            if helping in done and answering is None:
                helping.result()
            if answering is None and (watching in done or reading in done) and not deadline.has_passed:
                _LOGGER.warning("store_lost run_id=%s", follower.run_id)
                helping.cancel()
                answering = asyncio.ensure_future(own.answer())
                pending.add(answering)
        is_forgotten = reading.done() and isinstance(reading.exception(), RunNotFound)
        if not_installed is not None and is_forgotten and not own.has_read:
            raise not_installed
        return own.told(own.answer_to_what_was_read(not_installed.message if not_installed else None))
    finally:
        await abandon(*(task for task in (reading, helping, watching, answering) if task is not None))


async def abandon(*tasks: asyncio.Future[Any]) -> None:
    """Cancel tasks and wait briefly: a source that ignores its cancellation must not delay the answer."""
    for task in tasks:
        task.cancel()
        task.add_done_callback(_note_failure)
    await asyncio.wait(tasks, timeout=0.1)


def _note_failure(task: asyncio.Future[Any]) -> None:
    # Retrieved here, or asyncio writes "exception was never retrieved" with a traceback into the app's log.
    error = None if task.cancelled() else task.exception()
    if error is not None:
        _LOGGER.warning(
            "run_abandoned error=%s reason=%s", type(error).__name__, getattr(error, "reason", "unexpected")
        )


async def _read(follower: AsyncFollower, take: Callable[[Event], None]) -> bool:
    """Whether the run's end was read; False when the reader gave up at the deadline."""
    async for event in follower.events(START):
        take(event)
        if event.type.is_terminal:
            return True
    return follower.report is not None


def _has_ended(reading: asyncio.Future[bool]) -> bool:
    """Whether the run's end was read; False also when the store lost the run or gave no connection."""
    try:
        return reading.result()
    except (RunNotFound, StoreUnreachable):
        return False


def _lost_seconds(follower: AsyncFollower) -> float:
    longest = BLOCK_MS / 1000
    return SILENT_SECONDS + (min(longest, follower.waiting.pulse.copy_seconds) if follower.only_the_end else longest)


async def _silence(pulse: Pulse, seconds: Callable[[], float]) -> None:
    """Return once the store has been silent for ``seconds``, as they are then, of a loop that keeps its time."""
    silent = 0.0
    while silent < seconds():
        last = pulse.heard_at
        await asyncio.sleep(_TICK_SECONDS)
        silent = 0.0 if pulse.heard_at != last else silent + _TICK_SECONDS
