"""The plan of a run: routing, pipeline and the sources that can be asked here."""

from collections.abc import Callable, Mapping, Sequence

from orchestrator.config import ParallelConfig
from orchestrator.errors import InvalidRequest, TroubleshootError
from orchestrator.i18n.message import Message
from orchestrator.logs import get_logger, shown
from orchestrator.models import MAX_BATCH_JOBS, Entities, Intent, Plan, Routing, TroubleshootRequest
from orchestrator.routing.follow_up import Reference, Subject, focus_of, follow, reference_of
from orchestrator.routing.pipeline import Pipeline
from orchestrator.routing.pipelines import plan_run
from orchestrator.routing.registry import chosen_pipeline
from orchestrator.routing.router import route_request
from orchestrator.routing.vocabulary import plain_text
from orchestrator.sources import BUILTIN_SOURCES, load_source, source_names

_LOGGER = get_logger(__name__)
_OF_ITSELF = (Intent.GENERAL, Intent.QUERY)
"""Kinds of question that, naming nothing, are about no job: small talk, and how something works."""
WHICH_ONE = "which_one"
"""Name of the pipeline of a run whose answer is the question which job is meant."""
REFUSED = "refused"
"""Name of the pipeline of a run that asks nobody."""


def jobs_per_task(*, all_builtin: bool = False) -> dict[str, int]:
    """The installed sources, each with the most jobs that one task asks about: 0 where it is asked once per run.

    One that cannot be loaded here is logged and planned once per run, so that the answer names it as an error. Raises
    WorkersNotInstalled when none can be loaded, and with ``all_builtin`` when one of the four cannot: a client without
    the workers' extra gets this error, not an answer from the one source that needs nothing more.
    """
    sources: dict[str, int] = {}
    problems: list[TroubleshootError] = []
    for name in source_names():
        try:
            spec = load_source(name)
            sources[name] = min(spec.batch_size, MAX_BATCH_JOBS) if spec.per_job else 0
        except TroubleshootError as error:
            if all_builtin and name in BUILTIN_SOURCES:
                raise
            _LOGGER.warning("source_not_loaded source=%s error=%s", name, shown(error))
            problems.append(error)
            sources[name] = 0
    if problems and len(problems) == len(sources):
        raise problems[0]
    return sources


def check_minimum(config: ParallelConfig) -> None:
    """Raise InvalidRequest when more sources must answer than can be asked.

    A run without any source is accepted: its answer says which to switch on.
    """
    enabled = [name for name in source_names() if config.is_enabled(name)]
    if enabled and config.min_sources_required > len(enabled):
        raise InvalidRequest(
            "{field} ({value}) must not be greater than the number of sources that are switched on ({count}: {names})",
            field="min_sources_required",
            value=config.min_sources_required,
            count=len(enabled),
            names=", ".join(enabled),
        )


def no_session() -> tuple[Subject, ...]:
    """The subjects of a question that belongs to no session."""
    return ()


def plan_request(
    request: TroubleshootRequest,
    jobs_per_task: Mapping[str, int],
    session: Callable[[], Sequence[Subject]] = no_session,
) -> Plan:
    """Route the message and plan which sources are asked.

    ``session`` gives what the earlier questions of the session were about, the latest first; it is called for a
    question that names nothing itself. Where it is not known what such a question means, the plan asks nobody, and its
    reason asks the user. Raises InvalidRequest when no source is left to ask or the pipeline does not exist,
    ConfigurationError for the site's pipelines, and what ``session`` raises.
    """
    routing = route_request(request)
    if request.intent is not None:
        confidence = 1.0 if request.confidence is None else request.confidence
        routing = routing.model_copy(update={"intent": request.intent, "confidence": confidence})
    pipeline = chosen_pipeline(request, routing)
    if pipeline is not None:
        request, routing = _about(pipeline, request, routing)
    reference = reference_of(request.message, routing.entities)
    if pipeline is not None and (request.pipeline is None or reference in (Reference.NOTHING, Reference.MAYBE)):
        # A word of the site says what it is about.
        reference = Reference.NAMED
    if reference in (Reference.NOTHING, Reference.MAYBE):
        routing = routing.model_copy(update={"is_off_topic": True})
    is_open = reference is Reference.BACK or (reference is Reference.OPEN and routing.intent not in _OF_ITSELF)
    meant = follow(routing, reference, session(), focus_of(request.message)) if is_open else None
    if isinstance(meant, Message):
        question = meant.in_language(routing.language)
        return Plan(pipeline=WHICH_ONE, routing=routing, sources=(), reason=question)
    if meant is not None:
        routing = meant if request.intent is None else meant.model_copy(update={"intent": request.intent})
    plan = plan_run(request, routing, jobs_per_task)
    config = request.config
    notes = [
        Message("{field}: no source is named {name!r}", field=field, name=name).in_language(routing.language)
        for field, names in (
            ("source_timeout_seconds", config.source_timeout_seconds),
            ("disabled_sources", config.disabled_sources),
        )
        for name in names
        if name not in jobs_per_task
    ]
    return plan.model_copy(update={"notes": (*plan.notes, *notes)}) if notes else plan


def _about(pipeline: Pipeline, request: TroubleshootRequest, routing: Routing) -> tuple[TroubleshootRequest, Routing]:
    """A question that leads to ``pipeline``: about its jobs where it names nothing, and not about its words."""
    words = {word for phrase in pipeline.words for word in plain_text(phrase).split()}
    entities = routing.entities
    candidates = tuple(name for name in entities.candidates if plain_text(name) not in words)
    if not _names_an_object(entities) and pipeline.jobs:
        request = request.model_copy(update={"jobs": pipeline.jobs})
        entities = route_request(request).entities
    return request, routing.model_copy(update={"entities": entities.model_copy(update={"candidates": candidates})})


def _names_an_object(entities: Entities) -> bool:
    return any((entities.jobs, entities.job_patterns, entities.job_streams, entities.workstations, entities.folders))


def refused_plan(request: TroubleshootRequest, error: TroubleshootError) -> Plan:
    """The plan of a run that asks nobody, with the reason: it ends at once instead of at its deadline."""
    routing = route_request(request)
    return Plan(pipeline=REFUSED, routing=routing, sources=(), reason=error.message.in_language(routing.language))
