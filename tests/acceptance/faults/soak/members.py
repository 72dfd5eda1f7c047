"""The processes of a soak: elders, which nobody kills and whose gauges are read, and victims beside them."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from fleet_support import Fleet, Process
from tests_support import wait_until

from orchestrator.sources import BUILTIN_SOURCES
from workers.standalone.ports import free_port

HERE = Path(__file__).parent
WORKERS: dict[str, tuple[tuple[str, ...], str, int]] = {
    "worker elder": (("orchestrator", "synthesis"), "threads", 8),
    "sources elder": (BUILTIN_SOURCES, "threads", 16),
    "prefork elder": (("rag_search", "metrics", "synthesis"), "prefork", 2),
    "dispatcher": (("orchestrator", "synthesis"), "threads", 8),
    "sources": (("tws_status", "log_cache"), "threads", 8),
    "prefork": (BUILTIN_SOURCES, "prefork", 3),
}
"""Queues, pool and concurrency of each worker."""
ELDERS = ("worker elder", "sources elder", "prefork elder", "watcher elder", "web elder")
VICTIMS = ("dispatcher", "sources", "prefork", "watcher", "web")


class Members:
    """The processes by name; ``start`` starts one again under its name."""

    def __init__(self, fleet: Fleet) -> None:
        self.fleet = fleet
        self.by_name: dict[str, Process] = {}
        self.starts: dict[str, int] = {}
        self.ports = {"web elder": free_port(), "web": free_port()}
        self._lock = threading.Lock()

    @property
    def web_urls(self) -> list[str]:
        return [f"http://127.0.0.1:{port}" for port in self.ports.values()]

    def start(self, name: str) -> Process:
        """Start the process of that name; it is not waited for."""
        role = name.partition(" ")[0]
        with self._lock:
            self.starts[name] = self.starts.get(name, 0) + 1
            match role:
                case "watcher":
                    process = self.fleet.watcher(ready=False)
                case "web":
                    process = self.fleet.web(self.ports[name], ready=False)
                case _:
                    queues, pool, concurrency = WORKERS[name]
                    process = self.fleet.worker(*queues, pool=pool, concurrency=concurrency, ready=False)
            self.by_name[name] = process
        return process

    def wait_for(self, name: str) -> None:
        """Wait until the process can do its work."""
        self.by_name[name].wait_until_ready()

    def exit_code(self, name: str) -> int | None:
        """The exit code of a process that has ended."""
        with self._lock:
            return self.by_name[name].popen.poll()

    def send(self, name: str, number: signal.Signals) -> None:
        """Send a signal to a process."""
        with self._lock:
            self.by_name[name].send(number)

    def await_end(self, name: str, seconds: float = 60.0) -> None:
        """Wait until a process has ended."""
        wait_until(lambda: self.exit_code(name) is not None, seconds=seconds, what=f"the end of {name}")

    def elder_pids(self) -> dict[str, int]:
        return {name: self.by_name[name].popen.pid for name in ELDERS if name in self.by_name}


class Client:
    """A process that asks (``client.py``); ``take`` gets what it tells."""

    def __init__(self, name: str, fleet: Fleet, webs: list[str], take: Callable[[str, dict[str, Any]], None]) -> None:
        self.name = name
        self.is_ready = threading.Event()
        self._take = take
        self._lock = threading.Lock()
        log = fleet.folder / f"client-{time.monotonic_ns()}.log"
        with log.open("wb") as out:
            self.popen = subprocess.Popen(
                [sys.executable, "-W", "ignore", str(HERE / "client.py"), *webs],
                env=fleet.environ,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=out,
                start_new_session=True,
                cwd=fleet.folder,
            )
        self.log = log
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def send(self, spec: dict[str, Any]) -> bool:
        """Have it ask; False when it is dead."""
        assert self.popen.stdin is not None
        with self._lock, suppress(OSError, ValueError):
            self.popen.stdin.write(json.dumps(spec).encode() + b"\n")
            self.popen.stdin.flush()
            return True
        return False

    def _read(self) -> None:
        assert self.popen.stdout is not None
        for line in self.popen.stdout:
            with suppress(ValueError):  # the last line of a killed process
                record = json.loads(line)
                if record["kind"] == "ready":
                    self.is_ready.set()
                else:
                    self._take(self.name, record)

    def signal(self, number: signal.Signals) -> None:
        if self.popen.poll() is None:
            self.popen.send_signal(number)

    def end(self, seconds: float) -> None:
        """Let it finish what it has begun, within ``seconds``, and end it; everything that it told is taken then."""
        with suppress(OSError):
            assert self.popen.stdin is not None
            self.popen.stdin.close()
        try:
            self.popen.wait(seconds)
        except subprocess.TimeoutExpired:
            self.popen.kill()
            self.popen.wait()
        self._thread.join(10)
