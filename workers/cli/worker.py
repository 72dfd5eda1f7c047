"""``worker``: run a worker for one or more queues."""

import os

import click

from orchestrator.broker.app import queue_names
from orchestrator.cli.click_words import ClickText
from orchestrator.cli.completion import words
from orchestrator.cli.context import CliContext, pass_context
from orchestrator.cli.options import redis_url_option
from orchestrator.errors import WrongUsage
from orchestrator.i18n.message import Message
from orchestrator.nearest import with_nearest
from workers.cli.options import concurrency_option
from workers.standalone.layout import worker_command


@click.command("worker")
@click.argument("queues", nargs=-1, metavar="QUEUE...", shell_complete=words(queue_names))
@click.option("--all", "every", is_flag=True, help="Serve every queue.")
@concurrency_option
@click.option(
    "--pool",
    type=click.Choice(("threads", "prefork")),
    default="threads",
    show_default=True,
    help="Threads cost one process, prefork one a task.",
)
@click.option("--name", metavar="NAME", help="Name of this worker on its host; the queues' names when left out.")
@redis_url_option
@pass_context
def command(
    context: CliContext,
    /,
    *,
    queues: tuple[str, ...],
    every: bool,
    concurrency: int,
    pool: str,
    name: str | None,
    redis_url: str | None,
) -> None:
    """Serve each QUEUE in this process until a signal stops it.

    The process becomes Celery's: SIGTERM lets running tasks end, SIGQUIT does not. Two workers of one queue on one
    host need a --name each.
    """
    served = _served(queues, every=every)
    settings = context.settings(redis_url)
    node = name or ("all" if every else "-".join(served))
    if "@" in node or "," in node or not node.strip():
        raise click.BadParameter(
            ClickText(Message("{name!r} may hold neither '@' nor ','", name=node)), param_hint="--name"
        )
    argv = worker_command(served, node=node, pool=pool, concurrency=concurrency, log_level=settings.log_level)
    environ = {**context.environ} if redis_url is None else {**context.environ, "REDIS_URL": redis_url}
    os.execve(argv[0], argv, environ)  # noqa: S606  # signals reach Celery itself


def _served(queues: tuple[str, ...], *, every: bool) -> tuple[str, ...]:
    known = queue_names()
    if every:
        if queues:
            raise WrongUsage("give either QUEUE... or --all, not both")
        return known
    if not queues:
        raise WrongUsage("name at least one queue, or --all; queues: {known}", known=", ".join(known))
    for queue in queues:
        if queue not in known:
            problem = Message("no queue is named {name!r}; queues: {known}", name=queue, known=", ".join(known))
            raise WrongUsage(with_nearest(problem, queue, known))
    return tuple(dict.fromkeys(queues))
