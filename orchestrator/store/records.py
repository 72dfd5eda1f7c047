"""Records that the store returns, parsed from Redis; each is the state at one moment."""

import re
import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import accumulate
from typing import Any, Self

from orchestrator.errors import RunNotFound, SchemaMismatch
from orchestrator.i18n.languages import DEFAULT_LANGUAGE, Language
from orchestrator.models import (
    MAX_JOBS,
    MAX_STAGES,
    Clue,
    Contract,
    Plan,
    Report,
    RunOutcome,
    RunSnapshot,
    RunState,
    SourceEnvelope,
    TroubleshootRequest,
    read_enum,
    source_key,
)
from orchestrator.store.reading import (
    PLAN,
    REQUEST,
    Damage,
    failed_envelope,
    read_deadline,
    read_envelope,
    read_fields,
    read_number,
    read_stored,
)
from orchestrator.store.report_codec import decode_report

MAX_DAMAGE = 30
"""Parts of a run that are named as not readable."""
MAX_LISTED_CHARACTERS = MAX_JOBS * 40
"""Most characters of the names of jobs in the summary of a run; a name without its path has 40."""
OUTLINE_FIELDS = ("plan", "request", "created_ms")
_LANGUAGE = re.compile(r'"language":"([^"]*)"')


@dataclass(frozen=True, slots=True)
class Opened:
    """The run of a submit, and whether this call created it."""

    run_id: str
    is_new: bool


@dataclass(frozen=True, slots=True)
class Dispatch:
    """A dispatch lease: the request to plan, and the plan of an earlier dispatcher of the same stage, if any."""

    token: str
    request: TroubleshootRequest
    plan: Plan | None
    stage: int = 1
    """Number of the stage that is to be dispatched."""


@dataclass(frozen=True, slots=True)
class Backlog:
    """A queue that cannot serve a run in time: messages that wait in it, and how many are served in a second."""

    waiting: int
    per_second: float


@dataclass(frozen=True, slots=True)
class SourceStart:
    """A source that this caller has claimed, with the seconds that remain to the fan-in."""

    request: TroubleshootRequest
    plan: Plan
    remaining_seconds: float
    now_ms: int


@dataclass(frozen=True, slots=True)
class RunRecord:
    """A run as read at ``now_ms`` of the Redis clock."""

    run_id: str
    now_ms: int
    state: RunState
    request: TroubleshootRequest
    plan: Plan | None
    envelopes: dict[str, SourceEnvelope]
    started_ms: dict[str, int]
    late: frozenset[str]
    received: int
    created_ms: int
    deadline_ms: int
    fan_in_ms: int
    attempt: int
    report: Report | None
    outcome: RunOutcome | None
    closed_ms: int | None = None
    committed_by: str = ""
    leased_ms: int = 0
    """Time until which a finisher has the run."""
    is_called: bool = False
    """Whether its synthesis was called for: all sources are in, or a watcher has called."""
    damage: tuple[Damage, ...] = ()
    """Parts of the run that cannot be read."""

    @property
    def lifetime(self) -> tuple[int, int]:
        """Submit and deadline, in milliseconds of the Redis clock."""
        return self.created_ms, self.deadline_ms

    @property
    def total_seconds(self) -> float:
        """Seconds from the submit to the deadline."""
        return (self.deadline_ms - self.created_ms) / 1000

    @property
    def remaining_seconds(self) -> float:
        """Seconds to the deadline at the time of reading, at most all that the run had; negative after it."""
        # More is left only when the Redis clock has stepped back.
        return min((self.deadline_ms - self.now_ms) / 1000, self.total_seconds)

    @classmethod
    def unstored(cls, run_id: str, request: TroubleshootRequest) -> Self:
        """A run as its caller knows it without the store; it begins now."""
        now_ms = time.time_ns() // 1_000_000
        return cls(
            run_id=run_id,
            now_ms=now_ms,
            state=RunState.DISPATCHED,
            request=request,
            plan=None,
            envelopes={},
            started_ms={},
            late=frozenset(),
            received=0,
            created_ms=now_ms,
            deadline_ms=now_ms + int(request.config.total_timeout_seconds * 1000),
            fan_in_ms=now_ms + int(request.config.fan_in_seconds * 1000),
            attempt=1,
            report=None,
            outcome=None,
        )


@dataclass(frozen=True, slots=True)
class Outline:
    """What the shortest answer to a run needs, told without reading its stored objects."""

    language: Language
    """That of the answer."""
    open_ms: float
    """Milliseconds since the submit."""


@dataclass(frozen=True, slots=True)
class Wakeup:
    """One due wake-up of kind ``dispatch``, ``fanin``, ``lease`` or ``total``."""

    member: str
    """Member of the sorted set: ``run_id|kind``."""
    is_early: bool = False
    """Whether it is claimed before it is due."""

    @property
    def run_id(self) -> str:
        """Id of the run."""
        return self.member.rpartition("|")[0]

    @property
    def kind(self) -> str:
        """Kind of the wake-up."""
        return self.member.rpartition("|")[2]


@dataclass(frozen=True, slots=True)
class Claimed:
    """The wake-ups that a watcher has claimed at ``now_ms`` of the Redis clock, and what is to come."""

    wakeups: tuple[Wakeup, ...]
    next_seconds: float | None
    """Seconds to the next wake-up, None without any."""
    now_ms: int
    crowd: tuple[tuple[float, int], ...] = ()
    """Of some open runs, the soonest first: seconds to the deadline, and the number of runs that have none later."""


class Summary(Contract):
    """The request as far as the list of runs shows it."""

    message: str = ""
    jobs: tuple[str, ...] = ()
    tws_instance_id: str | None = None


@dataclass(frozen=True, slots=True)
class Clues:
    """What some sources of a run have told the others by now."""

    given: tuple[Clue, ...]
    pending: frozenset[str]
    """Keys of the sources that have neither given a clue nor ended."""
    started: frozenset[str]


def read_clue(run_id: str, text: str) -> Clue | None:
    """A stored clue; None when it cannot be read."""
    with suppress(SchemaMismatch):
        return read_stored(Clue, text, run_id=run_id, part="clue")[0]
    return None


def read_summary(run_id: str, text: str) -> Summary:
    """The run's summary; empty when it cannot be read."""
    with suppress(SchemaMismatch):  # a newer version's must not hide the other runs of a list
        return read_stored(Summary, text, run_id=run_id, part="summary")[0] or Summary()
    return Summary()


def read_request(run_id: str, text: str, summary: str) -> tuple[TroubleshootRequest, tuple[Damage, ...]]:
    """The run's request; one that cannot be read is replaced by what its summary holds.

    Raises SchemaMismatch.
    """
    request, damage = read_stored(TroubleshootRequest, text, run_id=run_id, part=REQUEST)
    if request is not None:
        return request, damage
    rest = read_summary(run_id, summary)
    fields = {"message": rest.message or "?", "jobs": list(rest.jobs), "tws_instance_id": rest.tws_instance_id}
    request, _ = read_fields(TroubleshootRequest, fields, part=REQUEST)
    return request or TroubleshootRequest(message="?"), damage


def listed(names: Sequence[str]) -> tuple[str, ...]:
    """The names as far as a list of a thousand runs may have them of each: all, unless most have long paths."""
    lengths = accumulate(map(len, names))
    return tuple(name for name, length in zip(names, lengths, strict=True) if length <= MAX_LISTED_CHARACTERS)


def read_plan(run_id: str, text: str) -> tuple[Plan | None, tuple[Damage, ...]]:
    """The run's plan; None when there is none or it cannot be read.

    Raises SchemaMismatch.
    """
    return read_stored(Plan, text, run_id=run_id, part=PLAN) if text else (None, ())


def plan_field(stage: int) -> str:
    """Field of the run hash with the plan of a stage. As in ``common.lua``."""
    return PLAN if stage == 1 else f"{PLAN}:{stage}"


def read_plans(run_id: str, texts: Iterable[str]) -> tuple[Plan | None, tuple[Damage, ...]]:
    """The plans of a run's stages as one; None without that of the first.

    Raises SchemaMismatch.
    """
    (plan, damage), *later = (read_plan(run_id, text) for text in texts)
    for stage, lost in later:
        damage += lost
        if plan is not None and stage is not None:
            plan = plan.with_stage(stage)
    return plan, tuple(dict.fromkeys(damage))


def stored_plans(fields: Mapping[str, str]) -> list[str]:
    """The plans of the stages among the fields of a run hash, in order."""
    return [fields.get(plan_field(stage), "") for stage in range(1, MAX_STAGES + 1)]


def read_envelopes(
    run_id: str, fields: Mapping[str, str], plan: Plan | None = None
) -> tuple[dict[str, SourceEnvelope], tuple[Damage, ...]]:
    """The envelopes among the fields of a run hash, by the key of their source; in place of a batch those of its jobs.

    Those jobs of a batch in ``plan`` for which nothing can be read have an error.
    """
    envelopes: dict[str, SourceEnvelope] = {}
    damage: list[Damage] = []
    for name, value in fields.items():
        if name.startswith("e:"):
            envelopes[name[2:]], lost = read_envelope(run_id, name[2:], value)
            damage += lost
    return of_each_job(envelopes.values(), plan), tuple(damage)


def of_each_job(envelopes: Iterable[SourceEnvelope], plan: Plan | None) -> dict[str, SourceEnvelope]:
    """The envelopes by their keys, in place of a batch those of its jobs.

    A batch whose jobs are not known stands for itself.
    """
    jobs_of = _jobs_of_batches(plan)
    alone: dict[str, SourceEnvelope] = {}
    for envelope in envelopes:
        parts = {part.key: part for part in envelope.parts}
        for job in jobs_of.get(envelope.key, ()):
            missing = {"job": job, "batch": None, "parts": ()}
            if (key := source_key(envelope.source, job)) not in parts:
                parts[key] = failed_envelope(key) if envelope.parts else envelope.model_copy(update=missing)
        alone |= parts or {envelope.key: envelope}
    return alone


def _jobs_of_batches(plan: Plan | None) -> dict[str, tuple[str, ...]]:
    return {item.key: item.jobs for item in plan.sources if item.batch is not None} if plan else {}


def to_record(run_id: str, now_ms: int, fields: Mapping[str, str]) -> RunRecord:
    """Parse a run hash read at ``now_ms``; parts that cannot be read are left out and named in ``damage``.

    Raises RunNotFound for a hash without a state, SchemaMismatch.
    """
    if "state" not in fields:
        raise RunNotFound.of(run_id)
    request, of_request = read_request(run_id, fields.get("request", ""), fields.get("summary", ""))
    plan, of_plan = read_plans(run_id, stored_plans(fields))
    envelopes, of_envelopes = read_envelopes(run_id, fields, plan)
    stored, outcome, closed_ms = fields.get("report"), fields.get("outcome"), fields.get("closed_ms")
    report, of_report = decode_report(run_id, stored, envelopes) if stored else (None, ())
    jobs_of = _jobs_of_batches(plan)

    def keys_of(key: str) -> list[str]:
        if key in jobs_of:
            return [source_key(key.partition("|")[0], job) for job in jobs_of[key]]
        # Without the plan, the jobs of a batch are known by its parts.
        return [] if f"e:{key}" in fields and key not in envelopes else [key]

    return RunRecord(
        run_id=run_id,
        now_ms=now_ms,
        state=read_enum(fields["state"], RunState.DISPATCHED),
        request=request,
        plan=plan,
        envelopes=envelopes,
        started_ms={
            key: read_number(value.rpartition("|")[2])
            for name, value in fields.items()
            if name.startswith("s:")
            for key in keys_of(name[2:])
        },
        late=frozenset(key for name in fields if name.startswith("l:") for key in keys_of(name[2:])),
        received=read_number(fields.get("received")),
        created_ms=read_number(fields.get("created_ms")),
        deadline_ms=read_deadline(fields.get("deadline_ms"), now_ms),
        fan_in_ms=read_number(fields.get("fanin_ms")),
        attempt=read_number(fields.get("attempt")),
        report=report,
        outcome=read_enum(outcome, RunOutcome.FAILED) if outcome else None,
        closed_ms=read_number(closed_ms) if closed_ms else None,
        committed_by=fields.get("committed_by", ""),
        leased_ms=read_number(fields.get("lease_until")),
        is_called="called_ms" in fields,
        damage=(*of_request, *of_plan, *of_report, *of_envelopes)[:MAX_DAMAGE],
    )


def to_outline(now_ms: int, fields: Sequence[str | None]) -> Outline:
    """The outline in the values of ``OUTLINE_FIELDS``, of which any may be missing or damaged."""
    plan, request, created_ms = fields or (None, None, None)
    # Within a JSON string the quotes would be escaped.
    match = _LANGUAGE.search(plan or "") or _LANGUAGE.search(request or "")
    created = read_number(created_ms, now_ms)
    return Outline(read_enum(match[1], DEFAULT_LANGUAGE) if match else DEFAULT_LANGUAGE, float(now_ms - created))


def snapshot(record: RunRecord, report: Report | None = None) -> RunSnapshot:
    """The snapshot of a record, with ``report`` when there is one."""
    sources: dict[str, dict[str, Any]] = {}
    for planned in record.plan.asked if record.plan else ():
        envelope, started = record.envelopes.get(planned.key), record.started_ms.get(planned.key)
        state = (
            "finished" if envelope else "late" if planned.key in record.late else "started" if started else "planned"
        )
        sources[planned.key] = {
            "state": state,
            "started_at_ms": started,
            "outcome": envelope.outcome if envelope else None,
            "latency_ms": envelope.latency_ms if envelope else None,
            "finding": envelope.finding if envelope else "",
        }
    return RunSnapshot(
        run_id=record.run_id,
        state=record.state,
        outcome=record.outcome,
        request=record.request,
        plan=record.plan,
        sources=sources,
        created_at_ms=record.created_ms,
        deadline_ms=record.deadline_ms,
        attempt=record.attempt,
        results=tuple(record.envelopes.values()) if report is None else (),
        report=report,
    )
