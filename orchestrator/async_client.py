"""The client for an event loop: nothing it does blocks the loop."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from types import TracebackType
from typing import ParamSpec, Self, TypeVar

from orchestrator.async_follow import AsyncFollower
from orchestrator.client import TroubleshootClient
from orchestrator.config import Settings
from orchestrator.deadline import Deadline
from orchestrator.models import Event, Report, RunSnapshot, RunSummary, TroubleshootRequest
from orchestrator.store.connection import connect_async_reader
from orchestrator.store.events import START, check_event_id

P = ParamSpec("P")
T = TypeVar("T")


class AsyncTroubleshootClient:
    """The same calls as ``TroubleshootClient``, awaitable; short ones run in a small executor, waits are on the loop.

    Belongs to the loop it is first used in. Use it as an async context manager or call ``close``.
    """

    def __init__(self, settings: Settings | None = None) -> None:
        self._sync = TroubleshootClient(settings)
        self._reader = connect_async_reader(self._sync.settings)
        self._executor = ThreadPoolExecutor(max_workers=8, thread_name_prefix="troubleshoot-client")

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
        patience = None if timeout_seconds is None else Deadline.after(timeout_seconds)
        follower = await self._follower(run_id, patience=patience, only_the_end=True)
        events = [event async for event in follower.events(START)]
        if not follower.has_ended and patience is not None and patience.has_passed:
            raise TimeoutError(f"run {run_id} was not finished within {timeout_seconds:g} s; it goes on")
        return await self.call(self._sync.report_of, run_id, events, has_ended=follower.has_ended)

    async def stream(self, run_id: str, *, after: str = START) -> AsyncIterator[Event]:
        """See ``TroubleshootClient.stream``."""
        follower = await self._follower(run_id)
        async for event in follower.events(check_event_id(after)):
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
        self._executor.shutdown(wait=False, cancel_futures=True)

    async def call(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run a blocking call of the client or its store in the executor."""
        return await asyncio.get_running_loop().run_in_executor(self._executor, lambda: function(*args, **kwargs))

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def _follower(
        self, run_id: str, *, patience: Deadline | None = None, only_the_end: bool = False
    ) -> AsyncFollower:
        return AsyncFollower(
            run_id=run_id,
            reader=self._reader,
            keys=self._sync.store.keys,
            finish=lambda: self.call(self._sync.end_at_deadline, run_id),
            deadline=await self.call(self._sync.deadline_of, run_id),
            patience=patience,
            only_the_end=only_the_end,
        )

    async def list(self, *, limit: int = 20) -> list[RunSummary]:
        """See ``TroubleshootClient.list``."""
        return await self.call(self._sync.list, limit=limit)
