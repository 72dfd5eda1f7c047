"""Runs every scenario and its variants, one after the other, and scores the answers."""

from collections.abc import Callable, Mapping, Sequence

from orchestrator.i18n.message import Message
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
    say: Callable[[Message], None] = lambda _line: None,
) -> EvaluationReport:
    """Score the rules, and ``synthesizer`` if given, on every scenario and variant.

    ``environ`` must name an embedded Redis: its database is flushed.
    """
    deterministic: list[Score] = []
    llm: list[Score] = []
    for scenario in scenarios:
        with counterparts(scenario, environ) as variables:
            if not deterministic:
                # The first run loads the clients' libraries, which takes a second and, on a busy machine, exceeds a
                # source's limit.
                await ask(scenario, variables)
            deterministic += await _scores(scenario, variables, None, say)
            if synthesizer is not None:
                llm += await _scores(scenario, variables, synthesizer, say)
    return EvaluationReport(tuple(deterministic), tuple(llm))


async def _scores(
    scenario: Scenario,
    environ: Mapping[str, str],
    synthesizer: Synthesizer | None,
    say: Callable[[Message], None],
) -> list[Score]:
    whole = score(await ask(scenario, environ, synthesizer=synthesizer))
    _report(whole, say)
    scores = [whole]
    plan = plan_request(scenario_request(scenario), per_job_sources())
    for source in dict.fromkeys(planned.source for planned in plan.sources):
        answer = await ask(scenario, environ, failed_source=source, synthesizer=synthesizer)
        # A model's confidence varies between runs, so the baseline applies to the rules only.
        baseline = whole.answer.diagnosis.confidence if synthesizer is None else None
        scores.append(score(answer, baseline))
        _report(scores[-1], say)
    return scores


def _report(item: Score, say: Callable[[Message], None]) -> None:
    answer = item.answer
    verdict = "ok" if item.passed else "FAIL"
    say(Message("{run} ({mode}): {verdict}", run=answer.variant, mode=answer.mode.value, verdict=verdict))
