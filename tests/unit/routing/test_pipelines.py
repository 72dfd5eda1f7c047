"""Which sources a question is worth: the table, its composition, and the plan made of it."""

from __future__ import annotations

from typing import Any

import pytest

from orchestrator.config import ParallelConfig
from orchestrator.errors import InvalidRequest
from orchestrator.i18n.languages import Language
from orchestrator.models import (
    MAX_JOBS,
    Entities,
    Intent,
    Plan,
    PlannedSource,
    Routing,
    TroubleshootRequest,
    part_of,
    read_part,
)
from orchestrator.routing.pipeline import ACTION, BUILT_IN, GENERAL, STATUS, TROUBLESHOOT, Reduce
from orchestrator.routing.pipelines import plan_jobs, plan_run, reduce_of
from orchestrator.routing.plan import check_minimum, plan_request

PER_JOB = {"tws_status": 1, "rag_search": 0, "log_cache": 1, "metrics": 0}


def plan(
    intent: Intent = Intent.TROUBLESHOOT,
    *,
    confidence: float = 0.9,
    jobs: tuple[str, ...] = (),
    per_job: dict[str, int] | None = None,
    named: tuple[str, ...] = (),
    **config: Any,
) -> Plan:
    """Plan a run for a question of that intent."""
    routing = Routing(intent=intent, confidence=confidence, language=Language.EN, entities=Entities(jobs=jobs))
    request = TroubleshootRequest(message="?", jobs=named, config=ParallelConfig(**config))
    return plan_run(request, routing, PER_JOB if per_job is None else per_job)


def asked(made: Plan) -> list[str]:
    """The sources of a plan, each once."""
    return list(dict.fromkeys(planned.source for planned in made.sources))


@pytest.mark.parametrize(
    ("intent", "sources"),
    [
        (Intent.TROUBLESHOOT, ["tws_status", "rag_search", "log_cache", "metrics"]),
        (Intent.STATUS, ["tws_status", "log_cache"]),
        (Intent.QUERY, ["rag_search", "tws_status"]),
        (Intent.ACTION, ["tws_status", "rag_search", "log_cache"]),
        (Intent.GENERAL, ["rag_search"]),
        (Intent.UNKNOWN, ["tws_status", "rag_search", "log_cache", "metrics"]),
    ],
)
def test_the_intent_chooses_the_sources(intent: Intent, sources: list[str]) -> None:
    """Each intent asks the sources of its pipeline, and an unknown one asks all four."""
    made = plan(intent)

    assert asked(made) == sources
    assert made.pipeline
    assert intent.value in made.reason
    assert all(source in made.reason for source in sources)


def test_an_uncertain_intent_is_not_narrowed() -> None:
    """Below ``CERTAIN_ENOUGH`` every source is asked: a guess must not hide the cause."""
    assert asked(plan(Intent.GENERAL, confidence=0.4)) == ["tws_status", "rag_search", "log_cache", "metrics"]


def test_a_question_about_a_named_job_also_asks_its_history() -> None:
    """Knowledge about a job composes with its status: both pipelines' sources, the knowledge reduce."""
    made = plan(Intent.QUERY, jobs=("BATCH001",))

    assert asked(made) == ["rag_search", "tws_status", "log_cache"]
    assert made.pipeline == "query+status"
    assert reduce_of(made) is Reduce.KNOWLEDGE


def test_pipelines_compose() -> None:
    """Two pipelines make one: sources in order without repeats, the left one's reduce, any one's site sources."""
    both = GENERAL | TROUBLESHOOT

    assert both.sources == ("rag_search", "tws_status", "log_cache", "metrics")
    assert both.reduce is GENERAL.reduce
    assert both.site_sources
    assert not (STATUS | ACTION).site_sources


def test_every_pipeline_can_be_found_by_the_name_in_a_plan() -> None:
    """A plan carries its reduce; in one of an older version it is found by name, and is the diagnosis else."""
    older = plan().model_copy(update={"reduce": ""})
    of_name = {pipeline.name: reduce_of(older.model_copy(update={"pipeline": pipeline.name})) for pipeline in BUILT_IN}
    assert of_name == {pipeline.name: pipeline.reduce for pipeline in BUILT_IN}
    assert set(of_name.values()) == set(Reduce)
    assert reduce_of(older.model_copy(update={"pipeline": "query+status"})) is Reduce.KNOWLEDGE
    assert reduce_of(older.model_copy(update={"pipeline": "a site's own"})) is Reduce.DIAGNOSIS
    assert reduce_of(older.model_copy(update={"pipeline": "a site's own", "reduce": "status"})) is Reduce.STATUS


def test_only_per_job_sources_are_asked_once_per_job() -> None:
    """A source that is asked once per run carries no job; the others carry each job in order."""
    made = plan(jobs=("A1", "B2"))

    assert [planned.key for planned in made.sources] == [
        "tws_status|A1",
        "tws_status|B2",
        "rag_search",
        "log_cache|A1",
        "log_cache|B2",
        "metrics",
    ]
    assert made.jobs == ("A1", "B2")


def test_a_source_that_takes_many_jobs_is_asked_in_batches() -> None:
    """Several jobs make batches of about the same size; one job, and a source that takes one, have a task each."""
    per_task = {"tws_status": 4, "log_cache": 1, "metrics": 0}
    jobs = tuple(f"JOB{number}" for number in range(9))
    made = plan(jobs=jobs, per_job=per_task)

    batches = [planned for planned in made.sources if planned.source == "tws_status"]
    assert [(planned.key, len(planned.jobs)) for planned in batches] == [
        ("tws_status|+1", 3),
        ("tws_status|+2", 3),
        ("tws_status|+3", 3),
    ]
    assert tuple(job for planned in batches for job in planned.jobs) == jobs
    assert [planned.job for planned in made.sources if planned.source == "log_cache"] == list(jobs)
    assert [planned.key for planned in made.asked if planned.source == "tws_status"] == [
        f"tws_status|{j}" for j in jobs
    ]
    assert made.jobs == jobs

    one = plan(jobs=("JOB1",), per_job=per_task)
    assert [(planned.key, planned.batch) for planned in one.sources if planned.job] == [
        ("tws_status|JOB1", None),
        ("log_cache|JOB1", None),
    ]
    assert [planned.part for planned in plan(per_job=per_task).sources] == [None] * 3


def test_batches_of_a_later_stage_go_on_counting() -> None:
    """The number of a batch is unique for its source over the whole run."""
    planned = PlannedSource(source="tws_status", limit_seconds=1)
    assert [batch.part for batch in plan_jobs(planned, ("A1", "B2", "C3"), 2, first_batch=4)] == ["+4", "+5"]


@pytest.mark.parametrize("part", [None, "JOB1", "+7", "@1", "PAY#D010"])
def test_a_part_of_a_question_is_read_as_it_was_written(part: str | None) -> None:
    """A message names a job, a batch or neither, and no job of z/OS is taken for a batch."""
    job, batch = read_part(part)
    assert part_of(job, batch) == part
    assert batch == (7 if part == "+7" else None)


def test_too_many_jobs_are_cut_and_said() -> None:
    """At most MAX_JOBS jobs are asked about, and a note says that there were more."""
    made = plan(jobs=tuple(f"JOB{number}" for number in range(MAX_JOBS + 3)))

    assert len(made.jobs) == MAX_JOBS
    assert made.left_out == 3
    assert any(str(MAX_JOBS + 3) in note for note in made.notes)


def test_tws_is_required_and_nothing_else_is() -> None:
    """Only what TWS itself says is marked as required."""
    assert {planned.source for planned in plan().sources if planned.required} == {"tws_status"}


def test_switches_and_limits_hold() -> None:
    """A switched-off source is not asked, each limit is the configuration's, and clipping is noted."""
    made = plan(
        enable_metrics=False,
        disabled_sources=("log_cache",),
        node_timeout_seconds=7,
        total_timeout_seconds=10,
        source_timeout_seconds={"rag_search": 1.5},
    )

    assert {planned.source: planned.limit_seconds for planned in made.sources} == {"tws_status": 6.0, "rag_search": 1.5}
    assert any("node timeout of 7 s" in note for note in made.notes)
    assert "switched off: log_cache, metrics" in made.reason


def test_nothing_enabled_is_refused() -> None:
    """With every source switched off the request is refused, naming the switches."""
    off = {f"enable_{name}": False for name in PER_JOB}

    with pytest.raises(InvalidRequest, match="enable_tws_status"):
        plan(**off)


def test_a_pipeline_left_without_sources_asks_the_rest() -> None:
    """When all of a narrow pipeline's sources are off, the remaining ones are asked, and a note says so."""
    made = plan(Intent.GENERAL, enable_rag_search=False)

    assert asked(made) == ["tws_status", "log_cache", "metrics"]
    assert any("switched off" in note for note in made.notes)


def test_a_narrow_pipeline_is_widened_to_the_required_minimum() -> None:
    """A plan never has fewer sources than min_sources_required while others are enabled."""
    made = plan(Intent.GENERAL, min_sources_required=2)

    assert asked(made) == ["rag_search", "tws_status"]
    assert any("min_sources_required is 2" in note for note in made.notes)


def test_a_minimum_that_cannot_be_reached_is_clipped_and_told() -> None:
    """Where fewer sources are installed than where the run was submitted, the plan's notes say what holds."""
    made = plan(per_job={"tws_status": 1, "metrics": 0}, min_sources_required=4)

    assert asked(made) == ["tws_status", "metrics"]
    clipped = "min_sources_required of 4 was clipped to 2, the number of sources that are queried"
    assert clipped in made.notes
    assert clipped not in plan(min_sources_required=4).notes


def test_a_minimum_above_the_enabled_sources_is_refused() -> None:
    """The error names the field, what was asked for and what there is; none at all is left to the answer."""
    off = {"enable_metrics": False, "disabled_sources": ("log_cache",)}
    check_minimum(ParallelConfig(**off, min_sources_required=2))
    with pytest.raises(InvalidRequest) as caught:
        check_minimum(ParallelConfig(**off, min_sources_required=3))
    assert str(caught.value) == (
        "min_sources_required (3) must not be greater than the number of sources that are switched on "
        "(2: tws_status, rag_search)"
    )
    check_minimum(ParallelConfig(**{f"enable_{name}": False for name in PER_JOB}))
    check_minimum(ParallelConfig(min_sources_required=0))


def test_a_sites_own_source_is_asked_unless_the_pipeline_is_narrowed() -> None:
    """A source that a site has installed takes part in troubleshooting, not in a plain question of status."""
    per_job = {**PER_JOB, "change_calendar": 0}

    assert "change_calendar" in asked(plan(per_job=per_job))
    assert "change_calendar" not in asked(plan(Intent.STATUS, per_job=per_job))


def test_a_source_that_is_not_installed_is_noted() -> None:
    """A pipeline's source that is not installed is left out, and the plan says so."""
    made = plan(per_job={"tws_status": 1})

    assert asked(made) == ["tws_status"]
    assert "metrics is not installed" in made.notes


def test_notes_are_in_the_language_of_the_question() -> None:
    """What was clipped, left out or misspelt is told in the language that the answer will have."""
    config = ParallelConfig(node_timeout_seconds=7, disabled_sources=("tws",), enable_metrics=False)
    notes = plan_request(TroubleshootRequest(message="O job BATCH001 falhou?", config=config), PER_JOB).notes

    assert notes == (
        "o tempo de cada fonte (node timeout) de 7 s foi reduzido a 6 s: o total (total timeout) menos a reserva",
        "disabled_sources: nenhuma fonte se chama 'tws'",
    )
