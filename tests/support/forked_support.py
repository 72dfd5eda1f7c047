"""Processes forked from one that has the libraries loaded: most of a worker's start is their import.

Such a process has arguments, environment, directory, output and session of its own, and is killed, frozen and waited
for like any other. What ``python -m`` does before the program's first line, it does not.
"""

from __future__ import annotations

import atexit
import contextlib
import gc
import importlib
import json
import os
import runpy
import selectors
import signal
import socket
import subprocess
import sys
import threading
from functools import cache
from pathlib import Path
from typing import IO, NoReturn

LOADED = (
    "celery.apps.worker",
    "celery.bin.celery",
    "celery.bin.worker",
    "celery.concurrency.prefork",
    "celery.concurrency.thread",
    "celery.worker.autoscale",
    "kombu.transport.redis",
    "orchestrator.cli.main",
    "orchestrator.cli.queues",
    "orchestrator.cli.runs",
    "orchestrator.cli.submit",
    "orchestrator.testing",
    "orchestrator.watcher",
    "workers.runtime.condition",
    "workers.runtime.consumer",
    "workers.runtime.readiness",
    "workers.sources.log_cache.source",
    "workers.sources.metrics.source",
    "workers.sources.rag_search.source",
    "workers.sources.tws_status.source",
    "workers.synthesis.synthesizer",
    "workers.tasks",
)
"""What workers, watchers and the client's commands import. Not ``workers.app``, which reads the environment, nor what a
test replaces."""


class ForkedProcess:
    """A forked process, with what the tests use of ``subprocess.Popen``."""

    def __init__(self, told: socket.socket) -> None:
        self._told = told
        self.pid = int(told.recv(16))
        self.returncode: int | None = None

    def poll(self) -> int | None:
        """The exit status if it has ended; minus the signal that ended it."""
        try:
            return self.wait(0)
        except subprocess.TimeoutExpired:
            return None

    def wait(self, timeout: float | None = None) -> int:
        """The exit status when it has ended; raises TimeoutExpired."""
        if self.returncode is None:
            self._told.settimeout(timeout)
            try:
                self.returncode = int(self._told.recv(16))
            except (TimeoutError, BlockingIOError):
                raise subprocess.TimeoutExpired(str(self.pid), timeout or 0) from None
            self._told.close()
        return self.returncode

    def send_signal(self, number: signal.Signals) -> None:
        """Send it a signal unless it is known to have ended."""
        if self.poll() is None:
            os.kill(self.pid, number)


def start_forked(
    argv: tuple[str, ...],
    environ: dict[str, str],
    folder: Path,
    output: IO[bytes],
    errors: IO[bytes] | None = None,
) -> ForkedProcess:
    """Run ``python -W ignore`` with the script or module ``argv[0]`` in a session of its own.

    A script is named by its whole path. Standard error goes to ``errors``, or to ``output`` as well.
    """
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    request = json.dumps({"argv": argv, "environ": environ, "folder": str(folder)}).encode()
    with theirs:
        socket.send_fds(_server(), [request], [theirs.fileno(), output.fileno(), (errors or output).fileno()])
    return ForkedProcess(ours)


@cache
def _server() -> socket.socket:
    """The process that forks, as long as this one runs."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 20)
    with theirs:
        process = subprocess.Popen(
            [sys.executable, "-P", "-u", "-W", "ignore", __file__, str(theirs.fileno())],
            env={"PATH": os.environ["PATH"]},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            pass_fds=[theirs.fileno()],
        )

    def end() -> None:
        ours.close()
        process.wait(10)

    atexit.register(end)
    return ours


def _serve(requests: socket.socket) -> None:
    """Fork a process for each request until there are no more; tell its exit status when it has ended.

    Returns in the process that asked for nothing more, and never in one that was forked.
    """
    running: dict[int, tuple[int, socket.socket]] = {}
    with selectors.DefaultSelector() as selector:
        selector.register(requests, selectors.EVENT_READ)
        while True:
            for key, _ in selector.select():
                if key.fd in running:
                    pid, told = running.pop(key.fd)
                    selector.unregister(key.fd)
                    os.close(key.fd)
                    _tell(told, os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
                    told.close()
                    continue
                message, descriptors, _, _ = socket.recv_fds(requests, 1 << 20, 3)
                if not message:
                    return
                told = socket.socket(fileno=descriptors[0])
                pid = os.fork()
                if pid == 0:
                    for descriptor, (_, other) in running.items():
                        os.close(descriptor)
                        other.close()
                    requests.close()
                    selector.close()
                    _become(told, descriptors[1:], **json.loads(message))
                for descriptor in descriptors[1:]:
                    os.close(descriptor)
                descriptor = os.pidfd_open(pid)
                running[descriptor] = (pid, told)
                selector.register(descriptor, selectors.EVENT_READ)


def _tell(told: socket.socket, number: int) -> None:
    """Tell whoever asked; it may have gone."""
    with contextlib.suppress(OSError):
        told.send(str(number).encode())


def _become(told: socket.socket, outputs: list[int], argv: list[str], environ: dict[str, str], folder: str) -> NoReturn:
    """Be the process that was asked for."""
    os.setsid()
    _tell(told, os.getpid())
    told.close()
    for number, output in enumerate(outputs, 1):
        os.dup2(output, number)
        os.close(output)
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environ)
    sys.path[:0] = [folder, *filter(None, environ.get("PYTHONPATH", "").split(os.pathsep))]
    sys.argv[:] = argv
    if argv[0].startswith("/"):
        runpy.run_path(argv[0], run_name="__main__")
    else:
        runpy.run_module(argv[0], run_name="__main__", alter_sys=True)
    sys.exit()


def _warm_up() -> None:
    """Load what each watcher and each worker that answers would load at its start, all but the installed sources."""
    from orchestrator.run.conclusion import warm_up
    from orchestrator.sources import load_source, source_names

    warm_up()
    source_names.cache_clear()
    load_source.cache_clear()
    gc.collect()
    gc.freeze()  # what all have is neither searched nor copied by each


if __name__ == "__main__":
    for module in LOADED:
        importlib.import_module(module)
    _warm_up()
    assert threading.active_count() == 1, threading.enumerate()
    with socket.socket(fileno=int(sys.argv[1])) as own:
        _serve(own)
