"""Celery's pool of threads, made to lose no place to a message."""

from functools import partial
from typing import Any

from billiard.einfo import ExceptionInfo
from celery import concurrency, current_app
from celery.concurrency import thread

from orchestrator.broker.app import queue_of
from orchestrator.broker.transport import set_aside
from orchestrator.logs import get_logger

_LOGGER = get_logger(__name__)


class ThreadPool(thread.TaskPool):  # type: ignore[misc]  # Celery is untyped
    """A pool whose tasks end whatever Celery makes of their message.

    In Celery 5.7.0 an error outside the task's own code, such as of callbacks that are none, ends the thread's work
    without a word, and the place of the task is never given back: a few such messages, and the worker takes no more.
    """

    def on_apply(self, target: Any, *arguments: Any, **options: Any) -> Any:
        """Run a task in a thread."""
        return super().on_apply(partial(_ended, target), *arguments, **options)


def _ended(target: Any, *arguments: Any) -> Any:
    """What Celery is told of a task, the message of which is set aside where it was not even run."""
    try:
        return target(*arguments)
    except Exception as error:  # border: whatever a malformed message raises
        _LOGGER.warning("message_malformed", exc_info=error)
        name, _, _, body = arguments[:4]
        set_aside(queue_of(current_app, name), f"malformed: {type(error).__name__}", repr((name, body)))
        return 1, ExceptionInfo(), 0.0


def use_thread_pool() -> None:
    """Make ``--pool threads`` this pool."""
    concurrency.ALIASES["threads"] = f"{__name__}:{ThreadPool.__name__}"
