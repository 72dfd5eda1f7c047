"""What a process says of its health: pages, checks, figures."""

from __future__ import annotations

import errno
import logging
import os
import socket
import struct
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from socketserver import TCPServer

import pytest
from celery.exceptions import Retry
from prometheus_client.parser import text_string_to_metric_families
from tests_support import wait_until

from orchestrator.errors import ConfigurationError
from orchestrator.health import ALIVE_SECONDS, READY_SECONDS, Beat, HealthServer, HealthSettings, Page, check_page
from orchestrator.redaction.redact import KINDS, MARK, REDACTED, redact, redact_data
from workers.runtime.health import WorkerChecks, WorkerMetrics, WorkerState

SOURCE_TASK = "troubleshoot.source.metrics"


class Clock:
    """A clock that goes on when told to."""

    now = 100.0

    def __call__(self) -> float:
        return self.now


def ask(url: str) -> tuple[int, str, str]:
    """Status, content type and text of a page."""
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:  # our own server
            return answer.status, answer.headers["Content-Type"], answer.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.headers["Content-Type"], error.read().decode()


def broken() -> Page:
    raise RuntimeError("secret-in-an-exception")


@pytest.fixture
def server() -> Iterator[HealthServer]:
    """One page of each kind."""
    pages = {
        "/livez": check_page(lambda: None),
        "/readyz": check_page(lambda: "not yet"),
        "/metrics": lambda: Page(b"up 1\n", content_type="text/x"),
        "/broken": broken,
    }
    server = HealthServer(HealthSettings(), pages)
    yield server
    server.close()


def test_no_port_no_server() -> None:
    """Where RESYNC_HEALTH_PORT is not set nothing listens."""
    assert HealthServer.start(HealthSettings.from_env({}), {}) is None


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/livez", (200, "text/plain; charset=utf-8", "ok\n")),
        ("/readyz?verbose", (503, "text/plain; charset=utf-8", "not yet\n")),
        ("/metrics", (200, "text/x", "up 1\n")),
        ("/", (404, "text/plain; charset=utf-8", "not found\n")),
    ],
)
def test_a_page_has_a_status(server: HealthServer, path: str, expected: tuple[int, str, str]) -> None:
    """A check that is content answers 200, one that is not 503 with its reason, and other paths 404."""
    assert ask(server.url + path) == expected


def test_a_check_that_fails_tells_nothing_of_its_exception(server: HealthServer) -> None:
    """A check that raises answers 500, and the exception's text stays in the log."""
    status, _, text = ask(f"{server.url}/broken")
    assert status == 500
    assert "secret" not in text


def test_nothing_but_get_is_answered(server: HealthServer) -> None:
    """Another method is refused."""
    with pytest.raises(urllib.error.HTTPError) as caught:
        urllib.request.urlopen(urllib.request.Request(f"{server.url}/livez", method="POST"), timeout=5)
    with caught.value as answer:
        assert answer.code == 501


def test_a_caller_who_goes_away_is_no_error(
    caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    """A probe that was cut off before its answer leaves no traceback behind and no error in the log."""
    gone = threading.Event()

    def slow() -> Page:
        gone.wait(20)
        return Page(b"late\n")

    server = HealthServer(HealthSettings(), {"/livez": slow})
    with caplog.at_level(logging.DEBUG, "orchestrator.health"):
        with socket.create_connection(("127.0.0.1", int(server.url.rpartition(":")[2]))) as probe:
            probe.sendall(b"GET /livez HTTP/1.0\r\n\r\n")
            # Cut off at once, without the handshake of an orderly end.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        gone.set()
        wait_until(lambda: "health_caller_gone" in caplog.messages)
    server.close()
    assert {record.levelno for record in caplog.records} == {logging.DEBUG}
    assert capsys.readouterr().err == ""


def test_listening_asks_no_name_server(monkeypatch: pytest.MonkeyPatch) -> None:
    """A process starts although the name of its own address cannot be looked up."""

    def ask_for_ever(*_: object) -> str:
        raise AssertionError("asked a name server")

    monkeypatch.setattr(socket, "getfqdn", ask_for_ever)
    server = HealthServer(HealthSettings(), {"/livez": check_page(lambda: None)})
    assert ask(f"{server.url}/livez")[0] == 200
    server.close()


def test_a_server_without_a_descriptor_does_not_spin(monkeypatch: pytest.MonkeyPatch) -> None:
    """A caller that cannot be accepted waits, without a loop that takes the processor, and is served later."""
    tries: list[None] = []
    accept = TCPServer.get_request

    def fail(server: TCPServer) -> tuple[socket.socket, object]:
        tries.append(None)
        if len(tries) < 3:
            raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))
        return accept(server)

    monkeypatch.setattr(TCPServer, "get_request", fail)
    monkeypatch.setattr("orchestrator.health.ACCEPT_PAUSE_SECONDS", 0.05)
    server = HealthServer(HealthSettings(), {"/livez": check_page(lambda: None)})
    began = time.monotonic()
    assert ask(f"{server.url}/livez")[0] == 200
    assert time.monotonic() - began >= 0.1
    server.close()


def test_a_port_in_use_is_named(server: HealthServer) -> None:
    """A taken port is a configuration error that names the variable."""
    taken = HealthSettings(port=int(server.url.rpartition(":")[2]))
    with pytest.raises(ConfigurationError, match=r"RESYNC_HEALTH_PORT: port \d+ of 127\.0\.0\.1 is in use"):
        HealthServer.start(taken, {})


def test_an_address_of_another_machine_is_named() -> None:
    """An address that is not this machine's is a configuration error that names the variable."""
    with pytest.raises(ConfigurationError, match="RESYNC_HEALTH_ADDRESS: cannot listen on 192"):
        HealthServer(HealthSettings(address="192.0.2.1"), {})


@pytest.mark.parametrize("port", ["0", "65536", "x"])
def test_a_wrong_port_is_refused(port: str) -> None:
    """A port that cannot be one is refused with the variable's name."""
    with pytest.raises(ConfigurationError, match="RESYNC_HEALTH_PORT"):
        HealthSettings.from_env({"RESYNC_HEALTH_PORT": port})


def test_a_caller_that_says_nothing_stops_nobody(server: HealthServer) -> None:
    """A connection that stays silent keeps neither another caller nor the end of the process waiting."""
    host, _, port = server.url.removeprefix("http://").rpartition(":")
    with socket.create_connection((host, int(port))):
        assert ask(f"{server.url}/livez")[0] == 200
        server.close()


@pytest.mark.parametrize(
    ("age", "problem", "ready", "alive"),
    [
        (READY_SECONDS - 1, None, True, True),
        (READY_SECONDS + 1, None, False, True),
        (ALIVE_SECONDS + 1, None, False, False),
        (ALIVE_SECONDS + 1, "Redis refuses (READONLY)", False, True),
    ],
)
def test_a_worker_is_restarted_only_when_that_helps(
    age: float, problem: str | None, ready: bool, alive: bool
) -> None:  # columns of the table
    """A silent consumer is not ready, and says why; it is dead only when the broker serves while it stays silent."""
    clock = Clock()
    beat = Beat(clock)
    checks = WorkerChecks(beat, lambda: problem)
    clock.now += age
    assert ready or (problem or "the broker serves") in str(checks.ready())
    assert (checks.ready() is None, checks.alive() is None) == (ready, alive)
    beat.mark()
    assert (checks.ready(), checks.alive()) == (None, None)


def test_figures_of_tasks() -> None:
    """Each task counts by its result, a source's time by its outcome, and what runs is what began and has not ended."""
    metrics = WorkerMetrics(Beat(), loop_lag_seconds=lambda: 0.25)
    metrics.began(SOURCE_TASK)
    metrics.began(SOURCE_TASK)
    metrics.ended(SOURCE_TASK, {"source": "metrics", "outcome": "ok", "latency_ms": 1500.0})
    metrics.began("troubleshoot.synthesize")
    metrics.ended("troubleshoot.synthesize", "complete")
    metrics.began("troubleshoot.run")
    metrics.ended("troubleshoot.run", RuntimeError("what Celery gives for a task that raised"))
    metrics.began("troubleshoot.source.rag_search")
    metrics.ended("troubleshoot.source.rag_search", Retry())
    metrics.set_aside("metrics")
    metrics.set_aside("1f0c.reply.celery.pidbox")
    page = metrics.page()
    assert page.content_type.startswith("text/plain")
    samples = {
        (sample.name.removeprefix("resync_troubleshoot_"), *sorted(sample.labels.values())): sample.value
        for family in text_string_to_metric_families(page.body.decode())
        for sample in family.samples
    }
    assert samples[("tasks_running", SOURCE_TASK)] == 1
    assert samples[("tasks_running", "troubleshoot.synthesize")] == 0
    assert samples[("tasks_total", "ok", SOURCE_TASK)] == 1
    assert samples[("tasks_total", "complete", "troubleshoot.synthesize")] == 1
    assert samples[("tasks_total", "failed", "troubleshoot.run")] == 1
    assert samples[("tasks_total", "put_back", "troubleshoot.source.rag_search")] == 1
    assert samples[("source_seconds_sum", "metrics", "ok")] == 1.5
    assert samples[("source_seconds_bucket", "1.0", "metrics", "ok")] == 0
    assert samples[("source_seconds_bucket", "2.0", "metrics", "ok")] == 1
    assert samples[("messages_set_aside_total", "metrics")] == 1
    assert samples[("messages_set_aside_total", "other")] == 1
    assert samples[("event_loop_lag_seconds",)] == 0.25
    assert ("process_open_fds",) in samples


def test_figures_of_what_a_worker_can_do() -> None:
    """Its places for each queue, which may be none, and the state of each circuit."""
    circuits = {("tws_status", "PRD"): "opened", ("tws_status", "DEV"): "half-opened", ("tickets", "x"): "unknown"}
    state = WorkerState(lambda: {"metrics", "log_cache"}, lambda: 16, lambda: circuits)
    text = WorkerMetrics(Beat(), loop_lag_seconds=lambda: 0.0, state=state).page().body.decode()
    for line in (
        'worker_places{queue="log_cache"} 16.0',
        'worker_places{queue="metrics"} 16.0',
        'circuit_state{counterpart="PRD",source="tws_status"} 2.0',
        'circuit_state{counterpart="DEV",source="tws_status"} 1.0',
        'circuit_state{counterpart="x",source="tickets"} -1.0',
        'messages_set_aside_total{queue="metrics"} 0.0',
        'store_errors_total{reason="store_unreachable"}',
    ):
        assert f"resync_troubleshoot_{line}" in text


def test_what_is_masked_is_counted_once_by_its_kind() -> None:
    """Each piece counts by what betrayed it, also where there are several; what is masked already does not."""
    before = REDACTED.counts()
    masked = redact("password=hunter2x1! ghp_abcdefghijklmnopqrstuvwxyz0123456789 joe@example.com", personal=True)
    assert redact(masked, personal=True) == masked
    assert redact_data(redact_data({"db_password": "x1y2z3"})) == {"db_password": MARK}
    key = "-----BEGIN PRIVATE KEY-----\nMIIEvQIBADANBgkqhkiG9w0BAQEFAASC\n-----END PRIVATE KEY-----"
    assert MARK in redact(key)
    counts = {kind: count - before.get(kind, 0) for kind, count in REDACTED.counts().items()}
    assert counts == dict.fromkeys(KINDS, 1)
