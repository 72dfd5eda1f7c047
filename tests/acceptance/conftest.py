"""Fleets of real worker processes over a real Redis, for the acceptance tests."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from fleet_support import Fleet, make_fleet
from tests_support import new_redis

from orchestrator.sources import BUILTIN_SOURCES


@pytest.fixture(scope="session")
def redis_server() -> Iterator[str]:
    """URL of a redis-server of the fleets' own, in place of the one that the other tiers empty for each test.

    A running fleet writes unasked: its watchers and workers give signs of life as long as the session lasts.
    """
    with new_redis() as server:
        yield server.url


@pytest.fixture(scope="session", name="make_fleet")
def make_fleet_fixture(redis_server: str) -> Callable[[Path], Fleet]:
    """Makes an empty fleet in a folder, for fixtures of a wider scope."""
    return lambda folder: make_fleet(folder, redis_server)


@pytest.fixture(autouse=True)
def patient_client(patient_readers: None) -> None:
    """Where a run ends at its deadline, the test's own client must not give up on a machine that is busy."""


@pytest.fixture
def fleet(tmp_path: Path, redis_server: str) -> Iterator[Fleet]:
    """An empty fleet with stub sources; the test starts what it needs."""
    fleet = make_fleet(tmp_path, redis_server)
    yield fleet
    fleet.stop()


@pytest.fixture(scope="session")
def running_fleet(tmp_path_factory: pytest.TempPathFactory, redis_server: str) -> Iterator[Fleet]:
    """One worker per role and two watchers, shared by the tests that kill nothing."""
    fleet = make_fleet(tmp_path_factory.mktemp("fleet"), redis_server)
    fleet.worker("orchestrator", "synthesis", ready=False)
    fleet.worker(*BUILTIN_SOURCES, ready=False)
    fleet.watcher(ready=False)
    fleet.watcher(ready=False)
    fleet.wait_until_ready()
    yield fleet
    fleet.stop()


@pytest.fixture
def browser() -> str:
    """A Chromium; a machine without one skips, CI fails."""
    found = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if found is None:
        if os.environ.get("CI"):
            pytest.fail("no Chromium in CI: install the Debian package chromium")
        pytest.skip("no Chromium on PATH")
    return found
