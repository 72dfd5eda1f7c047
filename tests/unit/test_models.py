"""The contract: what is accepted, what is refused, and that it survives JSON."""

from __future__ import annotations

import time

import pytest
from pydantic import BaseModel, ValidationError

from orchestrator.codes.notation import check_job_name
from orchestrator.config import STORED, ParallelConfig
from orchestrator.i18n.languages import Language
from orchestrator.models import (
    MAX_JOBS,
    SCHEMA_VERSION,
    Action,
    AnswerMode,
    EventType,
    Evidence,
    Intent,
    Plan,
    Report,
    Routing,
    RunOutcome,
    RunState,
    RunSummary,
    SourceEnvelope,
    SourceFailure,
    SourceOutcome,
    TroubleshootRequest,
    source_key,
)
from orchestrator.validation import describe

GOOD_JOBS = (
    "BATCH001",
    "A",
    "Job_With-All_9",
    "WS1#STREAM.JOB",
    "/FOLDER/SUB/WS1#/OTHER/STREAM.JOB",
    "STREAM.JOB",
    "WS1#JOB",
    "WS#JS(0800 11/24/26).JOB",
    "WS#JS(0800 11/24/26),(0AAAAAAAAAAAAAAB).JOB",
    "  BATCH001  ",
)
BAD_JOBS = (
    "",
    " ",
    "../x",
    "X' OR name LIKE '@",
    "@",
    "1BATCH",
    "JOB;DROP",
    "JOB\nX",
    "J" * 41,
    "a b",
    "WS##JOB",
    "JOB.",
    "ç",
    "x" * 1_000,
)


@pytest.mark.parametrize("name", GOOD_JOBS)
def test_job_notation_is_accepted(name: str) -> None:
    """Every notation of the User's Guide passes, stripped."""
    assert check_job_name(name) == name.strip()


@pytest.mark.parametrize("name", BAD_JOBS)
def test_what_is_no_job_is_refused_by_field(name: str) -> None:
    """Anything else is refused in both fields, and the error says what a job name looks like."""
    for fields in ({"job_name": name}, {"jobs": [name]}):
        with pytest.raises(ValidationError, match=r"not a TWS job name|stands for every job"):
            TroubleshootRequest.model_validate({"message": "x", **fields})


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"jobs": ["J1..J201"]}, "jobs: 201 jobs are named, and one question is about 200"),
        ({"job_name": "J1..J999999999"}, "job_name: 999999999 jobs"),
        ({"job_name": "J1..J150", "jobs": ["K1..K51"]}, "job_name and jobs: 201 jobs"),
    ],
)
def test_too_many_jobs_are_refused_by_field(fields: dict[str, object], words: str) -> None:
    """More jobs than one question takes are refused with the field and what to do."""
    with pytest.raises(ValidationError) as caught:
        TroubleshootRequest.model_validate({"message": "x", **fields})
    told = str(describe(caught.value))
    assert words in told
    assert "ask about the others" in told


def test_thousands_of_ranges_are_refused_before_they_are_written_out() -> None:
    """The names in them are counted; no more of them are made than one question may be about."""
    ranges = [f"J{number}A0001..J{number}A9999" for number in range(2_000)]
    began = time.process_time()
    with pytest.raises(ValueError, match="19998000 jobs are named, and one question is about 200"):
        TroubleshootRequest(message="x", jobs=tuple(ranges))
    assert time.process_time() - began < 0.3
    twice = TroubleshootRequest(message="x", jobs=("J1..J150", "J101..J200") * 300)
    assert len(twice.named_jobs) == 200


def test_jobs_may_be_ranges_lists_and_patterns() -> None:
    """Ranges and lists are the jobs in them, and patterns stand apart."""
    request = TroubleshootRequest(message="x", job_name="A1..A2", jobs=("B, C e A1", "FECH0*"))
    assert (request.named_jobs, request.job_patterns) == (("A1", "A2", "B", "C"), ("FECH0*",))
    assert request.jobs == ("B", "C", "A1", "FECH0*")


def test_named_jobs_come_without_repeats() -> None:
    """The seed's single job leads the list, once."""
    request = TroubleshootRequest(message="x", job_name="B", jobs=("A", "B", "A"))
    assert request.named_jobs == ("B", "A")


@pytest.mark.parametrize(
    "fields",
    [
        {"message": ""},
        {"message": "   "},
        {"message": "x" * 8_001},
        {"message": "x", "jobs": [f"J{number}" for number in range(MAX_JOBS + 1)]},
        {"message": "x", "tws_instance_id": "../prod"},
        {"message": "x", "unknown": 1},
        {"message": "x", "config": {"node_timeout_seconds": 20}},
    ],
)
def test_a_wrong_request_is_refused(fields: dict[str, object]) -> None:
    """Empty and oversized questions, too many jobs and unknown fields are refused."""
    with pytest.raises(ValidationError):
        TroubleshootRequest.model_validate(fields)


def test_the_apps_older_intent_name_still_works() -> None:
    """``troubleshooting`` is troubleshoot."""
    assert Intent("troubleshooting") is Intent.TROUBLESHOOT
    with pytest.raises(ValueError, match="nonsense"):
        Intent("nonsense")


def test_no_data_is_a_success_and_late_is_none() -> None:
    """Of the seven outcomes, exactly ok and no_data are successes."""
    assert {outcome for outcome in SourceOutcome if outcome.is_success} == {SourceOutcome.OK, SourceOutcome.NO_DATA}


def test_two_states_are_closed_and_two_events_terminal() -> None:
    """A run is closed when done or cancelled; a stream ends with final or cancelled."""
    assert {state for state in RunState if state.is_closed} == {RunState.DONE, RunState.CANCELLED}
    assert {event for event in EventType if event.is_terminal} == {EventType.FINAL, EventType.CANCELLED}


def test_envelopes_are_keyed_by_job_and_source() -> None:
    """A source asked once per run and once per job have different keys."""
    assert source_key("metrics", None) == "metrics"
    assert SourceEnvelope(source="metrics", job="A", outcome=SourceOutcome.OK, success=True).key == "metrics|A"


def test_reports_survive_json_and_carry_a_version() -> None:
    """A report read back from its JSON is the same, and says its schema version."""
    report = Report(
        run_id="r",
        outcome=RunOutcome.PARTIAL,
        mode=AnswerMode.RAW,
        response="ç",
        evidence=(Evidence(id="a:1", source="a", kind="k", title="t", text="x"),),
    )
    assert Report.model_validate_json(report.model_dump_json()) == report
    assert report.schema_version == SCHEMA_VERSION


def test_the_contract_is_frozen() -> None:
    """Nothing on the wire can be changed in place."""
    request = TroubleshootRequest(message="x")
    with pytest.raises(ValidationError, match="frozen"):
        request.message = "y"  # type: ignore[misc]


def test_a_plan_lists_its_jobs_once() -> None:
    """The jobs of a plan are those its sources are asked about."""
    plan = Plan.model_validate(
        {
            "pipeline": "p",
            "routing": {"intent": "status", "confidence": 1, "language": "en"},
            "sources": [
                {"source": "a", "job": "X", "limit_seconds": 1},
                {"source": "b", "job": "X", "limit_seconds": 1},
                {"source": "c", "limit_seconds": 1},
            ],
            "reason": "r",
        }
    )
    assert plan.jobs == ("X",)


NEWER = {"message": "x", "priority": 1, "config": {"node_timeout_seconds": 2, "retries": {"a": 1}}}


@pytest.mark.parametrize("field", ["priority", "config.retries"])
def test_an_unknown_field_is_refused_where_people_write_and_ignored_in_the_store(field: str) -> None:
    """The same model refuses a typing error and reads what a newer version stored, at every level."""
    with pytest.raises(ValidationError) as refused:
        TroubleshootRequest.model_validate(NEWER)
    assert field in {".".join(map(str, item["loc"])) for item in refused.value.errors()}
    stored = TroubleshootRequest.model_validate(NEWER, context=STORED)
    assert stored == TroubleshootRequest(message="x", config=ParallelConfig(node_timeout_seconds=2))
    assert TroubleshootRequest.model_json_schema()["additionalProperties"] is False


ROUTING = {"intent": "status", "confidence": 1, "language": "en"}
ENVELOPE = {"source": "metrics", "outcome": "ok", "success": True}
REPORT = {"run_id": "r", "outcome": "complete", "mode": "llm", "response": "x"}
UNKNOWN: tuple[tuple[type[BaseModel], dict[str, object], str, object], ...] = (
    (Routing, ROUTING, "intent", Intent.UNKNOWN),
    (Routing, ROUTING, "language", Language.PT_BR),
    (SourceEnvelope, ENVELOPE, "outcome", SourceOutcome.ERROR),
    (SourceFailure, {"source": "metrics", "error": "x"}, "outcome", SourceOutcome.ERROR),
    (Report, REPORT, "outcome", RunOutcome.FAILED),
    (Report, REPORT, "mode", AnswerMode.RAW),
    (Action, {"text": "x"}, "risk", "high"),
    (RunSummary, {"run_id": "r", "message": "x", "created_at_ms": 1, "deadline_ms": 2}, "state", RunState.DISPATCHED),
)


@pytest.mark.parametrize(("model", "fields", "name", "meant"), UNKNOWN, ids=lambda value: str(value)[:40])
def test_a_value_that_only_a_newer_version_knows_is_read_with_care(
    model: type[BaseModel], fields: dict[str, object], name: str, meant: object
) -> None:
    """It never reads as a success, and never fails; a value of another type is refused as before."""
    assert getattr(model.model_validate(fields | {name: "of_tomorrow"}), name) == meant
    with pytest.raises(ValidationError):
        model.model_validate(fields | {name: 7})


def test_a_source_that_did_not_succeed_is_no_success() -> None:
    """What an older reader takes for an error does not count as an answer."""
    assert not SourceEnvelope.model_validate(ENVELOPE | {"outcome": "guessed"}).success
    assert SourceEnvelope.model_validate(ENVELOPE).success
