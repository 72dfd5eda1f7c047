"""The ``tws_status`` source: the state of a job, job stream, workstation or the plan in HCL Workload Automation."""

import asyncio
import math
import time
from collections.abc import AsyncIterator, Container, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import partial
from typing import Self

from purgatory import AsyncCircuitBreakerFactory

from orchestrator.codes.notation import is_zos_name, whole_name
from orchestrator.codes.states import FAILED, NOT_LAUNCHED, PROBLEMS
from orchestrator.config import Settings
from orchestrator.deadline import Deadline
from orchestrator.errors import SourceError
from orchestrator.i18n.message import Message, join, write
from orchestrator.models import Clue, Entities, Intent, SourceOutcome, SourceRequest
from orchestrator.payloads import TwsPayload
from orchestrator.routing.entities import asks_about_the_plan, limits_of
from orchestrator.routing.listing import Listed, Listing, asks_who_waits, listing_beside
from orchestrator.sources import FetchResult, SourceSpec, call_limit_seconds
from workers.config import TwsSettings
from workers.sources.tws_status.calls import CallLimit
from workers.sources.tws_status.chain import find_holder
from workers.sources.tws_status.client import (
    FAILURES_TO_OPEN,
    OPEN_SECONDS,
    HwaClient,
    HwaSession,
    JsonObject,
    SharedRequests,
)
from workers.sources.tws_status.clues import BatchClues, clue_of
from workers.sources.tws_status.evidence import EvidenceBudget, build_evidence
from workers.sources.tws_status.finding import describe
from workers.sources.tws_status.instances import TwsInstance, TwsInstances, load_instances
from workers.sources.tws_status.listing import list_plan
from workers.sources.tws_status.lookup import NO_OBJECT, Lookup, begin_logs, find_jobs, find_many, gather_job
from workers.sources.tws_status.names import (
    MAX_UNKNOWN,
    Kind,
    Named,
    UnknownFolders,
    find_named,
    is_same_name,
    nearest_names,
    unknown_folders,
)
from workers.sources.tws_status.notation import JobRef, job_readings, parse_job_stream_name, parse_workstation_name
from workers.sources.tws_status.parsing import parse_job, text
from workers.sources.tws_status.problems import plan_problems, stream_problems, workstation_problems

BATCH_SIZE = 20
"""Jobs of one task."""
JOB_CALLS = 8
"""Requests that the lookup of one job makes at once."""
JOBS_AT_ONCE = 4
"""Jobs of a batch that are looked up at the same time: the first answers come early, and each is whole."""
MOST_TURNS = 4
"""A job log of a batch has this share of its time, or more where few jobs wait for it."""
MAKING_SECONDS = 0.1
"""Time of its limit, at most a third, that a batch leaves for each job to make an answer of what was read."""
MAX_CANDIDATES = 20
MAX_EXPLAINED = 2
"""Jobs of a list that are read in detail, when there are no more."""
MAX_ASKED_WHY = 8
"""The same of a list that is asked for with the reasons."""
MAX_ASKED = 40
LEAST_WAIT_SECONDS = 0.05
"""A wait from which on it is told."""
MAX_STREAM_NAME = 16
"""Characters of the name of a job stream or workstation (User's Guide 10.2.5)."""


class TwsStatusSource:
    """Queries the request's instance. Clients live as long as the source, one per instance and event loop."""

    def __init__(self, instances: TwsInstances, *, most_calls: int, settings: Settings) -> None:
        """``most_calls``: requests to one instance at a time; the Redis of ``settings`` keeps count of them."""
        self.instances = instances
        self._most_calls, self._settings = most_calls, settings
        self._limits: dict[str, CallLimit] = {}
        self._breakers = AsyncCircuitBreakerFactory(default_threshold=FAILURES_TO_OPEN, default_ttl=OPEN_SECONDS)
        self._clients: dict[str, HwaClient] = {}
        self._engines: dict[str, JsonObject] = {}
        self._loop: asyncio.AbstractEventLoop | None = None

    @classmethod
    def from_env(cls, environ: Mapping[str, str]) -> Self:
        """Build from the environment. Raises ConfigurationError naming the variable.

        Without any configured instance the source is built all the same; ``fetch`` then raises ``not_configured``.
        """
        settings = TwsSettings.from_env(environ)
        instances = load_instances(settings)
        return cls(instances, most_calls=settings.max_concurrent_calls, settings=Settings.from_env(environ))

    async def fetch(self, request: SourceRequest) -> FetchResult:
        """Look up the request's job, else the objects of its question, else the failed and stuck jobs of the plan.

        For a waiting job, the job at the root of its wait is looked up as well and put into ``problem_jobs``.

        For a question for a list, everything that matches is counted and grouped (``listing``).

        Raises SourceError: ``not_configured``, ``unknown_instance``, ``invalid_value`` and the reasons of
        ``workers.sources.tws_status.errors``.
        """
        session = self._session(request)
        async with self._calls(session, request, JOB_CALLS):
            return await self._fetch(session, request)

    async def fetch_many(self, request: SourceRequest) -> AsyncIterator[tuple[str, FetchResult | SourceError]]:
        """Look up each of the request's jobs as ``fetch`` does, with one search and one clue for all.

        What several of them need (a workstation, a job stream, the job that holds them) is requested once. Raises
        SourceError as ``fetch`` does, where nothing can be found.
        """
        shared, clues = SharedRequests(), BatchClues(request.source, request.clues, len(request.jobs))
        session, half = self._session(request), Deadline.after(request.limit_seconds / 2)
        at_once = asyncio.Semaphore(JOBS_AT_ONCE)

        async def one(job: str) -> tuple[str, FetchResult | SourceError]:
            async with at_once:
                alone = request.model_copy(update={"job": job, "jobs": (), "clues": clues.board_of(job)})
                given: FetchResult | SourceError
                began = time.monotonic()
                try:
                    given = await self._fetch(session.sharing(shared), alone)
                    given = replace(given, seconds=time.monotonic() - began)
                except SourceError as error:
                    given = error
                return job, given

        tasks: list[asyncio.Task[tuple[str, FetchResult | SourceError]]] = []
        unexpected: Exception | None = None
        async with self._calls(session, request, JOBS_AT_ONCE * JOB_CALLS):
            # Jobs that are not looked up at once wait for the logs of those before them.
            turns = math.ceil(len(request.jobs) / min(JOBS_AT_ONCE, self._most_calls or JOBS_AT_ONCE))
            session.log_seconds = session.deadline.remaining() / min(turns, MOST_TURNS) if turns > 1 else None
            try:
                await self._searched(session, request.jobs, shared)
                lookup = Lookup(request.routing.language)
                await begin_logs(session, request.jobs, shared, lookup, request.routing.entities)
                tasks += [asyncio.create_task(one(job)) for job in request.jobs]
                for task in asyncio.as_completed(tasks):
                    given = None
                    try:
                        given = await task
                    except Exception as error:  # noqa: BLE001  # border: of one job, raised after the others are given
                        unexpected = error
                    await clues.end_job(is_late=half.has_passed)
                    if given is not None:
                        yield given
                if unexpected is not None:
                    raise unexpected
            finally:
                for unfinished in tasks:
                    unfinished.cancel()
                await shared.end()
                await asyncio.gather(*tasks, return_exceptions=True)

    async def _searched(self, session: HwaSession, jobs: Sequence[str], shared: SharedRequests) -> None:
        try:
            await find_many(session, jobs, shared)
        except SourceError as error:
            session.end()
            raise error.of(session.client.instance.where, _asked(session)) from None

    @asynccontextmanager
    async def _calls(self, session: HwaSession, request: SourceRequest, wanted: int) -> AsyncIterator[None]:
        """Bound the requests of the session, with those of others, for as long as it is used."""
        name = session.client.instance.name
        limit = self._limits.setdefault(name, CallLimit(name, self._most_calls, self._settings))
        async with limit.calls(request.run_id, wanted=wanted) as session.calls:
            yield

    def _session(self, request: SourceRequest) -> HwaSession:
        instance = self.instances.get(request.tws_instance_id)
        # Of many jobs, in all batches of the process, the answers are made after the last call.
        making_seconds = min(request.limit_seconds / 3, MAKING_SECONDS * len(request.jobs))
        deadline = Deadline.after(
            min(call_limit_seconds(request.limit_seconds), request.limit_seconds - making_seconds)
        )
        return self._client(instance).within(deadline, question=request.run_id)

    async def _fetch(self, session: HwaSession, request: SourceRequest) -> FetchResult:
        instance, language = session.client.instance, request.routing.language
        lookup = Lookup(language, jobs_follow=request.jobs_follow)
        listing = _listing(request)
        try:
            if listing is not None:
                problems_asked = await _list(session, *listing, request, lookup)
            else:
                problems_asked = await self._ask(session, request, lookup)
        except SourceError as error:
            session.end()
            raise error.of(instance.where, _asked(session)) from None
        await _share(request, lookup)
        engine = await self._engine(session, lookup)
        zone = text(engine.get("timezone"))
        lookup.tell_instances(zone)
        payload = TwsPayload(
            instance=instance.name,
            engine=text(engine.get("displayVersion")) or text(engine.get("fullVersion")),
            time_zone=zone,
            asked_at=session.server_now().isoformat(timespec="seconds"),
            job=lookup.job,
            candidates=tuple(f"{whole_name(job)} ({job.status})" for job in lookup.candidates),
            unknown=lookup.unknown,
            nearest=lookup.nearest,
            named_stream=lookup.named_stream,
            named_workstation=lookup.named_workstation,
            workstations=tuple(lookup.workstations.values()),
            problem_jobs=tuple(lookup.problems),
            between=lookup.between,
            listing=lookup.listing,
            found=lookup.found,
            found_count=lookup.found_count,
            problem_count=lookup.problem_count,
            problems_asked=write(problems_asked, language),
            notes=tuple(dict.fromkeys(write(note, language) for note in lookup.notes)),
            unread=tuple(dict.fromkeys(write(part, language) for part in lookup.unread)),
        )
        budget = EvidenceBudget()
        evidence = build_evidence(payload, budget, job=request.job, where=instance.where)
        more = (payload.problem_count or 0) - len(payload.problem_jobs)
        lookup.left_out(more, Message("{count} more problem job", plural="{count} more problem jobs"))
        cuts = dict.fromkeys((*budget.cuts, *lookup.cuts))
        has_data = lookup.job or lookup.problems or lookup.workstations or lookup.listing
        return FetchResult(
            outcome=SourceOutcome.OK if has_data else SourceOutcome.NO_DATA,
            data=payload.model_dump(mode="json"),
            evidence=evidence,
            finding=describe(payload, request),
            asked=_asked(session),
            where=instance.where,
            truncated=join(cuts, "; ") if cuts else None,
        )

    async def close(self) -> None:
        """Close the connections to every instance."""
        clients, self._clients = self._clients, {}
        for client in clients.values():
            await client.close()
        for limit in self._limits.values():
            await limit.close()

    def circuits(self) -> dict[str, str]:
        """The state of the circuit of each instance that was asked."""
        return {
            client.instance.name or client.instance.where: client.circuit for client in tuple(self._clients.values())
        }

    def _client(self, instance: TwsInstance) -> HwaClient:
        loop = asyncio.get_running_loop()
        if self._loop is not loop:
            # Connections are bound to the event loop that opened them.
            self._loop, self._clients = loop, {}
        return self._clients.setdefault(instance.name, HwaClient(instance, self._breakers))

    async def _engine(self, session: HwaSession, lookup: Lookup) -> JsonObject:
        """Version and time zone of the engine, queried once per instance: it does not change while a worker lives."""
        name = session.client.instance.name
        if name not in self._engines and not session.deadline.has_passed:
            try:
                info = await session.engine_info()
            except SourceError as error:
                # A note, and not among what is unread: no answer needs the version.
                lookup.notes.append(Message("{part}: {reason}", part=Message("engine"), reason=error.reason))
            else:
                self._engines[name] = info
        return self._engines.get(name, NO_OBJECT)

    async def _ask(self, session: HwaSession, request: SourceRequest, lookup: Lookup) -> Message | str:
        entities = request.routing.entities
        named = await _named(session, request, lookup)
        if named is not None and named.kind == "job":
            return await self._ask_job(session, request, named.name, lookup)
        if named is not None:
            entities = _about(entities, named, lookup)
        elif entities.workstations and not entities.job_streams:
            entities = await _in_the_plan(session, entities, lookup)
        streams, stations = entities.job_streams, entities.workstations
        if streams:
            refs = [parse_job_stream_name(stream) for stream in streams]
            problems_asked = await stream_problems(session, refs, lookup)
            if lookup.problems and not any(job.status in PROBLEMS for job in lookup.problems):
                # Nothing in the stream failed: what it waits for may lie in another one.
                waiting = lookup.problems[0]
                holder = await find_holder(session, waiting, lookup)
                if holder is not None and text(holder.job.get("id")) not in {job.id for job in lookup.problems}:
                    lookup.problems.insert(0, await gather_job(session, holder.job, lookup))
                    lookup.between = (waiting.name, *holder.between)
            unknown = [ref.stream for ref in refs if ref.stream not in lookup.streams]
            await _note_unknown(session, unknown, ("stream",), lookup)
            return problems_asked
        if stations:
            return await workstation_problems(session, list(map(parse_workstation_name, stations)), lookup)
        if entities.folders and await _lacks_folders(session, entities, lookup):
            return ""
        return await plan_problems(session, lookup, entities.folders)

    async def _ask_job(self, session: HwaSession, request: SourceRequest, name: str, lookup: Lookup) -> Message | str:
        """Look up one job and what it waits for; what has its name elsewhere, or is like it, when it is not there."""
        matches = await find_jobs(session, job_readings(name), lookup, request.routing.entities)
        if not matches:
            problems_asked = await self._ask_otherwise(session, name, lookup, request.message)
            if problems_asked:
                return problems_asked
            await _note_unknown(session, (name,), ("job", "stream"), lookup)
            matches = await _spelled_otherwise(session, name, lookup)
        if not matches:
            return ""
        lookup.job = await gather_job(session, matches[0], lookup)
        await _share(request, lookup, FAILED)  # before other jobs are asked about
        cut = Message("{count} more job of that name", plural="{count} more jobs of that name")
        lookup.candidates = [parse_job(job) for job in lookup.first(matches[1:], MAX_CANDIDATES, cut)]
        holder = await find_holder(session, lookup.job, lookup)
        if holder is None:
            return ""
        lookup.problems, lookup.between = [await gather_job(session, holder.job, lookup)], holder.between
        return Message("the job that {name} waits for", name=lookup.job.name)

    async def _ask_otherwise(self, session: HwaSession, name: str, lookup: Lookup, message: str) -> Message | str:
        """Try a bare job name as a job stream and as a workstation: users call those jobs too."""
        ref = job_readings(name)[-1]
        if ref != JobRef(job=ref.job, workstation=ref.workstation) or len(ref.job) > MAX_STREAM_NAME:
            return ""
        if ref.workstation and not is_zos_name(name):
            return ""
        for word in dict.fromkeys((ref.job, ref.job.upper())):
            for what, ask in (
                (
                    Message("job stream {name}", name=word),
                    partial(stream_problems, session, [JobRef(stream=word, workstation=ref.workstation)]),
                ),
                (Message("workstation {name}", name=word), partial(workstation_problems, session, [word])),
            ):
                other = Lookup(lookup.language)
                try:
                    problems_asked = await ask(other)
                except SourceError as error:
                    # Not fatal: that the job is not in the plan is an answer already.
                    lookup.notes.append(Message("{part}: {reason}", part=what, reason=error.reason))
                    lookup.unread.append(Message("{part} ({reason})", part=what, reason=error.reason))
                    return ""
                if other.workstations and not other.streams and asks_who_waits(message):
                    on_it = Entities(workstations=(word,))
                    lookup.workstations, lookup.named_workstation = other.workstations, word
                    lookup.listing = await list_plan(session, Listing(Listed.JOBS, ("waiting",)), on_it, lookup)
                    return problems_asked
                if other.streams or other.workstations:
                    lookup.problems, lookup.problem_count = other.problems, other.problem_count
                    lookup.workstations = other.workstations
                    kind = (
                        Message("{name} is a job stream, not a job", name=word)
                        if other.streams
                        else Message("{name} is a workstation, not a job", name=word)
                    )
                    lookup.notes += [kind, *other.notes]
                    lookup.unread += other.unread
                    lookup.cuts += other.cuts
                    return problems_asked
        return ""


def _listing(request: SourceRequest) -> tuple[Listing, Entities] | None:
    """The list that is asked for, if any, and what limits it; a pattern of names asks for one whatever the words."""
    if request.job is not None:
        return None
    entities = request.routing.entities
    found = listing_beside(request.message, entities)
    if entities.job_patterns and (found is None or found[0].listed is not Listed.JOBS):
        return Listing(Listed.JOBS), entities
    return found


async def _share(request: SourceRequest, lookup: Lookup, states: Container[str] | None = None) -> None:
    """Give the other sources what is known by now of the failed job: of the one that holds it, when it only waits.

    With ``states``, only when the job is in one of them.
    """
    if states is not None and (lookup.job is None or lookup.job.status not in states):
        return
    jobs = [*lookup.problems, *((lookup.job,) if lookup.job else ())]
    if (clue := clue_of(request.source, request.job, jobs)) is not None and _concerns(clue, request, lookup):
        await request.clues.post(clue)


def _concerns(clue: Clue, request: SourceRequest, lookup: Lookup) -> bool:
    """Whether the question is about what has failed: "o que é um run cycle?" is not, nor is one about another code."""
    routing, entities = request.routing, request.routing.entities
    named = (*entities.job_streams, *entities.workstations, *entities.folders)
    if request.job or lookup.job or lookup.named_stream or lookup.named_workstation or named:
        return True
    if entities.codes:
        return not set(entities.codes).isdisjoint(clue.codes)
    return routing.intent not in (Intent.QUERY, Intent.GENERAL)


async def _named(session: HwaSession, request: SourceRequest, lookup: Lookup) -> Named | None:
    """The job that the question names, or what one of the words that may be a name is. Raises HwaError."""
    entities = request.routing.entities
    if name := request.job or next(iter(entities.jobs), None):
        return Named("job", name)
    if not entities.candidates or entities.job_streams or entities.workstations:
        return None
    named = await find_named(session, entities.candidates)
    if named is None and not asks_about_the_plan(request.message):
        await _note_unknown(session, entities.candidates, ("job", "stream"), lookup)
    return named


async def _note_unknown(session: HwaSession, names: Sequence[str], kinds: tuple[Kind, ...], lookup: Lookup) -> None:
    """Note which names the plan does not have, and its names that are like them."""
    if names:
        lookup.unknown = tuple(names)
        part = Message("names like {names}", names=", ".join(names[:MAX_UNKNOWN]))
        lookup.nearest = await lookup.part(part, partial(nearest_names, session, names, kinds), ())


async def _lacks_folders(session: HwaSession, entities: Entities, lookup: Lookup) -> bool:
    """Whether the plan lacks a folder that the question names, which is then noted."""
    if not entities.folders:
        return False
    part = Message("folders like {names}", names=", ".join(entities.folders[:MAX_UNKNOWN]))
    find = partial(unknown_folders, session, entities.folders, lookup)
    lacking = await lookup.part(part, find, UnknownFolders())
    lookup.unknown, lookup.nearest = lacking.names, lacking.nearest
    return bool(lookup.unknown)


async def _spelled_otherwise(session: HwaSession, name: str, lookup: Lookup) -> list[JsonObject]:
    """The jobs whose name differs from the unknown one by ``-``, ``_`` and capitals alone. Raises HwaError."""
    same = [other for other in lookup.nearest if is_same_name(other, name)]
    if len(same) != 1 or "." in name or lookup.candidates:
        return []
    matches = await find_jobs(session, job_readings(same[0]), lookup)
    if matches:
        lookup.unknown = lookup.nearest = ()
    return matches


async def _in_the_plan(session: HwaSession, entities: Entities, lookup: Lookup) -> Entities:
    """What a question is about, with a name that the plan has as another kind as that kind.

    A job stream or a workstation that the plan does not have is noted. Raises HwaError.
    """
    for names, kind in ((entities.job_streams, "stream"), (entities.workstations, "workstation")):
        if not names:
            continue
        named = await find_named(session, names, ("stream", "workstation"))
        if named is None:
            await _note_unknown(session, names, ("stream", "workstation"), lookup)
        elif named.kind != kind:
            return _about(entities, named, lookup)
    return entities


def _about(entities: Entities, named: Named, lookup: Lookup) -> Entities:
    """The entities of a question that turned out to be about a job stream or a workstation."""
    if named.kind == "stream":
        lookup.named_stream = named.name
        return entities.model_copy(update={"job_streams": (named.name,), "workstations": ()})
    lookup.named_workstation = named.name
    return entities.model_copy(update={"job_streams": (), "workstations": (named.name,)})


async def _list(
    session: HwaSession, listing: Listing, entities: Entities, request: SourceRequest, lookup: Lookup
) -> Message | str:
    if entities.candidates and not (entities.job_streams or entities.workstations or entities.folders):
        named = await find_named(session, entities.candidates, ("stream", "workstation"))
        if named is not None:
            entities = _about(entities, named, lookup)
        else:
            limits = limits_of(request.message, entities.candidates)
            await _note_unknown(session, limits, ("stream", "workstation"), lookup)
    lookup.listing = await list_plan(session, listing, entities, lookup)
    if not lookup.listing.count and await _lacks_folders(session, entities, lookup):
        return ""
    if not lookup.listed:
        known = await _in_the_plan(session, entities, lookup)
        if known is not entities:
            lookup.listing = await list_plan(session, listing, known, lookup)
    if (
        request.jobs_follow
        or listing.is_count
        or len(lookup.listed) > (MAX_ASKED_WHY if listing.asks_why else MAX_EXPLAINED)
    ):
        return ""
    states = (*PROBLEMS, *NOT_LAUNCHED) if listing.asks_why else PROBLEMS
    explained = [job for job in lookup.listed if parse_job(job).status in states]
    if not explained:
        return ""
    # Few enough to say why as well.
    lookup.problems = list(await asyncio.gather(*(gather_job(session, job, lookup) for job in explained)))
    return Message("the jobs of the list")


def known_instances(environ: Mapping[str, str]) -> tuple[str, ...]:
    """Names of the configured instances, sorted. Raises ConfigurationError naming the variable."""
    return load_instances(TwsSettings.from_env(environ)).names


def _asked(session: HwaSession) -> tuple[str, ...]:
    """The requests, and how long they waited for those of others."""
    asked, calls = session.asked, session.calls
    if len(asked) > MAX_ASKED:
        asked = [*asked[: MAX_ASKED - 1], f"… and {len(asked) - MAX_ASKED + 1} more requests"]
    if calls is not None and calls.waited_seconds >= LEAST_WAIT_SECONDS:
        asked = [*asked, f"waited {calls.waited_seconds:.2f} s (RESYNC_TWS_MAX_CONCURRENT_CALLS={calls.limit.most})"]
    return tuple(asked)


SPEC = SourceSpec(
    name="tws_status",
    create=TwsStatusSource.from_env,
    per_job=True,
    batch_size=BATCH_SIZE,
    known_instances=known_instances,
)
