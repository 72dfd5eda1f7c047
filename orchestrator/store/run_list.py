"""The list of runs, newest first, page by page."""

import re
import time
from collections.abc import Iterator
from typing import Any

import redis

from orchestrator.errors import InvalidRequest, RunNotFound
from orchestrator.models import RunOutcome, RunPage, RunState, RunSummary, read_enum
from orchestrator.store.connection import store_errors, to_ms
from orchestrator.store.keys import Keys
from orchestrator.store.reading import FARTHEST_DEADLINE_MS, read_number
from orchestrator.store.records import listed, read_summary
from orchestrator.store.run_filter import RunFilter, since_ms

MAX_LISTED = 1_000
"""Most runs of a page."""
MAX_LOOKED_AT = 10_000
MAX_SECONDS = 1.0
"""Most runs that are looked at for a page, and most of the time for it."""
_CHUNK = 1_000
_SUMMARY_FIELDS = (
    "state",
    "outcome",
    "summary",
    "created_ms",
    "deadline_ms",
    "closed_ms",
    "committed_by",
    "jobs",
    "owner",
)
_MAX_ID = 64
_PLACE = re.compile(rf"([0-9]{{1,16}})-(.{{1,{_MAX_ID}}})")

_Place = tuple[float, str]
"""Where a run stands in the list: its creation time, and its id among those of the same millisecond."""


class RunList:
    """Reads summaries of runs, without their plans and envelopes."""

    def __init__(self, client: redis.Redis, keys: Keys) -> None:
        self._client = client
        self._keys = keys

    def page(self, *, limit: int, after: str | None = None, where: RunFilter | None = None) -> RunPage:
        """The newest ``limit`` runs of those in ``where``, newest first, without those that have expired.

        ``after`` is ``next`` of the page before: the pages have each run once, whatever is submitted meanwhile.
        At most ``MAX_LOOKED_AT`` runs are looked at, for ``MAX_SECONDS`` or little longer; a page that ends there may
        have fewer runs, or none, and ``next``.

        Raises InvalidRequest for a ``limit`` below 1 or above ``MAX_LISTED`` and for another ``after``,
        StoreUnreachable.
        """
        if not 1 <= limit <= MAX_LISTED:
            raise InvalidRequest(
                "{field}: must be 1 to {most}, not {limit}", field="limit", most=MAX_LISTED, limit=limit
            )
        where, began = where or RunFilter(), time.monotonic()
        start = None if after is None else _read_place(after)
        index = self._keys.index if where.user is None else self._keys.owned(where.user)
        rows: list[tuple[_Place, RunSummary]] = []
        looked_at, last, chunk = 0, start, _CHUNK if where.is_narrow else limit + 1
        with store_errors():
            now_ms = to_ms(self._client.time())
            # What claims to be of a later time is no run, and would be the newest for ever.
            newest = (float(now_ms + FARTHEST_DEADLINE_MS), "~")
            for places in self._places(index, start or newest, since_ms(where.since, now_ms), chunk):
                rows += self._rows(places, where)
                if len(rows) > limit:
                    return RunPage(runs=tuple(run for _, run in rows[:limit]), next=_write_place(rows[limit - 1][0]))
                looked_at, last = looked_at + len(places), places[-1]
                if looked_at >= MAX_LOOKED_AT or time.monotonic() - began >= MAX_SECONDS:
                    return RunPage(runs=tuple(run for _, run in rows), next=_write_place(last))
        return RunPage(runs=tuple(run for _, run in rows))

    def _places(self, index: str, after: _Place, oldest_ms: int, chunk: int) -> Iterator[list[_Place]]:
        """The places below ``after``, from high to low."""
        passed = 0
        while True:
            reply: Any = self._client.zrevrangebyscore(
                index, after[0], oldest_ms, start=passed, num=chunk, withscores=True
            )
            found = [(score, str(run_id)) for run_id, score in reply]
            places = [place for place in found if place < after]
            if places:
                yield places
            if len(found) < chunk:
                return
            chunk = min(2 * chunk, _CHUNK)
            # The next ones begin with those of the last one's millisecond.
            end = found[-1][0]
            same = sum(score == end for score, _ in found)
            passed, after = (passed + same if end == after[0] else same), min(after, found[-1])

    def _rows(self, places: list[_Place], where: RunFilter) -> list[tuple[_Place, RunSummary]]:
        with self._client.pipeline(transaction=False) as pipe:
            for _, run_id in places:
                pipe.hmget(self._keys.run(run_id), _SUMMARY_FIELDS)
            replies = pipe.execute(raise_on_error=False)
        rows = [
            (place, _summary(place[1], reply))
            for place, reply in zip(places, replies, strict=True)
            # A key of another type must not hide the other runs.
            if isinstance(reply, list)
            and reply[0] is not None
            # An id may have been used again, by another user.
            and (where.user is None or reply[-1] == where.user)
            and where.may_have(reply[0], reply[1], f"{reply[2]} {reply[-2] or ''}")
        ]
        return [(place, run) for place, run in rows if where.has(run)]

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
    state, outcome, summary, created_ms, deadline_ms, closed_ms, committed_by, found, owner = row
    question = read_summary(run_id, summary or "{}")
    created = read_number(created_ms)
    return RunSummary(
        run_id=run_id,
        state=read_enum(state, RunState.DISPATCHED),
        outcome=read_enum(outcome, RunOutcome.FAILED) if outcome else None,
        message=question.message,
        # What a pattern stands for is in place of it.
        jobs=listed(tuple(dict.fromkeys(found.split("\n")))) if found else question.jobs,
        tws_instance_id=question.tws_instance_id,
        user_id=owner or None,
        created_at_ms=created,
        deadline_ms=read_number(deadline_ms),
        total_latency_ms=float(read_number(closed_ms, created) - created) if closed_ms else None,
        committed_by=committed_by,
    )


def _read_place(text: str) -> _Place:
    match = _PLACE.fullmatch(text)
    if match is None:
        raise InvalidRequest(
            "{field}: {text!r} is no place in the list; take the one that a page ends with",
            field="after",
            text=text[:80],
        )
    return float(match[1]), match[2]


def _write_place(place: _Place) -> str:
    # An id that is too long is nobody's, and its beginning stands before it.
    return f"{int(place[0])}-{place[1][:_MAX_ID]}"
