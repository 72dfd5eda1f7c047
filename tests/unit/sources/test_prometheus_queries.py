"""Which queries are asked, how a workstation enters them, and how a wrong file is refused."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from orchestrator.errors import ConfigurationError, SourceError
from orchestrator.models import Intent
from workers.sources.metrics.queries import DEFAULT_QUERIES, QuerySet, load_queries
from workers.sources.metrics.series import DEFAULT_SERIES
from workers.sources.metrics.source import MetricsSource

DOCUMENT = Path(__file__).parents[3] / "docs" / "metrics.md"


@pytest.fixture
def load(tmp_path: Path) -> Callable[[object], QuerySet]:
    """Load a file of the given content: a str as it is, all else as JSON."""

    def run(content: object) -> QuerySet:
        path = tmp_path / "queries.json"
        path.write_text(content if isinstance(content, str) else json.dumps(content))
        return load_queries(path)

    return run


@pytest.mark.parametrize("name", ['x"} or up{a="', "a|b", "WS.*", "", "WS 1", "WS1\n", "x" * 64, "ws1\\"])
def test_a_workstation_cannot_leave_its_matcher(name: str) -> None:
    """A name that could end the quoted string or widen the match is refused, never escaped and hoped for."""
    for query in DEFAULT_QUERIES:
        with pytest.raises(SourceError, match="workstation"):
            query.expand([name], label="instance")


def test_several_workstations_are_one_matcher() -> None:
    """Names are alternatives of one expression, in a stable order."""
    query = next(query for query in DEFAULT_QUERIES if query.series.name == "host_oom_kills")
    expected = 'increase(node_vmstat_oom_kill{host=~"(?i:WS1|WS_2)([.:].*)?"}[1h])'
    assert query.expand(["WS_2", "WS1"], label="host") == expected


def test_without_a_workstation_every_host_is_asked_about() -> None:
    """The placeholder never stays in a query."""
    for query in DEFAULT_QUERIES:
        assert "$workstation" not in query.expand([], label="instance")


def test_a_query_that_needs_a_workstation_waits_for_one() -> None:
    """Whether a host is monitored is asked only when the question names it."""
    queries = load_queries(None)
    without = {query.series.name for query in queries.select(Intent.STATUS, has_workstation=False)}
    with_one = {query.series.name for query in queries.select(Intent.STATUS, has_workstation=True)}
    assert with_one - without == {"host_up"}


def test_every_kind_of_question_asks_something() -> None:
    """No intent is left without a query, and a cause is looked for in more places than a state."""
    queries = load_queries(None)
    asked = {intent: len(queries.select(intent, has_workstation=True)) for intent in Intent}
    assert min(asked.values()) >= 1
    assert asked[Intent.TROUBLESHOOT] > asked[Intent.STATUS]


def test_a_file_replaces_a_default_by_name_and_adds_its_own(load: Callable[[object], QuerySet]) -> None:
    """A query of a default's name takes its place; another is added at the end."""
    queries = load({
        "workstation_label": "host",
        "range_seconds": 600,
        "queries": [
            {"name": "host_cpu", "query": "my_cpu"},
            {"name": "own", "query": 'x{a=~"b$"}', "intents": ["status"]},
        ],
    })  # fmt: skip
    names = [query.series.name for query in queries.queries]
    assert names == [*(query.series.name for query in DEFAULT_QUERIES), "own"]
    assert next(query.promql for query in queries.queries if query.series.name == "host_cpu") == "my_cpu"
    assert queries.queries[-1].intents == {Intent.STATUS}
    assert (queries.workstation_label, queries.range_seconds) == ("host", 600)


def test_the_defaults_can_be_left_out(load: Callable[[object], QuerySet]) -> None:
    """keep_defaults false leaves the file's queries alone; one without a limit is never a concern."""
    queries = load({"keep_defaults": False, "queries": [{"name": "own", "query": "x"}]})
    (query,) = queries.queries
    assert query.series.concern(1e9) is None


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("{", "JSON"),
        ({"queries": [{"name": "a", "query": "x{$host}"}]}, "unknown placeholder \\$host"),
        ({"queries": [{"name": "a", "query": "x"}, {"name": "a", "query": "y"}]}, "two queries are named 'a'"),
        ({"queries": [{"name": "A b", "query": "x"}]}, "queries.0.name"),
        ({"queries": [{"name": "a", "query": "x", "limti": 1}]}, "queries.0.limti"),
        ({"queries": [{"name": "a", "query": "x", "intents": ["guess"]}]}, "queries.0.intents"),
        ({"queries": [], "workstation_label": 'x"'}, "workstation_label"),
        ({"queries": [], "range_seconds": 1}, "range_seconds"),
    ],
)
def test_a_wrong_file_fails_at_start_with_its_field(
    load: Callable[[object], QuerySet], content: object, words: str
) -> None:
    """The error names the variable and the field."""
    with pytest.raises(ConfigurationError, match=f"RESYNC_METRICS_QUERIES_FILE.*{words}"):
        load(content)


def test_a_missing_file_fails_at_start() -> None:
    """A file that is not there is told when the source is made, not when it is asked."""
    with pytest.raises(ConfigurationError, match=r"RESYNC_METRICS_QUERIES_FILE: /nowhere\.json: No such file"):
        MetricsSource.from_env({"RESYNC_METRICS_QUERIES_FILE": "/nowhere.json"})


def test_the_document_lists_every_series_and_every_query() -> None:
    """docs/metrics.md is the documentation of the tables: names, limits, PromQL and text names stand in it."""
    text = DOCUMENT.read_text()
    for query in DEFAULT_QUERIES:
        series = query.series
        assert f"`{query.promql}`".replace("|", "\\|") in text, series.name
        assert series.limit is not None
        sign = ">" if series.bad == "high" else "<"
        assert re.search(rf"\| `{series.name}` \|.*{sign} {re.escape(str(series.shown(series.limit)))} \|", text), (
            series.name
        )
    for series in DEFAULT_SERIES:
        for name in (*series.text_names, *(series.available_of_total or ())):
            assert name.removeprefix("resync_").removeprefix("app_") in text, name
