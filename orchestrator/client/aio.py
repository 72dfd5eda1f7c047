"""``AsyncTroubleshootClient``: the client for an event loop; none of its calls blocks the loop."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from functools import partial
from types import EllipsisType
from typing import ParamSpec, Self, TypeVar
from weakref import WeakKeyDictionary

from redis.exceptions import RedisError

from orchestrator.client.executor import BlockingCalls
from orchestrator.client.follower import AsyncFollower
from orchestrator.client.sync import TroubleshootClient
from orchestrator.config import Settings
from orchestrator.deadline import Deadline
from orchestrator.models import Event, Report, RunPage, RunSnapshot, RunSummary, TroubleshootRequest
from orchestrator.run.finisher import MAX_BY_RULES, Finisher
from orchestrator.store.connection import connect_async_reader
from orchestrator.store.events import START, AsyncEventReader, check_event_id
from orchestrator.store.run_filter import RunFilter

P = ParamSpec("P")
T = TypeVar("T")
_HANG_SECONDS = 0.25
"""A call that fails in less time did not wait for a store that hangs."""


class AsyncTroubleshootClient:
    """The calls of ``TroubleshootClient``, awaitable: short ones run in a few threads, waits are on the event loop.

    ``settings`` are read from the environment when left out. A client belongs to the loop in which it is first used.
    Use it as an async context manager or call ``close``::

        async with AsyncTroubleshootClient() as client:
            run_id = await client.submit(TroubleshootRequest(message="Job BATCH001 failed with ABEND S0C7"))
            async for event in client.stream(run_id):
                print(event.type, event.data)
            report = await client.result(run_id)
    """

    def __init__(self, settings: Settings | None = None) -> None:
        self._sync = TroubleshootClient(settings)
        self._reader = connect_async_reader(self._sync.settings)
        hang_seconds = min(_HANG_SECONDS, self._sync.settings.redis_timeout_seconds / 2)
        self._calls = BlockingCalls(threads=8, hang_seconds=hang_seconds)
        # Threads of their own: the readers of a run must not wait for its end behind many submits. More than answer by
        # the rules at a time: the others give raw data.
        self._end_calls = BlockingCalls(threads=2 * MAX_BY_RULES, hang_seconds=hang_seconds)
        self._in_flight: dict[str, asyncio.Future[Report | None]] = {}

    @property
    def sync(self) -> TroubleshootClient:
        """The synchronous client underneath."""
        return self._sync

    async def submit(
        self, request: TroubleshootRequest, *, run_id: str | None = None, idempotency_key: str | None = None
    ) -> str:
        """See ``TroubleshootClient.submit``."""
        return await self.call(self._sync.submit, request, run_id=run_id, idempotency_key=idempotency_key)

    async def rerun(
        self,
        run_id: str,
        *,
        everything: bool = False,
        new_run_id: str | None = None,
        idempotency_key: str | None = None,
        user_id: str | EllipsisType | None = ...,
    ) -> str:
        """See ``TroubleshootClient.rerun``."""
        return await self.call(
            self._sync.rerun,
            run_id,
            everything=everything,
            new_run_id=new_run_id,
            idempotency_key=idempotency_key,
            user_id=user_id,
        )

    async def result(self, run_id: str, *, timeout_seconds: float | None = None) -> Report:
        """See ``TroubleshootClient.result``."""
        follower = await self.follower(run_id, timeout_seconds=timeout_seconds, only_the_end=True)
        if (copy := self._sync.given_up.pop(run_id, None)) is not None:
            return self._sync.report_without_end(copy, follower.waiting)
        with self._sync.own_run(run_id):
            async for _ in follower.events(START):
                pass  # no events with only_the_end
        return follower.report or self._sync.report_without_end(follower.copy, follower.waiting, timeout_seconds)

    async def stream(
        self, run_id: str, *, after: str = START, keeps_answers: bool = False, with_results: bool = False
    ) -> AsyncIterator[Event]:
        """See ``TroubleshootClient.stream``."""
        start = check_event_id(after)
        follower = await self.follower(run_id, keeps_copy=keeps_answers)
        with self._sync.own_run(run_id):
            async for event in follower.events(start):
                yield await self.call(self._sync.with_results, event) if with_results else event
        self._sync.remember(follower)

    async def get(self, run_id: str) -> RunSnapshot:
        """See ``TroubleshootClient.get``."""
        return await self.call(self._sync.get, run_id)

    async def cancel(self, run_id: str, *, by: str = "client") -> RunSummary:
        """See ``TroubleshootClient.cancel``."""
        return await self.call(self._sync.cancel, run_id, by=by)

    async def close(self) -> None:
        """Close every connection and stop the threads."""
        with suppress(RedisError):  # redis-py gives up on a TLS connection whose Redis hangs
            await self._reader.aclose()
        await asyncio.to_thread(self._sync.close)
        self._end_calls.close()
        self._calls.close()

    async def call(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run a blocking call of the client or its store in a thread; see ``BlockingCalls.run``."""
        return await self._calls.run(function, *args, **kwargs)

    async def finish(self, finisher: Finisher, run_id: str) -> Report | None:
        """See ``Finisher.finish``; in a thread of its own, as a model may be asked."""
        calls = BlockingCalls(threads=1, hang_seconds=_HANG_SECONDS)
        try:
            return await calls.run(finisher.finish, run_id)
        finally:
            calls.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def follower(
        self,
        run_id: str,
        *,
        timeout_seconds: float | None = None,
        only_the_end: bool = False,
        keeps_copy: bool = False,
    ) -> AsyncFollower:
        """A reader of the run; see ``AsyncFollower``.

        Raises RunNotFound, StoreUnreachable for a run that was not submitted here.
        """
        deadline = self._sync.known_deadline(run_id)
        if deadline is None:
            deadline = await self.call(self._sync.deadline_of, run_id)
        return AsyncFollower(
            run_id=run_id,
            reader=AsyncEventReader(self._reader, self._sync.store.keys),
            end=partial(self._end, run_id, deadline),
            waiting=self._sync.waiting_for(run_id, timeout_seconds=timeout_seconds, deadline=deadline),
            only_the_end=only_the_end,
            keeps_copy=keeps_copy,
        )

    async def _end(self, run_id: str, deadline: Deadline, is_closed: bool) -> Report | None:
        """See ``SingleFlight.end``; all readers on the loop together take one thread."""
        leader = self._in_flight.get(run_id)
        if leader is None:
            call = self._end_calls.run(self._sync.end, run_id, is_closed=is_closed, deadline=deadline)
            leader = self._in_flight[run_id] = asyncio.ensure_future(call)
            leader.add_done_callback(lambda done: self._ended(run_id, done))
        # A reader that is cancelled must not cancel the call of the others.
        return await asyncio.shield(leader)

    def _ended(self, run_id: str, done: asyncio.Future[Report | None]) -> None:
        del self._in_flight[run_id]
        if not done.cancelled():
            # Retrieved here too: when no reader is left, asyncio would log that nobody retrieved the exception.
            done.exception()

    async def check_owner(self, run_id: str, user_id: str | None) -> None:
        """See ``TroubleshootClient.check_owner``."""
        await self.call(self._sync.check_owner, run_id, user_id)

    async def page(self, *, limit: int = 20, after: str | None = None, where: RunFilter | None = None) -> RunPage:
        """See ``TroubleshootClient.page``."""
        return await self.call(self._sync.page, limit=limit, after=after, where=where)

    async def list(self, *, limit: int = 20, where: RunFilter | None = None) -> list[RunSummary]:
        """See ``TroubleshootClient.list``."""
        return await self.call(self._sync.list, limit=limit, where=where)


class _Shared:
    """A client and how many use it."""

    def __init__(self, settings: Settings) -> None:
        self.client = AsyncTroubleshootClient(settings)
        self.users = 0


_shared: WeakKeyDictionary[asyncio.AbstractEventLoop, dict[Settings, _Shared]] = WeakKeyDictionary()


@asynccontextmanager
async def shared_client(settings: Settings) -> AsyncIterator[AsyncTroubleshootClient]:
    """The client of all that use one on this event loop at the same time; the last one closes it.

    A client has threads and connections of its own, and knows of its own readers alone: a hundred clients take more of
    the process than what they read.
    """
    clients = _shared.setdefault(asyncio.get_running_loop(), {})
    shared = clients.get(settings)
    if shared is None:
        shared = clients[settings] = _Shared(settings)
    shared.users += 1
    try:
        yield shared.client
    finally:
        shared.users -= 1
        if shared.users == 0:
            del clients[settings]
            await shared.client.close()
