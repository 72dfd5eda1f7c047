"""Fixtures of all tiers: a real redis-server of our own, emptied for each test."""

from __future__ import annotations

import signal
from collections.abc import Iterator

import pytest
import redis
from tests_support import RedisServer, new_redis

from orchestrator.config import Settings


def pytest_configure() -> None:
    """Let the processes of the tests be interrupted even where the tests run in the background of a shell.

    Such a shell has them ignore SIGINT, and what is ignored is inherited by every process that a test starts.
    """
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def redis_server() -> Iterator[str]:
    """URL of a real redis-server with a password, on a free port, stopped at the end."""
    with new_redis() as server:
        yield server.url


@pytest.fixture
def own_redis() -> Iterator[RedisServer]:
    """A redis-server of the test's own, to kill or freeze."""
    with new_redis() as server:
        yield server


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
