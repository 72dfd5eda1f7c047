"""ops/redis: the configuration and start script of the container, on a real redis-server."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry
from tests_support import NO_SERVER, redis_binary

START = Path(__file__).parents[2] / "ops" / "redis" / "start.sh"
PASSWORD = "correct-horse_1"


@pytest.fixture
def redis_folder(tmp_path: Path) -> Path:
    """A folder with the tests' server under the name that the images give it."""
    server = redis_binary()
    if server is None:
        if os.environ.get("CI"):
            pytest.fail(NO_SERVER)
        pytest.skip(NO_SERVER)
    folder = tmp_path / "bin"
    folder.mkdir()
    (folder / "redis-server").symlink_to(server)
    return folder


@pytest.fixture(params=["variable", "file", "users"])
def server(
    tmp_path: Path, redis_folder: Path, request: pytest.FixtureRequest
) -> Iterator[tuple[redis.Redis, subprocess.Popen[bytes]]]:
    """The container's Redis, on a Unix socket, as a client that knows the password and the process.

    The password is in a variable, in a file, or is that of the user `admin` of a file of users.
    """
    socket = tmp_path / "redis.sock"
    environment = {
        "PATH": f"{redis_folder}{os.pathsep}{os.environ['PATH']}",
        "REDIS_CONF": str(START.with_name("redis.conf")),
    }
    arguments = ["--dir", tmp_path, "--port", "0", "--unixsocket", socket]
    (tmp_path / "password").write_text(f"{PASSWORD}\n", encoding="utf-8")
    if request.param == "variable":
        environment["REDIS_PASSWORD"] = PASSWORD
    else:
        environment["REDIS_PASSWORD_FILE"] = str(tmp_path / "password")
    if request.param == "users":
        users = f"user default off\nuser admin on >{PASSWORD} ~* &* +@all\n"
        (tmp_path / "users.acl").write_text(users, encoding="utf-8")
        arguments += ["--aclfile", tmp_path / "users.acl"]
    with (tmp_path / "log").open("wb") as log:
        process = subprocess.Popen(
            ["sh", START, *arguments],
            env=environment,
            stdout=log,
            stderr=log,
        )
    try:
        user = "admin" if request.param == "users" else None
        with redis.Redis(
            unix_socket_path=str(socket), username=user, password=PASSWORD, decode_responses=True
        ) as client:
            end = time.monotonic() + 60
            while True:
                try:
                    client.ping()
                    break
                except redis.ConnectionError:
                    assert process.poll() is None, (tmp_path / "log").read_text()
                    assert time.monotonic() < end, "Redis did not answer within 60 s"
                    time.sleep(0.02)
            yield client, process
    finally:
        process.terminate()
        process.wait(60)


def test_nothing_is_evicted_and_a_second_is_the_most_that_is_lost(
    server: tuple[redis.Redis, subprocess.Popen[bytes]],
) -> None:
    """Redis takes the shipped settings: noeviction, append-only file, synced every second."""
    client, _ = server
    options = {"maxmemory-policy": "noeviction", "appendonly": "yes", "appendfsync": "everysec", "save": ""}
    assert {name: client.config_get(name)[name] for name in options} == options


def test_the_password_is_required_and_stands_in_no_argument(
    server: tuple[redis.Redis, subprocess.Popen[bytes]], tmp_path: Path
) -> None:
    """Without the password nothing is answered, and the process list does not show it."""
    _, process = server
    with (
        # Without retries: redis-py takes a refused password for a broken connection and asks again for five seconds.
        redis.Redis(unix_socket_path=str(tmp_path / "redis.sock"), retry=Retry(NoBackoff(), 0)) as stranger,
        pytest.raises(redis.AuthenticationError),
    ):
        stranger.ping()
    assert PASSWORD not in Path(f"/proc/{process.pid}/cmdline").read_text(encoding="utf-8")


@pytest.mark.parametrize("password", ["", 'quote"', "new\nline", "at@sign"])
def test_a_password_that_breaks_the_configuration_or_the_url_is_refused(password: str) -> None:
    """A missing password, or one with characters that would end its line or split the URL, stops the start."""
    result = subprocess.run(
        ["sh", START],
        env={"PATH": os.environ["PATH"], "REDIS_PASSWORD": password},
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert result.returncode != 0
    assert "REDIS_PASSWORD" in result.stderr
