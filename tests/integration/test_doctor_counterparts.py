"""doctor against real HTTP servers and a real index: what is there, what is wrong, what to do, and no secret."""

from __future__ import annotations

import json
import socket
import socketserver
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest
import trustme
from openai_support import FakeOpenAIServer
from tests_support import stretched

from orchestrator.cli.context import CliContext
from orchestrator.cli.main import run
from workers.knowledge.embeddings import EMBED_SECONDS
from workers.knowledge.sqlite.folder import index_folder
from workers.knowledge.sqlite.index import KnowledgeIndex
from workers.lab.simulator.faults import Fault
from workers.lab.simulator.http import LocalServer
from workers.lab.simulator.hwa import HwaSimulator
from workers.lab.simulator.metrics import AppMetricsServer
from workers.lab.simulator.scenarios import get_scenario
from workers.sources.tws_status.instances import TwsInstance
from workers.standalone.ports import free_port

Check = dict[str, Any]
Doctor = Callable[..., tuple[int, dict[str, Check], str]]


@pytest.fixture
def doctor(capsys: pytest.CaptureFixture[str]) -> Doctor:
    """Calls the command for some checks: exit code, checks by name, everything that was written."""

    def call(*names: str, seconds: float | None = None, **environ: str) -> tuple[int, dict[str, Check], str]:
        chosen = [word for name in names for word in ("--only", name)]
        limit = min(60, seconds or stretched(3.0))
        code = run(["doctor", "--json", "--timeout", str(limit), *chosen], CliContext(environ))
        out, err = capsys.readouterr()
        return code, {check["name"]: check for check in json.loads(out)["checks"]}, out + err

    return call


@dataclass
class Scripted:
    """What a small server answers, and which headers it was sent."""

    status: int = 200
    body: bytes = b"{}"
    key: str | None = None
    """Callers without this bearer token get 401."""
    delay_seconds: float = 0.0
    authorizations: list[str | None] = field(default_factory=list)
    url: str = ""


@pytest.fixture
def scripted() -> Iterator[Scripted]:
    """A server on a free port whose script the test changes."""
    script = Scripted()

    class Handler(BaseHTTPRequestHandler):
        def answer(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length", "0")))
            given = self.headers.get("Authorization")
            script.authorizations.append(given)
            time.sleep(script.delay_seconds)
            let_in = script.key is None or given == f"Bearer {script.key}"
            # A rude server repeats the key it was given.
            body = script.body if let_in else json.dumps({"error": f"bad credentials {given}"}).encode()
            self.send_response(script.status if let_in else 401)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_GET = do_POST = answer  # noqa: N815  # the names http.server looks for

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            pass

    with LocalServer(Handler, host="127.0.0.1", port=0) as server:
        script.url = server.base_url
        yield script


def test_something_else_on_the_port_of_redis(doctor: Doctor) -> None:
    """A web server at the address of REDIS_URL is told to be no Redis, with the exit code of an unreachable one."""

    class WebServer(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            self.request.recv(1_024)
            self.request.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), WebServer) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        code, checks, _ = doctor("redis", REDIS_URL=f"redis://127.0.0.1:{server.server_address[1]}/0")
        server.shutdown()
    assert (code, checks["redis"]["reason"]) == (5, "store_unreachable")
    assert "not as Redis does" in checks["redis"]["found"]


def test_a_knowledge_base_that_hangs_is_named(doctor: Doctor) -> None:
    """A PostgreSQL that accepts and says nothing is told as a slow knowledge base with its remedy, in time."""
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        url = f"postgresql://reader:planted-pg@127.0.0.1:{silent.getsockname()[1]}/app"
        code, checks, text = doctor("knowledge", seconds=1.0, RESYNC_KNOWLEDGE_DATABASE_URL=url)
    assert (code, checks["knowledge"]["reason"]) == (1, "knowledge_timeout")
    assert "the knowledge base did not answer" in checks["knowledge"]["found"]
    assert "load of the database" in checks["knowledge"]["fix"]
    assert "planted-pg" not in text


# TWS


@pytest.fixture
def simulator() -> Iterator[HwaSimulator]:
    """A TWS server with the plan of scenario 1."""
    with HwaSimulator(get_scenario(1).plan, password="planted-tws") as server:
        yield server


def test_many_instances_are_examined_side_by_side(
    doctor: Doctor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Certificates that load slowly take the time of no other check: each instance is told by its own reason."""
    made = TwsInstance.ssl_context

    def slowly(self: TwsInstance) -> ssl.SSLContext:
        time.sleep(0.5)
        return made(self)

    monkeypatch.setattr(TwsInstance, "ssl_context", slowly)
    path = tmp_path / "instances.json"
    path.write_text(json.dumps({f"i{number}": {"host": "127.0.0.1", "port": free_port()} for number in range(8)}))
    _, checks, _ = doctor("tws", seconds=stretched(2.5), TWS_INSTANCES_FILE=str(path))
    assert [check["reason"] for check in checks.values()] == ["unreachable"] * 8


def test_a_tws_instance_that_answers(doctor: Doctor, simulator: HwaSimulator) -> None:
    """Version, user and number of jobs are said; two GETs were sent, none of them for more than one job."""
    code, checks, text = doctor("tws", **simulator.environ())
    found = checks["tws:default"]
    assert (code, found["status"]) == (0, "ok")
    assert found["facts"]["jobs"] == len(simulator._state.plan.jobs)
    assert found["facts"]["authentication"] == "user"
    assert "10.2.5" in found["found"]
    assert "as resync" in found["found"]
    assert [request.path.rpartition("/v2")[2] for request in simulator.requests] == ["/engine/info", "/plan/job"]
    assert simulator.requests[1].query["limit"] == ("1",)
    assert "planted-tws" not in text


def test_a_wrong_tws_password_is_tried_once(doctor: Doctor, simulator: HwaSimulator) -> None:
    """A refused sign-in names the variables and is not repeated: repeating it would lock the account."""
    code, checks, text = doctor("tws", **simulator.environ() | {"TWS_PASSWORD": "planted-wrong"})
    found = checks["tws:default"]
    assert (code, found["reason"]) == (1, "unauthorized")
    assert "401" in found["found"]
    assert "TWS_USER" in found["fix"]
    assert "TWS_PASSWORD" in found["fix"]
    assert len(simulator.requests) == 1
    assert "planted-wrong" not in text


def test_no_tws_credentials_is_told_apart(doctor: Doctor, simulator: HwaSimulator) -> None:
    """Without credentials the remedy is to set them, not to correct them."""
    _, checks, _ = doctor("tws", TWS_BASE_URL=simulator.base_url)
    assert checks["tws:default"]["reason"] == "unauthorized"
    assert "without credentials" in checks["tws:default"]["found"]
    assert checks["tws:default"]["fix"].startswith("Set TWS_USER")


@pytest.mark.parametrize(
    ("fault", "reason", "fix"),
    [
        (Fault(path="/plan/job", status=403), "forbidden", "LIST"),
        (Fault(status=404), "not_found", "/twsd/api/v2"),
        (Fault(status=500), "server_error", "log"),
        (Fault(status=429), "rate_limited", "TWS_BASE_URL"),
        (Fault(broken="html"), "bad_answer", "TWS_AUTH_HEADER"),
        (Fault(broken="reset"), "connection_cut", "TWS_BASE_URL"),
        (Fault(latency_seconds=30), "timeout", "TWS_BASE_URL"),
        (Fault(status=302), "unexpected_status", "TWS_BASE_URL"),
    ],
)
def test_each_failure_of_tws_has_its_remedy(
    doctor: Doctor, simulator: HwaSimulator, fault: Fault, reason: str, fix: str
) -> None:
    """Whatever the server does wrong is told by its reason within the time, with something to do."""
    simulator.fail(fault)
    limit = stretched(1.0)
    code, checks, _ = doctor("tws", seconds=limit, **simulator.environ())
    assert (code, checks["tws:default"]["reason"]) == (1, reason)
    assert fix in checks["tws:default"]["fix"]
    assert checks["tws:default"]["took_ms"] < limit * 1_000 + stretched(1_000)


def test_a_gateway_without_engine_info_is_good_enough(doctor: Doctor, simulator: HwaSimulator) -> None:
    """The version is a luxury: a server that answers about its plan is ok without it."""
    simulator.fail(Fault(path="/engine/info", status=404))
    code, checks, _ = doctor("tws", **simulator.environ())
    assert (code, checks["tws:default"]["status"]) == (0, "ok")


def test_each_instance_of_the_file_is_checked(doctor: Doctor, simulator: HwaSimulator, tmp_path: Path) -> None:
    """Every instance has a line of its own; a remedy names the file and the instance."""
    good = {"url": simulator.base_url, "user": simulator.user, "password": simulator.password}
    path = tmp_path / "tws.json"
    path.write_text(json.dumps({"PROD": good, "TEST": good | {"password": "planted-in-file"}}))
    code, checks, text = doctor("tws", TWS_INSTANCES_FILE=str(path))
    assert code == 1
    assert {name: check["status"] for name, check in checks.items()} == {"tws:PROD": "ok", "tws:TEST": "error"}
    assert "TEST, TWS_INSTANCES_FILE" in checks["tws:TEST"]["fix"]
    assert "planted-in-file" not in text


def test_tls_that_is_not_trusted_and_tls_that_is_not_verified(doctor: Doctor, tmp_path: Path) -> None:
    """An unknown CA is an error that names TWS_VERIFY, no verification a warning, the right bundle ok."""
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    bundle = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(str(bundle))
    with HwaSimulator(get_scenario(1).plan, tls=context) as server:
        environ = server.environ()
        found = {
            verify: doctor("tws", TWS_VERIFY=verify, **environ)[1]["tws:default"]
            for verify in ("true", "false", str(bundle))
        }
    assert [item["reason"] for item in found.values()] == ["tls", "unverified", None]
    assert [item["status"] for item in found.values()] == ["error", "warning", "ok"]
    assert "TWS_VERIFY" in found["true"]["fix"]
    assert "Check" not in found["true"]["found"]
    assert "TWS_VERIFY" in found["false"]["fix"]


def test_a_url_of_the_wrong_scheme_is_named(doctor: Doctor) -> None:
    """https to a port of plain HTTP names the URL, not the certificates."""
    with HwaSimulator(get_scenario(1).plan) as server:
        environ = server.environ() | {"TWS_BASE_URL": server.base_url.replace("http://", "https://")}
        found = doctor("tws", **environ)[1]["tws:default"]
    assert (found["status"], found["reason"]) == ("error", "tls")
    assert "TWS_BASE_URL" in found["fix"]
    assert "TWS_VERIFY" not in f"{found['found']} {found['fix']}"


# knowledge and embeddings


def test_the_shipped_runbooks_answer(doctor: Doctor, tmp_path: Path) -> None:
    """With nothing configured the shipped runbooks are counted, with their age."""
    code, checks, _ = doctor("knowledge", seconds=30, XDG_CACHE_HOME=str(tmp_path))
    found = checks["knowledge"]
    assert (code, found["status"]) == (0, "ok")
    assert found["facts"]["passages"] > 100
    assert found["facts"]["updated_at"]
    assert "indexed today" in found["found"]


def test_an_index_that_is_missing_and_one_that_is_empty(doctor: Doctor, tmp_path: Path) -> None:
    """A file that is not there is a wrong setting, one without passages a warning; both name the command."""
    path = tmp_path / "kb.sqlite3"
    code, checks, _ = doctor("knowledge", RESYNC_KNOWLEDGE_PATH=str(path))
    assert (code, checks["knowledge"]["reason"]) == (2, "configuration")
    assert "kb index" in checks["knowledge"]["found"]
    with KnowledgeIndex(path):
        pass
    code, checks, _ = doctor("knowledge", RESYNC_KNOWLEDGE_PATH=str(path))
    assert (code, checks["knowledge"]["reason"]) == (0, "empty")
    assert "kb index" in checks["knowledge"]["fix"]


def test_an_embedding_endpoint(doctor: Doctor, scripted: Scripted, tmp_path: Path) -> None:
    """The endpoint's vectors are measured; an index without vectors of that model is a warning."""
    (tmp_path / "page.md").write_text("# S0C7\n\nBad packed data.\n")
    with KnowledgeIndex(tmp_path / "kb.sqlite3") as index:
        index_folder(index, tmp_path)
    scripted.body = json.dumps({"data": [{"index": 0, "embedding": [0.6, 0.8, 0.0]}]}).encode()
    scripted.key = "planted-embedding"
    environ = {
        "RESYNC_KNOWLEDGE_PATH": str(tmp_path / "kb.sqlite3"),
        "RESYNC_EMBEDDING_ENDPOINT": scripted.url,
        "RESYNC_EMBEDDING_API_KEY": "planted-embedding",
    }
    code, checks, text = doctor("knowledge", "embeddings", **environ)
    assert code == 0
    assert (checks["embeddings"]["status"], checks["embeddings"]["facts"]["dimensions"]) == ("ok", 3)
    assert checks["knowledge"]["reason"] == "not_embedded"
    code, checks, wrong = doctor("embeddings", **environ | {"RESYNC_EMBEDDING_API_KEY": "planted-other"})
    assert (code, checks["embeddings"]["reason"]) == (1, "embedding_unavailable")
    assert "401" in checks["embeddings"]["found"]
    assert "planted" not in text + wrong


def test_an_embedding_endpoint_that_is_too_slow_for_a_question(doctor: Doctor, scripted: Scripted) -> None:
    """An endpoint that answers later than a search waits for it is a warning: it would never be used."""
    scripted.body = json.dumps({"data": [{"index": 0, "embedding": [1.0]}]}).encode()
    scripted.delay_seconds = EMBED_SECONDS + 0.1
    code, checks, _ = doctor("embeddings", seconds=10, RESYNC_EMBEDDING_ENDPOINT=scripted.url)
    assert (code, checks["embeddings"]["reason"]) == (0, "slow")


def test_a_postgres_that_is_away(doctor: Doctor) -> None:
    """Nothing listens: the variable is named, the password is not shown."""
    url = "postgresql://app:planted-pg@127.0.0.1:1/app"
    code, checks, text = doctor("knowledge", RESYNC_KNOWLEDGE_DATABASE_URL=url)
    assert (code, checks["knowledge"]["facts"]) == (1, {"postgres": "refused"})
    assert "RESYNC_KNOWLEDGE_DATABASE_URL" in checks["knowledge"]["fix"]
    assert "planted-pg" not in text


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://app:pla%zznted@127.0.0.1:1/app",
        "postgresql://app:pla/nted@127.0.0.1/app",
        "postgresql://app:pla@nted@127.0.0.1:1/app",
        "postgresql://app@127.0.0.1:planted/app",
    ],
)
def test_a_malformed_postgres_url_shows_no_piece_of_its_password(doctor: Doctor, url: str) -> None:
    """The database's own words quote the piece they stumble over; none of them reaches the output."""
    code, checks, text = doctor("knowledge", RESYNC_KNOWLEDGE_DATABASE_URL=url)
    assert code in (1, 2)
    assert checks["knowledge"]["status"] == "error"
    assert "RESYNC_KNOWLEDGE_DATABASE_URL" in checks["knowledge"]["fix"] + checks["knowledge"]["found"]
    assert "pla" not in text
    assert "nted" not in text


# metrics


def test_the_apps_metrics(doctor: Doctor) -> None:
    """The series of the app's text are counted."""
    with AppMetricsServer(get_scenario(1).metrics_text) as server:
        code, checks, _ = doctor("metrics", RESYNC_METRICS_URL=server.url)
        assert (code, checks["metrics:text"]["status"]) == (0, "ok")
        assert "api_error_rate" in checks["metrics:text"]["facts"]["series"]
        code, checks, _ = doctor("metrics", RESYNC_METRICS_URL=server.base_url)
    assert (code, checks["metrics:text"]["reason"]) == (1, "http_status")
    assert "RESYNC_METRICS_URL" in checks["metrics:text"]["fix"]


def test_both_ways_to_metrics_are_checked(doctor: Doctor, scripted: Scripted) -> None:
    """The API and the text have a line each, and each failure names its own variable."""
    scripted.body = json.dumps(
        {"status": "success", "data": {"resultType": "vector", "result": [{"metric": {}, "value": [1, "0.5"]}]}}
    ).encode()
    scripted.key = "planted-metrics"
    environ = {"RESYNC_PROMETHEUS_URL": scripted.url, "RESYNC_METRICS_URL": "http://127.0.0.1:1/metrics"}
    code, checks, text = doctor("metrics", RESYNC_METRICS_TOKEN="planted-metrics", **environ)
    assert code == 1
    api = checks["metrics:prometheus"]
    assert (api["status"], api["facts"]["missing"]) == ("ok", [])
    assert checks["metrics:text"]["reason"] == "unreachable"
    assert "RESYNC_METRICS_URL" in checks["metrics:text"]["fix"]
    _, checks, wrong = doctor("metrics:prometheus", RESYNC_METRICS_TOKEN="planted-bad", **environ)
    assert checks["metrics:prometheus"]["reason"] == "unauthorized"
    assert "planted" not in text + wrong


def test_a_text_endpoint_in_place_of_prometheus(doctor: Doctor, scripted: Scripted) -> None:
    """An address that answers, but not as Prometheus does, is told so."""
    scripted.body = b"resync_slo_api_error_rate 0.1\n"
    code, checks, _ = doctor("metrics", RESYNC_PROMETHEUS_URL=scripted.url)
    assert (code, checks["metrics:prometheus"]["reason"]) == (1, "bad_format")


# the model


def test_the_models_server_lists_the_model(doctor: Doctor) -> None:
    """The list is asked for and nothing is generated."""
    with FakeOpenAIServer() as server:
        code, checks, text = doctor("llm", **server.environ())
        assert {request.path for request in server.requests} == {"/v1/models"}
    assert (code, checks["llm"]["status"]) == (0, "ok")
    assert checks["llm"]["facts"]["key_proven"] is False
    assert "sk-scripted-key" not in text


def test_a_key_that_is_proven_and_one_that_is_refused(doctor: Doctor, scripted: Scripted) -> None:
    """A server that asks for the key proves it; a refused one is an error, and the server's echo of it is not shown."""
    scripted.body = json.dumps({"data": [{"id": "m-1"}]}).encode()
    scripted.key = "planted-llm-key"
    environ = {"LLM_ENDPOINT": f"{scripted.url}/v1", "LLM_MODEL": "m-1"}
    code, checks, text = doctor("llm", LLM_API_KEY="planted-llm-key", **environ)
    assert (code, checks["llm"]["facts"]["key_proven"]) == (0, True)
    assert sorted(map(str, scripted.authorizations)) == ["Bearer planted-llm-key", "None"]
    code, checks, wrong = doctor("llm", LLM_API_KEY="planted-wrong-key", **environ)
    assert (code, checks["llm"]["reason"]) == (1, "unauthorized")
    assert "LLM_API_KEY" in checks["llm"]["fix"]
    assert "planted" not in text + wrong


def test_a_model_server_that_is_away(doctor: Doctor) -> None:
    """A refused connection names the variable; credentials in the address are not shown."""
    code, checks, text = doctor("llm", LLM_ENDPOINT="http://u:planted-url@127.0.0.1:1/v1", LLM_MODEL="m")
    assert (code, checks["llm"]["reason"]) == (1, "unreachable")
    assert "LLM_ENDPOINT" in checks["llm"]["fix"]
    assert "planted-url" not in text


# all together


def test_no_planted_secret_reaches_the_output(capsys: pytest.CaptureFixture[str], scripted: Scripted) -> None:
    """Every secret variable is set, every counterpart refuses: neither table nor JSON nor log shows one of them."""
    scripted.status, scripted.key = 500, "nobody-has-this"
    secrets = {
        "REDIS_URL": "redis://user:planted-1@127.0.0.1:1/0",
        "RESYNC_LOG_CACHE_URL": "redis://:planted-2@127.0.0.1:1/0",
        "TWS_BASE_URL": scripted.url,
        "TWS_TOKEN": "planted-3",
        "TWS_AUTH_HEADER": "X-Api-Key: planted-4",
        "RESYNC_KNOWLEDGE_DATABASE_URL": "postgresql://u:planted-5@127.0.0.1:1/d",
        "RESYNC_EMBEDDING_ENDPOINT": scripted.url,
        "RESYNC_EMBEDDING_API_KEY": "planted-6",
        "RESYNC_PROMETHEUS_URL": scripted.url.replace("http://", "http://u:planted-7@"),
        "RESYNC_METRICS_URL": scripted.url + "/metrics?token=planted-8",
        "RESYNC_METRICS_TOKEN": "planted-9",
        "LLM_ENDPOINT": scripted.url,
        "LLM_MODEL": "m",
        "LLM_API_KEY": "planted-10",
    }
    for args, language in (([], "pt_BR.UTF-8"), (["--json"], "C")):
        limit = str(min(60, stretched(2)))
        assert run(["doctor", "--timeout", limit, *args], CliContext(secrets | {"LANG": language})) == 5
        out, err = capsys.readouterr()
        assert out.count("127.0.0.1") > 3
        assert "planted" not in out + err
