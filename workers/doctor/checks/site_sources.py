"""``source:<name>``: whether each source added by the site can be created from this environment."""

import asyncio

from orchestrator.errors import TroubleshootError
from orchestrator.i18n.message import Message
from orchestrator.sources import BUILTIN_SOURCES, load_source, source_names
from workers.doctor.check import Check, CheckContext, CheckResult, Status


def check_site_sources(context: CheckContext) -> list[Check]:
    """One check for each source; it cannot ask the counterpart, which only the source knows."""
    return [_check_source(name, context) for name in source_names() if name not in BUILTIN_SOURCES]


def _check_source(name: str, context: CheckContext) -> Check:
    async def examine() -> CheckResult:
        try:
            spec = await asyncio.to_thread(load_source, name)
        except TroubleshootError as error:
            found = context.scrub.text(error.message)
            return CheckResult(
                Status.ERROR,
                found,
                Message("Install what the source {name} needs, or remove its package.", name=name),
                error.reason,
            )
        source = spec.create(context.environ)
        await source.close()
        return CheckResult(Status.OK, Message("the source {name} is installed and its settings are right", name=name))

    return Check(f"source:{name}", examine)
