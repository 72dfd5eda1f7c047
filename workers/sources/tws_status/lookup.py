"""Lookups in the plan that take several requests: find a job, gather its details.

A detail that cannot be read becomes a note; only failure of the lookup itself raises.
"""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, TypeVar

from orchestrator.codes.notation import with_instances
from orchestrator.codes.states import FAILED, NO_PROBLEMS, NOT_LAUNCHED, PROBLEMS
from orchestrator.errors import SourceError
from orchestrator.i18n.languages import Language
from orchestrator.i18n.message import Message, Text, write
from orchestrator.models import Entities
from orchestrator.payloads import JobFacts, JobLogFacts, ListingFacts, RelatedFacts, WorkstationFacts
from workers.sources.tws_status.client import MAX_HUNG_LOGS, HwaSession, JsonObject, Page, SharedRequests
from workers.sources.tws_status.errors import BadQuery, LogsHang, NotFound
from workers.sources.tws_status.joblog import read_job_log
from workers.sources.tws_status.notation import JobRef, job_readings
from workers.sources.tws_status.oql import Oql, UnsafeValue
from workers.sources.tws_status.paging import all_pages
from workers.sources.tws_status.parsing import (
    MAX_RUNS,
    items,
    parse_dependency,
    parse_flow_node,
    parse_issue,
    parse_job,
    parse_job_stream,
    parse_workstation,
    running_until,
    text,
)

PAGE = 100
MAX_OF_A_NAME = 500
MAX_RELATED = 25
MAX_ISSUES = 10
MAX_WORKSTATIONS = 10
MAX_RESOURCES = 5

QUERY_REFUSED = Message("the server refused a query; only the first {limit} jobs were looked at")
LOGS_HANG = Message(
    "no more job logs were asked for after {count} in a row that did not come in time", count=MAX_HUNG_LOGS
)
NO_ENTITIES = Entities()
NO_OBJECT: JsonObject = {}
NO_OBJECTS: tuple[JsonObject, ...] = ()

T = TypeVar("T")


@dataclass(slots=True)
class Lookup:
    """What one question has gathered from the plan so far."""

    language: Language = Language.EN
    """Language of the question."""
    job: JobFacts | None = None
    problems: list[JobFacts] = field(default_factory=list)
    problem_count: int | None = None
    workstations: dict[str, WorkstationFacts] = field(default_factory=dict)
    candidates: list[JobFacts] = field(default_factory=list)
    unknown: tuple[str, ...] = ()
    """What the question names, or may name, and the plan does not have."""
    nearest: tuple[str, ...] = ()
    """Names of the plan that are most like those."""
    named_stream: str = ""
    named_workstation: str = ""
    """The job stream or workstation that a word of the question turned out to name."""
    streams: dict[str, str] = field(default_factory=dict)
    """Status of the requested job streams that are in the plan, by name."""
    predecessors: dict[str, Page] = field(default_factory=dict)
    """Predecessors already read, by job id."""
    listing: ListingFacts | None = None
    listed: list[JsonObject] = field(default_factory=list)
    """The jobs of the list."""
    found: tuple[str, ...] = ()
    """Whole names of the jobs of the list, worst first."""
    found_count: int = 0
    jobs_follow: bool = False
    """Whether each of the jobs that are found is asked about next, and so named in the answer."""
    between: tuple[str, ...] = ()
    """The jobs between the job and the one that holds it, from the job on."""
    notes: list[Message] = field(default_factory=list)
    """What could not be read, and why."""
    unread: list[Message] = field(default_factory=list)
    """Requests that failed beside the search, and why: what the answer lacks without being wrong."""
    cuts: list[Message] = field(default_factory=list)
    """What was left out because of its number."""

    def first(self, matches: Sequence[T], limit: int, cut: Message, *, beyond: int = 0) -> tuple[T, ...]:
        """The first ``limit`` items; the rest, and ``beyond`` items never read, are noted as ``cut``."""
        self.left_out(max(0, len(matches) - limit) + beyond, cut)
        return tuple(matches[:limit])

    def left_out(self, count: int, cut: Message) -> None:
        """Note that ``count`` items were left out, if any; ``cut`` is a plural message."""
        if count > 0:
            self.cuts.append(cut.with_facts(count=count))

    def tell_instances(self, zone: str) -> None:
        """Tell jobs of one whole name apart by the scheduled times of their job streams."""
        job = () if self.job is None else (self.job,)
        known = with_instances((*job, *self.problems, *self.candidates), zone)
        self.job = known[0] if job else None
        self.problems = list(known[len(job) : len(job) + len(self.problems)])
        self.candidates = list(known[len(job) + len(self.problems) :])

    async def part(self, name: Text | str, ask: Callable[[], Awaitable[T]], default: T, *, of: str = "") -> T:
        """The result of ``ask``; when it raises SourceError, ``default``, and a note of the part and whose it is."""
        try:
            return await ask()
        except SourceError as error:  # also for an id that cannot be used in a query
            self.notes.append(Message("{part}: {reason}", part=name, reason=error.reason))
            self.unread.append(
                Message("{part} of {name} ({reason})", part=name, name=of, reason=error.reason)
                if of
                else Message("{part} ({reason})", part=name, reason=error.reason)
            )
            return default


async def find_jobs(
    session: HwaSession, refs: Iterable[JobRef], lookup: Lookup, question: Entities = NO_ENTITIES
) -> list[JsonObject]:
    """Jobs of the current plan that the name can mean, the most likely first. Raises HwaError.

    ``refs`` are the readings of one name; the first that the plan knows counts. Only the job's name is queried and the
    rest compared here: the vendor's documents disagree on the field names for job streams. Jobs of the name that are
    in another job stream or workstation than it says become ``lookup.candidates``.
    """
    for ref in refs:
        for name in dict.fromkeys((ref.job, ref.job.upper(), ref.job.lower())):
            named = [job for job in await _all_by_name(session, name, lookup) if ref.is_named(job)]
            jobs = [job for job in named if ref.matches(job)]
            if jobs:
                lookup.candidates = []
                return sorted(jobs, key=lambda job: _likelihood(ref, job, question), reverse=True)
            lookup.candidates = lookup.candidates or [parse_job(job) for job in named]
    return []


async def find_many(session: HwaSession, names: Iterable[str], shared: SharedRequests) -> None:
    """Search the jobs of all names at once, and which of them have issues, so that no lookup has to ask alone.

    What the server does not answer as a whole is left to each lookup. Raises HwaError.
    """
    readings = (reading for name in names for reading in _readings(name) if "@" not in reading.job)
    spellings = dict.fromkeys(name for ref in readings for name in (ref.job, ref.job.upper(), ref.job.lower()))
    if not spellings:
        return
    notes: list[Message] = []
    try:
        query = Oql.any_of("name", spellings)
        page = await all_pages(
            session, lambda limit, offset: session.search_jobs(query, limit=limit, offset=offset), notes
        )
    except (BadQuery, UnsafeValue):
        return
    if page.left_out or page.has_next or notes:
        return
    shared.jobs |= {name: tuple(job for job in page.results if text(job.get("name")) == name) for name in spellings}
    await _find_issues(session, [parse_job(job) for job in page.results], shared)


async def begin_logs(
    session: HwaSession, names: Iterable[str], shared: SharedRequests, lookup: Lookup, question: Entities
) -> None:
    """Begin to read the job logs of those of the jobs that failed, before anything else is asked about any of them.

    Where time is too short for everything, the causes are known and what is missing is beside them. Sends no search,
    so nothing for jobs that ``find_many`` did not ask about.
    """
    for name in names:
        readings = _readings(name)
        if not all(ref.job in shared.jobs for ref in readings):
            continue  # searched by its own lookup, whose error is its own
        matches = await find_jobs(session.sharing(shared), readings, lookup, question)
        run_id = pick_run(matches[0]) if matches and parse_job(matches[0]).status in FAILED else None
        if run_id is not None:
            shared.begin(*_log_request(session.sharing(shared), run_id, lookup.language))


def _readings(name: str) -> tuple[JobRef, ...]:
    try:
        return job_readings(name)
    except UnsafeValue:
        return ()


async def _find_issues(session: HwaSession, jobs: Sequence[JobFacts], shared: SharedRequests) -> None:
    """See which jobs have no issues. An issue does not name its job, so those of several are only counted.

    Most that have run have none, and most that have not have one.
    """

    async def ask(ids: Sequence[str]) -> None:
        try:
            if not await session.issues(Oql.any_of("id", ids)):
                shared.without_issues.update(ids)
        except SourceError:
            return  # each lookup asks alone

    groups = [
        [job.id for job in jobs if job.id and (job.status in NOT_LAUNCHED) is is_waiting]
        for is_waiting in (False, True)
    ]
    await asyncio.gather(*(ask(ids) for ids in groups if 1 < len(ids) <= PAGE))


async def _all_by_name(session: HwaSession, name: str, lookup: Lookup) -> list[JsonObject]:
    if session.shared is not None and name in session.shared.jobs:
        return list(session.shared.jobs[name])

    def search(field_name: str) -> Callable[[int, int], Awaitable[Page]]:
        query = Oql.named(field_name, name)
        return lambda limit, offset: session.search_jobs(query, limit=limit, offset=offset)

    try:
        page = await all_pages(session, search("name"), lookup.notes, most=MAX_OF_A_NAME, limit=PAGE)
    except BadQuery:
        # As the vendor documents it; servers know either name.
        page = await all_pages(session, search("key.name"), lookup.notes, most=MAX_OF_A_NAME, limit=PAGE)
    cut = Message(
        "{count} more job named {name} was not looked at",
        plural="{count} more jobs named {name} were not looked at",
        name=name,
    )
    lookup.left_out(page.left_out, cut)
    return list(page.results)


def _likelihood(ref: JobRef, job: JsonObject, question: Entities) -> tuple[int, int, bool, int, str]:
    status = parse_job(job).status
    rank = 2 if status in PROBLEMS else 0 if status in NO_PROBLEMS else 1
    agreement = ref.agrees(job, question)
    return ref.prefers(job), agreement, ref.is_at_root(job), rank, text(job.get("schedTime"))


async def gather_job(session: HwaSession, match: JsonObject, lookup: Lookup) -> JobFacts:
    """All about one found job: definition, runs, issues, neighbours, workstation, log of the failed run."""
    summary = parse_job(match)
    if not summary.id:
        lookup.notes.append(Message("{name}: the server gave no id, so no details", name=summary.name))
        return summary
    name = summary.name
    (detail, before, after), (issues, stream_status, (log, log_error), _) = await asyncio.gather(
        asyncio.gather(
            lookup.part(Message("job details"), partial(session.job, summary.id), match, of=name),
            lookup.part(Message("predecessors"), partial(session.predecessors, summary.id), Page(), of=name),
            lookup.part(Message("successors"), partial(session.successors, summary.id), Page(), of=name),
        ),
        asyncio.gather(
            lookup.part(Message("issues"), partial(_issues, session, summary), NO_OBJECTS, of=name),
            lookup.part(Message("job stream"), partial(_stream_status, session, summary), "", of=name),
            _log_of_failed_run(session, match, lookup),
            gather_workstations(session, (summary.workstation,), lookup),
        ),
    )
    lookup.predecessors[summary.id] = before
    whole = {**match, **{name: value for name, value in detail.items() if value is not None}}
    facts = running_until(parse_job(whole), session.server_now())
    cut = Message("{count} more run of {name}", plural="{count} more runs of {name}", name=summary.name)
    lookup.left_out(len(items(whole.get("jobruns"))) - MAX_RUNS, cut)
    cut = Message("{count} more predecessor of {name}", plural="{count} more predecessors of {name}", name=summary.name)
    predecessors = lookup.first(_merged(detail, before, lookup.language), MAX_RELATED, cut, beyond=before.left_out)
    cut = Message("{count} more successor of {name}", plural="{count} more successors of {name}", name=summary.name)
    successors = lookup.first(
        [parse_flow_node(node, lookup.language) for node in after.results], MAX_RELATED, cut, beyond=after.left_out
    )
    cut = Message("{count} more issue of {name}", plural="{count} more issues of {name}", name=summary.name)
    return facts.model_copy(
        update={
            "predecessors": await _with_resources(session, predecessors, lookup),
            "successors": successors,
            "issues": tuple(map(parse_issue, lookup.first(issues, MAX_ISSUES, cut))),
            "job_stream_status": stream_status,
            "job_log": log,
            "job_log_error": log_error,
        }
    )


async def _log_of_failed_run(session: HwaSession, job: JsonObject, lookup: Lookup) -> tuple[JobLogFacts | None, str]:
    """The job log, and the reason why it, or its end, could not be read."""
    run_id = pick_run(job)
    if run_id is None:
        return None, ""
    try:
        log = await _read_log(session, run_id, lookup.language)
    except NotFound:
        lookup.notes.append(Message("job log: there is none for this run"))
        return None, ""
    except SourceError as error:  # also for an id that cannot be used in a path
        if isinstance(error, LogsHang):
            lookup.cuts.append(LOGS_HANG)
        lookup.notes.append(Message("{part}: {reason}", part=Message("job log"), reason=error.reason))
        return None, error.reason
    return log, log.stopped if log.total_lines is None else ""


async def _read_log(session: HwaSession, run_id: str, language: Language) -> JobLogFacts:
    if session.shared is None:
        return await read_job_log(session, run_id, language)
    given, asked = await session.shared.once(*_log_request(session.sharing(session.shared), run_id, language))
    session.asked += asked
    if isinstance(given, SourceError):
        raise given
    return given


def _log_request(
    session: HwaSession, run_id: str, language: Language
) -> tuple[tuple[object, ...], Callable[[], Coroutine[Any, Any, tuple[JobLogFacts | SourceError, list[str]]]]]:
    """The reading of a log as a request that may be shared: its key, and what sends it."""
    session.asked = []

    async def read() -> tuple[JobLogFacts | SourceError, list[str]]:
        try:
            return await read_job_log(session, run_id, language), session.asked
        except SourceError as error:
            return error, session.asked

    return ("log", run_id), read


def pick_run(job: JsonObject) -> str | None:
    """Id of the run whose log to read: the newest that failed, else the newest that was launched."""
    runs = parse_job(job).runs
    for run in runs:
        if run.run_id and (run.status in PROBLEMS or run.error):
            return run.run_id
    for run in runs:
        if run.run_id and run.status not in NOT_LAUNCHED:
            return run.run_id
    return None


async def _issues(session: HwaSession, job: JobFacts) -> tuple[JsonObject, ...]:
    if session.shared is not None and job.id in session.shared.without_issues:
        return ()
    try:
        return await session.issues(Oql.equals("id", job.id))
    except BadQuery:
        return await session.issues(Oql.equals("name", job.name))
    except NotFound:
        return ()


async def _stream_status(session: HwaSession, job: JobFacts) -> str:
    if not job.job_stream:
        return ""
    statuses = await stream_statuses(session, job.job_stream, job.job_stream_workstation, job.folder)
    return next(filter(None, statuses), "")


async def stream_statuses(session: HwaSession, stream: str, workstation: str, folder: str = "") -> list[str]:
    """Statuses of the job streams of that name, on the workstation and in the folder when given. Raises HwaError."""
    page = await session.search_job_streams(Oql.equals("name", stream), limit=PAGE)
    named = JobRef(workstation=workstation, folder=folder.strip("/") or folder)
    return [parse_job_stream(item).status for item in page.results if named.matches(item)]


async def gather_workstations(session: HwaSession, names: Iterable[str], lookup: Lookup) -> None:
    """Read the state of the named workstations into ``lookup.workstations``."""
    missing = [name for name in dict.fromkeys(names) if name and name not in lookup.workstations]

    async def ask(name: str) -> Page:
        return await session.search_workstations(Oql.equals("name", name), limit=10)

    async def one(name: str) -> None:
        page = await lookup.part(Message("workstation {name}", name=name), partial(ask, name), Page())
        for item in page.results:
            facts = parse_workstation(item)
            if facts.name.upper() == name.upper():
                lookup.workstations[facts.name] = facts

    cut = Message("{count} more workstation", plural="{count} more workstations")
    await asyncio.gather(*(one(name) for name in lookup.first(missing, MAX_WORKSTATIONS, cut)))


def _merged(detail: JsonObject, before: Page, language: Language) -> list[RelatedFacts]:
    """Dependencies (what is unsatisfied) and predecessors (how they ended) as one list, joined by id."""
    nodes = {text(node.get("id")) or f"?{index}": node for index, node in enumerate(before.results)}
    merged: list[RelatedFacts] = []
    for item in items(detail.get("dependencies")):
        dependency = parse_dependency(item, language)
        key = item.get("jobStreamId") if dependency.dependency_type == "EXTERNAL_JOBSTREAM" else item.get("jobId")
        node = nodes.pop(text(key), None)
        if node is not None:
            other = parse_flow_node(node, language)
            dependency = dependency.model_copy(
                update={
                    "name": other.name or dependency.name,
                    "status": other.status or dependency.status,
                    "substatus": other.substatus or dependency.substatus,
                    "return_code": other.return_code,
                    "detail": dependency.detail or other.detail,
                }
            )
        merged.append(dependency)
    merged += [parse_flow_node(node, language) for node in nodes.values()]
    # Unsatisfied ones first: they are what an operator looks for.
    merged.sort(key=lambda related: related.satisfied is not False)
    return merged


async def _with_resources(
    session: HwaSession, related: tuple[RelatedFacts, ...], lookup: Lookup
) -> tuple[RelatedFacts, ...]:
    """Add to unsatisfied resource dependencies which jobs hold the resource."""
    missing = [item for item in related if item.kind == "resource" and item.satisfied is not True][:MAX_RESOURCES]
    completed: list[RelatedFacts] = []
    for item in related:
        if item in missing:
            ask = partial(_holders, session, item.name, lookup.language)
            holders = await lookup.part(Message("resource {name}", name=item.name), ask, "")
            item = item.model_copy(update={"detail": "; ".join(filter(None, (item.detail, holders)))})  # noqa: PLW2901
        completed.append(item)
    return tuple(completed)


async def _holders(session: HwaSession, name: str, language: Language) -> str:
    page = await session.search_resources(Oql.equals("name", name), limit=10)
    holders = [
        f"{text(holder.get('jobStream'))}.{text(holder.get('job'))}".strip(".")
        for resource in page.results
        for holder in items(resource.get("holders"))
    ]
    return write(Message("held by {names}", names=", ".join(holders[:10])), language) if holders else ""


async def jobs_of_query(session: HwaSession, query: Oql | None, lookup: Lookup) -> Page:
    """All jobs of a query, page by page; if the server refuses the query, of the plan. Raises HwaError."""

    def search(query: Oql | None) -> Callable[[int, int], Awaitable[Page]]:
        return lambda limit, offset: session.search_jobs(query, limit=limit, offset=offset)

    try:
        return await all_pages(session, search(query), lookup.notes)
    except BadQuery:
        if query is None:
            raise
        page = await all_pages(session, search(None), lookup.notes)
        lookup.notes.append(QUERY_REFUSED.with_facts(limit=len(page.results)))
        return page


async def search_tolerantly(
    session: HwaSession, query: Oql, keep: Callable[[JobFacts], bool], lookup: Lookup
) -> list[JsonObject]:
    """Jobs of a query that ``keep`` accepts; if the server refuses the query, of the first jobs of the plan.

    Raises HwaError.
    """
    page = await jobs_of_query(session, query, lookup)
    cut = Message(
        "{count} more job matches and was not looked at", plural="{count} more jobs match and were not looked at"
    )
    lookup.left_out(page.left_out, cut)
    return [job for job in page.results if keep(parse_job(job))]
