"""The run store's contract, over fakeredis and over a real redis-server."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from itertools import pairwise

import pytest
import redis
from clock_support import step_clock

from orchestrator.aggregate import aggregate
from orchestrator.config import ParallelConfig, Settings
from orchestrator.errors import Conflict, InvalidRequest, Overloaded, RunNotFound, RunRefused, UnknownInstance
from orchestrator.i18n.languages import Language
from orchestrator.models import (
    AnswerMode,
    Clue,
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
    TroubleshootRequest,
)
from orchestrator.store.events import EventReader, check_event_id
from orchestrator.store.presence import Presence
from orchestrator.store.records import RunRecord, Wakeup, snapshot
from orchestrator.store.run_copy import RunCopy
from orchestrator.store.run_list import RunList
from orchestrator.store.runs import MAX_EVENTS, OVERLOAD_FLOOR, REARM_MS, RunStore, new_token

RUN = "run-00000001"
HOUR = 3_600.0
SOURCES = ("tws_status", "rag_search", "log_cache", "metrics")


@dataclass
class Bench:
    """A store under test, with the raw client beside it."""

    client: redis.Redis
    store: RunStore
    events: EventReader
    runs: RunList
    presence: Presence

    def plant(self, **fields: int | str) -> None:
        """Set raw fields of the run, to move its times instead of waiting."""
        self.client.hset(self.store.keys.run(RUN), mapping=fields)

    def now_ms(self) -> int:
        seconds, micros = self.client.time()
        return seconds * 1000 + micros // 1000

    def open(self, **fields: object) -> TroubleshootRequest:
        request = TroubleshootRequest.model_validate({"message": "Job BATCH001 falhou com ABEND S0C7", **fields})
        self.store.open(RUN, request, nonce=new_token())
        return request

    def dispatch(self, jobs: tuple[str | None, ...] = (None,)) -> Plan:
        plan = a_plan(jobs)
        lease = self.store.claim_dispatch(RUN, "d1")
        assert lease is not None
        self.store.put_plan(RUN, "d1", plan)
        assert self.store.mark_dispatched(RUN, "d1")
        return plan

    def answer(self, source: str, outcome: SourceOutcome = SourceOutcome.OK) -> str:
        self.store.begin_source(RUN, source, f"claim-{source}", source=source, job=None, worker="w")
        return self.store.put_envelope(RUN, f"claim-{source}", an_envelope(source, outcome))

    def leased(self, token: str = "f1") -> RunRecord:
        record = self.store.lease(RUN, token, by="test")
        assert isinstance(record, RunRecord)
        return record

    def all_events(self, after: str = "0") -> list[Event]:
        return self.events.read(RUN, after, block_ms=0, count=5_000).events

    def terminal_events(self) -> list[Event]:
        return [event for event in self.all_events() if event.type.is_terminal]


def a_plan(jobs: tuple[str | None, ...] = (None,)) -> Plan:
    return Plan(
        pipeline="troubleshoot",
        routing=Routing(intent=Intent.TROUBLESHOOT, confidence=1, language=Language.PT_BR),
        sources=tuple(PlannedSource(source=s, job=job, limit_seconds=5) for job in jobs for s in SOURCES),
        reason="test",
    )


def an_envelope(source: str, outcome: SourceOutcome = SourceOutcome.OK, job: str | None = None) -> SourceEnvelope:
    return SourceEnvelope(
        source=source, job=job, outcome=outcome, success=outcome.is_success, data={"empty": []}, latency_ms=12.5
    )


def a_report(outcome: RunOutcome = RunOutcome.COMPLETE, by: str = "test") -> Report:
    return Report(run_id=RUN, outcome=outcome, mode=AnswerMode.DETERMINISTIC, response="resposta", committed_by=by)


@pytest.fixture
def bench(either_redis: tuple[redis.Redis, Settings]) -> Bench:
    client, settings = either_redis
    store = RunStore(client, settings)
    return Bench(
        client, store, EventReader(client, store.keys), RunList(client, store.keys), Presence(client, store.keys)
    )


def test_open_writes_run_event_and_wakeups_at_once(bench: Bench) -> None:
    """An accepted run has its request, one event, three wake-ups and a time to live on every key of its own."""
    bench.open(job_name="BATCH001")
    record = bench.store.read(RUN)
    assert record.state is RunState.ACCEPTED
    assert record.request.job_name == "BATCH001"
    assert record.deadline_ms - record.created_ms == 10_000
    assert record.fan_in_ms - record.created_ms == 6_000
    assert [event.type for event in bench.all_events()] == [EventType.ACCEPTED]
    assert bench.client.zcard(bench.store.keys.wakeups) == 3
    for key in (bench.store.keys.run(RUN), bench.store.keys.events(RUN)):
        assert 86_300 < bench.client.ttl(key) <= 86_400


def test_an_idempotency_key_opens_one_run(bench: Bench) -> None:
    """Two submits with one idempotency key give the same run, and the second writes nothing."""
    request = TroubleshootRequest(message="x")
    first = bench.store.open("run-aaaaaaaa", request, nonce="1", idempotency_key="k")
    second = bench.store.open("run-bbbbbbbb", request, nonce="2", idempotency_key="k")
    assert first.is_new
    assert (second.run_id, second.is_new) == ("run-aaaaaaaa", False)
    with pytest.raises(RunNotFound):
        bench.store.read("run-bbbbbbbb")


def test_a_key_or_an_id_stands_for_one_question(bench: Bench) -> None:
    """Another question is a conflict and writes nothing, also where an older version wrote the first."""
    request, other = TroubleshootRequest(message="x"), TroubleshootRequest(message="y")
    bench.store.open(RUN, request, nonce="1", idempotency_key="k")
    for field, given in (("idempotency_key", ("run-bbbbbbbb", "k")), ("run_id", (RUN, None)), ("run_id", (RUN, "k2"))):
        with pytest.raises(Conflict, match=field):
            bench.store.open(given[0], other, nonce="2", idempotency_key=given[1])
    assert bench.store.open("run-bbbbbbbb", other, nonce="2", idempotency_key="k2").is_new
    bench.plant(request='{"message": "x"}')
    assert not bench.store.open("run-cccccccc", request, nonce="3", idempotency_key="k").is_new
    assert len(bench.all_events()) == 1


def test_a_list_has_no_more_of_a_run_than_fits_into_it(bench: Bench) -> None:
    """Names of a whole question as they are; of long paths the first, though the run asks about all."""
    plain = tuple(f"BATCH{number:035}" for number in range(200))
    bench.open(jobs=plain)
    assert bench.runs.summary(RUN).jobs == plain
    paths = tuple(f"{'F' * 39}/" * 20 + f"WS#S.J{number}" for number in range(200))
    bench.store.open("run-aaaaaaaa", TroubleshootRequest(message="x", jobs=paths), nonce="1")
    assert bench.runs.summary("run-aaaaaaaa").jobs == paths[:9]
    assert bench.store.read("run-aaaaaaaa").request.jobs == paths


def test_a_key_that_comes_later_stands_for_the_run_as_well(bench: Bench) -> None:
    """A run that is submitted again by its id and a key is that of the key; the key of a run that is gone is free."""
    request = TroubleshootRequest(message="x")
    bench.store.open(RUN, request, nonce="1")
    assert not bench.store.open(RUN, request, nonce="2", idempotency_key="k").is_new
    assert bench.store.open("run-bbbbbbbb", request, nonce="3", idempotency_key="k").run_id == RUN
    bench.client.delete(bench.store.keys.run(RUN))
    assert bench.store.open("run-bbbbbbbb", request, nonce="3", idempotency_key="k").is_new


def test_requests_of_a_caller_are_counted_over_a_minute(bench: Bench) -> None:
    """So many at once, then one at a time; each caller for itself; damage and a clock that stepped back stop nobody."""
    count, key = bench.store.count_request, bench.store.keys.caller("user", "ana")
    assert [count("user", "ana", per_minute=3) for _ in range(3)] == [0, 0, 0]
    assert 19 <= count("user", "ana", per_minute=3) <= 20
    assert count("address", "ana", per_minute=3) == count("user", "bia", per_minute=3) == 0
    assert 0 < bench.client.pttl(key) <= 60_000
    bench.client.set(key, str(bench.now_ms() + 3_600_000))
    assert count("user", "ana", per_minute=3) == 0
    bench.client.delete(key)
    bench.client.lpush(key, "damage")
    assert count("user", "ana", per_minute=3) == 0
    bench.client.set(key, "damage")
    assert count("user", "ana", per_minute=3) == 0


def test_a_submit_sent_again_after_a_lost_reply_is_the_same_submit(bench: Bench) -> None:
    """The same run id is new for the nonce that opened it and known for any other."""
    request = TroubleshootRequest(message="x")
    assert bench.store.open(RUN, request, nonce="n", idempotency_key="k").is_new
    assert bench.store.open(RUN, request, nonce="n", idempotency_key="k").is_new
    assert not bench.store.open(RUN, request, nonce="other").is_new
    assert len(bench.all_events()) == 1


def test_runs_that_only_expire_are_overload(bench: Bench) -> None:
    """When runs only time out, a submit to a backlog is refused and writes nothing; one answer lets it in."""
    now = bench.now_ms()
    bench.client.zadd(bench.store.keys.open, {f"o{i}": now for i in range(OVERLOAD_FLOOR)})
    bench.client.zadd(bench.store.keys.expired, {f"e{i}": now - 100 for i in range(8)})
    with pytest.raises(Overloaded, match="none was answered"):
        bench.open()
    with pytest.raises(RunNotFound):
        bench.store.read(RUN)
    bench.client.zadd(bench.store.keys.completed, {"a": now - 4_000})
    bench.open()
    assert bench.store.read(RUN).state is RunState.ACCEPTED


@pytest.mark.parametrize(("ahead", "asks_for"), [(5, "busy"), (60, "finish")])
def test_a_model_that_will_not_be_reached_is_not_waited_for(bench: Bench, ahead: int, asks_for: str) -> None:
    """With 60 runs to come first at 5 in a second, the watcher answers at once; with five it leaves the run to them."""
    ready(bench)
    now, keys = bench.now_ms(), bench.store.keys
    waiting, messages = keys.queue("synthesis")
    bench.client.zadd(waiting, {f"o{i}|{now - 900}|": now + 3_000 for i in range(ahead)})
    bench.client.rpush(messages, *map(str, range(ahead + 1)))
    bench.client.hset(keys.rates, "synthesis", f"0.0 10.0 {now - 2_000} {now - 100}")
    bench.client.set(keys.synthesis, 1, px=5_000)
    wakeup = Wakeup(f"{RUN}|fanin")
    assert bench.store.check_synthesis([wakeup], model_ms=1_000) == ["publish"]
    assert bench.store.check_synthesis([wakeup], model_ms=1_000) == [asks_for]


def test_a_sign_of_life_without_an_end_is_none(bench: Bench) -> None:
    """A key that does not expire was written by nobody who serves the synthesis queue: no run waits for that one."""
    ready(bench)
    bench.client.rpush(bench.store.keys.synthesis, "x")
    wakeup = Wakeup(f"{RUN}|fanin")
    assert bench.store.check_synthesis([wakeup], model_ms=1_000) == ["publish"]
    assert bench.store.check_synthesis([wakeup], model_ms=1_000) == ["finish"]


def test_a_run_id_stands_for_one_question(bench: Bench) -> None:
    """A run id sent again with another question is refused; the first question's run stays as it is."""
    bench.open(job_name="BATCH001")
    with pytest.raises(InvalidRequest, match="run_id"):
        bench.store.open(RUN, TroubleshootRequest(message="outra pergunta"), nonce="other")
    assert bench.store.read(RUN).request.job_name == "BATCH001"
    assert len(bench.all_events()) == 1


def test_abandoned_runs_are_no_load(bench: Bench) -> None:
    """Runs that nobody ever finished count as open for a minute after their deadline and no longer."""
    small = RunStore(bench.client, Settings.from_env({"RESYNC_MAX_OPEN_RUNS": "2"}))
    now = bench.now_ms()
    bench.client.zadd(bench.store.keys.open, {"old-1": now - 61_000, "old-2": now - 90_000})
    bench.client.zadd(bench.store.keys.wakeups, {"old-1|total": now - 86_500_000})
    small.open(RUN, TroubleshootRequest(message="x"), nonce="n")
    assert bench.client.zrange(bench.store.keys.open, 0, -1) == [RUN]
    assert bench.client.zscore(bench.store.keys.wakeups, "old-1|total") is None


def test_the_cap_on_open_runs_holds(bench: Bench) -> None:
    """RESYNC_MAX_OPEN_RUNS refuses the run beyond it."""
    small = RunStore(bench.client, Settings.from_env({"RESYNC_MAX_OPEN_RUNS": "1"}))
    bench.open()
    with pytest.raises(Overloaded, match="1 run is open"):
        small.open("run-cccccccc", TroubleshootRequest(message="x"), nonce="n")


def test_an_unknown_instance_is_refused_once_workers_announced_theirs(bench: Bench) -> None:
    """A submit for an instance no worker knows names the known ones; without announcements it is accepted."""
    bench.open(tws_instance_id="PROD")
    bench.presence.announce(instances=["PROD", "HML"])
    request = TroubleshootRequest(message="x", tws_instance_id="PRD")
    with pytest.raises(UnknownInstance, match=r"known: HML, PROD"):
        bench.store.open("run-dddddddd", request, nonce="n")


def test_one_dispatcher_at_a_time(bench: Bench) -> None:
    """A dispatch lease keeps others out until it expires; then the next one gets the first one's plan."""
    bench.open()
    first = bench.store.claim_dispatch(RUN, "d1")
    assert first is not None
    assert bench.store.claim_dispatch(RUN, "d2") is None
    bench.store.put_plan(RUN, "d1", a_plan())
    bench.plant(dispatch_until=bench.now_ms() - 1)
    second = bench.store.claim_dispatch(RUN, "d2")
    assert second is not None
    assert second.plan == a_plan()
    with pytest.raises(RunRefused):
        bench.store.put_plan(RUN, "d1", a_plan())
    assert bench.store.put_plan(RUN, "d2", a_plan(("OTHER",))) == a_plan()
    assert not bench.store.mark_dispatched(RUN, "d1")
    assert bench.store.mark_dispatched(RUN, "d2")
    assert bench.store.claim_dispatch(RUN, "d3") is None
    assert [event.type for event in bench.all_events()] == [EventType.ACCEPTED, EventType.ROUTED]


def test_a_source_starts_once(bench: Bench) -> None:
    """The first claimant of a source starts; a duplicate delivery is refused; the same claim may ask again."""
    began = time.monotonic()
    bench.open()
    bench.dispatch()
    start = bench.store.begin_source(RUN, "metrics", "c1", source="metrics", job=None, worker="w1")
    assert not isinstance(start, str)
    assert 5.95 - (time.monotonic() - began) < start.remaining_seconds <= 6.0
    again = bench.store.begin_source(RUN, "metrics", "c1", source="metrics", job=None, worker="w1")
    assert not isinstance(again, str)
    assert bench.store.begin_source(RUN, "metrics", "c2", source="metrics", job=None, worker="w2") == "duplicate"
    assert bench.store.put_envelope(RUN, "c2", an_envelope("metrics")) == "duplicate"
    assert [event.type for event in bench.all_events()].count(EventType.SOURCE_STARTED) == 1


def _of(*names: str) -> list[PlannedSource]:
    return [PlannedSource(source=name, limit_seconds=1) for name in names]


def test_a_clue_is_there_until_the_answers_are_frozen(bench: Bench) -> None:
    """Who has claimed the source may give one, and another after it; it is no part of the record of the run."""
    bench.open()
    bench.dispatch()
    clue, later = (Clue(source="tws_status", codes=(code,)) for code in ("S0C7", "ORA-12541"))
    bench.store.begin_source(RUN, "tws_status", "c1", source="tws_status", job=None, worker="w1")
    assert bench.store.read_clues(RUN, _of("tws_status")).pending == {"tws_status"}
    assert bench.store.put_clue(RUN, "tws_status", "c2", clue) == "duplicate"
    assert bench.store.put_clue(RUN, "tws_status", "c1", clue) == "ok"
    assert bench.store.put_clue(RUN, "tws_status", "c1", later) == "ok"
    clues = bench.store.read_clues(RUN, _of("tws_status", "metrics"))
    assert clues.given == (later,)
    assert clues.pending == {"metrics"}
    assert clues.started == {"tws_status"}
    bench.plant(**{"c:metrics": "damaged"})
    assert bench.store.read_clues(RUN, _of("metrics")).given == ()
    bench.plant(frozen=1)
    assert bench.store.put_clue(RUN, "tws_status", "c1", clue) == "late"
    assert bench.store.read_clues(RUN, _of("log_cache")).pending == frozenset()
    assert not bench.store.read(RUN).damage


def test_the_first_envelope_of_a_key_wins(bench: Bench) -> None:
    """A second envelope of the same source changes nothing, and JSON lists stay lists."""
    bench.open()
    bench.dispatch()
    assert bench.answer("metrics") == "stored"
    assert bench.store.put_envelope(RUN, "claim-metrics", an_envelope("metrics", SourceOutcome.ERROR)) == "duplicate"
    record = bench.store.read(RUN)
    assert record.envelopes["metrics"].outcome is SourceOutcome.OK
    assert record.envelopes["metrics"].data == {"empty": []}
    finished = [event for event in bench.all_events() if event.type is EventType.SOURCE_FINISHED]
    assert [(event.data["received"], event.data["expected"]) for event in finished] == [(1, 4)]


def test_the_last_envelope_brings_the_fan_in_forward(bench: Bench) -> None:
    """With all sources in, the fan-in wake-up is due half a second later, not at the fan-in deadline."""
    bench.open()
    bench.dispatch()
    for source in SOURCES:
        bench.answer(source)
    due = bench.client.zscore(bench.store.keys.wakeups, f"{RUN}|fanin")
    assert due is not None
    assert due - bench.now_ms() <= 500


def test_a_lease_before_the_fan_in_needs_all_sources(bench: Bench) -> None:
    """A chord body that comes early is turned away until every planned source is in or the fan-in has passed."""
    bench.open()
    assert bench.store.lease(RUN, "f1", by="body") == "incomplete"
    bench.dispatch()
    bench.answer("metrics")
    assert bench.store.lease(RUN, "f1", by="body") == "incomplete"
    bench.plant(fanin_ms=bench.now_ms() - 1)
    assert isinstance(bench.store.lease(RUN, "f1", by="body"), RunRecord)


def test_a_copy_is_read_step_by_step(bench: Bench) -> None:
    """A client reads each part of a run once; what it has is what the store had, envelopes and claims included."""
    bench.open()
    copy = RunCopy(RUN)
    assert copy.record() is None
    assert not bench.events.read_copy(copy)
    bench.dispatch()
    bench.answer("metrics")
    assert not bench.events.read_copy(copy)
    bench.answer("log_cache", SourceOutcome.NO_DATA)
    bench.store.begin_source(RUN, "tws_status", "c", source="tws_status", job=None, worker="w")
    assert not bench.events.read_copy(copy)
    assert {"request", "plan", "e:metrics", "e:log_cache"} <= set(copy.known)
    record, stored = copy.record(), bench.store.read(RUN)
    assert record is not None
    assert replace(record, now_ms=0) == replace(stored, now_ms=0)
    bench.store.cancel(RUN, by="ana")
    assert bench.events.read_copy(copy)
    bench.client.delete(bench.store.keys.run(RUN))
    with pytest.raises(RunNotFound):
        bench.events.read_copy(copy)
    assert copy.record() is not None


def test_a_copy_of_large_answers_comes_in_parts(bench: Bench) -> None:
    """One read is bounded in size, whatever the sources have found; the next one brings the rest."""
    bench.open()
    keys = [f"metrics|JOB{number}" for number in range(20)]
    bench.plant(**{f"e:{key}": "x" * 256_000 for key in keys})
    copy, sizes = RunCopy(RUN), [0]
    while len(copy.known) < 22:
        bench.events.read_copy(copy)
        sizes.append(len(copy.known))
        assert sizes[-1] > sizes[-2]
    assert max(after - before for before, after in pairwise(sizes)) <= 12


def test_a_lease_freezes_the_partials(bench: Bench) -> None:
    """After the lease an answer is late: stored, shown as late, and never in the frozen set."""
    bench.open()
    bench.dispatch()
    bench.answer("metrics")
    bench.store.begin_source(RUN, "log_cache", "claim-log_cache", source="log_cache", job=None, worker="w")
    bench.plant(fanin_ms=bench.now_ms() - 1)
    record = bench.leased()
    assert set(record.envelopes) == {"metrics"}
    assert bench.answer("log_cache") == "late"
    assert bench.store.begin_source(RUN, "rag_search", "c", source="rag_search", job=None, worker="w") == "frozen"
    after = bench.store.read(RUN)
    assert set(after.envelopes) == {"metrics"}
    assert snapshot(after).sources["log_cache"]["state"] == "late"
    assert snapshot(after).sources["rag_search"]["state"] == "planned"


def ready(bench: Bench) -> None:
    bench.open()
    bench.dispatch()
    for source in SOURCES:
        bench.answer(source)


def test_a_lost_lease_can_write_nothing_more(bench: Bench) -> None:
    """A holder whose lease was taken over can renew, emit and commit nothing."""
    ready(bench)
    bench.leased("old")
    assert bench.store.lease(RUN, "new", by="other") == "held"
    bench.plant(lease_until=bench.now_ms() - 1)
    record = bench.leased("new")
    assert record.attempt == 2
    before = bench.all_events()
    assert not bench.store.renew(RUN, "old")
    assert not bench.store.emit(RUN, "old", (EventType.TOKEN, {"text": "x"}))
    assert bench.store.commit(a_report(), token="old", seen_received=4) == "refused"
    assert bench.all_events() == before
    assert bench.store.emit(RUN, "new", (EventType.DRAFT, {"text": "y"}))
    assert bench.store.commit(a_report(), token="new", seen_received=4) == "ok"
    assert [event.attempt for event in bench.all_events()][-3:] == [2, 2, 2]


def test_a_report_is_kept_without_what_its_run_holds(bench: Bench) -> None:
    """Both ways of reading give the whole report back; the run has a source's answer once, and its report small."""
    ready(bench)
    record = bench.leased()
    results = tuple(record.envelopes.values())
    fields = {"parallel_results": results, "aggregated_data": aggregate(results)}
    report = a_report().model_copy(update=fields)
    assert bench.store.commit(report, token="f1", seen_received=4, stored=record.envelopes) == "ok"
    assert bench.store.report(RUN) == report
    assert bench.store.read(RUN).report == report
    fields = bench.client.hgetall(bench.store.keys.run(RUN))
    assert "schema_version" in fields["e:metrics"]
    assert fields["report"].count("schema_version") == 1  # its own


def test_a_commit_closes_the_run_for_good(bench: Bench) -> None:
    """After a commit there is one terminal event, no wake-up, no open run, and every further step is refused."""
    ready(bench)
    bench.leased()
    assert bench.store.commit(a_report(), token="f1", seen_received=4) == "ok"
    assert bench.store.commit(a_report(), token="f1", seen_received=4) == "ok"  # a lost reply, sent again
    assert bench.store.commit(a_report(), token="f2", seen_received=4) == "closed"
    assert not bench.store.cancel(RUN, by="test")
    assert not bench.store.emit(RUN, "f1", (EventType.TOKEN, {"text": "x"}))
    assert bench.store.lease(RUN, "f3", by="x") == "closed"
    record = bench.store.read(RUN)
    assert (record.state, record.outcome) == (RunState.DONE, RunOutcome.COMPLETE)
    assert record.report is not None
    assert record.report.response == "resposta"
    assert len(bench.terminal_events()) == 1
    assert bench.client.zcard(bench.store.keys.wakeups) == 0
    assert bench.client.zcard(bench.store.keys.open) == 0


def test_a_deadline_finisher_revokes_the_lease(bench: Bench) -> None:
    """Without the lease a commit is refused before the deadline and accepted at it, lease or no lease."""
    ready(bench)
    bench.leased()
    assert bench.store.commit(a_report(by="watcher"), token="w", seen_received=4) == "refused"
    bench.plant(deadline_ms=bench.now_ms() + 100)
    assert bench.store.commit(a_report(by="watcher"), token="w", seen_received=4) == "ok"
    assert bench.store.commit(a_report(), token="f1", seen_received=4) == "closed"
    assert bench.store.read(RUN).report == a_report(by="watcher")


def test_a_deadline_finisher_loses_no_answer(bench: Bench) -> None:
    """A commit from a reading older than the newest envelope is stale and has to read again."""
    bench.open()
    bench.dispatch()
    bench.plant(deadline_ms=bench.now_ms())
    seen = bench.store.read(RUN).received
    bench.answer("metrics")
    assert bench.store.commit(a_report(), token="w", seen_received=seen) == "stale"
    assert bench.store.commit(a_report(), token="w", seen_received=seen + 1) == "ok"


def test_a_deadline_finisher_loses_no_answer_that_another_has_frozen(bench: Bench) -> None:
    """A reading older than the newest envelope stays stale although a lease has frozen the answers since."""
    bench.open()
    bench.dispatch()
    bench.plant(deadline_ms=bench.now_ms(), fanin_ms=bench.now_ms())
    seen = bench.store.read(RUN).received
    bench.answer("metrics")
    bench.leased("holder")
    assert bench.store.commit(a_report(), token="w", seen_received=seen) == "stale"
    assert bench.store.commit(a_report(), token="w", seen_received=seen + 1) == "ok"


def test_twenty_concurrent_finishers_give_one_terminal_event(bench: Bench) -> None:
    """However many finishers race, one commits and the stream has one terminal event."""
    ready(bench)
    bench.plant(deadline_ms=bench.now_ms())
    barrier = threading.Barrier(20)

    def finish(number: int) -> str:
        barrier.wait(10)
        token = f"t{number}"
        if number % 2:
            bench.store.lease(RUN, token, by=token)
        return bench.store.commit(a_report(by=token), token=token, seen_received=4)

    with ThreadPoolExecutor(20) as pool:
        answers = list(pool.map(finish, range(20)))
    assert answers.count("ok") == 1
    assert len(bench.terminal_events()) == 1
    report = bench.store.read(RUN).report
    assert report is not None
    assert report.committed_by == f"t{answers.index('ok')}"


def test_a_reader_resumed_from_any_event_sees_the_same_rest(bench: Bench) -> None:
    """Reading after each event id in turn gives exactly the events behind it."""
    ready(bench)
    bench.leased()
    for number in range(5):
        bench.store.emit(RUN, "f1", (EventType.TOKEN, {"text": f"parte {number}"}))
    bench.store.commit(a_report(), token="f1", seen_received=4)
    events = bench.all_events()
    assert len(events) == 17
    for position, event in enumerate(events):
        assert bench.all_events(after=event.id) == events[position + 1 :]


def test_a_reader_can_read_in_small_pages(bench: Bench) -> None:
    """Pages of two events put together are the whole stream."""
    ready(bench)
    events, after = [], "0"
    while page := bench.events.read(RUN, after, block_ms=0, count=2).events:
        events += page
        after = page[-1].id
    assert events == bench.all_events()


def test_cancel_is_terminal_and_reaches_the_sources(bench: Bench) -> None:
    """A cancelled run has one terminal event, refuses starts and commits, and keeps late answers as late."""
    bench.open()
    bench.dispatch()
    bench.store.begin_source(RUN, "metrics", "claim-metrics", source="metrics", job=None, worker="w")
    assert bench.store.cancel(RUN, by="ana")
    assert not bench.store.cancel(RUN, by="ana")
    assert bench.store.begin_source(RUN, "log_cache", "c", source="log_cache", job=None, worker="w") == "cancelled"
    assert bench.answer("metrics") == "late"
    bench.plant(deadline_ms=bench.now_ms() - 1)
    assert bench.store.commit(a_report(), token="w", seen_received=0) == "closed"
    assert [(event.type, event.data["by"]) for event in bench.terminal_events()] == [(EventType.CANCELLED, "ana")]
    assert bench.client.zcard(bench.store.keys.wakeups) == 0
    assert bench.client.zcard(bench.store.keys.open) == 0


def test_the_end_is_announced_once_and_lives_as_long_as_its_run(bench: Bench) -> None:
    """Who waits for the end is woken by the terminal event alone, and its key expires with the run."""
    ready(bench)
    assert not bench.events.wait_end(RUN, block_ms=1)
    bench.leased()
    bench.store.commit(
        a_report(),
        token="f1",
        seen_received=4,
        events=[(EventType.AGGREGATED, {"n": 1}), (EventType.DRAFT, {"text": "rascunho"})],
    )
    assert bench.events.wait_end(RUN, block_ms=1)
    assert bench.client.xlen(bench.store.keys.ending(RUN)) == 1
    assert 86_300 < bench.client.ttl(bench.store.keys.ending(RUN)) <= 86_400
    kinds = [event.type for event in bench.all_events()][-3:]
    assert kinds == [EventType.AGGREGATED, EventType.DRAFT, EventType.FINAL]


def test_a_refused_commit_writes_none_of_its_events(bench: Bench) -> None:
    """The events of a commit are written with it or not at all."""
    ready(bench)
    bench.leased("holder")
    before = bench.all_events()
    assert bench.store.commit(a_report(), token="x", seen_received=4, events=[(EventType.DRAFT, {"a": 1})]) == "refused"
    assert bench.all_events() == before


def test_a_stream_is_cut_at_its_limit_and_says_so(bench: Bench) -> None:
    """Past the limit tokens are dropped and counted; the terminal event still gets in and carries the count."""
    ready(bench)
    bench.plant(event_limit=14)
    bench.leased()
    for number in range(10):
        assert bench.store.emit(RUN, "f1", (EventType.TOKEN, {"text": str(number)}))
    bench.store.commit(a_report(), token="f1", seen_received=4)
    events = bench.all_events()
    assert len(events) == 14
    assert events[-1].type is EventType.FINAL
    assert events[-1].data["dropped_events"] == 8
    assert MAX_EVENTS == 2_000


def test_a_deadline_to_come_is_claimed_only_of_a_run_that_nobody_has(bench: Bench) -> None:
    """Not before the fan-in, and not while a finisher has the lease."""
    bench.open()
    now = bench.now_ms()
    bench.client.zadd(bench.store.keys.wakeups, {f"{RUN}|total": now + 500})
    bench.client.zadd(bench.store.keys.open, {RUN: now + 700})
    for fan_in, leased_until, is_claimed in ((60_000, 0, False), (-1, 60_000, False), (-1, -1, True)):
        bench.plant(fanin_ms=now + fan_in, lease_until=now + leased_until)
        claimed = bench.store.claim_wakeups(ahead_ms=800).wakeups
        assert ((RUN, "total") in [(due.run_id, due.kind) for due in claimed]) is is_claimed


def test_due_wakeups_are_claimed_once_and_rearmed(bench: Bench) -> None:
    """A due wake-up goes to one watcher and comes back later unless it is disarmed."""
    bench.open()
    assert bench.store.claim_wakeups().wakeups == ()
    bench.client.zadd(bench.store.keys.wakeups, {f"{RUN}|total": bench.now_ms() - 1})
    due = bench.store.claim_wakeups().wakeups
    assert [(wakeup.run_id, wakeup.kind) for wakeup in due] == [(RUN, "total")]
    again = bench.store.claim_wakeups()
    assert again.wakeups == ()
    assert again.next_seconds is not None
    assert 0 < again.next_seconds <= REARM_MS / 1000
    bench.store.disarm(due[0])
    assert bench.client.zscore(bench.store.keys.wakeups, f"{RUN}|total") is None


def test_the_list_is_newest_first_and_leaves_out_what_expired(bench: Bench) -> None:
    """The list of runs shows state, outcome and message of each, newest first, without expired ones."""
    for number in range(3):
        bench.store.open(
            f"run-0000000{number}", TroubleshootRequest(message=f"pergunta {number}", jobs=("A", "B")), nonce="n"
        )
        bench.client.zadd(bench.store.keys.index, {f"run-0000000{number}": bench.now_ms() + number})
    bench.client.delete(bench.store.keys.run("run-00000001"))
    rows = bench.runs.page(limit=10).runs
    assert [row.message for row in rows] == ["pergunta 2", "pergunta 0"]
    assert rows[0].jobs == ("A", "B")
    assert len(bench.runs.page(limit=1).runs) == 1
    assert bench.runs.summary("run-00000002").state is RunState.ACCEPTED
    with pytest.raises(InvalidRequest, match="limit"):
        bench.runs.page(limit=0)


def raise_first(replies: list[str | Exception]) -> None:
    assert isinstance(replies[0], Exception)
    raise replies[0]


STEPS: dict[str, Callable[[Bench], object]] = {
    "read": lambda b: b.store.read("run-ffffffff"),
    "state": lambda b: b.store.state("run-ffffffff"),
    "summary": lambda b: b.runs.summary("run-ffffffff"),
    "is_closed": lambda b: b.events.is_closed("run-ffffffff"),
    "cancel": lambda b: b.store.cancel("run-ffffffff", by="x"),
    "claim_dispatch": lambda b: b.store.claim_dispatch("run-ffffffff", "t"),
    "put_plan": lambda b: b.store.put_plan("run-ffffffff", "t", a_plan()),
    "begin_source": lambda b: b.store.begin_source("run-ffffffff", "m", "c", source="m", job=None, worker="w"),
    "put_envelope": lambda b: b.store.put_envelope("run-ffffffff", "c", an_envelope("m")),
    "lease": lambda b: b.store.lease("run-ffffffff", "t", by="x"),
    "check_synthesis": lambda b: raise_first(b.store.check_synthesis([Wakeup("run-ffffffff|fanin")], model_ms=1)),
    "renew": lambda b: b.store.renew("run-ffffffff", "t"),
    "count": lambda b: b.store.count("run-ffffffff", "nudged"),
}


@pytest.mark.parametrize("step", STEPS)
def test_an_expired_run_is_not_found_by_any_step(bench: Bench, step: str) -> None:
    """Every step on a run that is not stored says RunNotFound and creates no key."""
    with pytest.raises(RunNotFound):
        STEPS[step](bench)
    assert bench.client.dbsize() == 0


def test_keys_written_late_never_outlive_their_run(bench: Bench) -> None:
    """After a whole run no key below the prefix is without a time to live, but for the shared indexes."""
    ready(bench)
    bench.leased()
    bench.store.commit(a_report(), token="f1", seen_received=4)
    keys = bench.store.keys
    for key in bench.client.keys("*"):
        if key not in (keys.wakeups, keys.open):
            assert bench.client.ttl(key) > 0, key


def test_watchers_and_instances_announce_themselves(bench: Bench) -> None:
    """A watcher's sign of life counts for ten seconds."""
    bench.presence.announce(watcher="w1")
    assert bench.presence.live_watchers() == ["w1"]
    bench.client.zadd(bench.store.keys.watchers, {"w1": bench.now_ms() - 11_000})
    assert bench.presence.live_watchers() == []


def test_the_request_is_stored_as_versioned_json(bench: Bench) -> None:
    """What is stored is JSON text that names the run's configuration in full."""
    bench.open(config=ParallelConfig(node_timeout_seconds=2, total_timeout_seconds=4))
    raw = bench.client.hget(bench.store.keys.run(RUN), "request")
    assert raw is not None
    assert json.loads(raw)["config"]["node_timeout_seconds"] == 2


@pytest.mark.parametrize("value", ["", "x", "1-", "$", "-1"])
def test_an_event_id_that_is_none_is_refused(value: str) -> None:
    """A reader cannot resume after something that is no event id."""
    with pytest.raises(InvalidRequest, match="after"):
        check_event_id(value)


@pytest.mark.parametrize("seconds", [-HOUR, -5.0, 5.0, HOUR])
def test_a_step_moves_every_time_once(bench: Bench, seconds: float) -> None:
    """Whichever watchers see it: deadlines, leases, starts, wake-ups and heartbeats keep their distance from now."""
    bench.open()
    assert bench.store.claim_dispatch(RUN, "d1") is not None
    bench.store.queue_plan(RUN, "d1", a_plan())
    bench.store.begin_source(RUN, "metrics", "c", source="metrics", job=None, worker="w")
    bench.presence.announce(instances=["PRD"], watcher="w")
    watchers = [bench.store, RunStore(bench.client, Settings.from_env({}))]
    for watcher in watchers:
        watcher.claim_wakeups()
    before = times_to_go(bench)
    assert any("waiting:rag_search" in name for name in before)
    step_clock(bench.client, bench.store.keys, seconds)
    for watcher in watchers:
        assert watcher.claim_wakeups().wakeups == ()
    after = times_to_go(bench)
    assert after == {name: pytest.approx(value, abs=2_000) for name, value in before.items()}
    assert bench.store.read(RUN).total_seconds == 10.0
    again = bench.store.begin_source(RUN, "metrics", "other", source="metrics", job=None, worker="w")
    assert again == "duplicate"


def test_only_a_step_moves_times(bench: Bench) -> None:
    """Watchers that were away, a new one, and a claim that a frozen Redis gets late see no step."""
    bench.open()
    bench.store.claim_wakeups()
    before = times_to_go(bench)
    bench.client.set(bench.store.keys.clock, bench.now_ms() - 60_000)  # nobody has claimed for a minute
    bench.store._claimed_at = time.monotonic() - 60.1
    bench.store.claim_wakeups()
    bench.client.set(bench.store.keys.clock, bench.now_ms() - 60_000)
    RunStore(bench.client, Settings.from_env({})).claim_wakeups()
    bench.client.set(bench.store.keys.clock, bench.now_ms() - 60_000)
    stale = bench.store._claim([100, 100, 1_000, 0, 200], time.monotonic(), is_confirmed=False)
    assert stale[-1] == "confirm"
    after = times_to_go(bench)
    assert after == {name: pytest.approx(value, abs=2_000) for name, value in before.items()}


def test_a_run_has_never_more_time_than_it_had(bench: Bench) -> None:
    """A reader that comes right after a step back, before any watcher: it waits for the run's whole time at most."""
    bench.open()
    step_clock(bench.client, bench.store.keys, -HOUR)
    assert bench.store.state(RUN)[1] == 10_000
    assert bench.store.read(RUN).remaining_seconds == 10.0


def times_to_go(bench: Bench) -> dict[str, float]:
    """All stored times as milliseconds from now."""
    keys, now_ms = bench.store.keys, bench.now_ms()
    fields = bench.client.hgetall(keys.run(RUN))
    times = {
        name: float(value.rpartition("|")[2]) - now_ms
        for name, value in fields.items()
        if name.endswith(("_ms", "_until")) or name.startswith("s:")
    }
    queues = sorted(bench.client.scan_iter(f"{keys.prefix}waiting:*"))
    for key in (keys.wakeups, keys.open, keys.instances, keys.watchers, *queues):
        for member, score in bench.client.zrange(key, 0, -1, withscores=True):
            times[f"{key} {member}"] = score - now_ms
    return times
