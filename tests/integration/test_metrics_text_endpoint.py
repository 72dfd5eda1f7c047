"""The metrics source against a real HTTP server that serves, or fails to serve, exposition text."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from tests_support import fetch_once

from orchestrator.errors import ConfigurationError, SourceError
from orchestrator.i18n.languages import Language
from orchestrator.i18n.message import write
from orchestrator.models import Intent, Routing, SourceOutcome, SourceRequest
from orchestrator.payloads import MetricsPayload
from orchestrator.sources import FetchResult
from workers.sources.metrics.source import MetricsSource

BODY = """# HELP resync_slo_api_error_rate share of failed requests
# TYPE resync_slo_api_error_rate gauge
resync_slo_api_error_rate 0.12
resync_slo_tws_connection_success_rate 0.99
resync_queue_depth{queue="rag_search"} 3
"""


@dataclass
class Server:
    """A scripted endpoint: what to answer, and what was asked."""

    url: str = ""
    status: int = 200
    body: bytes = BODY.encode()
    hang: threading.Event | None = None
    headers: list[dict[str, str]] = field(default_factory=list)


@pytest.fixture
def server() -> Iterator[Server]:
    """A server on a free port of 127.0.0.1."""
    script = Server()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            script.headers.append(dict(self.headers))
            if script.hang is not None:
                script.hang.wait(20)
                return
            self.send_response(script.status)
            self.send_header("Content-Length", str(len(script.body)))
            self.end_headers()
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                self.wfile.write(script.body)

        def log_message(self, *args: object) -> None:
            """Keep quiet."""

    http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    script.url = f"http://127.0.0.1:{http.server_port}/metrics"
    thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield script
    if script.hang is not None:
        script.hang.set()
    http.shutdown()
    http.server_close()
    thread.join()


@pytest.fixture
def fetch() -> Callable[..., FetchResult]:
    """Fetch once with the given environment."""

    def run(environ: dict[str, str], *, language: Language = Language.PT_BR, limit: float = 5.0) -> FetchResult:
        async def go() -> FetchResult:
            source = MetricsSource.from_env(environ)
            routing = Routing(intent=Intent.TROUBLESHOOT, confidence=1.0, language=language)
            request = SourceRequest(
                run_id="run-00000001", source="metrics", message="?", routing=routing, limit_seconds=limit
            )
            return await fetch_once(source, request)

        return asyncio.run(go())

    return run


@pytest.mark.parametrize(
    ("language", "words"),
    [
        (Language.PT_BR, "taxa de erro da aplicação em 12%, acima de 5%"),
        (Language.EN, "application error rate at 12%, above 5%"),
        (Language.ES, "tasa de error de la aplicación en 12%, por encima de 5%"),
    ],
)
def test_values_concerns_and_missing_series(
    server: Server, fetch: Callable[..., FetchResult], language: Language, words: str
) -> None:
    """Published series have values, one beyond its limit a concern in the user's language, the rest are missing."""
    result = fetch({"RESYNC_METRICS_URL": server.url}, language=language)
    payload = MetricsPayload.model_validate(result.data)
    assert result.outcome is SourceOutcome.OK
    assert payload.backend == "text"
    assert {facts.name: facts.value for facts in payload.series} == {
        "api_error_rate": 0.12,
        "tws_connection_success_rate": 0.99,
        "queue_depth": 3.0,
    }
    assert {"host_cpu", "cache_hit_rate"} <= set(payload.missing)
    assert [facts.concern for facts in payload.series] == [words, "", ""]
    assert words in write(result.finding, language)
    assert [item.id for item in result.evidence] == ["metrics:1", "metrics:2", "metrics:3"]
    assert result.evidence[0].text == f"api_error_rate = 12%: {words}"
    assert result.where == server.url


def test_nothing_of_interest_is_no_data(server: Server, fetch: Callable[..., FetchResult]) -> None:
    """An endpoint without any of the series answers no_data and lists them as missing."""
    server.body = b"python_info 1\n"
    result = fetch({"RESYNC_METRICS_URL": server.url})
    assert result.outcome is SourceOutcome.NO_DATA
    assert len(MetricsPayload.model_validate(result.data).missing) == 8


@pytest.mark.parametrize(("status", "reason"), [(500, "http_status"), (302, "http_status"), (401, "unauthorized")])
def test_a_status_is_an_error_with_a_reason(
    server: Server, fetch: Callable[..., FetchResult], status: int, reason: str
) -> None:
    """A bad status is an error that names the status, never an empty answer."""
    server.status = status
    with pytest.raises(SourceError, match=str(status)) as caught:
        fetch({"RESYNC_METRICS_URL": server.url})
    assert caught.value.reason == reason


def test_another_format_is_an_error(server: Server, fetch: Callable[..., FetchResult]) -> None:
    """A login page in place of metrics is bad_format."""
    server.body = b"<html><body>login</body></html>"
    with pytest.raises(SourceError) as caught:
        fetch({"RESYNC_METRICS_URL": server.url})
    assert caught.value.reason == "bad_format"


def test_a_server_that_never_answers_times_out_below_the_limit(
    server: Server, fetch: Callable[..., FetchResult]
) -> None:
    """The client gives up by itself before the source's limit, with reason timeout."""
    server.hang = threading.Event()
    with pytest.raises(SourceError) as caught:
        fetch({"RESYNC_METRICS_URL": server.url}, limit=0.4)
    assert caught.value.reason == "timeout"


def test_no_server_is_unreachable(fetch: Callable[..., FetchResult]) -> None:
    """A refused connection is unreachable, and the message holds no credentials."""
    with pytest.raises(SourceError) as caught:
        fetch({"RESYNC_METRICS_URL": "http://joe:hunter2@127.0.0.1:1/metrics"})
    assert caught.value.reason == "unreachable"
    assert "hunter2" not in str(caught.value)


def test_credentials_are_sent_and_not_shown(server: Server, fetch: Callable[..., FetchResult]) -> None:
    """Basic credentials of the URL go into the header and nowhere else."""
    url = server.url.replace("http://", "http://joe:hunter2@")
    result = fetch({"RESYNC_METRICS_URL": url})
    assert server.headers[0]["Authorization"].startswith("Basic ")
    assert "hunter2" not in repr(result)


def test_a_token_is_sent_as_bearer(server: Server, fetch: Callable[..., FetchResult]) -> None:
    """RESYNC_METRICS_TOKEN goes into the Authorization header."""
    fetch({"RESYNC_METRICS_URL": server.url, "RESYNC_METRICS_TOKEN": "planted"})
    assert server.headers[0]["Authorization"] == "Bearer planted"


def test_a_long_body_is_cut_and_said(
    server: Server, fetch: Callable[..., FetchResult], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A body beyond the byte limit is read up to it, and truncated says so."""
    monkeypatch.setattr("workers.sources.metrics.source.MAX_BODY_BYTES", 150)
    result = fetch({"RESYNC_METRICS_URL": server.url})
    assert str(result.truncated) == "the body was read up to 150 bytes"
    assert len(MetricsPayload.model_validate(result.data).series) == 1


def test_nothing_configured_names_the_variables(fetch: Callable[..., FetchResult]) -> None:
    """Without an address the outcome is not_configured and names what to set."""
    with pytest.raises(SourceError, match="RESYNC_METRICS_URL") as caught:
        fetch({})
    assert caught.value.reason == "not_configured"


def test_a_wrong_url_fails_at_start() -> None:
    """An address without a scheme is a configuration error that names the variable."""
    with pytest.raises(ConfigurationError, match="RESYNC_METRICS_URL"):
        MetricsSource.from_env({"RESYNC_METRICS_URL": "localhost:9000/metrics"})
