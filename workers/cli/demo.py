"""``demo``: watch one troubleshoot run on real workers and embedded parts."""

import importlib.util
import json
import threading
from collections.abc import Iterable
from contextlib import suppress
from typing import TYPE_CHECKING

import click

from orchestrator.cli.context import CliContext, pass_context
from orchestrator.cli.follow import exit_code, follow, print_report
from orchestrator.cli.options import build_request, json_option, run_options
from orchestrator.config import Settings
from orchestrator.errors import ConfigurationError
from orchestrator.i18n.message import Message
from workers.cli.options import no_scenario
from workers.standalone.layout import Layout
from workers.standalone.ports import HOST, free_port
from workers.standalone.system import system

if TYPE_CHECKING:
    from workers.lab.simulator.scenarios import Scenario

CONCURRENCY = 4
"""Threads per worker: the demo has one run."""


@click.command("demo")
@click.option("--scenario", type=int, default=1, show_default=True, metavar="N", help="Which scenario, 1 to 11.")
@click.option("--list", "list_scenarios", is_flag=True, help="List the scenarios.")
@click.option("--flower", is_flag=True, help="Run Flower as well, on a free port.")
@click.option("--keep", is_flag=True, help="Keep everything running after the answer, until Ctrl-C.")
@run_options
@json_option
@pass_context
def command(
    context: CliContext,
    /,
    *,
    scenario: int,
    list_scenarios: bool,
    flower: bool,
    keep: bool,
    as_json: bool,
    **options: object,
) -> int:
    """Start a Redis, a simulated TWS and a worker for every queue, ask the scenario's question and show the answer.

    Nothing is installed or left behind. Exit codes are those of submit.
    """
    # Imported here: --help does not need the simulator and its scenarios.
    from workers.lab.simulator.counterparts import scenario_environ, scenario_parts  # noqa: PLC0415
    from workers.lab.simulator.scenarios import MANY_JOBS, all_scenarios, get_scenario  # noqa: PLC0415

    if list_scenarios:
        _list(context, (*all_scenarios(), get_scenario(MANY_JOBS)), as_json=as_json)
        return 0
    if not 1 <= scenario <= MANY_JOBS:
        raise no_scenario(scenario)
    if flower and importlib.util.find_spec("flower") is None:
        raise ConfigurationError(
            "--flower: it is not installed: pip install {what}", what="'resync-troubleshoot[flower]'"
        )
    case = get_scenario(scenario)
    jobs = () if case.job_name is None else (case.job_name,)
    environ = scenario_environ(context.environ)
    request = build_request(Settings.from_env(environ), case.question, {"jobs": jobs, **options})
    with system(environ, redis_url=None, say=context.say) as parts:
        layout = Layout(concurrency=CONCURRENCY, flower_port=free_port() if flower else None)
        with scenario_parts(case, parts.settings) as variables:
            parts.environ |= variables
            names = parts.start(layout)
            context.say(Message("starting {count} processes: {title}", count=len(names), title=case.title))
            parts.wait_ready(names)
            if layout.flower_port is not None:
                context.say(f"Flower: http://{HOST}:{layout.flower_port}/")
            context.say(Message("question: {question}", question=case.question))
            with context.client(parts.settings) as client:
                report = follow(context, client, client.submit(request))
            print_report(context, report, as_json=as_json)
            if keep:
                logs = str(parts.directory / "logs")
                context.say(Message("everything keeps running; logs in {logs}; Ctrl-C ends it", logs=logs))
                with suppress(KeyboardInterrupt):
                    threading.Event().wait()
    return exit_code(report)


def _list(context: CliContext, scenarios: "Iterable[Scenario]", *, as_json: bool) -> None:
    if as_json:
        names = ("number", "title", "question", "job_name")
        rows = [{name: getattr(scenario, name) for name in names} for scenario in scenarios]
        context.print_json(json.dumps(rows, ensure_ascii=False, indent=2))
        return
    for scenario in scenarios:
        context.print_text(f"{scenario.number:>2}  {scenario.title}")
