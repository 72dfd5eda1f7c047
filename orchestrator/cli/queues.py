"""``queues``: what each queue has to do, who does it, how many workers it needs, and which watchers are alive."""

import json
import time
from dataclasses import asdict
from typing import Any

import click

from orchestrator.broker.queues import QueueState, WorkerProblem, read_queues
from orchestrator.broker.sizing import Sizing, size_queue
from orchestrator.cli.context import CliContext, pass_context
from orchestrator.cli.options import Seconds, json_option, redis_url_option
from orchestrator.config import Settings
from orchestrator.errors import StoreUnreachable
from orchestrator.i18n.message import Message, Text
from orchestrator.store.room import room_of

_HEAD = (
    Message("queue"),
    Message("waiting"),
    Message("oldest (s)"),
    Message("busy"),
    Message("arriving/s"),
    Message("done/s"),
    Message("s/task"),
    Message("advised"),
    Message("workers"),
)
_BACKLOG = Message("{queue}: {per_second:g} are served in a second; a new request waits for {wait_seconds:.1f} s")
_TURNED_AWAY = Message("{queue}: {turned_away:g} of {arrivals:g} tasks a second are turned away for its length")
_ADVICE = Message(
    "{queue}: {more} ({demand:g} tasks/s x {seconds:g} s/task = {in_use:g} places in use; with {places} a task waits "
    "{wait:g} s on average)"
)


@click.command("queues")
@click.option(
    "--target-wait",
    type=Seconds(0.001, 3_600),
    default=1.0,
    show_default=True,
    metavar="SECONDS",
    help="Mean wait in a queue for which workers are advised.",
)
@click.option(
    "--watch",
    type=Seconds(1, 3_600),
    metavar="SECONDS",
    help="Again after so many seconds, until Ctrl-C.",
)
@json_option
@redis_url_option
@pass_context
def command(
    context: CliContext, /, *, target_wait: float, watch: float | None, as_json: bool, redis_url: str | None
) -> int:
    """Show what waits and runs in each queue, the workers that it has and needs, and the watchers that are alive.

    Rates and times are of the last minute. The advised workers are the fewest with which the mean wait is within the
    target: arrivals/s x s/task are the places in use (Little's law), Erlang's C formula gives the wait, and no more
    than 9 of 10 places are to be in use. What waits already is to be worked off within a minute.
    """
    settings = context.settings(redis_url)
    while True:
        try:
            _show(context, settings, target_wait, as_json=as_json)
        except StoreUnreachable as error:
            if watch is None:
                raise
            context.say(Message("error: {message}", message=error.message))
        if watch is None:
            return 0
        time.sleep(watch)


def _show(context: CliContext, settings: Settings, target_wait: float, *, as_json: bool) -> None:
    queues, watchers, problems = read_queues(settings)
    room = room_of(settings)
    sizings = {queue.queue: _sizing(queue, target_wait) for queue in queues}
    if as_json:
        state = {
            "queues": [_record(queue, sizings[queue.queue]) for queue in queues],
            "target_wait_seconds": target_wait,
            "watchers": watchers,
            "room": room.facts(),
            "problems": {worker: [asdict(problem) for problem in found] for worker, found in problems.items()},
        }
        context.print_json(json.dumps(state, indent=2))
        return
    context.print_text(context.table(_HEAD, *_rows(queues, sizings, watchers)))
    for queue in queues:
        for line in _remarks(queue, sizings[queue.queue]):
            context.print_text(line)
    context.print_text(room.text)
    if (problem := room.problem) is not None:
        context.print_text(problem)
        context.print_text(room.remedy)
    _print_problems(context, problems)


def _sizing(queue: QueueState, target_wait: float) -> Sizing | None:
    if queue.load is None:
        return None
    return size_queue(queue.load, queue.places_per_worker, target_wait_seconds=target_wait)


def _record(queue: QueueState, sizing: Sizing | None) -> dict[str, Any]:
    record = asdict(queue)
    load = record.pop("load") or {}
    return load | record | {"advised": None if sizing is None else asdict(sizing)}


def _rows(
    queues: list[QueueState], sizings: dict[str, Sizing | None], watchers: list[str]
) -> list[tuple[str | Message, ...]]:
    nobody = Message("none")
    rows = [_row(queue, sizings[queue.queue], nobody) for queue in queues]
    empty = [""] * (len(_HEAD) - 3)
    rows.append((Message("(watchers)"), "", *empty, ", ".join(watchers) or nobody))
    set_aside = {queue.queue: queue.set_aside for queue in queues if queue.set_aside}
    if set_aside:
        counts = ", ".join(f"{name} {count}" for name, count in set_aside.items())
        rows.append((Message("(set aside)"), str(sum(set_aside.values())), *empty, counts))
    return rows


def _row(queue: QueueState, sizing: Sizing | None, nobody: Message) -> tuple[str | Message, ...]:
    workers = ", ".join(queue.workers) or nobody
    load = queue.load
    if load is None:
        return (queue.queue, str(queue.waiting), "", "", "", "", "", "", workers)
    capacity = "?" if load.capacity is None else load.capacity
    return (
        queue.queue,
        str(queue.waiting),
        _number(load.oldest_wait_seconds) if queue.waiting and load.oldest_wait_seconds else "",
        f"{load.running}/{capacity}",
        _number(load.arrivals_per_second),
        _number(load.completions_per_second),
        "" if load.task_seconds is None else _number(load.task_seconds),
        "" if sizing is None else _places(sizing.places) if sizing.workers is None else str(sizing.workers),
        workers,
    )


def _number(number: float) -> Message:
    """Three digits that count."""
    return Message("{number:g}", number=float(f"{number:.3g}"))


def _places(count: int) -> Message:
    return Message("{count} place", plural="{count} places", count=count)


def _remarks(queue: QueueState, sizing: Sizing | None) -> list[Text]:
    """What there is to be done about a queue."""
    lines: list[Text] = []
    load, present = queue.load, len(queue.workers)
    if queue.waiting and not present:
        lines.append(
            Message(
                "{queue}: no worker serves it, and {count} message waits",
                plural="{queue}: no worker serves it, and {count} messages wait",
                count=queue.waiting,
            ).with_facts(queue=queue.queue)
        )
    if queue.wait_seconds:
        lines.append(
            _BACKLOG.with_facts(queue=queue.queue, per_second=queue.per_second, wait_seconds=queue.wait_seconds)
        )
    if load is not None and load.turned_away_per_second:
        lines.append(
            _TURNED_AWAY.with_facts(
                queue=queue.queue, turned_away=load.turned_away_per_second, arrivals=load.arrivals_per_second
            )
        )
    if sizing is not None and sizing.workers is not None and sizing.demand_per_second:
        lines += _advice(queue.queue, sizing, sizing.workers - present, is_first=not present)
    return lines


def _advice(queue: str, sizing: Sizing, count: int, *, is_first: bool) -> list[Text]:
    """How many workers to start, and what that follows from."""
    more = Message("start {count} more worker", plural="start {count} more workers", count=count)
    if is_first:
        more = Message("start {count} worker", plural="start {count} workers", count=count)
    line = _ADVICE.with_facts(
        queue=queue,
        more=more,
        demand=sizing.demand_per_second,
        seconds=sizing.task_seconds,
        in_use=sizing.places_in_use,
        places=_places(sizing.places),
        wait=sizing.wait_seconds,
    )
    return [line] if count > 0 else []


def _print_problems(context: CliContext, problems: dict[str, list[WorkerProblem]]) -> None:
    for worker, found in problems.items():
        for problem in found:
            context.print_text(f"{worker}: {context.write(problem.text)}")
