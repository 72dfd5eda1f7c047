"""The run in Redis: every step of its life as one atomic call.

The state machine: ``accepted -> dispatching -> dispatched -> done | cancelled``. Callers never read, decide and
write; they ask for a step, and the script carries it out or says why not.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping, Sequence
from typing import Any

import redis

from orchestrator.config import Settings
from orchestrator.errors import Conflict, Overloaded, RunDamaged, RunNotFound, RunRefused, UnknownInstance
from orchestrator.i18n.message import Message
from orchestrator.models import (
    SCHEMA_VERSION,
    EventType,
    Plan,
    Report,
    RunState,
    SourceEnvelope,
    TroubleshootRequest,
    read_enum,
)
from orchestrator.store.connection import store_errors
from orchestrator.store.keys import Keys
from orchestrator.store.lua import Scripts
from orchestrator.store.reading import PLAN, read_number
from orchestrator.store.records import (
    Dispatch,
    Opened,
    RunRecord,
    SourceStart,
    Summary,
    Wakeup,
    read_envelopes,
    read_plan,
    read_request,
    to_record,
)
from orchestrator.store.report_codec import from_kept, to_kept

DISPATCH_LEASE_MS = 1_000
FINISH_LEASE_MS = 2_000
COMMIT_MARGIN_MS = 200
"""The watcher commits this long before the deadline, so that the answer is there at the deadline."""
NUDGE_MS = 500
"""How long the chord has to call its body after the last envelope, before the watcher does."""
MAX_EVENTS = 2_000
OVERLOAD_FLOOR = 64
"""Open runs below this are always accepted: two workers' worth of the default concurrency."""


NewEvent = tuple[EventType, dict[str, Any]]
"""Kind and data of an event to be appended."""


class RunStore:
    """Synchronous access to runs; safe to share between threads."""

    def __init__(self, client: redis.Redis, settings: Settings) -> None:
        self._client = client
        self._scripts = Scripts(client)
        self._ttl_seconds = settings.run_ttl_seconds
        self._max_open_runs = settings.max_open_runs
        self.keys = Keys(settings.key_prefix)

    def open(
        self, run_id: str, request: TroubleshootRequest, *, nonce: str, idempotency_key: str | None = None
    ) -> Opened:
        """Accept a run: its hash, wake-ups, idempotency key and first event in one step.

        Raises Overloaded, UnknownInstance, Conflict for a run id that is another question's, StoreUnreachable;
        nothing is written then.
        """
        keys, config = self.keys, request.config
        total_ms = int(config.total_timeout_seconds * 1000)
        summary = Summary(
            message=request.message[:200], jobs=request.named_jobs, tws_instance_id=request.tws_instance_id
        ).model_dump(mode="json")
        accepted = summary | {"total_seconds": config.total_timeout_seconds}
        status, value, *load = self._scripts.run(
            "open",
            [
                keys.run(run_id),
                keys.events(run_id),
                keys.wakeups,
                keys.index,
                keys.open,
                keys.completed,
                keys.expired,
                keys.instances,
                keys.idempotency(idempotency_key or run_id),
                keys.busy,
            ],
            [
                run_id,
                nonce,
                _dumps({"schema_version": SCHEMA_VERSION, **request.model_dump(mode="json")}),
                total_ms,
                int(config.fan_in_seconds * 1000),
                self._ttl_seconds,
                self._max_open_runs,
                OVERLOAD_FLOOR,
                DISPATCH_LEASE_MS,
                COMMIT_MARGIN_MS,
                request.tws_instance_id or "",
                _dumps(summary),
                _dumps(accepted),
                MAX_EVENTS,
                int(idempotency_key is not None),
            ],
        )
        if status == "overloaded":
            raise Overloaded(
                "refused, the system is overloaded: {load}; try again later or add workers", load=_load(value, *load)
            )
        if status == "taken":
            raise Conflict(
                "{field}: {run!r} is the run of another question; leave it out or choose another",
                field="run_id",
                run=run_id,
            )
        if status == "unknown_instance":
            raise UnknownInstance(
                "{field}: {name!r} is not known; known: {known}",
                field="tws_instance_id",
                name=request.tws_instance_id,
                known=value,
            )
        return Opened(run_id=value, is_new=status == "accepted")

    def claim_dispatch(self, run_id: str, token: str) -> Dispatch | None:
        """Take the dispatch lease, or None when the run is closed, dispatched or being dispatched.

        Raises RunNotFound, SchemaMismatch.
        """
        keys = self.keys
        reply = self._run(
            "claim_dispatch", run_id, [keys.run(run_id), keys.wakeups], [run_id, token, DISPATCH_LEASE_MS]
        )
        if reply[0] != "ok":
            return None
        _, request, summary, plan = reply
        return Dispatch(
            token=token,
            request=read_request(run_id, request, summary)[0],
            plan=read_plan(run_id, plan)[0],
        )

    def put_plan(self, run_id: str, token: str, plan: Plan) -> Plan:
        """Store the plan and say ``routed``; the plan that counts is returned (an earlier dispatcher's, if any).

        Raises RunRefused when the lease is no longer this caller's, RunDamaged or SchemaMismatch for an earlier
        dispatcher's plan that cannot be read.
        """
        routing = plan.routing
        routed = {
            "pipeline": plan.pipeline,
            "intent": routing.intent,
            "confidence": routing.confidence,
            "language": routing.language,
            "entities": routing.entities.model_dump(mode="json", exclude_defaults=True),
            "reason": plan.reason,
            "notes": plan.notes,
            "sources": [{"key": planned.key, **planned.model_dump(mode="json")} for planned in plan.sources],
        }
        stored = plan.model_dump_json()
        reply = self._run(
            "plan",
            run_id,
            [self.keys.run(run_id), self.keys.events(run_id)],
            [token, stored, len(plan.sources), _dumps(routed)],
        )
        if reply[0] != "ok":
            raise RunRefused("run {run_id}: the dispatch lease was lost ({detail})", run_id=run_id, detail=reply[1])
        known = plan if reply[1] == stored else read_plan(run_id, reply[1])[0]
        if known is None:
            raise RunDamaged.of(run_id, PLAN)
        return known

    def mark_dispatched(self, run_id: str, token: str) -> bool:
        """Say that the sources are on their way; False when the lease was lost."""
        keys = self.keys
        return bool(self._run("dispatched", run_id, [keys.run(run_id), keys.wakeups], [run_id, token])[0] == "ok")

    def begin_source(
        self, run_id: str, key: str, claim: str, *, source: str, job: str | None, worker: str
    ) -> SourceStart | str:
        """Start a source, or a word why not: ``cancelled``, ``done``, ``frozen`` or ``duplicate``.

        Raises RunNotFound; RunDamaged or SchemaMismatch when it has been started and its question cannot be read.
        """
        reply = self._run(
            "begin_source",
            run_id,
            [self.keys.run(run_id), self.keys.events(run_id)],
            [key, claim, _dumps({"source": source, "job": job, "worker": worker})],
        )
        if reply[0] != "ok":
            return str(reply[0])
        _, request, summary, stored_plan, remaining_ms, now_ms = reply
        if not stored_plan:
            return "not_planned"
        plan, _ = read_plan(run_id, stored_plan)
        if plan is None:
            raise RunDamaged.of(run_id, PLAN)
        return SourceStart(
            request=read_request(run_id, request, summary)[0],
            plan=plan,
            remaining_seconds=remaining_ms / 1000,
            now_ms=now_ms,
        )

    def put_envelope(self, run_id: str, claim: str, envelope: SourceEnvelope) -> str:
        """Store a source's answer: ``stored``, ``late`` (kept beside the answer, not in it) or ``duplicate``.

        Raises RunNotFound.
        """
        finished = envelope.model_dump(
            mode="json", include={"source", "job", "outcome", "success", "latency_ms", "finding", "error", "reason"}
        )
        if envelope.error_message is not None:
            finished["error_message"] = envelope.error_message.model_dump(mode="json", exclude_defaults=True)
        late = envelope.model_copy(
            update={"data": {}, "evidence": (), "outcome": "late", "success": False, "reason": envelope.outcome}
        )
        reply = self._run(
            "put_envelope",
            run_id,
            [self.keys.run(run_id), self.keys.events(run_id), self.keys.wakeups],
            [
                run_id,
                envelope.key,
                claim,
                envelope.model_dump_json(),
                _dumps(finished),
                late.model_dump_json(warnings=False),
                NUDGE_MS,
            ],
        )
        return str(reply[0])

    def lease(self, run_id: str, token: str, *, by: str) -> RunRecord | str:
        """Take the finish lease: the frozen run, or a word why not (``held``, ``incomplete``, ``closed``).

        Raises RunNotFound, SchemaMismatch.
        """
        keys = self.keys
        reply = self._run(
            "lease",
            run_id,
            [keys.run(run_id), keys.events(run_id), keys.wakeups],
            [run_id, token, FINISH_LEASE_MS, _dumps({"by": by})],
        )
        if reply[0] != "ok":
            return str(reply[0])
        flat = reply[2]
        return to_record(run_id, int(reply[1]), dict(zip(flat[::2], flat[1::2], strict=True)))

    def renew(self, run_id: str, token: str) -> bool:
        """Keep the finish lease; False when it is gone and nothing more may be written."""
        return self._fenced(run_id, token, [])

    def emit(self, run_id: str, token: str, *events: NewEvent) -> bool:
        """Append events of the lease holder (and renew the lease); False when the lease is gone.

        The last draft is kept in the run as well.
        """
        told: list[str | int] = []
        for kind, data in events:
            told += [kind, _dumps(data), "draft" if kind is EventType.DRAFT else ""]
        return self._fenced(run_id, token, told)

    def commit(
        self,
        report: Report,
        *,
        token: str,
        seen_received: int | None,
        events: Sequence[NewEvent] = (),
        stored: Mapping[str, SourceEnvelope] | None = None,
    ) -> str:
        """Close the run with its report: ``ok``, ``closed``, ``refused`` (not the holder, not yet the deadline) or
        ``stale`` (read again: an envelope came in since). ``events`` are appended before the terminal one. What the
        run's envelopes, ``stored`` as the caller read them, say already is not written again. ``seen_received`` None
        closes a run whose answers cannot be read.

        Raises RunNotFound.
        """
        told: list[str | int] = []
        for kind, data in events:
            told += [kind, _dumps(data)]
        keys, run_id = self.keys, report.run_id
        final = report.model_dump(
            mode="json",
            include={
                "outcome",
                "mode",
                "committed_by",
                "response",
                "total_latency_ms",
                "errors",
                "parallel_latency_ms",
            },
        )
        reply = self._run(
            "commit",
            run_id,
            [
                keys.run(run_id),
                keys.events(run_id),
                keys.wakeups,
                keys.open,
                keys.completed,
                keys.expired,
                keys.busy,
                keys.ending(run_id),
            ],
            [
                run_id,
                token,
                to_kept(report, stored or {}),
                report.outcome,
                _dumps(final),
                report.committed_by,
                "" if seen_received is None else seen_received,
                COMMIT_MARGIN_MS,
                OVERLOAD_FLOOR,
                *told,
            ],
        )
        return str(reply[0])

    def cancel(self, run_id: str, *, by: str) -> bool:
        """Cancel an open run; False when it was closed already.

        Raises RunNotFound.
        """
        keys = self.keys
        reply = self._run(
            "cancel",
            run_id,
            [keys.run(run_id), keys.events(run_id), keys.wakeups, keys.open, keys.busy, keys.ending(run_id)],
            [run_id, _dumps({"by": by}), OVERLOAD_FLOOR],
        )
        return bool(reply[0] == "ok")

    def claim_wakeups(self, *, limit: int = 100, rearm_ms: int = 1_000) -> tuple[list[Wakeup], float | None]:
        """Due wake-ups, each re-armed by ``rearm_ms``, and the seconds to the next one (None: there is none)."""
        due, next_ms = self._scripts.run("claim_wakeups", [self.keys.wakeups], [limit, rearm_ms])
        wakeups = [Wakeup(member) for member in due]
        return wakeups, (max(0, next_ms) / 1000 if next_ms != -1 else None)

    def disarm(self, wakeup: Wakeup) -> None:
        """Drop a wake-up whose work is done."""
        with store_errors():
            self._client.zrem(self.keys.wakeups, wakeup.member)

    def postpone(self, wakeup: Wakeup, seconds: float) -> None:
        """Have a wake-up come again in ``seconds``; one that is disarmed stays so."""
        with store_errors():
            now_seconds, micros = self._client.time()
            due_ms = now_seconds * 1000 + micros // 1000 + int(seconds * 1000)
            self._client.zadd(self.keys.wakeups, {wakeup.member: due_ms}, xx=True)

    def read(self, run_id: str) -> RunRecord:
        """The run as it stands, without taking anything.

        Raises RunNotFound, SchemaMismatch.
        """
        with store_errors(), self._client.pipeline(transaction=False) as pipe:
            pipe.time()
            pipe.hgetall(self.keys.run(run_id))
            (seconds, micros), fields = pipe.execute()
        if not fields:
            raise RunNotFound.of(run_id)
        return to_record(run_id, seconds * 1000 + micros // 1000, fields)

    def report(self, run_id: str) -> Report | None:
        """The report of a run that has one, and that can be read as a whole.

        Raises RunNotFound, SchemaMismatch.
        """
        _, report, flat = self._run("report", run_id, [self.keys.run(run_id)], [])
        if not report:
            return None
        envelopes, of_envelopes = read_envelopes(run_id, dict(zip(flat[::2], flat[1::2], strict=True)))
        found, damage = from_kept(run_id, report, envelopes)
        return None if damage or of_envelopes else found

    def state(self, run_id: str) -> tuple[RunState, int]:
        """State and milliseconds to the deadline, cheaply.

        Raises RunNotFound.
        """
        with store_errors(), self._client.pipeline(transaction=False) as pipe:
            pipe.time()
            pipe.hmget(self.keys.run(run_id), ["state", "deadline_ms"])
            (seconds, micros), (state, deadline_ms) = pipe.execute()
        if state is None:
            raise RunNotFound.of(run_id)
        now_ms = seconds * 1000 + micros // 1000
        return read_enum(state, RunState.DISPATCHED), read_number(deadline_ms) - now_ms

    def count(self, run_id: str, what: str) -> int:
        """Count one more ``what`` in the run and return how many there are.

        Raises RunNotFound.
        """
        return int(self._run("count", run_id, [self.keys.run(run_id)], [what])[1])

    def queue_length(self, queue: str) -> int:
        """Messages waiting in a queue (a Redis list of the broker)."""
        with store_errors():
            return int(self._client.llen(f"{self.keys.broker_prefix}{queue}"))

    def _fenced(self, run_id: str, token: str, events: list[str | int]) -> bool:
        keys = self.keys
        reply = self._run(
            "fenced",
            run_id,
            [keys.run(run_id), keys.events(run_id), keys.wakeups],
            [run_id, token, FINISH_LEASE_MS, *events],
        )
        return bool(reply[0] == "ok")

    def _run(self, script: str, run_id: str, keys: list[str], args: list[str | int]) -> list[Any]:
        reply = self._scripts.run(script, keys, args)
        if reply[0] == "not_found":
            raise RunNotFound.of(run_id)
        return reply


def new_token() -> str:
    """A token for a claim or a lease."""
    return uuid.uuid4().hex


def _dumps(data: Any) -> str:
    return json.dumps(data, ensure_ascii=False, separators=(",", ":"))


def _load(open_runs: int, cause: str = "", seconds: int = 0) -> Message:
    """Why no further run is accepted, by the reply of ``open.lua``."""
    facts: dict[str, Any] = {"count": open_runs, "seconds": seconds}
    if cause == "slow":
        return Message("{count} runs are open; at the present rate they take {seconds} s", **facts)
    if cause == "stuck":
        return Message("{count} runs are open and none was answered in the last {seconds} s", **facts)
    return Message("{count} runs are open", **facts)
