"""The events of a run as server-sent events (WHATWG HTML, section 9.2)."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager

from fastapi.responses import StreamingResponse
from starlette.requests import ClientDisconnect
from starlette.types import Message, Receive, Scope, Send

from orchestrator.errors import OutOfConnections, TroubleshootError
from orchestrator.logs import bound, get_logger, shown
from orchestrator.models import Event
from orchestrator.web.problems import run_id_of

_LOGGER = get_logger(__name__)
KEEP_ALIVE_SECONDS = 15.0
"""Seconds between comments in a silent stream: the standard's advice against proxies that drop silent connections."""
RETRY_MS = 1_000
"""Milliseconds before a browser connects again; its default of several seconds is too long for a run of ten."""
MAX_READERS = 1_000
"""Callers that wait for runs or their events in one process, each with a connection to Redis."""
SEND_SECONDS = 120.0
"""Seconds for a reader to take an event, before its place is given away."""
_HEADERS = {
    # A proxy that compresses would buffer the events, and so does Starlette's GZipMiddleware before version 0.46, which
    # heeds only this encoding.
    "Cache-Control": "no-store, no-transform",
    "Content-Encoding": "identity",
    "X-Accel-Buffering": "no",
}


class Readers:
    """How many callers wait for runs or their events in this process, at most ``most``."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._count = 0

    def check(self) -> None:
        """Raise OutOfConnections when there is no place for another one."""
        if self._count >= self._most:
            raise OutOfConnections(
                "callers that wait for runs or their events here already: {count}; ask for the run without waiting",
                count=self._count,
            )

    @contextmanager
    def one(self) -> Iterator[None]:
        """One of them, while the block is open."""
        self._count += 1
        try:
            yield
        finally:
            self._count -= 1


class EventStream(StreamingResponse):
    """Sends events as they come, and a comment every ``keep_alive_seconds`` without any.

    A reader that disconnects, or takes nothing for ``SEND_SECONDS``, ends the stream, and with it the blocking read of
    Redis.
    """

    media_type = "text/event-stream"

    def __init__(
        self,
        events: AsyncIterator[Event],
        *,
        first: Event | None = None,
        keep_alive_seconds: float,
        readers: Readers,
    ) -> None:
        """Sends ``first``, an event that was read already, before ``events``."""
        self._readers = readers
        self._events = events
        self._first = first
        self._keep_alive_seconds = keep_alive_seconds
        self._reading: asyncio.Task[Event | None] | None = None
        super().__init__(self._chunks(), headers=_HEADERS)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the stream; cancel the pending read at its end."""

        async def send_in_time(message: Message) -> None:
            async with asyncio.timeout(SEND_SECONDS):
                await send(message)

        try:
            with self._readers.one(), bound(run_id=run_id_of(scope)):
                await super().__call__(scope, receive, send_in_time)
        except* (
            TimeoutError,
            ClientDisconnect,
        ):  # which one depends on the server; an old Starlette groups it
            _LOGGER.info("web_reader_gone")
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
            _LOGGER.warning("web_stream_cut reason=%s error=%s", error.reason, shown(error))

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
