"""Reading a run's event stream, from any event id on, to the terminal event."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import redis
import redis.asyncio
from pydantic_core import from_json

from orchestrator.errors import InvalidRequest, RunNotFound
from orchestrator.models import Event, EventType, Plan, Report, RunState, SourceEnvelope, part_of, read_enum, source_key
from orchestrator.store.connection import BLOCK_MS, store_errors
from orchestrator.store.keys import Keys
from orchestrator.store.lua import Scripts, script_source
from orchestrator.store.packed import raw_call, unpack
from orchestrator.store.reading import read_number
from orchestrator.store.run_copy import RunCopy

START = "0"
"""Event id before the first event."""
_EVENT_ID = re.compile(r"[0-9]{1,20}(-[0-9]{1,20})?")
_MAX_PART = 2**64 - 1
"""Both parts of a stream id have 64 bits in Redis."""


def check_event_id(value: str) -> str:
    """Return ``value`` when it is an event id to resume after.

    Raises InvalidRequest.
    """
    if not _EVENT_ID.fullmatch(value) or any(int(part) > _MAX_PART for part in value.split("-")):
        raise InvalidRequest(
            "{field}: {event!r} is not an event id; take the id of the last event you read",
            field="after",
            event=value[:80],
        )
    return value


def routed_data(plan: Plan) -> dict[str, Any]:
    """The data of the event ``routed``."""
    routing = plan.routing
    later = {"stage": plan.stage, "jobs": plan.jobs} if plan.stage > 1 else {}
    return later | {
        "pipeline": plan.pipeline,
        "intent": routing.intent,
        "confidence": routing.confidence,
        "language": routing.language,
        "entities": routing.entities.model_dump(mode="json", exclude_defaults=True),
        "reason": plan.reason,
        "notes": plan.notes,
        "sources": [{"key": planned.key, **planned.model_dump(mode="json")} for planned in plan.sources],
    }


def finished_data(envelope: SourceEnvelope) -> dict[str, Any]:
    """The data of the event ``source_finished``, without the counts that the store adds."""
    fields = {"source", "job", "outcome", "success", "latency_ms", "finding", "error", "reason"}
    data = envelope.model_dump(mode="json", include=fields)
    if envelope.batch is not None:
        data |= {"batch": envelope.batch, "jobs": [_part_data(part) for part in envelope.parts]}
    if envelope.kept_from is not None:
        data["kept_from"] = envelope.kept_from
    if envelope.error_message is not None:
        data["error_message"] = envelope.error_message.model_dump(mode="json", exclude_defaults=True)
    return data


def _part_data(part: SourceEnvelope) -> dict[str, Any]:
    data = part.model_dump(mode="json", include={"job", "outcome", "latency_ms", "finding", "error", "reason"})
    return {name: value for name, value in data.items() if value not in ("", None)}


def key_of(data: Mapping[str, Any]) -> str:
    """Key of the source that an event is about."""
    return source_key(str(data.get("source")), part_of(data.get("job"), data.get("batch")))


def with_results(event: Event, envelopes: Iterable[SourceEnvelope]) -> Event:
    """An event ``source_finished`` with the data and evidence of the source, one envelope for each job."""
    results = [envelope.model_dump(mode="json") for envelope in envelopes]
    return event.model_copy(update={"data": {**event.data, "results": results}})


def final_data(report: Report) -> dict[str, Any]:
    """The data of the event ``final``, without the count that the store adds."""
    fields = {"outcome", "mode", "committed_by", "response", "total_latency_ms", "errors", "parallel_latency_ms"}
    return report.model_dump(mode="json", include=fields)


@dataclass(frozen=True, slots=True)
class Page:
    """A part of a stream: its events, without those that this version cannot read."""

    events: list[Event]
    last_id: str
    """Id of the last entry, readable or not: the next read starts after it."""

    @property
    def is_last(self) -> bool:
        """Whether the last event is the terminal one."""
        return bool(self.events) and self.events[-1].type.is_terminal


def parse_event(run_id: str, event_id: str, fields: dict[str, str]) -> Event | None:
    """One stream entry as an ``Event``; None when its type is unknown or its data cannot be read.

    A terminal event is returned whatever its data, as it ends the stream.
    """
    try:
        kind = EventType(fields.get("type", ""))
    except ValueError:
        return None
    try:
        data = from_json(fields.get("data", ""))
    except ValueError:
        data = None
    if not isinstance(data, dict):
        if not kind.is_terminal:
            return None
        data = {}
    return Event(
        id=event_id,
        run_id=run_id,
        type=kind,
        # The id of an entry begins with the time at which Redis added it.
        at_ms=read_number(fields.get("at"), read_number(event_id.partition("-")[0])),
        attempt=read_number(fields.get("attempt")),
        data=data,
    )


def parse_reply(run_id: str, after: str, reply: Any) -> Page:
    """The page of a stream in an XREAD reply, in RESP2 (list) or RESP3 (mapping) form."""
    if not reply:
        return Page([], after)
    return _page(run_id, next(iter(reply.values()))[0] if isinstance(reply, dict) else reply[0][1])


def parse_packed(run_id: str, after: str, stored: Any, count: int) -> Page:
    """The page of the events of a packed run; empty for one that is not packed.

    Raises RunDamaged.
    """
    entries = unpack(run_id, stored).after(after)[:count] if stored else []
    return _page(run_id, entries) if entries else Page([], after)


def _page(run_id: str, entries: Sequence[tuple[str, dict[str, str]]]) -> Page:
    events = [parse_event(run_id, event_id, fields) for event_id, fields in entries]
    return Page([event for event in events if event is not None], entries[-1][0])


def check_closed(run_id: str, state: Any) -> bool:
    """Whether ``state`` is that of a closed run.

    Raises RunNotFound when it is None.
    """
    if state is None:
        raise RunNotFound.of(run_id)
    return read_enum(state, RunState.DISPATCHED).is_closed


class EventReader:
    """Blocking reads of streams; use one reader per thread."""

    def __init__(self, client: redis.Redis, keys: Keys) -> None:
        self._client = client
        self._scripts = Scripts(client)
        self._keys = keys

    def is_closed(self, run_id: str) -> bool:
        """Whether the run has ended. Call it before the first blocking read, which waits for a missing run as well.

        Raises RunNotFound, StoreUnreachable.
        """
        with store_errors():
            state = self._client.hget(self._keys.run(run_id), "state")
        return check_closed(run_id, state)

    def wait_end(self, run_id: str, *, block_ms: int) -> bool:
        """Whether the run ends within ``block_ms``; one wake-up, however many events come before the end.

        Raises StoreUnreachable.
        """
        with store_errors():
            return bool(self._client.xread({self._keys.ending(run_id): START}, block=min(block_ms, BLOCK_MS)))

    def read_copy(self, copy: RunCopy) -> bool:
        """Read into ``copy`` what it does not have yet of its run; whether the run has ended.

        Raises RunNotFound, StoreUnreachable.
        """
        return copy.take(self._scripts.run("copy", [self._keys.run(copy.run_id)], copy.known))

    def read(self, run_id: str, after: str, *, block_ms: int = 0, count: int = 500) -> Page:
        """The events after ``after``, for which it waits up to ``block_ms`` (at most ``BLOCK_MS``); 0 does not wait.

        Those of a packed run are read without waiting.

        Raises StoreUnreachable, RunDamaged.
        """
        with store_errors():
            reply = self._client.xread({self._keys.events(run_id): after}, count=count, block=_block(block_ms))
            if not reply and block_ms <= 0:
                packed = raw_call(self._client, "GET", self._keys.packed(run_id))
                return parse_packed(run_id, after, packed, count)
        return parse_reply(run_id, after, reply)


class AsyncEventReader:
    """``EventReader`` for an event loop."""

    def __init__(self, client: redis.asyncio.Redis, keys: Keys) -> None:
        self._client = client
        self._copy_script = client.register_script(script_source("copy"))
        self._keys = keys

    async def is_closed(self, run_id: str) -> bool:
        """See ``EventReader.is_closed``."""
        with store_errors():
            state = await self._client.hget(self._keys.run(run_id), "state")
        return check_closed(run_id, state)

    async def wait_end(self, run_id: str, *, block_ms: int) -> bool:
        """See ``EventReader.wait_end``."""
        with store_errors():
            return bool(await self._client.xread({self._keys.ending(run_id): START}, block=min(block_ms, BLOCK_MS)))

    async def read_copy(self, copy: RunCopy) -> bool:
        """See ``EventReader.read_copy``."""
        with store_errors():
            reply = await self._copy_script(keys=[self._keys.run(copy.run_id)], args=copy.known)
        return copy.take(reply)

    async def read(self, run_id: str, after: str, *, block_ms: int = 0, count: int = 500) -> Page:
        """See ``EventReader.read``."""
        with store_errors():
            reply = await self._client.xread({self._keys.events(run_id): after}, count=count, block=_block(block_ms))
            if not reply and block_ms <= 0:
                packed = await raw_call(self._client, "GET", self._keys.packed(run_id))
                return parse_packed(run_id, after, packed, count)
        return parse_reply(run_id, after, reply)


def _block(block_ms: int) -> int | None:
    """The argument of XREAD: None does not block, 0 would block for ever."""
    return min(block_ms, BLOCK_MS) if block_ms > 0 else None
