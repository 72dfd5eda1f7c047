"""The list of runs: filters, pages, and the work for a page, over fakeredis and a real redis-server."""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import redis
from tests_support import stretched

from orchestrator.config import Settings
from orchestrator.errors import InvalidRequest, RunNotFound
from orchestrator.i18n.languages import Language
from orchestrator.models import Intent, Plan, PlannedSource, Routing, RunPage, TroubleshootRequest
from orchestrator.store import run_list
from orchestrator.store.run_filter import RunFilter
from orchestrator.store.run_list import RunList
from orchestrator.store.runs import RunStore, new_token

HOUR_MS = 3_600_000


@dataclass
class Shelf:
    """A store with runs in it."""

    client: redis.Redis
    store: RunStore
    runs: RunList

    def now_ms(self) -> int:
        seconds, micros = self.client.time()
        return seconds * 1000 + micros // 1000

    def put(self, run_id: str, *, age_ms: int = 0, found: tuple[str, ...] = (), **fields: Any) -> None:
        """A run of that age, with raw fields of its hash among ``fields``."""
        raw = {name: fields.pop(name) for name in ("state", "outcome") if name in fields}
        request = TroubleshootRequest.model_validate({"message": "Job parou", **fields})
        self.store.open(run_id, request, nonce=new_token())
        if found:
            self.plan(run_id, found)
        if raw:
            self.client.hset(self.store.keys.run(run_id), mapping=raw)
        keys = self.store.keys
        for index in (keys.index, *([keys.owned(request.user_id)] if request.user_id else [])):
            self.client.zadd(index, {run_id: self.now_ms() - age_ms})

    def plan(self, run_id: str, jobs: tuple[str, ...], stage: int = 1) -> None:
        lease = self.store.claim_dispatch(run_id, f"d{stage}")
        assert lease is not None
        plan = Plan(
            pipeline="troubleshoot",
            routing=Routing(intent=Intent.TROUBLESHOOT, confidence=1, language=Language.PT_BR),
            sources=tuple(PlannedSource(source="tws_status", job=job, limit_seconds=5) for job in jobs),
            reason="test",
            stage=stage,
        )
        self.store.put_plan(run_id, f"d{stage}", plan)

    def page(self, limit: int = 100, after: str | None = None, **where: Any) -> RunPage:
        return self.runs.page(limit=limit, after=after, where=RunFilter.model_validate(where))

    def ids(self, limit: int = 100, **where: Any) -> list[str]:
        return [run.run_id for run in self.page(limit, **where).runs]


@pytest.fixture
def shelf(either_redis: tuple[redis.Redis, Settings]) -> Shelf:
    client, settings = either_redis
    store = RunStore(client, settings)
    return Shelf(client, store, RunList(client, store.keys))


@pytest.fixture
def filled(shelf: Shelf) -> Shelf:
    """Five runs, each with something of its own."""
    shelf.put("run-failed", age_ms=30_000, state="done", outcome="failed", jobs=("BATCH001",), user_id="ana")
    shelf.put("run-partial", age_ms=2 * HOUR_MS, state="done", outcome="partial", found=("MDM#FATDIA.BATCH002",))
    shelf.put("run-open", age_ms=3 * HOUR_MS, found=("PAY#D010",), tws_instance_id="PRD", user_id="bia")
    shelf.put("run-stopped", age_ms=20 * HOUR_MS, state="cancelled", outcome="cancelled", jobs=("FECH0*",))
    shelf.put("run-done", age_ms=21 * HOUR_MS, state="done", outcome="complete", found=("FECH001", "fech002"))
    return shelf


FILTERS: list[tuple[dict[str, Any], list[str]]] = [
    ({}, ["run-failed", "run-partial", "run-open", "run-stopped", "run-done"]),
    ({"state": "open"}, ["run-open"]),
    ({"state": "dispatching"}, ["run-open"]),
    ({"state": ["open", "cancelled"]}, ["run-open", "run-stopped"]),
    ({"outcome": "failed"}, ["run-failed"]),
    ({"outcome": ("failed", "partial")}, ["run-failed", "run-partial"]),
    ({"outcome": "timed_out"}, []),
    ({"job": "BATCH001"}, ["run-failed"]),
    ({"job": "batch001"}, ["run-failed"]),
    ({"job": "MDM#FATDIA.BATCH001"}, ["run-failed"]),
    ({"job": "BATCH002"}, ["run-partial"]),
    ({"job": "mdm#fatdia.batch002"}, ["run-partial"]),
    ({"job": "MDM#BATCH002"}, ["run-partial"]),
    ({"job": "OTHER#BATCH002"}, []),
    ({"job": "PAY#D010"}, ["run-open"]),
    ({"job": "D010"}, ["run-open"]),
    ({"job": "BATCH*"}, ["run-failed", "run-partial"]),
    ({"job": "MDM#FATDIA.@"}, ["run-partial"]),
    ({"job": "FECH002"}, ["run-done"]),
    ({"job": "FECH0*"}, ["run-stopped", "run-done"]),
    ({"job": "BATCH001, D010"}, ["run-failed", "run-open"]),
    ({"job": "BATCH001..BATCH002"}, ["run-failed", "run-partial"]),
    ({"job": "BATCH"}, []),
    ({"instance": "PRD"}, ["run-open"]),
    ({"instance": "prd"}, ["run-open"]),
    ({"instance": "PR"}, []),
    ({"user": "ana"}, ["run-failed"]),
    ({"user": "ANA"}, []),
    ({"user": "ana", "job": "BATCH002"}, []),
    ({"since": "1min"}, ["run-failed"]),
    ({"since": "2h30m"}, ["run-failed", "run-partial"]),
    ({"since": "10h"}, ["run-failed", "run-partial", "run-open"]),
    ({"since": timedelta(hours=1)}, ["run-failed"]),
    ({"since": "2026-01-01"}, ["run-failed", "run-partial", "run-open", "run-stopped", "run-done"]),
    ({"since": "2999-01-01T00:00:00Z"}, []),
    ({"since": "4h", "state": "done", "job": "batch*"}, ["run-failed", "run-partial"]),
]


def test_each_filter_has_its_runs(filled: Shelf) -> None:
    """A table of filters and the runs that they have, newest first."""
    assert [(where, filled.ids(**where)) for where, _ in FILTERS] == FILTERS
    now = datetime.fromtimestamp(filled.now_ms() / 1000, UTC)
    for moment in (now - timedelta(hours=1), (now - timedelta(hours=1)).isoformat()):
        assert filled.ids(since=moment) == ["run-failed"]


def test_a_summary_has_the_jobs_that_were_found(filled: Shelf) -> None:
    """By the message, a pattern or a list: those of every stage, each once; and whose run it is."""
    runs = {run.run_id: run for run in filled.page().runs}
    assert runs["run-partial"].jobs == ("MDM#FATDIA.BATCH002",)
    assert runs["run-stopped"].jobs == ("FECH0*",)
    assert (runs["run-open"].user_id, runs["run-done"].user_id) == ("bia", None)
    key = filled.store.keys.run("run-open")
    filled.client.hset(key, mapping={"state": "accepted", "stage": 2})
    filled.plan("run-open", ("PAY#D010", "D020"), stage=2)
    assert filled.runs.summary("run-open").jobs == ("PAY#D010", "D020")
    many = tuple(f"/A/{'B' * 40}/C/WS{number:03d}#STREAM{number:03d}.JOB{number:03d}" for number in range(200))
    filled.put("run-many", found=many)
    assert 0 < len(filled.runs.summary("run-many").jobs) < 200


def test_a_packed_run_stands_in_the_list_as_before(filled: Shelf) -> None:
    """Its jobs and its owner are not among what is packed, nor does an older version's owner get lost."""
    filled.client.hset(filled.store.keys.run("run-open"), "state", "done")
    before = filled.page(user="bia").runs
    assert filled.store.pack("run-open")
    assert filled.page(user="bia", job="D010").runs == before
    for run_id in ("run-open", "run-failed"):
        filled.client.hdel(filled.store.keys.run(run_id), "owner")
    filled.store.check_owner("run-open", "bia")
    filled.store.check_owner("run-failed", "ana")
    for user in ("ana", None, ""):
        with pytest.raises(RunNotFound):
            filled.store.check_owner("run-open", user)


def test_pages_have_each_run_once_while_others_arrive(shelf: Shelf) -> None:
    """Also of runs that were submitted in one millisecond, and whatever is submitted or expires meanwhile."""
    ids = [f"run-{number:08d}" for number in range(25)]
    for run_id in ids:
        shelf.put(run_id, user_id="ana")
    now = shelf.now_ms()
    for index in (shelf.store.keys.index, shelf.store.keys.owned("ana")):
        shelf.client.zadd(index, {run_id: now - number // 10 for number, run_id in enumerate(reversed(ids))})
    for where in ({}, {"user": "ana"}, {"state": "open"}):
        seen, after = [], None
        for turn in range(30):
            page = shelf.page(3, after, **where)
            seen += [run.run_id for run in page.runs]
            after = page.next
            shelf.put(f"run-{len(where)}-{turn}-later", user_id="ana")
            if after is None:
                break
        assert after is None
        assert sorted(run_id for run_id in seen if run_id in ids) == ids
        assert len(seen) == len(set(seen))


def test_an_id_that_another_user_took_up_again_is_that_users(shelf: Shelf) -> None:
    """The list of the user that had it before does not show it, although its index still has it."""
    shelf.put("run-again-1", user_id="ana")
    shelf.client.delete(shelf.store.keys.run("run-again-1"))
    shelf.put("run-again-1", user_id="bia")
    assert (shelf.ids(user="ana"), shelf.ids(user="bia")) == ([], ["run-again-1"])


def test_the_index_of_a_user_ends_with_the_runs(shelf: Shelf) -> None:
    """It has the time to live of the newest run, and what has expired is removed by the next one."""
    shelf.put("run-old-0001", user_id="ana", age_ms=100 * HOUR_MS)
    shelf.put("run-new-0001", user_id="ana")
    key = shelf.store.keys.owned("ana")
    assert shelf.client.zrange(key, 0, -1) == ["run-new-0001"]
    assert 0 < shelf.client.ttl(key) <= 3 * 86_400, "as long as a run that failed is kept"
    shelf.client.delete(key)
    shelf.client.set(key, "foreign")
    shelf.put("run-new-0002", user_id="ana")
    assert shelf.ids(user="ana") == ["run-new-0002"]


@pytest.mark.parametrize(
    ("where", "told"),
    [
        ({"after": "x"}, "after: 'x' is no place in the list"),
        ({"after": "-1"}, "after: '-1' is no place in the list"),
        ({"limit": 1_001}, "limit: must be 1 to 1000, not 1001"),
    ],
)
def test_what_is_no_page_is_refused(shelf: Shelf, where: dict[str, Any], told: str) -> None:
    """The error names the field."""
    with pytest.raises(InvalidRequest, match=told):
        shelf.page(**where)


def test_a_filter_that_matches_nothing_ends_soon(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of 20,000 runs it looks at so many, or for so long, and tells where to go on; a user's page looks at theirs."""
    from orchestrator.store.connection import connect  # the real server alone

    client = connect(settings)
    store = RunStore(client, settings)
    shelf = Shelf(client, store, RunList(client, store.keys))
    keys, now, count = store.keys, shelf.now_ms(), 20_000
    with client.pipeline(transaction=False) as pipe:
        for number in range(count):
            run_id, at_ms = f"run-{number:08d}", now - number
            fields = {"state": "done", "outcome": "complete", "owner": f"u{number % 2_000}", "created_ms": at_ms}
            pipe.hset(keys.run(run_id), mapping=fields | {"summary": '{"message":"x","jobs":["FECH001"]}'})
            pipe.zadd(keys.index, {run_id: at_ms})
            pipe.zadd(keys.owned(f"u{number % 2_000}"), {run_id: at_ms})
        pipe.execute()
    began = time.monotonic()
    page = shelf.page(20, job="NOTHERE")
    assert time.monotonic() - began < stretched(run_list.MAX_SECONDS + 1.5)
    assert page.runs == ()
    assert page.next is not None
    monkeypatch.setattr(run_list, "MAX_SECONDS", 1e9)
    turns = 1
    while page.next is not None:
        page, turns = shelf.page(20, page.next, job="NOTHERE"), turns + 1
        assert turns < 99
    reads: list[int] = []
    rows = shelf.runs._rows
    monkeypatch.setattr(shelf.runs, "_rows", lambda places, where: reads.append(len(places)) or rows(places, where))
    assert len(shelf.page(20, user="u7").runs) == 10
    assert sum(reads) == 10
    client.close()
