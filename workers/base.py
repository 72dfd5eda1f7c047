"""``SourceTask``: the Celery side of asking a source."""

from __future__ import annotations

import logging
from typing import Any

from celery import Task

from orchestrator.errors import RunNotFound, StoreUnreachable
from workers.runtime.process import current_process

_LOGGER = logging.getLogger(__name__)
STARTED_REQUEST = "workers.runtime.request:StartedRequest"
"""Class of every task's requests, for its attribute ``Request``."""


class SourceTask(Task):  # type: ignore[misc]  # Celery is untyped
    """Asks the source of its name. Never raises: a chord whose header raises would lose its body."""

    abstract = True
    Request = STARTED_REQUEST
    ignore_result = True
    acks_late = False
    source_name = ""

    def run(self, run_id: str, job: str | None = None) -> dict[str, Any]:
        """Ask and store; the limit is the message's own soft time limit."""
        process = current_process(self.app)
        limits = self.request.timelimit or (None, None)
        try:
            return process.asking(self.request.hostname).ask(
                run_id, self.source_name, job, claim=self.request.id, soft_limit_seconds=limits[1]
            )
        except (RunNotFound, StoreUnreachable) as error:
            _LOGGER.warning("source_dropped run_id=%s source=%s reason=%s", run_id, self.source_name, error.reason)
            return self._dropped(error.reason)
        except Exception:  # border: whatever went wrong, the chord must go on; the fan-in says what is missing
            _LOGGER.exception("source_dropped run_id=%s source=%s reason=unexpected", run_id, self.source_name)
            return self._dropped("unexpected")

    def _dropped(self, reason: str) -> dict[str, Any]:
        return {"source": self.source_name, "outcome": reason, "latency_ms": 0.0}
