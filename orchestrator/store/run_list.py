"""The list of runs, newest first."""

from typing import Any

import redis

from orchestrator.errors import InvalidRequest, RunNotFound
from orchestrator.models import RunOutcome, RunState, RunSummary, read_enum
from orchestrator.store.connection import store_errors, to_ms
from orchestrator.store.keys import Keys
from orchestrator.store.reading import FARTHEST_DEADLINE_MS, read_number
from orchestrator.store.records import read_summary

MAX_LISTED = 1_000
"""Most runs that are listed at once."""
MAX_PAGES = 10
"""How often more runs are looked for in place of those that have expired or cannot be read."""
_SUMMARY_FIELDS = ["state", "outcome", "summary", "created_ms", "deadline_ms", "closed_ms", "committed_by"]


class RunList:
    """Reads summaries of runs, without their plans and envelopes."""

    def __init__(self, client: redis.Redis, keys: Keys) -> None:
        self._client = client
        self._keys = keys

    def recent(self, *, limit: int) -> list[RunSummary]:
        """Summaries of the newest ``limit`` runs, newest first; expired runs are left out.

        Raises InvalidRequest for a ``limit`` below 1 or above ``MAX_LISTED``, StoreUnreachable.
        """
        if not 1 <= limit <= MAX_LISTED:
            raise InvalidRequest(
                "{field}: must be 1 to {most}, not {limit}", field="limit", most=MAX_LISTED, limit=limit
            )
        summaries: list[RunSummary] = []
        with store_errors():
            # What claims to be of a later time is no run, and would be the newest for ever.
            newest_ms = to_ms(self._client.time()) + FARTHEST_DEADLINE_MS
            for page in range(MAX_PAGES):
                found = self._client.zrevrangebyscore(self._keys.index, newest_ms, 0, start=page * limit, num=limit)
                run_ids: list[Any] = found
                summaries += self._summaries(run_ids)
                if len(run_ids) < limit or len(summaries) >= limit:
                    break
        return summaries[:limit]

    def _summaries(self, run_ids: list[Any]) -> list[RunSummary]:
        with self._client.pipeline(transaction=False) as pipe:
            for run_id in run_ids:
                pipe.hmget(self._keys.run(run_id), _SUMMARY_FIELDS)
            rows = pipe.execute(raise_on_error=False)
        return [
            _summary(run_id, row)
            for run_id, row in zip(run_ids, rows, strict=True)
            # A key of another type must not hide the other runs.
            if isinstance(row, list) and row[0] is not None
        ]

    def summary(self, run_id: str) -> RunSummary:
        """The summary of one run.

        Raises RunNotFound, StoreUnreachable.
        """
        with store_errors():
            row: list[Any] = self._client.hmget(self._keys.run(run_id), _SUMMARY_FIELDS)
        if row[0] is None:
            raise RunNotFound.of(run_id)
        return _summary(run_id, row)


def _summary(run_id: str, row: list[Any]) -> RunSummary:
    state, outcome, summary, created_ms, deadline_ms, closed_ms, committed_by = row
    question = read_summary(run_id, summary or "{}")
    created = read_number(created_ms)
    return RunSummary(
        run_id=run_id,
        state=read_enum(state, RunState.DISPATCHED),
        outcome=read_enum(outcome, RunOutcome.FAILED) if outcome else None,
        message=question.message,
        jobs=question.jobs,
        tws_instance_id=question.tws_instance_id,
        created_at_ms=created,
        deadline_ms=read_number(deadline_ms),
        total_latency_ms=float(read_number(closed_ms, created) - created) if closed_ms else None,
        committed_by=committed_by,
    )
