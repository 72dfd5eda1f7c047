"""Copied as ``sitecustomize`` beside the stubs: files in HOME take away names and set the wall clock of a process."""

from __future__ import annotations

import os
import socket
import time
from pathlib import Path
from typing import Any

_home = Path(os.environ.get("HOME", "/"))
_resolve, _now = socket.getaddrinfo, time.time
_known: tuple[float, float] = (0.0, 0.0)


def _getaddrinfo(*args: Any, **kwargs: Any) -> Any:
    if (_home / "no_names").exists():
        raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")
    return _resolve(*args, **kwargs)


def _time() -> float:
    global _known  # noqa: PLW0603
    offset, read_at = _known
    if time.monotonic() - read_at > 0.1:
        try:
            offset = float((_home / "clock").read_text("ascii") or 0)
        except OSError:
            offset = 0.0
        _known = offset, time.monotonic()
    return _now() + offset


socket.getaddrinfo = _getaddrinfo
time.time = _time
