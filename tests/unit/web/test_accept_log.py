"""The log of asyncio while no connection can be accepted."""

from __future__ import annotations

import asyncio
import errno
import logging
import os

import pytest

from orchestrator.web import accept_log


def test_accept_errors_are_logged_once_a_second(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of many connections that cannot be accepted one is logged, the next with the number of those left out."""
    monkeypatch.setattr(accept_log, "_FILTER", accept_log.AcceptFilter())
    accept_log.limit_accept_log()
    loop = asyncio.new_event_loop()
    error = OSError(errno.EMFILE, os.strerror(errno.EMFILE))
    try:
        monkeypatch.setattr(accept_log, "PAUSE_SECONDS", 60.0)
        for _ in range(2_048):
            loop.call_exception_handler({"message": "socket.accept() out of system resource", "exception": error})
        loop.call_exception_handler({"message": "something else", "exception": error})
        monkeypatch.setattr(accept_log, "PAUSE_SECONDS", 0.0)
        loop.call_exception_handler({"message": "socket.accept() out of system resource", "exception": error})
    finally:
        loop.close()
        logging.getLogger("asyncio").removeFilter(accept_log._FILTER)
    assert [record.getMessage() for record in caplog.records] == [
        "socket.accept() out of system resource",
        "something else",
        "socket.accept() out of system resource\nleft out since the last one: 2047",
    ]
