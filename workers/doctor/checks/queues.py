"""``queues``: how many messages wait, whether the queues get shorter, and what no worker could take."""

import asyncio
from collections.abc import Mapping

from orchestrator.broker.queues import queue_lengths
from orchestrator.config import Settings
from orchestrator.i18n.message import Message
from orchestrator.store.connection import session
from orchestrator.store.keys import Keys
from orchestrator.store.set_aside import SetAside
from workers.doctor.check import CheckContext, CheckResult, Verdict

LOOK_AGAIN_SECONDS = 0.5
LOOK_AGAIN_SHARE = 0.25
NEARLY_FULL = 0.9


async def check_queues(context: CheckContext) -> CheckResult:
    """Counts the waiting messages, twice if there are any: a queue that is served gets shorter."""
    settings = context.settings()
    first, open_runs, set_aside = await asyncio.to_thread(read_lengths, settings)
    second = first
    if any(first.values()):
        await asyncio.sleep(min(LOOK_AGAIN_SECONDS, LOOK_AGAIN_SHARE * context.timeout_seconds))
        second, open_runs, set_aside = await asyncio.to_thread(read_lengths, settings)
    return judge_queues(first, second, open_runs, settings, set_aside)


def read_lengths(settings: Settings) -> tuple[Mapping[str, int], int, Mapping[str, int]]:
    """Messages waiting in each queue, the number of open runs, and the messages set aside of each queue.

    Raises StoreUnreachable, RunDamaged for a key of another type.
    """
    keys = Keys(settings.key_prefix)
    with session(settings) as client:
        return queue_lengths(client, keys), int(client.zcard(keys.open)), SetAside(client, keys).counts()


def judge_queues(
    first: Mapping[str, int],
    second: Mapping[str, int],
    open_runs: int,
    settings: Settings,
    set_aside: Mapping[str, int],
) -> CheckResult:
    """The result for two readings of the queues' lengths."""
    verdict, max_open_runs = Verdict(), settings.max_open_runs
    verdict.note(
        Message(
            "{count} message waiting; {runs} of at most {most} runs open",
            plural="{count} messages waiting; {runs} of at most {most} runs open",
            count=sum(second.values()),
            runs=open_runs,
            most=max_open_runs,
        )
    )
    stuck = [name for name, length in second.items() if length and length >= first.get(name, 0) > 0]
    if stuck:
        shown = ", ".join(f"{name} {second[name]}" for name in stuck)
        verdict.warn(
            Message("not getting shorter: {queues}", queues=shown),
            Message("Start more workers: resync-troubleshoot worker {queues} --name NAME", queues=" ".join(stuck)),
            reason="backlog",
        )
    if open_runs > NEARLY_FULL * max_open_runs:
        verdict.warn(
            Message("new runs will soon be refused"),
            Message("Start more workers, or raise RESYNC_MAX_OPEN_RUNS."),
            reason="many_runs",
        )
    if set_aside:
        shown = ", ".join(f"{name} {count}" for name, count in set_aside.items())
        verdict.warn(
            Message("messages that no worker could take: {queues}", queues=shown),
            Message("See what they are and who sends them: LRANGE {key} 0 -1", key=Keys(settings.key_prefix).set_aside),
            reason="set_aside",
        )
    return verdict.result(
        set_aside=dict(set_aside), waiting=dict(second), open_runs=open_runs, max_open_runs=max_open_runs
    )
