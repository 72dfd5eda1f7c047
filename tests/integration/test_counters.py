"""The counters that all processes share, over fakeredis and over a real redis-server."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import redis

from orchestrator.config import Settings
from orchestrator.errors import Overloaded
from orchestrator.models import (
    AnswerMode,
    Intent,
    Language,
    Plan,
    PlannedSource,
    Report,
    Routing,
    RunOutcome,
    SourceEnvelope,
    SourceOutcome,
    TroubleshootRequest,
)
from orchestrator.store.counters import Counters
from orchestrator.store.runs import RunStore, new_token

Labels = tuple[str, ...]


class Bench:
    """A store, and its counters."""

    def __init__(self, client: redis.Redis, settings: Settings) -> None:
        self.client, self.store = client, RunStore(client, settings)
        self.counters = Counters(client, self.store.keys)

    def open(self, run_id: str) -> str:
        request = TroubleshootRequest(message="Job BATCH001 falhou com ABEND S0C7")
        self.store.open(run_id, request, nonce=new_token())
        return run_id

    def dispatch(self, run_id: str, *sources: str) -> None:
        routing = Routing(intent=Intent.TROUBLESHOOT, confidence=1, language=Language.PT_BR)
        planned = tuple(PlannedSource(source=name, limit_seconds=5) for name in sources)
        plan = Plan(pipeline="troubleshoot", routing=routing, sources=planned, reason="test")
        assert self.store.claim_dispatch(run_id, "d")
        self.store.put_plan(run_id, "d", plan)
        assert self.store.mark_dispatched(run_id, "d")

    def answer(self, run_id: str, source: str) -> str:
        self.store.begin_source(run_id, source, source, source=source, job=None, worker="w")
        return self.store.put_envelope(run_id, source, an_envelope(source))

    def expire(self, run_id: str) -> None:
        seconds, _ = self.client.time()
        self.client.hset(self.store.keys.run(run_id), mapping={"deadline_ms": seconds * 1000 - 1, "fanin_ms": 1})

    def read(self) -> dict[Labels, int]:
        return self.counters.read()


def an_envelope(source: str, outcome: SourceOutcome = SourceOutcome.OK) -> SourceEnvelope:
    return SourceEnvelope(source=source, outcome=outcome, success=outcome.is_success, latency_ms=12.5)


def a_report(run_id: str, by: str, **fields: Any) -> Report:
    mode, outcome = AnswerMode.DETERMINISTIC, RunOutcome.COMPLETE
    return Report.model_validate(
        {"run_id": run_id, "outcome": outcome, "mode": mode, "response": "x", "committed_by": by, **fields}
    )


@pytest.fixture
def bench(either_redis: tuple[redis.Redis, Settings]) -> Bench:
    return Bench(*either_redis)


def test_a_run_is_counted_once_by_whoever_ends_it(bench: Bench) -> None:
    """A commit counts its run, with what became of its sources; one that is repeated or refused counts nothing."""
    bench.dispatch(bench.open("run-aaaaaaaa"), "metrics")
    bench.answer("run-aaaaaaaa", "metrics")
    bench.store.lease("run-aaaaaaaa", "t", by="test")
    report = a_report(
        "run-aaaaaaaa",
        "synthesis:worker-1@host",
        total_latency_ms=1700.0,
        parallel_results=(an_envelope("metrics"), an_envelope("tws_status", SourceOutcome.TIMEOUT)),
    )
    for token, status in (("other", "closed"), ("t", "ok")):
        assert bench.store.commit(report, token="t", seen_received=1) == "ok"
        assert bench.store.commit(report, token=token, seen_received=1) == status
    counts = bench.read()
    assert counts.pop(("run_seconds_ms",)) == 1700
    assert counts == {
        ("runs_accepted",): 1,
        ("runs_ended", "complete", "worker"): 1,
        ("run_seconds", "2.0"): 1,
        ("run_sources", "metrics", "ok"): 1,
        ("run_sources", "tws_status", "timeout"): 1,
    }
    assert bench.client.ttl(bench.store.keys.counters) > 2_500_000


def test_a_run_that_many_finishers_race_for_is_counted_once(bench: Bench) -> None:
    """Twenty finishers at the deadline, of processes that do not know of each other, are one run."""
    run_id = bench.open("run-aaaaaaaa")
    bench.expire(run_id)

    def finish(number: int) -> str:
        return bench.store.commit(a_report(run_id, "watcher:h"), token=f"t{number}", seen_received=None)

    with ThreadPoolExecutor(20) as pool:
        assert list(pool.map(finish, range(20))).count("ok") == 1
    counts = bench.read()
    assert counts["runs_ended", "complete", "watcher"] == counts["deadline_hits", "total"] == 1


def test_deadlines_and_what_comes_after_them_are_counted(bench: Bench) -> None:
    """A run that is answered at its deadline, without all sources; the answer that came too late; a cancelled run."""
    run_id = bench.open("run-aaaaaaaa")
    bench.dispatch(run_id, "metrics", "log_cache")
    bench.answer(run_id, "log_cache")
    bench.store.begin_source(run_id, "metrics", "metrics", source="metrics", job=None, worker="w")
    bench.expire(run_id)
    assert bench.store.commit(a_report(run_id, "watcher:h:1"), token="t", seen_received=1) == "ok"
    for _ in range(2):
        assert bench.store.put_envelope(run_id, "metrics", an_envelope("metrics")) == "late"
    bench.store.cancel(bench.open("run-bbbbbbbb"), by="web")
    bench.store.cancel("run-bbbbbbbb", by="web")
    counts = bench.read()
    assert counts["deadline_hits", "fan_in"] == counts["deadline_hits", "total"] == 1
    assert counts["late_answers", "metrics"] == 1
    assert counts["runs_ended", "complete", "watcher"] == counts["runs_ended", "cancelled", "caller"] == 1


def test_refused_submits_are_counted(bench: Bench) -> None:
    """A submit that is refused as overloaded is counted by its reason, and not as a run."""
    bench.store._max_open_runs = 1
    bench.open("run-aaaaaaaa")
    with pytest.raises(Overloaded):
        bench.open("run-bbbbbbbb")
    assert bench.read() == {("runs_accepted",): 1, ("submits_refused", "open_runs", ""): 1}


def test_what_a_model_did_is_counted(bench: Bench) -> None:
    """Calls by their outcome, tokens, time, and what became of the answer."""
    run_id = bench.open("run-aaaaaaaa")
    bench.expire(run_id)
    attempts = [{"reason": "bad_json", "latency_ms": 800.0}, {"reason": "ok", "latency_ms": 300.0}]
    llm = {"attempts": attempts, "prompt_tokens": 1500, "completion_tokens": 210}
    bench.store.commit(a_report(run_id, "client", metadata={"llm": llm}), token="t", seen_received=None)
    counts = {labels: count for labels, count in bench.read().items() if labels[0].startswith("llm")}
    assert counts == {
        ("llm_answers", "used", ""): 1,
        ("llm_calls", "bad_json"): 1,
        ("llm_calls", "ok"): 1,
        ("llm_call_seconds", "0.5"): 1,
        ("llm_call_seconds", "1.0"): 1,
        ("llm_call_seconds_ms",): 1100,
        ("llm_tokens", "prompt"): 1500,
        ("llm_tokens", "completion"): 210,
    }


def test_counters_do_not_go_back_while_they_are_the_same(bench: Bench) -> None:
    """A Redis that lost its last second changes nothing; counters that began anew do, as Prometheus expects."""
    bench.open("run-aaaaaaaa")
    bench.open("run-bbbbbbbb")
    assert bench.read() == {("runs_accepted",): 2}
    bench.client.hset(bench.store.keys.counters, "runs_accepted", 1)
    assert bench.read() == {("runs_accepted",): 2}
    bench.client.hset(bench.store.keys.counters, mapping={"runs_accepted": 1, "since": 5})
    assert bench.read() == {("runs_accepted",): 1}


def test_damaged_counters_harm_nothing(bench: Bench) -> None:
    """A key of another type or a damaged count hinders no run, and strange fields are not published."""
    key = bench.store.keys.counters
    bench.client.set(key, "x")
    bench.store.cancel(bench.open("run-aaaaaaaa"), by="web")
    assert key in bench.store.set_foreign_aside()
    bench.client.hset(key, mapping={"runs_accepted": "many", "evil\n{x=}": 1, "a|b|c|d|e": 2})
    bench.open("run-bbbbbbbb")
    assert bench.read() == {("runs_accepted",): 0}
