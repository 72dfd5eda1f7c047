"""The state itself, for a question that asks for it: what TWS shows, and since when, before any cause."""

from collections import Counter
from collections.abc import Iterator, Sequence

from orchestrator.codes.local_time import shown_time
from orchestrator.codes.notation import bare_name
from orchestrator.codes.states import EXECUTING, RUNNING
from orchestrator.diagnosis.rules.scene import Scene
from orchestrator.diagnosis.rules.verdict import with_code
from orchestrator.i18n.message import Message, Text, join
from orchestrator.payloads import JobFacts, WorkstationFacts

MAX_STATES = 5
"""Jobs of a question whose states are told in a sentence each."""


def state_sentence(job: str, status: str, return_code: int | None, substatus: str = "") -> Text:
    """The state in which TWS shows a job; ``substatus`` brings its own comma."""
    return Message(
        "TWS shows {job} as {status}{rc}{substatus}.",
        job=job,
        status=status,
        rc=with_code(return_code),
        substatus=substatus,
    )


def running_for(job: JobFacts) -> Text | str:
    """How long a running job has been running, and its estimate once that is passed; without either, nothing."""
    elapsed = job.runs[0].elapsed_seconds if job.runs and job.status in EXECUTING else None
    if not elapsed:
        return ""
    minutes = round(elapsed / 60)
    if not job.estimated_seconds or elapsed <= job.estimated_seconds:
        return Message(" for {elapsed} min", elapsed=minutes)
    return Message(
        " for {elapsed} min, against an estimate of {estimated} min",
        elapsed=minutes,
        estimated=round(job.estimated_seconds / 60),
    )


def states_of(scenes: Sequence[Scene]) -> tuple[Text, ...]:
    """One sentence for each job, job stream or workstation in question whose state is known; else one that none is.

    Of many jobs the number in each state.
    """
    if len(scenes) > MAX_STATES:
        states = Counter(scene.tws.job.status or "?" for scene in scenes if scene.tws and scene.tws.job)
        counts = ", ".join(f"{status} {count}" for status, count in states.most_common())
        return (Message("States in TWS: {states}.", states=counts),) if counts else ()
    return tuple(dict.fromkeys(text for scene in scenes for text in _states(scene)))


def _states(scene: Scene) -> Iterator[Text]:
    tws = scene.tws
    if "tws_status" not in scene.answered:
        name = scene.question_job or ", ".join((*scene.entities.job_streams, *scene.entities.workstations))
        yield Message(
            "The present state{name} is not known: TWS did not answer.",
            name=Message(" of {name}", name=name) if name else "",
        )
    if tws is None:
        return
    if tws.job is not None:
        yield Message("State of job {name} in TWS: {state}.", name=tws.job.name, state=_state(tws.job, tws.time_zone))
        return
    streams = {bare_name(job.job_stream): job.job_stream_status for job in tws.problem_jobs if job.job_stream_status}
    for stream in scene.entities.job_streams:
        if status := streams.get(bare_name(stream)):
            yield Message("State of job stream {name} in TWS: {state}.", name=stream, state=status)
    for station in tws.workstations:
        if bare_name(station.name) in {bare_name(name) for name in scene.entities.workstations}:
            yield Message("State of workstation {name} in TWS: {state}.", name=station.name, state=_station(station))


def _state(job: JobFacts, zone: str) -> Text:
    run = job.runs[0] if job.runs else None
    code = job.newest_return_code
    when: Text | str = ""
    lasting = running_for(job)
    if run is not None and run.ended_at and job.status not in RUNNING:
        when = Message("ended at {at}", at=shown_time(run.ended_at, zone))
    elif run is not None and run.started_at:
        at = shown_time(run.started_at, zone)
        when = Message("started at {at}", at=at)
        if lasting:
            when = Message("started at {at}, running{lasting}", at=at, lasting=lasting)
    elif job.scheduled_at:
        when = Message("scheduled for {at}", at=shown_time(job.scheduled_at, zone))
    return join((job.status or "?", job.substatus, "" if code is None else f"RC {code}", when), ", ")


def _station(station: WorkstationFacts) -> Text | str:
    parts: list[Text | str] = []
    if station.linked is not None:
        parts.append(Message("linked") if station.linked else Message("not linked"))
    if station.limit is not None:
        parts.append(Message("limit {limit}", limit=station.limit))
    if station.fence:
        parts.append(f"fence {station.fence}")
    return join(parts, ", ") if parts else "?"
