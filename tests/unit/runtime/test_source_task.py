"""The Celery task of a source, called without a worker."""

from __future__ import annotations

from contextlib import nullcontext
from types import SimpleNamespace
from typing import NoReturn

import pytest

from orchestrator.broker.app import make_celery
from orchestrator.config import Settings
from orchestrator.errors import ConfigurationError, RunNotFound
from workers import tasks as base
from workers.runtime.ask import not_asked
from workers.tasks import SourceTask


def free_loop(_source: str) -> nullcontext[SimpleNamespace]:
    return nullcontext(SimpleNamespace(answers=lambda _seconds: True))


class AskMetrics(SourceTask):
    name, source_name = "troubleshoot.source.metrics", "metrics"


@pytest.mark.parametrize(
    ("error", "outcome"),
    [(RunNotFound(), "run_not_found"), (ConfigurationError(), "unexpected"), (KeyError("plan"), "unexpected")],
)
def test_a_source_task_never_raises(error: Exception, outcome: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever goes wrong around the fetch, the chord's header returns, so that its body is still called."""

    def ask(*_: object, **__: object) -> NoReturn:
        raise error

    runtime = SimpleNamespace(loop_of=free_loop)
    process = SimpleNamespace(source_runner=lambda _worker, _loop: SimpleNamespace(ask=ask), runtime=runtime)
    monkeypatch.setattr(base, "current_process", lambda _app: process)
    app = make_celery(Settings.from_env({}), with_results=False)
    task = app.register_task(AskMetrics())
    assert task.run("run-00000001") == {"source": "metrics", "outcome": outcome}


@pytest.mark.parametrize(
    ("told", "is_counted"),
    [
        ({"source": "metrics", "outcome": "ok", "latency_ms": 3.0}, True),
        (not_asked("metrics", "duplicate"), True),
        (not_asked("metrics", "frozen"), False),
        (not_asked("metrics", "done"), False),
        (not_asked("metrics", "cancelled"), False),
    ],
)
def test_a_message_that_comes_too_late_costs_no_chord_part(
    told: dict[str, object], is_counted: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The part of a source is counted, unless its run is answered without it: that is half of the message's cost."""
    process = SimpleNamespace(
        source_runner=lambda _worker, _loop: SimpleNamespace(ask=lambda *_, **__: told),
        runtime=SimpleNamespace(loop_of=free_loop),
    )
    monkeypatch.setattr(base, "current_process", lambda _app: process)
    task = make_celery(Settings.from_env({}), with_results=False).register_task(AskMetrics())
    task.push_request(chord={"task": "troubleshoot.synthesize"})
    assert task.run("run-00000001") == told
    assert (task.request.chord is not None) is is_counted
