"""The result backend of workers: it counts the parts of chords, and keeps no results for anybody to wait for."""

from __future__ import annotations

import logging
from typing import Any

from celery.backends.redis import RedisBackend

_LOGGER = logging.getLogger(__name__)


class ChordBackend(RedisBackend):  # type: ignore[misc]  # Celery is untyped
    """Celery's Redis backend for a process in which nobody calls ``get()`` and no run depends on its chord.

    Publishing a chord makes a result object for each header task, and Celery 5.7.0 registers every one as awaited: it
    subscribes to the task's channel and keeps the object until the result arrives. Our tasks ignore their results, so
    none ever does: four subscriptions a run stayed open in Redis and some 8 KB in the worker, for as long as it lived.
    """

    def add_pending_result(self, result: Any, weak: bool = False, start_drainer: bool = True) -> Any:  # noqa: ARG002
        """Wait for nothing."""
        return result

    def remove_pending_result(self, result: Any) -> Any:
        """Nothing was waited for."""
        return result

    def on_task_call(self, producer: Any, task_id: str) -> None:
        """Subscribe to nothing."""

    def on_chord_part_return(self, request: Any, state: str, result: Any, **kwargs: Any) -> None:
        """Count the part; one that cannot be counted is left to the watcher, which finishes the run all the same.

        Celery would store the failure in the same Redis. That fails as well, in a thread of the pool whose errors
        nobody reads, and the request would keep its place in the pool for ever.
        """
        try:
            super().on_chord_part_return(request, state, result, **kwargs)
        except Exception as error:  # noqa: BLE001  # border: whatever Redis or the body's publishing raises
            _LOGGER.warning("chord_part_lost task_id=%s error=%s", getattr(request, "id", None), type(error).__name__)
