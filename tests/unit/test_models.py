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
    Entities,
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
    ranges = [f"J{number}A0001..J{number}A9999" for number in range(990)]
    began = time.process_time()
    with pytest.raises(ValueError, match="9899010 jobs are named, and one question is about 200"):
        TroubleshootRequest(message="x", jobs=tuple(ranges))
    assert time.process_time() - began < 0.3
    twice = TroubleshootRequest(message="x", jobs=("J1..J150", "J101..J200") * 300)
    assert len(twice.named_jobs) == 200


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"jobs": [1] * 500_000}, "jobs: 500000 items are given, and 1000 at most are read"),
        ({"entities": {"jobs": [1] * 500_000}}, "entities.jobs: 500000 items are given, and 1000 at most are read"),
        ({"config": {"disabled_sources": ["x"] * 9_000}}, "config.disabled_sources: 9000 items are given"),
        ({"config": {"disabled_sources": ["x"] * 65}}, "config.disabled_sources: 65 sources are named, and 64 at most"),
        ({"config": {"disabled_sources": ["x" * 33]}}, "' is not the name of a source"),
        ({"config": {"source_timeout_seconds": {f"s{n}": 1 for n in range(65)}}}, "65 sources are named"),
        ({f"field{n}": 1 for n in range(5_000)}, "5001 items are given"),
        ({"entities": {name: [{}] * 900 for name in Entities.model_fields}}, "items are given, and 2000 at most"),
        ({"k" * 500_000: 1}, "...: is not a known field"),
        ({"job_name": "A" + " " * 7_990 + "B"}, "job_name: 'A B' is not a TWS job name"),
        ({"jobs": ["A" + " " * 170_000 + "B"]}, "jobs: 'A B' is not a TWS job name"),
        ({"jobs": ["A" * 1_000] * 200}, "jobs: 200000 characters of names, and 180000 at most are read"),
        ({"entities": {"return_codes": [10**5_000]}}, "entities: a number with more than 15 digits is no return code"),
        ({"tws_instance_id": "a" * 500_000}, "tws_instance_id: String should have at most 100 characters"),
        ({"message": "\ud800", "user_id": "\udfff"}, "user_id: must be a valid string"),
    ],
)
def test_whatever_is_too_much_is_refused_by_field_soon_and_briefly(fields: dict[str, object], told: str) -> None:
    """No list, object or text makes a long work or a long error, however many of its items are wrong."""
    began = time.process_time()
    with pytest.raises(ValidationError) as caught:
        TroubleshootRequest.model_validate({"message": "x"} | fields)
    sentence = str(describe(caught.value))
    assert time.process_time() - began < 0.3
    assert told in sentence
    assert len(sentence) < 600


def test_of_many_problems_the_first_are_told() -> None:
    """Ten of them by field, and how many more there are."""
    with pytest.raises(ValidationError) as caught:
        TroubleshootRequest.model_validate({"message": "x", "jobs": [1] * 1_000})
    problems = str(describe(caught.value)).split("; ")
    assert (problems[9], problems[10:]) == ("jobs.9: must be a valid string", ["and 990 more problems"])


def test_a_source_name_that_an_older_version_let_in_can_be_read_again() -> None:
    """The limits bind what people and apps write; a stored request is read by every version."""
    stored = {"disabled_sources": ["Old Name"], "source_timeout_seconds": {f"s{n}": 1 for n in range(65)}}
    assert ParallelConfig.model_validate(stored, context=STORED).disabled_sources == ("Old Name",)


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
