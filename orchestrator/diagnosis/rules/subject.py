"""What the question is about, where the answer must say so: a name that the plan lacks, one of several jobs or runs."""

from collections.abc import Iterator, Sequence
from typing import Any

from orchestrator.codes.catalogue import Category
from orchestrator.codes.local_time import shown_time
from orchestrator.codes.notation import bare_name
from orchestrator.codes.patterns import find_program_codes, is_abend
from orchestrator.codes.states import FAILED, SUCCEEDED
from orchestrator.diagnosis.draft import DiagnosisDraft
from orchestrator.diagnosis.rules.scene import Scene, qualified
from orchestrator.i18n.message import Message, Text, join
from orchestrator.models import Entities, Routing
from orchestrator.payloads import JobFacts, TwsPayload
from orchestrator.routing.entities import asks_about_the_plan

NOT_IN_PLAN, NOT_NAMED = 0.8, 0.3
"""Confidence that what the question names is not in the plan, and of an answer to a question that names nothing."""
MAX_NAMES = 5
MAX_MEANT = 5
"""Jobs of a question of which the summary says which one of the plan is meant."""
MAX_CANDIDATES = 3
_SAY_WHICH = Message("Say which one is meant.")


def not_understood(scenes: Sequence[Scene]) -> DiagnosisDraft | None:
    """The answer to a question whose subject is not known: what the plan has instead, and no step on another object.

    None when the subject is known, when TWS did not answer, or when the question is about the plan as a whole.
    """
    scene = scenes[0] if len(scenes) == 1 else None
    tws = scene.tws if scene else None
    if scene is None or tws is None or scene.question_job or scene.job is not None:
        return None
    if tws.named_stream or tws.named_workstation:
        return None
    entities = scene.entities
    resource = tws.listing.resource if tws.listing else ""
    named = entities.job_streams or entities.workstations or entities.folders or resource
    if named and not (tws.unknown and not tws.problem_jobs and not tws.workstations):
        return None
    has_code = entities.codes or find_program_codes(scene.question) or scene.pasted
    if not named and (has_code or asks_about_the_plan(scene.question)):
        return None
    words = tws.unknown if named else tws.unknown[:MAX_CANDIDATES]
    if words and not set(words).isdisjoint(entities.folders):
        lead = Message("The plan has no folder {names}.", names=_listed(words))
    elif resource and resource in words:
        lead = Message("The plan has no resource {names}.", names=_listed(words))
    elif words:
        lead = Message("The plan has no job, job stream or workstation named {names}.", names=_listed(words))
    else:
        lead = Message("The question names no job, job stream or workstation of the plan.")
    return DiagnosisDraft(
        join((lead, instead(tws), "" if named else _problems(tws), _SAY_WHICH)),
        category=(Category.JOB_NOT_FOUND if words else Category.UNKNOWN).value,
        confidence=NOT_IN_PLAN if named else NOT_NAMED,
        asks_back=True,
    )


def nearest(tws: TwsPayload) -> Text | str:
    """The names of the plan that are most like one that it does not have."""
    return Message("The nearest names in the plan: {names}.", names=_listed(tws.nearest)) if tws.nearest else ""


def instead(tws: TwsPayload) -> Text | str:
    """What the plan has in place of a job that it does not have: the name elsewhere, else names that are like it."""
    if tws.candidates:
        return Message("The plan has this name elsewhere: {names}.", names=_listed(tws.candidates))
    return nearest(tws)


def what_is_meant(scenes: Sequence[Scene], entities: Entities) -> tuple[Text, ...]:
    """What must be said before the answer: which job, stream and run it is about where the question leaves it open."""
    texts = {scene.name: tuple(_meant(scene, entities, alone=len(scenes) == 1)) for scene in scenes}
    if len(scenes) <= MAX_MEANT:
        return tuple(dict.fromkeys(text for meant in texts.values() for text in meant))
    count = sum(map(bool, texts.values()))
    more = Message(
        "Which job and which run this is about is open for {count} of them: see `jobs` of the report.",
        plural="Which job and which run this is about is open for {count} of them: see `jobs` of the report.",
        count=count,
    )
    return (more,) if count else ()


def meant_of(scene: Scene) -> tuple[Text, ...]:
    """The same of one of several jobs, for what is said of it alone."""
    return tuple(_meant(scene, scene.entities, alone=False)) if scene.question_job else ()


def which_subject(routing: Routing) -> tuple[Text, ...]:
    """What a follow-up was taken to be about, where the session has known other subjects."""
    entities = routing.entities
    name = next(iter((*entities.jobs, *entities.job_streams, *entities.workstations)), "")
    if not routing.other_subjects:
        return ()
    others = ", ".join(routing.other_subjects)
    return (Message("This is about {name}; for {others}, ask by name.", name=name, others=others),)


def is_elsewhere(scene: Scene, entities: Entities) -> bool:
    """Whether the question names another job stream or workstation than the job's, and none that it depends on."""
    if len(entities.jobs) > 1:
        return False
    return scene.job is not None and any(_elsewhere(scene.job, entities))


def lacks_a_limit(scene: Scene) -> bool:
    """Whether the answer is about more than was asked: what limits the question is not in the plan."""
    tws = scene.tws
    return tws is not None and not scene.question_job and bool(tws.unknown and (tws.problem_jobs or tws.listing))


def _meant(scene: Scene, entities: Entities, *, alone: bool) -> Iterator[Text]:
    job, tws = scene.job, scene.tws
    if job is None or tws is None or tws.job is not job:
        if tws is not None and lacks_a_limit(scene):
            yield from (Message("{name} is not in the current plan.", name=name) for name in tws.unknown)
            yield from filter(None, (nearest(tws),))
        return
    name = qualified(job, job.name)
    if scene.question_job and not scene.question_job.casefold().endswith(job.name.casefold()):
        yield Message("The plan has {asked} as {name}.", asked=scene.question_job, name=name)
    for other in _elsewhere(job, entities) if alone else ():
        yield Message("Job {job} is not in {other}: the plan has it as {name}.", job=job.name, other=other, name=name)
    when = Message(", scheduled for {at}", at=shown_time(job.scheduled_at, tws.time_zone)) if job.scheduled_at else ""
    if tws.candidates:
        yield Message(
            "The plan has {count} jobs named {job}; this answer is about {name}{when}.",
            count=len(tws.candidates) + 1,
            job=job.name,
            name=name,
            when=when,
        )
    if alone and (codes := not_shown(scene, entities)):
        yield Message("The job log of {job} does not show {codes}.", job=job.name, codes=", ".join(codes))
    newest = job.runs[0] if job.runs else None
    failed = next((run for run in job.runs[1:] if run.status in FAILED), None)
    if newest is None or failed is None:
        return
    facts: dict[str, Any] = {
        "job": job.name,
        "count": len(job.runs),
        "failed": shown_time(failed.started_at or failed.ended_at, tws.time_zone) or "?",
        "at": shown_time(newest.started_at or newest.ended_at, tws.time_zone) or "?",
    }
    if newest.status in SUCCEEDED:
        yield Message(
            "{job} ran {count} times: the run of {failed} ended in {status}, the newest, of {at}, ended well.",
            **facts,
            status=failed.status,
        )
    elif newest.status in FAILED:
        yield Message("{job} ran {count} times; this answer is about the newest run, of {at}.", **facts)


def not_shown(scene: Scene, entities: Entities) -> tuple[str, ...]:
    """The codes of the question that the failed job's log does not show, where it was read to its end."""
    log = scene.job.job_log if scene.job is not None and scene.job.status in FAILED else None
    if log is None or log.total_lines is None or (log.read_lines or log.total_lines) < log.total_lines:
        return ()
    text = "\n".join((*scene.log_lines, *scene.issue_lines, *scene.log_codes)).upper()
    # The system writes S0C7 as "COMPLETION CODE=0C7" too.
    return tuple(code for code in entities.codes if code not in text and not (is_abend(code) and code[1:] in text))


def _elsewhere(job: JobFacts, entities: Entities) -> Iterator[str]:
    """The job streams and workstations of the question that are not the job's, nor of what it waits for or holds."""
    related = {part for item in (*job.predecessors, *job.successors) for part in _parts(item.name)}
    streams = {job.job_stream.casefold(), *related}
    stations = {bare_name(name).casefold() for name in (job.workstation, job.job_stream_workstation) if name}.union(
        run.workstation.casefold() for run in job.runs if run.workstation
    )
    if job.job_stream:
        yield from (name for name in entities.job_streams if bare_name(name).casefold() not in streams)
    if stations:
        # "na X" may be either.
        others = stations | streams
        yield from (name for name in entities.workstations if bare_name(name).casefold() not in others)


def _parts(name: str) -> Iterator[str]:
    yield from (part.casefold() for part in name.replace("#", "/").replace(".", "/").split("/") if part)


def _problems(tws: TwsPayload) -> Text | str:
    names = [qualified(job, job.name) for job in tws.problem_jobs]
    count = max(tws.problem_count or 0, len(names))
    return (
        Message(
            "In the plan {count} job has failed or does not start: {names}.",
            plural="In the plan {count} jobs have failed or do not start: {names}.",
            count=count,
            names=_listed(names, count),
        )
        if names
        else ""
    )


def _listed(names: Sequence[str], count: int = 0) -> str:
    shown = ", ".join(names[:MAX_NAMES])
    rest = max(count, len(names)) - len(names[:MAX_NAMES])
    return f"{shown}, +{rest}" if rest > 0 else shown
