"""How tests run side by side, and fixtures of all tiers: a real redis-server of our own, emptied for each test."""

from __future__ import annotations

import fcntl
import gc
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis
from tests_support import RedisServer, new_redis, note_start, stretched

from orchestrator.broker import publisher
from orchestrator.client import waiting
from orchestrator.config import Settings


def pytest_configure() -> None:
    """Let the processes of the tests be interrupted even where the tests run in the background of a shell.

    Such a shell has them ignore SIGINT, and what is ignored is inherited by every process that a test starts.
    """
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """Worker processes for ``-n auto``: four a core, because most tests wait; none for a single file.

    More than twelve would wait for the longest files.
    """
    paths = {argument.partition("::")[0] for argument in config.args}
    return 0 if len(paths) == 1 and paths.pop().endswith(".py") else min(12, 4 * len(os.sched_getaffinity(0)))


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Iterator[None]:
    """Keep the garbage collector from reading the tests of all files again and again, as they are collected and run."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the tests that measure time last: the others have little left to do while one of them runs alone.

    A file's tests run in one process, one after the other, so the whole file comes late.
    """
    measuring = {item.path for item in items if item.get_closest_marker("timing")}
    items.sort(key=lambda item: (item.path in measuring, item.get_closest_marker("timing") is not None))


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item) -> Iterator[None]:
    """Run a test marked ``timing`` while no other test of this checkout runs.

    Others share the lock. Everyone passes through the door one by one, so that a test that waits to be alone is not
    overtaken for ever. It is the outermost hook: the wait counts towards no timeout.
    """
    how = fcntl.LOCK_EX if item.get_closest_marker("timing") else fcntl.LOCK_SH
    here = Path(__file__)
    with here.open("rb") as room, here.parent.with_name("pyproject.toml").open("rb") as door:
        fcntl.flock(door, fcntl.LOCK_EX)
        fcntl.flock(room, how)
        fcntl.flock(door, fcntl.LOCK_UN)
        note_start()
        return (yield)


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


@pytest.fixture
def patient_readers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Callers in this process give up on a silent store, or broker, much later, as others may slow the process down.

    What a first answer needs is loaded before: a run of half a second would be over meanwhile.
    """
    from orchestrator.run.conclusion import warm_up_aside  # loads what most tests do without

    warm_up_aside().join()
    factor = max(3, stretched(1))
    monkeypatch.setattr(publisher, "PUBLISH_TIMEOUT_SECONDS", 10 * factor)
    for name in ("GRACE_SECONDS", "LATE_SECONDS", "MAX_OVERTIME_SECONDS"):
        monkeypatch.setattr(waiting, name, factor * getattr(waiting, name))
