"""The answer to a question for a list of the plan: everything that matches, counted, and grouped by stream and code."""

import asyncio
import re
from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from functools import partial

from orchestrator.codes.notation import in_folder, is_named_by, lies_in, stream_of, whole_name
from orchestrator.codes.states import (
    ABENDED,
    CANCELLED,
    FAILED,
    JOB_PROBLEMS,
    NO_PROBLEMS,
    NOT_LAUNCHED,
    RUNNING,
    STALLED,
    SUCCEEDED,
)
from orchestrator.i18n.message import Message
from orchestrator.models import Entities
from orchestrator.payloads import JobFacts, ListedGroup, ListingFacts, RelatedFacts, WorkstationFacts
from orchestrator.routing.listing import Listed, Listing
from workers.sources.tws_status.client import HwaSession, JsonObject, Page
from workers.sources.tws_status.lookup import NO_OBJECT, Lookup, jobs_of_query
from workers.sources.tws_status.notation import (
    JobPattern,
    JobRef,
    parse_job_stream_name,
    parse_workstation_name,
    pattern_readings,
)
from workers.sources.tws_status.oql import Oql
from workers.sources.tws_status.parsing import (
    items,
    parse_dependency,
    parse_job,
    parse_job_stream,
    parse_workstation,
    text,
)
from workers.sources.tws_status.problems import all_workstations, every_job_of_stream, names_of, streams_of_query

MAX_GROUPS = 12
MAX_NAMES = 15
"""Names of one group."""
MAX_NEEDS = 25
"""Jobs whose dependencies are read, to see which resource they wait for."""

_STATES: dict[str, tuple[str, ...]] = {
    "abended": ABENDED,
    "failed": FAILED,
    "running": RUNNING,
    "blocked": (*(state for state in NOT_LAUNCHED if state not in RUNNING), *STALLED),
    "waiting": (*(state for state in NOT_LAUNCHED if state not in RUNNING), *STALLED),
    "succeeded": SUCCEEDED,
    "cancelled": CANCELLED,
}
_NOT_BLOCKED = ("HOLD_WAITING_FOR_TIME",)
"""A job that waits for its time is where it should be."""
_COMMON = {
    "waiting": ("WAITING", "WAITING_FOR_TRIGGER", "READY", "READY_PREV_WS_NONREP", "HELD", "UNDECIDED", "BLOCKED",
                "SUPPRESS", "SUPPRESS_BY_COND"),
}  # fmt: skip
"""``CommonStatusV2`` of the jobs that have not started."""


async def list_plan(session: HwaSession, listing: Listing, entities: Entities, lookup: Lookup) -> ListingFacts:
    """Everything in the plan that the list is limited to. Raises HwaError."""
    ask = {Listed.JOBS: _jobs, Listed.STREAMS: _streams, Listed.WORKSTATIONS: _workstations}[listing.listed]
    return await ask(session, listing, entities, lookup)


def is_of(job: JobFacts, states: Collection[str]) -> bool:
    """Whether a job is in one of the states: one in words, or as TWS writes it. Without states: any job."""
    return not states or any(_is(job, state) for state in states)


def _is(job: JobFacts, state: str) -> bool:
    if state == "late":
        return job.is_late and job.status not in NO_PROBLEMS
    if state == "unfinished":
        return job.status not in (*NO_PROBLEMS, *FAILED)
    if state == "blocked" and job.substatus in _NOT_BLOCKED:
        return False
    return job.status in _STATES.get(state, (state,))


async def _jobs(session: HwaSession, listing: Listing, entities: Entities, lookup: Lookup) -> ListingFacts:
    patterns = [reading for pattern in entities.job_patterns for reading in pattern_readings(pattern)]
    streams = [parse_job_stream_name(name) for name in entities.job_streams]
    stations = [parse_workstation_name(name) for name in entities.workstations]
    pages: Sequence[Page]
    if patterns:
        pages = await asyncio.gather(*(_of_pattern(session, pattern, lookup) for pattern in patterns))
    elif streams:
        pages = await asyncio.gather(*(every_job_of_stream(session, ref, lookup) for ref in streams))
    elif stations:
        queries = (Oql.equals("workstation", name) for name in stations)
        pages = await asyncio.gather(*(jobs_of_query(session, query, lookup) for query in queries))
    else:
        pages = [await jobs_of_query(session, _query(listing.states), lookup)]
    matches: dict[str, JobFacts] = {}
    lookup.listed = []
    results = [item for page in pages for item in page.results]
    if listing.resource:
        results = await _that_need(session, listing.resource, results, lookup)
    for item in results:
        job = parse_job(item)
        if (
            is_of(job, listing.states)
            and (not patterns or any(pattern.matches(item) for pattern in patterns))
            and (not streams or any(ref.matches(item) for ref in streams))
            and (not stations or any(JobRef(workstation=name).matches(item) for name in stations))
            and _is_in(job.folder, entities)
            and not any(is_named_by(whole_name(job), other) for other in entities.excluded)
        ):
            if job.id not in matches:
                lookup.listed.append(item)
            matches[job.id or str(len(matches))] = job
    lookup.found, lookup.found_count = names_of(matches.values()), len(matches)
    groups: dict[tuple[str, str, int | None], list[JobFacts]] = defaultdict(list)
    for job in matches.values():
        code = job.return_code if job.status in FAILED else None
        groups[stream_of(job) if listing.states else "", job.status, code].append(job)
    names = {
        key: [job.name if key[0] else f"{stream_of(job)}.{job.name}" for job in jobs] for key, jobs in groups.items()
    }
    where = [*entities.job_patterns, *entities.folders, *entities.job_streams, *entities.workstations]
    return _facts(listing, where, names, pages, lookup, total=len(matches))


async def _of_pattern(session: HwaSession, pattern: JobPattern, lookup: Lookup) -> Page:
    """The jobs that a pattern can mean, and others: in the spelling that the plan knows. Raises HwaError."""
    page = Page()
    for spelling in pattern.spellings:
        page = await jobs_of_query(session, spelling.query, lookup)
        if any(pattern.matches(item) for item in page.results):
            break
    return page


async def _that_need(
    session: HwaSession, resource: str, jobs: Sequence[JsonObject], lookup: Lookup
) -> list[JsonObject]:
    """Those of the jobs that wait for the resource, by their dependencies; a list of jobs does not hold these.

    A resource that the plan does not have is noted. Raises HwaError.
    """
    waiting = [item for item in jobs if "RESOURCE" in parse_job(item).substatus]
    cut = Message(
        "{count} more job that waits for a resource was not looked at",
        plural="{count} more jobs that wait for a resource were not looked at",
    )
    asked = lookup.first(waiting, MAX_NEEDS, cut)
    part = Message("job details")
    details = await asyncio.gather(
        *(
            lookup.part(part, partial(session.job, parse_job(item).id), NO_OBJECT, of=parse_job(item).name)
            for item in asked
        )
    )
    found = [
        item for item, detail in zip(asked, details, strict=True) if any(_is_for(resource, it) for it in _open(detail))
    ]
    if not found:
        known = await session.search_resources(Oql.any_of("name", {resource, resource.upper()}), limit=1)
        lookup.unknown = () if known.results else (resource,)
    return found


def _open(detail: JsonObject) -> list[RelatedFacts]:
    dependencies = map(parse_dependency, items(detail.get("dependencies")))
    return [item for item in dependencies if item.kind == "resource" and item.satisfied is not True]


def _is_for(resource: str, dependency: RelatedFacts) -> bool:
    return re.split("[#/]", dependency.name)[-1].casefold() == resource.casefold()


def _query(states: tuple[str, ...]) -> Oql | None:
    """The jobs that can be in the states, or more: a job's own state is no documented field of a query."""
    if not states or any(state in ("late", "unfinished", "succeeded", "cancelled") for state in states):
        return None
    possible = {name for state in states for name in _STATES.get(state, (state,))}
    if possible <= {*FAILED, *RUNNING}:
        keys = [name for name in (*JOB_PROBLEMS, *RUNNING) if name in possible]
        return Oql.any_of("jobruns.compositeStatus.status", keys) if keys else None
    if possible <= {*NOT_LAUNCHED, *STALLED}:
        return Oql.any_of("lastRunCommonStatus", _COMMON["waiting"])
    return None


async def _streams(session: HwaSession, listing: Listing, entities: Entities, lookup: Lookup) -> ListingFacts:
    page = await streams_of_query(session, None, lookup)
    names: dict[tuple[str, str, int | None], list[str]] = defaultdict(list)
    total = 0
    for item in page.results:
        stream = parse_job_stream(item)
        job = JobFacts(status=stream.status, folder=text(item.get("folder"), 800), is_late=_is_late(item))
        on = text(item.get("workstation"), 900).rpartition("/")[2]
        if (
            is_of(job, listing.states)
            and _is_in(job.folder, entities)
            and (not entities.workstations or on.upper() in {name.upper() for name in entities.workstations})
        ):
            names["", stream.status, None].append(stream.name)
            total += 1
    return _facts(listing, [*entities.folders, *entities.workstations], names, [page], lookup, total=total)


def _is_late(stream: JsonObject) -> bool:
    flags = stream.get("jsStatusFlags")
    return isinstance(flags, dict) and flags.get("lateJobStream") is True


async def _workstations(session: HwaSession, listing: Listing, entities: Entities, lookup: Lookup) -> ListingFacts:
    page = await all_workstations(session, lookup)
    names: dict[tuple[str, str, int | None], list[str]] = defaultdict(list)
    total = 0
    for item in page.results:
        station = parse_workstation(item)
        state = _state_of(station)
        wanted = not listing.states or state in listing.states or (state == "limit 0" and "linked" in listing.states)
        if station.name and wanted and _is_in(station.folder, entities):
            names["", state, None].append(in_folder(station.folder, station.name))
            total += 1
    return _facts(listing, entities.folders, names, [page], lookup, total=total)


def _state_of(station: WorkstationFacts) -> str:
    if station.linked is None:
        return "?"
    if not station.linked or (station.online is False and station.running is False):
        return "unlinked"
    return "limit 0" if station.limit == 0 else "linked"


def _is_in(folder: str, entities: Entities) -> bool:
    return not entities.folders or lies_in(folder, entities.folders)


def _facts(
    listing: Listing,
    where: Iterable[str],
    names: dict[tuple[str, str, int | None], list[str]],
    pages: Iterable[Page],
    lookup: Lookup,
    *,
    total: int,
) -> ListingFacts:
    unread = sum(page.left_out for page in pages)
    ordered = sorted(names.items(), key=lambda item: (-len(item[1]), item[0][:2]))
    groups = [
        ListedGroup(
            stream=stream, status=status, return_code=code, count=len(found), names=tuple(sorted(found)[:MAX_NAMES])
        )
        for (stream, status, code), found in ordered[:MAX_GROUPS]
    ]
    is_named = listing.is_count or lookup.jobs_follow
    unnamed = 0 if is_named else total - sum(len(group.names) for group in groups)
    lookup.left_out(unread, Message("{count} more was not read", plural="{count} more were not read"))
    cut = Message(
        "{count} of the list is counted and not named", plural="{count} of the list are counted and not named"
    )
    lookup.left_out(unnamed, cut)
    codes: dict[str, int] = defaultdict(int)
    for (_, status, code), found in ordered:
        codes[status if code is None else f"{status} RC {code}"] += len(found)
    streams: dict[str, int] = defaultdict(int)
    for (stream, _, _), found in ordered:
        streams[stream] += len(found)
    return ListingFacts(
        listed=listing.listed.value,
        states=listing.states,
        where=tuple(dict.fromkeys(where)),
        is_count=listing.is_count,
        resource=listing.resource,
        count=total,
        unread=unread,
        groups=tuple(groups),
        by_stream=_ranked(streams),
        by_code=_ranked(codes),
        is_complete=not unread and not unnamed,
    )


def _ranked(counts: dict[str, int]) -> dict[str, int]:
    kept = sorted(((name, count) for name, count in counts.items() if name), key=lambda item: (-item[1], item[0]))
    return dict(kept[:MAX_GROUPS])
