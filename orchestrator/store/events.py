"""Reading a run's stream: from any event id on, to the terminal event."""

from __future__ import annotations

import json
import re
from typing import Any

import redis

from orchestrator.errors import InvalidRequest, RunNotFound
from orchestrator.models import Event, EventType, RunState
from orchestrator.store.connection import BLOCK_MS, store_errors
from orchestrator.store.keys import Keys

START = "0"
"""Event id before the first event."""
_EVENT_ID = re.compile(r"[0-9]{1,20}(-[0-9]{1,20})?")
_MAX_PART = 2**64 - 1
"""Redis keeps both parts of a stream's id in 64 bits."""


def check_event_id(value: str) -> str:
    """Return ``value`` when a reader can resume after it.

    Raises InvalidRequest.
    """
    if not _EVENT_ID.fullmatch(value) or any(int(part) > _MAX_PART for part in value.split("-")):
        raise InvalidRequest(f"after: {value!r} is not an event id; take the id of the last event you read")
    return value


def parse_event(run_id: str, event_id: str, fields: dict[str, str]) -> Event:
    """One stream entry as the contract's event."""
    return Event(
        id=event_id,
        run_id=run_id,
        type=EventType(fields["type"]),
        at_ms=int(fields["at"]),
        attempt=int(fields["attempt"]),
        data=json.loads(fields["data"]),
    )


def parse_reply(run_id: str, reply: Any) -> list[Event]:
    """Events of an XREAD reply for one stream, in RESP2 (list) or RESP3 (mapping) form."""
    if not reply:
        return []
    entries = next(iter(reply.values()))[0] if isinstance(reply, dict) else reply[0][1]
    return [parse_event(run_id, event_id, fields) for event_id, fields in entries]


def check_closed(run_id: str, state: Any) -> bool:
    """Whether a run in that state has ended.

    Raises RunNotFound for a run without one.
    """
    if state is None:
        raise RunNotFound.of(run_id)
    return RunState(state).is_closed


class EventReader:
    """Blocking reads of streams; use one reader a thread."""

    def __init__(self, client: redis.Redis, keys: Keys) -> None:
        self._client = client
        self._keys = keys

    def is_closed(self, run_id: str) -> bool:
        """Whether the run has ended. Ask before the first blocking read: one waits on a stream that does not exist.

        Raises RunNotFound.
        """
        with store_errors():
            state = self._client.hget(self._keys.run(run_id), "state")
        return check_closed(run_id, state)

    def wait_end(self, run_id: str, *, block_ms: int) -> bool:
        """Wait up to ``block_ms`` for the end of the run: one wake-up however many events there are before it."""
        with store_errors():
            return bool(self._client.xread({self._keys.ending(run_id): START}, block=min(block_ms, BLOCK_MS)))

    def read(self, run_id: str, after: str, *, block_ms: int = 0, count: int = 500) -> list[Event]:
        """Events after ``after``, waiting up to ``block_ms`` (at most ``BLOCK_MS``) for the first; 0 does not wait."""
        block = min(block_ms, BLOCK_MS) if block_ms > 0 else None
        with store_errors():
            reply = self._client.xread({self._keys.events(run_id): after}, count=count, block=block)
        return parse_reply(run_id, reply)
