"""From an accepted run to its stored plan, for the ``troubleshoot.run`` task and for the in-process fallback."""

from dataclasses import dataclass, field
from functools import partial

from orchestrator.deadline import Deadline
from orchestrator.errors import (
    ConfigurationError,
    InvalidRequest,
    RunDamaged,
    RunNotFound,
    RunRefused,
    SchemaMismatch,
    TroubleshootError,
)
from orchestrator.models import Plan, SourceEnvelope, TroubleshootRequest
from orchestrator.payloads import listed_jobs
from orchestrator.routing.follow_up import Subject, subjects_of
from orchestrator.routing.pipelines import plan_run
from orchestrator.routing.plan import jobs_per_task, plan_request, refused_plan
from orchestrator.routing.router import entities_of
from orchestrator.routing.stages import next_stage
from orchestrator.run.envelopes import error_envelope, unserved_envelope
from orchestrator.run.rerun import earlier_run, keep_answers, without_kept
from orchestrator.sources import load_source
from orchestrator.store.reading import PLAN
from orchestrator.store.records import Dispatch
from orchestrator.store.runs import DISPATCH_LEASE_MS, RunStore, new_token

MAX_EARLIER_RUNS = 5
"""Runs of a session in which the subject of a question that names none is looked for."""

MAX_LISTED = 5
"""Jobs of a list among which is asked which one is meant."""


@dataclass(slots=True)
class DispatchLease:
    """Keeps the dispatch lease of a run while its messages are published.

    A worker that is slow must not be taken for a dead one: the run would be dispatched again beside it, with as many
    messages, which makes a busy machine slower yet.
    """

    store: RunStore
    run_id: str
    token: str
    stage: int = 1
    _renewal: Deadline = field(init=False)

    def __post_init__(self) -> None:
        self._renewal = self._next()

    def keep(self) -> None:
        """Renew the lease when a third of it has passed.

        Raises RunRefused when another dispatcher has it, or the run has been closed.
        """
        if not self._renewal.has_passed:
            return
        if self.store.claim_dispatch(self.run_id, self.token, stage=self.stage) is None:
            raise RunRefused
        self._renewal = self._next()

    @staticmethod
    def _next() -> Deadline:
        return Deadline.after(DISPATCH_LEASE_MS / 3000)


@dataclass(frozen=True, slots=True)
class StageToAsk:
    """A planned stage of a run, under its dispatch lease."""

    plan: Plan
    """That of the sources to ask."""
    not_asked: tuple[SourceEnvelope, ...] = ()
    """The envelopes of the others, to be stored with ``put_not_asked``."""

    @property
    def is_over(self) -> bool:
        """Whether the next stage waits for none of the sources to ask: it begins with the envelopes of the others.

        They must be stored last then. Once it has begun, this stage has no dispatcher, and nothing of it is published.
        """
        return bool(self.plan.then) and not self.plan.awaited

    def put_not_asked(self, store: RunStore, run_id: str) -> None:
        """Store the envelopes of the sources that are not asked; after a dispatcher that died, again.

        Raises RunNotFound, StoreUnreachable.
        """
        for envelope in self.not_asked:
            store.put_envelope(run_id, new_token(), envelope, unclaimed=True)


def plan_dispatch(store: RunStore, run_id: str, dispatch: Dispatch) -> Plan:
    """Plan a stage of a run under its dispatch lease and store the plan, which appends the event ``routed``.

    A request that cannot be planned gets a plan without sources. The plan of an earlier dispatcher is kept. Returns the
    plan of the sources to ask: those of a rerun that had answered have their envelopes.

    Raises RunRefused when the lease was lost meanwhile, WorkersNotInstalled, RunDamaged, StoreUnreachable.
    """
    plan = store.put_plan(run_id, dispatch.token, _plan(store, run_id, dispatch))
    stage = StageToAsk(*without_kept(store, plan, dispatch.request))
    stage.put_not_asked(store, run_id)
    return stage.plan


def plan_for_workers(store: RunStore, run_id: str, dispatch: Dispatch, *, worker: str) -> StageToAsk:
    """Like ``plan_dispatch``, but of the sources to ask those that workers can serve in time.

    The others, and those whose code cannot be loaded here, get an envelope that says so, which the caller stores: a run
    does not wait for what cannot come, and a queue is spared messages that would be of no use when they are taken.

    Raises as ``plan_dispatch`` does, and RunNotFound.
    """
    plan = _plan(store, run_id, dispatch)
    errors = _load_errors(plan)
    plan, backlogs = store.queue_plan(run_id, dispatch.token, plan, unasked=errors)
    plan, not_asked = without_kept(store, plan, dispatch.request)
    served = []
    for planned in plan.sources:
        if (error := errors.get(planned.source)) is not None:
            envelope = error_envelope(run_id, planned, error, worker=worker, language=plan.routing.language)
        elif (backlog := backlogs.get(planned.key)) is not None:
            envelope = unserved_envelope(planned, backlog, language=plan.routing.language, worker=worker)
        else:
            served.append(planned)
            continue
        not_asked += (envelope,)
    return StageToAsk(plan.model_copy(update={"sources": tuple(served)}), not_asked)


def _load_errors(plan: Plan) -> dict[str, TroubleshootError]:
    """Why the code of sources cannot be loaded here, by their names."""
    errors = {}
    for name in {planned.source for planned in plan.sources}:
        try:
            load_source(name)
        except TroubleshootError as error:
            errors[name] = error
    return errors


def _plan(store: RunStore, run_id: str, dispatch: Dispatch) -> Plan:
    if dispatch.plan is not None:
        return dispatch.plan
    if dispatch.stage > 1:
        return _later_plan(store, run_id, dispatch)
    try:
        request, earlier = dispatch.request, earlier_run(store, dispatch.request)
        if earlier is not None and earlier.plan is not None and earlier.plan.sources:
            plan = plan_run(request, earlier.plan.routing, jobs_per_task())
        else:
            plan = plan_request(request, jobs_per_task(), partial(session_subjects, store, run_id, request))
        return keep_answers(plan, earlier, request)
    except (InvalidRequest, ConfigurationError) as error:
        return refused_plan(dispatch.request, error)


def _later_plan(store: RunStore, run_id: str, dispatch: Dispatch) -> Plan:
    """The plan of a later stage, from what was answered; one without sources when there is nothing more to ask."""
    record, request = store.read(run_id), dispatch.request
    if record.plan is None or not record.plan.then:
        raise RunDamaged.of(run_id, PLAN)
    plan = next_stage(record.plan, record.envelopes)
    return keep_answers(plan, earlier_run(store, request), request, before=record.plan.sources)


def session_subjects(store: RunStore, run_id: str, request: TroubleshootRequest) -> list[Subject]:
    """What the runs of the same user and session before this one were about, the latest first.

    Runs that have expired, that cannot be read or that asked another TWS instance are left out.

    Raises StoreUnreachable.
    """
    subjects: list[Subject] = []
    for earlier in store.session_runs(run_id, request)[:MAX_EARLIER_RUNS]:
        try:
            record = store.read(earlier)
        except (RunDamaged, RunNotFound, SchemaMismatch):
            continue
        if record.request.tws_instance_id != request.tws_instance_id:
            continue
        diagnosis = record.report.diagnosis if record.report else None
        answered = tuple(dict.fromkeys(item.job for item in diagnosis.hypotheses if item.job)) if diagnosis else ()
        if record.report is not None and not answered:
            # After a list, "why?" is about one of its jobs.
            answered = listed_jobs(record.report.aggregated_data.tws_status or {})[:MAX_LISTED]
        if record.plan is not None:
            entities, jobs = record.plan.routing.entities, record.plan.jobs
        else:
            # Not yet dispatched, but submitted before: its job is what the user has in mind.
            jobs, patterns = record.request.named_jobs, record.request.job_patterns
            entities = entities_of(record.request.message, jobs, patterns)
        subjects += subjects_of(earlier, entities, jobs, answered)
    return subjects
