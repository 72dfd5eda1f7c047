"""A proxy before Redis whose connections can be made to lead nowhere."""

from __future__ import annotations

import socket
import threading
from contextlib import suppress
from typing import Self


class Proxy:
    """Passes bytes on between its port of 127.0.0.1 and another one; a context manager."""

    def __init__(self, target: int) -> None:
        self._target = target
        self._silent: set[socket.socket] = set()
        self._open: set[socket.socket] = set()
        self._server = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._server.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def make_half_open(self) -> None:
        """Let nothing through any more on the connections there are, without closing them; new ones work."""
        self._silent |= self._open

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                near, _ = self._server.accept()
                try:
                    far = socket.create_connection(("127.0.0.1", self._target))
                except OSError:
                    near.close()
                    continue
                self._open |= {near, far}
                for pair in ((near, far), (far, near)):
                    threading.Thread(target=self._pump, args=pair, daemon=True).start()

    def _pump(self, source: socket.socket, sink: socket.socket) -> None:
        with suppress(OSError):
            while part := source.recv(65_536):
                if source not in self._silent:
                    sink.sendall(part)
        if source not in self._silent:
            for end in (source, sink):
                with suppress(OSError):
                    end.shutdown(socket.SHUT_RDWR)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for end in (self._server, *self._open):
            with suppress(OSError):
                end.close()
