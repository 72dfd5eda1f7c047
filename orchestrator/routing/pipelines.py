"""Declared pipelines: which sources a kind of question is worth, and how their answers are reduced.

``PIPELINES`` is the whole table. A pipeline is plain data; two of them compose with ``|`` (the sources of both), so
a site builds its own from these.
"""

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from orchestrator.codes.notation import bare_name
from orchestrator.errors import InvalidRequest
from orchestrator.i18n.message import Message
from orchestrator.models import MAX_JOBS, Intent, Plan, PlannedSource, Routing, TroubleshootRequest
from orchestrator.routing.entities import waited_for
from orchestrator.sources import BUILTIN_SOURCES

CERTAIN_ENOUGH = 0.6
"""Below this confidence in the intent every source is queried: narrowing on a guess could miss the cause.

In the router's cross-validation nine of ten questions are above it, and one in 20 of those is narrowed wrongly (0.5:
one in 16).
"""

REQUIRED_SOURCE = "tws_status"
"""Without it the confidence of a diagnosis stays low."""


class Reduce(StrEnum):
    """What is made of the sources' answers."""

    DIAGNOSIS = "diagnosis"
    """Ranked causes, steps and prevention."""
    STATUS = "status"
    """The state first; causes when there is a problem."""
    KNOWLEDGE = "knowledge"
    """From the catalogue and the knowledge base."""


@dataclass(frozen=True, slots=True)
class Pipeline:
    """Sources to fan out to and the reduce that merges them."""

    name: str
    sources: tuple[str, ...]
    why: str
    reduce: Reduce = Reduce.DIAGNOSIS
    asks_site_sources: bool = True
    """Whether the sources of a site are queried as well; a narrowed pipeline leaves them out."""

    def __or__(self, other: "Pipeline") -> "Pipeline":
        """Both pipelines' sources in order; the left one's name leads and its reduce holds."""
        return Pipeline(
            name=f"{self.name}+{other.name}",
            sources=tuple(dict.fromkeys((*self.sources, *other.sources))),
            why=f"{self.why}; {other.why}",
            reduce=self.reduce,
            asks_site_sources=self.asks_site_sources or other.asks_site_sources,
        )


TROUBLESHOOT = Pipeline(
    "troubleshoot",
    BUILTIN_SOURCES,
    "a failure is explained by its state, its log, what happened before, the load and the runbooks",
)
STATUS = Pipeline(
    "status",
    ("tws_status", "log_cache"),
    "the state is in TWS, and the last runs say whether it is usual",
    Reduce.STATUS,
    asks_site_sources=False,
)
KNOWLEDGE = Pipeline(
    "query",
    ("rag_search", "tws_status"),
    "a question about how something works is answered by the runbooks and by the plan",
    Reduce.KNOWLEDGE,
    asks_site_sources=False,
)
ACTION = Pipeline(
    "action",
    ("tws_status", "rag_search", "log_cache"),
    "before an action is proposed, the state, the procedure and the last runs must be known; nothing is executed",
    Reduce.STATUS,
    asks_site_sources=False,
)
GENERAL = Pipeline(
    "general",
    ("rag_search",),
    "small talk and questions about the tool need the knowledge base at most",
    Reduce.KNOWLEDGE,
    asks_site_sources=False,
)
EVERYTHING = Pipeline("everything", BUILTIN_SOURCES, "the kind of question is not clear, so every source is queried")

PIPELINES: dict[Intent, Pipeline] = {
    Intent.TROUBLESHOOT: TROUBLESHOOT,
    Intent.STATUS: STATUS,
    Intent.QUERY: KNOWLEDGE,
    Intent.ACTION: ACTION,
    Intent.GENERAL: GENERAL,
}


def pipeline_for(routing: Routing) -> Pipeline:
    """The pipeline of an intent; an unknown or uncertain one asks everything.

    A knowledge question about a named job also needs the job's state and history.
    """
    if routing.is_off_topic and not routing.entities.candidates:
        return GENERAL
    pipeline = PIPELINES.get(routing.intent, EVERYTHING)
    if routing.confidence < CERTAIN_ENOUGH and pipeline is not TROUBLESHOOT:
        return EVERYTHING
    if pipeline is KNOWLEDGE and routing.entities.jobs:
        return KNOWLEDGE | STATUS
    return pipeline


def reduce_of(pipeline_name: str) -> Reduce:
    """The reduce of a pipeline by the name that a plan carries; a composed name follows its first part."""
    first = pipeline_name.split("+", 1)[0]
    return next((pipeline.reduce for pipeline in PIPELINES.values() if pipeline.name == first), Reduce.DIAGNOSIS)


def plan_run(request: TroubleshootRequest, routing: Routing, jobs_per_task: Mapping[str, int]) -> Plan:
    """Decide what is asked. ``jobs_per_task`` has the installed sources, see ``routing.plan.jobs_per_task``.

    Raises InvalidRequest when the request's configuration leaves no source to ask.
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
    pipeline = pipeline_for(routing)
    notes = [*config.notes]
    jobs, left_out = _jobs_of(request, routing, notes)
    chosen = _choose(pipeline, enabled, config.min_sources_required, notes)
    notes += [Message("{name} is not installed", name=name) for name in pipeline.sources if name not in jobs_per_task]
    return Plan(
        pipeline=pipeline.name,
        routing=routing,
        sources=tuple(
            planned
            for name in chosen
            for planned in plan_jobs(
                PlannedSource(source=name, limit_seconds=config.limit_seconds(name), required=name == REQUIRED_SOURCE),
                jobs,
                jobs_per_task[name],
            )
        ),
        left_out=left_out,
        reason=_reason(routing, pipeline, chosen, switched_off=[name for name in jobs_per_task if name not in enabled]),
        notes=tuple(note.in_language(routing.language) for note in notes),
    )


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
    count = -(-len(jobs) // most)
    bounds = [number * len(jobs) // count for number in range(count + 1)]
    batches = (tuple(jobs[start:end]) for start, end in itertools.pairwise(bounds))
    return tuple(
        planned.model_copy(update={"batch": number, "jobs": batch})
        for number, batch in enumerate(batches, start=first_batch)
    )


def _jobs_of(request: TroubleshootRequest, routing: Routing, notes: list[Message]) -> tuple[tuple[str, ...], int]:
    """The jobs to ask about, and how many more there are: those of the request, then those of its message.

    What the message names only as what one of the request's jobs waits for is not asked about.
    """
    named = request.named_jobs
    others = [job for job in routing.entities.jobs if not any(_is_same_job(job, other) for other in named)]
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
    if left_out:
        total = min(len(jobs), MAX_JOBS) + left_out
        notes.append(Message("{named} jobs were named; the first {limit} are examined", named=total, limit=MAX_JOBS))
    return jobs[:MAX_JOBS], left_out


def _is_same_job(one: str, other: str) -> bool:
    """Whether two names are of one job, at least as far as the shorter says."""
    short, long = sorted((one.upper(), other.upper()), key=len)
    return short == long or (bare_name(short) == short and bare_name(long) == short)


def _choose(pipeline: Pipeline, enabled: list[str], min_required: int, notes: list[Message]) -> list[str]:
    chosen = [name for name in pipeline.sources if name in enabled]
    if pipeline.asks_site_sources:
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


def _reason(routing: Routing, pipeline: Pipeline, chosen: list[str], *, switched_off: list[str]) -> str:
    words = f", from: {', '.join(routing.because)}" if routing.because else ""
    reason = (
        f"intent {routing.intent.value} ({routing.confidence:.0%}{words}): {pipeline.why}; queried: {', '.join(chosen)}"
    )
    return f"{reason}; switched off: {', '.join(switched_off)}" if switched_off else reason
