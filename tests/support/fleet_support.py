"""Real worker processes over a real Redis, stopped without a trace."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from forked_support import ForkedProcess, start_forked
from tests_support import wait_until

from orchestrator.client.sync import TroubleshootClient
from orchestrator.config import Settings
from orchestrator.errors import Overloaded
from orchestrator.models import TroubleshootRequest
from orchestrator.sources import BUILTIN_SOURCES
from orchestrator.store.runs import new_token
from orchestrator.testing import write_stub_sources

ALL_QUEUES = ("orchestrator", *BUILTIN_SOURCES, "synthesis")
EXAMPLES = Path(__file__).parents[2] / "examples"
READY = {"watcher": "watcher_started", "web": "Uvicorn running on"}
"""What the log says once a process is ready, by the beginning of its name; that of a worker has `` ready.``."""


def submit_when_accepted(client: TroubleshootClient, request: TroubleshootRequest, *, seconds: float = 60.0) -> str:
    """Submit, again after each refusal as overloaded, for so long at most.

    For tests that ask many questions and are not about admission: a machine that is slower than the questions come
    refuses some of them, and rightly.
    """
    end = time.monotonic() + seconds
    while True:
        try:
            return client.submit(request)
        except Overloaded as error:
            pause_seconds = error.retry_after_seconds or 1
            if time.monotonic() + pause_seconds > end:
                raise
            time.sleep(pause_seconds)


@dataclass(eq=False)
class Process:
    """A process of ours with its log."""

    name: str
    popen: ForkedProcess | subprocess.Popen[bytes]
    log: Path

    def text(self) -> str:
        return self.log.read_text("utf-8", "replace")

    def wait_for(self, text: str) -> None:
        def seen() -> bool:
            if self.popen.poll() is not None and text not in self.text():
                pytest.fail(f"{self.name} exited with {self.popen.returncode}:\n{self.text()[-3000:]}")
            return text in self.text()

        wait_until(seen, what=f"{text!r} in the log of {self.name}")

    def wait_until_ready(self) -> None:
        self.wait_for(READY.get(self.name.partition("-")[0], " ready."))

    def send(self, number: signal.Signals) -> None:
        """Send a signal to the process and its children; SIGTERM to the process alone, as systemd and Docker do."""
        if self.popen.poll() is None:
            with contextlib.suppress(ProcessLookupError):  # ended since
                (os.kill if number == signal.SIGTERM else os.killpg)(self.popen.pid, number)

    def kill(self, number: signal.Signals = signal.SIGKILL) -> None:
        self.send(number)
        self.popen.wait(60)


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

    def start(self, name: str, *argv: str, python: str = sys.executable, **environ: str) -> Process:
        """Start a program; one with a ``PYTHONPATH`` of its own from nothing, by any ``python``."""
        log = self.folder / f"{name}-{len(self.processes)}.log"
        popen: ForkedProcess | subprocess.Popen[bytes]
        with log.open("wb") as out:
            if argv[0] == "-m" and "PYTHONPATH" not in environ:
                popen = start_forked(argv[1:], self.environ | environ, self.folder, out)
            else:
                popen = subprocess.Popen(
                    [python, "-W", "ignore", *argv],
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
            process.wait_until_ready()
        return process

    def watcher(self, *, name: str = "watcher", ready: bool = True, **environ: str) -> Process:
        process = self.start(name, "-m", "orchestrator.watcher", **environ)
        if ready:
            process.wait_until_ready()
        return process

    def web(self, port: int, *, name: str = "web", ready: bool = True, **environ: str) -> Process:
        """The example app."""
        where = ("--host=127.0.0.1", f"--port={port}", f"--app-dir={EXAMPLES}")
        process = self.start(name, "-m", "uvicorn", "app:app", *where, **environ)
        if ready:
            process.wait_until_ready()
        return process

    def wait_until_ready(self) -> None:
        """Wait for every process: those that were started with ``ready=False`` start side by side."""
        for process in self.processes:
            process.wait_until_ready()

    def logs(self) -> str:
        return "\n".join(process.text() for process in self.processes)

    def stop(self) -> None:
        for process in self.processes:
            if process.popen.poll() is None:
                process.kill(signal.SIGTERM) if process.name == "watcher" else process.kill()


def make_fleet(folder: Path, redis_url: str) -> Fleet:
    stubs = folder / "stubs"
    stubs.mkdir()
    write_stub_sources(stubs, BUILTIN_SOURCES, batch_sizes={"rag_search": 20})
    environ = {
        "PATH": os.environ["PATH"],
        "HOME": str(folder),
        "PYTHONPATH": str(stubs),
        "REDIS_URL": redis_url,
        "RESYNC_KEY_PREFIX": f"t{new_token()[:8]}:",
        "PYTHONUNBUFFERED": "1",
    }
    return Fleet(folder, environ)
