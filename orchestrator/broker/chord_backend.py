"""The result backend of workers, which counts the parts of chords."""

from __future__ import annotations

import logging
from typing import Any

from celery.backends.redis import RedisBackend

_LOGGER = logging.getLogger(__name__)


class ChordBackend(RedisBackend):  # type: ignore[misc]  # Celery is untyped
    """Celery's Redis backend, in which a chord part that cannot be counted is only logged."""

    def on_chord_part_return(self, request: Any, state: str, result: Any, **kwargs: Any) -> None:
        """Count the part; when that fails, the watcher finishes the run.

        Celery would store the failure in the same Redis. That fails too, in a pool thread whose errors are not read,
        and the request would occupy its place in the pool for ever.
        """
        try:
            super().on_chord_part_return(request, state, result, **kwargs)
        except Exception as error:  # noqa: BLE001  # border: whatever Redis or the body's publishing raises
            _LOGGER.warning("chord_part_lost task_id=%s error=%s", getattr(request, "id", None), type(error).__name__)
