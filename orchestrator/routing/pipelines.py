"""The plan of a run: which sources its pipeline asks, about which jobs, in which stages."""

import itertools
from collections.abc import Mapping, Sequence

from orchestrator.codes.notation import distinct_jobs, is_named_by, jobs_among
from orchestrator.errors import InvalidRequest
from orchestrator.i18n.message import Message
from orchestrator.models import MAX_JOBS, Plan, PlannedSource, Routing, Stage, TroubleshootRequest
from orchestrator.routing.entities import extract_entities, no_ranges, own_words, waited_for
from orchestrator.routing.listing import listing_beside, maps_jobs
from orchestrator.routing.pipeline import BUILT_IN, Pipeline, Reduce, parts_of
from orchestrator.routing.registry import pipeline_for
from orchestrator.sources import BUILTIN_SOURCES

REQUIRED_SOURCE = "tws_status"
"""Without it the confidence of a diagnosis stays low. It is also the one that finds jobs."""

WITH_FOUND_JOBS = frozenset({"rag_search"})
"""Sources that are asked once for a run, when its jobs are found: the knowledge base is searched for what their logs
show."""


MAX_NOTED = 20
"""Names in one note."""

LIST_LEFT_OUT = Message(
    "the question asks for a list beside the jobs that it names: the list was left out; ask for it in another question"
)


def reduce_of(plan: Plan) -> Reduce:
    """What is made of the answers to a plan; one of an older version carries only the name of its pipeline."""
    first = next(iter(parts_of(plan.pipeline)), "")
    of_name = next((pipeline.reduce for pipeline in BUILT_IN if pipeline.name == first), Reduce.DIAGNOSIS)
    return next((reduce for reduce in Reduce if reduce.value == plan.reduce), of_name)


def plan_run(request: TroubleshootRequest, routing: Routing, jobs_per_task: Mapping[str, int]) -> Plan:
    """Decide what is asked. ``jobs_per_task`` has the installed sources, see ``routing.plan.jobs_per_task``.

    Raises InvalidRequest when the request's configuration leaves no source to ask, or its pipeline does not exist;
    ConfigurationError.
    """
    config = request.config
    enabled = [name for name in jobs_per_task if config.is_enabled(name)]
    if not enabled:
        switches = ", ".join(f"enable_{name}" for name in BUILTIN_SOURCES)
        raise InvalidRequest(
            "no source is enabled; set at least one of {switches} to true (disabled_sources: {disabled})",
            switches=switches,
            disabled=", ".join(config.disabled_sources) or Message("empty"),
        )
    pipeline = pipeline_for(request, routing)
    notes = [*config.notes]
    jobs, left_out = _jobs_of(request, routing, notes)
    excluded = routing.entities.excluded
    meant = tuple(job for job in jobs if not any(is_named_by(job, other) for other in excluded))
    if excluded and (meant or not jobs):
        jobs = meant
        notes.append(Message("left out, as the question says: {names}", names=", ".join(excluded[:MAX_NOTED])))
    chosen = _choose(pipeline, enabled, config.min_sources_required, notes)
    notes += [Message("{name} is not installed", name=name) for name in pipeline.sources if name not in jobs_per_task]
    planned = {name: _planned(request, pipeline, name, notes) for name in chosen}
    most = {name: min(jobs_per_task[name], pipeline.limits_of(name).batch or MAX_JOBS) for name in chosen}
    first, *later = _stages(pipeline, chosen)
    plan = Plan(
        pipeline=pipeline.name,
        reduce=pipeline.reduce.value,
        routing=routing,
        sources=tuple(each for name in first for each in plan_jobs(planned[name], jobs, most[name])),
        then=tuple(
            Stage(
                sources=tuple(planned[name] for name in stage),
                jobs_per_task={name: most[name] for name in stage if most[name] > 0},
                after=tuple(before),
            )
            for before, stage in zip((first, *later), later, strict=False)
        ),
        left_out=left_out,
        reason=_reason(
            request, routing, pipeline, chosen, switched_off=[name for name in jobs_per_task if name not in enabled]
        ),
        notes=tuple(note.in_language(routing.language) for note in dict.fromkeys(notes)),
    )
    return _with_found_jobs(plan, request.message, planned, most)


def _with_found_jobs(plan: Plan, message: str, planned: Mapping[str, PlannedSource], most: Mapping[str, int]) -> Plan:
    """The plan with a stage about the jobs that its first stage finds, where the question is about each of them.

    What needs no job is asked in the first, as for any question; the second waits for ``REQUIRED_SOURCE`` alone. Where
    the pipeline has stages, the jobs are asked about in its second one, and in those that follow.
    """
    asked = dict.fromkeys(item.source for item in plan.sources)
    can_map = REQUIRED_SOURCE in planned and most[REQUIRED_SOURCE] > 0 and reduce_of(plan) is not Reduce.KNOWLEDGE
    if not can_map or not maps_jobs(message, plan.routing.entities):
        is_dropped = plan.jobs and listing_beside(message, plan.routing.entities) is not None
        note = LIST_LEFT_OUT.in_language(plan.routing.language)
        return plan.model_copy(update={"notes": (*plan.notes, note)}) if is_dropped else plan
    first = [item for item in plan.sources if item.source not in WITH_FOUND_JOBS]
    if plan.jobs or REQUIRED_SOURCE not in asked:  # beside the jobs that are named; for a later stage
        first.append(planned[REQUIRED_SOURCE])
    again = [name for name in asked if most[name] > 0 or name in WITH_FOUND_JOBS]
    second, *rest = plan.then or (Stage(sources=(), after=(REQUIRED_SOURCE,)),)
    names = dict.fromkeys((*again, *(item.source for item in second.sources)))
    update = {
        "sources": tuple(planned[name] for name in names),
        "jobs_per_task": {name: most[name] for name in names if most[name] > 0},
        "after": tuple(dict.fromkeys((*second.after, REQUIRED_SOURCE))),
    }
    return plan.model_copy(update={"sources": tuple(first), "then": (second.model_copy(update=update), *rest)})


def _planned(request: TroubleshootRequest, pipeline: Pipeline, source: str, notes: list[Message]) -> PlannedSource:
    """One source as the request and its pipeline limit it, without its jobs; the request's own limit outweighs."""
    limits, config = pipeline.limits_of(source), request.config
    limit_seconds = config.limit_seconds(source)
    if limits.seconds is not None and source not in config.source_timeout_seconds:
        limit_seconds = min(limits.seconds, config.fan_in_seconds)
        if limits.seconds > limit_seconds:
            notes.append(
                Message(
                    "{name} of {limit:g} s was clipped to {seconds:g} s, the total timeout less the reserve",
                    name=f"{pipeline.name}: limits.{source}.seconds",
                    limit=limits.seconds,
                    seconds=config.fan_in_seconds,
                )
            )
    return PlannedSource(
        source=source,
        limit_seconds=limit_seconds,
        required=source == REQUIRED_SOURCE,
        retries=limits.retries,
        cache_seconds=limits.cache_seconds,
    )


def _stages(pipeline: Pipeline, chosen: Sequence[str]) -> list[list[str]]:
    """The chosen sources by stage; those that no stage names are asked in the last."""
    stages = [[name for name in stage if name in chosen] for stage in pipeline.stages]
    stages[-1] += [name for name in chosen if name not in pipeline.sources]
    return [stage for stage in stages if stage]


def plan_jobs(
    planned: PlannedSource, jobs: Sequence[str], most: int, *, first_batch: int = 1
) -> tuple[PlannedSource, ...]:
    """A source planned for ``jobs``, of which one task asks about ``most``; as it is without jobs, or where that is 0.

    One job has a task of its own, in no batch. Batches are of about the same size.
    """
    if not jobs or most < 1:
        return (planned,)
    if most == 1 or len(jobs) == 1:
        return tuple(planned.model_copy(update={"job": job}) for job in jobs)
    if planned.cache_seconds:
        jobs = sorted(jobs)  # so that the same jobs in another order make the same batches
    count = -(-len(jobs) // most)
    bounds = [number * len(jobs) // count for number in range(count + 1)]
    batches = (tuple(jobs[start:end]) for start, end in itertools.pairwise(bounds))
    return tuple(
        planned.model_copy(update={"batch": number, "jobs": batch})
        for number, batch in enumerate(batches, start=first_batch)
    )


def _jobs_of(request: TroubleshootRequest, routing: Routing, notes: list[Message]) -> tuple[tuple[str, ...], int]:
    """The jobs to ask about, and how many more there are: those of the request, then those of its message.

    Beside those of the request, a job in a pasted log is not asked about, nor what the message names only as what
    another job waits for.
    """
    together = distinct_jobs((*request.named_jobs, *routing.entities.jobs))
    named = jobs_among(together, request.named_jobs)
    others: Sequence[str] = [job for job in together if job not in named]
    if named and others:
        known = request.entities.jobs if request.entities is not None else ()
        own = (*extract_entities(own_words(request.message)).jobs, *known)
        others = jobs_among(others, own)
    waits = waited_for(request.message, others) if named else ()
    if waits:
        notes.append(
            Message(
                "named as what another job waits for, so not examined itself: {jobs} (name it in jobs to examine it)",
                jobs=", ".join(waits),
            )
        )
    jobs = (*named, *(job for job in others if job not in waits))
    left_out = routing.entities.more_jobs + max(0, len(jobs) - MAX_JOBS)
    if ends := no_ranges(request.message, jobs):
        notes.append(
            Message(
                "{ends}: no range of jobs, so these two are examined; a range rises by one number in both names, as in "
                "FECH001 a FECH020",
                ends=", ".join(ends),
            )
        )
    if left_out:
        total = min(len(jobs), MAX_JOBS) + left_out
        notes.append(Message("{named} jobs were named; the first {limit} are examined", named=total, limit=MAX_JOBS))
    return jobs[:MAX_JOBS], left_out


def _choose(pipeline: Pipeline, enabled: list[str], min_required: int, notes: list[Message]) -> list[str]:
    chosen = [name for name in pipeline.sources if name in enabled]
    if pipeline.site_sources:
        chosen += [name for name in enabled if name not in BUILTIN_SOURCES]
    rest = [name for name in enabled if name not in chosen]
    if not chosen:
        notes.append(
            Message(
                "every source of pipeline {pipeline} is switched off, so the remaining ones are queried",
                pipeline=pipeline.name,
            )
        )
        chosen, rest = rest, []
    if len(chosen) < min_required and rest:
        # A run that can never reach min_sources_required would be refused its answer whatever the sources say.
        added = rest[: min_required - len(chosen)]
        notes.append(
            Message(
                "{sources} added: min_sources_required is {required}", sources=", ".join(added), required=min_required
            )
        )
        chosen += added
    if len(chosen) < min_required:
        notes.append(
            Message(
                "min_sources_required of {required} was clipped to {count}, the number of sources that are queried",
                required=min_required,
                count=len(chosen),
            )
        )
    return chosen


def _reason(
    request: TroubleshootRequest, routing: Routing, pipeline: Pipeline, chosen: list[str], *, switched_off: list[str]
) -> str:
    words = f", from: {', '.join(routing.because)}" if routing.because else ""
    reason = f"intent {routing.intent.value} ({routing.confidence:.0%}{words})"
    if request.pipeline is not None:
        reason = f"pipeline {request.pipeline} was asked for"
    reason = f"{reason}: {pipeline.why or pipeline.title or pipeline.name}; queried: {', '.join(chosen)}"
    return f"{reason}; switched off: {', '.join(switched_off)}" if switched_off else reason
