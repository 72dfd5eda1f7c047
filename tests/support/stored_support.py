"""What another version stored, put into Redis: yesterday's as it was recorded, tomorrow's with what we do not know."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import redis

from orchestrator.errors import RunDamaged
from orchestrator.store.keys import Keys
from orchestrator.store.packed import PACKED, Entry, raw_call, unpack

YESTERDAY: dict[str, Any] = json.loads(
    (Path(__file__).parent.parent / "data" / "stored_yesterday.json").read_text("utf-8")
)
RUNS: dict[str, dict[str, Any]] = YESTERDAY["runs"]
DONE, PARTIAL, CANCELLED, OPEN = RUNS
NEWER = "added_by_tomorrow"
FREE = {
    *("data", "metadata", "source_timeout_seconds", "extra", "sources"),
    *("tws_status", "rag_results", "log_data", "metrics"),
}
"""Fields whose keys are data: a further one is no field that a reader would not know."""

Change = Callable[[Any], Any]


def everything_of(client: redis.Redis, keys: Keys, run_id: str) -> tuple[dict[str, str], list[Entry]]:
    """The fields of a run's hash and the entries of its events, packed or not, past our readers."""
    with client.pipeline(transaction=False) as pipe:
        raw_call(pipe, "HGETALL", keys.run(run_id))
        raw_call(pipe, "XRANGE", keys.events(run_id), "-", "+")
        raw_call(pipe, "GET", keys.packed(run_id))
        stored, listed, packed = ([] if isinstance(item, Exception) else item for item in pipe.execute(False))
    fields = _texts(dict(stored or {}))
    entries = [(name.decode(), _texts(item)) for name, item in listed]
    if PACKED in fields:
        with suppress(RunDamaged):
            known = unpack(run_id, packed)
            return fields | known.fields, [*known.entries, *entries]
    return fields, entries


def _texts(fields: dict[bytes, bytes]) -> dict[str, str]:
    return {name.decode("utf-8", "replace"): value.decode("utf-8", "replace") for name, value in fields.items()}


def tomorrow(value: Any) -> Any:
    """``value`` with a field more in each object, at every level."""
    if isinstance(value, list):
        return [tomorrow(item) for item in value]
    if not isinstance(value, dict):
        return value
    grown = {name: item if name in FREE and isinstance(item, dict) else tomorrow(item) for name, item in value.items()}
    return grown | {NEWER: {"deep": [{"er": 1}], "none": None}}


def same(value: Any) -> Any:
    """``value`` as it is."""
    return value


VERSIONS: dict[str, Change] = {"yesterday": same, "tomorrow": tomorrow}


def is_json(field: str) -> bool:
    """Whether a field of a run hash holds an object."""
    return field in ("request", "summary", "plan", "report") or field.startswith(("e:", "l:"))


UNKNOWN_EVENT = {"type": "source_graded", "attempt": "0", "data": '{"grade": 1}'}
A_PAGE = 500


@dataclass(frozen=True)
class Planter:
    """Writes recorded runs, as another version would have."""

    client: redis.Redis
    keys: Keys

    def plant(self, run_id: str, change: Change = same) -> None:
        """Write one run; a newer version's has events and fields of the hash that we do not know."""
        run, is_newer = RUNS[run_id], change is not same
        fields = {
            name: json.dumps(change(json.loads(value)), ensure_ascii=False) if is_json(name) else value
            for name, value in run["hash"].items()
        }
        self.client.hset(self.keys.run(run_id), mapping=fields | ({NEWER: "x", "g:grade": "{}"} if is_newer else {}))
        stream = self.keys.events(run_id)
        with self.client.pipeline() as pipe:
            for number, (event_id, event) in enumerate(run["events"]):
                at = event_id.partition("-")[0]
                if is_newer and number == 0:
                    for more in range(A_PAGE + 1):
                        pipe.xadd(stream, {**UNKNOWN_EVENT, "at": at}, id=f"{int(at) - 1}-{more}")
                changed = event | {"data": json.dumps(change(json.loads(event["data"])))}
                pipe.xadd(stream, changed, id=f"{at}-{2 * number}")
                if is_newer:
                    pipe.xadd(stream, {**UNKNOWN_EVENT, "at": at}, id=f"{at}-{2 * number + 1}")
            for event_id, event in run["end"]:
                pipe.xadd(self.keys.ending(run_id), event, id=event_id)
            pipe.zadd(self.keys.index, {run_id: int(fields["created_ms"])})
            for wakeup in YESTERDAY["wakeups"] if run_id == OPEN else ():
                pipe.zadd(self.keys.wakeups, {wakeup: 1})
            pipe.execute()

    def reopen(self, run_id: str, *, deadline_in_ms: int = 0) -> None:
        """Have a finished run stand as it did before its end, with its deadline to come."""
        seconds, micros = self.client.time()
        now_ms = seconds * 1000 + micros // 1000
        ended = ("report", "outcome", "closed_ms", "committed_by", "commit_token", "lease_token", "frozen")
        self.client.hdel(self.keys.run(run_id), *ended)
        times = {"created_ms": now_ms - 9_000, "fanin_ms": now_ms, "deadline_ms": now_ms + deadline_in_ms}
        self.client.hset(self.keys.run(run_id), mapping={"state": "dispatched", **times})
        self.client.delete(self.keys.ending(run_id))
        for event_id, event in self.client.xrange(self.keys.events(run_id)):
            if event["type"] in ("synthesis_started", "aggregated", "draft", "final"):
                self.client.xdel(self.keys.events(run_id), event_id)
        self.client.zadd(self.keys.wakeups, {f"{run_id}|total": 1})

    def change(self, run_id: str, field: str, change: Change) -> None:
        """Change the object in one field of a run hash."""
        key = self.keys.run(run_id)
        self.client.hset(key, field, json.dumps(change(json.loads(self.client.hget(key, field) or "{}"))))
