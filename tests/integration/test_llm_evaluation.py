"""The evaluation itself: it passes what is right, and every check catches what it is there for."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from click.testing import CliRunner
from openai_support import FakeOpenAIServer, Reply, answer

from orchestrator.cli.context import CliContext
from orchestrator.i18n.languages import Language
from orchestrator.models import (
    Action,
    AnswerMode,
    Claim,
    Diagnosis,
    Evidence,
    Intent,
    Plan,
    PlannedSource,
    Routing,
    SourceEnvelope,
    SourceOutcome,
)
from workers.cli.eval import command
from workers.lab.evaluation.expectations import EXPECTATIONS
from workers.lab.evaluation.report import EvaluationReport
from workers.lab.evaluation.runs import Answer
from workers.lab.evaluation.scoring import Score, score
from workers.lab.simulator.scenarios import SCENARIO_NUMBERS, get_scenario

SCENARIO = get_scenario(3, datetime(2026, 11, 24, 7, 0, tzinfo=UTC))
GOOD = Diagnosis(
    summary="O job FOLHA010 está em READY, mas não inicia: o limite da estação SRVRH01 é 0.",
    category="job_limit_zero",
    confidence=0.9,
    claims=(Claim(text="limite 0", evidence_ids=("tws_status:1",)),),
)


def _answer(diagnosis: Diagnosis = GOOD, **changes: Any) -> Answer:
    item = Evidence(id="tws_status:1", source="tws_status", kind="workstation", title="t", text="limit 0")
    plan = Plan(
        pipeline="troubleshoot",
        routing=Routing(intent=Intent.TROUBLESHOOT, confidence=1, language=Language.PT_BR),
        sources=(
            PlannedSource(source="tws_status", job="FOLHA010", limit_seconds=2, required=True),
            PlannedSource(source="metrics", limit_seconds=2),
        ),
        reason="r",
    )
    tws = SourceEnvelope(source="tws_status", job="FOLHA010", outcome=SourceOutcome.OK, success=True, evidence=(item,))
    metrics = SourceEnvelope(source="metrics", outcome=SourceOutcome.OK, success=True)
    text = "\n".join((diagnosis.summary, *(claim.text for claim in diagnosis.claims)))
    given = Answer(SCENARIO, None, plan, (tws, metrics), diagnosis, text, AnswerMode.DETERMINISTIC, 100.0)
    return replace(given, **changes)


def _failing(item: Score) -> list[str]:
    return [name for name, problem in item.problems.items() if problem]


def test_every_scenario_has_its_expectation() -> None:
    """No scenario is asked without something that its answer is held to."""
    assert set(EXPECTATIONS) == set(SCENARIO_NUMBERS)


def test_a_good_answer_passes_every_check() -> None:
    """The answer that says what it should, and rests on what it should, has no problem."""
    assert _failing(score(_answer())) == []


@pytest.mark.parametrize(
    ("changes", "check"),
    [
        ({"category": "disk_full"}, "category"),
        ({"summary": "O job não inicia: o limite é 0 na estação e o estado é READY."}, "required"),
        ({"summary": f"{GOOD.summary} Rode conman cancel FOLHA010."}, "forbidden"),
        ({"summary": f"{GOOD.summary} [metrics:9]"}, "ids"),
        ({"claims": (Claim(text="limite 0", evidence_ids=("tws_status:7",)),)}, "ids"),
        ({"claims": ()}, "sources"),
        ({"summary": "The job FOLHA010 is READY and does not start because the limite of SRVRH01 is 0"}, "language"),
        ({"actions": (Action(text="Reexecutar o job"),)}, "proposals"),
    ],
)
def test_each_check_catches_its_fault(changes: dict[str, Any], check: str) -> None:
    """An answer with one fault fails the check that is there for it."""
    assert check in _failing(score(_answer(GOOD.model_copy(update=changes))))


def test_a_missing_source_must_be_told_and_cost_confidence() -> None:
    """A failed source that is not named, or an answer surer without it than with it, is a problem."""
    failed = SourceEnvelope(source="metrics", outcome=SourceOutcome.TIMEOUT, success=False)
    envelopes = (_answer().envelopes[0], failed)
    silent = _answer(failed_source="metrics", envelopes=envelopes)
    assert _failing(score(silent, 0.9)) == ["missing"]
    told = GOOD.model_copy(update={"missing_evidence": ("metrics (não respondeu)",)})
    assert _failing(score(_answer(told, failed_source="metrics", envelopes=envelopes), 0.9)) == []
    assert _failing(score(_answer(told, failed_source="metrics", envelopes=envelopes), 0.5)) == ["missing"]


def test_slow_rules_are_a_problem_and_a_slow_model_is_reported() -> None:
    """The run's bound holds for the rules; a model's time depends on the machine behind it."""
    assert _failing(score(_answer(latency_ms=60_000.0))) == ["latency"]
    assert _failing(score(_answer(latency_ms=60_000.0, mode=AnswerMode.LLM))) == []


def test_the_verdict_asks_for_all_scenarios_and_nine_in_ten_variants() -> None:
    """One failed scenario fails the evaluation; of ten variants one may fail, two may not."""
    good, bad = Score(_answer(), {"x": ""}), Score(_answer(), {"x": "wrong"})
    fine, poor = Score(_answer(failed_source="metrics"), {"x": ""}), Score(_answer(failed_source="metrics"), {"x": "w"})
    assert EvaluationReport((good, *[fine] * 9, poor)).passed
    assert not EvaluationReport((good, *[fine] * 8, poor, poor)).passed
    assert not EvaluationReport((good, bad, *[fine] * 10)).passed
    assert not EvaluationReport(()).passed


def _invoke(arguments: list[str], environ: dict[str, str]) -> Any:
    context = CliContext(environ={**os.environ, **environ})
    return CliRunner().invoke(command, arguments, obj=context, standalone_mode=False)


def test_the_rules_pass_a_scenario_end_to_end() -> None:
    """One scenario and its variants, over the real sources, its simulated counterparts and a Redis of its own."""
    result = _invoke(["--scenario", "1", "--json"], {})
    assert result.exception is None, result.output
    report = json.loads(result.stdout)
    assert result.return_value == 0
    assert report["passed"] is True
    assert report["deterministic"]["scenarios"] == {"passed": 1, "total": 1}
    assert report["deterministic"]["variants"]["total"] == 4
    assert report["llm"] is None
    assert {run["run"] for run in report["runs"]} == {"1", "1-tws_status", "1-rag_search", "1-log_cache", "1-metrics"}


def test_a_model_is_scored_on_the_same_set() -> None:
    """With --llm the same runs are asked of the configured server, and its tokens and failures are in the report."""
    text = answer(
        summary="O job CONCILIA terminou com RC 4: a condição de sucesso RC<=4 foi atendida, não houve falha.",
        claims=[{"text": "CONCILIA está em SUCC", "evidence_ids": ["tws_status:1"]}],
    )
    with FakeOpenAIServer([Reply(text), Reply(status=500)]) as server:
        result = _invoke(["--scenario", "9", "--llm", "--json"], server.environ())
        asked = len(server.requests)
    assert result.exception is None, result.output
    report = json.loads(result.stdout)
    runs = [run for run in report["runs"] if run["asked"] == "llm"]
    assert asked == len(runs) == 5
    assert [run["mode"] for run in runs] == ["llm"] + ["deterministic"] * 4
    assert runs[1]["llm"]["reason"] == "no_answer"
    assert report["llm"]["answered"] == 1
    assert report["llm"]["completion_tokens"] > 0
    assert report["passed"] is True


def test_asking_for_a_model_that_is_not_configured_is_an_error() -> None:
    """--llm without LLM_MODEL names the variable, and an unknown scenario the list."""
    assert "LLM_MODEL" in str(_invoke(["--llm", "--scenario", "1"], {"LLM_MODEL": ""}).exception)
    assert "demo --list" in str(_invoke(["--scenario", "12"], {}).exception)
