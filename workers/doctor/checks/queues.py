"""``queues``: how much waits, and whether it gets less."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from orchestrator.broker.app import queue_names
from orchestrator.config import Settings
from orchestrator.store.connection import connect, store_errors
from orchestrator.store.keys import Keys
from workers.doctor.check import Check, Surroundings
from workers.doctor.finding import Finding, Verdict

LOOK_AGAIN_SECONDS = 0.5
LOOK_AGAIN_SHARE = 0.25
NEARLY_FULL = 0.9


def check_queues(around: Surroundings) -> Check:
    """Counts what waits; where something does, looks again: a queue that is served gets shorter."""

    async def examine() -> Finding:
        settings = around.settings()
        first, open_runs = await asyncio.to_thread(read_lengths, settings)
        second = first
        if any(first.values()):
            await asyncio.sleep(min(LOOK_AGAIN_SECONDS, LOOK_AGAIN_SHARE * around.timeout_seconds))
            second, open_runs = await asyncio.to_thread(read_lengths, settings)
        return judge_queues(first, second, open_runs, settings.max_open_runs, around)

    return Check("queues", examine, needs_store=True)


def read_lengths(settings: Settings) -> tuple[Mapping[str, int], int]:
    """Messages waiting in each queue, and the number of open runs. Raises StoreUnreachable."""
    keys = Keys(settings.key_prefix)
    client = connect(settings)
    try:
        with store_errors():
            lengths = {name: int(client.llen(keys.broker_prefix + name)) for name in queue_names()}
            return lengths, int(client.zcard(keys.open))
    finally:
        client.close()


def judge_queues(
    first: Mapping[str, int], second: Mapping[str, int], open_runs: int, most_runs: int, around: Surroundings
) -> Finding:
    """Two looks at the lengths, judged. Pure."""
    text, verdict = around.text, Verdict()
    verdict.note(text("queues.found", waiting=sum(second.values()), runs=open_runs, most=most_runs))
    stuck = [name for name, length in second.items() if length and length >= first.get(name, 0) > 0]
    if stuck:
        shown = ", ".join(f"{name} {second[name]}" for name in stuck)
        verdict.warn(text("queues.stuck", queues=shown), text("fix.queues", queues=" ".join(stuck)), reason="backlog")
    if open_runs > NEARLY_FULL * most_runs:
        verdict.warn(text("queues.runs"), text("fix.open_runs"), reason="many_runs")
    return verdict.finding(waiting=dict(second), open_runs=open_runs, max_open_runs=most_runs)
