"""``watchers``: whether somebody sees to it that runs end by their deadline."""

from __future__ import annotations

import asyncio

from orchestrator.config import Settings
from orchestrator.store.connection import connect, store_errors
from orchestrator.store.keys import Keys
from orchestrator.store.presence import Presence
from workers.doctor.check import Check, Surroundings
from workers.doctor.finding import Finding, Verdict

RECOMMENDED = 2
LATE_MS = 3_000
"""A wake-up that is due for longer was taken by no watcher."""


def check_watchers(around: Surroundings) -> Check:
    """At least two watchers gave a sign of life, and no wake-up is overdue."""

    async def examine() -> Finding:
        names, late = await asyncio.to_thread(read_watchers, around.settings())
        return judge_watchers(names, late, around)

    return Check("watchers", examine, needs_store=True)


def read_watchers(settings: Settings) -> tuple[list[str], int]:
    """Live watchers, and the number of overdue wake-ups. Raises StoreUnreachable."""
    keys = Keys(settings.key_prefix)
    client = connect(settings)
    try:
        names = Presence(client, keys).live_watchers()
        with store_errors():
            seconds, micros = client.time()
            late = client.zcount(keys.wakeups, "-inf", seconds * 1_000 + micros // 1_000 - LATE_MS)
        return names, int(late)
    finally:
        client.close()


def judge_watchers(names: list[str], late: int, around: Surroundings) -> Finding:
    """The watchers, judged. Pure."""
    text, verdict = around.text, Verdict()
    if not names:
        verdict.fail(text("watchers.none"), text("fix.watchers"), reason="no_watcher")
    elif len(names) < RECOMMENDED:
        verdict.warn(text("watchers.one", name=names[0]), text("fix.watchers"), reason="one_watcher")
    else:
        verdict.note(text("watchers.found", count=len(names), names=", ".join(sorted(names))))
    if late:
        verdict.warn(text("watchers.late", count=late), text("fix.watchers_late"), reason="overdue")
    return verdict.finding(watchers=sorted(names), overdue=late)
