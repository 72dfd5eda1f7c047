"""The broker's connection in a process that can open nothing more."""

from __future__ import annotations

import errno
import os
from typing import NoReturn

import pytest
from kombu.transport import redis

from orchestrator.broker.transport import RedisConnection


def test_a_connection_without_a_descriptor_is_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """Celery gets an error that it retries, not the one by which it ends the worker, and can log the broker's name."""

    def no_descriptor() -> NoReturn:
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

    poll = redis.poll
    monkeypatch.setattr(redis, "poll", no_descriptor)
    connection = RedisConnection("redis://:geheim@localhost:6379/0")
    waits: list[str] = []

    def wait(error: Exception, _seconds: float) -> None:
        waits.append(f"{connection.as_uri()} {error} {getattr(error, 'errno', None)}")
        if len(waits) == 2:
            monkeypatch.setattr(redis, "poll", poll)
            monkeypatch.setattr(redis.Transport, "establish_connection", lambda transport: transport)

    connection.ensure_connection(wait, interval_start=0, interval_step=0)
    assert waits == ["redis:// [Errno 24] Too many open files None"] * 2
    assert connection.as_uri() == "redis://:**@localhost:6379/0"
