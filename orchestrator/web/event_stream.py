"""The events of a run as server-sent events (WHATWG HTML, section 9.2)."""

import asyncio
import logging
from collections.abc import AsyncIterator

from fastapi.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from orchestrator.errors import TroubleshootError
from orchestrator.models import Event

_LOGGER = logging.getLogger(__name__)
KEEP_ALIVE_SECONDS = 15.0
"""Seconds between comments in a silent stream: the standard's advice against proxies that drop silent connections."""
RETRY_MS = 1_000
"""Milliseconds before a browser connects again; its default of several seconds is too long for a run of ten."""
_HEADERS = {
    # A proxy that compresses would buffer the events.
    "Cache-Control": "no-store, no-transform",
    "X-Accel-Buffering": "no",
}


class EventStream(StreamingResponse):
    """Sends events as they come, and a comment every ``keep_alive_seconds`` without any.

    A reader that disconnects ends the stream, and with it the blocking read of Redis.
    """

    media_type = "text/event-stream"

    def __init__(self, events: AsyncIterator[Event], *, first: Event | None = None, keep_alive_seconds: float) -> None:
        """Sends ``first``, an event that was read already, before ``events``."""
        self._events = events
        self._first = first
        self._keep_alive_seconds = keep_alive_seconds
        self._reading: asyncio.Task[Event | None] | None = None
        super().__init__(self._chunks(), headers=_HEADERS)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the stream; cancel the pending read at its end."""
        try:
            await super().__call__(scope, receive, send)
        finally:
            if self._reading is not None:
                self._reading.cancel()
                # An error of the store at this moment is nobody's any more.
                await asyncio.gather(self._reading, return_exceptions=True)

    async def _chunks(self) -> AsyncIterator[str]:
        yield f"retry: {RETRY_MS}\n\n"
        if self._first is not None:
            yield encode(self._first)
        try:
            while (event := await self._next_or_silence()) is not None:
                yield encode(event) if isinstance(event, Event) else event
        except TroubleshootError as error:
            # The status was sent already. The reader connects again and gets the error then.
            _LOGGER.warning("web_stream_cut reason=%s error=%s", error.reason, error)

    async def _next_or_silence(self) -> Event | str | None:
        """The next event, a comment after ``keep_alive_seconds`` without one, None at the end."""
        if self._reading is None:
            # A task of its own: a timeout around the generator's next step would close the generator.
            self._reading = asyncio.create_task(_next(self._events))
        done, _ = await asyncio.wait({self._reading}, timeout=self._keep_alive_seconds)
        if not done:
            return ": keep-alive\n\n"
        reading, self._reading = self._reading, None
        return reading.result()


def encode(event: Event) -> str:
    """An event in the format of server-sent events; the JSON contains no line ends."""
    return f"id: {event.id}\nevent: {event.type.value}\ndata: {event.model_dump_json()}\n\n"


async def _next(events: AsyncIterator[Event]) -> Event | None:
    return await anext(events, None)
