"""Asking every scenario and its variants, one after the other, and scoring the answers."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from orchestrator.routing.plan import per_job_sources, plan_request
from orchestrator.synthesis import Synthesizer
from workers.lab.evaluation.report import EvaluationReport
from workers.lab.evaluation.runs import ask, counterparts, scenario_request
from workers.lab.evaluation.scoring import Score, score
from workers.lab.simulator.scenarios import Scenario


async def evaluate(
    scenarios: Sequence[Scenario],
    environ: Mapping[str, str],
    *,
    synthesizer: Synthesizer | None = None,
    say: Callable[[str], None] = lambda _line: None,
) -> EvaluationReport:
    """Score the rules on every scenario and variant, and the model on the same set when there is one.

    ``environ`` must lead to a Redis of our own: its database is emptied.
    """
    deterministic: list[Score] = []
    llm: list[Score] = []
    for scenario in scenarios:
        with counterparts(scenario, environ) as variables:
            if not deterministic:
                # The first asking loads every client's libraries, a second's work that is no part of an answer and, on
                # a busy machine, more than a source's limit.
                await ask(scenario, variables)
            deterministic += await _scores(scenario, variables, None, say)
            if synthesizer is not None:
                llm += await _scores(scenario, variables, synthesizer, say)
    return EvaluationReport(tuple(deterministic), tuple(llm))


async def _scores(
    scenario: Scenario,
    environ: Mapping[str, str],
    synthesizer: Synthesizer | None,
    say: Callable[[str], None],
) -> list[Score]:
    whole = score(await ask(scenario, environ, synthesizer=synthesizer))
    _tell(whole, say)
    scores = [whole]
    for source in _planned(scenario):
        answer = await ask(scenario, environ, failed_source=source, synthesizer=synthesizer)
        # A model's confidence differs from one asking to the next, so only the rules are held to their own.
        known = whole.answer.diagnosis.confidence if synthesizer is None else None
        scores.append(score(answer, known))
        _tell(scores[-1], say)
    return scores


def _planned(scenario: Scenario) -> tuple[str, ...]:
    plan = plan_request(scenario_request(scenario), per_job_sources())
    return tuple(dict.fromkeys(planned.source for planned in plan.sources))


def _tell(item: Score, say: Callable[[str], None]) -> None:
    answer = item.answer
    say(f"{answer.variant} ({answer.mode.value}): {'ok' if item.passed else 'FAIL'}")
