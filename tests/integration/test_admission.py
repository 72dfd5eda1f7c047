"""Which runs are accepted and which sources asked, with queues and workers simulated on the clock of the store."""

from __future__ import annotations

import heapq
import itertools
import random
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field

import pytest
import redis

from orchestrator.config import ParallelConfig, Settings
from orchestrator.errors import Overloaded, RunNotFound, RunRefused
from orchestrator.i18n.languages import Language
from orchestrator.models import (
    AnswerMode,
    Intent,
    Plan,
    PlannedSource,
    Report,
    Routing,
    RunOutcome,
    SourceEnvelope,
    SourceOutcome,
    TroubleshootRequest,
)
from orchestrator.store import lua
from orchestrator.store.connection import DECODING
from orchestrator.store.load import read_load
from orchestrator.store.records import Dispatch, RunRecord, SourceStart
from orchestrator.store.runs import RunStore, new_token

SOURCES = ("tws_status", "metrics")
CLOCK = "clock"
START_MS = 1_800_000_000_000


@dataclass
class System:
    """An orchestrator queue and two sources with workers, and the runs that were submitted to them."""

    client: redis.Redis
    store: RunStore
    places: dict[str, int]
    seconds: dict[str, Callable[[float], float]]
    """How long a task of a queue takes that begins at that time."""
    config: ParallelConfig
    sources: tuple[str, ...] = SOURCES
    pauses: dict[str, float] = field(default_factory=dict)
    """Seconds in which the consumer of a queue fetches one message, as over a slow network."""
    takes_over: bool = False
    """Whether callers ask the sources themselves when no worker dispatches their run."""
    now: float = 0.0
    refused: list[tuple[float, Overloaded]] = field(default_factory=list)
    accepted: list[tuple[float, str]] = field(default_factory=list)
    outcomes: dict[str, dict[str, str]] = field(default_factory=dict)
    """Of each run what became of its sources; ``skipped`` was not asked."""
    _events: list[tuple[float, int, Callable[[], None]]] = field(default_factory=list)
    _order: Iterator[int] = field(default_factory=itertools.count)
    _busy: Counter[str] = field(default_factory=Counter)
    _next_take: dict[str, float] = field(default_factory=lambda: defaultdict(float))

    def at(self, seconds: float, act: Callable[[], None]) -> None:
        heapq.heappush(self._events, (seconds, next(self._order), act))

    def submit_at(self, *times: float) -> None:
        for seconds in times:
            self.at(seconds, self._submit)

    def stop_workers(self, *queues: str, start: float, seconds: float) -> None:
        """No message of these queues is taken for a time."""

        places = {queue: self.places.get(queue, 16) for queue in queues}

        def resume() -> None:
            self.places.update(places)
            for queue in queues:
                self._work(queue)

        self.at(start, lambda: self.places.update(dict.fromkeys(queues, 0)))
        self.at(start + seconds, resume)

    def stop_redis(self, *, start: float, seconds: float) -> None:
        """Whatever happens meanwhile happens afterwards."""

        def stop() -> None:
            late = [event for event in self._events if event[0] < start + seconds]
            self._events = [event for event in self._events if event[0] >= start + seconds]
            self._events += [(start + seconds, order, act) for _, order, act in late]
            heapq.heapify(self._events)

        self.at(start, stop)

    def copy_messages(self, copies: int) -> None:
        """Deliver each message that waits so many times more."""
        for queue in ("orchestrator", *self.sources):
            key = self.store.keys.queue(queue)[1]
            if messages := self.client.lrange(key, 0, -1):
                self.client.rpush(key, *messages * copies)

    def run(self, until: float = 1e9) -> None:
        while self._events and self._events[0][0] <= until:
            self.now, _, act = heapq.heappop(self._events)
            self.client.set(CLOCK, START_MS + round(self.now * 1000))
            with suppress(RunNotFound):  # lost by Redis
                act()

    def outcomes_since(self, seconds: float = 0.0) -> Counter[str]:
        """What became of the sources of the runs that were accepted from then on."""
        runs = [run_id for at, run_id in self.accepted if at >= seconds]
        return Counter(outcome for run_id in runs for outcome in self.outcomes[run_id].values())

    def _submit(self) -> None:
        run_id = f"run-{len(self.accepted):08}"
        try:
            self.store.open(run_id, TroubleshootRequest(message="x", config=self.config), nonce=new_token())
        except Overloaded as error:
            self.refused.append((self.now, error))
            return
        self.accepted.append((self.now, run_id))
        self.outcomes[run_id] = {}
        self._send("orchestrator", run_id)
        if self.takes_over:
            self.at(self.now + 1.0, lambda: self._take_over(run_id))
        self.at(self.now + self.config.fan_in_seconds + 0.05, lambda: self._finish(run_id))

    def _send(self, queue: str, run_id: str) -> None:
        self.client.rpush(self.store.keys.queue(queue)[1], run_id)
        # Where a place is free, the message is taken after the time of its transport.
        self.at(self.now + 0.01, lambda: self._work(queue))

    def _work(self, queue: str) -> None:
        while self._busy[queue] < self.places.get(queue, 16) and self._next_take[queue] <= self.now:
            run_id = self.client.lpop(self.store.keys.queue(queue)[1])
            if not isinstance(run_id, str):
                return
            begun = self._dispatch(run_id) if queue == "orchestrator" else self._ask(queue, run_id)
            if begun is not None:
                self._busy[queue] += 1
                self.at(self.now + begun[0], lambda end=begun[1]: self._end(queue, end))
            if queue in self.pauses:
                self._next_take[queue] = self.now + self.pauses[queue]
                self.at(self._next_take[queue], lambda: self._work(queue))

    def _end(self, queue: str, end: Callable[[], None]) -> None:
        self._busy[queue] -= 1
        try:
            end()
        finally:
            self._work(queue)

    def _dispatch(self, run_id: str) -> tuple[float, Callable[[], None]] | None:
        dispatch = self.store.claim_dispatch(run_id, new_token())
        return dispatch and (self.seconds["orchestrator"](self.now), lambda: self._plan(run_id, dispatch))

    def _plan(self, run_id: str, dispatch: Dispatch) -> None:
        try:
            _, backlogs = self.store.queue_plan(run_id, dispatch.token, self._sources_plan())
        except RunRefused:
            return  # finished meanwhile
        self.store.mark_dispatched(run_id, dispatch.token)
        for name in self.sources:
            if name in backlogs:
                self._put(run_id, name, new_token(), SourceOutcome.NOT_STARTED, "skipped", is_asked=False)
            else:
                self._send(name, run_id)

    def _sources_plan(self) -> Plan:
        return Plan(
            pipeline="troubleshoot",
            routing=Routing(intent=Intent.TROUBLESHOOT, confidence=1, language=Language.EN),
            sources=tuple(PlannedSource(source=name, limit_seconds=5) for name in self.sources),
            reason="test",
        )

    def _take_over(self, run_id: str) -> None:
        dispatch = self.store.claim_dispatch(run_id, claim := new_token(), by_worker=False)
        if dispatch is None:
            return
        self.store.put_plan(run_id, dispatch.token, self._sources_plan())
        self.store.mark_dispatched(run_id, dispatch.token)
        for name in self.sources:
            self.store.begin_source(run_id, name, claim, source=name, job=None, worker="w", by_worker=False)
            self._put(run_id, name, claim, SourceOutcome.OK, "ok", by_worker=False)

    def _ask(self, source: str, run_id: str) -> tuple[float, Callable[[], None]] | None:
        claim = new_token()
        start = self.store.begin_source(run_id, source, claim, source=source, job=None, worker="w")
        if not isinstance(start, SourceStart):
            if start != "duplicate":
                self.outcomes[run_id].setdefault(source, "dead")
            return None
        seconds, limit = self.seconds[source](self.now), max(0.0, min(5.0, start.remaining_seconds - 0.05))
        outcome = SourceOutcome.OK if seconds < limit else SourceOutcome.TIMEOUT
        return min(seconds, limit), lambda: self._put(run_id, source, claim, outcome, outcome.value)

    def _put(
        self,
        run_id: str,
        source: str,
        claim: str,
        outcome: SourceOutcome,
        word: str,
        *,
        is_asked: bool = True,
        by_worker: bool = True,
    ) -> None:
        envelope = SourceEnvelope(source=source, outcome=outcome, success=outcome.is_success)
        self.store.put_envelope(run_id, claim, envelope, unclaimed=not is_asked, by_worker=by_worker)
        self.outcomes[run_id][source] = word
        if len(self.outcomes[run_id]) == len(self.sources):
            self.at(self.now + 0.01, lambda: self._finish(run_id))

    def _finish(self, run_id: str) -> None:
        if isinstance(self.store.lease(run_id, "f", by="test"), RunRecord):
            for source in self.sources:
                self.outcomes[run_id].setdefault(source, "dead")
            report = Report(
                run_id=run_id,
                outcome=RunOutcome.PARTIAL,
                mode=AnswerMode.DETERMINISTIC,
                response="x",
                committed_by="test",
            )
            self.store.commit(report, token="f", seen_received=None)


Make = Callable[..., System]


@pytest.fixture
def make_system(redis_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Make]:
    """Makes a system on the simulation's clock; ``metrics`` has the given places and seconds, the other is fast."""
    source_of = lua.script_source

    def on_clock(name: str) -> str:
        return source_of(name).replace(
            "local t = redis.call('TIME')", f"do return tonumber(redis.call('GET', '{CLOCK}')) end local t"
        )

    monkeypatch.setattr(lua, "script_source", on_clock)
    client: redis.Redis = redis.Redis.from_url(redis_url, **DECODING)

    def make(places: int, seconds: float | Callable[[float], float], *, only: bool = False, **more: object) -> System:
        client.flushdb()
        seconds_of = seconds if callable(seconds) else lambda _: seconds
        names = ("metrics",) if only else SOURCES
        left_out = tuple({"tws_status", "rag_search", "log_cache", "metrics"} - set(names))
        return System(
            client,
            RunStore(client, Settings.from_env({"REDIS_URL": redis_url})),
            places={"metrics": places},
            seconds={"orchestrator": lambda _: 0.02, "tws_status": lambda _: 0.05, "metrics": seconds_of},
            config=ParallelConfig(disabled_sources=left_out),
            sources=names,
        )

    yield make
    client.close()


def every(seconds: float, count: int, start: float = 0.0) -> list[float]:
    return [start + number * seconds for number in range(count)]


def test_a_slow_source_is_asked_as_often_as_it_can_answer(make_system: Make) -> None:
    """Of a burst onto a source of 4 places and 1 s, some 20 runs get its answer; few wait for it in vain."""
    system = make_system(4, 1.0)
    system.submit_at(*every(0.02, 120))
    system.run()
    told = system.outcomes_since()
    assert not system.refused
    assert told["ok"] - 120 >= 20
    assert told["dead"] + told["timeout"] <= 50


def test_runs_that_can_ask_only_a_slow_source_are_refused(make_system: Make) -> None:
    """Where no other source is left, the submit is refused and names the queue, its rate, and when there is room."""
    system = make_system(4, 1.0, only=True)
    system.submit_at(*every(0.02, 150))
    system.run(3.0)
    at, error = system.refused[-1]
    wait_seconds, per_second = system.store.backlogs(["tws_status", "metrics"])["metrics"]
    assert wait_seconds > 5
    assert 3.5 <= per_second <= 4.5
    assert (error.queue, at > 2.9) == ("metrics", True)
    assert error.retry_after_seconds is not None
    assert "which serves" in str(error)
    # Whoever comes again then is accepted, and gets an answer.
    system.submit_at(again := at + error.retry_after_seconds + 0.5)
    system.run()
    assert system.outcomes_since(again) == {"ok": 1}


@pytest.mark.parametrize("seed", range(4))
def test_a_load_that_the_workers_can_carry_is_accepted_whole(make_system: Make, seed: int) -> None:
    """Random arrivals at up to 70% of what the places can do, of any speed: nothing is refused or left out."""
    chance = random.Random(seed)
    places, seconds = chance.choice((2, 8, 16)), chance.uniform(0.2, 2.0)
    system = make_system(places, lambda _: seconds * chance.uniform(0.5, 1.5), only=seed % 2 == 0)
    rate = chance.uniform(0.3, 0.7) * places / seconds
    system.submit_at(*itertools.accumulate(chance.expovariate(rate) for _ in range(40)))
    system.run()
    assert not system.refused
    assert system.outcomes_since()["skipped"] == 0
    assert system.outcomes_since()["dead"] == 0


@pytest.mark.parametrize(("places", "seconds", "count"), [(16, 1.0, 48), (4, 1.0, 12), (64, 0.1, 60)])
def test_a_burst_that_can_be_served_in_time_is_accepted_whole(
    make_system: Make, places: int, seconds: float, count: int
) -> None:
    """All at once, on an idle system without history, and again after a quiet time."""
    system = make_system(places, seconds, only=True)
    for start in (0.0, 60.0):
        system.submit_at(*every(0.002, count, start))
    system.run()
    assert not system.refused
    assert system.outcomes_since() == {"ok": 2 * count}


def test_a_source_that_is_fast_again_is_found_out(make_system: Make) -> None:
    """While a source hangs, most runs do without it; within seconds of its recovery all ask it."""
    system = make_system(2, lambda now: 60.0 if now < 20 else 0.05, only=True)
    system.submit_at(*every(0.3, 120))
    system.run()
    hanging = [at for at, _ in system.refused if at < 20]
    assert len(hanging) >= 25
    assert not [at for at, _ in system.refused if at > 26]
    assert system.outcomes_since(26.0) == {"ok": 33}


def test_workers_that_are_added_or_stopped_are_found_out(make_system: Make) -> None:
    """Three times the places carry three times the load within seconds, and the same load is too much when they go."""
    system = make_system(1, 1.0)
    system.at(10.0, lambda: system.places.update(metrics=3))
    system.at(22.0, lambda: system.places.update(metrics=1))
    system.submit_at(*every(0.4, 90))
    system.run()
    few = system.outcomes_since() - system.outcomes_since(10.0)
    many = system.outcomes_since(16.0) - system.outcomes_since(22.0)
    assert few["skipped"] >= 6
    assert many == {"ok": 30}
    assert system.outcomes_since(28.0)["skipped"] >= 4


def test_a_queue_without_worker_is_left_to_whoever_can_ask(make_system: Make) -> None:
    """Nothing is known of a queue that nobody serves: its sources are planned, so that callers may ask them."""
    system = make_system(0, 1.0)
    system.submit_at(*every(0.05, 60))
    system.run()
    assert not system.refused
    assert system.outcomes_since() == {"ok": 60, "dead": 60}


def test_a_slow_orchestrator_refuses_what_it_cannot_dispatch(make_system: Make) -> None:
    """Dispatches of 0.5 s in 4 places: once the first have ended, all that is accepted is dispatched in good time."""
    seconds = {"orchestrator": lambda _: 0.5, "tws_status": lambda _: 0.05, "metrics": lambda _: 0.05}
    system = make_system(16, 0.05)
    system.places["orchestrator"], system.seconds = 4, seconds
    system.submit_at(*every(0.005, 100), *every(0.06, 100, 6.0))
    system.run()
    assert {error.queue for _, error in system.refused} == {"orchestrator"}
    assert system.outcomes_since(6.5) == {"ok": 2 * sum(at >= 6.5 for at, _ in system.accepted)}
    assert len(system.accepted) >= 24 + 40


ASKED_WHILE = {
    "the orchestrator's worker is away": lambda system: system.stop_workers("orchestrator", start=0.7, seconds=2.0),
    "a source's worker is away": lambda system: system.stop_workers("metrics", start=0.7, seconds=2.0),
    "every worker is away": lambda system: system.stop_workers("orchestrator", *SOURCES, start=0.7, seconds=2.0),
    "Redis is away": lambda system: system.stop_redis(start=0.7, seconds=2.0),
    "everything is lost": lambda system: system.at(0.7, system.client.flushdb),
    "messages are copied": lambda system: (
        system.stop_workers("orchestrator", *SOURCES, start=0.7, seconds=0.8),
        system.at(1.49, lambda: system.copy_messages(3)),
    ),
    "the network is slow": lambda system: system.pauses.update(orchestrator=0.24, metrics=0.16, tws_status=0.16),
}


@pytest.mark.parametrize("while_", ASKED_WHILE)
def test_an_outage_is_no_load(make_system: Make, while_: str) -> None:
    """Time without workers or Redis says nothing of what they can do: all is accepted, then and afterwards."""
    system, rate = make_system(16, 0.3), 4 if "slow" in while_ else 17
    system.config = ParallelConfig(
        total_timeout_seconds=4,
        node_timeout_seconds=1.4,
        synthesis_reserve_seconds=1.6,
        disabled_sources=system.config.disabled_sources,
    )
    system.takes_over = "every" in while_
    system.submit_at(*every(1 / rate, 5 * rate))
    ASKED_WHILE[while_](system)
    system.run()
    assert [str(error) for _, error in system.refused] == []
    assert system.outcomes_since(4.0) == {"ok": 2 * sum(at >= 4.0 for at, _ in system.accepted)}


def test_what_has_waited_for_workers_that_were_away_is_no_long_queue(make_system: Make) -> None:
    """A dispatcher with 40% of what it can do comes back after 1.5 s, and catches up in less than a run may wait."""
    system = make_system(16, 0.1, only=True)
    system.places["orchestrator"] = 1
    system.config = ParallelConfig(
        total_timeout_seconds=5,
        node_timeout_seconds=1.7,
        synthesis_reserve_seconds=2,
        disabled_sources=system.config.disabled_sources,
    )
    system.submit_at(*every(0.05, 66))
    system.stop_workers("orchestrator", start=0.3, seconds=1.5)
    system.run()
    assert [str(error) for _, error in system.refused] == []
    assert system.outcomes_since() == {"ok": 66}


def test_callers_that_ask_the_sources_themselves_are_no_workers(make_system: Make) -> None:
    """What callers take of a queue without a worker is no rate at which others would be served, nor a worker's time."""
    system = make_system(16, 0.3)
    system.places["orchestrator"], system.takes_over = 0, True
    system.submit_at(*every(0.1, 40))
    system.run(3.9)
    assert system.store.backlogs(["orchestrator"]) == {"orchestrator": (0.0, 0.0)}
    system.run()
    assert not system.refused
    assert system.outcomes_since() == {"ok": 80}
    # What came is counted, and nothing is measured of it.
    assert all("|" in name for name in system.client.hgetall(system.store.keys.rates))


@pytest.mark.parametrize("damage", ["x", "-1 -1 -1 -1", f"1 {'9' * 30} 1 1", "1.0 5.0 1 9" + "9" * 14])
def test_damaged_rates_count_as_unknown(make_system: Make, damage: str) -> None:
    """A measurement that cannot be read refuses nobody, and is replaced by the next one."""
    system = make_system(16, 0.5, only=True)
    for name in ("orchestrator", "metrics"):
        system.client.hset(system.store.keys.rates, name, damage)
    system.submit_at(*every(0.002, 30))
    system.run()
    assert not system.refused
    assert system.outcomes_since() == {"ok": 30}


def test_keys_of_another_type_refuse_nobody(make_system: Make) -> None:
    """Damage to what admission reads costs no run."""
    system = make_system(16, 0.1, only=True)
    keys = system.store.keys
    for key in (keys.rates, keys.queue("metrics")[0], keys.queue("orchestrator")[0]):
        system.client.rpush(key, "x")
    system.submit_at(*every(0.05, 20))
    system.run()
    assert system.outcomes_since() == {"ok": 20}


def test_a_run_whose_turn_comes_after_its_fan_in_takes_no_time_of_another(make_system: Make) -> None:
    """The only place for dispatching is free again after 8 s: 50 runs have lost their time, the last one has not."""
    system = make_system(4, 0.1)
    system.places["orchestrator"], system.seconds["orchestrator"] = 1, lambda now: 8.0 if now < 1 else 0.5
    system.submit_at(*every(0.01, 50), 7.9)
    system.run()
    assert system.outcomes_since(7.9) == {"ok": 2}


@pytest.mark.parametrize(("left_seconds", "is_dispatched"), [(0.5, True), (0.3, False), (-1.0, False)])
def test_a_run_is_not_dispatched_when_it_could_ask_no_source_any_more(
    make_system: Make, left_seconds: float, is_dispatched: bool
) -> None:
    """Dispatching takes 0.4 s here; a caller who asks the sources himself is not held to it."""
    system = make_system(4, 0.1)
    system.seconds["orchestrator"] = lambda _: 0.4
    system.submit_at(0.0)
    system.run()
    system.submit_at(10.0)
    system.run(10.0)
    run_id = system.accepted[-1][1]
    system.client.set(CLOCK, START_MS + round((10.0 + system.config.fan_in_seconds - left_seconds) * 1000))
    assert (system.store.claim_dispatch(run_id, "worker") is not None) is is_dispatched
    assert system.store.claim_dispatch(run_id, "worker", by_worker=False) is not None


def test_runs_are_refused_when_dispatching_gets_slower_than_it_was(make_system: Make) -> None:
    """From three seconds on it takes three times as long; few of those that were accepted before it lose their time."""
    system = make_system(64, 0.1)
    system.places["orchestrator"], system.seconds["orchestrator"] = 1, lambda now: 0.03 if now < 3 else 0.1
    system.submit_at(*every(0.01, 600))
    system.run()
    told = system.outcomes_since()
    assert len(system.refused) > 400
    assert told["dead"] <= 0.05 * told.total()


def test_the_load_of_a_queue_is_that_of_the_last_minute(make_system: Make) -> None:
    """Of ten minutes at 2 in a second and one at 4, the last; the counts take the same fields again and again."""
    system = make_system(4, 0.5, only=True)
    keys, fields = system.store.keys, set[int]()
    system.submit_at(*every(0.5, 1_200), *every(0.25, 260, 600.0))
    for until in (3.0, 60.0, 595.0, 661.0):
        system.run(until)
        (load,) = read_load(system.client, keys, ["metrics"])
        assert load.arrivals_per_second == pytest.approx(4 if until > 600 else 2, rel=0.4 if until < 5 else 0.1)
        assert load.completions_per_second == pytest.approx(load.arrivals_per_second, rel=0.4 if until < 5 else 0.1)
        assert load.task_seconds == pytest.approx(0.5)
        assert load.running in (1, 2)
        fields.add(system.client.hlen(keys.rates))
    assert max(fields) <= 3 * 15
    system.run()
    system.client.set(CLOCK, START_MS + 1_000_000)
    (load,) = read_load(system.client, keys, ["metrics"])
    assert (load.arrivals_per_second, load.running, load.task_seconds) == (0, 0, pytest.approx(0.5))
