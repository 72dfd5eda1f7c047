"""``pipelines``: whether the pipelines of the site can be read, and their sources are installed."""

import asyncio
from functools import partial
from importlib.metadata import entry_points

from orchestrator.errors import TroubleshootError
from orchestrator.i18n.message import Message
from orchestrator.routing.registry import PIPELINES_FILE, PIPELINES_GROUP, check_pipelines
from workers.doctor.check import Check, CheckContext, CheckResult, Status


def check_site_pipelines(context: CheckContext) -> list[Check]:
    """The check, where the site has pipelines."""
    has_some = context.environ.get(PIPELINES_FILE) or entry_points(group=PIPELINES_GROUP)
    return [Check("pipelines", partial(_examine, context))] if has_some else []


async def _examine(context: CheckContext) -> CheckResult:
    try:
        pipelines = await asyncio.to_thread(check_pipelines, context.environ)
    except TroubleshootError as error:
        fix = Message(
            "Correct what is named, on every worker of the queue orchestrator; docs/pipelines.md has the form."
        )
        return CheckResult(Status.ERROR, context.scrub.text(error.message), fix, error.reason)
    names = [pipeline.name for pipeline in pipelines]
    found = Message(
        "{count} pipeline of the site: {names}",
        plural="{count} pipelines of the site: {names}",
        count=len(names),
        names=", ".join(names),
    )
    return CheckResult(Status.OK, found, facts={"pipelines": names})
