"""A run of several stages in the store: each is dispatched once, after the answers that it waits for."""

from __future__ import annotations

import asyncio
import json
from base64 import b64decode
from collections.abc import Iterator
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import pytest
import redis

from orchestrator.broker.app import make_celery
from orchestrator.client import fallback
from orchestrator.client.aio import AsyncTroubleshootClient
from orchestrator.config import ParallelConfig, Settings
from orchestrator.deadline import Deadline
from orchestrator.errors import RunRefused, WorkersNotInstalled
from orchestrator.i18n.languages import Language
from orchestrator.models import (
    Event,
    EventType,
    Intent,
    Plan,
    PlannedSource,
    Report,
    Routing,
    RunOutcome,
    RunState,
    SourceEnvelope,
    SourceOutcome,
    SourceRequest,
    Stage,
    TroubleshootRequest,
    source_key,
)
from orchestrator.run import dispatch
from orchestrator.run.dispatch import plan_dispatch
from orchestrator.run.in_process import LocalSources
from orchestrator.sources import FetchResult, Source, SourceSpec
from orchestrator.store.connection import connect
from orchestrator.store.events import EventReader
from orchestrator.store.keys import lanes
from orchestrator.store.records import Backlog, Dispatch, RunRecord, SourceStart, Wakeup, snapshot
from orchestrator.store.run_copy import RunCopy
from orchestrator.store.runs import DISPATCH_LEASE_MS, NUDGE_MS, RunStore, new_token
from orchestrator.testing import StubSource, stub_message
from workers import tasks
from workers.tasks import RunTask, register_tasks

RUN = "run-00000001"
LIST, LOAD = PlannedSource(source="tws_status", limit_seconds=5), PlannedSource(source="metrics", limit_seconds=5)
JOB_A, JOB_B = (PlannedSource(source="tws_status", job=job, limit_seconds=5) for job in ("JOBA", "JOBB"))
LATER = Stage(sources=(LIST,), jobs_per_task={"tws_status": 1}, after=("tws_status",))
LAST = Stage(sources=(LOAD,))


def a_plan(*sources: PlannedSource, stage: int = 1, then: tuple[Stage, ...] = ()) -> Plan:
    routing = Routing(intent=Intent.STATUS, confidence=1, language=Language.PT_BR)
    return Plan(pipeline="status", routing=routing, sources=sources, reason="test", stage=stage, then=then)


FIRST, SECOND = a_plan(LIST, LOAD, then=(LATER,)), a_plan(JOB_A, JOB_B, stage=2)


@dataclass
class Staged:
    """An open run of two stages."""

    client: redis.Redis
    store: RunStore
    events: EventReader

    def dispatch(self, plan: Plan, token: str = "") -> str:
        token = token or f"d{plan.stage}"
        lease = self.store.claim_dispatch(RUN, token)
        assert lease is not None
        assert lease.stage == plan.stage
        self.store.queue_plan(RUN, token, plan)
        assert self.store.mark_dispatched(RUN, token)
        return token

    def answer(self, planned: PlannedSource) -> str:
        source, job = planned.source, planned.job
        start = self.store.begin_source(RUN, planned.key, f"c-{planned.key}", source=source, job=job, worker="w")
        assert isinstance(start, SourceStart)
        assert planned in start.plan.sources
        envelope = SourceEnvelope(source=source, job=job, outcome=SourceOutcome.OK, success=True)
        return self.store.put_envelope(RUN, f"c-{planned.key}", envelope)

    def at_stage_two(self) -> None:
        self.dispatch(FIRST)
        self.answer(LIST)

    def plant(self, **fields: int | str) -> None:
        self.client.hset(self.store.keys.run(RUN), mapping=fields)

    def now_ms(self) -> int:
        seconds, micros = self.client.time()
        return int(seconds * 1000 + micros // 1000)

    def due_in_ms(self, kind: str) -> float | None:
        due = self.client.zscore(self.store.keys.wakeups, f"{RUN}|{kind}")
        return None if due is None else due - self.now_ms()

    def lease(self) -> RunRecord | str:
        return self.store.lease(RUN, new_token(), by="test")

    def asks_for(self, kind: str = "fanin") -> str | Exception:
        return self.store.check_synthesis([Wakeup(f"{RUN}|{kind}")], model_ms=1_000)[0]


@pytest.fixture
def run(either_redis: tuple[redis.Redis, Settings]) -> Staged:
    client, settings = either_redis
    store = RunStore(client, settings)
    store.open(RUN, TroubleshootRequest(message="o que falhou hoje?"), nonce=new_token())
    return Staged(client, store, EventReader(client, store.keys))


def test_the_answers_that_a_stage_waits_for_put_the_run_back_to_its_dispatch(run: Staged) -> None:
    """Of the first stage one source is waited for; then the run is accepted, due to be dispatched and in the queue."""
    run.dispatch(FIRST)
    assert run.due_in_ms("dispatch") is None
    run.answer(LIST)
    record = run.store.read(RUN)
    assert record.state is RunState.ACCEPTED
    assert (due := run.due_in_ms("dispatch")) is not None
    assert due <= NUDGE_MS
    waiting, _ = run.store.keys.queue("orchestrator")
    assert run.client.zcard(waiting) == 1
    assert run.due_in_ms("fanin") > NUDGE_MS  # type: ignore[operator]
    assert run.lease() == "incomplete"


def test_a_stage_that_waits_for_all_begins_with_the_last_answer(run: Staged) -> None:
    """Where a stage names no source to wait for, it waits for all of the one before."""
    run.dispatch(a_plan(LIST, LOAD, then=(LAST,)))
    run.answer(LIST)
    assert run.store.read(RUN).state is RunState.DISPATCHED
    run.answer(LOAD)
    assert run.store.read(RUN).state is RunState.ACCEPTED


def test_the_second_stage_is_planned_once_and_read_as_one_plan_with_the_first(run: Staged) -> None:
    """A second dispatcher gets the plan of the first; readers see the sources of both stages, and events of each."""
    run.at_stage_two()
    lease = run.store.claim_dispatch(RUN, "d2")
    assert lease is not None
    assert (lease.stage, lease.plan) == (2, None)
    assert run.store.put_plan(RUN, "d2", SECOND) == SECOND
    run.plant(dispatch_until=run.now_ms() - 1)
    again = run.store.claim_dispatch(RUN, "d3")
    assert again == Dispatch("d3", again.request, SECOND, stage=2) if again else False
    assert run.store.put_plan(RUN, "d3", a_plan(JOB_A, stage=2)) == SECOND
    record = run.store.read(RUN)
    assert record.plan is not None
    assert record.plan.sources == (LIST, LOAD, JOB_A, JOB_B)
    assert (record.plan.stage, record.plan.then) == (2, ())
    assert list(snapshot(record).sources) == ["tws_status", "metrics", "tws_status|JOBA", "tws_status|JOBB"]
    routed = [event for event in run.events.read(RUN, "0").events if event.type is EventType.ROUTED]
    assert [event.data.get("stage") for event in routed] == [None, 2]
    assert routed[1].data["jobs"] == ["JOBA", "JOBB"]


def test_the_run_is_finished_when_all_stages_have_answered(run: Staged) -> None:
    """A source of the first stage that was not waited for belongs to the run, which ends with the last answer."""
    run.at_stage_two()
    run.dispatch(SECOND)
    run.answer(JOB_A)
    run.answer(JOB_B)
    assert run.lease() == "incomplete"
    run.answer(LOAD)
    assert (due := run.due_in_ms("fanin")) is not None
    assert due <= NUDGE_MS
    assert run.asks_for() == "publish"
    record = run.lease()
    assert isinstance(record, RunRecord)
    assert record.envelopes.keys() == {"tws_status", "metrics", "tws_status|JOBA", "tws_status|JOBB"}


def test_a_stage_without_sources_ends_the_run(run: Staged) -> None:
    """No job was found: what is in is all that there is, and a reader is told of no further stage."""
    run.at_stage_two()
    run.answer(LOAD)
    run.dispatch(a_plan(stage=2))
    assert (due := run.due_in_ms("fanin")) is not None
    assert due <= NUDGE_MS
    assert isinstance(run.lease(), RunRecord)
    events = [event.type for event in run.events.read(RUN, "0").events]
    assert events.count(EventType.ROUTED) == 1


def test_calls_that_are_repeated_after_a_lost_reply_change_nothing(run: Staged) -> None:
    """Each step of a stage may be sent twice."""
    run.at_stage_two()
    assert run.answer(LIST) == "duplicate"
    assert run.store.claim_dispatch(RUN, "d2") is not None
    assert run.store.claim_dispatch(RUN, "d2") is not None
    assert run.store.put_plan(RUN, "d2", SECOND) == run.store.put_plan(RUN, "d2", SECOND)
    expected = run.client.hget(run.store.keys.run(RUN), "expected")
    assert int(expected) == 4
    assert run.store.mark_dispatched(RUN, "d2")
    assert not run.store.mark_dispatched(RUN, "d2")
    # The body of the first stage, again and too late.
    assert run.store.claim_dispatch(RUN, "d3") is None
    assert run.store.read(RUN).state is RunState.DISPATCHED


def test_a_slow_dispatcher_does_not_take_the_next_stage(run: Staged) -> None:
    """Its lease is that of a stage: it can neither be renewed nor used when the stage is over."""
    lease = run.store.claim_dispatch(RUN, "slow")
    assert lease is not None
    run.plant(dispatch_until=run.now_ms() - 1)
    run.at_stage_two()
    assert run.store.claim_dispatch(RUN, "slow", stage=lease.stage) is None
    assert not run.store.mark_dispatched(RUN, "slow")
    with pytest.raises(RunRefused):
        run.store.put_plan(RUN, "slow", FIRST)
    run.dispatch(SECOND)


def test_the_answers_may_come_before_the_dispatch_is_noted(run: Staged) -> None:
    """A source may be faster than its dispatcher: the next stage begins all the same."""
    assert run.store.claim_dispatch(RUN, "d1") is not None
    run.store.put_plan(RUN, "d1", FIRST)
    run.answer(LIST)
    assert not run.store.mark_dispatched(RUN, "d1")
    assert run.store.read(RUN).state is RunState.ACCEPTED
    run.dispatch(SECOND)


def test_a_stage_that_a_dead_dispatcher_has_is_dispatched_again(run: Staged) -> None:
    """Its lease has a wake-up, and each stage may be published again as often as the first."""
    run.store.count(RUN, "republished")
    run.at_stage_two()
    assert run.store.count(RUN, "republished") == 1
    assert run.store.claim_dispatch(RUN, "dead") is not None
    assert (due := run.due_in_ms("dispatch")) is not None
    assert due <= DISPATCH_LEASE_MS
    run.plant(dispatch_until=run.now_ms() - 1)
    run.dispatch(SECOND)
    assert run.due_in_ms("dispatch") is None


def test_at_the_fan_in_a_run_between_two_stages_is_finished(run: Staged) -> None:
    """No worker dispatches it then; a worker with a model is called, and the run is dispatched no more."""
    run.at_stage_two()
    run.plant(fanin_ms=run.now_ms() - 1)
    assert run.store.claim_dispatch(RUN, "d2") is None
    assert run.asks_for() == "publish"
    record = run.lease()
    assert isinstance(record, RunRecord)
    assert record.plan is not None
    assert record.plan.then == (LATER,)
    assert run.due_in_ms("dispatch") is None
    assert run.store.claim_dispatch(RUN, "d2", by_worker=False) is None


def test_a_stage_is_not_begun_when_the_answers_are_frozen(run: Staged) -> None:
    """An answer that comes too late changes nothing."""
    run.dispatch(FIRST)
    run.store.begin_source(RUN, "tws_status", "c", source="tws_status", job=None, worker="w")
    run.plant(fanin_ms=run.now_ms() - 1)
    assert isinstance(run.lease(), RunRecord)
    envelope = SourceEnvelope(source="tws_status", outcome=SourceOutcome.OK, success=True)
    assert run.store.put_envelope(RUN, "c", envelope) == "late"
    assert run.store.claim_dispatch(RUN, "d2") is None
    assert run.store.read(RUN).state is RunState.DISPATCHED


def test_a_run_is_cancelled_between_two_stages(run: Staged) -> None:
    """Nothing of it is dispatched any more, and no wake-up is left."""
    run.at_stage_two()
    assert run.store.cancel(RUN, by="test")
    assert run.store.claim_dispatch(RUN, "d2") is None
    assert run.client.zcard(run.store.keys.wakeups) == 0


def test_an_older_worker_that_stores_the_answers_delays_no_stage(run: Staged) -> None:
    """Its script knows no stages: the chord's body finds that one is due."""
    run.dispatch(FIRST)
    key = run.store.keys.run(RUN)
    run.client.hset(key, mapping={"s:tws_status": f"c|{run.now_ms()}", "received": 1})
    envelope = SourceEnvelope(source="tws_status", outcome=SourceOutcome.OK, success=True)
    run.client.hset(key, "e:tws_status", envelope.model_dump_json())
    run.dispatch(SECOND)


def test_a_copy_of_a_run_has_the_plans_of_all_stages(run: Staged) -> None:
    """A caller's copy has no every answer before the last stage, and keeps what is written once."""
    copy = RunCopy(RUN)
    run.dispatch(FIRST)
    run.answer(LOAD)
    run.answer(LIST)
    run.events.read_copy(copy)
    assert copy.waits_for_dispatch
    assert not copy.has_every_answer
    run.dispatch(SECOND)
    run.answer(JOB_A)
    run.answer(JOB_B)
    run.events.read_copy(copy)
    assert copy.has_every_answer
    assert {"plan", "plan:2", "request"} <= set(copy.known)
    plan = copy.plan()
    assert plan is not None
    assert plan.sources == (LIST, LOAD, JOB_A, JOB_B)


@pytest.mark.parametrize("damaged", ["plan:2", "stage", "to_come", "awaited", "accepted_ms"])
def test_a_damaged_stage_does_not_keep_a_run_open(run: Staged, damaged: str) -> None:
    """At its fan-in and at its deadline the run is finished with what can be read."""
    run.at_stage_two()
    run.plant(**{damaged: "99999x"}, fanin_ms=run.now_ms() - 1)
    record = run.lease()
    assert isinstance(record, RunRecord)
    assert record.plan is not None
    assert record.plan.sources == (LIST, LOAD)
    assert [str(damage) for damage in record.damage] == (["plan"] if damaged == "plan:2" else [])


# --- published by a worker


@pytest.fixture
def worker(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[RunTask, RunStore]]:
    """The task that dispatches, over a real broker; its lease is renewed before every message."""
    monkeypatch.setattr(dispatch, "DISPATCH_LEASE_MS", 0)
    app = make_celery(settings, with_results=True)
    register_tasks(app)
    with connect(settings) as client:
        store = RunStore(client, settings)
        monkeypatch.setattr(tasks, "current_process", lambda _app: SimpleNamespace(store=store))
        task = app.tasks[RunTask.name]
        task.push_request(hostname="orchestrator@test")
        yield task, store
    app.close()


def published(store: RunStore, queue: str) -> list[str | None]:
    """What the messages of a source's queue ask about, in order, those of batches last."""
    lists = [store._client.lrange(f"{store.keys.broker_prefix}{name}", 0, -1)[::-1] for name in lanes(queue)]
    return [json.loads(b64decode(json.loads(text)["body"]))[0][1] for texts in lists for text in texts]


def a_rerun(store: RunStore) -> None:
    """A run whose list had been answered, and whose log had not."""
    earlier = "run-00000000"
    store.open(earlier, FOUND, nonce=new_token())
    lease = store.claim_dispatch(earlier, "d")
    assert lease is not None
    for planned in plan_dispatch(store, earlier, lease).sources:
        is_list = planned.source == "tws_status"
        outcome = SourceOutcome.OK if is_list else SourceOutcome.ERROR
        data = {"found": ["found1", "found2"], "found_count": 2} if is_list else {}
        envelope = SourceEnvelope(source=planned.source, outcome=outcome, success=is_list, data=data)
        store.put_envelope(earlier, new_token(), envelope, unclaimed=True)
    store.cancel(earlier, by="test")
    store.open(RUN, FOUND.model_copy(update={"rerun_of": earlier}), nonce=new_token())


@pytest.mark.parametrize("why", ["kept", "unserved", "unloaded"])
@pytest.mark.parametrize("dies", [False, True])
def test_a_stage_whose_list_is_not_asked_is_published_whole(
    worker: tuple[RunTask, RunStore], monkeypatch: pytest.MonkeyPatch, why: str, *, dies: bool
) -> None:
    """What is answered before its stage is published begins the next one only when the other messages are out.

    A dispatcher that dies in between loses nothing: the next one stores what is not asked, and goes on.
    """
    task, store = worker
    if why == "kept":
        a_rerun(store)
    else:
        store.open(RUN, FOUND, nonce=new_token())
    if why == "unserved":
        queue_plan = store.queue_plan

        def busy(run_id: str, token: str, plan: Plan, **others: Any) -> tuple[Plan, dict[str, Backlog]]:
            return queue_plan(run_id, token, plan, **others)[0], {"tws_status": Backlog(waiting=9, per_second=1)}

        monkeypatch.setattr(store, "queue_plan", busy)
    if why == "unloaded":
        load = dispatch.load_source

        def loaded(name: str) -> SourceSpec:
            if name == "tws_status":
                raise WorkersNotInstalled
            return load(name)

        monkeypatch.setattr(dispatch, "load_source", loaded)
    if dies:
        with monkeypatch.context() as patch:
            patch.setattr(dispatch.StageToAsk, "put_not_asked", lambda *_: 1 / 0)
            with pytest.raises(ZeroDivisionError):
                task.run(RUN)
        assert store.read(RUN).state is RunState.DISPATCHING
        store._client.hset(store.keys.run(RUN), "dispatch_until", 0)
    assert task.run(RUN) == ("dispatched" if why == "kept" else "nothing more to ask")
    found = ["+1"] if why == "kept" else []
    assert published(store, "log_cache") == [*[None] * (1 + dies), *found]
    assert published(store, "tws_status") == found
    record = store.read(RUN)
    assert record.state is RunState.DISPATCHED
    assert record.plan is not None
    assert record.plan.stage == 2
    assert record.envelopes["tws_status"].success is (why == "kept")
    # The queries of both stages, by job: five are made again.
    told = ("repete a execução run-00000000", "consultas feitas de novo: 5; respostas mantidas: 1")
    assert [note for note in told if note in record.plan.notes] == list(told if why == "kept" else ())
    assert task.run(RUN) == "dispatched already, or too late"


# --- in the process of the caller


@pytest.fixture
def stubs(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The sources are stubs, in this process; returns the keys of what is asked."""
    asked: list[str] = []

    class Stubs(LocalSources):
        def get(self, name: str) -> Source:
            class Recorded(StubSource):
                async def fetch(self, request: SourceRequest) -> FetchResult:
                    asked.append(source_key(name, request.job))
                    return await super().fetch(request)

            return Recorded(name)

    monkeypatch.setattr(fallback, "LocalSources", Stubs)
    return asked


FOUND = TroubleshootRequest(
    message=stub_message({"tws_status": {"finds": 2}}, "quais jobs estão em abend?"),
    intent=Intent.STATUS,
    config=ParallelConfig(node_timeout_seconds=5, total_timeout_seconds=10),
)
OF_JOBS = ["log_cache|found1", "log_cache|found2", "tws_status|found1", "tws_status|found2"]


def jobs_of(report: Report) -> list[str]:
    return [job.job for job in report.jobs]


def test_stages_run_without_a_store(stubs: list[str]) -> None:
    """In the caller's process the found jobs are asked about as workers would; its events tell of both stages."""
    events: list[Event] = []
    report = asyncio.run(fallback.run_in_process(FOUND, Settings.from_env({}), emit=events.append, expects_store=False))
    assert sorted(stubs) == sorted(["log_cache", "tws_status", *OF_JOBS])
    assert report.outcome is RunOutcome.COMPLETE
    assert jobs_of(report) == ["found1", "found2"]
    routed = [event.data for event in events if event.type is EventType.ROUTED]
    assert [data.get("stage") for data in routed] == [None, 2]


def test_a_caller_dispatches_every_stage_that_no_worker_does(stubs: list[str], settings: Settings) -> None:
    """It takes the run over, stage by stage, and commits the answer to the same run."""

    async def scenario() -> Report:
        async with AsyncTroubleshootClient(settings) as client:
            run_id = await client.submit(FOUND)
            deadline = Deadline.after(10)
            async with fallback.OwnProcess(FOUND, settings, deadline, client=client, copy=RunCopy(run_id)) as own:
                assert await own._take_over()
            return await client.result(run_id)

    report = asyncio.run(scenario())
    assert sorted(stubs) == sorted(["log_cache", "tws_status", *OF_JOBS])
    assert (report.committed, report.committed_by, report.outcome) == (True, "in-process", RunOutcome.COMPLETE)
    assert jobs_of(report) == ["found1", "found2"]


@pytest.mark.parametrize("store", ["there", "gone"])
def test_a_caller_takes_over_between_two_stages(stubs: list[str], settings: Settings, store: str) -> None:
    """Workers have answered the first stage and are gone, or Redis is: only the second is asked here."""

    async def scenario() -> Report:
        async with AsyncTroubleshootClient(settings) as client:
            run_id = await client.submit(FOUND)
            inner = client.sync.store
            dispatch = inner.claim_dispatch(run_id, "d1")
            assert dispatch is not None
            for planned in plan_dispatch(inner, run_id, dispatch).sources:
                key, source = planned.key, planned.source
                inner.begin_source(run_id, key, key, source=source, job=None, worker="w")
                found = {"found": ["found1", "found2"], "found_count": 2} if source == "tws_status" else {}
                envelope = SourceEnvelope(source=source, outcome=SourceOutcome.OK, success=True, data=found)
                inner.put_envelope(run_id, key, envelope)
            copy = RunCopy(run_id)
            with connect(settings) as raw:
                EventReader(raw, inner.keys).read_copy(copy)
            deadline = Deadline.after(10)
            async with fallback.OwnProcess(FOUND, settings, deadline, client=client, copy=copy) as own:
                if store == "gone":
                    return await own.answer()
                await own.help()
            return await client.result(run_id)

    report = asyncio.run(scenario())
    assert sorted(stubs) == OF_JOBS
    assert report.committed is (store == "there")
    assert jobs_of(report) == ["found1", "found2"]
