"""A graph's state has the keys and shapes of the app, in and out, and the stored report keeps its own."""

from __future__ import annotations

import operator
from enum import Enum
from typing import Any, get_type_hints

import pytest

from orchestrator.aggregate import aggregate, failures
from orchestrator.app_state import ParallelState, fill_state, make_request, with_thread
from orchestrator.config import ParallelConfig
from orchestrator.diagnosis.render import render_raw
from orchestrator.errors import InvalidRequest
from orchestrator.i18n.languages import Language
from orchestrator.models import (
    AnswerMode,
    Entities,
    Intent,
    Report,
    Routing,
    RunOutcome,
    SourceEnvelope,
    SourceOutcome,
    TroubleshootRequest,
)
from orchestrator.routing.plan import plan_request

ALL = {"tws_status": 1, "rag_search": 0, "log_cache": 1, "metrics": 0}
CONFIG = ParallelConfig()


class AppIntent(str, Enum):  # noqa: UP042  # as the app writes it
    """The app's own enumeration."""

    STATUS = "status"
    UNKNOWN = "unknown"


def request(own: Intent | None = Intent.TROUBLESHOOT, /, **state: Any) -> TroubleshootRequest:
    return make_request({"message": "Job BATCH001 falhou", **state}, CONFIG, own)


@pytest.mark.parametrize(
    ("written", "intent"),
    [
        ("status", Intent.STATUS),
        ("troubleshooting", Intent.TROUBLESHOOT),
        (" Query ", Intent.QUERY),
        (AppIntent.STATUS, Intent.STATUS),
        (Intent.ACTION, Intent.ACTION),
        (AppIntent.UNKNOWN, None),
        ("chit-chat", None),
        ("", None),
        (None, None),
        (7, None),
    ],
)
@pytest.mark.parametrize("own", [Intent.TROUBLESHOOT, None])
def test_the_intent_of_the_state_is_heeded(written: object, intent: Intent | None, own: Intent | None) -> None:
    """The app's router decides; one that says nothing leaves it to the graph."""
    assert request(own, intent=written).intent is (intent or own)


@pytest.mark.parametrize(("written", "confidence"), [(0.5, 0.5), (1, 1.0), (2, None), ("0.9", None), (True, None)])
def test_a_doubtful_intent_does_not_narrow_the_sources(written: object, confidence: float | None) -> None:
    """The confidence of the state goes with its intent, and one that is none counts as sure."""
    made = request(intent="status", confidence=written)
    assert made.confidence == confidence
    plan = plan_request(made, ALL)
    assert plan.routing.confidence == (1.0 if confidence is None else confidence)
    assert len({planned.source for planned in plan.sources}) == (4 if confidence == 0.5 else 2)
    assert request(confidence=0.3).confidence is None


@pytest.mark.parametrize(
    ("written", "entities"),
    [
        ({"job_name": "FATDIA"}, Entities(jobs=("FATDIA",))),
        ({"jobs": ["A1", "B2"], "job_name": "A1"}, Entities(jobs=("A1", "B2"))),
        ({"job_name": "falhou"}, Entities()),
        ({"jobs": ["FALHOU", "Qual", "backup"]}, Entities()),
        ({"job_name": "BACKUP"}, Entities(jobs=("BACKUP",))),
        ({"jobs": ["FECH0*", "A1"]}, Entities(jobs=("A1",), job_patterns=("FECH0*",))),
        ({"job_name": "A' OR 1", "workstation": "AGT07"}, Entities(workstations=("AGT07",))),
        ({"error_code": "12"}, Entities(return_codes=(12,))),
        ({"error_code": "S0C7"}, Entities(abend_codes=("S0C7",))),
        ({"error_codes": ["AWSB1234E", "-1"]}, Entities(message_ids=("AWSB1234E",), return_codes=(-1,))),
        ({"workstation": "a b", "job_name": "FATDIA"}, Entities(jobs=("FATDIA",))),
        ({"action_type": "cancelar", "job_name": None, "job": [{"x": 1}]}, Entities()),
        ({"workstation": "a b"}, None),
        (["FATDIA"], None),
        (None, None),
    ],
)
def test_the_entities_of_the_state_are_understood(written: object, entities: Entities | None) -> None:
    """Whatever an app's router writes, what is a name or a code is taken, and the rest is no error."""
    assert request(entities=written).entities == entities


@pytest.mark.parametrize("code", ["9" * 5_000, 10**5_000, "x" * 9_000], ids=["text", "number", "word"])
def test_what_no_code_can_be_is_left_out_of_the_entities(code: object) -> None:
    """A number or a word of thousands of characters does not stop the app's graph."""
    entities = make_request({"message": "x", "entities": {"codes": [code, 12]}}, CONFIG, None).entities
    assert entities is None or entities.return_codes == (12,)


def test_the_entities_of_the_state_are_those_of_the_question() -> None:
    """They come first, and what the message names is asked about as well."""
    written = {"job_name": "FATDIA", "workstation": "AGT07", "error_code": "S0C7"}
    plan = plan_request(request(entities=written, message="e o job BATCH001? deu S0C4"), ALL)
    assert plan.jobs == ("FATDIA", "BATCH001")
    assert plan.routing.entities.workstations == ("AGT07",)
    assert plan.routing.entities.abend_codes == ("S0C7", "S0C4")
    again = plan_request(request(entities={"job_name": "batch001"}), ALL)
    assert again.jobs == ("batch001",)


def test_a_pipeline_of_the_state_is_asked_for() -> None:
    """By its name, or several as one."""
    assert request(pipeline="fechamento|status").pipeline == "fechamento|status"


def test_a_state_that_has_been_through_a_graph_is_routed_anew() -> None:
    """Of a state that is used again for the next question, the intent and the entities are those of the last one."""
    last = fill_state({"message": "Job BATCH001 falhou"}, report())
    made = make_request({**last, "message": "Como funciona o fence?"}, CONFIG, None)
    assert (made.intent, made.entities, made.confidence) == (None, None, None)


@pytest.mark.parametrize(
    ("written", "config", "session"),
    [
        ({}, {"configurable": {"thread_id": "t-1"}}, "t-1"),
        ({}, {"thread_id": 7}, "7"),
        ({"session_id": "s"}, {"thread_id": "t"}, "s"),
        ({}, {"configurable": {}}, None),
        ({}, None, None),
    ],
)
def test_a_thread_is_a_session(written: dict[str, Any], config: dict[str, Any] | None, session: str | None) -> None:
    """LangGraph's thread is the session of a state that names none."""
    assert with_thread({"message": "x", **written}, config).get("session_id") == session


@pytest.mark.parametrize("blank", ["", "  ", None])
def test_an_empty_text_in_a_state_is_no_value(blank: str | None) -> None:
    """As a form gives it for a field that was left out; an empty question stays an error."""
    state = dict.fromkeys(("job_name", "user_id", "session_id", "tws_instance_id", "pipeline"), blank)
    assert request(**state, jobs=[blank, "A1"]) == request(jobs=["A1"])
    assert request(**state, jobs=blank) == request()
    with pytest.raises(InvalidRequest, match=r"^message: "):
        request(message=blank)


def test_wrong_input_names_its_field() -> None:
    """What a person typed is refused, not guessed; a single job in place of a list is one job."""
    with pytest.raises(InvalidRequest, match=r"^job_name: "):
        request(job_name="A' OR 1")
    assert request(jobs="BATCH001").jobs == ("BATCH001",)


def test_entities_of_a_request_are_names() -> None:
    """Over HTTP too, entities hold names and codes alone."""
    for wrong in ({"workstations": ["senha=x"]}, {"jobs": ["1A"]}, {"times": ["às 22"]}):
        with pytest.raises(ValueError, match="is not a"):
            TroubleshootRequest.model_validate({"message": "x", "entities": wrong})


ENVELOPES = (
    SourceEnvelope(
        source="rag_search",
        outcome=SourceOutcome.OK,
        success=True,
        data={"query": "S0C7", "passages": [{"document": "s0c7.md", "text": "Campo não numérico", "score": 1.0}]},
        latency_ms=200,
    ),
    SourceEnvelope(
        source="log_cache",
        job="BATCH001",
        outcome=SourceOutcome.OK,
        success=True,
        data={"recent_errors": [], "history": [{"text": "ABEND"}]},
        latency_ms=50,
    ),
    SourceEnvelope(
        source="metrics",
        outcome=SourceOutcome.OK,
        success=True,
        data={
            "series": [
                {"name": "cache_hit_rate", "value": 0.9},
                {"name": "api_error_rate", "value": 0.02},
                {"name": "tws_connection_success_rate", "value": None},
                {"name": "own", "value": 1},
                "broken",
            ]
        },
        latency_ms=10,
    ),
    SourceEnvelope(
        source="tws_status",
        job="BATCH001",
        outcome=SourceOutcome.TIMEOUT,
        success=False,
        data={"half": "read"},
        error="não respondeu no limite de 5 s",
        reason="soft_time_limit",
        latency_ms=100,
    ),
)


def report(envelopes: tuple[SourceEnvelope, ...] = ENVELOPES, jobs: tuple[str, ...] = (), **fields: Any) -> Report:
    aggregated = aggregate(envelopes, jobs)
    routing = Routing(
        intent=Intent.STATUS, confidence=0.7, language=Language.PT_BR, entities=Entities(jobs=("BATCH001",))
    )
    return Report(
        **{
            "run_id": "run-00000001",
            "outcome": RunOutcome.PARTIAL,
            "mode": AnswerMode.RAW,
            "response": "resposta",
            "routing": routing,
            "aggregated_data": aggregated,
            "parallel_results": envelopes,
            "errors": failures(envelopes),
            **fields,
        }
    )


def test_the_app_reads_its_own_shapes() -> None:
    """Lists where the app has lists, empty values of their types, the app's names beside ours."""
    state = fill_state({"message": "x", "entities": {"action_type": "cancelar"}}, report())
    data = state["aggregated_data"]
    assert data["tws_status"] == {}
    assert [(item["source"], item["content"]) for item in data["rag_results"]] == [("s0c7.md", "Campo não numérico")]
    assert data["log_data"]["job_history"] == [{"text": "ABEND"}]
    assert data["metrics"]["cache"] == {"hit_rate": 0.9}
    assert data["metrics"]["slo"] == {"api_error_rate": 0.02}
    assert (data["metrics"]["cache_hit_rate"], data["metrics"]["error_rate"]) == (0.9, 0.02)
    assert (state["intent"], state["confidence"]) == ("status", 0.7)
    entities = state["entities"]
    assert (entities["job_name"], entities["jobs"], entities["action_type"]) == ("BATCH001", ["BATCH001"], "cancelar")
    found, *_, failed = state["parallel_results"]
    assert found["data"]["results"] == data["rag_results"]
    assert (failed["data"], failed["success"], failed["latency_ms"]) == ({}, False, 100)
    assert set(failed) >= {"source", "data", "latency_ms", "success", "error", "job", "outcome", "reason"}


def test_errors_are_sentences_and_beside_them_data() -> None:
    """A list of strings, as the app has it; a timeout says so in every language, wherever it is told."""
    state = fill_state({}, report())
    told = "timeout: não respondeu no limite de 5 s"
    assert state["errors"] == [f"tws_status (BATCH001): {told}"]
    assert state["parallel_results"][-1]["error"] == told
    assert state["aggregated_data"]["sources_failed"][0]["error"] == told
    (detail,) = state["error_details"]
    assert (state["job_reports"], state["groups"]) == ([], [])
    assert (detail["source"], detail["outcome"], detail["reason"]) == ("tws_status", "timeout", "soft_time_limit")
    assert detail["error"] == "não respondeu no limite de 5 s"


def test_a_step_that_failed_is_an_error_too() -> None:
    """An app that reads ``errors`` alone learns why the answer is the data as it came."""
    response = render_raw(language=Language.PT_BR, envelopes=ENVELOPES[:-1])
    state = fill_state({}, report(ENVELOPES[:-1], response=response, reason="aggregation: ValueError"))
    assert state["errors"] == ["A agregação falhou; seguem os dados de cada fonte como chegaram."]


def test_the_stored_report_keeps_its_shapes() -> None:
    """What becomes the app's is a copy: a report that is read elsewhere is as it was."""
    stored = report()
    before = stored.model_dump_json()
    fill_state({}, stored)
    assert stored.model_dump_json() == before
    assert stored.aggregated_data.tws_status is None


@pytest.mark.parametrize(
    ("outcome", "errors"),
    [
        (RunOutcome.FAILED, ["Não foi possível"]),
        (RunOutcome.TIMED_OUT, ["timeout: Não foi possível"]),
        (RunOutcome.COMPLETE, []),
    ],
)
def test_a_run_that_failed_has_an_error(outcome: RunOutcome, errors: list[str]) -> None:
    """An app that looks at ``errors`` alone sees that there is no answer, and figures can be formatted."""
    empty = report((), outcome=outcome, response="## Não foi possível\n\ndetalhe\n")
    state = fill_state({}, empty)
    assert state["errors"] == errors
    data = state["aggregated_data"]
    assert (data["tws_status"], data["rag_results"], data["log_data"], data["metrics"]) == ({}, [], {}, {})
    assert f"{state['metadata']['speedup_factor']:.2f}" == "1.00"


def test_data_of_several_jobs_stays_by_job() -> None:
    """With several jobs a field maps each job to its data in the app's shapes; knowledge is one list."""
    jobs = ("A1", "B2")
    envelopes = tuple(
        SourceEnvelope(source=source, job=job, outcome=SourceOutcome.OK, success=True, data=data)
        for job in jobs
        for source, data in (("log_cache", {"history": [job]}), ("rag_search", {"passages": [{"text": job}]}))
    )
    data = fill_state({}, report(envelopes, jobs))["aggregated_data"]
    assert {job: part["job_history"] for job, part in data["log_data"].items()} == {"A1": ["A1"], "B2": ["B2"]}
    assert [(item["job"], item["content"]) for item in data["rag_results"]] == [("A1", "A1"), ("B2", "B2")]


def test_parallel_nodes_of_an_app_can_write_the_same_state() -> None:
    """Results and errors have the reducers that LangGraph needs for nodes that run at the same time."""
    hints = get_type_hints(ParallelState, include_extras=True)
    assert hints["parallel_results"].__metadata__ == (operator.add,)
    assert hints["errors"].__metadata__ == (operator.add,)
