"""Reports that no finisher wrote tell what had come in, and which sources had not answered."""

from __future__ import annotations

from dataclasses import replace

import pytest

from orchestrator.config import ParallelConfig
from orchestrator.errors import InvalidRequest
from orchestrator.i18n.languages import Language
from orchestrator.i18n.message import Message
from orchestrator.models import (
    AnswerMode,
    Evidence,
    Intent,
    Plan,
    PlannedSource,
    Routing,
    RunOutcome,
    RunState,
    SourceEnvelope,
    SourceOutcome,
    Stage,
    TroubleshootRequest,
)
from orchestrator.routing.plan import refused_plan
from orchestrator.run.conclusion import conclude
from orchestrator.run.report import cancelled_report, make_report, unreachable_report
from orchestrator.store.records import RunRecord

RUN = "run-00000001"
PLAN = Plan(
    pipeline="troubleshoot",
    routing=Routing(intent=Intent.TROUBLESHOOT, confidence=1, language=Language.EN),
    sources=tuple(PlannedSource(source=name, limit_seconds=5) for name in ("tws_status", "log_cache", "metrics")),
    reason="test",
)


def envelope(source: str, outcome: SourceOutcome, latency_ms: float, **more: int) -> SourceEnvelope:
    error = None if outcome.is_success else "broken"
    figures = {"latency_ms": latency_ms, **more}
    return SourceEnvelope(
        source=source, outcome=outcome, success=outcome.is_success, error=error, reason=error, **figures
    )


A_YEAR = 31_536_000_000
ANSWERED = (
    envelope("tws_status", SourceOutcome.OK, 300, started_at_ms=1_100),
    envelope("log_cache", SourceOutcome.ERROR, 100, started_at_ms=1_100 + A_YEAR),
)
"""The clock stepped between the two."""
FIGURES = {
    "parallel_execution": True,
    "sources_queried": 3,
    "sources_successful": 1,
    "speedup_factor": 1.33,
    "parallel_latency_ms": 300,
    "sequential_equivalent_ms": 400,
}


@pytest.mark.parametrize(
    ("minimum", "outcome"), [(0, RunOutcome.PARTIAL), (1, RunOutcome.PARTIAL), (3, RunOutcome.FAILED)]
)
def test_a_minimum_is_no_more_than_the_planned_sources(minimum: int, outcome: RunOutcome) -> None:
    """A minimum above the plan, as one written by an older client, stands for all of the plan."""
    config = ParallelConfig(min_sources_required=minimum)
    record = RunRecord.unstored(RUN, TroubleshootRequest(message="x", config=config))
    answers = {item.key: item for item in ANSWERED}
    assert conclude(replace(record, plan=PLAN, envelopes=answers)).outcome is outcome
    whole = {item.source: envelope(item.source, SourceOutcome.OK, 1) for item in PLAN.sources}
    config = ParallelConfig(min_sources_required=60)
    record = RunRecord.unstored(RUN, TroubleshootRequest(message="x", config=config))
    assert conclude(replace(record, plan=PLAN, envelopes=whole)).outcome is RunOutcome.COMPLETE
    waiting = PLAN.model_copy(update={"sources": PLAN.sources[:1], "then": (Stage(sources=PLAN.sources[1:]),)})
    whole = {"tws_status": envelope("tws_status", SourceOutcome.OK, 1)}
    assert conclude(replace(record, plan=waiting, envelopes=whole)).outcome is RunOutcome.FAILED


@pytest.mark.parametrize("minimum", [0, 1])
def test_where_nobody_answered_no_minimum_is_told(minimum: int) -> None:
    """Without any answer the run has failed whatever the minimum, and the answer says that nobody answered."""
    request = TroubleshootRequest(message="x", config=ParallelConfig(min_sources_required=minimum))
    record = replace(RunRecord.unstored(RUN, request), plan=PLAN)
    broken = {item.source: envelope(item.source, SourceOutcome.ERROR, 1) for item in PLAN.sources}
    failed, silent = conclude(replace(record, envelopes=broken)), conclude(record)
    assert (failed.outcome, silent.outcome) == (RunOutcome.FAILED, RunOutcome.TIMED_OUT)
    assert "\n\nNo source answered.\n\n" in failed.response
    assert "\n\nNo source answered before the deadline.\n\n" in silent.response


def test_a_run_without_any_source_has_an_error_in_the_language_of_its_question() -> None:
    """With every source switched off, the answer says what to switch on, and stands in the errors as well."""
    request = TroubleshootRequest(message="O job BATCH001 falhou?")
    plan = refused_plan(
        request,
        InvalidRequest(
            "no source is enabled; set at least one of {switches} to true (disabled_sources: {disabled})",
            switches="enable_metrics",
            disabled="tickets",
        ),
    )
    report = make_report(conclude(replace(RunRecord.unstored(RUN, request), plan=plan)), by="x", total_latency_ms=1)
    (error,) = report.errors
    assert (report.outcome, error.source, error.reason) == (RunOutcome.FAILED, "run", "refused")
    assert error.error == report.response
    assert error.error.startswith("nenhuma fonte está ativa; ponha ao menos uma de enable_metrics em true")


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


def a_copy(*answered: SourceEnvelope, plan: Plan | None = PLAN) -> RunRecord:
    """What a client has read of an open run."""
    record = RunRecord.unstored(RUN, TroubleshootRequest(message="Job BATCH001 falhou"))
    return replace(record, plan=plan, envelopes={item.key: item for item in answered})


def test_a_run_whose_store_is_gone_tells_what_was_read() -> None:
    """The answer of the rules to what was read: data, who answered, who did not and why, how long it took."""
    evidence = Evidence(id="tws_status:1", source="tws_status", kind="job", title="job", text="BATCH001 ABEND S0C7")
    read = ANSWERED[0].model_copy(update={"data": {"job": {"name": "BATCH001"}}, "evidence": (evidence,)})
    report = unreachable_report(a_copy(read, ANSWERED[1]), elapsed_ms=4_010.0)
    assert (report.committed, report.reason, report.total_latency_ms) == (False, "store_unreachable", 4_010)
    assert (report.outcome, report.mode) == (RunOutcome.PARTIAL, AnswerMode.DETERMINISTIC)
    assert [(failure.source, failure.reason) for failure in report.errors] == [
        ("log_cache", "broken"),
        ("metrics", "store_unreachable"),
    ]
    assert report.aggregated_data.sources_available == ("tws_status",)
    assert report.aggregated_data.tws_status == {"job": {"name": "BATCH001"}}
    assert [item.text for item in report.evidence] == ["BATCH001 ABEND S0C7"]
    assert report.metadata.items() >= FIGURES.items()
    assert "Redis stopped answering during the run; this answer was not stored and may be incomplete" in report.response
    assert report.response.startswith("## Diagnosis")
    assert "metrics (not read before Redis stopped answering)" in report.response


def test_an_answer_to_all_sources_is_complete_though_it_was_not_stored() -> None:
    """With every source read before the store went away nothing is missing, and the answer does not say so."""
    report = unreachable_report(a_copy(*(envelope(item.source, SourceOutcome.OK, 1) for item in PLAN.sources)))
    assert (report.outcome, report.committed, report.errors) == (RunOutcome.COMPLETE, False, ())
    assert report.response.rstrip().endswith("or has lost the run.")


def test_a_run_of_which_no_answer_was_read_names_its_sources() -> None:
    """Without an answer the planned sources are named, with the reason why they were not asked again."""
    report = unreachable_report(a_copy(), not_asked=Message("the worker code is not installed here"))
    assert (report.outcome, report.mode) == (RunOutcome.TIMED_OUT, AnswerMode.ERROR)
    assert [failure.source for failure in report.errors] == [item.source for item in PLAN.sources]
    assert {failure.reason for failure in report.errors} == {"store_unreachable"}
    assert all("not installed" in failure.error for failure in report.errors)
    assert "Redis stopped answering" in report.response
    assert "Workers stopped" not in report.response


def test_a_run_of_which_nothing_was_read_is_told_in_the_language_of_the_request() -> None:
    """Before a plan was read there is one sentence, and no time is spent on planning."""
    record = replace(a_copy(plan=None), request=TroubleshootRequest(message="x", language=Language.ES))
    report = unreachable_report(record, elapsed_ms=1_600.0)
    assert (report.outcome, report.committed, report.errors) == (RunOutcome.TIMED_OUT, False, ())
    assert report.response.startswith("Redis dejó de responder")
    assert report.metadata["sources_queried"] == 0


@pytest.mark.parametrize(
    ("state", "advice", "queue"),
    [
        (RunState.ACCEPTED, "No worker of queue `orchestrator` dispatched the run", "orchestrator"),
        (RunState.DISPATCHING, "No worker of queue `orchestrator` dispatched the run", "orchestrator"),
        (RunState.DISPATCHED, "start the workers of these sources (tws_status, log_cache, metrics)", "metrics"),
    ],
)
def test_a_run_without_an_answer_names_the_queue_that_has_no_worker(state: RunState, advice: str, queue: str) -> None:
    """Where no source was asked, the workers of the sources are not to blame."""
    conclusion = conclude(replace(a_copy(), state=state))
    assert advice in conclusion.response
    assert conclusion.response.count("or more of them") == 1
    assert conclusion.envelopes[-1].error == f"was not queried: no worker took the queue {queue} in time"


@pytest.mark.parametrize("left_out", [0, 3])
def test_jobs_that_are_left_out_make_an_answer_partial(left_out: int) -> None:
    """With jobs that were not asked about a run is partial though all sources answered, and the answer says so."""
    envelopes = [envelope(item.source, SourceOutcome.OK, 1) for item in PLAN.sources]
    conclusion = conclude(a_copy(*envelopes, plan=PLAN.model_copy(update={"left_out": left_out})))
    assert (conclusion.outcome is RunOutcome.PARTIAL) is bool(left_out)
    assert ("3 more jobs were not examined" in conclusion.response) is bool(left_out)
