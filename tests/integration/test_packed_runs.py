"""Closed runs that are packed: readers see what they saw before, in a fraction of the memory."""

from __future__ import annotations

import asyncio
import time
import zlib
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
import redis
from stored_support import CANCELLED, DONE, PARTIAL, Planter
from tests_support import stretched

from orchestrator.config import Settings
from orchestrator.errors import Conflict, RunDamaged, RunNotFound, SchemaMismatch
from orchestrator.models import Event, RunState, SourceEnvelope, SourceOutcome, TroubleshootRequest
from orchestrator.store import packed
from orchestrator.store.connection import connect, connect_async_reader
from orchestrator.store.events import START, AsyncEventReader, EventReader
from orchestrator.store.packed import MAX_BYTES, pack
from orchestrator.store.records import to_record
from orchestrator.store.run_list import RunList
from orchestrator.store.runs import UNPACKED_REARM_MS, RunStore
from orchestrator.watcher import Watcher

CLOSED = (DONE, PARTIAL, CANCELLED)
RUN = "run-00000001"


@dataclass
class Bench:
    """A store under test, what writes into it past our code, and a watcher."""

    client: redis.Redis
    settings: Settings
    store: RunStore
    planter: Planter
    watcher: Watcher

    def seen(self, run_id: str) -> tuple[object, ...]:
        """All that readers get of a run."""
        record, store = self.store.read(run_id), self.store
        results = [store.results(run_id, key) for key in record.envelopes]
        reader = EventReader(self.client, store.keys)
        pages = [reader.read(run_id, after).events for after in (START, *(event.id for event in self.events(run_id)))]
        report = None if record.report is None else store.report(run_id)
        summaries = RunList(self.client, store.keys).page(limit=10).runs
        return (
            record.state,
            record.request,
            record.plan,
            record.envelopes,
            record.started_ms,
            record.late,
            record.attempt,
            record.report,
            report,
            record.damage,
            results,
            pages,
            summaries,
        )

    def events(self, run_id: str) -> list[Event]:
        return EventReader(self.client, self.store.keys).read(run_id, START).events

    def cancelled(self, message: str = "Job BATCH001 falhou") -> None:
        self.store.open(RUN, TroubleshootRequest(message=message), nonce="1")
        self.store.cancel(RUN, by="test")

    def has_packed(self, run_id: str = RUN) -> bool:
        return bool(self.client.exists(self.store.keys.packed(run_id)))


class NoPublisher:
    """A watcher's publisher where nothing is to be published."""


def make_bench(client: redis.Redis, settings: Settings) -> Bench:
    settings = settings.model_copy(update={"pack_after_seconds": 0.001})
    store = RunStore(client, settings)
    watcher = Watcher(store, NoPublisher(), name="w")  # type: ignore[arg-type]
    return Bench(client, settings, store, Planter(client, store.keys), watcher)


@pytest.fixture
def bench(either_redis: tuple[redis.Redis, Settings]) -> Bench:
    return make_bench(*either_redis)


@pytest.fixture
def real_bench(settings: Settings) -> Iterator[Bench]:
    with connect(settings) as client:
        yield make_bench(client, settings)


@pytest.mark.parametrize("run_id", CLOSED)
def test_readers_of_a_packed_run_see_what_they_saw(bench: Bench, run_id: str) -> None:
    """Its hash, results, report, events from any event on, and its place in the list; it expires when it would have."""
    bench.planter.plant(run_id)
    keys = bench.store.keys
    for key in (keys.run(run_id), keys.events(run_id)):
        bench.client.expire(key, 1_000)
    before = bench.seen(run_id)
    assert bench.store.pack(run_id)
    assert bench.seen(run_id) == before
    assert not bench.client.exists(keys.events(run_id), keys.ending(run_id))
    for key in (keys.run(run_id), keys.packed(run_id)):
        assert 900 < bench.client.ttl(key) <= 1_000
    assert not bench.store.pack(run_id), "once"
    assert bench.seen(run_id) == before


def test_a_packed_run_takes_a_fraction_of_the_memory(real_bench: Bench) -> None:
    """A fourth at most of a recorded run with answers of four sources."""
    bench = real_bench
    bench.planter.plant(DONE)
    keys = bench.store.keys
    names = (keys.run(DONE), keys.events(DONE), keys.ending(DONE))
    before = sum(bench.client.memory_usage(name, samples=0) or 0 for name in names)
    bench.store.pack(DONE)
    after = sum(bench.client.memory_usage(name, samples=0) for name in (keys.run(DONE), keys.packed(DONE)))
    assert after * 4 < before, (before, after)


def test_a_reader_on_an_event_loop_reads_packed_events(real_bench: Bench) -> None:
    """As a reader in a thread does, from any event on."""
    bench = real_bench
    bench.planter.plant(DONE)
    bench.store.pack(DONE)
    events = bench.events(DONE)
    assert len(events) > 2

    async def read(after: str) -> list[Event]:
        async with connect_async_reader(bench.settings) as client:
            return list((await AsyncEventReader(client, bench.store.keys).read(DONE, after)).events)

    assert asyncio.run(read(START)) == events
    assert asyncio.run(read(events[1].id)) == events[2:]


def test_a_watcher_packs_what_was_closed(bench: Bench) -> None:
    """Runs that ended and were cancelled, the first first; open ones stay as they are."""
    bench.store.open("run-00000002", TroubleshootRequest(message="x"), nonce="1")
    bench.cancelled()
    time.sleep(0.01)
    assert bench.watcher.step() == 0.0
    assert bench.has_packed()
    assert not bench.has_packed("run-00000002")
    assert bench.client.zcard(bench.store.keys.unpacked) == 0
    assert bench.store.read(RUN).state is RunState.CANCELLED


def test_what_a_watcher_did_not_pack_is_packed_later(bench: Bench) -> None:
    """A claim of a watcher that died is due again; damage and runs that are gone are given up; 0 switches it off."""
    bench.cancelled()
    time.sleep(0.01)
    assert bench.store.claim_unpacked() == RUN
    assert bench.store.claim_unpacked() is None
    unpacked = bench.store.keys.unpacked
    bench.client.zincrby(unpacked, -UNPACKED_REARM_MS, RUN)
    never = RunStore(bench.client, bench.settings.model_copy(update={"pack_after_seconds": 0}))
    assert never.claim_unpacked() is None
    assert bench.store.claim_unpacked() == RUN
    bench.client.delete(bench.store.keys.events(RUN))
    bench.client.set(bench.store.keys.events(RUN), "damage")
    assert not bench.store.pack(RUN)
    bench.client.zadd(unpacked, {RUN: 1, "run-gone": 1})
    bench.client.delete(bench.store.keys.run(RUN))
    while bench.watcher.step() == 0.0:
        continue
    assert bench.client.zcard(unpacked) == 0


def test_nothing_is_packed_while_an_older_client_submits(bench: Bench) -> None:
    """Its runs stay as it reads them, and so do those of others, for an hour."""
    bench.store.open(RUN, TroubleshootRequest(message="x"), nonce="1")
    bench.client.hdel(bench.store.keys.run(RUN), "reads_packed")
    bench.store.cancel(RUN, by="test")
    bench.store.open("run-00000002", TroubleshootRequest(message="x"), nonce="1")
    bench.store.cancel("run-00000002", by="test")
    time.sleep(0.01)
    assert bench.store.claim_unpacked() is None
    assert 3_500 < bench.client.ttl(bench.store.keys.old_reader) <= 3_600
    bench.client.delete(bench.store.keys.old_reader)
    assert bench.store.claim_unpacked() == "run-00000002"
    assert bench.store.claim_unpacked() is None


def test_an_older_reader_says_what_is_to_be_upgraded(bench: Bench) -> None:
    """It reads the hash without what is packed, and takes the report for one of the next schema."""
    bench.planter.plant(DONE)
    bench.store.pack(DONE)
    fields = bench.client.hgetall(bench.store.keys.run(DONE))
    with pytest.raises(SchemaMismatch, match="upgrade this process"):
        to_record(DONE, 0, fields)


def test_what_changes_while_a_run_is_packed_is_not_lost(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """A late answer that comes in between stays; a field that has become longer keeps the run as it is."""
    key = bench.store.keys.run(DONE)
    for field in ("l:metrics", "attempt"):
        bench.planter.plant(DONE)

        def write(*values: object, field: str = field) -> bytes | None:
            bench.client.hset(key, field, "12345")
            return pack(*values)  # type: ignore[arg-type]

        monkeypatch.setattr("orchestrator.store.runs.pack", write)
        assert bench.store.pack(DONE) is (field == "l:metrics")
        assert bench.client.hget(key, field) == "12345"
        bench.client.delete(key, bench.store.keys.events(DONE), bench.store.keys.ending(DONE))


def test_a_late_answer_does_not_change_a_packed_run(bench: Bench) -> None:
    """It is refused, and the run is read as before."""
    bench.planter.plant(DONE)
    bench.store.pack(DONE)
    before = bench.seen(DONE)
    late = SourceEnvelope(source="metrics", outcome=SourceOutcome.OK, success=True, data={"x": 1})
    assert bench.store.put_envelope(DONE, "another", late) == "duplicate"
    assert bench.store.cancel(DONE, by="test") is False
    assert bench.seen(DONE) == before


def test_a_submit_is_repeated_after_its_run_was_packed(bench: Bench) -> None:
    """By its id, also with a question so long that it is packed; another question is a conflict."""
    for message in ("Job BATCH001 falhou", "Job BATCH001 falhou: " + "ABEND S0C7 " * 300):
        bench.cancelled(message)
        assert bench.store.pack(RUN)
        assert (len(message) > 1_000) == (not bench.client.hget(bench.store.keys.run(RUN), "request"))
        opened = bench.store.open(RUN, TroubleshootRequest(message=message), nonce="2")
        assert (opened.run_id, opened.is_new) == (RUN, False)
        with pytest.raises(Conflict):
            bench.store.open(RUN, TroubleshootRequest(message="y"), nonce="3")
        bench.client.flushdb()


def test_a_run_that_expires_while_it_is_read_is_not_damaged(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its two keys are read one after the other."""
    bench.planter.plant(DONE)
    assert bench.store.pack(DONE)
    keys = bench.store.keys

    def read(client: redis.Redis, *command: str) -> object:
        bench.client.delete(keys.run(DONE), keys.packed(DONE))
        return packed.raw_call(client, *command)

    monkeypatch.setattr("orchestrator.store.runs.raw_call", read)
    with pytest.raises(RunNotFound):
        bench.store.read(DONE)


def test_a_full_redis_is_made_room_in(real_bench: Bench) -> None:
    """Packing frees first, so that it also works where no other write is let in."""
    bench = real_bench
    bench.planter.plant(DONE)
    before = bench.seen(DONE)
    bench.client.config_set("maxmemory", "1")
    try:
        assert bench.store.pack(DONE)
    finally:
        bench.client.config_set("maxmemory", "0")
    assert bench.seen(DONE) == before


HOSTILE = {
    "nothing": b"",
    "no compression": b"{}",
    "another format": b"z9\n" + zlib.compress(b"{}\n"),
    "a cut": pack({b"a": b"x" * 1_000}, []) or b"",
    "a bomb": packed._MAGIC + zlib.compress(b'{"fields": [], "entries": [], "sizes": []}\n' + bytes(MAX_BYTES)),
    "a head that is a bomb": packed._MAGIC + zlib.compress(b"[" * 20_000_000),
    "deep": packed._MAGIC + zlib.compress(b"[" * 900_000 + b"\n"),
    "no object": packed._MAGIC + zlib.compress(b"[]\n"),
    "sizes that are none": packed._MAGIC + zlib.compress(b'{"fields": ["a"], "entries": [], "sizes": ["x"]}\nx'),
    "a size that goes back": packed._MAGIC
    + zlib.compress(
        b'{"fields": [], "entries": [], "sizes": [' + b"9000000, -9000000, " * 9_000 + b"0]}\n" + bytes(9_000_000)
    ),
    "entries without values": packed._MAGIC
    + zlib.compress(b'{"fields": [], "entries": [["1-1", ["a", "b"]]], "sizes": []}\n'),
    "fewer bytes than sizes": packed._MAGIC + zlib.compress(b'{"fields": ["plan"], "entries": [], "sizes": [9]}\n{}'),
}
HOSTILE["a cut"] = HOSTILE["a cut"][:-3]


@pytest.mark.parametrize("stored", HOSTILE.values(), ids=HOSTILE)
def test_what_cannot_be_unpacked_is_damage(bench: Bench, stored: bytes) -> None:
    """It is named, whoever reads, and takes neither the time nor the memory of a reader; the list has the run."""
    bench.planter.plant(DONE)
    bench.store.pack(DONE)
    bench.client.set(bench.store.keys.packed(DONE), stored)
    began = time.thread_time()
    reads = [lambda: bench.store.read(DONE), lambda: bench.store.report(DONE), lambda: bench.store.results(DONE, "x")]
    for read in reads + ([lambda: bench.events(DONE)] if stored else []):
        with pytest.raises(RunDamaged, match="compressed data"):
            read()
    assert time.thread_time() - began < stretched(2)
    assert [summary.run_id for summary in RunList(bench.client, bench.store.keys).page(limit=10).runs] == [DONE]
