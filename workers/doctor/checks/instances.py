"""``instances``: whether the workers know the TWS instances that are configured here."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from orchestrator.config import Settings
from orchestrator.errors import ConfigurationError
from orchestrator.store.connection import connect, store_errors
from orchestrator.store.keys import Keys
from workers.config import TwsSettings
from workers.doctor.check import Check, Surroundings
from workers.doctor.finding import Finding, Status, Verdict
from workers.sources.tws_status.instances import load_instances

FRESH_SECONDS = 120
"""An older announcement does not count at a submit either (store/scripts/open.lua)."""


def check_instances(around: Surroundings) -> Check:
    """Compares what workers announced with the settings: a submit for an instance they do not know is refused."""

    async def examine() -> Finding:
        announced = await asyncio.to_thread(read_announced, around.settings())
        try:
            here = load_instances(TwsSettings.from_env(around.environ)).names
        except ConfigurationError:
            here = ()  # told by the check of TWS itself
        return judge_instances(announced, here, around)

    return Check("instances", examine, needs_store=True)


def read_announced(settings: Settings) -> list[str]:
    """Names that workers have announced lately. Raises StoreUnreachable."""
    client = connect(settings)
    try:
        with store_errors():
            seconds, _ = client.time()
            since = (seconds - FRESH_SECONDS) * 1_000
            return sorted(map(str, client.zrangebyscore(Keys(settings.key_prefix).instances, since, "+inf")))
    finally:
        client.close()


def judge_instances(announced: Sequence[str], here: Sequence[str], around: Surroundings) -> Finding:
    """Both lists, judged. Pure."""
    text, verdict = around.text, Verdict()
    facts = {"announced": list(announced), "configured": list(here)}
    if not announced:
        return Finding(Status.OFF, text("instances.none"), text("fix.instances_none"), "none_announced", facts)
    verdict.note(text("instances.found", names=", ".join(announced)))
    unknown = [name for name in here if name not in announced]
    if unknown:
        found = text("instances.unknown", names=", ".join(unknown))
        verdict.warn(found, text("fix.instances"), reason="instance_unknown")
    return verdict.finding(**facts)
