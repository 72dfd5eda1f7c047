"""The plan of a run: routing, pipeline and the sources that can be asked here."""

import logging
from collections.abc import Mapping

from orchestrator.errors import TroubleshootError
from orchestrator.i18n.message import Message
from orchestrator.models import Plan, TroubleshootRequest
from orchestrator.routing.pipelines import plan_run
from orchestrator.routing.router import route
from orchestrator.sources import BUILTIN_SOURCES, load_source, source_names

_LOGGER = logging.getLogger(__name__)
REFUSED = "refused"
"""Name of the pipeline of a run that asks nobody."""


def per_job_sources(*, all_builtin: bool = False) -> dict[str, bool]:
    """The installed sources that can be loaded here, and whether each is asked once per job.

    One that cannot is left out and logged: the others still serve. Raises WorkersNotInstalled when none can, and with
    ``all_builtin`` when one of the four cannot: a client without the workers' extra gets this error, not an answer from
    the one source that needs nothing more.
    """
    sources: dict[str, bool] = {}
    problem: TroubleshootError | None = None
    for name in source_names():
        try:
            sources[name] = load_source(name).per_job
        except TroubleshootError as error:
            if all_builtin and name in BUILTIN_SOURCES:
                raise
            _LOGGER.warning("source_not_loaded source=%s error=%s", name, error)
            problem = problem or error
    if problem is not None and not sources:
        raise problem
    return sources


def plan_request(request: TroubleshootRequest, per_job: Mapping[str, bool]) -> Plan:
    """Route the message and plan which sources are asked; pure.

    Raises InvalidRequest when no source is left to ask.
    """
    routing = route(request.message, jobs=request.named_jobs, language=request.language)
    if request.intent is not None:
        routing = routing.model_copy(update={"intent": request.intent, "confidence": 1.0})
    plan = plan_run(request, routing, per_job)
    config = request.config
    notes = [
        Message("{field}: no source is named {name!r}", field=field, name=name).in_language(routing.language)
        for field, names in (
            ("source_timeout_seconds", config.source_timeout_seconds),
            ("disabled_sources", config.disabled_sources),
        )
        for name in names
        if name not in per_job
    ]
    return plan.model_copy(update={"notes": (*plan.notes, *notes)}) if notes else plan


def refused_plan(request: TroubleshootRequest, error: TroubleshootError) -> Plan:
    """The plan of a run that asks nobody, with the reason: it ends at once instead of at its deadline."""
    routing = route(request.message, jobs=request.named_jobs, language=request.language)
    return Plan(pipeline=REFUSED, routing=routing, sources=(), reason=error.message.in_language(routing.language))
