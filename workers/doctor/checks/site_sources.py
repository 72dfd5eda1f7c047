"""``source:<name>``: whether each source that a site has added can be built from this environment."""

from __future__ import annotations

import asyncio

from orchestrator.errors import TroubleshootError
from orchestrator.sources import BUILTIN_SOURCES, load_source, source_names
from workers.doctor.check import Check, Surroundings
from workers.doctor.finding import Finding, Status


def check_site_sources(around: Surroundings) -> list[Check]:
    """One check a source; its counterpart is known to the source alone, so that is not asked."""
    return [_check_source(name, around) for name in source_names() if name not in BUILTIN_SOURCES]


def _check_source(name: str, around: Surroundings) -> Check:
    async def examine() -> Finding:
        try:
            spec = await asyncio.to_thread(load_source, name)
        except TroubleshootError as error:
            found = around.scrub(str(error))
            return Finding(Status.ERROR, found, around.text("fix.source", name=name), error.reason)
        source = spec.create(around.environ)
        await source.close()
        return Finding(Status.OK, around.text("source.found", name=name))

    return Check(f"source:{name}", examine)
