"""Problem jobs of a workstation, a job stream or the whole plan: those that failed or do not start."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from functools import partial

from orchestrator.codes.notation import in_folder, is_job_name, lies_in, whole_name, with_instances
from orchestrator.codes.states import JOB_PROBLEMS, NO_PROBLEMS, PROBLEMS, STREAM_PROBLEMS
from orchestrator.i18n.message import Message
from orchestrator.models import MAX_JOBS
from orchestrator.payloads import JobFacts, WorkstationFacts
from workers.sources.tws_status.client import HwaSession, JsonObject, Page
from workers.sources.tws_status.errors import BadQuery
from workers.sources.tws_status.lookup import (
    QUERY_REFUSED,
    Lookup,
    gather_job,
    gather_workstations,
    search_tolerantly,
    stream_statuses,
)
from workers.sources.tws_status.notation import JobRef
from workers.sources.tws_status.oql import Oql
from workers.sources.tws_status.paging import all_pages
from workers.sources.tws_status.parsing import parse_job, parse_job_stream, parse_workstation, text

MAX_PROBLEMS = 20
DEEP_JOBS = 2
"""Problem jobs read in detail, with log and neighbours."""
MAX_STATIONS = 10
MAX_LOOKED_INTO = 5
"""Job streams, and workstations, of one question whose jobs are read."""
NO_STREAMS: dict[str, str] = {}
NO_JOBS: list[JsonObject] = []
_BLOCKED_SUBSTATUS = (
    "READY_WAITING_FOR_LIMIT",
    "READY_WAITING_FOR_AGENT",
    "READY_WAITING_FOR_USER_INTERVENTION",
    "READY_WAITING_FOR_RESOURCES",
)
_ORDER = (*PROBLEMS, "READY", "FENCE", "PEND", "HOLD")


async def workstation_problems(session: HwaSession, names: Iterable[str], lookup: Lookup) -> Message:
    """Read the state of the workstations and their unfinished jobs; returns a description of the query.

    Raises HwaError.
    """
    cut = Message("{count} more workstation", plural="{count} more workstations")
    stations = lookup.first(tuple(dict.fromkeys(names)), MAX_LOOKED_INTO, cut)
    jobs_by_station, _ = await asyncio.gather(
        asyncio.gather(
            *(_jobs_on(session, name, _on(name), lookup) for name in stations),
        ),
        gather_workstations(session, stations, lookup),
    )
    for index, name in enumerate(stations):
        if not jobs_by_station[index] and (whole := _in_its_folder(lookup, name)) != name:
            ask = partial(_jobs_on, session, whole, _on(name), lookup)
            jobs_by_station[index] = await lookup.part(Message("jobs on {name}", name=name), ask, NO_JOBS)
    lookup.notes += [
        Message("workstation {name}: not in the plan", name=name) for name in stations if not _knows(lookup, name)
    ]
    await _keep(session, [job for jobs in jobs_by_station for job in jobs], lookup)
    return Message("jobs on {names} that have not ended well", names=", ".join(stations))


async def stream_problems(session: HwaSession, refs: Iterable[JobRef], lookup: Lookup) -> Message:
    """Read the status of the job streams and their unfinished jobs; returns a description of the query.

    Raises HwaError.
    """
    cut = Message("{count} more job stream", plural="{count} more job streams")
    streams = lookup.first(tuple(dict.fromkeys(refs)), MAX_LOOKED_INTO, cut)
    statuses = await asyncio.gather(*(_stream_status(session, ref, lookup) for ref in streams))
    jobs: list[JsonObject] = []
    for ref, status in zip(streams, statuses, strict=True):
        if not status:
            lookup.notes.append(Message("job stream {name}: not in the plan", name=ref.stream))
            continue
        jobs += await jobs_of_stream(session, ref.stream, lookup, ref)
    lookup.streams = {ref.stream: status for ref, status in zip(streams, statuses, strict=True) if status}
    await _keep(session, jobs, lookup, lookup.streams)
    await gather_workstations(session, (job.workstation for job in lookup.problems), lookup)
    return Message("jobs of {names} that have not ended well", names=", ".join(ref.stream for ref in streams))


async def plan_problems(session: HwaSession, lookup: Lookup, folders: Sequence[str] = ()) -> Message:
    """Read the failed and stuck jobs of the plan, or of ``folders``; returns a description of the query.

    Raises HwaError.
    """
    failed = Oql.any_of("jobruns.compositeStatus.status", JOB_PROBLEMS)
    jobs, streams, stations = await asyncio.gather(
        search_tolerantly(session, failed, lambda job: job.status in PROBLEMS, lookup),
        lookup.part(Message("job streams"), partial(_stuck_streams, session, lookup), NO_STREAMS),
        lookup.part(Message("workstations"), partial(all_workstations, session, lookup), Page()),
    )
    ids = {text(job.get("id")) for job in jobs}
    bad = [
        facts
        for facts in (parse_workstation(item) for item in stations.results)
        if facts.name and (facts.linked is False or facts.limit == 0)
    ]
    cut = Message("{count} more workstation was not looked at", plural="{count} more workstations were not looked at")
    lookup.left_out(stations.left_out, cut)
    cut = Message(
        "{count} more workstation without link or at limit 0",
        plural="{count} more workstations without link or at limit 0",
    )
    shown = lookup.first(bad, MAX_STATIONS, cut)
    lookup.workstations |= {facts.name: facts for facts in shown}
    cut = Message("{count} more job stream in trouble", plural="{count} more job streams in trouble")
    stuck = lookup.first(tuple(streams), MAX_LOOKED_INTO, cut)
    cut = Message(
        "{count} more workstation whose jobs were not looked at",
        plural="{count} more workstations whose jobs were not looked at",
    )
    idle = lookup.first(shown, MAX_LOOKED_INTO, cut)
    waiting = await asyncio.gather(
        *(
            lookup.part(Message("jobs of {name}", name=name), partial(jobs_of_stream, session, name, lookup), NO_JOBS)
            for name in stuck
        ),
        *(
            lookup.part(
                Message("jobs on {name}", name=facts.name),
                partial(_jobs_blocked_on, session, facts, lookup),
                NO_JOBS,
            )
            for facts in idle
        ),
    )
    for group in waiting:
        for job in group:
            if text(job.get("id")) not in ids:
                ids.add(text(job.get("id")))
                jobs.append(job)
    if folders:
        jobs = [job for job in jobs if lies_in(parse_job(job).folder, folders)]
        stations_of = {parse_job(job).workstation for job in jobs}
        lookup.workstations = {name: facts for name, facts in lookup.workstations.items() if name in stations_of}
    await _keep(session, jobs, lookup, streams)
    if folders:
        return Message("failed and stuck jobs in {folders}", folders=", ".join(folders))
    return Message("failed and stuck jobs of the current plan")


async def _keep(
    session: HwaSession, jobs: list[JsonObject], lookup: Lookup, streams: dict[str, str] | None = None
) -> None:
    """Sort the jobs by urgency, gather the details of the first ones, and keep MAX_PROBLEMS of them."""
    ordered = sorted(jobs, key=lambda job: urgency(parse_job(job)))
    lookup.problem_count = lookup.found_count = len(ordered)
    lookup.found = names_of(map(parse_job, ordered))
    deep = await asyncio.gather(*(gather_job(session, job, lookup) for job in ordered[:DEEP_JOBS]))
    rest = [_brief(parse_job(job)) for job in ordered[DEEP_JOBS:MAX_PROBLEMS]]
    lookup.problems = [
        job.model_copy(update={"job_stream_status": (streams or {}).get(job.job_stream, job.job_stream_status)})
        for job in (*deep, *rest)
    ]


def _brief(job: JobFacts) -> JobFacts:
    """The job with its newest run only."""
    return job.model_copy(update={"runs": job.runs[:1]})


def names_of(jobs: Iterable[JobFacts]) -> tuple[str, ...]:
    """Names by which ``find_jobs`` finds each of the jobs again, worst first."""
    ordered = sorted(with_instances(tuple(jobs), ""), key=urgency)
    names = dict.fromkeys(map(whole_name, ordered))
    return tuple(name for name in names if is_job_name(name))[:MAX_JOBS]


def urgency(job: JobFacts) -> tuple[int, str]:
    """Sorts jobs by how bad their state is, then by their times."""
    return _rank(job.status), job.scheduled_at or ""


def _rank(status: str) -> int:
    return _ORDER.index(status) if status in _ORDER else len(_ORDER)


async def _stream_status(session: HwaSession, ref: JobRef, lookup: Lookup) -> str:
    """The stream's worst status in the plan; empty if it is not in the plan."""
    found = await stream_statuses(session, ref.stream, ref.workstation, ref.folder)
    statuses = [status or "UNKNOWN" for status in found]
    if len(statuses) > 1:
        lookup.notes.append(Message("job stream {name}: {count} in the plan", name=ref.stream, count=len(statuses)))
    return min(statuses, key=_rank, default="")


async def all_workstations(session: HwaSession, lookup: Lookup) -> Page:
    """The workstations of the plan. Raises HwaError."""

    def search(limit: int, offset: int) -> Awaitable[Page]:
        return session.search_workstations(None, limit=limit, offset=offset)

    return await all_pages(session, search, lookup.notes)


async def streams_of_query(session: HwaSession, query: Oql | None, lookup: Lookup) -> Page:
    """The job streams of a query, or of the plan. Raises HwaError."""

    def search(limit: int, offset: int) -> Awaitable[Page]:
        return session.search_job_streams(query, limit=limit, offset=offset)

    return await all_pages(session, search, lookup.notes)


async def _stuck_streams(session: HwaSession, lookup: Lookup) -> dict[str, str]:
    try:
        page = await streams_of_query(session, Oql.any_of("compositeStatus.status", STREAM_PROBLEMS), lookup)
    except BadQuery:
        page = await streams_of_query(session, None, lookup)
    cut = Message("{count} more job stream was not looked at", plural="{count} more job streams were not looked at")
    lookup.left_out(page.left_out, cut)
    stuck = {}
    for stream in page.results:
        status = parse_job_stream(stream).status
        if status in STREAM_PROBLEMS:
            stuck[text(stream.get("name"))] = status
    return {name: status for name, status in stuck.items() if name}


async def jobs_of_stream(
    session: HwaSession, stream: str, lookup: Lookup, ref: JobRef | None = None
) -> list[JsonObject]:
    """The stream's jobs that did not end well."""
    named = ref or JobRef(stream=stream)
    page = await every_job_of_stream(session, named, lookup)
    cut = Message(
        "{count} more job of {name} was not looked at",
        plural="{count} more jobs of {name} were not looked at",
        name=stream,
    )
    lookup.left_out(page.left_out, cut)
    return [job for job in page.results if named.matches(job) and parse_job(job).status not in NO_PROBLEMS]


async def every_job_of_stream(session: HwaSession, ref: JobRef, lookup: Lookup) -> Page:
    """The jobs of all streams of that name. Raises HwaError.

    Servers differ in the field name of the stream; when all are refused, the jobs of the plan are filtered.
    """
    for field_name in ("jobStreamName", "jobstreamName"):
        query = Oql.equals(field_name, ref.stream)
        try:
            page = await all_pages(session, partial(_search, session, query), lookup.notes)
        except BadQuery:
            continue
        return page
    page = await all_pages(session, partial(_search, session, None), lookup.notes)
    lookup.notes.append(QUERY_REFUSED.with_facts(limit=len(page.results)))
    named = [job for job in page.results if text(job.get("jobStreamName")) == ref.stream]
    return Page(tuple(named), len(named) + page.left_out)


async def _search(session: HwaSession, query: Oql | None, limit: int, offset: int) -> Page:
    return await session.search_jobs(query, limit=limit, offset=offset)


def _on(workstation: str) -> Callable[[JobFacts], bool]:
    return lambda job: job.workstation.upper() == workstation.upper() and job.status not in NO_PROBLEMS


async def _jobs_blocked_on(session: HwaSession, station: WorkstationFacts, lookup: Lookup) -> list[JsonObject]:
    """Jobs that do not start because of the workstation."""
    return await _jobs_on(session, in_folder(station.folder, station.name), _blocked_on(station.name), lookup)


async def _jobs_on(
    session: HwaSession, workstation: str, keep: Callable[[JobFacts], bool], lookup: Lookup
) -> list[JsonObject]:
    return await search_tolerantly(session, Oql.equals("workstation", workstation), keep, lookup)


def _in_its_folder(lookup: Lookup, name: str) -> str:
    """A workstation as the plan refers to it: behind its folder when that is not the root."""
    stations = (item for item in lookup.workstations.values() if item.name.upper() == name.upper())
    return next((in_folder(item.folder, item.name) for item in stations), name)


def _blocked_on(workstation: str) -> Callable[[JobFacts], bool]:
    return lambda job: (
        job.workstation.upper() == workstation.upper()
        and (job.status == "READY" or job.substatus in _BLOCKED_SUBSTATUS)
    )


def _knows(lookup: Lookup, name: str) -> bool:
    return any(station.upper() == name.upper() for station in lookup.workstations)
