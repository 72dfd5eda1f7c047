"""The list of runs, newest first."""

from __future__ import annotations

import json
from typing import Any

import redis

from orchestrator.errors import InvalidRequest, RunNotFound
from orchestrator.models import RunOutcome, RunState, RunSummary
from orchestrator.store.connection import store_errors
from orchestrator.store.keys import Keys

_SUMMARY_FIELDS = ["state", "outcome", "summary", "created_ms", "deadline_ms", "closed_ms", "committed_by"]


class RunList:
    """Reads one line a run, without requests, plans or envelopes."""

    def __init__(self, client: redis.Redis, keys: Keys) -> None:
        self._client = client
        self._keys = keys

    def recent(self, *, limit: int) -> list[RunSummary]:
        """The newest runs first; those that have expired are left out."""
        if limit < 1:
            raise InvalidRequest(f"limit: must be at least 1, not {limit}")
        with store_errors():
            run_ids: list[Any] = self._client.zrevrange(self._keys.index, 0, limit - 1)
            with self._client.pipeline(transaction=False) as pipe:
                for run_id in run_ids:
                    pipe.hmget(self._keys.run(run_id), _SUMMARY_FIELDS)
                rows = pipe.execute()
        return [_summary(run_id, row) for run_id, row in zip(run_ids, rows, strict=True) if row[0] is not None]

    def summary(self, run_id: str) -> RunSummary:
        """One line about a run.

        Raises RunNotFound.
        """
        with store_errors():
            row: list[Any] = self._client.hmget(self._keys.run(run_id), _SUMMARY_FIELDS)
        if row[0] is None:
            raise RunNotFound.of(run_id)
        return _summary(run_id, row)


def _summary(run_id: str, row: list[Any]) -> RunSummary:
    state, outcome, summary, created_ms, deadline_ms, closed_ms, committed_by = row
    facts = json.loads(summary or "{}")
    created = int(created_ms or 0)
    return RunSummary(
        run_id=run_id,
        state=RunState(state),
        outcome=RunOutcome(outcome) if outcome else None,
        message=facts.get("message", ""),
        jobs=tuple(facts.get("jobs", ())),
        tws_instance_id=facts.get("tws_instance_id"),
        created_at_ms=created,
        deadline_ms=int(deadline_ms or 0),
        total_latency_ms=float(int(closed_ms) - created) if closed_ms else None,
        committed_by=committed_by,
    )
