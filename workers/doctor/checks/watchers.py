"""``watchers``: whether enough watchers are alive to end runs by their deadline."""

import asyncio

from orchestrator.config import Settings
from orchestrator.i18n.message import Message
from orchestrator.store.connection import session
from orchestrator.store.keys import Keys
from orchestrator.store.presence import Presence
from workers.doctor.check import CheckContext, CheckResult, Verdict

RECOMMENDED = 2
LATE_MS = 3_000
"""A wake-up overdue by more than this was claimed by no watcher."""


async def check_watchers(context: CheckContext) -> CheckResult:
    """At least two watchers are alive, and no wake-up is overdue."""
    names, overdue = await asyncio.to_thread(read_watchers, context.settings())
    return judge_watchers(names, overdue)


def read_watchers(settings: Settings) -> tuple[list[str], int]:
    """Live watchers, and the number of overdue wake-ups. Raises StoreUnreachable."""
    keys = Keys(settings.key_prefix)
    with session(settings) as client:
        seconds, micros = client.time()
        overdue = client.zcount(keys.wakeups, "-inf", seconds * 1_000 + micros // 1_000 - LATE_MS)
        return Presence(client, keys).live_watchers(), int(overdue)


def judge_watchers(names: list[str], overdue: int) -> CheckResult:
    """The result for the live watchers and the number of overdue wake-ups."""
    verdict = Verdict()
    if not names:
        verdict.fail(
            Message("no watcher is alive: a run may miss its deadline"),
            Message("Start one more: python -m orchestrator.watcher"),
            reason="no_watcher",
        )
    elif len(names) < RECOMMENDED:
        verdict.warn(
            Message("only one watcher is alive ({name}); two are recommended", name=names[0]),
            Message("Start one more: python -m orchestrator.watcher"),
            reason="one_watcher",
        )
    else:
        verdict.note(Message("{count} watchers alive: {names}", count=len(names), names=", ".join(sorted(names))))
    if overdue:
        verdict.warn(
            Message("{count} wake-up is overdue", plural="{count} wake-ups are overdue", count=overdue),
            Message("Look at the watchers' log; they must reach the Redis of REDIS_URL with this RESYNC_KEY_PREFIX."),
            reason="overdue",
        )
    return verdict.result(watchers=sorted(names), overdue=overdue)
