"""What a worker does before it takes messages."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any, NoReturn

import pytest
from celery import Celery

from orchestrator.config import Settings
from orchestrator.deadline import Deadline
from orchestrator.errors import ConfigurationError, SourceError
from orchestrator.models import AggregatedData, Diagnosis, TroubleshootRequest
from orchestrator.sources import SourceSpec, load_source
from orchestrator.synthesis import Case
from orchestrator.testing import Panic, StubSource
from workers.runtime import readiness
from workers.runtime.process import WorkerProcess
from workers.runtime.readiness import check_sources, check_synthesis


def test_a_worker_builds_the_shipped_index_before_its_first_question(tmp_path: Path) -> None:
    """Serving rag_search leaves the index of the runbooks in the cache folder; another queue leaves nothing."""
    environ = {"XDG_CACHE_HOME": str(tmp_path)}
    check_sources(["metrics", "synthesis"], environ)
    assert list(tmp_path.rglob("*.sqlite3")) == []
    check_sources(["rag_search"], environ)
    assert len(list(tmp_path.rglob("*.sqlite3"))) == 1


def test_a_wrong_setting_stops_a_worker_by_the_variables_name() -> None:
    """A worker for TWS with an address that is none does not start."""
    with pytest.raises(ConfigurationError, match="TWS_BASE_URL"):
        check_sources(["tws_status"], {"TWS_BASE_URL": "host:31116"})


@pytest.mark.parametrize("name", ["LLM_ENDPOINT", "RESYNC_LOG_CACHE_MAX_RECORDS"])
def test_a_wrong_setting_stops_a_worker_that_writes_answers(name: str) -> None:
    """A worker of the synthesis queue checks the model and what it remembers; another one does not need them."""
    environ = {"LLM_MODEL": "m", name: "nonsense"}
    check_synthesis(["metrics", "orchestrator"], environ)
    with pytest.raises(ConfigurationError, match=name):
        check_synthesis(["orchestrator", "synthesis"], environ)


def test_a_synthesizer_that_cannot_be_made_costs_no_answer(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A process whose model or memory cannot be made finishes runs without, and says so, in their answers too."""

    def broken(_environ: object) -> None:
        raise RuntimeError("a site's own")

    monkeypatch.setattr("orchestrator.synthesis.load_synthesizer", broken)
    monkeypatch.setattr("orchestrator.after_commit.load_after_commit", broken)
    process = WorkerProcess(Celery(set_as_current=False), {}, native_limits=False)
    assert process.refiner is not None
    case = Case("run-00000001", TroubleshootRequest(message="x"), None, (), AggregatedData(), Diagnosis(summary="x"))
    synthesis, llm = process.refiner.refine(case, Deadline.after(5))
    assert (synthesis, llm) == (None, {"failed": "not_loaded"})
    assert process.after_commit == ()
    process.close()
    said = [text.splitlines()[0] for text in caplog.messages]
    assert said == [
        "synthesizer_not_loaded reason=unexpected",
        "synthesis_failed run_id=run-00000001 reason=not_loaded",
        "after_commit_not_loaded reason=unexpected",
    ]


def test_a_model_that_does_not_close_does_not_keep_the_rest_open(monkeypatch: pytest.MonkeyPatch) -> None:
    """A process closes its loop and its connections although its synthesizer fails to close."""

    class Stubborn:
        async def close(self) -> None:
            raise RuntimeError("does not close")

    monkeypatch.setattr("orchestrator.synthesis.load_synthesizer", lambda _environ: Stubborn())
    process = WorkerProcess(Celery(set_as_current=False), {}, native_limits=False)
    assert process.refiner is not None
    process.close()
    assert process.runtime.loop.is_closed()


def test_what_cannot_be_prepared_is_left_to_the_first_question(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A source that cannot be prepared is a warning with its reason, and the worker starts."""

    def prepare(_environ: object) -> None:
        raise SourceError("no space", reason="full")

    spec = SourceSpec(name="metrics", create=lambda _environ: StubSource("metrics"), prepare=prepare)
    monkeypatch.setattr(readiness, "load_source", lambda _name: spec)
    caplog.set_level(logging.WARNING)
    check_sources(["metrics"], {})
    assert "source_not_prepared source=metrics reason=full" in caplog.text


@pytest.mark.parametrize(
    "error", [RuntimeError("boom"), SystemExit(0), Panic("rust")], ids=lambda error: type(error).__name__
)
def test_what_a_site_raises_at_the_start_leaves_the_worker_to_the_first_question(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, error: BaseException
) -> None:
    """Factories that raise what is not about their settings are logged by name; worker and heartbeat go on."""

    def fail(_environ: object) -> NoReturn:
        raise error

    def instances(environ: object) -> Any:
        yield fail(environ)  # where they are counted, not where they are asked for

    spec = SourceSpec(name="metrics", create=fail, prepare=fail, known_instances=instances)
    monkeypatch.setattr(readiness, "load_source", lambda _name: spec)
    monkeypatch.setattr(readiness, "load_synthesizer", fail)
    monkeypatch.setattr(readiness, "_last_announced", {})
    check_sources(["metrics"], {})
    check_synthesis(["synthesis"], {})
    readiness.announce_instances(["metrics"], Settings.from_env({}), {})
    events = [text.split("\n")[0] for text in caplog.messages]
    assert events == [
        "source_not_created source=metrics reason=unexpected",
        "source_not_prepared source=metrics reason=unexpected",
        "hook_not_created source=synthesizer reason=unexpected",
        "instances_not_known reason=unexpected",
    ]
    assert caplog.text.count(f"{type(error).__name__}") >= 4


def test_the_sources_know_their_instances() -> None:
    """Only TWS has instances; they come from its settings."""
    known = load_source("tws_status").known_instances
    assert known is not None
    assert known({"TWS_BASE_URL": "http://127.0.0.1:1", "TWS_DEFAULT_INSTANCE": "PROD"}) == ("PROD",)
    assert load_source("metrics").known_instances is None
