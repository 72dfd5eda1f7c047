"""``eval``: score the answers to the ten scenarios, each also with one source missing, and to known job logs."""

import asyncio
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import click

from orchestrator.cli.context import CliContext, pass_context
from orchestrator.cli.options import json_option
from orchestrator.errors import ConfigurationError
from orchestrator.synthesis import load_synthesizer
from workers.cli.options import no_scenario
from workers.lab.evaluation.cases import LogCase, read_cases, shipped_cases
from workers.lab.evaluation.evaluate import evaluate
from workers.lab.evaluation.report import EvaluationReport
from workers.lab.simulator.counterparts import scenario_environ
from workers.lab.simulator.scenarios import SCENARIO_NUMBERS, Scenario, get_scenario
from workers.standalone.system import system


@click.command("eval")
@click.option("--llm", is_flag=True, help="Ask the configured model as well (LLM_MODEL, LLM_ENDPOINT, LLM_API_KEY).")
@click.option("--scenario", "numbers", type=int, multiple=True, metavar="N", help="This scenario alone; repeatable.")
@click.option(
    "--cases",
    "cases_file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Score the job logs of this file, a JSON list, in place of the shipped ones.",
)
@json_option
@pass_context
def command(
    context: CliContext, /, *, llm: bool, numbers: tuple[int, ...], cases_file: Path | None, as_json: bool
) -> int:
    """Run the ten scenarios, each also with one source missing, and job logs of known cause, and score the answers.

    Everything runs in this process against simulated counterparts. The exit code is 0 when the rules pass every
    scenario, 90 % of the variants and the four figures of the job logs, else 1; a model's figures are reported and do
    not decide. With --scenario no job logs are scored, unless --cases names some.
    """
    for number in numbers:
        if number not in SCENARIO_NUMBERS:
            raise no_scenario(number, scored=True)
    scenarios = [get_scenario(number) for number in dict.fromkeys(numbers or SCENARIO_NUMBERS)]
    cases: tuple[LogCase, ...] = () if numbers else shipped_cases()
    if cases_file is not None:
        cases = read_cases(cases_file)
    with system(scenario_environ(context.environ), redis_url=None, say=context.say) as parts:
        environ = parts.environ | {"XDG_CACHE_HOME": str(parts.directory / "cache")}
        report = asyncio.run(_run(context, scenarios, cases, environ, llm=llm))
    if as_json:
        context.print_json(json.dumps(report.as_json(), ensure_ascii=False, indent=2))
    else:
        context.print_text("\n".join(report.table(context.language)))
    return 0 if report.passed else 1


async def _run(
    context: CliContext,
    scenarios: Sequence[Scenario],
    cases: Sequence[LogCase],
    environ: Mapping[str, str],
    *,
    llm: bool,
) -> EvaluationReport:
    synthesizer = load_synthesizer(context.environ) if llm else None
    if llm and synthesizer is None:
        raise ConfigurationError("--llm: LLM_MODEL is not set; name the model that is to be evaluated")
    try:
        return await evaluate(scenarios, environ, synthesizer=synthesizer, cases=cases, say=context.say)
    finally:
        if synthesizer is not None:
            await synthesizer.close()
