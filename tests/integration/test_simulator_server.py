"""The simulator as a server: authentication, ports, the command, the app's metrics, and nothing left behind."""

import json
import os
import signal
import socket
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import httpx2
import pytest

from workers.lab.simulator.faults import Fault
from workers.lab.simulator.hwa import HwaSimulator
from workers.lab.simulator.metrics import CONTENT_TYPE, AppMetricsServer
from workers.lab.simulator.scenarios import get_scenario


def test_every_path_needs_the_password() -> None:
    """Without credentials everything is 401, whether it exists or not."""
    with HwaSimulator(get_scenario(1).plan) as server, httpx2.Client(trust_env=False) as client:
        for path in ("/twsd/api/v2/engine/info", "/twsd/api/v2/plan/job", "/nada"):
            assert client.get(server.base_url + path).status_code == 401
        auth = (server.user, server.password)
        assert client.get(server.base_url + "/twsd/api/v2/engine/info", auth=auth).status_code == 200
        assert client.get(server.base_url + "/nada", auth=auth).status_code == 404
        assert server.requests[0].headers.get("authorization") is None


def test_a_password_is_new_each_time() -> None:
    """Two servers do not share a password, and it does not show in what they say of themselves."""
    first, second = HwaSimulator(get_scenario(1).plan), HwaSimulator(get_scenario(1).plan)
    assert first.password != second.password
    assert first.password not in repr(first)


@pytest.mark.parametrize("query", ["oql=key.name%20%3D%20'A'", "oql=x", "limit=-1", "limit=abc", "offset=-1"])
def test_a_bad_query_is_400(query: str) -> None:
    """Unknown fields, syntax and numbers below zero are refused."""
    with HwaSimulator(get_scenario(1).plan) as server:
        response = httpx2.get(
            f"{server.base_url}/twsd/api/v2/plan/job?{query}", auth=(server.user, server.password), trust_env=False
        )
    assert response.status_code == 400


def test_pages_are_cut_by_limit_and_offset() -> None:
    """``count`` is the number of all matches, ``results`` the page."""
    with HwaSimulator(get_scenario(7).plan) as server:
        response = httpx2.get(
            f"{server.base_url}/twsd/api/v2/plan/job?limit=4&offset=2",
            auth=(server.user, server.password),
            trust_env=False,
        )
    body = response.json()
    assert body["count"] == 15
    assert [job["name"] for job in body["results"]] == ["LOJA003", "LOJA004", "LOJA005", "LOJA006"]


def test_stopping_ends_slow_answers_and_idle_connections() -> None:
    """Neither a waiting answer nor a kept connection holds the server up, and its thread is gone."""
    server = HwaSimulator(get_scenario(1).plan).start()
    server.fail(Fault(latency_seconds=300))
    with httpx2.Client(trust_env=False, timeout=30) as client:
        failed: list[type[BaseException]] = []

        def ask() -> None:
            try:
                client.get(server.base_url + "/twsd/api/v2/engine/info")
            except httpx2.HTTPError as error:
                failed.append(type(error))

        asking = threading.Thread(target=ask)
        asking.start()
        for _ in range(500):
            if server.requests:
                break
            threading.Event().wait(0.01)
        server.stop()
        asking.join(10)
        assert not asking.is_alive()
        assert len(failed) == 1
    assert "HwaSimulator" not in {thread.name for thread in threading.enumerate()}
    server.stop()


def test_the_apps_metrics_are_served() -> None:
    """The scenario's text stands at /metrics, and nothing else is there."""
    text = get_scenario(6).metrics_text
    with AppMetricsServer(text) as server:
        response = httpx2.get(server.url, trust_env=False)
        assert response.text == text
        assert response.headers["content-type"] == CONTENT_TYPE
        assert httpx2.get(server.base_url + "/", trust_env=False).status_code == 404


def _start(*arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "workers.lab.simulator", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={name: value for name, value in os.environ.items() if not name.startswith("TWS_")},
    )


def test_the_command_prints_its_address_and_ends_on_a_signal() -> None:
    """The first line is JSON with the variables of a worker; SIGTERM ends it at once with 0."""
    with _start("--port", "0", "--scenario", "6") as process:
        assert process.stdout is not None
        assert process.stderr is not None
        environ = json.loads(process.stdout.readline())
        found = httpx2.get(
            environ["TWS_BASE_URL"] + "/twsd/api/v2/plan/job?limit=10",
            auth=(environ["TWS_USER"], environ["TWS_PASSWORD"]),
            trust_env=False,
        )
        assert [job["name"] for job in found.json()["results"]] == ["CONSOLIDA"]
        assert "resync_host_memory_ratio" in httpx2.get(environ["RESYNC_METRICS_URL"], trust_env=False).text
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0
        assert "RC 137" in process.stderr.read()


def test_a_port_in_use_is_one_clear_line() -> None:
    """Nothing is served and no traceback is shown when the port is taken."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with _start("--port", str(taken.getsockname()[1])) as process:
            out, err = process.communicate(timeout=100)
    assert process.returncode == 1
    assert out == ""
    assert err.count("\n") == 1
    assert "cannot listen on 127.0.0.1" in err


def test_a_scenario_that_does_not_exist_is_refused() -> None:
    """The range of scenarios is told."""
    with _start("--scenario", "12") as process:
        _, err = process.communicate(timeout=100)
    assert process.returncode == 2
    assert "1<=x<=11" in err


def test_the_requests_that_were_answered_at_the_same_time_are_counted() -> None:
    """Of four slow requests no more than four; one after them adds none."""
    with HwaSimulator(get_scenario(1).plan) as server, httpx2.Client(trust_env=False) as client:
        server.fail(Fault(latency_seconds=0.2))

        def ask(_: int) -> int:
            url = f"{server.base_url}/twsd/api/v2/engine/info"
            return client.get(url, auth=(server.user, server.password)).status_code

        with ThreadPoolExecutor(4) as threads:
            assert list(threads.map(ask, range(4))) == [200] * 4
        assert 1 <= server.most_at_once <= 4
        seen = server.most_at_once
        server.heal()
        ask(5)
        assert (server.most_at_once, len(server.requests)) == (seen, 5)
