"""What the process of a run's caller does itself where workers or Redis do not: dispatch, ask sources, answer."""

import asyncio
import os
import time
import uuid
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, Self

from orchestrator.after_commit import try_after_commit
from orchestrator.aggregate import performance_event
from orchestrator.client.aio import AsyncTroubleshootClient
from orchestrator.client.sync import masked_request
from orchestrator.config import Settings
from orchestrator.deadline import Deadline
from orchestrator.errors import (
    ConfigurationError,
    InvalidRequest,
    RunDamaged,
    RunNotFound,
    RunRefused,
    SchemaMismatch,
    StoreUnreachable,
    TroubleshootError,
)
from orchestrator.i18n.message import Text
from orchestrator.logs import get_logger, log_performance
from orchestrator.models import (
    Event,
    EventType,
    Plan,
    PlannedSource,
    Report,
    RunState,
    SourceEnvelope,
    TroubleshootRequest,
)
from orchestrator.outcomes import NOT_CONFIGURED
from orchestrator.routing.plan import check_minimum, jobs_per_task, plan_request, refused_plan
from orchestrator.routing.registry import check_pipeline
from orchestrator.routing.stages import next_stage
from orchestrator.run.clues import ClaimedClues, LocalClues
from orchestrator.run.conclusion import conclude
from orchestrator.run.dispatch import plan_dispatch
from orchestrator.run.envelopes import missing_envelope, unreadable_envelope
from orchestrator.run.finisher import Finisher
from orchestrator.run.in_process import WORKER, LocalSources, Put, ask, begin_without_store
from orchestrator.run.refine import COMMIT_RESERVE_SECONDS, Refiner, local_refiner
from orchestrator.run.report import NO_STORE, NOT_STORED, cancelled_report, make_report, uncommitted, unreachable_report
from orchestrator.sources import load_source
from orchestrator.store.events import START, final_data, finished_data, routed_data
from orchestrator.store.keys import lane
from orchestrator.store.records import RunRecord, SourceStart, of_each_job
from orchestrator.store.run_copy import RunCopy
from orchestrator.store.runs import new_token
from orchestrator.synthesis import Case, Synthesis

_LOGGER = get_logger(__name__)
DISPATCH_WAIT_SECONDS = 1.0
"""Seconds for which a run waits for a worker to dispatch it, and a source for a worker to start it."""
POLL_SECONDS = 0.05
RETRY_SECONDS = 0.2
"""Seconds between two tries while the store does not answer."""
Emit = Callable[[Event], None]


class OwnProcess:
    """A run in the process of its caller: what was read of it, what is asked here, and the answer to both.

    ``copy`` is what a follower reads of the run meanwhile. Without a ``client`` there is no store; where the caller
    ``expects_store``, the answer says so. ``emit`` gets what the store would have streamed. Use it as an async context
    manager, which ends what it has started.
    """

    def __init__(
        self,
        request: TroubleshootRequest,
        settings: Settings,
        deadline: Deadline,
        *,
        client: AsyncTroubleshootClient | None = None,
        copy: RunCopy | None = None,
        emit: Emit | None = None,
        expects_store: bool = True,
    ) -> None:
        self._request = masked_request(request, personal=settings.redact_personal)
        self._deadline = deadline
        self._fan_in = Deadline(deadline.at - request.config.reserve_seconds)
        self._given_client = client
        self._copy = copy or RunCopy(uuid.uuid4().hex)
        self._take = emit
        self._sources = LocalSources(redact_personal=settings.redact_personal)
        self._plan: Plan | None = None
        self._envelopes: dict[str, SourceEnvelope] = {}
        self._claims: dict[str, str] = {}
        self._unclaimed: set[str] = set()
        """Keys of the sources that could not be claimed, because the store did not answer."""
        self._asks: dict[str, asyncio.Task[Any]] = {}
        self._puts: list[asyncio.Task[None]] = []
        self._is_lost = client is None
        self._expects_store = expects_store

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        tasks = [*self._asks.values(), *self._puts]
        for task in tasks:
            task.cancel()
        if tasks:
            # A source that ignores its cancellation must not delay the answer.
            await asyncio.wait(tasks, timeout=0.1)
        await self._sources.__aexit__()

    async def help(self) -> None:
        """Dispatch and finish the run where no worker does within a second, else ask the sources that none takes.

        Raises WorkersNotInstalled.
        """
        while not self._deadline.has_passed:
            try:
                if not await self._is_dispatched():
                    if await self._take_over():
                        return
                elif await self._ask_unserved():
                    return
            except RunNotFound:
                return
            except StoreUnreachable:
                # If it stays away, the caller's pursuit cancels this call.
                await asyncio.sleep(RETRY_SECONDS)

    async def answer(self) -> Report:
        """The answer without the store: to what was read and asked, and to what is missing, which is asked now.

        Nothing is stored, and ``committed`` is False in the report.

        Raises WorkersNotInstalled.
        """
        self._is_lost = True
        most_jobs = await asyncio.to_thread(jobs_per_task, all_builtin=True)
        async with local_refiner(os.environ, redact_personal=self._sources.redact_personal) as refiner:
            return await self._answer(most_jobs, refiner)

    async def _answer(self, most_jobs: Mapping[str, int], refiner: Refiner | None) -> Report:
        record = self._record()
        if record.state is RunState.CANCELLED:
            return cancelled_report(record)
        plan = self._known_plan()
        if plan is None:
            try:
                plan = plan_request(self._request, most_jobs)
            except (InvalidRequest, ConfigurationError) as error:
                plan = refused_plan(self._request, error)
            self._emit(EventType.ROUTED, routed_data(plan))
        for envelope in self._envelopes.values():
            self._emit(EventType.SOURCE_FINISHED, finished_data(envelope))
        read = self._copy.keys_of("e") if record.envelopes else ()
        plan = await self._ask_missing(plan, read, self._last_fan_in(has_model=refiner is not None))
        envelopes = {**record.envelopes, **of_each_job(self._envelopes.values(), plan)}
        conclusion = conclude(replace(record, plan=plan, envelopes=envelopes, received=len(envelopes)))
        synthesis, llm = await _refine(refiner, conclusion.case, self._deadline)
        report = make_report(
            conclusion,
            by=WORKER,
            total_latency_ms=self._deadline.elapsed_ms(self._request.config.total_timeout_seconds),
            refined=synthesis.diagnosis if synthesis else None,
            llm=llm,
        )
        log_performance(performance_event(report.run_id, conclusion.aggregated))
        if not self._expects_store:
            return uncommitted(report, conclusion.language, reason=NO_STORE)
        return uncommitted(report, conclusion.language, NOT_STORED)

    def answer_to_what_was_read(self, not_asked: Text | None) -> Report:
        """The answer of the rules without asking any source, which ``not_asked`` explains; ``committed`` is False."""
        record = self._record()
        asked = of_each_job(self._envelopes.values(), self._known_plan())
        record = replace(record, envelopes={**record.envelopes, **asked})
        elapsed_ms = self._deadline.elapsed_ms(self._request.config.total_timeout_seconds)
        return unreachable_report(record, elapsed_ms=elapsed_ms, not_asked=not_asked)

    def told(self, report: Report) -> Report:
        """The report of an answer that is not stored, its terminal event emitted."""
        data = final_data(report) | {"committed": report.committed, "reason": report.reason}
        self._emit(EventType.FINAL, data)
        return report

    def _emit(self, kind: EventType, data: dict[str, Any]) -> None:
        if self._take is not None:
            at_ms = time.time_ns() // 1_000_000
            self._take(Event(id=START, run_id=self._copy.run_id, type=kind, at_ms=at_ms, data=data))

    @property
    def has_read(self) -> bool:
        """Whether any source has answered by what was read, or here."""
        return bool(self._copy.keys_of("e") or self._envelopes)

    def _record(self) -> RunRecord:
        return self._copy.record() or RunRecord.unstored(self._copy.run_id, self._request)

    @property
    def _client(self) -> AsyncTroubleshootClient:
        if self._given_client is None:
            raise StoreUnreachable
        return self._given_client

    async def _is_dispatched(self) -> bool:
        """Whether a worker dispatches the run within a second; also True when the run ends."""
        end = Deadline.after(DISPATCH_WAIT_SECONDS)
        while True:
            state, _ = await self._client.call(self._client.sync.store.state, self._copy.run_id)
            if state not in (RunState.ACCEPTED, RunState.DISPATCHING):
                return True
            if end.has_passed:
                return False
            await asyncio.sleep(min(self._client.sync.pulse.pause(POLL_SECONDS), DISPATCH_WAIT_SECONDS / 2))

    def _known_plan(self) -> Plan | None:
        """The plan of all stages, as far as it was read or made here."""
        read = self._copy.plan()
        if self._plan is None or (read is not None and read.stage > self._plan.stage):
            self._plan = read
        return self._plan

    async def _take_over(self) -> bool:
        """Take the dispatch lease, ask all sources here and finish the run; False when a worker has the lease."""
        client, run_id = self._client, self._copy.run_id
        # Before the lease is taken: where the sources cannot be asked, the run is left to workers that may start later.
        await client.call(jobs_per_task, all_builtin=True)
        clues: LocalClues | None = None
        while clues is None or clues.plan.then:
            try:
                stage = await self._take_stage()
            except (RunDamaged, SchemaMismatch) as error:
                # As on a worker: the run is left to processes that can read it, and to its deadline.
                _LOGGER.warning("dispatch_dropped run_id=%s reason=%s", run_id, error.reason)
                return True
            if stage is None:
                return False
            plan = self._plan = _with_stage(self._known_plan(), stage)
            clues = await _next_clues(clues, plan, stage.sources, self._sources.redact_personal)
            for planned in stage.sources:
                self._start_claimed(planned, plan, clues, self._keep)
            if stage.then:
                await self._stored([self._asks[planned.key] for planned in stage.awaited])
        # Loaded while the sources answer: a run whose sources are in is finished by the watcher after a second.
        async with local_refiner(os.environ, redact_personal=self._sources.redact_personal) as refiner:
            await self._stored(self._asks.values())
            finisher = Finisher(
                client.sync.store, by=WORKER, refiner=refiner, after_commit=try_after_commit(os.environ)
            )
            await client.finish(finisher, run_id)
        return True

    async def _take_stage(self) -> Plan | None:
        """The plan of the stage that is due, dispatched by this process; None when another one dispatches it."""
        client, run_id, token = self._client, self._copy.run_id, new_token()
        store = client.sync.store
        try:
            dispatch = await client.call(store.claim_dispatch, run_id, token, by_worker=False)
            if dispatch is None:
                return None
            plan = await client.call(plan_dispatch, store, run_id, dispatch)
            await client.call(store.mark_dispatched, run_id, token)
        except RunRefused:
            return None
        _LOGGER.warning("run_taken_over run_id=%s reason=no_worker stage=%s", run_id, plan.stage)
        return plan

    async def _ask_unserved(self) -> bool:
        """Ask the sources here that no worker has started within a second and that none will.

        A source whose workers are all busy is left to them: how many ask its counterpart at once is for them to limit.
        Returns False when the run is to be dispatched again, for its next stage.
        """
        client, left_out = self._client, set[str]()
        while not self._fan_in.has_passed:
            await asyncio.sleep(DISPATCH_WAIT_SECONDS / 2)
            if self._copy.waits_for_dispatch:
                return False
            waiting, plan = self._unstarted(), self._plan
            if plan is not None and not plan.then and left_out.issuperset(planned.key for planned in waiting):
                return True
            if not waiting:
                continue
            served = await client.call(client.sync.served_queues)
            unserved = [
                planned
                for planned in self._unstarted()
                # A message that is in no queue was lost with a worker.
                if planned.key not in left_out
                and (
                    planned.source not in served
                    or await client.call(client.sync.store.queue_length, lane(planned.source, planned.batch)) == 0
                )
            ]
            left_out.update(planned.key for planned in unserved)
            if await self._ask_here([planned for planned in unserved if await self._can_ask(planned)]):
                # Their chord parts will not come, by which the chord would call its body.
                await client.call(client.sync.publisher.publish_synthesis, self._copy.run_id)
                if plan is not None and plan.then:
                    await client.call(client.sync.publisher.publish_run, self._copy.run_id)
        return True

    async def _ask_here(self, unserved: Sequence[PlannedSource]) -> bool:
        """Ask sources that no worker has started, and store their envelopes; False without any."""
        plan = self._plan
        if plan is None or not unserved:
            return False
        for planned in unserved:
            _LOGGER.warning("source_taken_over run_id=%s source=%s", self._copy.run_id, planned.key)
            self._start_unserved(planned, plan)
        await self._stored(self._asks.values())
        return True

    def _unstarted(self) -> list[PlannedSource]:
        """The sources that no worker has started, as far as was read; none before the plan was."""
        plan = self._known_plan()
        started = self._copy.keys_of("s", "e") | self._asks.keys()
        return [planned for planned in plan.sources if planned.key not in started] if plan is not None else []

    async def _can_ask(self, planned: PlannedSource) -> bool:
        try:
            await asyncio.to_thread(load_source, planned.source)
        except TroubleshootError as error:
            _LOGGER.warning("source_left run_id=%s source=%s reason=%s", self._copy.run_id, planned.key, error.reason)
            return False
        return True

    def _start_unserved(self, planned: PlannedSource, plan: Plan) -> None:
        store, redact_personal = self._client.sync.store, self._sources.redact_personal
        clues = ClaimedClues(store, self._copy.run_id, plan, self._claims, redact_personal)

        async def keep(envelope: SourceEnvelope) -> None:
            if envelope.reason == NOT_CONFIGURED:
                # It is not this process that ought to know its counterpart: the fault is that no worker does.
                envelope = missing_envelope(planned, language=plan.routing.language, running_seconds=None)
            await self._keep(envelope)

        self._start_claimed(planned, plan, clues, keep)

    def _start_claimed(self, planned: PlannedSource, plan: Plan, clues: LocalClues | ClaimedClues, put: Put) -> None:
        """Ask a source here, claimed in the store; where the store does not answer, without a claim."""
        claim = self._claims[planned.key] = new_token()

        async def begin(_: PlannedSource) -> SourceStart | None:
            try:
                start = await self._client.call(
                    self._client.sync.store.begin_source,
                    self._copy.run_id,
                    planned.key,
                    claim,
                    source=planned.source,
                    job=planned.job,
                    worker=WORKER,
                    by_worker=False,
                )
            except (RunDamaged, SchemaMismatch) as error:
                await put(unreadable_envelope(self._copy.run_id, planned.source, planned.part, error, WORKER))
                return None
            except (StoreUnreachable, RunNotFound):
                self._unclaimed.add(planned.key)
                return await begin_without_store(self._request, plan, self._fan_in)(planned)
            # By the clock of this process: that of Redis may have stepped.
            return None if isinstance(start, str) else replace(start, remaining_seconds=self._fan_in.remaining())

        work = ask(self._copy.run_id, planned, sources=self._sources, clues=clues, begin=begin, put=put)
        self._asks[planned.key] = asyncio.ensure_future(work)

    def _last_fan_in(self, *, has_model: bool) -> Deadline:
        """The end of the sources' time without the store, which may have taken a part of it."""
        left = self._deadline.remaining()
        if not has_model:
            return Deadline.after(left - COMMIT_RESERVE_SECONDS)
        return Deadline.after(max(left - self._request.config.reserve_seconds, left / 2))

    async def _ask_missing(self, plan: Plan, read: Collection[str], fan_in: Deadline) -> Plan:
        """Ask the sources without an envelope that are not being asked here already, stage by stage.

        Waits for all of them, and returns the plan of all stages.
        """
        clues = LocalClues(plan, self._sources.redact_personal)
        for key, clue in self._copy.clues().items():
            await clues.put(key, clue)
        stage = plan
        while True:
            begin = begin_without_store(self._request, plan, fan_in)
            for planned in stage.sources:
                key = planned.key
                is_asked = key in self._envelopes or (key in self._asks and not self._asks[key].done())
                if key in read or is_asked:
                    await clues.end(planned)
                else:
                    run_id, sources = self._copy.run_id, self._sources
                    work = ask(run_id, planned, sources=sources, clues=clues, begin=begin, put=self._keep)
                    self._asks[key] = asyncio.ensure_future(work)
            if not plan.then or fan_in.has_passed:
                break
            awaited = [self._asks[planned.key] for planned in plan.awaited if planned.key in self._asks]
            if awaited:
                await asyncio.wait(awaited, timeout=fan_in.remaining())
            asked = of_each_job(self._envelopes.values(), plan)
            stage = next_stage(plan, {**self._record().envelopes, **asked})
            plan = clues.plan = plan.with_stage(stage)
            if stage.sources:
                self._emit(EventType.ROUTED, routed_data(stage))
        if self._asks:
            await asyncio.wait(self._asks.values(), timeout=fan_in.remaining() + RETRY_SECONDS)
        return plan

    async def _keep(self, envelope: SourceEnvelope) -> None:
        self._envelopes[envelope.key] = envelope
        if self._is_lost:
            self._emit(EventType.SOURCE_FINISHED, finished_data(envelope))
        else:
            self._puts.append(asyncio.ensure_future(self._store(envelope)))

    async def _store(self, envelope: SourceEnvelope) -> None:
        """Store an envelope that was claimed; a store that does not answer is tried again up to the fan-in."""
        client, run_id, key = self._client, self._copy.run_id, envelope.key
        store = client.sync.store
        while not self._is_lost and not self._fan_in.has_passed:
            try:
                if key in self._unclaimed:
                    source, job = envelope.source, envelope.job
                    claim = self._claims[key]
                    begin = partial(store.begin_source, source=source, job=job, worker=WORKER, by_worker=False)
                    await client.call(begin, run_id, key, claim)
                    self._unclaimed.discard(key)
                await client.call(store.put_envelope, run_id, self._claims[key], envelope, by_worker=False)
            except StoreUnreachable:
                await asyncio.sleep(RETRY_SECONDS)
                continue
            except TroubleshootError as error:
                _LOGGER.warning("source_dropped run_id=%s source=%s reason=%s", run_id, key, error.reason)
            return

    async def _stored(self, asks: Iterable[asyncio.Task[Any]]) -> None:
        """Wait until these sources, which are asked here, have answered, and what has answered is stored."""
        # Not gather, which would cancel them with this call: what is asked is kept when the store goes away.
        if waiting := list(asks):
            await asyncio.wait(waiting)
        if self._puts:
            await asyncio.wait(self._puts)


async def run_in_process(
    request: TroubleshootRequest,
    settings: Settings,
    *,
    deadline: Deadline | None = None,
    emit: Emit | None = None,
    expects_store: bool = True,
) -> Report:
    """Answer a question without a store: nothing stored, and ``committed`` False in the report.

    The answer says so where the caller ``expects_store``. Secrets in the message are masked before any source is asked.
    ``deadline`` is given when a part of the time was spent; left out, the time begins now. ``emit`` gets the events up
    to the terminal one.

    Raises WorkersNotInstalled, InvalidRequest.
    """
    check_minimum(request.config)
    check_pipeline(request)
    deadline = deadline or Deadline.after(request.config.total_timeout_seconds)
    async with OwnProcess(request, settings, deadline, emit=emit, expects_store=expects_store) as own:
        return own.told(await own.answer())


def _with_stage(plan: Plan | None, stage: Plan) -> Plan:
    """The plan of all stages, with that of a stage that may be in it already."""
    if plan is None or stage.stage == 1:
        return stage
    return plan if plan.stage >= stage.stage else plan.with_stage(stage)


async def _next_clues(
    clues: LocalClues | None, plan: Plan, asked: Collection[PlannedSource], redact_personal: bool
) -> LocalClues:
    """The clues of a further stage; none comes from the sources before it that are not asked here."""
    if clues is not None:
        clues.plan = plan
        return clues
    clues = LocalClues(plan, redact_personal)
    for planned in plan.sources:
        if planned not in asked:
            await clues.end(planned)
    return clues


async def _refine(
    refiner: Refiner | None, case: Case | None, deadline: Deadline
) -> tuple[Synthesis | None, dict[str, Any] | None]:
    if refiner is None or case is None:
        return None, None
    return await asyncio.to_thread(refiner.refine, case, deadline)
