"""The whole system in real processes, each of which can be killed, frozen, cut off and started again by its role."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Self

import redis
from fleet_support import ALL_QUEUES, Fleet, Process, make_fleet
from proxy_support import ProxyProcess
from tests_support import RedisServer, new_redis
from tls_support import Authority

from workers.standalone.ports import free_port

ROLES = (*ALL_QUEUES, "watcher", "watcher-2", "web")
"""Names of the processes. A further process of a role is named ``role-2``, ``role-3``, ..."""


class Stack:
    """Redis, a worker for each queue, two watchers and the example app; a context manager, started by ``start``.

    ``append_only``: whether Redis keeps its data when it is killed. ``pool``, ``concurrency``: of the workers.
    ``proxied``: whether each process, and the client in this one, reaches Redis by a proxy of its own, ``network``.
    ``tls``: whether these proxies speak TLS and let in who shows a certificate alone.
    ``environ``: further variables of every process. ``redis_environ``: of Redis.
    """

    def __init__(
        self,
        folder: Path,
        *,
        append_only: bool = True,
        pool: str = "threads",
        concurrency: int = 16,
        proxied: bool = False,
        tls: bool = False,
        environ: dict[str, str] | None = None,
        redis_environ: dict[str, str] | None = None,
    ) -> None:
        self.redis: RedisServer = new_redis(append_only=append_only, environ=redis_environ)
        self.members: dict[str, Process] = {}
        """The last process of each name."""
        self.network: dict[str, Any] = {}
        """The proxy of each name, and of ``client``; see ``Proxy``."""
        self.variables: dict[str, dict[str, str]] = {}
        """Further variables of the processes of each name, from their next start on."""
        self._ended: list[Process] = []
        self._folder, self._pool, self._concurrency = folder, pool, concurrency
        self._proxied, self._environ = proxied or tls, environ or {}
        self.authority = Authority(folder) if tls else None
        self._certificate = None
        if self.authority is not None:
            self._certificate = (*self.authority.files(), self.authority.ca_file)
            self._client_certificate = self.authority.files("client", label="client")
        self._resources = ExitStack()
        self._web_port = 0

    def __enter__(self) -> Self:
        with ExitStack() as resources:
            resources.enter_context(self.redis)
            self._proxies = resources.enter_context(ProxyProcess()) if self._proxied else None
            self.fleet: Fleet = make_fleet(self._folder, self._url("client"))
            self.fleet.environ |= self._environ
            resources.callback(self.stop)
            self._resources = resources.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._resources.close()

    @property
    def web_url(self) -> str:
        """Where the runs of the example app are."""
        return f"http://127.0.0.1:{self._web_port}/troubleshoot/runs"

    def start(self, *names: str) -> None:
        """Start those of ``names`` (all roles by default) that do not run, and wait until they are ready."""
        started = [self._start(name) for name in names or ROLES if not self.is_running(name)]
        for process in started:
            process.wait_until_ready()

    def is_running(self, name: str) -> bool:
        """Whether the process of that name was started and has not ended; a frozen one runs."""
        return name in self.members and self.members[name].popen.poll() is None

    def processes(self, *names: str) -> Iterator[Process]:
        """The running processes of ``names``; of all by default."""
        return (self.members[name] for name in names or tuple(self.members) if self.is_running(name))

    def send(self, number: signal.Signals, *names: str) -> None:
        """Send a signal to the running processes of ``names`` (all by default) and to their children."""
        for process in self.processes(*names):
            process.send(number)

    def kill(self, *names: str, number: signal.Signals = signal.SIGKILL) -> None:
        """Send a signal that ends the running processes of ``names``, and wait for their end."""
        ending = [process for name in names for process in self.processes(name)]
        self._ended += ending
        for process in ending:
            process.send(number)
        for process in ending:
            process.popen.wait(40)

    def died(self) -> list[Process]:
        """Processes that have ended, but not by ``kill``."""
        return [item for item in self.fleet.processes if item.popen.poll() is not None and item not in self._ended]

    def fail_over(self, replica: RedisServer) -> None:
        """Kill Redis and let its replica, started and in sync, take its place; needs proxies."""
        self._resources.push(replica)
        self.redis.kill()
        with redis.Redis.from_url(replica.url) as client:
            client.replicaof("NO", "ONE")
        self.redis = replica
        for proxy in self.network.values():
            proxy.lead_to(replica.port)

    def freeze(self, *names: str) -> None:
        """SIGSTOP."""
        self.send(signal.SIGSTOP, *names)

    def thaw(self, *names: str) -> None:
        """SIGCONT."""
        self.send(signal.SIGCONT, *names)

    def restart(self, *names: str, number: signal.Signals = signal.SIGKILL) -> None:
        """End ``names`` and start them anew, as a supervisor does."""
        self.kill(*names, number=number)
        self.start(*names)

    def heal(self) -> None:
        """Undo what was done: each role has its process again and no other, Redis serves, networks pass."""
        self.redis.thaw()
        if not self.redis.is_running:
            self.redis.start()
        for proxy in self.network.values():
            proxy.heal()
        self.thaw()
        self.kill(*(name for name in self.members if name not in ROLES))
        self.start()

    def stop(self) -> None:
        """End every process; Redis goes on."""
        self.thaw()
        self.fleet.stop()

    def _url(self, name: str) -> str:
        if self._proxies is None:
            return self.redis.url
        if name not in self.network:
            self.network[name] = self._proxies.proxy(self.redis.port, self._certificate)
        port = self.network[name].address()
        if self.authority is not None:
            certificate, key = self._client_certificate
            return self.authority.url(self.redis.url, port, ssl_certfile=certificate, ssl_keyfile=key)
        return self.redis.url.replace(f":{self.redis.port}/", f":{port}/")

    def _start(self, name: str) -> Process:
        role = name.partition("-")[0]
        environ = {"REDIS_URL": self._url(name)} | self.variables.get(name, {})
        match role:
            case "watcher":
                process = self.fleet.watcher(name=name, ready=False, **environ)
            case "web":
                self._web_port = self._web_port or free_port()
                process = self.fleet.web(self._web_port, name=name, ready=False, **environ)
            case _:
                process = self.fleet.worker(
                    role, pool=self._pool, concurrency=self._concurrency, ready=False, **environ
                )
        self.members[name] = process
        return process
