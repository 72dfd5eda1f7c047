"""``queues``: how much waits in each queue, who consumes it, and which watchers are alive."""

import json
from dataclasses import asdict

import click

from orchestrator.broker.queues import read_queues
from orchestrator.cli.context import CliContext, pass_context
from orchestrator.cli.options import json_option, redis_url_option
from orchestrator.i18n.message import Message

_BACKLOG = Message("{queue}: {per_second:g} are served in a second; a new request waits for {wait_seconds:.1f} s")


@click.command("queues")
@json_option
@redis_url_option
@pass_context
def command(context: CliContext, /, *, as_json: bool, redis_url: str | None) -> int:
    """Show what waits in each queue, which workers consume it, and which watchers are alive."""
    queues, watchers, problems = read_queues(context.settings(redis_url))
    if as_json:
        state = {
            "queues": [asdict(queue) for queue in queues],
            "watchers": watchers,
            "problems": {worker: [asdict(problem) for problem in found] for worker, found in problems.items()},
        }
        context.print_json(json.dumps(state, indent=2))
        return 0
    nobody = Message("none")
    head = (Message("queue"), Message("waiting"), Message("workers"))
    rows: list[tuple[str | Message, ...]] = [
        (queue.queue, str(queue.waiting), ", ".join(queue.workers) or nobody) for queue in queues
    ]
    rows.append((Message("(watchers)"), "", ", ".join(watchers) or nobody))
    set_aside = {queue.queue: queue.set_aside for queue in queues if queue.set_aside}
    if set_aside:
        counts = ", ".join(f"{name} {count}" for name, count in set_aside.items())
        rows.append((Message("(set aside)"), str(sum(set_aside.values())), counts))
    context.print_text(context.table(head, *rows))
    for queue in queues:
        if queue.wait_seconds:
            context.print_text(_BACKLOG.with_facts(**asdict(queue)))
    for worker, found in problems.items():
        for problem in found:
            context.print_text(f"{worker}: {context.write(problem.text)}")
    return 0
