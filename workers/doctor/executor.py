"""Threads that may be left behind: a name server that hangs must not keep ``doctor`` from ending."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")


class DaemonExecutor(ThreadPoolExecutor):
    """A daemon thread for each call; nobody waits for one that does not come back.

    The pool's own threads are joined when the loop is closed and when the interpreter ends, whatever they wait for.
    """

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """Start the call."""
        future: Future[T] = Future()

        def work() -> None:
            if not future.set_running_or_notify_cancel():
                return
            try:
                result = fn(*args, **kwargs)
            except BaseException as error:  # noqa: BLE001  # border of the thread: the future carries it over
                future.set_exception(error)
            else:
                future.set_result(result)

        threading.Thread(target=work, name="doctor", daemon=True).start()
        return future

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:  # noqa: ARG002  # the base's signature
        """Wait for nothing."""
        super().shutdown(wait=False)
