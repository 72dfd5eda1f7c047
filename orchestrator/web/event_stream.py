"""A run's events as server-sent events (WHATWG HTML, section 9.2)."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING

from fastapi.responses import StreamingResponse

from orchestrator.errors import TroubleshootError
from orchestrator.models import Event

if TYPE_CHECKING:
    from starlette.types import Receive, Scope, Send

_LOGGER = logging.getLogger(__name__)
KEEP_ALIVE_SECONDS = 15.0
"""The standard's own advice against proxies that cut silent connections."""
RETRY_MS = 1_000
"""A browser's own pause before it connects again is several seconds: too long for a run of ten."""
_HEADERS = {
    # A proxy that compresses, gathers what it compresses.
    "Cache-Control": "no-store, no-transform",
    "X-Accel-Buffering": "no",
}


class EventStream(StreamingResponse):
    """Sends events as they come; a comment now and then while there are none.

    A reader that goes away ends the reading, and with it the wait in Redis.
    """

    media_type = "text/event-stream"

    def __init__(self, events: AsyncIterator[Event], *, first: Event | None = None, keep_alive_seconds: float) -> None:
        """Send ``first``, which has been read already, and then ``events``."""
        self._events = events
        self._first = first
        self._keep_alive_seconds = keep_alive_seconds
        self._reading: asyncio.Task[Event | None] | None = None
        super().__init__(self._chunks(), headers=_HEADERS)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the whole, and leave nothing behind."""
        try:
            await super().__call__(scope, receive, send)
        finally:
            if self._reading is not None:
                self._reading.cancel()
                await asyncio.wait({self._reading})

    async def _chunks(self) -> AsyncIterator[str]:
        yield f"retry: {RETRY_MS}\n\n"
        if self._first is not None:
            yield encode(self._first)
        try:
            while (event := await self._next_or_silence()) is not None:
                yield encode(event) if isinstance(event, Event) else event
        except TroubleshootError as error:
            # The status has been sent. The reader connects again, and is told in the usual way.
            _LOGGER.warning("web_stream_cut reason=%s error=%s", error.reason, error)

    async def _next_or_silence(self) -> Event | str | None:
        """The next event, a comment when there has been none for a while, None at the end."""
        if self._reading is None:
            # A task of its own: a generator whose next step is timed out directly would be ended by it.
            self._reading = asyncio.create_task(_next(self._events))
        done, _ = await asyncio.wait({self._reading}, timeout=self._keep_alive_seconds)
        if not done:
            return ": keep-alive\n\n"
        reading, self._reading = self._reading, None
        return reading.result()


def encode(event: Event) -> str:
    """One event on the wire; JSON has no line ends of its own."""
    return f"id: {event.id}\nevent: {event.type.value}\ndata: {event.model_dump_json()}\n\n"


async def _next(events: AsyncIterator[Event]) -> Event | None:
    return await anext(events, None)
