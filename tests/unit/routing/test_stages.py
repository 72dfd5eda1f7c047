"""A question about jobs that the plan has to find: what is asked first, and what of the jobs that are found."""

from __future__ import annotations

from typing import Any

import pytest

from orchestrator.models import (
    MAX_JOBS,
    Entities,
    Plan,
    SourceEnvelope,
    SourceOutcome,
    TroubleshootRequest,
)
from orchestrator.routing.listing import maps_jobs
from orchestrator.routing.plan import plan_request
from orchestrator.routing.router import entities_of
from orchestrator.routing.stages import all_stages, next_stage

JOBS_PER_TASK = {"tws_status": 25, "rag_search": 0, "log_cache": 25, "metrics": 0, "tickets": 1}


def planned(message: str, **fields: Any) -> Plan:
    return plan_request(TroubleshootRequest(message=message, **fields), JOBS_PER_TASK)


def keys_of(plan: Plan) -> list[str]:
    return [source.key for source in plan.sources]


def a_list(*jobs: str, count: int | None = None, success: bool = True) -> dict[str, SourceEnvelope]:
    data = {"found": list(jobs), "found_count": len(jobs) if count is None else count}
    outcome = SourceOutcome.OK if success else SourceOutcome.ERROR
    return {"tws_status": SourceEnvelope(source="tws_status", outcome=outcome, success=success, data=data)}


@pytest.mark.parametrize(
    "message",
    [
        "o que falhou hoje?",
        "todos os jobs em abend do stream FECHADIA",
        "quais jobs estão em abend?",
        "liste os jobs que falharam",
        "quais jobs estão em HOLD e por quê?",
        "which jobs failed last night?",
        "all the jobs in ABEND",
        "¿qué trabajos fallaron?",
        "todos los trabajos en abend",
    ],
)
def test_a_list_of_what_failed_is_mapped_over_its_jobs(message: str) -> None:
    """And so is any list that is asked for with its reasons."""
    assert maps_jobs(message, entities_of(message, ()))


@pytest.mark.parametrize(
    "message",
    [
        "quantos jobs falharam hoje?",
        "quais jobs estão rodando?",
        "jobs em HOLD",
        "quais streams estão em abend?",
        "workstations offline",
        "Job BATCH001 falhou com ABEND S0C7",
        "o que é um abend?",
        "status dos jobs",
        "lista todos os jobs",
    ],
)
def test_any_other_question_has_one_stage(message: str) -> None:
    """Numbers, states that are no problem, other objects, and jobs that are named."""
    assert not maps_jobs(message, entities_of(message, ()))
    assert planned(message).then == ()


def test_a_pattern_is_mapped_whatever_the_words_but_for_a_number() -> None:
    """Its jobs are as good as named."""
    entities = Entities(job_patterns=("FECH0*",))
    assert maps_jobs("FECH0* falhou", entities)
    assert maps_jobs("jobs FECH0* em HOLD", entities)
    assert not maps_jobs("quantos jobs FECH0* falharam?", entities)


def test_the_first_stage_asks_what_needs_no_job() -> None:
    """The second waits for the list alone; the knowledge base is asked when there is something to search for."""
    plan = planned("o que falhou hoje?")
    assert keys_of(plan) == ["tws_status", "log_cache", "metrics", "tickets"]
    assert [source.key for source in plan.awaited] == ["tws_status"]
    (later,) = plan.then
    assert [source.source for source in later.sources] == ["tws_status", "rag_search", "log_cache", "tickets"]


def test_the_second_stage_asks_each_source_about_the_found_jobs() -> None:
    """In batches where a source takes many, once per run where it takes none."""
    plan = planned("o que falhou hoje?")
    stage = next_stage(plan, a_list("FATDIA.FAT001", "FATDIA.FAT002"))
    assert (stage.stage, stage.then, stage.notes, stage.left_out) == (2, (), (), 0)
    assert keys_of(stage) == [
        "tws_status|+1",
        "rag_search",
        "log_cache|+1",
        "tickets|FATDIA.FAT001",
        "tickets|FATDIA.FAT002",
    ]
    whole = plan.with_stage(stage)
    assert whole.jobs == ("FATDIA.FAT001", "FATDIA.FAT002")
    assert len({source.key for source in whole.sources}) == len(whole.sources) == 9


def test_a_single_job_has_a_task_of_its_own() -> None:
    """It is asked about as if it had been named."""
    stage = next_stage(planned("o que falhou hoje?"), a_list("FAT001"))
    assert "tws_status|FAT001" in keys_of(stage)


@pytest.mark.parametrize("answers", [{}, a_list(), a_list("A1", success=False)], ids=["none", "empty", "failed"])
def test_without_jobs_only_what_was_not_asked_is(answers: dict[str, SourceEnvelope]) -> None:
    """Nothing failed, or the list did: the answer is as good as that of a question without stages."""
    assert keys_of(next_stage(planned("o que falhou hoje?"), answers)) == ["rag_search"]
    assert keys_of(next_stage(planned("quais jobs estão em abend?"), answers)) == []


def test_what_is_left_out_of_too_many_jobs_is_said() -> None:
    """The note counts all jobs, and the run is partial at most."""
    found = [f"FAT{number:04d}" for number in range(MAX_JOBS)]
    stage = next_stage(planned("o que falhou hoje?"), a_list(*found, count=MAX_JOBS + 37))
    assert len(stage.jobs) == MAX_JOBS
    assert stage.left_out == 37
    assert stage.notes == ("foram encontrados 237 jobs; os 200 piores são examinados",)


@pytest.mark.parametrize(
    ("named", "found", "jobs"),
    [
        (["FAT001"], ["MDM#FATDIA.FAT001", "MDM#FATDIA.FAT002"], ("FAT001", "MDM#FATDIA.FAT002")),
        (["fat001"], ["MDM#FATDIA.FAT001"], ("fat001",)),
        (["FATDIA.FAT001"], ["MDM#FATMES.FAT001"], ("FATDIA.FAT001", "MDM#FATMES.FAT001")),
        (["FAT001"], ["A.FAT001", "B.FAT001"], ("FAT001", "A.FAT001", "B.FAT001")),
        (["FAT001", "A.FAT001"], ["A.FAT001", "B.FAT001"], ("A.FAT001", "B.FAT001")),
    ],
    ids=["found", "other-case", "other-stream", "either", "one-of-two"],
)
def test_a_job_that_is_named_and_found_is_asked_about_once(
    named: list[str], found: list[str], jobs: tuple[str, ...]
) -> None:
    """By the name in the question; where the plan has two of that name, it is not known which of them is meant."""
    plan = planned("e os FAT0* também?", jobs=named)
    stage = next_stage(plan, a_list(*found))
    assert plan.with_stage(stage).jobs == jobs


def test_a_list_beside_a_named_job_is_asked_as_well() -> None:
    """The job in the first stage, and the jobs of the list in the second; another list is said to be left out."""
    plan = planned("o BATCH001 e todos os jobs em abend do stream FECHADIA")
    assert keys_of(plan)[0] == "tws_status|BATCH001"
    assert "tws_status" in keys_of(plan)
    stage = next_stage(plan, a_list("FECHADIA.FAT001"))
    assert plan.with_stage(stage).jobs == ("BATCH001", "FECHADIA.FAT001")
    other = planned("o BATCH001 falhou, e quais jobs estão rodando?", language="en")
    assert other.then == ()
    assert any("the list was left out" in note for note in other.notes)


def test_names_that_are_no_jobs_are_not_asked_about() -> None:
    """What a source gives as found may be anything."""
    answers = a_list("FAT001", "+1", "a b\nc", "")
    answers["tws_status"].data["found"] += [7, None]
    assert next_stage(planned("o que falhou hoje?"), answers).jobs == ("FAT001",)


def test_the_stages_that_did_not_come_are_known() -> None:
    """A run that is finished before names what it did not ask."""
    plan = all_stages(planned("o que falhou hoje?"), a_list("FAT001"))
    assert plan.then == ()
    assert "log_cache|FAT001" in keys_of(plan)
    assert all_stages(plan, {}) is plan
