"""The pool of threads of a worker."""

from __future__ import annotations

import queue
from typing import Any

import pytest
from celery import concurrency

from orchestrator.broker.transport import message_set_aside
from workers.runtime.pool import use_thread_pool


@pytest.fixture
def pool() -> Any:
    """A pool with one place, which a worker gets by its name."""
    use_thread_pool()
    pool = concurrency.get_implementation("threads")(1)
    yield pool
    pool.on_stop()


def test_an_error_around_a_task_gives_its_place_back(pool: Any) -> None:
    """Celery hears that the task has ended, and the message is set aside."""
    aside = list[dict[str, Any]]()
    told: queue.SimpleQueue[Any] = queue.SimpleQueue()
    message_set_aside.connect(keep := lambda **fields: aside.append(fields), weak=False)

    def trace(*_: Any) -> Any:
        raise TypeError("'int' object is not iterable")

    try:
        pool.apply_async(trace, args=("a.task", "id", {}, "[]", "", ""), callback=told.put)
        failed, error, _ = told.get(timeout=20)
    finally:
        message_set_aside.disconnect(keep)
    assert (failed, type(getattr(error.exception, "exc", error.exception))) == (1, TypeError)
    assert [(item["queue"], item["reason"]) for item in aside] == [("", "malformed: TypeError")]


def test_a_task_that_ends_is_told_as_it_is(pool: Any) -> None:
    """The result of Celery's own tracing is passed on."""
    told: queue.SimpleQueue[Any] = queue.SimpleQueue()
    pool.apply_async(lambda *_: (0, "x", 0.1), args=("a.task",), callback=told.put)
    assert told.get(timeout=20) == (0, "x", 0.1)
