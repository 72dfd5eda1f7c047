"""Runs every scenario and its variants, one after the other, and scores the answers."""

import asyncio
from collections.abc import Callable, Mapping, Sequence

from orchestrator.i18n.message import Message, join
from orchestrator.routing.plan import jobs_per_task, plan_request
from orchestrator.synthesis import Synthesizer
from workers.knowledge.sqlite.shipped import shipped_index
from workers.lab.evaluation.cases import CaseScore, LogCase, scenario_of, score_case
from workers.lab.evaluation.report import EvaluationReport
from workers.lab.evaluation.runs import PATIENT, ask, counterparts, scenario_request
from workers.lab.evaluation.scoring import Score, score
from workers.lab.simulator.scenarios import Scenario


async def evaluate(
    scenarios: Sequence[Scenario],
    environ: Mapping[str, str],
    *,
    synthesizer: Synthesizer | None = None,
    cases: Sequence[LogCase] = (),
    say: Callable[[Message], None] = lambda _line: None,
) -> EvaluationReport:
    """Score the rules, and ``synthesizer`` if given, on every scenario and variant; the rules alone on ``cases``.

    ``environ`` must name an embedded Redis: its database is flushed.
    """
    # Built before the first question: on a busy machine this takes longer than a source's limit.
    await asyncio.to_thread(shipped_index, environ)
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
    scored = [await _ask(index, case, environ, say) for index, case in enumerate(cases)]
    return EvaluationReport(tuple(deterministic), tuple(llm), tuple(scored))


async def _ask(index: int, case: LogCase, environ: Mapping[str, str], say: Callable[[Message], None]) -> CaseScore:
    scenario = scenario_of(case, index)
    with counterparts(scenario, environ) as variables:
        item = score_case(case, await ask(scenario, variables, config=PATIENT))
    if item.problems:
        say(Message("{job}: {problems}", job=case.id, problems=join(item.problems, "; ")))
    return item


async def _scores(
    scenario: Scenario,
    environ: Mapping[str, str],
    synthesizer: Synthesizer | None,
    say: Callable[[Message], None],
) -> list[Score]:
    whole = score(await ask(scenario, environ, synthesizer=synthesizer))
    _report(whole, say)
    scores = [whole]
    plan = plan_request(scenario_request(scenario), jobs_per_task())
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
