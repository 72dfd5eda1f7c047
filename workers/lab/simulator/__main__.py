"""``python -m workers.lab.simulator``: serve a scenario and print the variables for a worker."""

import json
import signal
import threading

import click

from workers.lab.simulator.hwa import HwaSimulator
from workers.lab.simulator.metrics import AppMetricsServer
from workers.lab.simulator.scenarios import MANY_JOBS, get_scenario


@click.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--port", default=0, show_default=True, type=click.IntRange(0, 65535), help="0 takes a free port.")
@click.option(
    "--metrics-port", default=0, show_default=True, type=click.IntRange(0, 65535), help="Port of the app's /metrics."
)
@click.option(
    "--scenario",
    default=1,
    show_default=True,
    type=click.IntRange(1, MANY_JOBS),
    help="Which scenario to serve.",
)
@click.option("--user", default="resync", show_default=True, help="User that is let in.")
@click.option("--password", envvar="TWS_PASSWORD", default=None, help="Its password; a random one by default.")
def main(*, host: str, port: int, metrics_port: int, scenario: int, user: str, password: str | None) -> None:
    """Serve a simulated HCL Workload Automation and the app's /metrics until interrupted.

    The first line of the output is JSON with the variables for a worker.
    """
    case = get_scenario(scenario)
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    simulator = HwaSimulator(case.plan, host=host, port=port, user=user, password=password, faults=tuple(case.faults))
    metrics = AppMetricsServer(case.metrics_text, host=host, port=metrics_port)
    try:
        with simulator, metrics:
            click.echo(json.dumps({**simulator.environ(), "RESYNC_METRICS_URL": metrics.url}))
            click.echo(f"scenario {case.number}: {case.title}", err=True)
            click.echo(f"question: {case.question}", err=True)
            stop.wait()
    except OSError as error:
        raise click.ClickException(f"cannot listen on {host}: {error.strerror}") from None


if __name__ == "__main__":
    main()
