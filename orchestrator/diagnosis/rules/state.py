"""The state itself, for a question that asks for it: what TWS shows, and since when, before any cause."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from orchestrator.diagnosis.rules.scene import Scene, short_name
from orchestrator.i18n.sentences import say
from orchestrator.payloads import JobFacts, WorkstationFacts


def tell_states(scenes: Sequence[Scene]) -> tuple[str, ...]:
    """One sentence for each job, job stream or workstation that was asked about and is known; else that none is."""
    return tuple(dict.fromkeys(text for scene in scenes for text in _states(scene)))


def _states(scene: Scene) -> Iterator[str]:
    language, tws = scene.language, scene.tws
    if "tws_status" not in scene.answered:
        name = scene.asked or ", ".join((*scene.entities.job_streams, *scene.entities.workstations))
        yield say(language, "state_unknown", name=say(language, "state_of", name=name) if name else "")
    if tws is None:
        return
    if tws.job is not None:
        yield say(language, "state_job", name=tws.job.name, state=_state(scene, tws.job))
        return
    streams = {short_name(job.job_stream): job.job_stream_status for job in tws.problem_jobs if job.job_stream_status}
    for stream in scene.entities.job_streams:
        if status := streams.get(short_name(stream)):
            yield say(language, "state_stream", name=stream, state=status)
    for station in tws.workstations:
        if short_name(station.name) in {short_name(name) for name in scene.entities.workstations}:
            yield say(language, "state_workstation", name=station.name, state=_station(scene, station))


def _state(scene: Scene, job: JobFacts) -> str:
    language, run = scene.language, job.runs[0] if job.runs else None
    code = job.return_code if job.return_code is not None or run is None else run.return_code
    parts = [job.status or "?", job.substatus, "" if code is None else f"RC {code}"]
    if run is not None and run.ended_at:
        parts.append(say(language, "state_ended", at=run.ended_at))
    elif run is not None and run.started_at:
        parts.append(say(language, "state_started", at=run.started_at))
    elif job.scheduled_at:
        parts.append(say(language, "state_scheduled", at=job.scheduled_at))
    return ", ".join(part for part in parts if part)


def _station(scene: Scene, station: WorkstationFacts) -> str:
    language = scene.language
    parts = [
        "" if station.linked is None else say(language, "state_linked" if station.linked else "state_unlinked"),
        "" if station.limit is None else say(language, "state_limit", limit=station.limit),
        "" if not station.fence else f"fence {station.fence}",
    ]
    return ", ".join(part for part in parts if part) or "?"
