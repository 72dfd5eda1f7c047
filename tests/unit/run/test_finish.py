"""The one finisher, over fakeredis: every way down from an answer by the model to raw data."""

from __future__ import annotations

import asyncio
import json
import logging
import threading
from collections.abc import Callable, Collection, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Any

import fakeredis
import pytest
from refinement_support import FAILURES

from orchestrator.config import Settings
from orchestrator.i18n.languages import Language
from orchestrator.models import (
    Action,
    AnswerMode,
    Event,
    EventType,
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
from orchestrator.redaction.redact import MARK
from orchestrator.run.conclusion import BUSY, Conclusion, conclude
from orchestrator.run.finisher import Finisher
from orchestrator.run.refine import TOKEN_INTERVAL_SECONDS, Refiner
from orchestrator.run.report import _NO_TIME
from orchestrator.sources import BUILTIN_SOURCES
from orchestrator.store.events import EventReader
from orchestrator.store.runs import RunStore, new_token
from orchestrator.synthesis import MAX_SYNTHESIS_CHARACTERS, Case, Synthesis, SynthesisFailed

RUN = "run-00000001"


@dataclass
class Ready:
    """A run with all four sources in, ready to be finished."""

    client: fakeredis.FakeRedis
    store: RunStore

    @property
    def events(self) -> list[Event]:
        return EventReader(self.client, self.store.keys).read(RUN, "0", block_ms=0).events

    def kinds(self) -> list[EventType]:
        return [event.type for event in self.events if event.type not in _BEFORE]

    def tokens(self) -> list[str]:
        return [event.data["text"] for event in self.events if event.type is EventType.TOKEN]

    async def shown(self, count: int) -> None:
        """Wait for so many token events: what a model writes meanwhile would be in one with what it wrote before."""
        async with asyncio.timeout(10):
            while len(self.tokens()) < count:  # noqa: ASYNC110  # the store is polled
                await asyncio.sleep(0.01)

    def move_deadline(self, milliseconds: int) -> None:
        seconds, micros = self.client.time()
        now = seconds * 1000 + micros // 1000
        self.client.hset(self.store.keys.run(RUN), "deadline_ms", now + milliseconds)


_BEFORE = {EventType.ACCEPTED, EventType.ROUTED, EventType.SOURCE_STARTED, EventType.SOURCE_FINISHED}


@pytest.fixture
def run() -> Iterator[Ready]:
    with answered_run() as ready:
        yield ready


@contextmanager
def answered_run(jobs: tuple[str, ...] = ("BATCH001",), but: Collection[str] = (), **data: Any) -> Iterator[Ready]:
    """A run whose sources have answered, ``but`` these; ``data`` is part of each envelope's."""
    client = fakeredis.FakeRedis(decode_responses=True)
    store = RunStore(client, Settings.from_env({}))
    store.open(RUN, TroubleshootRequest(message="Job BATCH001 falhou", job_name="BATCH001"), nonce=new_token())
    store.claim_dispatch(RUN, "d")
    routing = Routing(intent=Intent.TROUBLESHOOT, confidence=1, language=Language.PT_BR)
    planned = tuple(PlannedSource(source=name, job=job, limit_seconds=5) for job in jobs for name in BUILTIN_SOURCES)
    store.put_plan(RUN, "d", Plan(pipeline="troubleshoot", routing=routing, sources=planned, reason="test"))
    store.mark_dispatched(RUN, "d")
    for item in planned:
        if item.source in but:
            continue
        store.begin_source(RUN, item.key, item.key, source=item.source, job=item.job, worker="w")
        envelope = SourceEnvelope(
            source=item.source,
            job=item.job,
            outcome=SourceOutcome.OK,
            success=True,
            data={"seen": item.source, **data},
            finding=f"{item.source} respondeu",
            latency_ms=100,
        )
        store.put_envelope(RUN, item.key, envelope)
    yield Ready(client, store)
    client.close()


@dataclass
class ScriptedSynthesizer:
    """Does what the test says, and remembers whether it was cancelled."""

    script: Callable[[Case, Callable[[str], None]], Any]
    cancelled: threading.Event = field(default_factory=threading.Event)
    timeout_seconds: float = 0.0

    async def synthesize(self, case: Case, *, timeout_seconds: float, emit: Callable[[str], None]) -> Synthesis:
        self.timeout_seconds = timeout_seconds
        try:
            synthesis: Synthesis = await self.script(case, emit)
        except asyncio.CancelledError:
            self.cancelled.set()
            raise
        return synthesis

    async def close(self) -> None:
        return


@pytest.fixture
def loop() -> Iterator[asyncio.AbstractEventLoop]:
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    yield loop
    loop.call_soon_threadsafe(loop.stop)
    thread.join(5)
    loop.close()


def refined_by(
    loop: asyncio.AbstractEventLoop, script: Callable[[Case, Callable[[str], None]], Any]
) -> tuple[Refiner, ScriptedSynthesizer]:
    synthesizer = ScriptedSynthesizer(script)

    def submit(work: Any) -> Future[Synthesis]:
        return asyncio.run_coroutine_threadsafe(work, loop)

    return Refiner(synthesizer, submit), synthesizer


def test_many_deadlines_of_one_process_get_the_data_as_it_came(run: Ready, monkeypatch: pytest.MonkeyPatch) -> None:
    """A caller that must finish more runs at once than the rules can in the grace gives each what its sources said."""
    monkeypatch.setattr("orchestrator.run.finisher._BY_RULES", threading.Semaphore(0))
    run.move_deadline(0)
    report = Finisher(run.store, by="test").finish_at_deadline(RUN)
    assert report is not None
    assert (report.mode, report.outcome, report.reason) == (AnswerMode.RAW, RunOutcome.PARTIAL, BUSY)
    assert "Execuções demais tinham de ser respondidas ao mesmo tempo" in report.response
    assert "metrics respondeu" in report.response


@pytest.mark.parametrize(("is_complete", "outcome"), [(True, RunOutcome.COMPLETE), (False, RunOutcome.PARTIAL)])
def test_a_list_that_was_cut_is_not_complete(is_complete: bool, outcome: RunOutcome) -> None:
    """Every source has answered, and yet something of the list is missing in the answer."""
    with answered_run(listing={"listed": "jobs", "count": 300, "is_complete": is_complete}) as ready:
        report = Finisher(ready.store, by="test").finish(RUN)
    assert report is not None
    assert report.outcome is outcome


def test_without_a_model_the_rules_answer(run: Ready) -> None:
    """The draft is the answer, streamed before it is committed, and nothing claims to be a model's."""
    report = Finisher(run.store, by="test").finish(RUN)
    assert report is not None
    assert (report.mode, report.outcome) == (AnswerMode.DETERMINISTIC, RunOutcome.COMPLETE)
    assert run.kinds() == [
        EventType.SYNTHESIS_STARTED,
        EventType.AGGREGATED,
        EventType.DRAFT,
        EventType.FINAL,
    ]
    draft = next(event for event in run.events if event.type is EventType.DRAFT)
    assert draft.data["text"] == report.response
    assert "llm" not in report.metadata


def test_a_model_refines_the_draft(run: Ready, loop: asyncio.AbstractEventLoop) -> None:
    """A model's checked diagnosis is the answer; its fragments are token events in between."""

    async def script(case: Case, emit: Callable[[str], None]) -> Synthesis:
        emit("Primeiro. ")
        await run.shown(1)
        emit("Segundo.")
        await run.shown(2)
        return Synthesis(case.draft.model_copy(update={"summary": "Resumo refinado."}), {"model": "m"})

    refiner, synthesizer = refined_by(loop, script)
    report = Finisher(run.store, by="test", refiner=refiner).finish(RUN)
    assert report is not None
    assert report.mode is AnswerMode.LLM
    assert "Resumo refinado." in report.response
    assert report.metadata["llm"] == {"model": "m"}
    assert run.tokens() == ["Primeiro. ", "Segundo."]
    assert 8 < synthesizer.timeout_seconds <= 9.5


def test_what_a_sites_synthesizer_says_is_masked(run: Ready, loop: asyncio.AbstractEventLoop) -> None:
    """Over two fragments, in every text of the diagnosis, in the metadata and in the reason of a failure."""
    secret, mail = "Zx9qVj4Kw7Yq", "ana@example.com.br"

    async def script(case: Case, emit: Callable[[str], None]) -> Synthesis:
        fragments = ("A senha ", "é Zx9q", "Vj4Kw7Yq do ", f"operador. {mail} sabe. ")
        for number, fragment in enumerate(fragments, start=1):
            emit(fragment)
            await run.shown(number)
        action = Action(text=f"Conferir senha={secret}", command=f"conman -password {secret} sj @#@")
        said = {"summary": f"senha: {secret}", "root_cause": f"token={secret} {mail}", "actions": (action,)}
        return Synthesis(case.draft.model_copy(update=said), {"model": f"m password={secret}", "token": secret})

    refiner, _ = refined_by(loop, script)
    masking = replace(refiner, redact_personal=True)
    report = Finisher(run.store, by="test", refiner=masking).finish(RUN)
    assert report is not None
    assert report.mode is AnswerMode.LLM
    shown = report.model_dump_json() + "".join(event.model_dump_json() for event in run.events)
    assert [piece for piece in (secret[:4], secret[4:8], secret[8:], mail) if piece in shown] == []
    assert "".join(run.tokens()) == f"A senha é {MARK} do operador. {MARK} sabe. "


def test_the_reason_of_a_synthesizers_failure_is_masked(run: Ready, loop: asyncio.AbstractEventLoop) -> None:
    """It is a word of a site, and its metadata is anything."""

    async def script(_case: Case, _emit: Callable[[str], None]) -> Synthesis:
        raise SynthesisFailed("password=Zx9qVj4Kw7Yq", "no", {"url": "https://u:Zx9qVj4Kw7Yq@h/x"})

    refiner, _ = refined_by(loop, script)
    report = Finisher(run.store, by="test", refiner=refiner).finish(RUN)
    assert report is not None
    assert report.metadata["llm"] == {"url": f"https://{MARK}@h/x", "failed": f"password={MARK}"}


def test_fragments_lie_apart_however_the_model_writes(run: Ready, loop: asyncio.AbstractEventLoop) -> None:
    """Between two token events there is the interval, up to the last one before the answer."""

    async def script(case: Case, emit: Callable[[str], None]) -> Synthesis:
        for number in range(30):
            emit(f"{number}. ")
            await asyncio.sleep(0.01)
        await run.shown(2)
        return Synthesis(case.draft, {"model": "m"})

    refiner, _ = refined_by(loop, script)
    Finisher(run.store, by="test", refiner=refiner).finish(RUN)
    tokens = [event for event in run.events if event.type is EventType.TOKEN]
    assert len(tokens) >= 2
    # The store counts whole milliseconds.
    assert all(b.at_ms - a.at_ms >= 1_000 * TOKEN_INTERVAL_SECONDS - 1 for a, b in pairwise(tokens))
    text = "".join(event.data["text"] for event in tokens)
    assert text == "".join(f"{number}. " for number in range(30))[: len(text)]


@pytest.mark.parametrize("name", FAILURES)
def test_a_model_that_fails_costs_only_the_refinement(
    run: Ready, loop: asyncio.AbstractEventLoop, caplog: pytest.LogCaptureFixture, name: str
) -> None:
    """Whatever a synthesizer raises or returns, the rules' answer is committed and the metadata says what failed."""
    outcome, metadata, log_text = FAILURES[name]

    async def script(_case: Case, _emit: Callable[[str], None]) -> Any:
        if isinstance(outcome, BaseException):
            raise outcome
        return outcome

    refiner, _ = refined_by(loop, script)
    report = Finisher(run.store, by="test", refiner=refiner).finish(RUN)
    assert report is not None
    assert (report.mode, report.outcome) == (AnswerMode.DETERMINISTIC, RunOutcome.COMPLETE)
    assert report.metadata["llm"] == metadata
    assert [text for text in caplog.messages if text.startswith(f"synthesis_failed run_id={RUN}") and log_text in text]
    assert run.store.read(RUN).report == report


def test_a_model_without_time_is_not_asked(run: Ready, loop: asyncio.AbstractEventLoop) -> None:
    """With less than a second left the model is skipped, and the metadata says so."""

    async def script(_case: Case, _emit: Callable[[str], None]) -> Synthesis:
        raise AssertionError("asked without time")

    run.move_deadline(800)
    refiner, _ = refined_by(loop, script)
    report = Finisher(run.store, by="test", refiner=refiner).finish(RUN)
    assert report is not None
    assert report.metadata["llm"] == {"skipped": "no_time_left"}


def test_half_a_character_of_a_model_can_be_written(run: Ready, loop: asyncio.AbstractEventLoop) -> None:
    """A fragment that no UTF-8 has a place for is written with a replacement, and the model goes on."""

    async def script(case: Case, emit: Callable[[str], None]) -> Synthesis:
        emit("meio \ud83d")
        return Synthesis(case.draft, {"model": "m"})

    refiner, _ = refined_by(loop, script)
    report = Finisher(run.store, by="test", refiner=refiner).finish(RUN)
    assert report is not None
    assert report.mode is AnswerMode.LLM
    assert run.tokens() == ["meio \ufffd"]


def test_what_a_model_streams_is_bounded(run: Ready, loop: asyncio.AbstractEventLoop) -> None:
    """Megabytes of fragments reach readers as far as an answer may be long, and the answer comes."""

    async def script(case: Case, emit: Callable[[str], None]) -> Synthesis:
        for _ in range(20):
            emit("x" * 1_000_000)
        return Synthesis(case.draft, {"model": "m"})

    refiner, _ = refined_by(loop, script)
    report = Finisher(run.store, by="test", refiner=refiner).finish(RUN)
    assert report is not None
    assert sum(map(len, run.tokens())) == MAX_SYNTHESIS_CHARACTERS


def test_a_diagnosis_that_cannot_be_written_gives_way_to_the_draft(
    run: Ready, loop: asyncio.AbstractEventLoop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An error while the model's answer is written costs the refinement, and is named."""
    rendered = []

    def render(*args: object, mode: AnswerMode, **_: object) -> str:
        rendered.append(mode)
        if mode is AnswerMode.LLM:
            raise KeyError("planted")
        return "the rules"

    async def script(case: Case, _emit: Callable[[str], None]) -> Synthesis:
        return Synthesis(case.draft, {"model": "m"})

    monkeypatch.setattr("orchestrator.run.conclusion.render_markdown", render)
    refiner, _ = refined_by(loop, script)
    report = Finisher(run.store, by="test", refiner=refiner).finish(RUN)
    assert report is not None
    assert (report.mode, report.response) == (AnswerMode.DETERMINISTIC, "the rules")
    assert report.metadata["llm"] == {"model": "m", "failed": "KeyError"}
    assert AnswerMode.LLM in rendered


@pytest.mark.parametrize("metadata", [7, None, {"a": "x" * 1_000_000}, {"a": object()}])
def test_a_models_metadata_never_cost_its_answer(run: Ready, loop: asyncio.AbstractEventLoop, metadata: Any) -> None:
    """Metadata that cannot be stored are left out."""

    async def script(case: Case, _emit: Callable[[str], None]) -> Synthesis:
        return Synthesis(case.draft, metadata)

    refiner, _ = refined_by(loop, script)
    report = Finisher(run.store, by="test", refiner=refiner).finish(RUN)
    assert report is not None
    assert report.mode is AnswerMode.LLM


def test_a_model_that_hangs_is_cut_before_the_deadline(run: Ready, loop: asyncio.AbstractEventLoop) -> None:
    """At remaining time less half a second the model's coroutine is cancelled and the draft committed."""

    async def script(_case: Case, _emit: Callable[[str], None]) -> Synthesis:
        await asyncio.sleep(60)
        raise AssertionError("not reached")

    run.move_deadline(2_500)
    refiner, synthesizer = refined_by(loop, script)
    report = Finisher(run.store, by="test", refiner=refiner).finish(RUN)
    assert report is not None
    assert report.metadata["llm"] == {"failed": "timeout"}
    assert synthesizer.cancelled.wait(20)


def test_a_finisher_whose_lease_is_taken_stops_its_model_and_writes_nothing(
    run: Ready, loop: asyncio.AbstractEventLoop
) -> None:
    """When another finisher has the run, the first one cancels its model and ends without an answer."""

    async def script(_case: Case, _emit: Callable[[str], None]) -> Synthesis:
        run.client.hset(run.store.keys.run(RUN), "lease_until", 1)
        assert not isinstance(run.store.lease(RUN, "thief", by="thief"), str)
        await asyncio.sleep(60)
        raise AssertionError("not reached")

    refiner, synthesizer = refined_by(loop, script)
    assert Finisher(run.store, by="test", refiner=refiner).finish(RUN) is None
    assert synthesizer.cancelled.wait(20)
    assert EventType.FINAL not in run.kinds()
    assert [event.attempt for event in run.events][-1] == 2


def test_a_failing_aggregator_gives_the_raw_data(run: Ready, monkeypatch: pytest.MonkeyPatch) -> None:
    """When merging fails, the answer is each source's own data."""

    def broken(*_: object, **__: object) -> None:
        raise KeyError("planted")

    monkeypatch.setattr("orchestrator.run.conclusion.aggregate", broken)
    report = Finisher(run.store, by="test").finish(RUN)
    assert report is not None
    assert (report.mode, report.outcome) == (AnswerMode.RAW, RunOutcome.PARTIAL)
    assert report.reason == "aggregator: KeyError"
    for source in BUILTIN_SOURCES:
        assert source in report.response
    assert len(report.parallel_results) == 4
    assert [job.job for job in report.jobs] == ["BATCH001"]


def test_failing_rules_give_the_raw_data(run: Ready, monkeypatch: pytest.MonkeyPatch) -> None:
    """When a rule fails, the answer is each source's own data, with the aggregate beside it."""

    def broken(*_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr("orchestrator.run.conclusion.examine", broken)
    report = Finisher(run.store, by="test").finish(RUN)
    assert report is not None
    assert (report.mode, report.outcome) == (AnswerMode.RAW, RunOutcome.PARTIAL)
    assert report.reason == "rules: ZeroDivisionError"
    assert report.aggregated_data.sources_available == BUILTIN_SOURCES


def test_steps_after_the_commit_get_the_report_and_cannot_harm_it(run: Ready) -> None:
    """Each step runs once, after the commit, and one that raises stops neither the next nor the answer."""
    seen: list[Report] = []

    def broken(_report: Report) -> None:
        raise RuntimeError

    report = Finisher(run.store, by="test", after_commit=(broken, seen.append)).finish(RUN)
    assert seen == [report]
    assert run.store.read(RUN).report == report


def test_the_performance_event_is_logged_by_who_commits(run: Ready, caplog: pytest.LogCaptureFixture) -> None:
    """One JSON line per run, with the figures of the issue, and none from a finisher that was too late."""
    caplog.set_level(logging.INFO, "orchestrator.performance")
    Finisher(run.store, by="test").finish(RUN)
    assert Finisher(run.store, by="late").finish(RUN) is None
    lines = [json.loads(record.message) for record in caplog.records if record.name == "orchestrator.performance"]
    assert lines == [
        {
            "event": "parallel_aggregation_complete",
            "run_id": RUN,
            "sources_available": 4,
            "sources_failed": 0,
            "parallel_latency_ms": 100,
            "sequential_equivalent_ms": 400,
            "speedup_factor": "4.00x",
        }
    ]


def test_the_log_names_the_sources_without_an_answer(caplog: pytest.LogCaptureFixture) -> None:
    """A worker that died, or was never there, logs no end of its source; who commits does, and only then."""
    with answered_run(but=("metrics",)) as run:
        run.move_deadline(0)
        Finisher(run.store, by="watcher").finish_at_deadline(RUN)
    (line,) = (record for record in caplog.records if record.msg.startswith("sources_missing"))
    assert line.levelname == "WARNING"
    assert line.getMessage() == f"sources_missing run_id={RUN} count=1 sources=metrics|BATCH001:not_started"
    caplog.clear()
    with answered_run() as run:
        Finisher(run.store, by="test").finish(RUN)
    assert "sources_missing" not in caplog.text


def test_a_deadline_finisher_commits_what_is_there(run: Ready) -> None:
    """At the deadline the answer is committed over a lease that somebody holds."""
    run.store.lease(RUN, "hanging", by="other")
    run.move_deadline(100)
    report = Finisher(run.store, by="watcher").finish_at_deadline(RUN)
    assert report is not None
    assert (report.outcome, report.committed_by) == (RunOutcome.COMPLETE, "watcher")
    assert Finisher(run.store, by="late").finish_at_deadline(RUN) == report


def test_many_jobs_at_the_deadline_get_the_data_as_it_came() -> None:
    """Where the rules would take longer than the run has, each job is named with what its sources said."""
    jobs = tuple(f"JOB{number:03}" for number in range(60))
    with answered_run(jobs) as run:
        run.move_deadline(100)
        report = Finisher(run.store, by="watcher").finish_at_deadline(RUN)
    assert report is not None
    assert (report.mode, report.reason) == (AnswerMode.RAW, "busy")
    assert tuple(job.job for job in report.jobs) == jobs
    assert all(job in report.response for job in jobs)
    assert "60 jobs" in report.response


def test_the_lease_is_renewed_while_many_jobs_are_examined(monkeypatch: pytest.MonkeyPatch) -> None:
    """Rules that take longer than a lease do not lose it; what is renewed is this run's."""
    renewed = threading.Event()

    def slow(record: Any, *, briefly: bool) -> Conclusion:
        assert renewed.wait(10)
        return conclude(record, briefly=briefly)

    monkeypatch.setattr("orchestrator.run.finisher.RENEW_SECONDS", 0.01)
    monkeypatch.setattr("orchestrator.run.finisher.conclude", slow)
    with answered_run(tuple(f"JOB{number:03}" for number in range(21))) as run:
        renew = run.store.renew

        def noticed(run_id: str, token: str, *, serves_queue: bool = False) -> bool:
            is_ours = renew(run_id, token, serves_queue=serves_queue)
            renewed.set()
            return is_ours

        monkeypatch.setattr(run.store, "renew", noticed)
        report = Finisher(run.store, by="test").finish(RUN)
    assert report is not None
    assert report.mode is AnswerMode.DETERMINISTIC


@pytest.mark.parametrize(("is_called", "skipped"), [(True, "no_worker"), (False, "no_watcher")])
def test_an_answer_without_a_synthesis_names_who_was_missing(run: Ready, is_called: bool, skipped: str) -> None:
    """No worker took the run on; or no watcher called one for a run that a source has not answered."""
    if not is_called:
        run.client.hdel(run.store.keys.run(RUN), "called_ms", "e:metrics|BATCH001")
        run.client.hset(run.store.keys.run(RUN), "received", 3)
    run.move_deadline(100)
    report = Finisher(run.store, by="client").finish_at_deadline(RUN)
    assert report is not None
    assert report.metadata["llm"] == {"skipped": skipped}
    assert ("`synthesis`" in report.response, "vigia" in report.response) == (True, not is_called)


def test_before_the_deadline_nobody_commits_without_the_lease(run: Ready) -> None:
    """A deadline finisher that comes too early changes nothing."""
    assert Finisher(run.store, by="watcher").finish_at_deadline(RUN) is None
    assert run.kinds() == []


@pytest.mark.parametrize("language", Language)
def test_the_shortest_answer_speaks_the_question_s_language_and_tells_its_age(run: Ready, language: Language) -> None:
    """Both are known without reading the run: from the plan, else from the request, whatever else is damaged."""
    of_plan = run.store.read(RUN).plan
    assert of_plan is not None
    plan = of_plan.model_copy(update={"routing": of_plan.routing.model_copy(update={"language": language})})
    for run_id, asked in (("run-planned1", None), ("run-asked001", language), ("run-damaged1", language)):
        run.store.open(run_id, TroubleshootRequest(message='"language":"x"', language=asked), nonce="n")
    run.client.hset(run.store.keys.run("run-planned1"), "plan", plan.model_dump_json())
    run.client.hset(run.store.keys.run("run-damaged1"), "plan", "{")
    expected = dict.fromkeys(("run-planned1", "run-asked001", "run-damaged1"), language)
    expected[RUN] = Language.PT_BR
    for run_id in expected:
        run.client.hincrby(run.store.keys.run(run_id), "created_ms", -7_000)
    run.client.hset(run.store.keys.run("run-damaged1"), "created_ms", "?")
    assert set(Finisher(run.store, by="watcher").close_briefly([*expected]).values()) == {"ok"}
    for run_id, its_language in expected.items():
        final = EventReader(run.client, run.store.keys).read(run_id, "0", block_ms=0).events[-1].data
        report = run.store.report(run_id)
        assert report is not None
        assert report.response == final["response"] == _NO_TIME.in_language(its_language)
        assert report.total_latency_ms == final["total_latency_ms"]
        assert (report.total_latency_ms == 0) if run_id == "run-damaged1" else (report.total_latency_ms >= 7_000)
    assert Finisher(run.store, by="watcher").close_briefly(["run-gone0001"]).keys() == {"run-gone0001"}
