"""Answers that runs share, and queries that are made again: over fakeredis, with a worker's runner."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import fakeredis
import pytest
from tests_support import made, wait_until

from orchestrator.config import Settings
from orchestrator.errors import SourceError
from orchestrator.i18n.languages import Language
from orchestrator.models import (
    Entities,
    Intent,
    Plan,
    PlannedSource,
    Routing,
    SourceEnvelope,
    SourceOutcome,
    SourceRequest,
    TroubleshootRequest,
    part_of,
)
from orchestrator.routing.pipelines import plan_jobs
from orchestrator.sources import FetchResult
from orchestrator.store.runs import RunStore, new_token
from workers.runtime.ask import SourceRunner
from workers.runtime.event_loop import Runtime


@dataclass
class CountingSource:
    """Counts its calls; fails as often as it is told."""

    failures: list[Exception] = field(default_factory=list)
    gate: threading.Event | None = None
    calls: int = 0

    async def fetch(self, request: SourceRequest) -> FetchResult:  # Source
        self.calls += 1
        call = self.calls
        if self.gate is not None:
            await asyncio.to_thread(self.gate.wait)
        if self.failures:
            raise self.failures.pop(0)
        return FetchResult(data={"call": call})

    async def close(self) -> None:
        return


@pytest.fixture
def store() -> Iterator[RunStore]:
    with fakeredis.FakeRedis(decode_responses=True) as client:
        yield RunStore(client, Settings.from_env({}))


@pytest.fixture
def runtime() -> Iterator[Runtime]:
    runtime = Runtime({})
    yield runtime
    runtime.close()


def ask(
    store: RunStore,
    runtime: Runtime,
    source: CountingSource,
    *,
    message: str = "Job BATCH001 falhou",
    job: str = "BATCH001",
    retries: int = 0,
    cache_seconds: float = 0.0,
    limit: float = 5.0,
    **fields: Any,
) -> SourceEnvelope:
    """Ask the source about a job for a run of its own, whose request may have more fields."""
    planned = PlannedSource(
        source="metrics", job=job, limit_seconds=limit, retries=retries, cache_seconds=cache_seconds
    )
    return ask_planned(store, runtime, source, planned, message=message, job_name=job, **fields)[0]


def ask_planned(
    store: RunStore, runtime: Runtime, source: CountingSource, *planned: PlannedSource, message: str, **fields: Any
) -> list[SourceEnvelope]:
    """The answers, in order, of a run of its own that asks ``planned``."""
    run_id, token = new_token(), new_token()
    request = TroubleshootRequest(message=message, **fields)
    store.open(run_id, request, nonce=new_token())
    store.claim_dispatch(run_id, token)
    entities = Entities(jobs=request.named_jobs)
    routing = Routing(intent=Intent.TROUBLESHOOT, confidence=1, language=Language.EN, entities=entities)
    store.put_plan(run_id, token, Plan(pipeline="p", routing=routing, sources=planned, reason="test"))
    store.mark_dispatched(run_id, token)
    runner = SourceRunner(store=store, source=lambda _name: made(source), submit=runtime.submit, worker="w")
    for each in planned:
        runner.ask(run_id, "metrics", part_of(each.job, each.batch), claim=new_token(), soft_limit_seconds=None)
    return list(store.read(run_id).envelopes.values())


def test_a_query_that_another_run_has_just_made_is_not_made_again(store: RunStore, runtime: Runtime) -> None:
    """Its answer is that of the other run, which it names; another question and another job are asked."""
    source = CountingSource()
    first = ask(store, runtime, source, cache_seconds=60)
    second = ask(store, runtime, source, message="job  batch001 FALHOU?", cache_seconds=60)
    assert (first.shared_from, second.data) == (None, first.data)
    assert second.shared_from is not None
    assert second.started_at_ms is not None
    assert first.shared_age_ms is None
    assert 0 <= (second.shared_age_ms or 0) < 60_000
    assert ask(store, runtime, source, message="Job BATCH001 parou", cache_seconds=60).data == {"call": 2}
    assert ask(store, runtime, source, job="BATCH002", cache_seconds=60).data == {"call": 3}
    assert ask(store, runtime, source).data == {"call": 4}, "not shared unless the pipeline says so"


def test_the_same_jobs_in_another_order_are_the_same_query(store: RunStore, runtime: Runtime) -> None:
    """Whatever batches they make; each job has its own answer."""
    source, jobs = CountingSource(), ("FECH003", "FECH001", "FECH004", "FECH002", "FECH005")
    template = PlannedSource(source="metrics", limit_seconds=5.0, cache_seconds=60)
    answers = [
        ask_planned(store, runtime, source, *plan_jobs(template, order, 2), message="por que falharam?", jobs=order)
        for order in (jobs, jobs[::-1])
    ]
    first, second = ({item.job: (item.data, item.shared_from is not None) for item in each} for each in answers)
    assert sorted(first) == sorted(jobs)
    assert second == {job: (data, True) for job, (data, _) in first.items()}
    assert source.calls == len(jobs)


def test_a_query_that_is_being_made_is_waited_for(store: RunStore, runtime: Runtime) -> None:
    """Of runs that ask the same at the same time one asks."""
    source, envelopes = CountingSource(gate=threading.Event()), list[SourceEnvelope]()
    asks = [
        threading.Thread(target=lambda: envelopes.append(ask(store, runtime, source, cache_seconds=60)))
        for _ in range(3)
    ]
    for thread in asks:
        thread.start()
    wait_until(lambda: source.calls == 1, what="the first query")
    assert source.gate is not None
    source.gate.set()
    for thread in asks:
        thread.join()
    assert [envelope.data for envelope in envelopes] == [{"call": 1}] * 3
    assert sorted(envelope.shared_from is None for envelope in envelopes) == [False, False, True]


def test_a_run_that_asks_everything_again_gets_no_answer_of_another_run(store: RunStore, runtime: Runtime) -> None:
    """``rerun --all`` asks anew, whatever is kept; a rerun of what failed may share."""
    source = CountingSource()
    first = ask(store, runtime, source, cache_seconds=60)
    again = ask(store, runtime, source, cache_seconds=60, rerun_of="run-00000001", rerun_all=True)
    assert (first.data, again.data, again.shared_from) == ({"call": 1}, {"call": 2}, None)
    shared = ask(store, runtime, source, cache_seconds=60, rerun_of="run-00000001")
    assert shared.shared_from is not None
    assert shared.data == {"call": 2}, "the newer answer replaces the one that was kept"


def test_a_failure_of_a_run_that_asks_everything_again_replaces_nothing(store: RunStore, runtime: Runtime) -> None:
    """What was kept serves the others until its time is over."""
    ask(store, runtime, CountingSource(), cache_seconds=60)
    down = CountingSource([SourceError("down", reason="unreachable")])
    ask(store, runtime, down, cache_seconds=60, rerun_of="run-00000001", rerun_all=True)
    assert ask(store, runtime, CountingSource(), cache_seconds=60).shared_from is not None


def test_who_waits_for_a_shared_answer_has_its_limit_once(store: RunStore, runtime: Runtime) -> None:
    """The time waited is part of the limit: with none left, the source is not asked."""
    source, limit = CountingSource(), 0.2
    wait = store.share
    store.share = lambda digest, token, *, lease_ms: (  # type: ignore[method-assign]  # another run has the query
        ["wait"] if wait(digest, "other", lease_ms=lease_ms) else []
    )
    envelope = ask(store, runtime, source, cache_seconds=60, limit=limit)
    assert (envelope.outcome, source.calls) == (SourceOutcome.TIMEOUT, 0)
    assert f"{limit:g}" in str(envelope.error)
    assert envelope.latency_ms >= limit * 1000


def test_an_answer_may_be_kept_for_less_than_a_millisecond(store: RunStore, runtime: Runtime) -> None:
    """Redis takes no time to live of zero."""
    assert ask(store, runtime, CountingSource(), cache_seconds=0.0004).data == {"call": 1}


def test_a_failure_is_not_shared(store: RunStore, runtime: Runtime) -> None:
    """The next run asks at once."""
    source = CountingSource([SourceError("down", reason="unreachable")])
    assert ask(store, runtime, source, cache_seconds=60).outcome is SourceOutcome.ERROR
    assert ask(store, runtime, source, cache_seconds=60).data == {"call": 2}


@pytest.mark.parametrize("damage", ["{", '{"schema_version": 99}'])
def test_what_cannot_be_shared_is_asked(
    store: RunStore, runtime: Runtime, monkeypatch: pytest.MonkeyPatch, damage: str
) -> None:
    """A damaged answer and one of another version are none."""
    monkeypatch.setattr(store, "share", lambda *_, **__: ["ok", damage])
    assert ask(store, runtime, CountingSource(), cache_seconds=60).data == {"call": 1}


def test_the_place_of_a_dead_asker_is_taken(store: RunStore) -> None:
    """Its lease ends; then it cannot keep an answer any more."""
    assert store.share("d", "dead", lease_ms=60_000) == ["ask"]
    assert store.share("d", "dead", lease_ms=60_000) == ["ask"], "sent again after a lost reply"
    assert store.share("d", "next", lease_ms=1) == ["wait"]
    store._client.delete(store.keys.shared("d"))
    assert store.share("d", "next", lease_ms=60_000) == ["ask"]
    store.put_shared("d", "dead", '{"late": 1}', keep_ms=60_000)
    assert store.share("d", "third", lease_ms=60_000) == ["wait"]


@pytest.mark.parametrize(
    ("failures", "retries", "calls"),
    [
        ([SourceError("cut", reason="connection_cut")], 1, 2),
        ([OSError("reset"), OSError("reset")], 2, 3),
        ([OSError("reset"), OSError("reset")], 1, 2),
        ([SourceError("who are you?", reason="unauthorized")], 3, 1),
        ([OSError("reset")], 0, 1),
    ],
)
def test_an_error_that_may_pass_is_tried_again(
    store: RunStore, runtime: Runtime, failures: list[Exception], retries: int, calls: int
) -> None:
    """As often as the pipeline says, and not where another try mends nothing."""
    source = CountingSource(failures)
    left = len(failures) - calls
    envelope = ask(store, runtime, source, retries=retries)
    assert source.calls == calls
    assert envelope.success is (left < 0)
