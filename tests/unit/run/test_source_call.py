"""One contract for asking a source: on a worker's thread and event loop, and in process with ``asyncio.gather``."""

from __future__ import annotations

import asyncio
import gc
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import fakeredis
import pytest
from tests_support import made, stretched

from orchestrator.config import ParallelConfig, Settings
from orchestrator.deadline import Deadline
from orchestrator.errors import ConfigurationError, SourceError
from orchestrator.i18n.languages import Language
from orchestrator.i18n.message import Message
from orchestrator.models import (
    Evidence,
    Intent,
    Plan,
    PlannedSource,
    Routing,
    SourceEnvelope,
    SourceOutcome,
    SourceRequest,
    TroubleshootRequest,
)
from orchestrator.run.in_process import LocalSources, ask_all, begin_without_store
from orchestrator.run.loop_thread import LoopThread
from orchestrator.run.source_call import FAN_IN_MARGIN_SECONDS, SourceCall, fetched
from orchestrator.sources import FetchResult, Source
from orchestrator.store.reading import read_envelope
from orchestrator.store.records import SourceStart
from orchestrator.store.runs import RunStore, new_token
from orchestrator.testing import Panic
from workers.runtime.ask import SourceRunner
from workers.runtime.event_loop import Runtime


@dataclass
class Behaviour:
    """A source that returns or raises ``result`` after a pause, and notes how it was asked."""

    result: Any = field(default_factory=FetchResult)
    pause_seconds: float = 0.0
    requests: list[SourceRequest] = field(default_factory=list)
    was_cancelled: bool = False

    async def fetch(self, request: SourceRequest) -> FetchResult:
        self.requests.append(request)
        try:
            await asyncio.sleep(self.pause_seconds)
        except asyncio.CancelledError:
            self.was_cancelled = True
            raise
        if isinstance(self.result, BaseException):
            raise self.result
        result: FetchResult = self.result
        return result

    async def close(self) -> None:
        return


Ask = Callable[..., SourceEnvelope]
"""``ask(source, limit=..., fan_in=...)``: seconds for the source, seconds to the fan-in. With ``jobs``, and the
``retries`` of a pipeline, the envelope of a batch."""


def plan(limit_seconds: float, jobs: tuple[str, ...] = (), retries: int = 0) -> Plan:
    planned = PlannedSource(source="metrics", job="BATCH001", limit_seconds=limit_seconds)
    if jobs:
        planned = planned.model_copy(update={"job": None, "batch": 1, "jobs": jobs, "retries": retries})
    return Plan(
        pipeline="troubleshoot",
        routing=Routing(intent=Intent.TROUBLESHOOT, confidence=1, language=Language.EN),
        sources=(planned,),
        reason="test",
    )


REQUEST = TroubleshootRequest(message="Job BATCH001 failed", job_name="BATCH001")


def ask_in_process(
    source: Source | BaseException,
    *,
    limit: float = 5.0,
    fan_in: float = 10.0,
    jobs: tuple[str, ...] = (),
    retries: int = 0,
) -> SourceEnvelope:
    made_plan = plan(limit, jobs, retries)

    class OneSource(LocalSources):
        def get(self, name: str) -> Source:
            assert name == "metrics"
            if isinstance(source, BaseException):
                raise source
            return source

    async def ask() -> list[SourceEnvelope]:
        stored: list[SourceEnvelope] = []

        async def put(envelope: SourceEnvelope) -> None:
            stored.append(envelope)

        begin = begin_without_store(REQUEST, made_plan, Deadline.after(fan_in))
        async with OneSource() as sources:
            envelopes = await ask_all("run-00000001", made_plan, sources=sources, begin=begin, put=put)
        assert envelopes == stored
        return stored

    (envelope,) = asyncio.run(ask())
    return envelope


@pytest.fixture
def ask_on_worker() -> Iterator[Ask]:
    client = fakeredis.FakeRedis(decode_responses=True)
    runtime = Runtime({})
    store = RunStore(client, Settings.from_env({}))

    def ask(
        source: Source | BaseException,
        *,
        limit: float = 5.0,
        fan_in: float = 10.0,
        jobs: tuple[str, ...] = (),
        retries: int = 0,
    ) -> SourceEnvelope:
        made_plan = plan(limit, jobs, retries)

        def get(name: str) -> Future[Source]:
            assert name == "metrics"
            if isinstance(source, BaseException):
                failed: Future[Source] = Future()
                failed.set_exception(source)
                return failed
            return made(source)

        run_id = new_token()
        store.open(run_id, REQUEST, nonce=new_token())
        store.claim_dispatch(run_id, "d")
        store.put_plan(run_id, "d", made_plan)
        store.mark_dispatched(run_id, "d")
        seconds, micros = client.time()
        client.hset(store.keys.run(run_id), "fanin_ms", seconds * 1000 + micros // 1000 + int(fan_in * 1000))
        runner = SourceRunner(
            store=store, source=get, submit=runtime.submit, worker="metrics@test", blockage=runtime.blockage
        )
        (planned,) = made_plan.sources
        runner.ask(run_id, "metrics", planned.part, claim="c", soft_limit_seconds=limit)
        runtime.submit(asyncio.sleep(0)).result(5)  # whatever was cancelled has run until then
        envelope, damage = read_envelope(run_id, planned.key, client.hget(store.keys.run(run_id), f"e:{planned.key}"))
        assert not damage
        assert store.read(run_id).envelopes == {part.key: part for part in envelope.parts or (envelope,)}
        return envelope

    yield ask
    runtime.close()
    client.close()


@pytest.fixture(params=["worker", "in process"])
def ask(request: pytest.FixtureRequest) -> Ask:
    """Each of the two ways in which a source is asked."""
    way: Ask = request.getfixturevalue("ask_on_worker") if request.param == "worker" else ask_in_process
    return way


def test_an_answer_is_an_envelope_with_its_start_and_latency(ask: Ask) -> None:
    """Data, evidence, question and place are the source's; start, latency and job are filled in."""
    item = Evidence(id="metrics:1", source="metrics", kind="metric", title="CPU", text="93 %")
    result = FetchResult(data={"a": 1}, evidence=(item,), finding="high", asked=("cpu",), where="prom")
    source = Behaviour(result, pause_seconds=0.05)
    now_ms = int(time.time() * 1000)
    envelope = ask(source)
    assert (envelope.outcome, envelope.success, envelope.job) == (SourceOutcome.OK, True, "BATCH001")
    assert (envelope.data, envelope.evidence, envelope.finding) == ({"a": 1}, (item,), "high")
    assert (envelope.asked, envelope.where) == (("cpu",), "prom")
    assert envelope.worker
    assert 50 <= envelope.latency_ms < stretched(2_000)
    assert envelope.started_at_ms is not None
    assert now_ms - 1 <= envelope.started_at_ms < now_ms + stretched(2_000)
    (request,) = source.requests
    assert (request.source, request.job, request.message) == ("metrics", "BATCH001", REQUEST.message)
    assert 0 < 5 - request.limit_seconds < stretched(1)


def test_no_data_is_an_answer(ask: Ask) -> None:
    """A source that had nothing has answered."""
    envelope = ask(Behaviour(FetchResult(outcome=SourceOutcome.NO_DATA)))
    assert (envelope.outcome, envelope.success, envelope.error) == (SourceOutcome.NO_DATA, True, None)


@pytest.mark.parametrize(
    ("error", "outcome", "reason"),
    [
        (SourceError("no route", reason="unreachable"), SourceOutcome.ERROR, "unreachable"),
        (SourceError("slow", reason="timeout"), SourceOutcome.TIMEOUT, "timeout"),
        (ConfigurationError("TWS_BASE_URL is missing"), SourceOutcome.ERROR, "configuration"),
        (TimeoutError("own"), SourceOutcome.ERROR, "counterpart_timeout"),
        (ZeroDivisionError("boom"), SourceOutcome.ERROR, "unexpected"),
    ],
)
def test_each_failure_has_its_outcome_and_reason(
    ask: Ask, error: Exception, outcome: SourceOutcome, reason: str
) -> None:
    """What a source raises, when it is made or asked, becomes an envelope with a machine-readable reason."""
    for envelope in (ask(Behaviour(error)), ask(error)):
        assert (envelope.outcome, envelope.success, envelope.reason) == (outcome, False, reason)
        assert str(error) in (envelope.error or "")


class TextRaises(SourceError):
    """A site's error without a text."""

    def __str__(self) -> str:
        raise RuntimeError("no text")


class MessageRaises(SourceError):
    """A site's error whose message cannot be read."""

    @property
    def message(self) -> Message:
        raise RuntimeError("no message")

    @message.setter
    def message(self, value: Message) -> None:
        return


class WordlessFact:
    """A fact that cannot be written."""

    def __str__(self) -> str:
        raise RuntimeError("no words")


def broken_errors() -> list[SourceError]:
    """Errors of a site's classes, each of which raises where it is read."""
    foreign_message, wordless = TextRaises("x"), SourceError("x")
    foreign_message.message = "no message of ours"  # type: ignore[assignment]  # what a site may do
    wordless.message = Message("{fact}", fact=WordlessFact())
    numbered = SourceError("x").of("host", (1, 2))  # type: ignore[arg-type]  # what a site may do
    return [foreign_message, MessageRaises("x"), wordless, numbered, SourceError("x", reason=7)]  # type: ignore[arg-type]


@pytest.mark.parametrize("error", broken_errors(), ids=lambda error: type(error).__name__)
def test_an_error_that_raises_when_it_is_read_costs_the_run_that_source(ask: Ask, error: SourceError) -> None:
    """Whatever an error's text, message, reason or place do, the source has an envelope and the others serve."""
    envelope = ask(Behaviour(error))
    assert (envelope.outcome, envelope.reason) == (SourceOutcome.ERROR, "unexpected")
    assert (envelope.error or "").startswith(type(error).__name__)


ESCAPED = (SystemExit(3), KeyboardInterrupt(), GeneratorExit(), asyncio.CancelledError(), Panic("rust"),
           BaseExceptionGroup("two", [SystemExit(1), Panic("rust")]))  # fmt: skip


@pytest.mark.parametrize("error", ESCAPED, ids=lambda error: type(error).__name__)
def test_whatever_a_source_raises_costs_the_run_that_source(ask: Ask, error: BaseException) -> None:
    """What is no ``Exception``, raised when a source is made or asked, is its error and stops nobody else."""
    for envelope in (ask(Behaviour(error)), ask(error)):
        assert (envelope.outcome, envelope.reason) == (SourceOutcome.ERROR, "unexpected")
        assert type(error).__name__ in (envelope.error or "")


class ExitsWhenRead(dict[str, Any]):
    """Data of a site's own class."""

    def items(self) -> Any:
        raise SystemExit


class ExitsWhenWritten(SourceError):
    """A site's error that ends its process when it is written."""

    def __init__(self) -> None:
        self.reason = "x"  # type: ignore[misc]

    def __str__(self) -> str:
        raise SystemExit


def test_values_that_end_their_reader_cost_the_run_that_source(ask: Ask) -> None:
    """Data and errors whose own code raises SystemExit are an error of the source as well."""
    for returned in (FetchResult(data=ExitsWhenRead(a=1)), ExitsWhenWritten()):
        envelope = ask(Behaviour(returned))
        assert (envelope.outcome, envelope.reason) == (SourceOutcome.ERROR, "unexpected")


NONSENSE: tuple[Any, ...] = (None, {"data": {}}, FetchResult(finding=None))  # type: ignore[arg-type]  # the nonsense


@pytest.mark.parametrize("nonsense", NONSENSE)
def test_a_result_that_cannot_be_read_is_an_error_of_the_source(ask: Ask, nonsense: object) -> None:
    """A source that returns nonsense instead of raising costs the run that source."""
    envelope = ask(Behaviour(nonsense))
    assert (envelope.outcome, envelope.reason) == (SourceOutcome.ERROR, "unexpected")


def test_secrets_are_masked(ask: Ask) -> None:
    """A password in data, evidence, finding or error never reaches the envelope."""
    secret = "password=Segredo2026x"
    item = Evidence(id="metrics:1", source="metrics", kind="k", title=secret, text=f"linha {secret}")
    result = FetchResult(data={"log": secret, "password": "Segredo2026x"}, evidence=(item,), finding=secret)
    for outcome in (result, SourceError(secret, reason="unreachable"), ZeroDivisionError(secret)):
        assert "Segredo2026x" not in ask(Behaviour(outcome)).model_dump_json()


def test_a_source_that_hangs_is_cancelled_at_its_limit(ask: Ask) -> None:
    """A source beyond its limit is cancelled and stands as a timeout that names the limit."""
    source = Behaviour(pause_seconds=60)
    envelope = ask(source, limit=0.3)  # time to begin: what has not begun is not cancelled
    assert (envelope.outcome, envelope.reason) == (SourceOutcome.TIMEOUT, "soft_time_limit")
    assert "0.3 s" in (envelope.error or "")
    assert 300 <= envelope.latency_ms < stretched(2_000)
    assert source.was_cancelled


def test_a_short_run_does_not_wait_long_for_a_source_that_ignores_its_cancellation() -> None:
    """In process the answer comes by the deadline: a source that does not end has part of the time for the answer."""

    class Stubborn(Behaviour):
        async def fetch(self, request: SourceRequest) -> FetchResult:
            with suppress(asyncio.CancelledError):
                await asyncio.sleep(30)
            await asyncio.sleep(30)
            return FetchResult()

    short = REQUEST.model_copy(update={"config": ParallelConfig(node_timeout_seconds=0.1, total_timeout_seconds=0.5)})

    async def ask() -> float:
        class OneSource(LocalSources):
            def get(self, name: str) -> Source:
                return Stubborn()

        began = time.monotonic()
        async with OneSource() as sources:
            begin = begin_without_store(short, plan(0.1), Deadline.after(0.3))
            await ask_all("run-00000001", plan(0.1), sources=sources, begin=begin)
        return time.monotonic() - began

    assert asyncio.run(ask()) < 0.2 + stretched(0.3)


def test_a_source_stops_before_the_fan_in(ask: Ask) -> None:
    """A limit beyond the fan-in ends a margin before it, so that the envelope is stored when the partials freeze."""
    source = Behaviour()
    ask(source, limit=5, fan_in=2)
    assert 1 < source.requests[0].limit_seconds <= 2 - FAN_IN_MARGIN_SECONDS
    assert FAN_IN_MARGIN_SECONDS >= 0.03  # the store's answer and the thread's wake-up


@pytest.mark.parametrize("fan_in", [0.0, FAN_IN_MARGIN_SECONDS / 2])
def test_no_fetch_is_started_without_time(ask: Ask, fan_in: float) -> None:
    """With no time left to the fan-in, or no more than the margin, the source is not asked and timed out."""
    source = Behaviour()
    envelope = ask(source, fan_in=fan_in)
    assert (envelope.outcome, envelope.reason) == (SourceOutcome.TIMEOUT, "no_time_left")
    assert source.requests == []


JOBS = ("JOB1", "JOB2", "JOB3")


@dataclass
class Many(Behaviour):
    """A source of batches: what it gives for each job, and what it does at the end."""

    given: dict[str, Any] = field(default_factory=dict)
    end: BaseException | float | None = None
    """What it raises, or for how many seconds it hangs, after what it has given."""

    async def fetch_many(self, request: SourceRequest) -> AsyncIterator[tuple[str, FetchResult | SourceError]]:
        self.requests.append(request)
        try:
            for job, result in self.given.items():
                if job in request.jobs or job not in JOBS:
                    await asyncio.sleep(self.pause_seconds)
                    yield job, result
            if isinstance(self.end, BaseException):
                raise self.end
            await asyncio.sleep(self.end or 0)
        except asyncio.CancelledError:
            self.was_cancelled = True
            raise


def test_a_batch_has_an_envelope_for_each_job(ask: Ask) -> None:
    """One call gives each job its own data, outcome and error, in the order of the plan; others' jobs are left out."""
    log = Evidence(id="metrics:1", source="metrics", kind="k", title="t", text="password=Segredo2026x")
    source = Many(
        given={
            "JOB3": SourceError("no such job", reason="not_found"),
            "JOB1": FetchResult(data={"a": 1}, evidence=(log,), finding="high", where="prom"),
            "OTHER": FetchResult(data={"a": 7}),
            "JOB2": FetchResult(outcome=SourceOutcome.NO_DATA),
        }
    )
    envelope = ask(source, jobs=JOBS)
    assert (envelope.key, envelope.outcome, envelope.success) == ("metrics|+1", SourceOutcome.OK, True)
    assert [(part.job, part.outcome, part.reason) for part in envelope.parts] == [
        ("JOB1", SourceOutcome.OK, None),
        ("JOB2", SourceOutcome.NO_DATA, None),
        ("JOB3", SourceOutcome.ERROR, "not_found"),
    ]
    first = envelope.parts[0]
    assert (first.data, first.finding, first.where) == ({"a": 1}, "high", "prom")
    assert "Segredo2026x" not in envelope.model_dump_json()
    (request,) = source.requests
    assert (request.job, request.jobs) == (None, JOBS)


def test_what_a_batch_has_given_by_its_limit_is_kept(ask: Ask) -> None:
    """The jobs that the source has not reached have timed out, the others have their answers and their times."""
    source = Many(given={"JOB2": FetchResult(data={"a": 2})}, pause_seconds=0.05, end=60)
    envelope = ask(source, limit=0.3, jobs=JOBS)
    outcomes = {part.job: (part.outcome, part.reason) for part in envelope.parts}
    late = (SourceOutcome.TIMEOUT, "soft_time_limit")
    assert outcomes == {"JOB1": late, "JOB2": (SourceOutcome.OK, None), "JOB3": late}
    latency_ms = {str(part.job): part.latency_ms for part in envelope.parts}
    assert 50 <= latency_ms["JOB2"] < latency_ms["JOB1"]
    assert source.was_cancelled


@pytest.mark.parametrize("error", [*ESCAPED, ZeroDivisionError("boom"), SourceError("no route", reason="unreachable")])
def test_what_a_batch_raises_is_the_error_of_the_jobs_that_are_missing(ask: Ask, error: BaseException) -> None:
    """Whatever ends a batch, jobs that had been given keep their answers, and no other task is harmed."""
    envelope = ask(Many(given={"JOB1": FetchResult(data={"a": 1})}, end=error), jobs=JOBS)
    assert [part.outcome for part in envelope.parts] == [SourceOutcome.OK, SourceOutcome.ERROR, SourceOutcome.ERROR]
    reason = "unreachable" if isinstance(error, SourceError) else "unexpected"
    assert {part.reason for part in envelope.parts[1:]} == {reason}


@pytest.mark.parametrize("error", [ConfigurationError("TWS_BASE_URL is missing"), SystemExit(3)])
def test_a_source_that_cannot_be_made_is_an_error_of_each_job(ask: Ask, error: BaseException) -> None:
    """A batch whose source cannot be made, or that has no time left, has an envelope for each job all the same."""
    assert {(part.job, part.outcome) for part in ask(error, jobs=JOBS).parts} == {
        (job, SourceOutcome.ERROR) for job in JOBS
    }
    envelope = ask(Many(), fan_in=0.0, jobs=JOBS)
    assert (envelope.reason, [part.reason for part in envelope.parts]) == ("no_time_left", ["no_time_left"] * 3)


@pytest.mark.parametrize(
    "nonsense", [{"JOB2": 7}, {"JOB2": FetchResult(data=ExitsWhenRead(a=1))}, {"JOB2": SystemExit(1)}]
)
def test_nonsense_for_one_job_costs_the_batch_that_job(ask: Ask, nonsense: dict[str, Any]) -> None:
    """What cannot be read is an error of its job, and a job for which nothing came is one as well."""
    envelope = ask(Many(given={"JOB1": FetchResult(), **nonsense}), jobs=JOBS)
    assert [part.reason for part in envelope.parts] == [None, "unexpected", "no_result"]


def test_a_source_that_takes_one_job_at_a_time_is_asked_so(ask: Ask) -> None:
    """Where a source is planned in batches and has no call for them, its jobs are asked one after the other."""

    class OneByOne(Behaviour):
        async def fetch(self, request: SourceRequest) -> FetchResult:
            await super().fetch(request)
            if request.job == "JOB2":
                raise ZeroDivisionError("boom")
            return FetchResult(data={"job": request.job})

    source = OneByOne(pause_seconds=0.05)
    envelope = ask(source, jobs=JOBS)
    assert [(request.job, request.jobs) for request in source.requests] == [(job, ()) for job in JOBS]
    assert [part.data for part in envelope.parts] == [{"job": "JOB1"}, {}, {"job": "JOB3"}]
    assert [part.outcome for part in envelope.parts] == [SourceOutcome.OK, SourceOutcome.ERROR, SourceOutcome.OK]
    assert all(50 <= part.latency_ms < envelope.latency_ms + 1 for part in envelope.parts)
    starts = [part.started_at_ms or 0 for part in envelope.parts]
    assert starts[2] - starts[0] >= 100


def test_a_source_may_say_how_long_a_job_of_a_batch_took(ask: Ask) -> None:
    """A job that waited for its turn within the batch counts from its own start."""
    given = {"JOB1": FetchResult(), "JOB2": FetchResult(seconds=0.01), "JOB3": FetchResult(seconds=99)}
    parts = ask(Many(given=given, pause_seconds=0.03), jobs=JOBS).parts
    assert parts[1].latency_ms == 10
    assert parts[2].latency_ms >= 90
    assert (parts[1].started_at_ms or 0) > (parts[2].started_at_ms or 0)


def test_a_batch_is_asked_again_about_the_jobs_whose_error_may_pass(ask: Ask) -> None:
    """A retry asks only about what is missing or failed for a reason that may pass, and the later answer counts."""

    class Recovers(Many):
        async def fetch_many(self, request: SourceRequest) -> AsyncIterator[tuple[str, FetchResult | SourceError]]:
            self.requests.append(request)
            yield "JOB1", FetchResult(data={"try": len(self.requests)})
            yield "JOB2", SourceError("no such job", reason="not_found")
            if len(self.requests) == 1:
                yield "JOB3", SourceError("no route", reason="unreachable")
            yield "JOB3", FetchResult(data={"try": len(self.requests)})

    source = Recovers()
    parts = ask(source, jobs=JOBS, retries=2).parts
    assert [request.jobs for request in source.requests] == [JOBS, ("JOB3",)]
    assert [part.data for part in parts] == [{"try": 1}, {}, {"try": 2}]
    assert parts[1].reason == "not_found"


def test_the_answer_of_a_retry_counts_before_its_envelope_is_made() -> None:
    """At the limit a job that was asked again has its new answer, and not the error of the first try."""
    planned = PlannedSource(source="metrics", batch=1, jobs=JOBS[:1], limit_seconds=5, retries=1)
    made_plan = plan(5).model_copy(update={"sources": (planned,)})
    start = SourceStart(request=REQUEST, plan=made_plan, remaining_seconds=10, now_ms=0)
    call = SourceCall(run_id="run-00000001", planned=planned, start=start, worker="w")
    source = Many(given={"JOB1": SourceError("no route", reason="unreachable")})
    asyncio.run(call._fetch_many(source, call.source_request()))
    source.given["JOB1"] = FetchResult(data={"try": 2})
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(asyncio, "to_thread", lambda *_: asyncio.sleep(0))  # no thread has made it yet
        asyncio.run(call._fetch_many(source, call.source_request()))
    (part,) = call.envelope(lambda: fetched(Future())).parts
    assert (part.success, part.data) == (True, {"try": 2})


def test_an_error_with_which_a_source_answers_its_cancellation_is_read(caplog: pytest.LogCaptureFixture) -> None:
    """The call was given up, and its source fails where others are cancelled: asyncio has nothing to log."""

    class Stubborn(Behaviour):
        async def fetch(self, request: SourceRequest) -> FetchResult:
            began.set()
            try:
                await asyncio.sleep(60)
            except asyncio.CancelledError:
                raise SourceError("no time left", reason="timeout") from None
            raise AssertionError

    began, thread = threading.Event(), LoopThread("source-metrics")
    planned = PlannedSource(source="metrics", limit_seconds=5)
    start = SourceStart(request=REQUEST, plan=plan(5), remaining_seconds=10, now_ms=0)
    call = SourceCall(run_id="run-00000001", planned=planned, start=start, worker="w")
    future = thread.submit(call.fetch(Stubborn(), call.source_request()))
    assert began.wait(10)
    future.cancel()
    thread.end(lambda: asyncio.sleep(0))
    thread.ended.result(10)
    del future  # it holds the task
    gc.collect()
    assert [record for record in caplog.records if record.name == "asyncio"] == []
