"""Real worker processes over a real Redis: what the acceptance tests start, and stop without a trace."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from tests_support import new_redis, wait_until

from orchestrator.client.sync import TroubleshootClient
from orchestrator.config import Settings
from orchestrator.sources import BUILTIN_SOURCES
from orchestrator.store.runs import new_token
from orchestrator.testing import write_stub_sources

ALL_QUEUES = ("orchestrator", *BUILTIN_SOURCES, "synthesis")


@dataclass
class Process:
    """A process of ours with its log."""

    name: str
    popen: subprocess.Popen[bytes]
    log: Path

    def text(self) -> str:
        return self.log.read_text("utf-8", "replace")

    def wait_for(self, text: str, *, seconds: float = 30.0) -> None:
        def seen() -> bool:
            if self.popen.poll() is not None and text not in self.text():
                pytest.fail(f"{self.name} exited with {self.popen.returncode}:\n{self.text()[-3000:]}")
            return text in self.text()

        wait_until(seen, seconds=seconds, what=f"{text!r} in the log of {self.name}")

    def kill(self, number: signal.Signals = signal.SIGKILL) -> None:
        if self.popen.poll() is None:
            os.killpg(self.popen.pid, number)
        self.popen.wait(20)


@dataclass
class Fleet:
    """Workers and watchers that share one key prefix of one Redis."""

    folder: Path
    environ: dict[str, str]
    processes: list[Process] = field(default_factory=list)

    @property
    def settings(self) -> Settings:
        return Settings.from_env(self.environ)

    def client(self) -> TroubleshootClient:
        return TroubleshootClient(self.settings)

    def start(self, name: str, *argv: str, **environ: str) -> Process:
        log = self.folder / f"{name}-{len(self.processes)}.log"
        with log.open("wb") as out:
            popen = subprocess.Popen(
                [sys.executable, "-W", "ignore", *argv],
                env=self.environ | environ,
                stdout=out,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                cwd=self.folder,
            )
        process = Process(name, popen, log)
        self.processes.append(process)
        return process

    def worker(
        self, *queues: str, pool: str = "threads", concurrency: int = 16, ready: bool = True, **environ: str
    ) -> Process:
        name = "-".join(queues)[:30]
        process = self.start(
            name,
            *("-m", "celery", "-A", "workers.app", "worker", "-P", pool, "-c", str(concurrency)),
            *("-Q", ",".join(queues), "-n", f"{name}-{len(self.processes)}@%h"),
            *("--without-gossip", "--without-mingle", "--loglevel", "INFO"),
            **environ,
        )
        if ready:
            process.wait_for(" ready.")
        return process

    def watcher(self, *, ready: bool = True) -> Process:
        process = self.start("watcher", "-m", "orchestrator.watcher")
        if ready:
            process.wait_for("watcher_started")
        return process

    def logs(self) -> str:
        return "\n".join(process.text() for process in self.processes)

    def stop(self) -> None:
        for process in self.processes:
            if process.popen.poll() is None:
                process.kill(signal.SIGTERM) if process.name == "watcher" else process.kill()


def make_fleet(folder: Path, redis_url: str) -> Fleet:
    stubs = folder / "stubs"
    stubs.mkdir()
    write_stub_sources(stubs, BUILTIN_SOURCES)
    environ = {
        "PATH": os.environ["PATH"],
        "HOME": str(folder),
        "PYTHONPATH": str(stubs),
        "REDIS_URL": redis_url,
        "RESYNC_KEY_PREFIX": f"t{new_token()[:8]}:",
        "PYTHONUNBUFFERED": "1",
    }
    return Fleet(folder, environ)


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
    for process in fleet.processes:
        process.wait_for("watcher_started" if process.name == "watcher" else " ready.")
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
