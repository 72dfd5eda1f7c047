"""The rules over what the real sources find in each scenario, and when one of the sources is missing."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import fakeredis
import pytest
from asked_support import envelope_of

from orchestrator.aggregate import aggregate, number_evidence
from orchestrator.codes.states import FAILED
from orchestrator.config import ParallelConfig
from orchestrator.diagnosis.commands import is_rerun
from orchestrator.diagnosis.evidence import check_diagnosis
from orchestrator.diagnosis.render import render_markdown
from orchestrator.diagnosis.rules.diagnose import diagnose
from orchestrator.errors import SourceError
from orchestrator.i18n.languages import Language
from orchestrator.models import (
    AnswerMode,
    Diagnosis,
    PlannedSource,
    SourceEnvelope,
    SourceOutcome,
    SourceRequest,
    TroubleshootRequest,
)
from orchestrator.routing.pipelines import plan_run
from orchestrator.routing.router import route
from orchestrator.sources import BUILTIN_SOURCES, load_source
from workers.lab.simulator.faults import Fault
from workers.lab.simulator.hwa import HwaSimulator
from workers.lab.simulator.metrics import AppMetricsServer
from workers.lab.simulator.scenarios import SCENARIO_NUMBERS, Scenario, get_scenario
from workers.sources.log_cache import source as log_cache

PER_JOB = {name: load_source(name).per_job for name in BUILTIN_SOURCES}
LIMIT_SECONDS = 30.0
FAULT_LIMIT_SECONDS = 1.5
"""Where a counterpart never answers."""


class Answer:
    """A scenario's diagnosis with everything it rests on."""

    def __init__(self, scenario: Scenario, request: TroubleshootRequest, envelopes: list[SourceEnvelope]) -> None:
        routing = route(request.message, jobs=request.named_jobs, language=request.language)
        self.plan = plan_run(request, routing, PER_JOB)
        self.envelopes = number_evidence(envelopes)
        self.aggregated = aggregate(self.envelopes, self.plan.jobs)
        self.evidence = [item for envelope in self.envelopes for item in envelope.evidence]
        self.diagnosis: Diagnosis = diagnose(request, self.plan, self.envelopes, self.aggregated)
        self.text = render_markdown(
            self.diagnosis,
            language=routing.language,
            aggregated=self.aggregated,
            evidence=self.evidence,
            mode=AnswerMode.DETERMINISTIC,
        )
        self.scenario = scenario


def ask(
    number: int, monkeypatch: pytest.MonkeyPatch, cache: Path, *faults: Fault
) -> tuple[Scenario, TroubleshootRequest, list[Any]]:
    """Fetch a scenario from all four sources, each as a worker would."""
    scenario = get_scenario(number)
    if faults:
        scenario = replace(scenario, faults=faults)
    request = TroubleshootRequest(message=scenario.question, job_name=scenario.job_name, config=ParallelConfig())
    redis = fakeredis.FakeServer()

    def connect(*_: object, **__: object) -> fakeredis.FakeAsyncRedis:
        return fakeredis.FakeAsyncRedis(server=redis)

    monkeypatch.setattr(log_cache, "connect", connect)
    simulator = HwaSimulator(scenario.plan, faults=tuple(scenario.faults))
    with simulator, AppMetricsServer(scenario.metrics_text) as metrics:
        environ = {**simulator.environ(), "RESYNC_METRICS_URL": metrics.url, "XDG_CACHE_HOME": str(cache)}
        return scenario, request, asyncio.run(_fetch_all(scenario, request, environ, connect()))


async def _fetch_all(
    scenario: Scenario, request: TroubleshootRequest, environ: Mapping[str, str], redis: fakeredis.FakeAsyncRedis
) -> list[SourceEnvelope]:
    for key, value in scenario.log_cache.items():
        await redis.set(key, value)
    await redis.aclose()
    plan = plan_run(request, route(request.message, jobs=request.named_jobs), PER_JOB)
    limit_seconds = FAULT_LIMIT_SECONDS if scenario.faults else LIMIT_SECONDS
    fetches = (_fetch(planned, plan.routing, request, environ, limit_seconds) for planned in plan.sources)
    return list(await asyncio.gather(*fetches))


async def _fetch(
    planned: PlannedSource,
    routing: Any,
    request: TroubleshootRequest,
    environ: Mapping[str, str],
    limit_seconds: float,
) -> SourceEnvelope:
    source = load_source(planned.source).create(environ)
    asked = SourceRequest(
        run_id="run-00000001",
        source=planned.source,
        job=planned.job,
        message=request.message,
        routing=routing,
        limit_seconds=limit_seconds,
    )
    try:
        result = await source.fetch(asked)
    except SourceError as error:
        outcome = SourceOutcome.TIMEOUT if error.reason == "timeout" else SourceOutcome.ERROR
        return SourceEnvelope(
            source=planned.source,
            job=planned.job,
            outcome=outcome,
            success=False,
            error=str(error),
            reason=error.reason,
            latency_ms=1_500,
        )
    finally:
        await source.close()
    return envelope_of(planned, result, routing.language)


@pytest.fixture(scope="module")
def fetched(tmp_path_factory: pytest.TempPathFactory) -> dict[int, Any]:
    """Every scenario, asked once."""
    cache = tmp_path_factory.mktemp("cache")
    with pytest.MonkeyPatch.context() as monkeypatch:
        return {number: ask(number, monkeypatch, cache) for number in SCENARIO_NUMBERS}


@pytest.mark.parametrize("number", SCENARIO_NUMBERS)
def test_each_scenario_gets_its_category(fetched: dict[int, Any], number: int) -> None:
    """The rules come to the scenario's category from what the real sources found."""
    answer = Answer(*fetched[number])

    assert answer.diagnosis.category == answer.scenario.category


@pytest.mark.parametrize("language", Language)
@pytest.mark.parametrize("missing", [None, *BUILTIN_SOURCES])
@pytest.mark.parametrize("number", SCENARIO_NUMBERS)
def test_the_rules_answer_passes_the_check_of_a_models(
    fetched: dict[int, Any], number: int, missing: str | None, language: Language
) -> None:
    """Nothing of the rules' answer is dropped, marked or altered by the check that a model's answer has to pass."""
    scenario, request, envelopes = fetched[number]
    found = envelopes if missing is None else without(missing, envelopes)
    answer = Answer(scenario, request.model_copy(update={"language": language}), found)
    entities = answer.plan.routing.entities
    codes = (*entities.codes, *map(str, entities.return_codes))

    checked, report = check_diagnosis(answer.diagnosis, answer.evidence, question_codes=codes, language=language)

    assert (report.claims_dropped, report.hypotheses_dropped, report.ids_removed) == (0, 0, 0)
    assert (report.actions_marked, report.unsupported_fields) == (0, ())
    assert checked == answer.diagnosis


@pytest.mark.parametrize("number", SCENARIO_NUMBERS)
def test_every_change_is_a_proposal(fetched: dict[int, Any], number: int) -> None:
    """A step that would change something says so, and so does the rendered answer."""
    answer = Answer(*fetched[number])
    changes = [action for action in answer.diagnosis.actions if action.mutates]

    assert all(action.risk != "none" for action in changes)
    assert answer.text.count("não executada") == sum(action.risk != "none" for action in answer.diagnosis.actions)


@pytest.mark.parametrize("missing", ["rag_search", "log_cache", "metrics"])
@pytest.mark.parametrize("number", SCENARIO_NUMBERS)
def test_a_source_that_helps_may_be_missing(fetched: dict[int, Any], number: int, missing: str) -> None:
    """Without one of the sources that only corroborate, the category stays, less sure, and the gap is named."""
    scenario, request, envelopes = fetched[number]
    whole = Answer(scenario, request, envelopes)

    answer = Answer(scenario, request, without(missing, envelopes))

    assert answer.diagnosis.category == scenario.category
    assert answer.diagnosis.confidence <= whole.diagnosis.confidence
    assert any(text.startswith(missing) for text in answer.diagnosis.missing_evidence)


@pytest.mark.parametrize("number", SCENARIO_NUMBERS)
def test_without_tws_the_answer_is_unsure_and_says_what_is_missing(fetched: dict[int, Any], number: int) -> None:
    """Without what TWS says, confidence stays low and the missing state and job log are named."""
    scenario, request, envelopes = fetched[number]

    answer = Answer(scenario, request, without("tws_status", envelopes))

    assert answer.diagnosis.confidence <= 0.4
    assert answer.diagnosis.category in (scenario.category, "unknown")
    assert any(text.startswith("tws_status") for text in answer.diagnosis.missing_evidence)


def test_the_decisive_line_of_the_job_log_is_quoted(fetched: dict[int, Any]) -> None:
    """The answer about S0C7 quotes the line that ends the step and cites where it stands."""
    answer = Answer(*fetched[1])
    quoted = next(claim for claim in answer.diagnosis.claims if "ABEND=S0C7" in claim.text)

    assert "IEF450I BATCH001 STEP030 - ABEND=S0C7" in quoted.text
    assert all(identifier.startswith("tws_status:") for identifier in quoted.evidence_ids)
    assert "STEP030" in answer.diagnosis.summary
    assert "2 vezes antes" in answer.text


@pytest.mark.parametrize(
    "fault",
    [Fault("/joblog", status=500), Fault("/joblog", status=403), Fault("/joblog", latency_seconds=60)],
    ids=["500", "403", "silent"],
)
@pytest.mark.parametrize("number", [1, 2, 6])
def test_no_rerun_is_proposed_while_the_log_is_unread(
    number: int, fault: Fault, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Of a failed job whose log could not be read, the answer says so, how to read it, and proposes no rerun."""
    answer = Answer(*ask(number, monkeypatch, tmp_path, fault))
    job = answer.scenario.job_name or ""

    assert answer.envelopes[0].data["job"]["status"] in FAILED
    assert not [action for action in answer.diagnosis.actions if is_rerun(action)]
    assert "conman rr" not in answer.text
    assert any(job in gap and "job log" in gap for gap in answer.diagnosis.missing_evidence)
    assert any((action.command or "").endswith(";stdlist") for action in answer.diagnosis.actions)


def test_what_failed_beside_the_search_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Neighbours and issues that could not be read are missing evidence, each with its reason; the rest is answered."""
    faults = (Fault("/predecessors", status=500), Fault("/successors", status=403), Fault("/issues", status=500))
    answer = Answer(*ask(1, monkeypatch, tmp_path, *faults))

    assert answer.diagnosis.category == answer.scenario.category
    (gap,) = [text for text in answer.diagnosis.missing_evidence if "TWS" in text]
    assert "(server_error)" in gap
    assert "(forbidden)" in gap
    assert gap.count("BATCH001") == 3
    assert any(is_rerun(action) for action in answer.diagnosis.actions)


def test_the_red_herring_is_named_and_not_followed(fetched: dict[int, Any]) -> None:
    """A high error rate of the application is reported as no cause of a job that met its success condition."""
    answer = Answer(*fetched[9])

    assert "RC<=4" in answer.diagnosis.summary
    assert "não explica este caso" in answer.text
    assert not [action for action in answer.diagnosis.actions if action.mutates]


def test_an_order_in_an_old_log_is_reported_and_not_followed(fetched: dict[int, Any]) -> None:
    """The instruction in the six days old log is reported as suspicious and stands in no step."""
    answer = Answer(*fetched[10])

    assert answer.diagnosis.suspicious
    assert answer.diagnosis.confidence <= 0.3
    assert not [a for a in answer.diagnosis.actions if a.mutates or "cancel" in f"{a.text} {a.command}".casefold()]
    assert any("6 dias" in text for text in answer.diagnosis.missing_evidence)


def test_a_stuck_stream_is_told_as_its_cause_and_whom_it_holds(fetched: dict[int, Any]) -> None:
    """Asked about a stream, the answer names the job that failed, its return code and the three it holds."""
    answer = Answer(*fetched[5])

    assert "JOB_A" in answer.diagnosis.summary
    assert "RC 5" in answer.diagnosis.summary
    assert all(name in answer.diagnosis.summary for name in ("JOB_B", "JOB_C", "JOB_D"))


def test_jobs_with_one_cause_are_told_once(fetched: dict[int, Any]) -> None:
    """Twelve jobs on one unlinked agent are one finding, not twelve."""
    answer = Answer(*fetched[7])
    unlinked = [item for item in answer.diagnosis.hypotheses if item.category == "agent_unlinked"]

    assert "12 jobs" in answer.diagnosis.summary
    assert "AGT07" in answer.diagnosis.summary
    assert len(unlinked) == 1


def without(source: str, envelopes: list[SourceEnvelope]) -> list[SourceEnvelope]:
    """The envelopes as they would be, had ``source`` not answered in time."""
    lost = {"outcome": SourceOutcome.TIMEOUT, "success": False, "data": {}, "evidence": (), "finding": "", "error": "t"}
    return [item.model_copy(update=lost) if item.source == source else item for item in envelopes]
