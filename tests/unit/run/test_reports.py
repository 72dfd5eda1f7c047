"""Reports that no finisher wrote tell what had come in, and which sources had not answered."""

from __future__ import annotations

import pytest

from orchestrator.i18n.languages import Language
from orchestrator.models import (
    Event,
    EventType,
    Intent,
    Plan,
    PlannedSource,
    Routing,
    RunOutcome,
    RunState,
    SourceEnvelope,
    SourceOutcome,
    TroubleshootRequest,
)
from orchestrator.run.report import cancelled_report, unreachable_report
from orchestrator.store.records import RunRecord

RUN = "run-00000001"
PLAN = Plan(
    pipeline="troubleshoot",
    routing=Routing(intent=Intent.TROUBLESHOOT, confidence=1, language=Language.EN),
    sources=tuple(PlannedSource(source=name, limit_seconds=5) for name in ("tws_status", "log_cache", "metrics")),
    reason="test",
)


def envelope(source: str, outcome: SourceOutcome, latency_ms: float) -> SourceEnvelope:
    error = None if outcome.is_success else "broken"
    return SourceEnvelope(
        source=source, outcome=outcome, success=outcome.is_success, latency_ms=latency_ms, error=error, reason=error
    )


ANSWERED = envelope("tws_status", SourceOutcome.OK, 300), envelope("log_cache", SourceOutcome.ERROR, 100)
FIGURES = {
    "parallel_execution": True,
    "sources_queried": 3,
    "sources_successful": 1,
    "speedup_factor": 1.33,
    "parallel_latency_ms": 300,
    "sequential_equivalent_ms": 400,
}


def test_a_cancelled_run_tells_what_came_in_and_what_did_not() -> None:
    """Each source of the plan has answered or stands in the errors, and the app's figures are there."""
    report = cancelled_report(
        RunRecord(
            run_id=RUN,
            now_ms=99_000,
            state=RunState.CANCELLED,
            request=TroubleshootRequest(message="x"),
            plan=PLAN,
            envelopes={item.key: item for item in ANSWERED},
            started_ms={"metrics": 1_100},
            late=frozenset(),
            received=2,
            created_ms=1_000,
            deadline_ms=11_000,
            fan_in_ms=7_000,
            attempt=0,
            report=None,
            outcome=RunOutcome.CANCELLED,
            closed_ms=1_750,
        )
    )
    assert (report.outcome, report.total_latency_ms, report.parallel_latency_ms) == (RunOutcome.CANCELLED, 750, 300)
    assert [(failure.source, failure.reason) for failure in report.errors] == [
        ("log_cache", "broken"),
        ("metrics", "cancelled"),
    ]
    assert report.aggregated_data.sources_available == ("tws_status",)
    assert report.metadata == FIGURES


def test_a_run_whose_store_is_gone_tells_what_was_streamed() -> None:
    """From the events alone: who answered, who did not, how long it took."""
    routed = {"language": "en", "sources": [{"key": item.key, **item.model_dump(mode="json")} for item in PLAN.sources]}
    stream = [(EventType.ROUTED, routed)]
    fields = {"source", "job", "outcome", "success", "latency_ms", "finding", "error", "reason"}
    stream += [(EventType.SOURCE_FINISHED, item.model_dump(mode="json", include=fields)) for item in ANSWERED]
    events = [Event(id=f"{n}-0", run_id=RUN, type=kind, at_ms=n, data=data) for n, (kind, data) in enumerate(stream)]
    report = unreachable_report(RUN, events, elapsed_ms=4_010.0)
    assert (report.committed, report.reason, report.total_latency_ms) == (False, "store_unreachable", 4_010)
    assert [(failure.source, failure.reason) for failure in report.errors] == [
        ("log_cache", "broken"),
        ("metrics", "lost"),
    ]
    assert report.aggregated_data.sources_available == ("tws_status",)
    assert report.metadata == FIGURES


@pytest.mark.parametrize(
    "data",
    [
        {"language": "tlh", "sources": [{"source": "NO NAME"}, "x", {"key": "metrics"}]},
        {"language": 7, "sources": {"metrics": 1}},
        {},
    ],
    ids=str,
)
def test_events_of_another_version_are_told_as_far_as_they_can_be_read(data: dict[str, object]) -> None:
    """What a newer version streamed, or what was damaged, costs its own line and no more."""
    kinds = (EventType.ROUTED, EventType.SOURCE_FINISHED, EventType.DRAFT)
    events = [Event(id=f"{n}-0", run_id=RUN, type=kind, at_ms=n, data=data) for n, kind in enumerate(kinds)]
    known = ANSWERED[0].model_dump(mode="json", include={"source", "outcome", "success"}) | {"newer": {}}
    events.append(Event(id="9-0", run_id=RUN, type=EventType.SOURCE_FINISHED, at_ms=9, data=known))
    report = unreachable_report(RUN, events)
    assert report.aggregated_data.sources_available == ("tws_status",)
    assert "O Redis parou de responder" in report.response
