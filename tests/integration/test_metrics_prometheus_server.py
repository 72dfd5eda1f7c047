"""The metrics source against the real Prometheus server, filled with a day of planted series."""

from __future__ import annotations

import asyncio
import json
import statistics
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from prometheus_support import program, running_prometheus
from tests_support import fetch_once, stretched

from orchestrator.errors import SourceError
from orchestrator.i18n.languages import Language
from orchestrator.i18n.message import write
from orchestrator.models import Entities, Intent, Routing, SourceOutcome, SourceRequest
from orchestrator.payloads import MetricsPayload, SeriesFacts
from orchestrator.sources import FetchResult
from workers.sources.metrics.queries import DEFAULT_QUERIES
from workers.sources.metrics.source import MetricsSource

STEP = 30
HOUR, DAY = 3_600, 86_400


def openmetrics(now: int) -> str:
    """One hour up to now and the same hour a day before, a sample every 30 s."""
    hours = [(now - DAY - HOUR - 300, now - DAY), (now - HOUR - 300, now)]
    series: dict[str, Callable[[int], float | None]] = {
        # Rising from 0.02 to 0.12 now, 0.01 a day before.
        "resync_slo_api_error_rate": lambda t: 0.01 if t < now - DAY / 2 else 0.12 - 0.1 * (now - t) / HOUR,
        "resync_slo_tws_connection_success_rate": lambda t: 0.99,
        'resync_queue_depth{queue="metrics"}': lambda t: 4,
        'resync_queue_depth{queue="rag_search"}': lambda t: 7,
        # SRVAPP02 is full, SRVAPP03 is not; a file system in memory is always full.
        'node_memory_MemTotal_bytes{instance="srvapp02.example:9100"}': lambda t: 1_000,
        'node_memory_MemAvailable_bytes{instance="srvapp02.example:9100"}': lambda t: 50,
        'node_memory_MemTotal_bytes{instance="SRVAPP03:9100"}': lambda t: 1_000,
        'node_memory_MemAvailable_bytes{instance="SRVAPP03:9100"}': lambda t: 900,
        'node_filesystem_size_bytes{fstype="xfs",instance="SRVAPP03:9100",mountpoint="/data"}': lambda t: 100,
        'node_filesystem_avail_bytes{fstype="xfs",instance="SRVAPP03:9100",mountpoint="/data"}': lambda t: 30,
        'node_filesystem_size_bytes{fstype="tmpfs",instance="SRVAPP03:9100",mountpoint="/run"}': lambda t: 100,
        'node_filesystem_avail_bytes{fstype="tmpfs",instance="SRVAPP03:9100",mountpoint="/run"}': lambda t: 0,
        'node_cpu_seconds_total{cpu="0",instance="SRVAPP03:9100",mode="idle"}': lambda t: 0.25 * (t - now + 2 * DAY),
        'node_vmstat_oom_kill{instance="srvapp02.example:9100"}': lambda t: 3 if t > now - HOUR / 2 else 1,
        # An SRVAPP020 must not pass for SRVAPP02.
        'up{instance="SRVAPP020:9100"}': lambda t: 0,
        'up{instance="srvapp02.example:9100"}': lambda t: 1,
        # Ended half an hour ago: gone, not zero.
        "resync_cache_hit_rate": lambda t: 0.2 if t < now - HOUR / 2 else None,
    }
    lines: list[str] = []
    for name, value in series.items():
        for first, last in hours:
            moments = range(first, last + 1, STEP)
            lines += [f"{name} {at} {moment}" for moment in moments if (at := value(moment)) is not None]
    return "\n".join(lines) + "\n# EOF\n"


@pytest.fixture(scope="module")
def prometheus_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A real server on a free port, its storage filled by promtool."""
    tool = program("promtool")
    folder: Path = tmp_path_factory.mktemp("prometheus")
    now = int(time.time())
    (folder / "planted.txt").write_text(openmetrics(now))
    subprocess.run(
        [tool, "tsdb", "create-blocks-from", "openmetrics", folder / "planted.txt", folder / "data"],
        check=True, capture_output=True, timeout=60,
    )  # fmt: skip
    with running_prometheus(folder) as url:
        yield url


@pytest.fixture
def fetch(prometheus_url: str) -> Callable[..., FetchResult]:
    """Ask the source once."""

    def run(
        *workstations: str, intent: Intent = Intent.TROUBLESHOOT, language: Language = Language.PT_BR, **environ: str
    ) -> FetchResult:
        async def go() -> FetchResult:
            source = MetricsSource.from_env({"RESYNC_PROMETHEUS_URL": prometheus_url, **environ})
            routing = Routing(
                intent=intent, confidence=1, language=language, entities=Entities(workstations=workstations)
            )
            request = SourceRequest(
                run_id="run-00000001", source="metrics", message="?", routing=routing, limit_seconds=10
            )
            return await fetch_once(source, request)

        return asyncio.run(go())

    return run


def series_of(result: FetchResult) -> dict[str, SeriesFacts]:
    """The payload's series by name."""
    return {facts.name: facts for facts in MetricsPayload.model_validate(result.data).series}


def test_a_rising_series_is_summarised_and_compared(fetch: Callable[..., FetchResult]) -> None:
    """The newest value, the hour's figures, its trend and its ratio to the day before come from the real server."""
    result = fetch()
    facts = series_of(result)["api_error_rate"]
    assert result.outcome is SourceOutcome.OK
    assert facts.value == pytest.approx(0.12, abs=0.005)
    assert facts.minimum == pytest.approx(0.02, abs=0.005)
    assert facts.mean == pytest.approx(0.07, abs=0.005)
    assert facts.maximum == pytest.approx(0.12, abs=0.005)
    assert facts.trend == "rising"
    assert facts.anomaly_ratio == pytest.approx(7, abs=0.3)
    assert "taxa de erro da aplicação em 12%, acima de 5%" in write(result.finding, Language.PT_BR)
    assert "subindo" in result.evidence[0].text or "subindo" in result.evidence[1].text
    assert result.truncated is None


def test_a_steady_series_has_no_trend_and_no_anomaly(fetch: Callable[..., FetchResult]) -> None:
    """What is the same as yesterday says so and is no concern."""
    facts = series_of(fetch())["tws_connection_success_rate"]
    assert (facts.trend, facts.anomaly_ratio, facts.concern) == ("flat", 1.0, "")


def test_the_worst_label_set_is_given_with_its_labels(fetch: Callable[..., FetchResult]) -> None:
    """Of all queues, the longest, and which it is."""
    facts = series_of(fetch())["queue_depth"]
    assert (facts.value, facts.labels) == (7.0, {"queue": "rag_search"})


def test_a_series_that_ended_is_missing_not_zero(fetch: Callable[..., FetchResult]) -> None:
    """A series that stopped, and one that never was, are listed as missing and have no value."""
    result = fetch()
    assert {"cache_hit_rate", "api_response_time_p95"} <= set(MetricsPayload.model_validate(result.data).missing)
    assert "cache_hit_rate" not in series_of(result)


def test_the_named_workstation_is_asked_about_and_no_other(fetch: Callable[..., FetchResult]) -> None:
    """Matching is without case, domain and port; SRVAPP020 is another host."""
    found = series_of(fetch("SRVAPP02"))
    assert found["host_memory"].labels == {"instance": "srvapp02.example:9100"}
    assert found["host_memory"].value == pytest.approx(0.95)
    assert found["host_memory"].concern == "memória do servidor em 95%, acima de 90%"
    assert found["host_up"].value == 1
    assert found["host_oom_kills"].value == pytest.approx(2, abs=0.2)
    assert "mortos por falta de memória" in found["host_oom_kills"].concern
    other = series_of(fetch("SRVAPP03"))
    assert other["host_memory"].value == pytest.approx(0.1)
    assert other["host_cpu"].value == pytest.approx(0.75)
    assert other["host_disk"].value == pytest.approx(0.7)
    assert other["host_disk"].labels["mountpoint"] == "/data"


def test_the_kind_of_question_decides_what_is_asked(fetch: Callable[..., FetchResult]) -> None:
    """A question for a state asks fewer queries than one for a cause, and says which."""
    status, cause = fetch(intent=Intent.STATUS), fetch(intent=Intent.TROUBLESHOOT)
    assert not any("api_error_rate" in query for query in status.asked)
    assert any("api_error_rate" in query for query in cause.asked)
    assert "the same 3600 s a day before" in cause.asked[-1]


def test_every_default_query_is_accepted_by_the_server(prometheus_url: str) -> None:
    """No default query, with and without a workstation, is refused as PromQL."""
    for query in DEFAULT_QUERIES:
        for names in ((), ("SRVAPP02", "WS_1-A")):
            text = urllib.parse.urlencode({"query": query.expand(names, label="instance")})
            with urllib.request.urlopen(f"{prometheus_url}/api/v1/query?{text}", timeout=5) as response:
                assert json.load(response)["status"] == "success", query.series.name


def test_a_sites_own_query_and_a_wrong_one(fetch: Callable[..., FetchResult], tmp_path: Path) -> None:
    """A site's query is asked beside the defaults; one that the server refuses costs only itself and is named."""
    path = tmp_path / "queries.json"
    queries = [
        {"name": "biggest_queue", "query": "max(resync_queue_depth)", "limit": 5, "label": {"pt-BR": "maior fila"}},
        {"name": "broken", "query": "max(resync_queue_depth"},
    ]
    path.write_text(json.dumps({"queries": queries}))
    result = fetch(RESYNC_METRICS_QUERIES_FILE=str(path))
    found = series_of(result)
    assert found["biggest_queue"].concern == "maior fila em 7, acima de 5"
    assert "api_error_rate" in found
    assert result.truncated is not None
    assert str(result.truncated).startswith("broken: ")
    assert "parse error" in str(result.truncated)


def test_only_wrong_queries_are_an_error(fetch: Callable[..., FetchResult], tmp_path: Path) -> None:
    """When nothing could be asked, the outcome is bad_query, not an empty answer."""
    path = tmp_path / "queries.json"
    path.write_text(json.dumps({"keep_defaults": False, "queries": [{"name": "broken", "query": "max("}]}))
    with pytest.raises(SourceError) as caught:
        fetch(RESYNC_METRICS_QUERIES_FILE=str(path))
    assert caught.value.reason == "bad_query"


def test_an_unknown_host_has_no_data(fetch: Callable[..., FetchResult], tmp_path: Path) -> None:
    """A workstation that nothing is known of gives no_data for its figures, not those of another host."""
    path = tmp_path / "queries.json"
    own = {"keep_defaults": False, "queries": [{"name": "memory", "query": "node_memory_MemTotal_bytes{$workstation}"}]}
    path.write_text(json.dumps(own))
    result = fetch("NOWHERE1", RESYNC_METRICS_QUERIES_FILE=str(path))
    assert result.outcome is SourceOutcome.NO_DATA
    assert MetricsPayload.model_validate(result.data).missing == ("memory",)


def test_the_http_api_takes_a_small_part_of_the_limit(prometheus_url: str, request: pytest.FixtureRequest) -> None:
    """All queries with their ranges take a tenth of the default limit at most; the figures are printed."""

    async def go() -> list[float]:
        source = MetricsSource.from_env({"RESYNC_PROMETHEUS_URL": prometheus_url})
        routing = Routing(
            intent=Intent.TROUBLESHOOT,
            confidence=1,
            language=Language.PT_BR,
            entities=Entities(workstations=("SRVAPP02",)),
        )
        asked = SourceRequest(run_id="run-00000001", source="metrics", message="?", routing=routing, limit_seconds=5)
        taken = []
        try:
            await source.fetch(asked)
            for _ in range(20):
                began = time.perf_counter()
                await source.fetch(asked)
                taken.append((time.perf_counter() - began) * 1_000)
        finally:
            await source.close()
        return taken

    taken = asyncio.run(go())
    median = statistics.median(taken)
    p95 = statistics.quantiles(taken, n=20)[-1]
    request.config.get_terminal_writer().line(f" metrics, HTTP API: median {median:.1f} ms, p95 {p95:.1f} ms")
    assert median < stretched(500)
