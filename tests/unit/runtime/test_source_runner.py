"""A source task over fakeredis, without Celery: begin, store, duplicates, redaction, size."""

from __future__ import annotations

import asyncio
import logging
import os
import re
import signal
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass

import fakeredis
import pytest
from celery import Celery
from tests_support import made, stretched, wait_until

from orchestrator.config import Settings
from orchestrator.errors import StoreUnreachable
from orchestrator.i18n.languages import Language
from orchestrator.models import (
    Evidence,
    Intent,
    Plan,
    PlannedSource,
    Routing,
    RunState,
    SourceEnvelope,
    SourceOutcome,
    SourceRequest,
    TroubleshootRequest,
)
from orchestrator.run.envelopes import MAX_ENVELOPE_BYTES
from orchestrator.sources import FetchResult, Source, SourceSpec
from orchestrator.store.runs import RunStore, new_token
from orchestrator.testing import StubSource, stub_spec
from workers.runtime.ask import SourceRunner, not_asked
from workers.runtime.ended_runs import EndedRuns
from workers.runtime.event_loop import Runtime
from workers.runtime.process import WorkerProcess

RUN = "run-00000001"


@dataclass
class OneSource:
    """Returns or raises what the test gave it, after a pause."""

    result: FetchResult | Exception
    pause_seconds: float = 0.0
    asked: SourceRequest | None = None
    cancelled: bool = False

    async def fetch(self, request: SourceRequest) -> FetchResult:
        self.asked = request
        try:
            await asyncio.sleep(self.pause_seconds)
        except asyncio.CancelledError:
            self.cancelled = True
            raise
        if isinstance(self.result, Exception):
            raise self.result
        return self.result

    async def close(self) -> None:
        return


@pytest.fixture
def client() -> Iterator[fakeredis.FakeRedis]:
    client = fakeredis.FakeRedis(decode_responses=True)
    yield client
    client.close()


@pytest.fixture
def store(client: fakeredis.FakeRedis) -> RunStore:
    store = RunStore(client, Settings.from_env({}))
    store.open(RUN, TroubleshootRequest(message="Job BATCH001 falhou", job_name="BATCH001"), nonce=new_token())
    store.claim_dispatch(RUN, "d")
    plan = Plan(
        pipeline="troubleshoot",
        routing=Routing(intent=Intent.TROUBLESHOOT, confidence=1, language=Language.EN),
        sources=(PlannedSource(source="metrics", limit_seconds=5),),
        reason="test",
    )
    store.put_plan(RUN, "d", plan)
    store.mark_dispatched(RUN, "d")
    return store


@pytest.fixture
def runtime() -> Iterator[Runtime]:
    runtime = Runtime({})
    yield runtime
    runtime.close()


def ask(
    store: RunStore, runtime: Runtime, source: OneSource, *, limit: float | None = 5.0, claim: str = "c"
) -> SourceEnvelope:
    runner = SourceRunner(store=store, source=lambda _name: made(source), submit=runtime.submit, worker="metrics@test")
    runner.ask(RUN, "metrics", None, claim=claim, soft_limit_seconds=limit)
    return store.read(RUN).envelopes["metrics"]


@pytest.mark.parametrize(
    "wrong", [{"text": 7}, {"text": None}, {"codes": "S0C7"}, {"source": "NO NAME"}, {"score": "high"}], ids=str
)
def test_an_answer_is_checked_whole_before_it_is_stored(
    store: RunStore, runtime: Runtime, wrong: dict[str, object]
) -> None:
    """An item that a source made past its own checks is an error of that source; what is stored can be read."""
    fields = {"id": "metrics:1", "source": "metrics", "kind": "k", "title": "t", "text": "x"}
    item = Evidence.model_construct(**(fields | wrong))
    envelope = ask(store, runtime, OneSource(FetchResult(evidence=(item,))))
    assert (envelope.outcome, envelope.reason) == (SourceOutcome.ERROR, "unexpected")
    assert store.read(RUN).damage == ()


UNREAD = {
    "a newer plan": ("plan", '{"schema_version": 99}', "schema_mismatch"),
    "a newer question": ("request", '{"schema_version": 99}', "schema_mismatch"),
    "a damaged plan": ("plan", "{", "run_damaged"),
}


@pytest.mark.parametrize("name", UNREAD)
def test_a_question_that_cannot_be_read_here_is_an_error_of_the_source(
    client: fakeredis.FakeRedis, store: RunStore, runtime: Runtime, name: str
) -> None:
    """A worker that is too old for a run says so in the place of an answer, at once, and asks nobody."""
    field, value, reason = UNREAD[name]
    key = store.keys.run(RUN)
    before = client.hget(key, field)
    client.hset(key, field, value)
    source = OneSource(FetchResult())
    runner = SourceRunner(store=store, source=lambda _name: made(source), submit=runtime.submit, worker="metrics@test")
    assert runner.ask(RUN, "metrics", None, claim="c", soft_limit_seconds=5)["reason"] == reason
    client.hset(key, field, before)
    envelope = store.read(RUN).envelopes["metrics"]
    assert (envelope.outcome, envelope.reason, source.asked) == (SourceOutcome.ERROR, reason, None)


def test_the_fan_in_bounds_the_limit(store: RunStore, runtime: Runtime) -> None:
    """With less time to the fan-in than the limit allows, the fan-in holds; with none, nothing is asked."""
    store._client.hset(store.keys.run(RUN), "fanin_ms", 1)
    source = OneSource(FetchResult())
    envelope = ask(store, runtime, source)
    assert (envelope.outcome, envelope.reason) == (SourceOutcome.TIMEOUT, "no_time_left")
    assert source.asked is None


@pytest.fixture
def prefork_signal() -> Iterator[None]:
    """The handler for the soft limit of a prefork child from its first task on."""
    before = signal.signal(signal.SIGUSR1, signal.SIG_DFL)  # billiard's own would end the child
    WorkerProcess(Celery(set_as_current=False), {}, native_limits=True).close()
    yield
    signal.signal(signal.SIGUSR1, before)


@pytest.mark.usefixtures("prefork_signal")
def test_the_signal_of_the_soft_limit_ends_the_wait_for_a_source(store: RunStore, runtime: Runtime) -> None:
    """Under prefork, Celery's signal is the limit, though the limit here has not passed."""
    source = OneSource(FetchResult(), pause_seconds=10)
    timer = threading.Timer(0.1, os.kill, (os.getpid(), signal.SIGUSR1))
    timer.start()
    runner = SourceRunner(
        store=store, source=lambda _name: made(source), submit=runtime.submit, worker="w", native_limits=True
    )
    assert runner.ask(RUN, "metrics", None, claim="c", soft_limit_seconds=5)["outcome"] == "timeout"


@pytest.mark.usefixtures("prefork_signal")
def test_a_signal_while_a_source_is_made_is_the_limit(store: RunStore, runtime: Runtime) -> None:
    """Prefork's soft limit ends a factory that takes too long."""

    def create(_name: str) -> Future[Source]:
        os.kill(os.getpid(), signal.SIGUSR1)
        return made(OneSource(FetchResult()))

    runner = SourceRunner(store=store, source=create, submit=runtime.submit, worker="w", native_limits=True)
    assert runner.ask(RUN, "metrics", None, claim="c", soft_limit_seconds=5)["outcome"] == "timeout"


@pytest.mark.usefixtures("prefork_signal")
@pytest.mark.parametrize("call", ["begin_source", "put_envelope"])
def test_a_signal_before_or_after_the_fetch_loses_nothing(
    store: RunStore, runtime: Runtime, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    """Prefork's soft limit that strikes while the store is slow, or after the task, raises nothing."""
    method = getattr(store, call)

    def struck(*args: object, **fields: object) -> object:
        os.kill(os.getpid(), signal.SIGUSR1)
        return method(*args, **fields)

    monkeypatch.setattr(store, call, struck)
    source = OneSource(FetchResult(data={"a": 1}))
    runner = SourceRunner(
        store=store, source=lambda _name: made(source), submit=runtime.submit, worker="w", native_limits=True
    )
    assert runner.ask(RUN, "metrics", None, claim="c", soft_limit_seconds=5)["outcome"] == "ok"
    assert store.read(RUN).envelopes["metrics"].data == {"a": 1}
    os.kill(os.getpid(), signal.SIGUSR1)


def test_a_duplicate_delivery_asks_nobody(store: RunStore, runtime: Runtime) -> None:
    """A second delivery of the same source's message ends at once."""
    ask(store, runtime, OneSource(FetchResult()), claim="first")
    second = OneSource(FetchResult())
    runner = SourceRunner(store=store, source=lambda _name: made(second), submit=runtime.submit, worker="w")
    assert runner.ask(RUN, "metrics", None, claim="second", soft_limit_seconds=5) == not_asked("metrics", "duplicate")
    assert second.asked is None


def test_a_cancelled_run_asks_nobody(store: RunStore, runtime: Runtime) -> None:
    """A source of a cancelled run is not asked."""
    store.cancel(RUN, by="ana")
    source = OneSource(FetchResult())
    runner = SourceRunner(store=store, source=lambda _name: made(source), submit=runtime.submit, worker="w")
    assert runner.ask(RUN, "metrics", None, claim="c", soft_limit_seconds=5) == not_asked("metrics", "cancelled")
    assert source.asked is None


@pytest.mark.parametrize("end", ["cancelled", "done"])
def test_a_source_of_a_run_that_ends_is_stopped(
    store: RunStore, client: fakeredis.FakeRedis, runtime: Runtime, end: str, caplog: pytest.LogCaptureFixture
) -> None:
    """It asks for nothing more, and its place in the pool is free; a store that is away meanwhile stops nothing."""
    source, ended = OneSource(FetchResult(), pause_seconds=30), EndedRuns(store, poll_seconds=0.02)
    runner = SourceRunner(
        store=store, source=lambda _name: made(source), submit=runtime.submit, worker="w", watching=ended.watching
    )
    asking = threading.Thread(
        target=runner.ask, args=(RUN, "metrics", None), kwargs={"claim": "c", "soft_limit_seconds": 30}
    )
    asking.start()
    wait_until(lambda: source.asked is not None, what="the query")
    states, calls = store.states, list[int]()

    def away_once(run_ids: Sequence[str]) -> list[RunState | Exception | None]:
        calls.append(len(run_ids))
        if len(calls) == 1:
            raise StoreUnreachable
        if len(calls) == 2:
            raise ValueError("what no store says")
        return states(run_ids)

    store.states = away_once  # type: ignore[method-assign]
    wait_until(lambda: len(calls) > 3, what="a look at the open run")
    assert not source.cancelled
    client.hset(store.keys.run(RUN), "state", end)
    asking.join(10)
    assert not asking.is_alive()
    wait_until(lambda: source.cancelled, what="the end of the query")
    assert caplog.text.count("Traceback") == caplog.text.count("ended_runs_failed") == 1
    ended.close()


def test_secrets_are_masked_before_they_are_stored(
    store: RunStore, runtime: Runtime, caplog: pytest.LogCaptureFixture
) -> None:
    """A password in data, evidence, finding or error reaches neither the store nor the log."""
    caplog.set_level(logging.INFO)
    secret = "password=Segredo2026x"
    item = Evidence(id="metrics:1", source="metrics", kind="k", title=secret, text=f"linha {secret}")
    result = FetchResult(data={"log": secret, "password": "Segredo2026x"}, evidence=(item,), finding=secret)
    ask(store, runtime, OneSource(result))
    raw = str(store._client.hgetall(store.keys.run(RUN))) + str(store._client.xrange(store.keys.events(RUN)))
    assert "Segredo2026x" not in raw
    assert "Segredo2026x" not in caplog.text


def test_personal_data_is_masked_when_told_so(store: RunStore, runtime: Runtime) -> None:
    """With RESYNC_REDACT_PERSONAL_DATA an e-mail address and a CPF are masked in data and evidence as well."""
    item = Evidence(id="metrics:1", source="metrics", kind="k", title="t", text="titular ana@example.com.br")
    source = OneSource(FetchResult(data={"log": "CPF 529.982.247-25"}, evidence=(item,)))
    runner = SourceRunner(
        store=store, source=lambda _name: made(source), submit=runtime.submit, worker="w", redact_personal=True
    )
    runner.ask(RUN, "metrics", None, claim="c", soft_limit_seconds=5)
    stored = store.read(RUN).envelopes["metrics"].model_dump_json()
    assert "ana@example" not in stored
    assert "529.982" not in stored


def test_an_envelope_is_cut_to_size_and_says_so(store: RunStore, runtime: Runtime) -> None:
    """Too much evidence is cut from the end, too much data is left out, and both are stated."""
    items = tuple(
        Evidence(id=f"metrics:{number}", source="metrics", kind="k", title="t", text="linha de log " * 1_000)
        for number in range(40)
    )
    envelope = ask(store, runtime, OneSource(FetchResult(data={"kept": 1}, evidence=items)))
    assert len(envelope.model_dump_json().encode()) <= MAX_ENVELOPE_BYTES + 200
    assert 0 < len(envelope.evidence) < 40
    assert envelope.data == {"kept": 1}
    assert f"{len(envelope.evidence)} of 40" in (envelope.truncated or "")


def test_the_runtime_tells_a_blocked_loop() -> None:
    """A loop that is blocked beyond the limit is reported once, with its lag."""
    import threading
    import time

    blocked = threading.Event()
    runtime = Runtime({}, lag_limit_seconds=0.4, on_blocked=blocked.set)

    async def block() -> None:
        time.sleep(1.2)  # noqa: ASYNC251  # blocking is what is tested

    future = runtime.submit(block())
    assert blocked.wait(10)
    future.result(5)
    runtime.close()


def test_a_result_in_broken_utf8_is_stored(store: RunStore, runtime: Runtime) -> None:
    """Text out of a broken code page is stored with the broken places marked."""
    envelope = ask(store, runtime, OneSource(FetchResult(data={"log": "x\udcff", "n": 10**5_000})))
    assert (envelope.outcome, envelope.data["log"]) == (SourceOutcome.OK, "x\ufffd")


def test_what_blocks_the_loop_is_known_by_its_source_and_place() -> None:
    """A task that a source has started blocks in the source's name; a loop that is free has no blockage."""
    import time

    runtime, free = Runtime({}), list[bool]()

    async def block() -> None:
        while not free:
            time.sleep(0.02)  # noqa: ASYNC251  # blocking is what is tested

    async def start_a_task() -> None:
        await asyncio.create_task(block(), name="own name")

    future = runtime.submit(start_a_task(), "metrics|BATCH001")
    wait_until(lambda: runtime.is_blocked, what="a blocked loop")
    blockage = runtime.blockage()
    assert blockage is not None
    assert blockage.key == "metrics|BATCH001"
    assert re.fullmatch(r"test_source_runner\.py:\d+, block", blockage.where)
    assert not runtime.answers(0.05)
    free.append(True)
    future.result(5)
    wait_until(lambda: runtime.blockage() is None, what="a free loop")
    assert runtime.answers(5)
    runtime.close()


def test_a_source_that_has_blocked_the_loop_gets_loops_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each of its tasks has one to itself, as far as there may be more; other sources stay where they are."""
    for name, value in {"BLOCKED_SECONDS": 0.05, "MARK_SECONDS": 0.02, "MAX_FURTHER_LOOPS": 2}.items():
        monkeypatch.setattr(f"workers.runtime.event_loop.{name}", value)
    monkeypatch.setattr("workers.runtime.event_loop.load_source", stub_spec)
    runtime, is_over = Runtime({}), threading.Event()

    async def block() -> None:
        is_over.wait(10)

    with runtime.loop_of("metrics") as loop:
        assert loop is runtime
    first_source = runtime.source("metrics").result(5)
    runtime.submit(block(), "metrics|BATCH001")
    wait_until(lambda: runtime.is_blocked and runtime.holds_up(["metrics"]) is None, what="loops of its own")
    held_up = runtime.holds_up(["metrics", "log_cache"])
    assert held_up is not None
    assert held_up.key == "metrics|BATCH001"
    with runtime.loop_of("metrics") as first, runtime.loop_of("metrics") as second:
        assert len({runtime, first, second}) == 3
        assert first.answers(5)
        assert first.source("metrics").result(5) is not first_source
        with runtime.loop_of("metrics") as third, runtime.loop_of("log_cache") as other:
            assert third in (first, second)
            assert other is runtime
    for loop in (first, second):
        loop.submit(block(), "metrics|BATCH002")
    wait_until(lambda: runtime.holds_up(["metrics"]) is not None, what="every loop blocked")
    is_over.set()
    wait_until(lambda: runtime.holds_up(["metrics"]) is None, what="free loops")
    runtime.close()
    assert all(loop.loop.is_closed() for loop in (runtime, first, second))


def test_further_loops_that_are_blocked_do_not_delay_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """The process ends at once, though each of them would be waited for."""
    monkeypatch.setattr("workers.runtime.event_loop.BLOCKED_SECONDS", 0.05)
    runtime, is_over, ended = Runtime({}), threading.Event(), threading.Event()
    runtime._further["metrics"] = []

    async def block() -> None:
        is_over.wait(20)

    with runtime.loop_of("metrics") as loop:
        loop.submit(block())
    wait_until(lambda: loop.is_blocked, what="a blocked loop")
    threading.Thread(target=lambda: (runtime.close(), ended.set()), daemon=True).start()
    assert ended.wait(10)
    is_over.set()


def test_sources_that_do_not_close_are_waited_for_side_by_side(monkeypatch: pytest.MonkeyPatch) -> None:
    """However many there are, on however many loops, blocked or not: a supervisor's patience has an end."""
    is_over = threading.Event()

    class NeverClosed(StubSource):
        def __init__(self) -> None:
            super().__init__("never")

        async def close(self) -> None:
            await asyncio.sleep(30)

    class BlocksOnClose(NeverClosed):
        async def close(self) -> None:
            is_over.wait(30)

    monkeypatch.setattr("workers.runtime.event_loop.STOP_SECONDS", 0.1)
    kinds = {"first": NeverClosed, "second": NeverClosed, "third": BlocksOnClose}
    monkeypatch.setattr(
        "workers.runtime.event_loop.load_source", lambda name: SourceSpec(name, lambda _environ: kinds[name]())
    )
    runtime = Runtime({})
    runtime._further["third"] = []
    with runtime.loop_of("third") as further:
        for loop in (runtime, further):
            for name in kinds:
                loop.source(name).result(5)
    began = time.monotonic()
    runtime.close(timeout_seconds=0.1)
    assert time.monotonic() - began < stretched(2)
    is_over.set()


@pytest.mark.parametrize("stops", [SystemExit(1), None], ids=["exit", "stop"])
def test_a_loop_that_a_source_ends_goes_on(stops: BaseException | None) -> None:
    """A callback of a source that raises SystemExit, or stops the loop, costs no other source its loop."""
    runtime = Runtime({})

    def end() -> None:
        if stops is None:
            runtime.loop.stop()
        else:
            raise stops

    runtime.loop.call_soon_threadsafe(end)
    assert runtime.submit(asyncio.sleep(0.05, "done")).result(5) == "done"
    runtime.close()
    assert runtime.loop.is_closed()


def test_a_source_that_hangs_in_its_making_costs_its_limit(
    store: RunStore, runtime: Runtime, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever asks it gets its place back at the limit, all wait for one thread, and it is asked once it is made."""
    may_go_on, makings = threading.Event(), []

    def create(_environ: object) -> Source:
        makings.append(threading.current_thread())
        may_go_on.wait(10)
        return OneSource(FetchResult(data={"a": 1}))

    monkeypatch.setattr(
        "workers.runtime.event_loop.load_source", lambda name: SourceSpec(name=name, create=create, per_job=False)
    )
    runner = SourceRunner(store=store, source=runtime.source, submit=runtime.submit, worker="w")
    summary = runner.ask(RUN, "metrics", None, claim="c", soft_limit_seconds=0.1)
    assert summary["outcome"] == "timeout"
    assert 100 <= summary["latency_ms"] < 5_000
    waiting = [runtime.source("metrics") for _ in range(3)]
    assert not any(future.done() for future in waiting)
    may_go_on.set()
    assert len({id(future.result(5)) for future in waiting}) == 1
    assert len(makings) == 1


def test_a_source_that_cannot_be_made_is_tried_again(runtime: Runtime, monkeypatch: pytest.MonkeyPatch) -> None:
    """What its factory raises is raised to whoever asks it, whatever it is; the next one makes it anew."""
    source = OneSource(FetchResult())
    outcomes = iter([SystemExit(1), ValueError("wrong"), source])

    def create(_environ: object) -> Source:
        outcome = next(outcomes)
        if isinstance(outcome, BaseException):
            raise outcome
        return outcome

    monkeypatch.setattr(
        "workers.runtime.event_loop.load_source", lambda name: SourceSpec(name=name, create=create, per_job=False)
    )
    assert isinstance(runtime.source("metrics").exception(5), SystemExit)
    assert isinstance(runtime.source("metrics").exception(5), ValueError)
    assert runtime.source("metrics").result(5) is source
