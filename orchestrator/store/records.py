"""What the store answers with: plain objects read at one moment."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from orchestrator.models import Plan, Report, RunOutcome, RunSnapshot, RunState, SourceEnvelope, TroubleshootRequest
from orchestrator.store.report_codec import from_kept


@dataclass(frozen=True, slots=True)
class Opened:
    """Answer to ``open``: the run, and whether this call made it."""

    run_id: str
    is_new: bool


@dataclass(frozen=True, slots=True)
class Dispatch:
    """A dispatch lease: what to plan and how long there is."""

    token: str
    request: TroubleshootRequest
    plan: Plan | None
    fan_in_seconds: float
    remaining_seconds: float


@dataclass(frozen=True, slots=True)
class SourceStart:
    """Permission to ask a source, with the time that is left to the fan-in."""

    request: TroubleshootRequest
    plan: Plan
    remaining_seconds: float
    now_ms: int


@dataclass(frozen=True, slots=True)
class RunRecord:
    """A run as read at one moment (Redis clock)."""

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

    @property
    def remaining_seconds(self) -> float:
        """Seconds to the deadline at the moment of reading; negative when past."""
        return (self.deadline_ms - self.now_ms) / 1000


@dataclass(frozen=True, slots=True)
class Wakeup:
    """One due entry of the work list: ``dispatch``, ``fanin``, ``lease`` or ``total``."""

    run_id: str
    kind: str


def to_envelopes(fields: Mapping[str, str]) -> dict[str, SourceEnvelope]:
    """The envelopes among the fields of a run hash, by the key of their source."""
    return {
        name[2:]: SourceEnvelope.model_validate_json(value) for name, value in fields.items() if name.startswith("e:")
    }


def to_record(run_id: str, now_ms: int, fields: dict[str, str]) -> RunRecord:
    """Parse a run hash read at ``now_ms``."""
    plan, report, outcome = fields.get("plan"), fields.get("report"), fields.get("outcome")
    envelopes = to_envelopes(fields)
    closed_ms = fields.get("closed_ms")
    return RunRecord(
        run_id=run_id,
        now_ms=now_ms,
        state=RunState(fields["state"]),
        request=TroubleshootRequest.model_validate_json(fields["request"]),
        plan=Plan.model_validate_json(plan) if plan else None,
        envelopes=envelopes,
        started_ms={name[2:]: int(value.rsplit("|", 1)[1]) for name, value in fields.items() if name.startswith("s:")},
        late=frozenset(name[2:] for name in fields if name.startswith("l:")),
        received=int(fields["received"]),
        created_ms=int(fields["created_ms"]),
        deadline_ms=int(fields["deadline_ms"]),
        fan_in_ms=int(fields["fanin_ms"]),
        attempt=int(fields["attempt"]),
        report=from_kept(report, envelopes) if report else None,
        outcome=RunOutcome(outcome) if outcome else None,
        closed_ms=int(closed_ms) if closed_ms else None,
    )


def snapshot(record: RunRecord) -> RunSnapshot:
    """The wire form of a record."""
    sources: dict[str, dict[str, Any]] = {}
    for planned in record.plan.sources if record.plan else ():
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
        report=record.report,
    )
