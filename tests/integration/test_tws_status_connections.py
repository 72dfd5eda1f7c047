"""How tws_status connects: authentication, TLS, proxies, several instances, connections that are kept."""

import asyncio
import gc
import json
import socket
import ssl
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest
import trustme
from tests_support import fetch_once, stretched

from orchestrator.errors import SourceError
from orchestrator.i18n.languages import Language
from orchestrator.models import Intent, Routing, SourceRequest
from orchestrator.sources import FetchResult
from workers.lab.simulator.http import LocalServer, QuietServer
from workers.lab.simulator.hwa import HwaSimulator
from workers.lab.simulator.scenarios import get_scenario
from workers.runtime.event_loop import Runtime
from workers.sources.tws_status.client import MAX_CONNECTIONS
from workers.sources.tws_status.instances import TwsInstance
from workers.sources.tws_status.source import SPEC


def _request(instance: str | None = None, job: str = "BATCH001") -> SourceRequest:
    return SourceRequest(
        run_id="run-00000001",
        source="tws_status",
        job=job,
        message="Job BATCH001 falhou",
        routing=Routing(intent=Intent.TROUBLESHOOT, confidence=1, language=Language.PT_BR),
        tws_instance_id=instance,
        limit_seconds=5,
    )


def _fetch(environ: dict[str, str], *requests: SourceRequest) -> list[FetchResult]:
    async def go() -> list[FetchResult]:
        source = SPEC.create(environ)
        try:
            return [await source.fetch(request) for request in requests or (_request(),)]
        finally:
            await source.close()

    return asyncio.run(go())


def _refused(environ: dict[str, str], request: SourceRequest | None = None) -> SourceError:
    with pytest.raises(SourceError) as caught:
        _fetch(environ, request or _request())
    return caught.value


def test_basic_authentication_lets_in_and_a_wrong_password_does_not() -> None:
    """TWS_USER and TWS_PASSWORD are sent, and the refusal names the variables but no value."""
    with HwaSimulator(get_scenario(1).plan) as server:
        assert _fetch(server.environ())[0].data["job"]["name"] == "BATCH001"
        error = _refused({**server.environ(), "TWS_PASSWORD": "errada-123"})
    assert error.reason == "unauthorized"
    assert "TWS_PASSWORD" in str(error)
    assert "errada-123" not in str(error)


def test_a_bearer_token_lets_in() -> None:
    """TWS_TOKEN is sent as a bearer token."""
    with HwaSimulator(get_scenario(1).plan, token="jeton-1") as server:
        environ = {"TWS_BASE_URL": server.base_url, "TWS_TOKEN": "jeton-1"}
        assert _fetch(environ)[0].data["job"]["name"] == "BATCH001"
        assert _refused({**environ, "TWS_TOKEN": "jeton-2"}).reason == "unauthorized"


def test_a_gateways_own_header_lets_in() -> None:
    """TWS_AUTH_HEADER is sent as it is, beside or in place of other credentials."""
    with HwaSimulator(get_scenario(1).plan, header=("X-Api-Key", "chave-9")) as server:
        environ = {"TWS_BASE_URL": server.base_url, "TWS_AUTH_HEADER": "X-Api-Key: chave-9"}
        assert _fetch(environ)[0].data["job"]["name"] == "BATCH001"
        assert _refused({"TWS_BASE_URL": server.base_url}).reason == "unauthorized"


def test_results_hold_no_credentials() -> None:
    """Neither data, evidence, what was asked nor where it was asked holds the password."""
    with HwaSimulator(get_scenario(1).plan) as server:
        result = _fetch(server.environ())[0]
        assert server.password not in repr(result)
        assert result.where == server.base_url.removeprefix("http://")


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    """A certificate authority of our own."""
    return trustme.CA()


@pytest.fixture
def tls_server(authority: trustme.CA) -> Iterator[HwaSimulator]:
    """A server over TLS with a certificate of that authority."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    with HwaSimulator(get_scenario(1).plan, tls=context) as server:
        yield server


def test_a_ca_bundle_makes_a_private_certificate_trusted(
    tls_server: HwaSimulator, authority: trustme.CA, tmp_path: Path
) -> None:
    """TWS_VERIFY names the bundle, as one file or as a folder-less path in the instances file."""
    bundle = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(bundle)
    assert _fetch({**tls_server.environ(), "TWS_VERIFY": str(bundle)})[0].data["job"]["name"] == "BATCH001"


def test_a_plain_request_to_a_tls_port_is_named(tls_server: HwaSimulator) -> None:
    """http:// to a port that speaks TLS says so and what to set, though such a server cuts without a word."""
    plain = tls_server.base_url.replace("https://", "http://")
    error = _refused(tls_server.environ() | {"TWS_BASE_URL": plain})
    assert error.reason == "tls"
    assert "https://" in str(error)
    assert "TWS_BASE_URL" in str(error)


def test_a_gateway_that_refuses_plain_http_is_named() -> None:
    """A 400 whose body says that the port wants TLS is no refused query."""

    class Gateway(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = b"<h1>400 Bad Request</h1>The plain HTTP request was sent to HTTPS port"
            self.send_response(400)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    with LocalServer(Gateway) as server:
        error = _refused({"TWS_BASE_URL": server.base_url, "TWS_TOKEN": "jeton-1"})
    assert error.reason == "tls"
    assert "https://" in str(error)


def test_tls_to_a_plain_port_is_named() -> None:
    """https:// to a port of plain HTTP says so, and not that a certificate should be trusted."""
    with HwaSimulator(get_scenario(1).plan) as server:
        error = _refused(server.environ() | {"TWS_BASE_URL": server.base_url.replace("http://", "https://")})
    assert error.reason == "tls"
    assert "http://" in str(error)
    assert "TWS_VERIFY" not in str(error)


def test_an_untrusted_certificate_is_a_tls_error(tls_server: HwaSimulator) -> None:
    """Without the bundle the handshake fails, is not retried, and the error names the variable."""
    error = _refused(tls_server.environ())
    assert error.reason == "tls"
    assert "TWS_VERIFY" in str(error)
    assert tls_server.requests == ()


def test_a_certificate_of_another_host_is_a_tls_error(authority: trustme.CA, tmp_path: Path) -> None:
    """A trusted certificate for another name is refused too."""
    bundle = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(bundle)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("outro.exemplo").configure_cert(context)
    with HwaSimulator(get_scenario(1).plan, tls=context) as server:
        assert _refused({**server.environ(), "TWS_VERIFY": str(bundle)}).reason == "tls"


def test_verification_can_be_turned_off(tls_server: HwaSimulator) -> None:
    """TWS_VERIFY=false accepts any certificate, on the operator's own word."""
    assert _fetch({**tls_server.environ(), "TWS_VERIFY": "false"})[0].data["job"]["name"] == "BATCH001"


def test_a_handshake_that_never_ends_is_a_timeout() -> None:
    """A port that accepts and says nothing costs the limit at most, and its socket is closed."""
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        environ = {"TWS_BASE_URL": f"https://127.0.0.1:{silent.getsockname()[1]}"}
        started = time.monotonic()
        error = _refused(environ, _request().model_copy(update={"limit_seconds": 1.5}))
    assert error.reason == "timeout"
    assert "no connection within" in str(error)
    assert time.monotonic() - started < stretched(1.5)


def test_speaking_tls_to_a_plain_server_is_a_tls_error() -> None:
    """https:// for a port that speaks http is told as what it is."""
    with HwaSimulator(get_scenario(1).plan) as server:
        environ = server.environ()
        environ["TWS_BASE_URL"] = environ["TWS_BASE_URL"].replace("http://", "https://")
        assert _refused(environ).reason == "tls"


def test_the_environments_proxy_is_not_used_unless_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    """A proxy variable that leads nowhere changes nothing, until TWS_USE_PROXY asks for it."""
    for name in ("http_proxy", "HTTP_PROXY", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    with HwaSimulator(get_scenario(1).plan) as server:
        assert _fetch(server.environ())[0].data["job"]["name"] == "BATCH001"
        before = len(server.requests)
        assert _refused({**server.environ(), "TWS_USE_PROXY": "true"}).reason == "unreachable"
        assert len(server.requests) == before


def test_credentials_in_netrc_are_not_used(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Only what is configured for TWS is sent."""
    with HwaSimulator(get_scenario(1).plan) as server:
        netrc = tmp_path / "netrc"
        netrc.write_text(f"machine 127.0.0.1 login {server.user} password {server.password}\n")
        monkeypatch.setenv("NETRC", str(netrc))
        assert _refused({"TWS_BASE_URL": server.base_url}).reason == "unauthorized"


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """The connections that simulated servers have accepted."""
    found: list[object] = []
    serve = QuietServer.process_request

    def counting(self: QuietServer, request: object, address: object) -> None:
        found.append(address)
        serve(self, request, address)

    monkeypatch.setattr(QuietServer, "process_request", counting)
    return found


def test_connections_are_kept_between_fetches(opened: list[object]) -> None:
    """A second fetch of the same process opens no new connection."""
    with HwaSimulator(get_scenario(1).plan) as server:
        _fetch(server.environ(), _request())
        once, requests = len(opened), len(server.requests)
        opened.clear()
        _fetch(server.environ(), *[_request()] * 4)
        assert len(server.requests) == 5 * requests - 3
    assert len(opened) <= once + 2


def test_connections_are_kept_between_bursts_of_questions(opened: list[object]) -> None:
    """The threads of a worker share one loop and its connections: what one burst opened serves the next."""
    with HwaSimulator(get_scenario(1).plan) as server:
        runtime = Runtime(server.environ())
        try:
            request = _request().model_copy(update={"limit_seconds": 30})
            for _ in range(4):
                asked = [runtime.submit(runtime.source("tws_status").result(30).fetch(request)) for _ in range(12)]
                assert all(future.result(30).data["notes"] == [] for future in asked)
        finally:
            runtime.close()
        assert len(server.requests) > 10 * MAX_CONNECTIONS
    assert len(opened) <= MAX_CONNECTIONS


def test_several_instances_are_told_apart(tmp_path: Path) -> None:
    """Each request goes to the instance it names, the default one when it names none."""
    with HwaSimulator(get_scenario(1).plan) as first, HwaSimulator(get_scenario(6).plan) as second:
        path = tmp_path / "instances.json"
        entries = {
            name: {"base_url": server.base_url, "user": server.user, "password": server.password}
            for name, server in (("prod", first), ("dw", second))
        }
        path.write_text(json.dumps(entries))
        environ = {"TWS_INSTANCES_FILE": str(path), "TWS_DEFAULT_INSTANCE": "prod"}
        default, named = _fetch(environ, _request(), _request("dw", "CONSOLIDA"))
        assert (default.data["instance"], default.data["job"]["name"]) == ("prod", "BATCH001")
        assert (named.data["instance"], named.data["job"]["name"]) == ("dw", "CONSOLIDA")
        error = _refused(environ, _request("teste"))
        assert error.reason == "unknown_instance"
        assert "dw, prod" in str(error)


def test_without_configuration_the_fetch_names_the_variable() -> None:
    """A worker without TWS answers with the variable to set."""
    error = _refused({})
    assert error.reason == "not_configured"
    assert "TWS_BASE_URL" in str(error)


def test_a_source_can_be_used_on_one_loop_after_another() -> None:
    """Connections belong to a loop: a source that outlives its loop opens new ones."""
    with HwaSimulator(get_scenario(1).plan) as server:
        source = SPEC.create(server.environ())

        async def once() -> FetchResult:
            return await fetch_once(source, _request())

        assert asyncio.run(once()).data["job"]["name"] == "BATCH001"
        assert asyncio.run(once()).data["job"]["name"] == "BATCH001"


def test_a_redirect_is_not_followed_with_the_credentials() -> None:
    """A gateway that sends the client elsewhere gets no second request, and the other host none at all."""
    asked: list[str] = []

    def answering(status: int, location: str) -> LocalServer:
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                asked.append(self.headers.get("Host", ""))
                self.send_response(status)
                self.send_header("Location", location)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *args: object) -> None:
                """Keep quiet."""

        return LocalServer(Handler, host="127.0.0.1", port=0)

    with answering(200, "") as elsewhere:
        for status in (301, 302, 307, 308):
            asked.clear()
            with answering(status, f"{elsewhere.base_url}/twsd/api/v2/plan/job") as gateway:
                environ = {"TWS_BASE_URL": gateway.base_url, "TWS_USER": "reader", "TWS_PASSWORD": "planted"}
                with pytest.raises(SourceError) as caught:
                    _fetch(environ)
                gateway_host = gateway.base_url.removeprefix("http://")
            assert (caught.value.reason, asked) == ("unexpected_status", [gateway_host])


def test_a_ca_bundle_that_has_gone_is_a_tls_error(
    tls_server: HwaSimulator, authority: trustme.CA, tmp_path: Path
) -> None:
    """A bundle that was there at the start and is not at the first question is told as what it is."""
    bundle = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(bundle)
    source = SPEC.create({**tls_server.environ(), "TWS_VERIFY": str(bundle)})
    bundle.unlink()
    with pytest.raises(SourceError, match="TWS_VERIFY") as caught:
        asyncio.run(source.fetch(_request()))
    assert caught.value.reason == "tls"


def test_slow_certificates_leave_connecting_its_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Loading them ends before the time of the request begins: a silent handshake ends by itself, socket included."""
    made = TwsInstance.ssl_context

    def slowly(self: TwsInstance) -> ssl.SSLContext:
        time.sleep(0.4)
        return made(self)

    monkeypatch.setattr(TwsInstance, "ssl_context", slowly)
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        environ = {"TWS_BASE_URL": f"https://127.0.0.1:{silent.getsockname()[1]}"}
        _refused(environ, _request().model_copy(update={"limit_seconds": 2}))
        connected, _ = silent.accept()
        with connected:
            connected.settimeout(5)
            while connected.recv(4096):
                """Read the client's greeting up to the end of the connection."""
    gc.collect()  # an open socket would warn here, and a warning fails the test
