"""Refining a draft in the caller's own process: the same failures as on a worker, with the same result."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest
from refinement_support import FAILURES
from tests_support import stretched, wait_until

from orchestrator.client import fallback
from orchestrator.config import Settings
from orchestrator.deadline import Deadline
from orchestrator.errors import ConfigurationError
from orchestrator.models import AggregatedData, Diagnosis, Event, EventType, Intent, TroubleshootRequest
from orchestrator.run.refine import local_refiner
from orchestrator.synthesis import Case, Synthesis
from orchestrator.testing import stub_message, stub_spec

CASE = Case(
    run_id="run-00000001",
    request=TroubleshootRequest(message="Job BATCH001 falhou"),
    plan=None,
    envelopes=(),
    aggregated=AggregatedData(),
    draft=Diagnosis(summary="rascunho"),
)


class ScriptedSynthesizer:
    """Raises or returns what the test says."""

    def __init__(self, what: object = None, *, closes: bool = True, heeds_cancel: bool = True) -> None:
        self.what = what
        self.closes = closes
        self.heeds_cancel = heeds_cancel

    async def synthesize(self, case: Case, *, timeout_seconds: float, emit: Callable[[str], None]) -> Any:
        if self.what == "hang":
            try:
                await asyncio.sleep(30)
            except asyncio.CancelledError:
                if self.heeds_cancel:
                    raise
                await asyncio.sleep(30)
        if isinstance(self.what, BaseException):
            raise self.what
        return self.what

    async def close(self) -> None:
        if not self.closes:
            raise RuntimeError("does not close, senha: Zq9xW3kLm7")


def refine(
    monkeypatch: pytest.MonkeyPatch, synthesizer: ScriptedSynthesizer, *, seconds: float = 5.0
) -> tuple[Any, Any, float]:
    monkeypatch.setattr("orchestrator.synthesis.load_synthesizer", lambda _environ: synthesizer)

    async def scenario() -> tuple[Any, Any, float]:
        began = asyncio.get_running_loop().time()
        async with local_refiner({}) as refiner:
            synthesis, metadata = await fallback._refine(refiner, CASE, Deadline.after(seconds))
        return synthesis, metadata, asyncio.get_running_loop().time() - began

    return asyncio.run(scenario())


@pytest.mark.parametrize("name", FAILURES)
def test_a_model_that_fails_costs_only_the_refinement(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, name: str
) -> None:
    """Whatever a synthesizer raises or returns, there is no refinement and the metadata says what failed."""
    outcome, metadata, log_text = FAILURES[name]
    assert refine(monkeypatch, ScriptedSynthesizer(outcome))[:2] == (None, metadata)
    assert [text for text in caplog.messages if text.startswith("synthesis_failed run_id=") and log_text in text]


def test_a_synthesizer_of_another_signature_costs_only_the_refinement(monkeypatch: pytest.MonkeyPatch) -> None:
    """A site's synthesizer that cannot be called raises before there is a call to wait for."""

    class Other(ScriptedSynthesizer):
        async def synthesize(self, case: Case) -> Any:  # type: ignore[override]  # what a site may do
            raise AssertionError("not reached")

    assert refine(monkeypatch, Other())[:2] == (None, {"failed": "TypeError"})


@pytest.mark.parametrize("heeds_cancel", [True, False])
def test_a_model_that_hangs_is_left_at_its_limit(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, heeds_cancel: bool
) -> None:
    """A model that does not answer, nor even let itself be cancelled, is left behind half a second before the end."""
    synthesis, metadata, took = refine(monkeypatch, ScriptedSynthesizer("hang", heeds_cancel=heeds_cancel), seconds=1.3)
    assert (synthesis, metadata) == (None, {"failed": "timeout"})
    assert 0.7 <= took < 0.7 + stretched(0.5)
    assert "synthesis_failed run_id=run-00000001 reason=timeout" in caplog.messages


def test_a_model_that_blocks_delays_no_caller(monkeypatch: pytest.MonkeyPatch) -> None:
    """Code that holds its event loop holds one of its own: the answer comes in time all the same."""
    free = threading.Event()

    class Blocking(ScriptedSynthesizer):
        async def synthesize(self, case: Case, **_: Any) -> Any:
            free.wait(10)

    synthesis, metadata, took = refine(monkeypatch, Blocking(), seconds=1.3)
    free.set()
    assert (synthesis, metadata) == (None, {"failed": "timeout"})
    assert 0.7 <= took < 0.7 + stretched(0.5)


def test_a_model_that_hangs_in_its_making_is_gone_without(monkeypatch: pytest.MonkeyPatch) -> None:
    """A factory that does not return costs the refinement, and a bounded time."""
    free = threading.Event()
    monkeypatch.setattr("orchestrator.run.refine.MAKE_SECONDS", 0.1)
    monkeypatch.setattr("orchestrator.synthesis.load_synthesizer", lambda _environ: free.wait(10))

    async def scenario() -> bool:
        async with local_refiner({}) as refiner:
            return refiner is None

    began = time.monotonic()
    assert asyncio.run(scenario())
    free.set()
    assert time.monotonic() - began < 0.3 + stretched(0.5)


def test_threads_that_a_factory_blocks_for_ever_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each run has a fresh one up to the limit, which holds for the sources as well; then none is started."""
    free = threading.Event()
    monkeypatch.setattr("orchestrator.run.refine.MAKE_SECONDS", 0.01)
    monkeypatch.setattr("orchestrator.run.loop_thread.CLOSE_SECONDS", 0.01)
    monkeypatch.setattr("orchestrator.run.loop_thread.MAX_LEFT", 2)
    monkeypatch.setattr("orchestrator.synthesis.load_synthesizer", lambda _environ: free.wait(10))

    async def scenario() -> None:
        for _ in range(4):
            async with local_refiner({}) as refiner:
                assert refiner is None

    before = set(threading.enumerate())
    asyncio.run(scenario())
    started = [thread for thread in set(threading.enumerate()) - before if thread.name == "synthesizer"]
    free.set()
    wait_until(lambda: not any(thread.is_alive() for thread in started), what="the end of the threads")
    assert len(started) == 2


def test_a_synthesizer_that_does_not_close_costs_nothing(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The refined diagnosis is the answer although the client behind it cannot be released; the log says so, masked."""
    synthesis = Synthesis(Diagnosis(summary="refinado"), {"model": "m"})
    refined, metadata, _ = refine(monkeypatch, ScriptedSynthesizer(synthesis, closes=False))
    assert (refined, metadata) == (synthesis, {"model": "m"})
    assert "synthesizer_close_failed" in caplog.text
    assert "Zq9xW3kLm7" not in caplog.text


def test_a_synthesizer_that_cannot_be_made_costs_only_the_refinement(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A wrong setting of the model is logged, and the rules answer."""
    caplog.set_level(logging.WARNING)

    def broken(_environ: object) -> None:
        raise ConfigurationError("LLM_ENDPOINT must start with http:// or https://")

    monkeypatch.setattr("orchestrator.synthesis.load_synthesizer", broken)

    async def scenario() -> Any:
        async with local_refiner({}) as refiner:
            return await fallback._refine(refiner, CASE, Deadline.after(5))

    assert asyncio.run(scenario()) == (None, {"failed": "not_loaded"})
    assert [text for text in caplog.messages if text.startswith("synthesizer_not_loaded reason=configuration")]


def test_without_the_store_many_jobs_are_asked_in_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each job has its answer in the report, and the events of the process are those of the batches."""
    monkeypatch.setattr(fallback, "jobs_per_task", lambda **_: {"tws_status": 50, "metrics": 0})
    monkeypatch.setattr("orchestrator.run.in_process.load_source", lambda name: stub_spec(name, batch_size=50))
    jobs, events = tuple(f"JOB{number:03}" for number in range(120)), list[Event]()
    message = stub_message({"tws_status": {"jobs": {"JOB003": {"error": "no such job"}}}}, text="Por que falharam?")
    request = TroubleshootRequest(message=message, jobs=jobs, intent=Intent.TROUBLESHOOT)
    report = asyncio.run(fallback.run_in_process(request, Settings.from_env({}), emit=events.append))
    assert [envelope.job for envelope in report.parallel_results] == [*jobs, None]
    assert [(failure.job, failure.reason) for failure in report.errors] == [("JOB003", "stub_error")]
    finished = [event.data for event in events if event.type is EventType.SOURCE_FINISHED]
    assert sorted(len(data.get("jobs", ())) for data in finished) == [0, 40, 40, 40]
