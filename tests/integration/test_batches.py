"""A batch of jobs in the store: one message, one claim and one envelope, and yet an answer for each job."""

from __future__ import annotations

import json
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any

import pytest
import redis

from orchestrator.config import Settings
from orchestrator.errors import RunDamaged, SchemaMismatch
from orchestrator.i18n.languages import Language
from orchestrator.models import (
    MAX_JOBS,
    Clue,
    EventType,
    Evidence,
    Intent,
    Plan,
    PlannedSource,
    Routing,
    SourceEnvelope,
    SourceOutcome,
    TroubleshootRequest,
)
from orchestrator.run.conclusion import conclude
from orchestrator.run.envelopes import batch_envelope, unreadable_envelope, unserved_envelope
from orchestrator.run.report import make_report, stored_report
from orchestrator.store.events import EventReader
from orchestrator.store.records import Backlog, RunRecord, SourceStart, snapshot
from orchestrator.store.run_copy import RunCopy
from orchestrator.store.runs import RunStore, new_token
from workers.runtime.ask import SourceRunner

RUN = "run-00000001"
JOBS = ("JOBA", "JOBB", "JOBC")
BATCH = PlannedSource(source="tws_status", batch=1, jobs=JOBS[:2], limit_seconds=5)
LAST = PlannedSource(source="tws_status", batch=2, jobs=JOBS[2:], limit_seconds=5)
ONCE = PlannedSource(source="metrics", limit_seconds=5)
KEYS = tuple(f"tws_status|{job}" for job in JOBS)


def a_part(job: str, outcome: SourceOutcome = SourceOutcome.OK) -> SourceEnvelope:
    item = Evidence(id="tws_status:1", source="tws_status", kind="log", title="log", text=job)
    found: dict[str, Any] = {"data": {"of": job}, "evidence": (item,)} if outcome is SourceOutcome.OK else {}
    return SourceEnvelope(
        source="tws_status", job=job, outcome=outcome, success=outcome.is_success, latency_ms=100, **found
    )


def a_batch(planned: PlannedSource = BATCH) -> SourceEnvelope:
    return batch_envelope(planned, map(a_part, planned.jobs))


@dataclass
class Run:
    """An open run that asks about three jobs in two batches, and once for the run."""

    client: redis.Redis
    store: RunStore
    events: EventReader

    def begin(self, planned: PlannedSource) -> SourceStart | str:
        return self.store.begin_source(
            RUN, planned.key, f"c-{planned.key}", source=planned.source, job=planned.job, worker="w"
        )

    def answer(self, planned: PlannedSource, envelope: SourceEnvelope) -> str:
        assert isinstance(self.begin(planned), SourceStart)
        return self.store.put_envelope(RUN, f"c-{planned.key}", envelope)

    def change(self, key: str, change: Callable[[Any], Any]) -> None:
        name = self.store.keys.run(RUN)
        self.client.hset(name, f"e:{key}", json.dumps(change(json.loads(self.client.hget(name, f"e:{key}")))))

    def record(self) -> RunRecord:
        return self.store.read(RUN)

    def data_of(self, kind: EventType) -> list[dict[str, Any]]:
        return [event.data for event in self.events.read(RUN, "0").events if event.type is kind]


@pytest.fixture
def run(either_redis: tuple[redis.Redis, Settings]) -> Run:
    client, settings = either_redis
    store = RunStore(client, settings)
    store.open(RUN, TroubleshootRequest(message="o que falhou?", jobs=JOBS), nonce=new_token())
    routing = Routing(intent=Intent.TROUBLESHOOT, confidence=1, language=Language.PT_BR)
    plan = Plan(pipeline="troubleshoot", routing=routing, sources=(BATCH, LAST, ONCE), reason="test")
    assert store.claim_dispatch(RUN, "d") is not None
    store.queue_plan(RUN, "d", plan)
    assert store.mark_dispatched(RUN, "d")
    return Run(client, store, EventReader(client, store.keys))


def test_a_batch_is_one_message_and_an_answer_for_each_job(run: Run) -> None:
    """Three keys are expected; who reads the run sees the envelopes, starts and states of its jobs."""
    assert run.answer(BATCH, a_batch()) == "stored"
    assert run.begin(LAST) != "duplicate"
    record = run.record()
    assert (record.received, tuple(record.envelopes)) == (1, KEYS[:2])
    assert record.started_ms.keys() == set(KEYS)
    assert not record.damage
    states = {key: state["state"] for key, state in snapshot(record).sources.items()}
    assert states == {KEYS[0]: "finished", KEYS[1]: "finished", KEYS[2]: "started", "metrics": "planned"}
    copy = RunCopy(RUN)
    run.events.read_copy(copy)
    assert copy.keys_of("e") == {"tws_status|+1"}
    read = copy.record()
    assert read is not None
    assert read.envelopes == record.envelopes


def test_events_of_a_batch_name_it_and_its_jobs(run: Run) -> None:
    """The start names the batch, the end the outcome of each job, and the plan which jobs are in it."""
    parts = (a_part("JOBA"), a_part("JOBB", SourceOutcome.NO_DATA))
    run.answer(BATCH, batch_envelope(BATCH, parts))
    (planned, *_) = run.data_of(EventType.ROUTED)[0]["sources"]
    assert (planned["key"], planned["batch"], planned["jobs"]) == ("tws_status|+1", 1, ["JOBA", "JOBB"])
    (started,) = run.data_of(EventType.SOURCE_STARTED)
    assert started == {"source": "tws_status", "job": None, "worker": "w", "batch": 1}
    (finished,) = run.data_of(EventType.SOURCE_FINISHED)
    assert (finished["batch"], finished["outcome"], finished["received"], finished["expected"]) == (1, "ok", 1, 3)
    assert [(part["job"], part["outcome"]) for part in finished["jobs"]] == [("JOBA", "ok"), ("JOBB", "no_data")]


def test_the_report_of_a_run_with_batches_is_stored_without_what_they_hold(run: Run) -> None:
    """Results are by job and are put together when the report is read; a batch that never came is missing by job."""
    run.answer(BATCH, a_batch())
    record = run.store.lease(RUN, "f", by="test")
    run.client.hset(run.store.keys.run(RUN), "fanin_ms", 1)
    record = run.store.lease(RUN, "f", by="test") if isinstance(record, str) else record
    assert isinstance(record, RunRecord)
    report = make_report(conclude(record), by="test", total_latency_ms=1)
    stored = record.envelopes
    assert run.store.commit(report, token="f", seen_received=record.received, stored=stored) == "ok"
    assert "results_in_run" in run.client.hget(run.store.keys.run(RUN), "report")
    assert run.store.report(RUN) == report
    assert stored_report(run.record()) == report
    assert [envelope.key for envelope in report.parallel_results] == [*KEYS, "metrics"]
    assert {failure.job for failure in report.errors} == {"JOBC", None}
    assert report.parallel_results[0].evidence[0].job == "JOBA"
    # Two jobs, asked about by one call.
    assert report.metadata["sequential_equivalent_ms"] == report.parallel_latency_ms == 100


def test_a_batch_that_comes_late_is_late_for_each_job(run: Run) -> None:
    """After the answers are frozen, a batch is kept apart, without what it found."""
    run.begin(BATCH)
    run.client.hset(run.store.keys.run(RUN), mapping={"frozen": 1})
    assert run.store.put_envelope(RUN, f"c-{BATCH.key}", a_batch()) == "late"
    record = run.record()
    assert record.late == set(KEYS[:2])
    assert not record.envelopes
    assert "JOBA" not in run.client.hget(run.store.keys.run(RUN), "l:tws_status|+1")


def test_what_became_of_a_whole_batch_is_so_for_each_job(run: Run) -> None:
    """A batch that is not asked, or by a worker that cannot read the run, leaves none of its jobs without an answer."""
    backlog = Backlog(waiting=9, per_second=0.1)
    unserved = unserved_envelope(LAST, backlog, language=Language.PT_BR, worker="w")
    run.store.put_envelope(RUN, new_token(), unserved, unclaimed=True)
    run.answer(BATCH, unreadable_envelope(RUN, "tws_status", "+1", SchemaMismatch("x"), "w"))
    record = run.record()
    assert [record.envelopes[key].reason for key in KEYS] == [SchemaMismatch.reason] * 2 + ["queue_full"]
    assert [record.envelopes[key].job for key in KEYS] == list(JOBS)


@pytest.mark.parametrize(
    ("change", "damaged"),
    [
        (lambda value: value | {"parts": [value["parts"][0], 7]}, "parts.1"),
        (lambda value: value | {"parts": [value["parts"][0], value["parts"][1] | {"source": "metrics"}]}, "parts.1"),
        (lambda value: value | {"parts": [value["parts"][0], value["parts"][1] | {"outcome": []}]}, "parts.1"),
        (lambda value: value | {"parts": value["parts"][:1]}, None),
        (
            lambda value: value | {"parts": [value["parts"][0], value["parts"][1] | {"evidence": [[]] * 30_000}]},
            "parts.1",
        ),
    ],
)
def test_a_part_of_a_batch_that_cannot_be_read_costs_its_job_alone(
    run: Run, change: Callable[[Any], Any], damaged: str | None
) -> None:
    """The other jobs keep their answers, and the damage is named."""
    run.answer(BATCH, a_batch())
    run.change(BATCH.key, change)
    record = run.record()
    assert record.envelopes[KEYS[0]] == a_part("JOBA")
    assert record.envelopes[KEYS[1]].reason == RunDamaged.reason
    assert [item.field for item in record.damage] == ([damaged] if damaged else [])


def test_a_batch_that_cannot_be_read_at_all_costs_its_jobs(run: Run) -> None:
    """Where neither batch nor plan can be read, the batch stands for its jobs, and the run is answered."""
    run.answer(BATCH, a_batch())
    run.change(BATCH.key, lambda value: value | {"batch": 7})
    assert {record.reason for record in run.record().envelopes.values()} == {RunDamaged.reason}
    assert tuple(run.record().envelopes) == KEYS[:2]
    run.client.hset(run.store.keys.run(RUN), "plan", "nonsense")
    assert tuple(run.record().envelopes) == (BATCH.key,)
    assert "tws_status" in {
        failure.source for failure in make_report(conclude(run.record()), by="t", total_latency_ms=1).errors
    }


def test_a_plan_that_cannot_be_read_costs_no_answer_of_a_batch(run: Run) -> None:
    """The jobs of a batch are known by its parts as well."""
    run.answer(BATCH, a_batch())
    run.client.hset(run.store.keys.run(RUN), "plan", "nonsense")
    report = make_report(conclude(run.record()), by="test", total_latency_ms=1)
    answered = [envelope.key for envelope in report.parallel_results if envelope.success]
    assert answered == list(KEYS[:2])
    assert not [failure for failure in report.errors if failure.source == "tws_status"]


def test_each_job_of_a_batch_may_give_a_clue(run: Run) -> None:
    """A clue about one job replaces no other; a batch is waited for until all are there, or it has ended."""
    others = [BATCH, LAST]
    run.begin(BATCH)
    clues = [Clue(source="tws_status", job=job, codes=(job,)) for job in BATCH.jobs]
    assert run.store.put_clue(RUN, BATCH.key, f"c-{BATCH.key}", clues[0], clue_key=KEYS[0]) == "ok"
    read = run.store.read_clues(RUN, others)
    assert (read.given, read.pending, read.started) == ((clues[0],), {BATCH.key, LAST.key}, {BATCH.key})
    assert run.store.put_clue(RUN, BATCH.key, f"c-{BATCH.key}", clues[1], clue_key=KEYS[1]) == "ok"
    read = run.store.read_clues(RUN, others)
    assert (read.given, read.pending) == (tuple(clues), {LAST.key})
    run.answer(LAST, a_batch(LAST))
    assert not run.store.read_clues(RUN, others).pending


def test_the_keys_of_what_is_required_are_by_job(run: Run) -> None:
    """A run that misses a required source is known by the keys of its jobs' envelopes."""
    plan = run.record().plan
    assert plan is not None
    required = [planned.model_copy(update={"required": planned.source == "tws_status"}) for planned in plan.sources]
    assert plan.model_copy(update={"sources": tuple(required)}).required_keys == set(KEYS)


def test_a_worker_that_does_not_know_a_batch_leaves_it_alone(run: Run) -> None:
    """As one of an older version does: its claim stores nothing, and the batch is missing for each of its jobs."""
    runner = SourceRunner(store=run.store, source=lambda _: Future(), submit=lambda *_: Future(), worker="w")
    told = runner.ask(RUN, "tws_status", "+9", claim="c", soft_limit_seconds=5)
    assert told["reason"] == "not_planned"
    record = run.record()
    assert (record.received, record.envelopes, record.damage) == (0, {}, ())
    report = make_report(conclude(record), by="test", total_latency_ms=1)
    assert [failure.job for failure in report.errors] == [*JOBS, None]


def test_the_largest_plan_is_read(run: Run) -> None:
    """What is planned for as many jobs as one question may name, with long names and a task for each, can be read."""
    jobs = tuple(f"{'FOLDER/' * 8}WS#{'FOLDER/' * 8}STREAM{number}.JOB{number}" for number in range(MAX_JOBS))
    sources = [PlannedSource(source=f"source{number}", job=job, limit_seconds=5) for number in range(8) for job in jobs]
    routing = Routing(intent=Intent.TROUBLESHOOT, confidence=1, language=Language.PT_BR)
    plan = Plan(pipeline="troubleshoot", routing=routing, sources=tuple(sources), reason="test")
    run.client.hset(run.store.keys.run(RUN), "plan", plan.model_dump_json())
    assert run.record().plan == plan
