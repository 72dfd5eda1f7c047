"""The plan of a later stage of a run, from what the stages before it have answered. Pure."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from itertools import chain

from orchestrator.codes.notation import bare_name, is_job_name, is_named_by, is_same_job
from orchestrator.i18n.message import Message
from orchestrator.models import MAX_JOBS, Plan, PlannedSource, SourceEnvelope
from orchestrator.routing.pipelines import plan_jobs


def next_stage(plan: Plan, envelopes: Mapping[str, SourceEnvelope]) -> Plan:
    """The plan of the first of the stages to come: its sources about the jobs of the run, named or found by now.

    A source is not asked about the same job twice. The plan has no sources when there is no job to ask about and every
    other source of the stage was asked.
    """
    stage, *rest = plan.then
    answers = [envelope for planned in plan.asked if (envelope := envelopes.get(planned.key)) is not None]
    excluded = plan.routing.entities.excluded
    of_answers = dict.fromkeys(chain.from_iterable(map(found_jobs, answers)))
    meant = tuple(job for job in of_answers if not any(is_named_by(job, other) for other in excluded))
    found = _besides(plan.jobs, meant)
    jobs = found[:MAX_JOBS]
    more = len(found) - len(jobs) + sum(_unnamed(envelope) for envelope in answers)
    sources = [
        planned
        for template in stage.sources
        for planned in _about(template, jobs, stage.jobs_per_task.get(template.source, 0), plan)
    ]
    count = Message("{count} jobs were found; the worst {limit} are examined", count=len(jobs) + more, limit=len(jobs))
    notes = (count.in_language(plan.routing.language),) if more else ()
    later = {"sources": tuple(sources), "then": tuple(rest), "notes": notes, "left_out": more}
    return plan.model_copy(update={**later, "stage": plan.stage + 1})


def all_stages(plan: Plan, envelopes: Mapping[str, SourceEnvelope]) -> Plan:
    """The plan with the stages that were to come, as they would have been planned."""
    while plan.then:
        plan = plan.with_stage(next_stage(plan, envelopes))
    return plan


def found_jobs(envelope: SourceEnvelope) -> tuple[str, ...]:
    """Names of the jobs that a source has found, worst first: the list ``found`` of its data."""
    found = envelope.data.get("found")
    names: Iterable[object] = found if envelope.success and isinstance(found, list | tuple) else ()
    return tuple(name for name in names if isinstance(name, str) and is_job_name(name))


def _besides(named: tuple[str, ...], found: tuple[str, ...]) -> tuple[str, ...]:
    """The named jobs and the found ones that are none of them; a name that several of these have may mean any."""
    by_name: dict[str, list[str]] = defaultdict(list)
    for name in found:
        by_name[bare_name(name).casefold()].append(name)
    asked = set(named)
    for other in named:
        same = [name for name in by_name.get(bare_name(other).casefold(), ()) if is_same_job(name, other)]
        asked.update(same if len(same) == 1 else ())
    return (*named, *(name for name in found if name not in asked))


def _unnamed(envelope: SourceEnvelope) -> int:
    """How many jobs a source has found beyond those that it names."""
    count, found = envelope.data.get("found_count"), found_jobs(envelope)
    return max(0, count - len(found)) if found and isinstance(count, int) else 0


def _about(template: PlannedSource, jobs: tuple[str, ...], most: int, plan: Plan) -> tuple[PlannedSource, ...]:
    mine = [planned for planned in plan.sources if planned.source == template.source]
    asked = {alone.job for planned in mine for alone in planned.each}
    open_jobs = [job for job in jobs if job not in asked]
    if not open_jobs or most < 1:
        return () if mine else (template,)
    first_batch = max((planned.batch or 0 for planned in mine), default=0) + 1
    return plan_jobs(template, open_jobs, most, first_batch=first_batch)
