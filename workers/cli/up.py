"""``up``: run the whole system on this machine until Ctrl-C."""

import importlib.util
import json
import shlex
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click

from orchestrator.cli.context import CliContext, pass_context
from orchestrator.cli.options import json_option, redis_url_option
from orchestrator.cli.process import Terminated
from orchestrator.errors import ConfigurationError
from orchestrator.i18n.message import Message
from orchestrator.secret_files import read_variables
from workers.cli.options import concurrency_option
from workers.sources.log_cache.connection import describe_url
from workers.standalone.layout import Layout, parse_counts
from workers.standalone.ports import HOST, require_free_port
from workers.standalone.redis_server import NoRedisServer
from workers.standalone.system import System, system

FLOWER_PORT = 5555
_SHARED = ("REDIS_URL", "TWS_BASE_URL", "TWS_USER", "TWS_PASSWORD", "RESYNC_METRICS_URL")
"""Variables that another shell needs to use the embedded parts."""


@click.command("up")
@click.option(
    "--port-flower",
    type=click.IntRange(1, 65535),
    default=FLOWER_PORT,
    show_default=True,
    metavar="PORT",
    help="Flower's port on 127.0.0.1.",
)
@click.option("--no-flower", is_flag=True, help="Run without Flower.")
@click.option("--worker", "workers", multiple=True, metavar="QUEUE=N", help="N workers for a queue; repeatable.")
@concurrency_option
@click.option("--demo-data", is_flag=True, help="Add a simulated TWS, an application's metrics and a log cache.")
@click.option(
    "--scenario", type=click.IntRange(1, 11), default=1, show_default=True, metavar="N", help="What --demo-data shows."
)
@json_option
@redis_url_option
@pass_context
def command(
    context: CliContext,
    /,
    *,
    port_flower: int,
    no_flower: bool,
    workers: tuple[str, ...],
    concurrency: int,
    demo_data: bool,
    scenario: int,
    as_json: bool,
    redis_url: str | None,
) -> int:
    """Run a worker for every queue, two watchers and Flower, and restart what exits.

    Redis is the one of --redis-url or REDIS_URL, else an embedded one. Ctrl-C or SIGTERM stops everything; nothing
    is left behind. Exit codes: 0 stopped, 1 a process did not start, 2 usage or configuration, 5 Redis unreachable.
    """
    context.settings(redis_url)
    # As it was given: its processes complete it, as they do where they are started one by one.
    given = read_variables(("REDIS_URL", "APP_REDIS_URL"), context.environ)
    external = redis_url or given.get("REDIS_URL") or given.get("APP_REDIS_URL")
    if demo_data and external is not None:
        raise ConfigurationError(
            "--demo-data fills the log cache with made-up history and needs the embedded Redis: "
            "leave out --redis-url and unset REDIS_URL"
        )
    layout = Layout(
        workers=parse_counts(workers),
        concurrency=concurrency,
        flower_port=None if no_flower else _flower_port(context, port_flower),
    )
    try:
        with (
            system(context.environ, redis_url=external, say=context.say) as parts,
            _counterparts(parts, scenario if demo_data else None),
        ):
            names = parts.start(layout)
            parts.wait_ready(names)
            context.print_text(_describe(parts, layout, names, as_json=as_json))
            context.say(Message("{count} processes are ready; Ctrl-C stops them", count=len(names)))
            threading.Event().wait()
    except NoRedisServer as error:
        raise ConfigurationError(
            "{problem}, or set REDIS_URL to a Redis that runs already", problem=error.message
        ) from None
    except (KeyboardInterrupt, Terminated):
        context.say(Message("stopped; nothing is left behind"))
    return 0


def _flower_port(context: CliContext, port: int) -> int | None:
    if importlib.util.find_spec("flower") is None:
        context.say(Message("without Flower: pip install 'resync-troubleshoot[flower]'"))
        return None
    require_free_port(port, option="--port-flower")
    return port


@contextmanager
def _counterparts(parts: System, scenario: int | None) -> Iterator[None]:
    if scenario is None:
        yield
        return
    from workers.lab.simulator.counterparts import scenario_environ, scenario_parts  # noqa: PLC0415  # the demo's alone
    from workers.lab.simulator.scenarios import get_scenario  # noqa: PLC0415

    with scenario_parts(get_scenario(scenario), parts.settings) as variables:
        redis_url = parts.environ["REDIS_URL"]
        parts.environ = {**scenario_environ(parts.environ), **variables, "REDIS_URL": redis_url}
        yield


def _describe(parts: System, layout: Layout, names: list[str], *, as_json: bool) -> str:
    """Addresses, logs and processes, as lines or as JSON."""
    addresses = {"redis": describe_url(parts.environ["REDIS_URL"])}
    if layout.flower_port is not None:
        addresses["flower"] = f"http://{HOST}:{layout.flower_port}/"
    for name, variable in (("tws", "TWS_BASE_URL"), ("metrics", "RESYNC_METRICS_URL")):
        if variable in parts.environ:
            addresses[name] = parts.environ[variable]
    variables = _write_variables(parts)
    processes = {state.name: state.pid for state in parts.supervisor.states() if state.name in names}
    logs = parts.directory / "logs"
    if as_json:
        return json.dumps(
            {"addresses": addresses, "environment": str(variables), "logs": str(logs), "processes": processes}
        )
    lines = [f"{name:<12} {address}" for name, address in addresses.items()]
    lines += [f"{'logs':<12} {logs}", f"{'environment':<12} . {shlex.quote(str(variables))}"]
    return "\n".join(lines)


def _write_variables(parts: System) -> Path:
    """A file for other shells, readable by this user alone; removed with the directory."""
    path = parts.directory / "environment"
    lines = (f"export {name}={shlex.quote(parts.environ[name])}\n" for name in _SHARED if name in parts.environ)
    path.touch(mode=0o600)
    path.write_text("".join(lines))
    return path
