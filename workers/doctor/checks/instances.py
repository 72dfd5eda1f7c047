"""``instances``: whether the workers know the TWS instances configured here."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from orchestrator.config import Settings
from orchestrator.errors import ConfigurationError
from orchestrator.i18n.message import Message
from orchestrator.store.connection import session
from orchestrator.store.keys import Keys
from workers.config import TwsSettings
from workers.doctor.check import Check, CheckContext, CheckResult, Status, Verdict
from workers.sources.tws_status.instances import load_instances

FRESH_SECONDS = 120
"""Age up to which an announcement counts, as at a submit (store/scripts/open.lua)."""


def check_instances(context: CheckContext) -> Check:
    """The check: compares the announced instances with the settings; a submit for an unknown instance is refused."""

    async def examine() -> CheckResult:
        announced = await asyncio.to_thread(read_announced, context.settings())
        try:
            configured = load_instances(TwsSettings.from_env(context.environ)).names
        except ConfigurationError:
            configured = ()  # reported by the check of TWS itself
        return judge_instances(announced, configured)

    return Check("instances", examine, needs_store=True)


def read_announced(settings: Settings) -> list[str]:
    """Names that workers announced within ``FRESH_SECONDS``. Raises StoreUnreachable."""
    with session(settings) as client:
        seconds, _ = client.time()
        since = (seconds - FRESH_SECONDS) * 1_000
        return sorted(map(str, client.zrangebyscore(Keys(settings.key_prefix).instances, since, "+inf")))


def judge_instances(announced: Sequence[str], configured: Sequence[str]) -> CheckResult:
    """The result for both lists of names."""
    verdict = Verdict()
    facts = {"announced": list(announced), "configured": list(configured)}
    if not announced:
        return CheckResult(
            Status.OFF,
            Message("no worker has announced a TWS instance"),
            Message("Start a worker of tws_status with TWS_BASE_URL or TWS_INSTANCES_FILE set."),
            "none_announced",
            facts,
        )
    verdict.note(Message("known to the workers: {names}", names=", ".join(announced)))
    unknown = [name for name in configured if name not in announced]
    if unknown:
        found = Message("configured here and unknown to them: {names}", names=", ".join(unknown))
        verdict.warn(
            found,
            Message("Give the tws_status workers the same TWS_INSTANCES_FILE or TWS_* variables and restart them."),
            reason="instance_unknown",
        )
    return verdict.result(**facts)
