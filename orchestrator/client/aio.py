"""The client for an event loop: nothing it does blocks the loop."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from types import TracebackType
from typing import ParamSpec, Self, TypeVar

from orchestrator.client.executor import BlockingCalls
from orchestrator.client.follower import AsyncFollower
from orchestrator.client.single_flight import Ending
from orchestrator.client.sync import TroubleshootClient
from orchestrator.config import Settings
from orchestrator.models import Event, Report, RunSnapshot, RunSummary, TroubleshootRequest
from orchestrator.store.connection import connect_async_reader
from orchestrator.store.events import START, AsyncEventReader, check_event_id

P = ParamSpec("P")
T = TypeVar("T")
_HANG_SECONDS = 0.25
"""A call that fails after less has not been waiting for a store that hangs."""


class AsyncTroubleshootClient:
    """The same calls as ``TroubleshootClient``, awaitable; short ones run in a small executor, waits are on the loop.

    Belongs to the loop it is first used in. Use it as an async context manager or call ``close``.
    """

    def __init__(self, settings: Settings | None = None) -> None:
        self._sync = TroubleshootClient(settings)
        self._reader = connect_async_reader(self._sync.settings)
        hang_seconds = min(_HANG_SECONDS, self._sync.settings.redis_timeout_seconds / 2)
        self._calls = BlockingCalls(threads=8, hang_seconds=hang_seconds)
        # Threads of their own: a run's readers must not wait for its end behind a crowd of submits.
        self._ending_calls = BlockingCalls(threads=4, hang_seconds=hang_seconds)
        self._endings: dict[str, asyncio.Future[Ending]] = {}

    @property
    def sync(self) -> TroubleshootClient:
        """The synchronous client underneath."""
        return self._sync

    async def submit(
        self, request: TroubleshootRequest, *, run_id: str | None = None, idempotency_key: str | None = None
    ) -> str:
        """See ``TroubleshootClient.submit``."""
        return await self.call(self._sync.submit, request, run_id=run_id, idempotency_key=idempotency_key)

    async def result(self, run_id: str, *, timeout_seconds: float | None = None) -> Report:
        """See ``TroubleshootClient.result``."""
        follower = await self._follower(run_id, timeout_seconds=timeout_seconds, only_the_end=True)
        events = [event async for event in follower.events(START)]
        return follower.report or self._sync.report_without_end(run_id, events, follower.waiting, timeout_seconds)

    async def stream(self, run_id: str, *, after: str = START) -> AsyncIterator[Event]:
        """See ``TroubleshootClient.stream``."""
        start = check_event_id(after)
        follower = await self._follower(run_id)
        async for event in follower.events(start):
            yield event

    async def get(self, run_id: str) -> RunSnapshot:
        """See ``TroubleshootClient.get``."""
        return await self.call(self._sync.get, run_id)

    async def cancel(self, run_id: str, *, by: str = "client") -> RunSummary:
        """See ``TroubleshootClient.cancel``."""
        return await self.call(self._sync.cancel, run_id, by=by)

    async def close(self) -> None:
        """Give every connection back."""
        await self._reader.aclose()
        await asyncio.to_thread(self._sync.close)
        self._ending_calls.close()
        self._calls.close()

    async def call(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run a blocking call of the client or its store in the executor; see ``BlockingCalls.run``."""
        return await self._calls.run(function, *args, **kwargs)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def _follower(
        self, run_id: str, *, timeout_seconds: float | None = None, only_the_end: bool = False
    ) -> AsyncFollower:
        deadline = self._sync.known_deadline(run_id) or await self.call(self._sync.deadline_of, run_id)
        return AsyncFollower(
            run_id=run_id,
            reader=AsyncEventReader(self._reader, self._sync.store.keys),
            end=lambda is_closed: self._end(run_id, is_closed=is_closed),
            waiting=self._sync.waiting_for(run_id, timeout_seconds=timeout_seconds, deadline=deadline),
            only_the_end=only_the_end,
        )

    async def _end(self, run_id: str, *, is_closed: bool) -> Ending:
        """See ``Endings.end``; all who wait on the loop take one thread."""
        asked = self._endings.get(run_id)
        if asked is None:
            call = self._ending_calls.run(self._sync.end, run_id, is_closed=is_closed)
            asked = self._endings[run_id] = asyncio.ensure_future(call)
            asked.add_done_callback(lambda done: self._ended(run_id, done))
        # One reader that goes away must not take it from the others.
        return await asyncio.shield(asked)

    def _ended(self, run_id: str, done: asyncio.Future[Ending]) -> None:
        del self._endings[run_id]
        if not done.cancelled():
            # Asked for here too: when no reader is left, asyncio would log an exception that was never retrieved.
            done.exception()

    async def list(self, *, limit: int = 20) -> list[RunSummary]:
        """See ``TroubleshootClient.list``."""
        return await self.call(self._sync.list, limit=limit)
