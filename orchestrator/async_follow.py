"""Following a run on an event loop, bounded by a clock of our own."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass

import redis.asyncio

from orchestrator.deadline import Deadline
from orchestrator.errors import RunNotFound, StoreUnreachable
from orchestrator.follow import GRACE_SECONDS, RECONNECT_SECONDS
from orchestrator.models import Event
from orchestrator.store.connection import BLOCK_MS, store_errors
from orchestrator.store.events import parse_reply
from orchestrator.store.keys import Keys

_LOGGER = logging.getLogger(__name__)


@dataclass(slots=True)
class AsyncFollower:
    """The async twin of ``Follower``: no thread, the loop's own timeout is the bound."""

    run_id: str
    reader: redis.asyncio.Redis
    keys: Keys
    finish: Callable[[], Awaitable[bool]]
    """Finishes the run at its deadline; True when it is closed."""
    deadline: Deadline
    patience: Deadline | None = None

    async def events(self, after: str) -> AsyncIterator[Event]:
        """Events after ``after`` up to the terminal one, or until the deadline and its grace are over.

        Raises RunNotFound.
        """
        while True:
            bound = self.deadline.remaining() + GRACE_SECONDS
            if self.patience is not None:
                bound = min(bound, self.patience.remaining())
            try:
                async with asyncio.timeout(bound):
                    events, ended = await self._read(after)
            except StoreUnreachable:
                if self.deadline.has_passed:
                    return
                await asyncio.sleep(min(RECONNECT_SECONDS, self.deadline.remaining()))
                continue
            except TimeoutError:
                if self.patience is None or not self.patience.has_passed:
                    _LOGGER.warning("stream_cut run_id=%s reason=store_unreachable", self.run_id)
                return
            for event in events:
                after = event.id
                yield event
                if event.type.is_terminal:
                    return
            if ended:
                return

    async def _read(self, after: str) -> tuple[list[Event], bool]:
        stream = self.keys.events(self.run_id)
        block_ms = max(1, min(BLOCK_MS, int(self.deadline.remaining() * 1000)))
        with store_errors():
            reply = await self.reader.xread({stream: after}, count=500)
            if not reply:
                if not await self.reader.exists(self.keys.run(self.run_id)):
                    raise RunNotFound(f"run {self.run_id!r} is not stored: it never existed or has expired")
                reply = await self.reader.xread({stream: after}, count=500, block=block_ms)
        events = parse_reply(self.run_id, reply)
        if events or not self.deadline.has_passed:
            return events, False
        closed = await self.finish()
        with store_errors():
            rest = parse_reply(self.run_id, await self.reader.xread({stream: after}, count=500))
        return rest, closed and not rest
