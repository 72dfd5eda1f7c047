"""The one-line summary (``FetchResult.finding``) of ``tws_status``."""

from collections import Counter

from orchestrator.codes.patterns import is_abend
from orchestrator.codes.states import FAILED
from orchestrator.diagnosis.rules.listing import counted
from orchestrator.i18n.message import Message, Text, join
from orchestrator.models import SourceRequest
from orchestrator.payloads import JobFacts, RelatedFacts, TwsPayload, WorkstationFacts


def describe(payload: TwsPayload, request: SourceRequest) -> Text:
    """The state of the job, or of what else was asked about, in one line."""
    entities = request.routing.entities
    name = request.job or next(iter(entities.jobs), None)
    parts: list[Text | str]
    if payload.listing is not None and (payload.listing.count or not payload.unknown):
        parts = [counted(payload.listing)]
    elif payload.job is not None:
        parts = [*_job(payload.job), *_stations(payload.workstations)]
        if payload.problem_jobs:
            parts.append(Message("at its root: {what}", what=join(_job(payload.problem_jobs[0]), "; ")))
    elif name is None and payload.unknown:
        parts = [
            Message("{name} is not in the current plan", name=", ".join(payload.unknown)),
            *_problems(payload, is_named=True),
        ]
    elif name is None:
        parts = _problems(payload, is_named=bool(entities.workstations or entities.job_streams))
    elif payload.problems_asked:
        parts = [Message("{name} is not a job of the current plan", name=name), *_problems(payload, is_named=True)]
    else:
        parts = [Message("{name} is not in the current plan", name=name)]
    return join(parts, "; ")


def _job(job: JobFacts) -> list[Text | str]:
    code = f" RC={job.return_code}" if job.return_code else ""
    substatus = f" ({job.substatus})" if job.substatus else ""
    parts: list[Text | str] = [f"{job.name} {job.status or '?'}{code}{substatus}"]
    if job.job_log is not None:
        abends = tuple(filter(is_abend, job.job_log.codes))
        first = abends[0] if abends else next(iter(job.job_log.codes), "")
        if first and job.job_log.step:
            parts.append(Message("{code} in {step}", code=first, step=job.job_log.step))
        elif first and (abends or job.status in FAILED):
            parts.append(first)
    unsatisfied = [related for related in job.predecessors if related.satisfied is False]
    if unsatisfied:
        parts.append(Message("waits for {what}", what=_first_of(unsatisfied)))
    if job.issues and not unsatisfied:
        parts.append(job.issues[0].message[:120].removesuffix("."))
    return parts


def _first_of(related: list[RelatedFacts]) -> Text:
    first = related[0].name + (f" ({related[0].status})" if related[0].status else "")
    return join((first, Message("{count} more", count=len(related) - 1) if len(related) > 1 else ""), ", ")


def _stations(stations: tuple[WorkstationFacts, ...]) -> list[Text | str]:
    unlinked = [Message("{name} not linked", name=station.name) for station in stations if station.linked is False]
    return [
        *unlinked,
        *(Message("{name} has limit 0", name=station.name) for station in stations if station.limit == 0),
    ]


def _problems(payload: TwsPayload, *, is_named: bool) -> list[Text | str]:
    parts = _stations(payload.workstations)
    streams = {
        job.job_stream: job.job_stream_status for job in payload.problem_jobs if job.job_stream_status == "STUCK"
    }
    parts += [Message("stream {name} in {status}", name=name, status=status) for name, status in streams.items()]
    if not payload.problem_jobs:
        return [*parts, Message("no job in trouble") if is_named else Message("no failed or stuck job in the plan")]
    states = Counter(job.status for job in payload.problem_jobs)
    listed = ", ".join(f"{count} {state}" for state, count in states.most_common(4))
    count = max(payload.problem_count or 0, len(payload.problem_jobs))
    if count > len(payload.problem_jobs):
        listed += f", +{count - len(payload.problem_jobs)}"
    parts.append(
        Message(
            "{count} job in trouble: {states}", plural="{count} jobs in trouble: {states}", count=count, states=listed
        )
    )
    worst = payload.problem_jobs[0]
    parts += _job(worst)
    if worst.status in FAILED and worst.successors:
        parts.append(Message("holds {count} successor", plural="holds {count} successors", count=len(worst.successors)))
    return parts
