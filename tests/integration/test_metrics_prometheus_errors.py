"""The HTTP API failing in every way: a scripted server in the place of Prometheus."""

from __future__ import annotations

import asyncio
import contextlib
import json
import ssl
import threading
import time
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest
import trustme
from tests_support import fetch_once

from orchestrator.errors import ConfigurationError, SourceError
from orchestrator.i18n.languages import Language
from orchestrator.models import Clue, Entities, Intent, Routing, SourceOutcome, SourceRequest
from orchestrator.payloads import MetricsPayload
from orchestrator.sources import FetchResult
from workers.lab.simulator.http import QuietServer
from workers.sources.metrics.source import MetricsSource

NOW = 1_795_500_000.0
TEXT = "resync_slo_api_error_rate 0.5\n"


def vector(*values: float | str) -> dict[str, Any]:
    """An instant answer with one label set per value."""
    result = [{"metric": {"n": str(n)}, "value": [NOW, str(value)]} for n, value in enumerate(values)]
    return {"status": "success", "data": {"resultType": "vector", "result": result}}


def matrix(*values: float) -> dict[str, Any]:
    """A range of one label set."""
    points = [[NOW + n, str(value)] for n, value in enumerate(values)]
    return {"status": "success", "data": {"resultType": "matrix", "result": [{"metric": {"n": "0"}, "values": points}]}}


@dataclass
class Api:
    """What the server answers; ``hang`` names the paths it never answers."""

    url: str = ""
    status: int = 200
    instant: Any = field(default_factory=lambda: vector(0.2))
    range: Any = field(default_factory=lambda: matrix(0.1, 0.2))
    hang: tuple[str, ...] = ()
    cut: bool = False
    location: str = ""
    """Where a redirect leads."""
    released: threading.Event = field(default_factory=threading.Event)
    asked: threading.Event = field(default_factory=threading.Event)
    closed: threading.Event = field(default_factory=threading.Event)
    paths: list[str] = field(default_factory=list)
    authorizations: list[str] = field(default_factory=list)

    def body(self, path: str) -> bytes:
        if path.startswith("/metrics"):
            return TEXT.encode()
        answer = self.range if "query_range" in path else self.instant
        return answer if isinstance(answer, bytes) else json.dumps(answer).encode()


@pytest.fixture
def api() -> Iterator[Api]:
    """The server, on a free port."""
    with serving(Api()) as script:
        yield script


@contextlib.contextmanager
def serving(script: Api, tls: ssl.SSLContext | None = None) -> Iterator[Api]:
    """A server that follows the script."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            script.paths.append(self.path)
            script.authorizations.append(self.headers.get("Authorization", ""))
            script.asked.set()
            if any(part in self.path for part in script.hang):
                self.connection.settimeout(0.02)
                while not script.released.is_set():
                    with contextlib.suppress(TimeoutError, ConnectionResetError):
                        if self.connection.recv(1) == b"":
                            script.closed.set()
                            break
                self.close_connection = True
                return
            body = script.body(self.path)
            self.send_response(200 if self.path.startswith("/metrics") else script.status)
            if script.location:
                self.send_header("Location", script.location)
            self.send_header("Content-Length", str(len(body) + (10 if script.cut else 0)))
            self.end_headers()
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                self.wfile.write(body)
            self.close_connection = script.cut

        def log_message(self, *args: object) -> None:
            """Keep quiet."""

    http = QuietServer(("127.0.0.1", 0), Handler)
    http.tls = tls
    script.url = f"{'http' if tls is None else 'https'}://127.0.0.1:{http.server_port}"
    thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield script
    finally:
        script.released.set()
        http.shutdown()
        http.disconnect_all()
        http.server_close()
        thread.join()


def request_for(limit: float = 5.0, *workstations: str) -> SourceRequest:
    """What the source is asked."""
    routing = Routing(
        intent=Intent.TROUBLESHOOT, confidence=1, language=Language.EN, entities=Entities(workstations=workstations)
    )
    return SourceRequest(run_id="run-00000001", source="metrics", message="?", routing=routing, limit_seconds=limit)


def fetch(api: Api, *, limit: float = 5.0, workstations: tuple[str, ...] = (), **environ: str) -> FetchResult:
    """Ask the source once."""

    async def go() -> FetchResult:
        source = MetricsSource.from_env({"RESYNC_PROMETHEUS_URL": api.url, **environ})
        return await fetch_once(source, request_for(limit, *workstations))

    return asyncio.run(go())


def html(api: Api) -> None:
    api.instant = b"<html>login</html>"


def other_json(api: Api) -> None:
    api.instant = {"hello": "world"}


def a_list(api: Api) -> None:
    api.instant = [1]


def no_result(api: Api) -> None:
    api.instant = {"status": "success", "data": {"result": "none"}}


def refused(api: Api) -> None:
    api.status, api.instant = 400, {"status": "error", "errorType": "bad_data", "error": "parse error"}


def server_error(api: Api) -> None:
    api.status = 503


def unauthorized(api: Api) -> None:
    api.status = 401


def cut_off(api: Api) -> None:
    api.cut = True


def silent(api: Api) -> None:
    api.hang = ("/api/v1/query",)


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        (html, "bad_format"),
        (other_json, "bad_format"),
        (a_list, "bad_format"),
        (no_result, "bad_format"),
        (refused, "bad_query"),
        (server_error, "http_status"),
        (unauthorized, "unauthorized"),
        (cut_off, "unreachable"),
        (silent, "timeout"),
    ],
)
def test_each_failure_has_its_reason(api: Api, fault: Callable[[Api], None], reason: str) -> None:
    """Whatever the server does, the outcome is an error with a reason, never an empty answer."""
    fault(api)
    with pytest.raises(SourceError) as caught:
        fetch(api, limit=0.6 if reason == "timeout" else 5)
    assert caught.value.reason == reason
    assert caught.value.where == api.url
    assert any("resync_slo_api_error_rate" in text for text in caught.value.asked)


def test_a_failing_api_is_replaced_by_the_text(api: Api) -> None:
    """With a text endpoint beside it, a failing API costs detail, not the answer, and the answer says so."""
    silent(api)
    result = fetch(api, limit=2.0, RESYNC_METRICS_URL=f"{api.url}/metrics")
    payload = MetricsPayload.model_validate(result.data)
    assert (payload.backend, payload.series[0].value) == ("text", 0.5)
    assert str(result.truncated) == "the HTTP API could not be queried (timeout); the exposition text was read instead"


def test_values_are_served_when_the_ranges_hang(api: Api) -> None:
    """A slow range costs the summary alone: the newest values stand, and what is missing is said."""
    api.hang = ("query_range",)
    result = fetch(api, limit=2.0)
    payload = MetricsPayload.model_validate(result.data)
    assert payload.series[0].value == 0.2
    assert payload.series[0].mean is None
    assert str(result.truncated) == f"{len(payload.series)} ranges not read in time, or too large"


def test_values_that_are_no_numbers_are_missing(api: Api) -> None:
    """NaN and garbage are no data."""
    api.instant = vector("NaN", "+Inf", "x")
    result = fetch(api)
    assert result.outcome is SourceOutcome.NO_DATA
    assert "api_error_rate" in MetricsPayload.model_validate(result.data).missing


def test_the_worst_of_very_many_label_sets_is_found(api: Api) -> None:
    """A site of hundreds of hosts is read to its end: the full one may be the last."""
    api.instant = vector(*[0.1] * 1_500, 0.97)
    series = MetricsPayload.model_validate(fetch(api).data).series
    assert {(item.value, item.labels["n"]) for item in series if item.name == "host_disk"} == {(0.97, "1500")}


@pytest.mark.parametrize("moment", [1e20, -1, float("nan"), float("inf"), "now", None])
def test_a_value_at_no_time_is_missing(api: Api, moment: object) -> None:
    """A time that no clock shows spoils its value, not the answer."""
    api.instant = vector(0.2)
    api.instant["data"]["result"][0]["value"][0] = moment
    assert fetch(api).outcome is SourceOutcome.NO_DATA


def test_a_flood_of_series_is_refused_by_size(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    """An answer beyond the byte limit is not loaded."""
    monkeypatch.setattr("workers.sources.metrics.prometheus.MAX_BODY_BYTES", 50)
    with pytest.raises(SourceError, match="larger than 50 bytes"):
        fetch(api)


def test_a_workstation_that_is_none_is_never_sent(api: Api) -> None:
    """A name that could change the query is refused before anything is asked."""
    with pytest.raises(SourceError) as caught:
        fetch(api, workstations=('x"} or up{a="',))
    assert caught.value.reason == "invalid_value"
    assert api.paths == []


def test_a_cancelled_fetch_closes_its_connections(api: Api) -> None:
    """Cancelling the coroutine ends it at once and the server sees its connections closed."""
    silent(api)

    async def go() -> None:
        source = MetricsSource.from_env({"RESYNC_PROMETHEUS_URL": api.url})
        task = asyncio.create_task(source.fetch(request_for(30)))
        assert await asyncio.to_thread(api.asked.wait, 5)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert await asyncio.to_thread(api.closed.wait, 5)
        await source.close()

    started = time.monotonic()
    asyncio.run(go())
    assert time.monotonic() - started < 10


def test_a_server_without_tls_is_told_as_such(api: Api) -> None:
    """An https address of a server that does not speak TLS has a reason of its own."""
    api.url = api.url.replace("http://", "https://")
    with pytest.raises(SourceError) as caught:
        fetch(api)
    assert caught.value.reason == "tls"


def test_a_ca_bundle_that_is_not_there_fails_at_start() -> None:
    """A wrong path is a configuration error that names the variable."""
    environ = {"RESYNC_PROMETHEUS_URL": "https://127.0.0.1:1", "RESYNC_METRICS_CA_BUNDLE": "/nowhere.pem"}
    with pytest.raises(ConfigurationError, match="RESYNC_METRICS_CA_BUNDLE"):
        MetricsSource.from_env(environ)


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    """A certificate authority of our own."""
    return trustme.CA()


@pytest.fixture
def tls_api(authority: trustme.CA) -> Iterator[Api]:
    """The server over TLS, with a certificate of that authority."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    with serving(Api(), context) as script:
        yield script


def test_a_ca_bundle_makes_a_private_certificate_trusted(tls_api: Api, authority: trustme.CA, tmp_path: Path) -> None:
    """With RESYNC_METRICS_CA_BUNDLE the API and the text are read over TLS, and the token is sent there."""
    bundle = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(bundle)
    environ = {"RESYNC_METRICS_CA_BUNDLE": str(bundle), "RESYNC_METRICS_TOKEN": "planted-token"}
    assert MetricsPayload.model_validate(fetch(tls_api, **environ).data).series[0].value == 0.2
    text_only = {"RESYNC_PROMETHEUS_URL": "", "RESYNC_METRICS_URL": f"{tls_api.url}/metrics"}
    result = fetch(tls_api, **environ, **text_only)
    assert MetricsPayload.model_validate(result.data).series[0].value == 0.5
    assert set(tls_api.authorizations) == {"Bearer planted-token"}
    assert "planted-token" not in repr(result)


def test_a_private_certificate_without_its_bundle_is_a_tls_error(tls_api: Api) -> None:
    """The error says why the handshake failed and which variable helps; nothing was sent."""
    with pytest.raises(SourceError, match=r"certificate.*RESYNC_METRICS_CA_BUNDLE") as caught:
        fetch(tls_api)
    assert caught.value.reason == "tls"
    assert tls_api.paths == []


def test_a_certificate_of_another_host_is_a_tls_error(authority: trustme.CA, tmp_path: Path) -> None:
    """A trusted certificate for another name is refused too."""
    bundle = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(bundle)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("prometheus.example").configure_cert(context)
    with serving(Api(), context) as script, pytest.raises(SourceError) as caught:
        fetch(script, RESYNC_METRICS_CA_BUNDLE=str(bundle))
    assert caught.value.reason == "tls"


def test_a_redirect_is_not_followed_with_the_token(api: Api) -> None:
    """Another address never sees the credentials: a redirect is an unexpected status."""
    with serving(Api()) as elsewhere:
        api.status, api.location = 302, f"{elsewhere.url}/api/v1/query"
        with pytest.raises(SourceError, match="302"):
            fetch(api, RESYNC_METRICS_TOKEN="planted-token")
        assert elsewhere.paths == []


@pytest.mark.parametrize(("days_ago", "is_asked"), [(2, True), (0, False)])
def test_the_values_of_the_time_at_which_the_run_ended_are_asked_for(api: Api, days_ago: int, is_asked: bool) -> None:
    """When tws_status tells it in time; the newest values still show a run that has just ended."""
    end = (datetime.now(UTC) - timedelta(days=days_ago)).replace(microsecond=0)

    class Board:
        waited_seconds = 0.0

        async def post(self, clue: Clue) -> None:
            raise AssertionError(clue)

        async def wait(self, sources: Collection[str], *, seconds: float) -> tuple[Clue, ...]:
            assert seconds > 0
            return tuple(Clue(source=name, ended_at=end.isoformat()) for name in sources)

    async def go() -> FetchResult:
        source = MetricsSource.from_env({"RESYNC_PROMETHEUS_URL": api.url})
        return await fetch_once(source, request_for().model_copy(update={"clues": Board()}))

    result = asyncio.run(go())
    assert any(f"time={end.timestamp():.3f}" in path for path in api.paths) is is_asked
    assert result.data["at"] == (end.isoformat() if is_asked else None)
    assert (end.isoformat() in str(result.finding)) is is_asked
