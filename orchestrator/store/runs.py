"""The run in Redis: every transition is one atomic call of a Lua script.

States: ``accepted -> dispatching -> dispatched -> done | cancelled``. No caller reads, decides and writes: the script
does all three, or returns the reason why it refused.
"""

import json
import time
import uuid
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from typing import Any

import redis

from orchestrator.config import Settings
from orchestrator.errors import (
    Conflict,
    Overloaded,
    RunDamaged,
    RunNotFound,
    RunRefused,
    SchemaMismatch,
    StoreUnreachable,
    UnknownInstance,
)
from orchestrator.i18n.message import Message
from orchestrator.logs import get_logger
from orchestrator.models import (
    SCHEMA_VERSION,
    Clue,
    EventType,
    Plan,
    PlannedSource,
    Report,
    RunState,
    SourceEnvelope,
    TroubleshootRequest,
    read_enum,
    read_part,
)
from orchestrator.nearest import with_nearest
from orchestrator.outcomes import NO_TIME_LEFT
from orchestrator.sources import source_names
from orchestrator.store.connection import store_errors, to_ms
from orchestrator.store.counters import counts_of
from orchestrator.store.events import final_data, finished_data, routed_data
from orchestrator.store.keys import ORCHESTRATOR_QUEUE, SYNTHESIS_QUEUE, Keys, lane, lanes
from orchestrator.store.lua import Call, Scripts, our_error
from orchestrator.store.packed import PACKED, STUB, pack, raw_call, to_pack, unpack
from orchestrator.store.reading import FARTHEST_DEADLINE_MS, PLAN, REPORT, REQUEST, read_deadline, read_number
from orchestrator.store.records import (
    OUTLINE_FIELDS,
    Backlog,
    Claimed,
    Clues,
    Dispatch,
    Opened,
    Outline,
    RunRecord,
    SourceStart,
    Summary,
    Wakeup,
    listed,
    read_clue,
    read_envelopes,
    read_plan,
    read_plans,
    read_request,
    to_outline,
    to_record,
)
from orchestrator.store.report_codec import decode_report, encode_report
from orchestrator.tracing import traceparent

_LOGGER = get_logger(__name__)
DISPATCH_LEASE_MS = 1_000
FINISH_LEASE_MS = 2_000
COMMIT_MARGIN_MS = 200
"""Milliseconds before the deadline at which the watcher commits, so that the report is stored at the deadline."""
NUDGE_MS = 500
"""Milliseconds after the last envelope for the chord to call its body, before the watcher does."""
BODY_MS = 1_000
"""Milliseconds for a called body to start, before the watcher finishes the run itself."""
REARM_MS = 150
"""Milliseconds after which a claimed wake-up is due again: that of a watcher that died is acted on within the grace."""
UNPACKED_REARM_MS = 60_000
"""Milliseconds after which a run is to be packed again whose packer died."""
MAX_EVENTS = 2_000
MAX_SESSION_RUNS = 20
"""Runs of a session that are remembered."""
OVERLOAD_FLOOR = 64
"""Runs are always accepted while fewer are open: two workers' worth of the default concurrency."""
ANY_TOKEN = ""

NewEvent = tuple[EventType, dict[str, Any]]
"""Type and data of an event to append."""


class RunStore:
    """Reads and writes runs, synchronously; safe to share between threads.

    Every call raises StoreUnreachable when Redis does not serve.
    """

    def __init__(self, client: redis.Redis, settings: Settings) -> None:
        self._client = client
        self._scripts = Scripts(client)
        self._ttl_seconds = settings.run_ttl_seconds
        self._ttls = settings.ttl_by_outcome
        self._pack_after_ms = int(settings.pack_after_seconds * 1000)
        self._max_open_runs = settings.max_open_runs
        self._claimed_at: float | None = None
        self.keys = Keys(settings.key_prefix)

    def open(
        self, run_id: str, request: TroubleshootRequest, *, nonce: str, idempotency_key: str | None = None
    ) -> Opened:
        """Accept a run: write its hash, wake-ups, idempotency key and first event.

        A repetition with the same ``nonce`` is the same submit, sent again after a lost reply.

        Raises, with nothing written, Overloaded, UnknownInstance, Conflict when the id or the idempotency key is that
        of another question.
        """
        keys, config, owner = self.keys, request.config, request.user_id or ""
        total_ms = int(config.total_timeout_seconds * 1000)
        named = (*request.named_jobs, *request.job_patterns)
        summary = Summary(
            message=request.message[:200], jobs=listed(named), tws_instance_id=request.tws_instance_id
        ).model_dump(mode="json")
        accepted = summary | {"total_seconds": config.total_timeout_seconds}
        sources = [name for name in source_names() if config.is_enabled(name)]
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
                keys.own_idempotency(owner, idempotency_key or run_id),
                keys.owned(owner),
                keys.session(request.user_id, request.session_id or run_id),
                keys.rates,
                keys.leaving,
                *keys.queue(ORCHESTRATOR_QUEUE),
                *(key for name in sources for key in keys.queue(name)),
                keys.counters,
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
                MAX_SESSION_RUNS if request.session_id else 0,
                config.min_sources_required,
                max(self._ttl_seconds, *self._ttls.values()),
                " ".join(f"{outcome}={seconds}" for outcome, seconds in self._ttls.items()),
                traceparent() or "",
                owner,
                *sources,
            ],
        )
        if status == "overloaded":
            raise _overloaded(value, *load)
        if status in ("exists", "keyed"):
            # Read as models: another version may have written fields that this one does not.
            stored, stored_summary = load
            if read_request(value, stored or self._packed(value).get(REQUEST, ""), stored_summary)[0] != request:
                raise _other_question(run_id, is_key=status == "keyed")
            return Opened(run_id=value, is_new=False)
        if status == "unknown_instance":
            name = request.tws_instance_id or ""
            problem = Message(
                "{field}: {name!r} is not known; known: {known}", field="tws_instance_id", name=name, known=value
            )
            raise UnknownInstance(with_nearest(problem, name, str(value).split(", ")))
        return Opened(run_id=value, is_new=True)

    def session_runs(self, run_id: str, request: TroubleshootRequest) -> list[str]:
        """Ids of the runs that the same user submitted in the same session before this one, the latest first."""
        if not request.session_id:
            return []
        with store_errors():
            found: list[Any] = self._client.lrange(self.keys.session(request.user_id, request.session_id), 0, -1)
        earlier = [str(item) for item in (found[: found.index(run_id)] if run_id in found else found)]
        return earlier[::-1]

    def count_request(self, kind: str, name: str, *, per_minute: int) -> int:
        """Count a request of the user or the address ``name``; seconds after which to ask again when it was one too
        many, else 0.
        """
        return int(self._scripts.run("count_request", [self.keys.caller(kind, name)], [per_minute])[1])

    def claim_dispatch(
        self, run_id: str, token: str, *, by_worker: bool = True, stage: int | None = None
    ) -> Dispatch | None:
        """Take the dispatch lease; None when the run is closed, dispatched or leased by another dispatcher.

        None for a worker also when it would be dispatched after its fan-in, where no source is asked any more.

        ``by_worker`` counts it as what the workers of the queue can do. ``stage`` is given to renew the lease of that
        stage: None when it is over.

        Raises RunNotFound, SchemaMismatch.
        """
        keys = self.keys
        reply = self._run(
            "claim_dispatch",
            run_id,
            [
                keys.run(run_id),
                keys.wakeups,
                keys.rates,
                *keys.queue(ORCHESTRATOR_QUEUE),
                keys.running(ORCHESTRATOR_QUEUE),
            ],
            [run_id, token, DISPATCH_LEASE_MS, int(by_worker), "" if stage is None else stage],
        )
        if reply[0] != "ok":
            return None
        _, request, summary, due, plan = reply
        return Dispatch(
            token=token,
            request=read_request(run_id, request, summary)[0],
            plan=read_plan(run_id, plan)[0],
            stage=due,
        )

    def put_plan(self, run_id: str, token: str, plan: Plan) -> Plan:
        """Store the plan of a stage, append ``routed`` and return the stored one, maybe that of an earlier dispatcher.

        Raises RunRefused when the lease was lost, RunDamaged or SchemaMismatch when the plan of an earlier dispatcher
        cannot be read.
        """
        return self._put_plan(run_id, token, plan, ())[0]

    def queue_plan(
        self, run_id: str, token: str, plan: Plan, *, unasked: Collection[str] = ()
    ) -> tuple[Plan, dict[str, Backlog]]:
        """Like ``put_plan``, for a plan that workers carry out, but for the sources ``unasked``.

        Returns also the backlogs of the sources whose queue cannot serve the run in time, by their keys; the others
        count as waiting from now on.
        """
        queued = [planned for planned in plan.sources if not planned.kept and planned.source not in unasked]
        return self._put_plan(run_id, token, plan, queued)

    def _put_plan(
        self, run_id: str, token: str, plan: Plan, queued: Sequence[PlannedSource]
    ) -> tuple[Plan, dict[str, Backlog]]:
        keys, stored = self.keys, plan.model_dump_json()
        reply = self._run(
            "plan",
            run_id,
            [
                keys.run(run_id),
                keys.events(run_id),
                keys.rates,
                keys.wakeups,
                *keys.queue(SYNTHESIS_QUEUE),
                *(key for planned in queued for key in keys.queue(lane(planned.source, planned.batch))),
            ],
            [
                token,
                plan.stage,
                stored,
                len(plan.sources),
                len(plan.then),
                "\n".join(planned.key for planned in plan.awaited) if len(plan.awaited) < len(plan.sources) else "",
                _dumps(routed_data(plan)),
                run_id,
                NUDGE_MS,
                "\n".join(listed(plan.jobs)),
                *(name for planned in queued for name in (lane(planned.source, planned.batch), planned.key)),
            ],
        )
        if reply[0] != "ok":
            raise RunRefused("run {run_id}: the dispatch lease was lost ({detail})", run_id=run_id, detail=reply[1])
        run_plan = plan if reply[1] == stored else read_plan(run_id, reply[1])[0]
        if run_plan is None:
            raise RunDamaged.of(run_id, PLAN)
        unserved = reply[2]
        backlogs = zip(unserved[::3], unserved[1::3], unserved[2::3], strict=True)
        return run_plan, {key: Backlog(waiting=waiting, per_second=float(rate)) for key, waiting, rate in backlogs}

    def mark_dispatched(self, run_id: str, token: str) -> bool:
        """Mark the run as dispatched, its chord being published; False when the lease was lost."""
        keys = self.keys
        reply = self._run(
            "dispatched",
            run_id,
            [keys.run(run_id), keys.wakeups, keys.rates, keys.running(ORCHESTRATOR_QUEUE)],
            [run_id, token],
        )
        return bool(reply[0] == "ok")

    def begin_source(
        self,
        run_id: str,
        key: str,
        claim: str,
        *,
        source: str,
        job: str | None,
        worker: str,
        limit_seconds: float | None = None,
        by_worker: bool = True,
    ) -> SourceStart | str:
        """Claim a source and start it; a refusal is ``cancelled``, ``done``, ``frozen``, ``duplicate`` or
        ``not_planned``.

        A worker holds the task until ``limit_seconds`` have passed, or the fan-in, unless it puts the envelope before.
        ``by_worker``: see ``claim_dispatch``.

        Raises RunNotFound; RunDamaged or SchemaMismatch when the source is started and its request cannot be read.
        """
        keys = self.keys
        _, batch = read_part(key.partition("|")[2])
        started = {"source": source, "job": job, "worker": worker} | ({} if batch is None else {"batch": batch})
        reply = self._run(
            "begin_source",
            run_id,
            [
                keys.run(run_id),
                keys.events(run_id),
                keys.rates,
                *keys.queue(lane(source, batch)),
                keys.running(source),
            ],
            [
                key,
                claim,
                _dumps(started),
                lane(source, batch),
                run_id,
                int(by_worker),
                int((limit_seconds or 0) * 1000),
            ],
        )
        if reply[0] != "ok":
            return str(reply[0])
        _, request, summary, remaining_ms, now_ms, plans = reply
        if not plans[0]:
            return "not_planned"
        plan, _ = read_plans(run_id, plans)
        if plan is None:
            raise RunDamaged.of(run_id, PLAN)
        return SourceStart(
            request=read_request(run_id, request, summary)[0],
            plan=plan,
            remaining_seconds=remaining_ms / 1000,
            now_ms=now_ms,
        )

    def traceparent(self, run_id: str) -> str | None:
        """The span in which the run was submitted; None without tracing, and when the store cannot say."""
        with suppress(StoreUnreachable, RunDamaged), store_errors():
            value = self._client.hget(self.keys.run(run_id), "traceparent")
            return str(value) if value else None
        return None

    def put_envelope(
        self, run_id: str, claim: str, envelope: SourceEnvelope, *, unclaimed: bool = False, by_worker: bool = True
    ) -> str:
        """Store the envelope of a source and append ``source_finished``.

        Returns ``stored``, ``duplicate``, or ``late`` after the answers were frozen: the envelope is then kept apart
        and does not enter the report. ``unclaimed`` is for a source that is not asked: nobody has claimed it.
        ``by_worker`` counts its time as that of a task of the queue.

        Raises RunNotFound.
        """
        keys = self.keys
        late = envelope.model_copy(
            update={
                "data": {},
                "evidence": (),
                "parts": (),
                "outcome": "late",
                "success": False,
                "reason": envelope.outcome,
            }
        )
        reply = self._run(
            "put_envelope",
            run_id,
            [
                keys.run(run_id),
                keys.events(run_id),
                keys.wakeups,
                keys.rates,
                *keys.queue(SYNTHESIS_QUEUE),
                *keys.queue(ORCHESTRATOR_QUEUE),
                keys.running(envelope.source),
                keys.counters,
            ],
            [
                run_id,
                envelope.key,
                claim,
                envelope.model_dump_json(),
                _dumps(finished_data(envelope)),
                late.model_dump_json(warnings=False),
                NUDGE_MS,
                lane(envelope.source, envelope.batch),
                int(unclaimed),
                int(by_worker and not unclaimed and envelope.reason != NO_TIME_LEFT),
            ],
        )
        return str(reply[0])

    def share(self, digest: str, token: str, *, lease_ms: int) -> list[str]:
        """``["ok", envelope]``, an answer that another run has got to the same query; ``["wait"]`` while one asks; or
        ``["ask"]`` for the caller that is to ask within ``lease_ms``.
        """
        return [str(item) for item in self._scripts.run("share", [self.keys.shared(digest)], [token, lease_ms])]

    def put_shared(self, digest: str, token: str, envelope: str, *, keep_ms: int) -> None:
        """Keep an answer for other runs; an empty one lets another caller ask.

        Refused for another ``token`` than that of the caller that was to ask; ``ANY_TOKEN`` replaces what is there.
        """
        self._scripts.run("put_shared", [self.keys.shared(digest)], [token, envelope, keep_ms])

    def put_clue(self, run_id: str, key: str, claim: str, clue: Clue, *, clue_key: str | None = None) -> str:
        """Give a clue of a source to the other sources of the run; ``clue_key`` is one of ``PlannedSource.clue_keys``.

        Returns ``ok``, ``duplicate`` when another claim has the source, or ``late`` after the answers were frozen.

        Raises RunNotFound.
        """
        reply = self._run(
            "clue", run_id, [self.keys.run(run_id)], [key, claim, clue.model_dump_json(), clue_key or key]
        )
        return str(reply[0])

    def read_clues(self, run_id: str, sources: Sequence[PlannedSource]) -> Clues:
        """The clues that these sources have given by now, and which of them may still give one."""
        clue_fields = {planned.key: [f"c:{key}" for key in planned.clue_keys] for planned in sources}
        names = ["state", "frozen", *(f"{kind}:{key}" for kind in "se" for key in clue_fields)]
        names += dict.fromkeys(name for key, fields in clue_fields.items() for name in (f"c:{key}", *fields))
        with store_errors():
            values = self._client.hmget(self.keys.run(run_id), names)
        found: dict[str, str] = {name: str(value) for name, value in zip(names, values, strict=True) if value}
        is_open = not read_enum(found.get("state", RunState.DONE), RunState.DISPATCHED).is_closed
        clues = (read_clue(run_id, text) for name, text in found.items() if name.startswith("c:"))
        return Clues(
            given=tuple(clue for clue in clues if clue is not None),
            pending=frozenset(
                key
                for key, fields in clue_fields.items()
                if is_open
                and "frozen" not in found
                and f"e:{key}" not in found
                and f"c:{key}" not in found
                and not found.keys() >= set(fields)
            ),
            started=frozenset(key for key in clue_fields if f"s:{key}" in found),
        )

    def lease(self, run_id: str, token: str, *, by: str, serves_queue: bool = False) -> RunRecord | str:
        """Take the finish lease and freeze the answers; a refusal is ``held``, ``incomplete`` or ``closed``.

        ``serves_queue`` tells the watchers that the synthesis queue has a worker.

        Raises RunNotFound, SchemaMismatch.
        """
        keys = self.keys
        reply = self._run(
            "lease",
            run_id,
            [
                keys.run(run_id),
                keys.events(run_id),
                keys.wakeups,
                keys.synthesis,
                keys.rates,
                *keys.queue(SYNTHESIS_QUEUE),
                keys.running(SYNTHESIS_QUEUE),
            ],
            [run_id, token, FINISH_LEASE_MS, _dumps({"by": by}), int(serves_queue)],
        )
        if reply[0] != "ok":
            return str(reply[0])
        flat = reply[2]
        return to_record(run_id, int(reply[1]), dict(zip(flat[::2], flat[1::2], strict=True)))

    def renew(self, run_id: str, token: str, *, serves_queue: bool = False) -> bool:
        """Renew the finish lease; False when it was lost and nothing more may be written.

        ``serves_queue``: see ``lease``.
        """
        return self._fenced(run_id, token, (), serves_queue=serves_queue)

    def emit(self, run_id: str, token: str, *events: NewEvent, serves_queue: bool = False) -> bool:
        """Append events under the finish lease and renew it; False when the lease was lost."""
        return self._fenced(run_id, token, events, serves_queue=serves_queue)

    def commit(
        self,
        report: Report,
        *,
        token: str,
        seen_received: int | None,
        events: Sequence[NewEvent] = (),
        stored: Mapping[str, SourceEnvelope] | None = None,
        is_over: bool = False,
    ) -> str:
        """Close the run with its report: under the finish lease, or at the deadline by any caller.

        ``is_over``: the deadline has passed by the caller's own clock, whatever the Redis clock says.

        ``events`` are appended before the terminal one. ``seen_received`` is the number of envelopes that the caller
        has read, None for a run whose envelopes cannot be read. What the ``stored`` envelopes already contain is left
        out of the stored report.

        Returns ``ok``, ``closed``, ``refused`` (neither the lease nor the deadline) or ``stale`` (an envelope came in
        since: read again).

        Raises RunNotFound.
        """
        keys, arguments = self._commit_call(
            report,
            token=token,
            seen_received=seen_received,
            events=events,
            stored=stored or {},
            margin_ms=FARTHEST_DEADLINE_MS if is_over else COMMIT_MARGIN_MS,
        )
        return str(self._run("commit", report.run_id, keys, arguments)[0])

    def commit_early(self, commits: Sequence[tuple[Report, RunRecord | None]]) -> list[str | Exception]:
        """``commit`` for many runs, in one call, without their leases and also before their deadlines.

        Each report comes with the run as it was read, or None if it was not: its envelopes are the results then. The
        caller has seen that the fan-in is over and that no finisher has the run. An error in place of a status: the run
        cannot be written or is gone.
        """
        calls = [
            self._commit_call(
                report,
                token=new_token(),
                seen_received=None if record is None else record.received,
                stored=None if record is None else record.envelopes,
                margin_ms=FARTHEST_DEADLINE_MS,
            )
            for report, record in commits
        ]
        replies = self._scripts.run_all("commit", calls)
        return [_status(report.run_id, reply) for (report, _), reply in zip(commits, replies, strict=True)]

    def _commit_call(
        self,
        report: Report,
        *,
        token: str,
        seen_received: int | None,
        events: Sequence[NewEvent] = (),
        stored: Mapping[str, SourceEnvelope] | None,
        margin_ms: int,
    ) -> Call:
        keys, run_id = self.keys, report.run_id
        return (
            [
                keys.run(run_id),
                keys.events(run_id),
                keys.wakeups,
                keys.open,
                keys.completed,
                keys.expired,
                keys.ending(run_id),
                keys.rates,
                keys.running(SYNTHESIS_QUEUE),
                keys.unpacked,
                keys.old_reader,
                keys.index,
                keys.leaving,
                keys.counters,
            ],
            [
                run_id,
                token,
                encode_report(report, stored),
                report.outcome,
                _dumps(final_data(report)),
                report.committed_by,
                "" if seen_received is None else seen_received,
                margin_ms,
                " ".join(f"{name} {count}" for name, count in counts_of(report).items()),
                *_event_arguments(events),
            ],
        )

    def cancel(self, run_id: str, *, by: str) -> bool:
        """Cancel an open run in the name of ``by``; False when it was closed already.

        Raises RunNotFound.
        """
        keys = self.keys
        reply = self._run(
            "cancel",
            run_id,
            [
                keys.run(run_id),
                keys.events(run_id),
                keys.wakeups,
                keys.open,
                keys.ending(run_id),
                keys.unpacked,
                keys.old_reader,
                keys.index,
                keys.leaving,
                keys.counters,
            ],
            [run_id, _dumps({"by": by})],
        )
        return bool(reply[0] == "ok")

    def claim_wakeups(self, *, total_limit: int = 100, other_limit: int = 100, ahead_ms: int = 0) -> Claimed:
        """Claim due wake-ups: up to ``total_limit`` total deadlines, the soonest first, and ``other_limit`` others.

        Each is due again in ``REARM_MS``. With ``ahead_ms``, total deadlines that are to come so soon are claimed as
        well, after the fan-in of runs that no finisher has.

        When the Redis clock has stepped since the last claim, the times of all open runs are moved with it first.
        """
        arguments = [total_limit, other_limit, REARM_MS, ahead_ms, COMMIT_MARGIN_MS]
        sent_at = time.monotonic()
        reply = self._claim(arguments, sent_at, is_confirmed=False)
        if reply[-1] == "confirm":
            sent_at = time.monotonic()
            reply = self._claim(arguments, sent_at, is_confirmed=True)
        self._claimed_at = sent_at
        due, next_ms, now_ms, crowd, step = reply
        if step != "0":
            _LOGGER.warning("clock_stepped seconds=%.1f", int(step) / 1000)
        return Claimed(
            wakeups=tuple(Wakeup(member, bool(early)) for member, early in zip(due[::2], due[1::2], strict=True)),
            next_seconds=max(0, next_ms) / 1000 if next_ms != -1 else None,
            now_ms=now_ms,
            crowd=tuple((left / 1000, count) for left, count in zip(crowd[::2], crowd[1::2], strict=True)),
        )

    def _claim(self, arguments: list[int], now: float, *, is_confirmed: bool) -> list[Any]:
        keys = self.keys
        elapsed_ms = -1 if self._claimed_at is None else int((now - self._claimed_at) * 1000)
        return self._scripts.run(
            "claim_wakeups",
            [
                keys.wakeups,
                keys.clock,
                keys.open,
                keys.completed,
                keys.expired,
                keys.instances,
                keys.watchers,
                keys.rates,
                keys.synthesis,
            ],
            [*arguments, elapsed_ms, int(is_confirmed), keys.prefix],
        )

    def set_foreign_aside(self) -> dict[str, str]:
        """Rename the keys of all runs that are of another type than theirs; what each of these was.

        So are the lists of the queues: a worker that reads one does the same, but a queue may have none.
        """
        names = [lane for name in (ORCHESTRATOR_QUEUE, *source_names(), SYNTHESIS_QUEUE) for lane in lanes(name)]
        kinds = dict(self.keys.kinds)
        for name in names:
            waiting, messages = self.keys.queue(name)
            kinds |= {waiting: "zset", messages: "list", self.keys.running(name): "zset"}
        reply = self._scripts.run("set_foreign_aside", list(kinds), list(kinds.values()))
        found = dict(zip(reply[::2], reply[1::2], strict=True))
        for key, kind in found.items():
            _LOGGER.error("key_set_aside key=%s kind=%s", key, kind)
        return found

    def check_synthesis(self, wakeups: Sequence[Wakeup], *, model_ms: int) -> list[str | Exception]:
        """What due wake-ups of kind ``fanin`` or ``lease`` ask for; each is made due again at the right time.

        ``closed`` or ``wait``: nothing; ``publish``: trigger a finisher; ``finish``: none has started in time, and the
        claim of the wake-up stands; ``busy``: workers of the synthesis queue are at work on other runs, and will come
        to this one while there is more time than the ``model_ms`` below which no model is asked; an error: the run
        cannot be read or is gone.
        """
        keys = self.keys
        synthesis = [keys.wakeups, keys.synthesis, keys.rates, *keys.queue(SYNTHESIS_QUEUE)]
        calls: list[Call] = [
            (
                [keys.run(wakeup.run_id), *synthesis],
                [wakeup.run_id, wakeup.kind, NUDGE_MS, BODY_MS, model_ms],
            )
            for wakeup in wakeups
        ]
        replies = self._scripts.run_all("check_synthesis", calls)
        return [_status(wakeup.run_id, reply) for wakeup, reply in zip(wakeups, replies, strict=True)]

    def disarm(self, *wakeups: Wakeup) -> None:
        """Remove wake-ups whose work is done; a run whose deadline needs no further action is no open run."""
        ended = [wakeup.run_id for wakeup in wakeups if wakeup.kind == "total"]
        with store_errors(), self._client.pipeline() as pipe:
            pipe.zrem(self.keys.wakeups, *(wakeup.member for wakeup in wakeups))
            if ended:
                pipe.zrem(self.keys.open, *ended)
            pipe.execute()

    def postpone(self, *wakeups: Wakeup, seconds: float) -> None:
        """Make wake-ups due in ``seconds``; one that was removed stays removed."""
        with store_errors():
            due_ms = to_ms(self._client.time()) + int(seconds * 1000)
            self._client.zadd(self.keys.wakeups, {wakeup.member: due_ms for wakeup in wakeups}, xx=True)

    def read(self, run_id: str) -> RunRecord:
        """The present state of the run; takes no lease.

        Raises RunNotFound, SchemaMismatch, RunDamaged.
        """
        with store_errors(), self._client.pipeline(transaction=False) as pipe:
            pipe.time()
            pipe.hgetall(self.keys.run(run_id))
            now, fields = pipe.execute()
        if not fields:
            raise RunNotFound.of(run_id)
        if PACKED in fields:
            fields |= self._packed(run_id)
        return to_record(run_id, to_ms(now), fields)

    def _packed(self, run_id: str) -> Mapping[str, str]:
        """The packed fields of a run.

        Raises RunDamaged, and RunNotFound for a run that has expired since its hash was read.
        """
        with store_errors():
            stored = raw_call(self._client, "GET", self.keys.packed(run_id))
            has_expired = stored is None and not self._client.exists(self.keys.run(run_id))
        if has_expired:
            raise RunNotFound.of(run_id)
        return unpack(run_id, stored).fields

    def claim_unpacked(self) -> str | None:
        """Claim a run that was closed ``pack_after_seconds`` ago and is to be packed; None when there is none."""
        if self._pack_after_ms == 0:
            return None
        keys, arguments = self.keys, [self._pack_after_ms, UNPACKED_REARM_MS]
        reply = self._scripts.run("claim_unpacked", [keys.unpacked, keys.old_reader], arguments)
        return str(reply[1]) if reply[0] == "ok" else None

    def pack(self, run_id: str) -> bool:
        """Compress a closed run; False when it stays as it is."""
        keys = self.keys
        with store_errors(), self._client.pipeline(transaction=False) as pipe:
            raw_call(pipe, "HGETALL", keys.run(run_id))
            raw_call(pipe, "XRANGE", keys.events(run_id), "-", "+")
            stored, entries = pipe.execute(raise_on_error=False)
        is_ours = isinstance(stored, dict) and isinstance(entries, list)
        fields = to_pack(stored) if is_ours else {}
        packed = pack(fields, entries) if is_ours else None
        lengths = [item for name, value in fields.items() for item in (name, len(value))]
        names: list[Any] = [keys.run(run_id), keys.events(run_id), keys.ending(run_id)]
        arguments: list[Any] = [run_id, packed or b"", sum(map(len, fields.values())), STUB, *lengths]
        reply = self._scripts.run("pack", [*names, keys.packed(run_id), keys.unpacked], arguments)
        return bool(reply[0] == "ok")

    def results(self, run_id: str, key: str) -> tuple[SourceEnvelope, ...]:
        """What the source with that key has answered, as far as it can be read; one envelope for each of its jobs."""
        name = f"e:{key}"
        with store_errors():
            stored, packed = self._client.hmget(self.keys.run(run_id), [name, PACKED])
        if packed:
            stored = self._packed(run_id).get(name)
        return tuple(read_envelopes(run_id, {name: stored})[0].values()) if isinstance(stored, str) else ()

    def read_all(self, run_ids: Sequence[str]) -> dict[str, RunRecord]:
        """``read`` for many runs, in one call; a run that cannot be read, or is gone, is left out."""
        now_ms, replies = self._read_each(run_ids, lambda pipe, key: pipe.hgetall(key))
        records = {}
        for run_id, fields in zip(run_ids, replies, strict=True):
            if isinstance(fields, dict):
                with suppress(Exception):  # border: one bad run must not keep the others open
                    records[run_id] = to_record(run_id, now_ms, fields)
        return records

    def outlines(self, run_ids: Sequence[str]) -> list[Outline]:
        """Language and age of many runs, in one call, without reading the rest of them."""
        now_ms, replies = self._read_each(run_ids, lambda pipe, key: pipe.hmget(key, OUTLINE_FIELDS))
        return [to_outline(now_ms, reply if isinstance(reply, list) else ()) for reply in replies]

    def report(self, run_id: str) -> Report | None:
        """The report of a run; None when there is none or a part of it cannot be read.

        Raises RunNotFound, SchemaMismatch, RunDamaged.
        """
        _, report, flat, *packed = self._run("report", run_id, [self.keys.run(run_id)], [])
        fields: Mapping[str, str] = dict(zip(flat[::2], flat[1::2], strict=True))
        if packed:
            fields = self._packed(run_id)
            report = fields.get(REPORT)
        if not report:
            return None
        envelopes, of_envelopes = read_envelopes(run_id, fields)
        decoded, damage = decode_report(run_id, report, envelopes)
        return None if damage or of_envelopes else decoded

    def state(self, run_id: str) -> tuple[RunState, int]:
        """State and milliseconds to the deadline, never more than the run had, without reading the rest of the run.

        Raises RunNotFound.
        """
        with store_errors(), self._client.pipeline(transaction=False) as pipe:
            pipe.time()
            pipe.hmget(self.keys.run(run_id), ["state", "deadline_ms", "created_ms"])
            now, (state, stored_deadline, created_ms) = pipe.execute()
        if state is None:
            raise RunNotFound.of(run_id)
        now_ms = to_ms(now)
        deadline_ms = read_deadline(stored_deadline, now_ms)
        remaining_ms = min(deadline_ms - now_ms, deadline_ms - read_number(created_ms))
        return read_enum(state, RunState.DISPATCHED), remaining_ms

    def check_owner(self, run_id: str, user_id: str | None) -> None:
        """Raise RunNotFound, as of a run that is not stored, unless the run belongs to the user; nothing is nobody's.

        Raises StoreUnreachable.
        """
        if not user_id or self._owner(run_id) != user_id:
            raise RunNotFound.of(run_id)

    def _owner(self, run_id: str) -> str:
        """The user that a run belongs to, empty for nobody, and for a run that is not stored: as fast as for others."""
        key = self.keys.run(run_id)
        with suppress(RunDamaged), store_errors():
            fields: list[Any] = self._client.hmget(key, ["owner", "state"])
            if fields[0] is not None or fields[1] is None:
                return str(fields[0] or "")
            # Older versions tell it in the request alone.
            with suppress(RunNotFound, SchemaMismatch):
                return self.read(run_id).request.user_id or ""
        return ""

    def states(self, run_ids: Sequence[str]) -> list[RunState | Exception | None]:
        """The states of many runs, in one call; None for a run that is gone, an error for one that cannot be read."""
        _, replies = self._read_each(run_ids, lambda pipe, key: pipe.hget(key, "state"))
        return [
            our_error(reply)
            if isinstance(reply, Exception)
            else read_enum(reply, RunState.DISPATCHED)
            if isinstance(reply, str)
            else None
            for reply in replies
        ]

    def _read_each(self, run_ids: Sequence[str], read: Callable[[Any, str], object]) -> tuple[int, list[Any]]:
        """The Redis clock, and what ``read`` gets of each run's hash or its error, in one call."""
        with store_errors(), self._client.pipeline(transaction=False) as pipe:
            pipe.time()
            for run_id in run_ids:
                read(pipe, self.keys.run(run_id))
            now, *replies = pipe.execute(raise_on_error=False)
            if isinstance(now, Exception):
                raise now
            return to_ms(now), replies

    def count(self, run_id: str, what: str) -> int:
        """Add 1 to the run's counter ``what`` and return it.

        Raises RunNotFound.
        """
        return int(self._run("count", run_id, [self.keys.run(run_id)], [what])[1])

    def backlogs(self, queues: Sequence[str]) -> dict[str, tuple[float, float]]:
        """Of each queue or lane the seconds for which a new message would wait, and the messages taken in a second.

        Both are 0 while the workers keep up.
        """
        keys = [self.keys.rates, *(key for queue in queues for key in self.keys.queue(queue))]
        replies = [str(reply).split() for reply in self._scripts.run("backlog", keys, queues)]
        return {queue: (int(ms) / 1000, float(rate)) for queue, (ms, rate) in zip(queues, replies, strict=True)}

    def queue_length(self, queue: str) -> int:
        """Messages waiting in a queue or lane (a Redis list of the broker)."""
        with store_errors():
            return int(self._client.llen(f"{self.keys.broker_prefix}{queue}"))

    def _fenced(self, run_id: str, token: str, events: Sequence[NewEvent], *, serves_queue: bool) -> bool:
        keys = self.keys
        reply = self._run(
            "fenced",
            run_id,
            [
                keys.run(run_id),
                keys.events(run_id),
                keys.wakeups,
                keys.synthesis,
                keys.running(SYNTHESIS_QUEUE),
            ],
            [run_id, token, FINISH_LEASE_MS, int(serves_queue), *_event_arguments(events)],
        )
        return bool(reply[0] == "ok")

    def _run(self, script: str, run_id: str, keys: list[str], args: list[str | int]) -> list[Any]:
        reply = self._scripts.run(script, keys, args)
        if reply[0] == "not_found":
            raise RunNotFound.of(run_id)
        return reply


def new_token() -> str:
    """A new unique token for a claim or a lease."""
    return uuid.uuid4().hex


def _status(run_id: str, reply: list[Any] | Exception) -> str | Exception:
    if isinstance(reply, Exception):
        return reply
    return RunNotFound.of(run_id) if reply[0] == "not_found" else str(reply[0])


def _event_arguments(events: Sequence[NewEvent]) -> list[str]:
    return [argument for kind, data in events for argument in (kind, _dumps(data))]


def _dumps(data: Any) -> str:
    return json.dumps(data, ensure_ascii=False, separators=(",", ":"))


def _other_question(run_id: str, *, is_key: bool) -> Conflict:
    if is_key:
        return Conflict(
            "{field}: the key stands for another question; choose another for this one", field="idempotency_key"
        )
    return Conflict(
        "{field}: {run!r} is the run of another question; leave it out or choose another", field="run_id", run=run_id
    )


def _overloaded(count: int, cause: str = "", seconds: int = 0, queue: str = "", per_second: str = "0") -> Overloaded:
    """Why no further run is accepted, from the reply of ``open.lua``."""
    facts: dict[str, Any] = {"count": count, "seconds": seconds}
    if cause == "queue":
        load = Message(
            "{count} run waits in queue {queue}, which serves {rate:g} in a second; there is room in about {seconds} s",
            plural="{count} runs wait in queue {queue}, which serves {rate:g} in a second; "
            "there is room in about {seconds} s",
            **facts,
        ).with_facts(queue=queue, rate=float(per_second))
    elif cause == "stuck":
        load = Message(
            "{count} run is open and none was answered in the last {seconds} s",
            plural="{count} runs are open and none was answered in the last {seconds} s",
            **facts,
        )
    else:
        load = Message("{count} run is open", plural="{count} runs are open", **facts)
    error = Overloaded("refused, the system is overloaded: {load}; try again later or add workers", load=load)
    error.queue, error.retry_after_seconds = queue, seconds if cause == "queue" else None
    return error
