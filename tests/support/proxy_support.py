"""A proxy before Redis, with or without TLS, which plays a network that cuts, refuses, delays or leads nowhere."""

from __future__ import annotations

import asyncio
import socket
import ssl
import struct
import threading
from collections.abc import Callable
from contextlib import suppress
from multiprocessing import get_context
from multiprocessing.managers import BaseManager
from pathlib import Path
from typing import Any, Literal, Self

Direction = Literal["both", "to", "from"]
_Pair = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class Proxy:
    """Passes bytes on between its port of 127.0.0.1 and another one; a context manager.

    With ``tls``, clients speak TLS to it, and it speaks plainly to the other port. What is loaded into that context
    later, such as another certificate, holds for the connections that follow.
    """

    def __init__(self, target: int, *, tls: ssl.SSLContext | None = None) -> None:
        self.target = target
        self._tls = tls
        self._swallows = False
        self._silent: set[asyncio.StreamWriter] = set()
        self._open: set[asyncio.StreamWriter] = set()
        self._held: list[socket.socket] = []
        self._delay_seconds = 0.0
        self._tasks: set[asyncio.Task[None]] = set()
        self._server = _listening(0)
        self.port: int = self._server.getsockname()[1]
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self._passable = {"to": asyncio.Event(), "from": asyncio.Event()}
        self._do(self._start)
        self.heal()

    def address(self) -> int:
        """The port, for those who hold this proxy in another process."""
        return self.port

    @property
    def connections(self) -> int:
        """How many clients are connected."""
        return len(self._open) // 2

    def present(self, certificate: Path, key: Path) -> None:
        """Speak TLS with another certificate from the next connection on."""
        assert self._tls is not None
        self._tls.load_cert_chain(certificate, key)

    def lead_to(self, port: int) -> None:
        """Connect to another port from now on, and reset the connections there are."""
        self.target = port
        self.cut()

    def make_half_open(self) -> None:
        """Let nothing through any more on the connections there are, without closing them; new ones work."""
        self._do(lambda: self._silent.update(self._open))

    def cut(self) -> None:
        """Reset the connections there are; new ones work."""
        self._do(self._reset)

    def refuse(self) -> None:
        """Reset the connections there are and refuse new ones, until ``serve``."""

        def refuse() -> None:
            self._accepting.cancel()
            self._server.close()
            self._reset()

        self._do(refuse)

    def swallow(self) -> None:
        """Let nothing through, on old connections for ever and on new ones until ``serve``: packets are dropped."""

        def swallow() -> None:
            self._swallows = True
            self._silent.update(self._open)

        self._do(swallow)

    def serve(self) -> None:
        """Serve new connections again."""

        def serve() -> None:
            self._swallows = False
            if self._server.fileno() == -1:
                self._server = _listening(self.port)
                self._start()

        self._do(serve)

    def hold(self, direction: Direction = "both") -> None:
        """Let nothing through to Redis, from it, or both, on any connection, until ``heal``.

        What was sent meanwhile arrives then, as TCP sends it again when a network is back.
        """
        held = [event for name, event in self._passable.items() if direction in ("both", name)]
        self._do(lambda: [event.clear() for event in held])

    def delay(self, delay_seconds: float) -> None:
        """Pass each part on so much later, in both directions, until ``heal``."""
        self._delay_seconds = delay_seconds

    def heal(self) -> None:
        """Refuse, swallow, hold and delay nothing any more."""
        self._delay_seconds = 0.0
        self._do(lambda: [event.set() for event in self._passable.values()])
        self.serve()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        async def stop() -> None:
            self._accepting.cancel()
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(self._accepting, *self._tasks, return_exceptions=True)
            self._server.close()
            for end in self._held:
                end.close()

        asyncio.run_coroutine_threadsafe(stop(), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    def _do(self, step: Callable[[], object]) -> None:
        async def run() -> None:
            step()

        asyncio.run_coroutine_threadsafe(run(), self._loop).result(10)

    def _start(self) -> None:
        self._accepting = asyncio.ensure_future(self._accept())

    def _reset(self) -> None:
        for writer in self._open:
            # A reset, not an orderly end, is what an abort sends then.
            with suppress(OSError, AttributeError):  # it has ended by itself
                ended = writer.get_extra_info("socket")
                ended.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            writer.transport.abort()

    async def _accept(self) -> None:
        while True:
            near, _ = await self._loop.sock_accept(self._server)
            if self._swallows:
                self._held.append(near)
                continue
            task = asyncio.ensure_future(self._serve(near))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _serve(self, accepted: socket.socket) -> None:
        with suppress(OSError):  # a failed handshake too
            near = await self._opened(accepted)
            try:
                far = await asyncio.open_connection("127.0.0.1", self.target)
            except OSError:
                near[1].transport.abort()
                return
            ends = {near[1], far[1]}
            self._open |= ends
            try:
                await asyncio.gather(self._pump(near[0], far[1], "to"), self._pump(far[0], near[1], "from"))
            finally:
                self._open -= ends
                for end in ends:
                    end.transport.abort()

    async def _opened(self, accepted: socket.socket) -> _Pair:
        reader = asyncio.StreamReader()
        protocol = asyncio.StreamReaderProtocol(reader)
        transport, _ = await self._loop.connect_accepted_socket(lambda: protocol, accepted, ssl=self._tls)
        return reader, asyncio.StreamWriter(transport, protocol, reader, self._loop)

    async def _pump(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter, direction: str) -> None:
        while True:
            try:
                part = await source.read(65_536)
            except OSError:
                part = b""
            if self._delay_seconds:
                await asyncio.sleep(self._delay_seconds)
            await self._passable[direction].wait()
            if sink in self._silent:
                if not part:
                    await asyncio.Event().wait()  # until the proxy ends: the other side hears nothing of it
                continue
            if not part:
                sink.close()
                await sink.wait_closed()  # with what was written before
                raise ConnectionResetError
            sink.write(part)
            await sink.drain()


def _listening(port: int) -> socket.socket:
    server = socket.create_server(("127.0.0.1", port), backlog=1_000)
    server.setblocking(False)
    return server


class _Proxies(BaseManager):
    """A process that holds proxies."""


def _proxy(target: int, certificate: tuple[Path, Path, Path] | None) -> Proxy:
    tls = None
    if certificate is not None:
        *own, authority = certificate
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        tls.load_cert_chain(*own)
        tls.load_verify_locations(authority)
        tls.verify_mode = ssl.CERT_REQUIRED
    return Proxy(target, tls=tls)


_Proxies.register("proxy", _proxy)


class ProxyProcess:
    """Proxies in a process of their own, which do not wait for the interpreter of busy tests; a context manager."""

    def __init__(self) -> None:
        self._manager = _Proxies(ctx=get_context("spawn"))
        self._manager.start()

    def proxy(self, target: int, certificate: tuple[Path, Path, Path] | None = None) -> Any:
        """What has the methods of a ``Proxy`` before a port.

        Given a certificate, its key and the authority of the clients' certificates, it speaks mutual TLS.
        """
        return self._manager.proxy(target, certificate)  # type: ignore[attr-defined]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._manager.shutdown()
