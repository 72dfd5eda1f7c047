"""The registry of sources: entry points, order, and errors."""

from __future__ import annotations

from importlib.metadata import EntryPoint

import pytest

from orchestrator import sources
from orchestrator.broker.app import make_celery, queue_names
from orchestrator.broker.chord import build_chord
from orchestrator.config import Settings
from orchestrator.errors import ConfigurationError, WorkersNotInstalled
from orchestrator.i18n.languages import Language
from orchestrator.models import Intent, Plan, PlannedSource, Routing
from orchestrator.routing.plan import jobs_per_task
from orchestrator.sources import BUILTIN_SOURCES, SOURCES_GROUP, call_limit_seconds, load_source, source_names
from orchestrator.testing import stub_spec

own_source = stub_spec("own_source")


class _Raises:
    def __get__(self, *_: object) -> None:
        raise ValueError("a setting is missing")


class Broken:
    """Stands for a site's module that raises while it is loaded."""

    spec = _Raises()


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> list[EntryPoint]:
    """The installed entry points, to which a test adds."""
    points = [EntryPoint(name, f"missing_module:{name}", SOURCES_GROUP) for name in reversed(BUILTIN_SOURCES)]
    monkeypatch.setattr(sources, "entry_points", lambda group: points if group == SOURCES_GROUP else [])
    source_names.cache_clear()
    load_source.cache_clear()
    yield points
    source_names.cache_clear()
    load_source.cache_clear()


def test_a_sites_own_source_gets_a_queue_from_its_registration(installed: list[EntryPoint]) -> None:
    """The built-in four come first in their order; a site's own source follows, with a queue of its name."""
    installed.append(EntryPoint("own_source", f"{__name__}:own_source", SOURCES_GROUP))
    assert source_names() == (*BUILTIN_SOURCES, "own_source")
    assert queue_names() == ("orchestrator", *BUILTIN_SOURCES, "own_source", "synthesis")
    app = make_celery(Settings.from_env({}), with_results=False)
    assert "own_source" in app.amqp.queues
    assert app.conf.task_routes["troubleshoot.source.own_source"] == {"queue": "own_source"}


def test_the_first_registration_on_the_path_wins(installed: list[EntryPoint]) -> None:
    """A site that puts its own source before the installed one replaces it."""
    installed.insert(0, EntryPoint("metrics", f"{__name__}:own_source", SOURCES_GROUP))
    with pytest.raises(ConfigurationError, match="must be a SourceSpec named 'metrics'"):
        load_source("metrics")


def test_missing_worker_code_names_the_extra(installed: list[EntryPoint]) -> None:
    """A source whose code cannot be imported says what to install."""
    with pytest.raises(WorkersNotInstalled, match=r"resync-troubleshoot\[workers\]"):
        load_source("metrics")


@pytest.mark.parametrize("value", [f"{__name__}:no_such_name", "missing_module:x", f"{__name__}:Broken.spec"])
def test_a_source_that_cannot_be_loaded_costs_the_run_that_source(
    installed: list[EntryPoint], monkeypatch: pytest.MonkeyPatch, value: str
) -> None:
    """A site's registration that names nothing, or a module that raises, is planned once a run; the others serve."""
    installed[:] = [
        EntryPoint("broken", value, SOURCES_GROUP),
        EntryPoint("own_source", f"{__name__}:own_source", SOURCES_GROUP),
    ]
    with pytest.raises((ConfigurationError, WorkersNotInstalled), match="'broken'"):
        load_source("broken")
    assert jobs_per_task() == {"own_source": 1, "broken": 0}
    del installed[1]
    source_names.cache_clear()
    with pytest.raises((ConfigurationError, WorkersNotInstalled), match="'broken'"):
        jobs_per_task()


def test_an_unknown_source_lists_the_known(installed: list[EntryPoint]) -> None:
    """Asking for a source that is not installed names those that are."""
    with pytest.raises(ConfigurationError, match="installed: tws_status, rag_search, log_cache, metrics"):
        load_source("nope")


def test_a_plan_becomes_a_chord_without_payload() -> None:
    """Each planned source is a header task on its queue with its own limits; arguments are run id and job alone."""
    plan = Plan(
        pipeline="p",
        routing=Routing(intent=Intent.TROUBLESHOOT, confidence=1, language=Language.EN),
        sources=(
            PlannedSource(source="tws_status", job="A", limit_seconds=2),
            PlannedSource(source="metrics", limit_seconds=1),
        ),
        reason="r",
    )
    app = make_celery(Settings.from_env({}), with_results=True)
    built = build_chord(app, "run-1", plan)
    header = [(task.task, task.args, task.options["queue"], task.options["soft_time_limit"]) for task in built.tasks]
    assert header == [
        ("troubleshoot.source.tws_status", ("run-1", "A"), "tws_status", 2),
        ("troubleshoot.source.metrics", ("run-1", None), "metrics", 1),
    ]
    assert all(task.options["time_limit"] > task.options["soft_time_limit"] for task in built.tasks)
    assert (built.body.task, built.body.args, built.body.immutable) == ("troubleshoot.synthesize", ("run-1",), True)


def test_queues_are_declared_and_no_other_is_made() -> None:
    """A queue by another name is refused, and everything of the broker stands below its own prefix."""
    app = make_celery(Settings.from_env({"RESYNC_KEY_PREFIX": "site:"}), with_results=True)
    assert set(app.amqp.queues) == {"orchestrator", *BUILTIN_SOURCES, "synthesis"}
    assert app.conf.task_create_missing_queues is False
    assert app.conf.broker_transport_options["global_keyprefix"] == "site:mq:"
    assert app.conf.result_backend_transport_options["global_keyprefix"] == "site:mq:"
    assert (app.conf.worker_prefetch_multiplier, app.conf.worker_disable_prefetch) == (1, True)
    assert (app.conf.task_acks_late, app.conf.task_ignore_result) == (False, True)


def test_the_client_has_no_result_backend() -> None:
    """Without a backend a refused broker fails at once."""
    app = make_celery(Settings.from_env({}), with_results=False)
    assert app.conf.result_backend is None


@pytest.mark.parametrize(("limit", "calls"), [(20, 19.5), (5, 4.5), (2, 1.8), (0.3, 0.25), (0.01, 0.05)])
def test_calls_end_before_their_source_does(limit: float, calls: float) -> None:
    """A client gets a tenth less than its source, never more than half a second less and never nothing."""
    assert call_limit_seconds(limit) == pytest.approx(calls)
