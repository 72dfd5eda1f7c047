"""The project's own log cache: one contract over fakeredis and over a real redis-server."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import fakeredis
import pytest
import redis
import redis.asyncio
from tests_support import fetch_once

from orchestrator.errors import InvalidRequest
from orchestrator.i18n.languages import Language
from orchestrator.i18n.message import write
from orchestrator.models import (
    AnswerMode,
    Entities,
    Intent,
    Report,
    Routing,
    RunOutcome,
    SourceEnvelope,
    SourceOutcome,
    SourceRequest,
)
from orchestrator.payloads import IssueFacts, JobFacts, JobLogFacts, LogPayload, LogWindow, RunFacts, TwsPayload
from orchestrator.sources import FetchResult
from workers.config import LogCacheSettings
from workers.sources.log_cache import source as log_cache
from workers.sources.log_cache.connection import connect_writer
from workers.sources.log_cache.entries import format_time
from workers.sources.log_cache.own_cache import LogCacheWriter, OwnEntries, cache_key, read_own_entries, write_back
from workers.sources.log_cache.record import LogRecord, records_of_tws
from workers.sources.log_cache.source import LogCacheSource

PREFIX = "resync:troubleshoot:"
NOW = datetime.now(UTC).replace(microsecond=0)
DAY = timedelta(days=1)


@dataclass
class Bench:
    """A Redis under test: a client for writing, and a way to a new asynchronous one for reading."""

    client: redis.Redis
    open_async: Callable[[], redis.asyncio.Redis]

    def writer(self, **options: object) -> LogCacheWriter:
        return LogCacheWriter(self.client, key_prefix=PREFIX, instance="prod", **options)  # type: ignore[arg-type]

    def read(self, job: str | None, instance: str = "prod") -> OwnEntries:
        async def go() -> OwnEntries:
            client = self.open_async()
            try:
                jobs = (job,)
                (entries,) = await read_own_entries(client, key_prefix=PREFIX, instance=instance, jobs=jobs, now=NOW)
                return entries
            finally:
                await client.aclose()

        return asyncio.run(go())

    def fetch(
        self, monkeypatch: pytest.MonkeyPatch, job: str | None, *, codes: tuple[str, ...] = (), instance: str = "prod"
    ) -> FetchResult:
        """Ask the source itself."""
        monkeypatch.setattr(log_cache, "connect", lambda url, timeout_seconds: self.open_async())
        routing = Routing(
            intent=Intent.TROUBLESHOOT, confidence=1, language=Language.PT_BR, entities=Entities(abend_codes=codes)
        )
        request = SourceRequest(
            run_id="run-00000001", source="log_cache", job=job, message="?", routing=routing,
            tws_instance_id=instance, limit_seconds=5,
        )  # fmt: skip

        async def go() -> FetchResult:
            source = LogCacheSource(LogCacheSettings())
            return await fetch_once(source, request)

        return asyncio.run(go())


@pytest.fixture(params=["fake", "real"])
def bench(request: pytest.FixtureRequest) -> Iterator[Bench]:
    """Both kinds of Redis."""
    if request.param == "fake":
        server = fakeredis.FakeServer()
        yield Bench(fakeredis.FakeRedis(server=server), lambda: fakeredis.FakeAsyncRedis(server=server))
        return
    url = request.getfixturevalue("redis_url")
    with redis.Redis.from_url(url) as client:
        yield Bench(client, lambda: redis.asyncio.Redis.from_url(url))


def record(number: int, *, at: datetime | None = None, job: str = "BATCH001", **fields: object) -> LogRecord:
    """A stored outcome."""
    values: dict[str, object] = {
        "id": f"run:{number}",
        "kind": "run",
        "run": str(number),
        "job": job,
        "at": None if at is None else format_time(at),
        "status": "ABEND",
        **fields,
    }
    return LogRecord.model_validate(values)


def tws_payload(*, run_id: str = "run-9", started: datetime = NOW - DAY) -> TwsPayload:
    """A failed job with its log, as tws_status answers."""
    run = RunFacts(
        run_id=run_id,
        status="ABEND",
        return_code=12,
        started_at=format_time(started),
        ended_at=format_time(started + timedelta(minutes=11)),
        elapsed_seconds=660,
        workstation="ZOS1",
    )
    going = RunFacts(run_id="run-10", status="EXEC", started_at=format_time(NOW))
    lines = ("password=hunter2-planted", "IEF450I BATCH001 STEP030 - ABEND=S0C7 U0000")
    log = JobLogFacts(
        run_id=run_id,
        windows=(LogWindow(from_line=290, to_line=291, kind="match", lines=lines),),
        codes=("S0C7", "IEF450I"),
        step="STEP030",
    )
    job = JobFacts(
        name="BATCH001", workstation="ZOS1", job_stream="FATDIA", status="ABEND", runs=(going, run), job_log=log
    )
    never = JobFacts(
        id="x",
        name="CARGA",
        status="FAIL",
        scheduled_at=format_time(NOW - DAY),
        issues=(IssueFacts(message="AWSBHT001E logon failed"),),
    )
    return TwsPayload(instance="prod", job=job, problem_jobs=(never,))


def report(*envelopes: SourceEnvelope) -> Report:
    """A committed run's report."""
    return Report(
        run_id="run-00000001",
        outcome=RunOutcome.COMPLETE,
        mode=AnswerMode.DETERMINISTIC,
        response="",
        parallel_results=envelopes,
    )


def tws_envelope(payload: TwsPayload) -> SourceEnvelope:
    """What stands in the report for tws_status."""
    return SourceEnvelope(
        source="tws_status",
        job="BATCH001",
        outcome=SourceOutcome.OK,
        success=True,
        data=payload.model_dump(mode="json"),
    )


def test_a_record_written_again_stays_one(bench: Bench) -> None:
    """Writing is idempotent: the second time everything is known, and nothing has moved."""
    records = [record(1, at=NOW - DAY), record(2)]
    first, again = bench.writer().write(records, now=NOW - DAY), bench.writer().write(records, now=NOW)
    assert (first.new, first.known) == (2, 0)
    assert (again.new, again.known) == (0, 2)
    key = cache_key(PREFIX, "prod", "BATCH001")
    assert bench.client.zscore(key, "run:2") == pytest.approx((NOW - DAY).timestamp() * 1000)
    assert len(bench.read("BATCH001").history) == 2


def test_the_newest_records_are_kept_and_the_oldest_go(bench: Bench) -> None:
    """Beyond the bound the oldest records are dropped from the index and from the values."""
    records = [record(number, at=NOW - number * DAY) for number in range(1, 8)]
    written = bench.writer(max_records=3).write(records, now=NOW)
    assert (written.new, written.dropped) == (3, 4)
    assert [entry.run for entry in bench.read("BATCH001").history] == ["1", "2", "3"]
    key = cache_key(PREFIX, "prod", "BATCH001")
    assert bench.client.zcard(key) == bench.client.hlen(f"{key}:values") == 3


def test_records_beyond_the_retention_are_not_kept(bench: Bench) -> None:
    """A record older than the retention is refused, one that has become older goes with the next write."""
    bench.writer(retention_days=10).write([record(1, at=NOW - 9 * DAY)], now=NOW)
    written = bench.writer(retention_days=10).write([record(2, at=NOW - 11 * DAY)], now=NOW)
    assert (written.new, written.dropped) == (0, 1)
    bench.writer(retention_days=5).write([record(3, at=NOW)], now=NOW)
    assert [entry.run for entry in bench.read("BATCH001").history] == ["3"]


def test_every_key_expires(bench: Bench) -> None:
    """Nothing stays for ever: each key has a time to live of the retention."""
    bench.writer(retention_days=2).write([record(1, at=NOW)], now=NOW)
    keys = bench.client.keys("*")
    assert len(keys) == 4
    assert all(0 < bench.client.ttl(key) <= 2 * 86_400 + 1 for key in keys)


def test_no_key_can_be_the_apps(bench: Bench) -> None:
    """Whatever the prefix, instance and job, the keys are not those that the app reads."""
    LogCacheWriter(bench.client, key_prefix="resync:errors:recent:", instance="global").write([record(1)], now=NOW)
    LogCacheWriter(bench.client, key_prefix="", instance="prod").write([record(1, job="global")], now=NOW)
    assert bench.client.get("resync:errors:recent:global") is None
    assert all(b"logs:" in key for key in bench.client.keys("*"))
    for wrong in ("a:b", "", "../x", "*"):
        with pytest.raises(InvalidRequest):
            cache_key(PREFIX, wrong, "J1")


def test_instances_do_not_meet(bench: Bench) -> None:
    """What is written for one TWS instance is not read for another."""
    bench.writer().write([record(1)], now=NOW)
    assert bench.read("BATCH001", "test").history == []


def test_secrets_are_taken_out_before_they_are_stored(bench: Bench) -> None:
    """No byte of a planted password reaches Redis; the codes beside it do."""
    bench.writer().write(records_of_tws(tws_payload()), now=NOW)
    stored = b"".join(b"".join(bench.client.hvals(key)) for key in bench.client.keys("*:values"))
    assert b"hunter2" not in stored
    assert b"S0C7" in stored


def test_what_tws_said_is_written_back_once(bench: Bench) -> None:
    """A finished run, the finding in its log and a job that was never launched are remembered; a running one is not."""
    for expected in ((3, 0), (0, 3)):
        written = write_back(report(tws_envelope(tws_payload())), bench.client, key_prefix=PREFIX, now=NOW)
        assert (written.new, written.known, written.error) == (*expected, None)
    own = bench.read("BATCH001")
    assert [(entry.facts.status, entry.facts.return_code) for entry in own.history] == [("ABEND", 12)]
    assert [(entry.facts.step, entry.facts.codes[0]) for entry in own.findings] == [("STEP030", "S0C7")]
    (never,) = bench.read("CARGA").history
    assert (never.facts.status, never.facts.codes) == ("FAIL", ("AWSBHT001E",))


def test_a_source_that_failed_is_not_written_back(bench: Bench) -> None:
    """Only answers of tws_status are remembered."""
    failed = tws_envelope(tws_payload()).model_copy(update={"outcome": SourceOutcome.TIMEOUT, "success": False})
    other = tws_envelope(tws_payload()).model_copy(update={"source": "metrics"})
    assert write_back(report(failed, other), bench.client, key_prefix=PREFIX).new == 0
    assert bench.client.keys("*") == []


def test_a_write_back_never_fails_the_run(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    """A key of another type, or no Redis at all, is told in the result and the log and not raised."""
    bench.client.set(cache_key(PREFIX, "prod", "BATCH001"), "x")
    assert write_back(report(tws_envelope(tws_payload())), bench.client, key_prefix=PREFIX).error == "ResponseError"
    with connect_writer("redis://127.0.0.1:1/0") as nowhere:
        assert write_back(report(tws_envelope(tws_payload())), nowhere, key_prefix=PREFIX).error == "ConnectionError"
    run_id = report().run_id
    assert caplog.messages == [
        f"log_cache_write_back_failed run_id={run_id} error={error}" for error in ("ResponseError", "ConnectionError")
    ]


def test_the_source_answers_from_the_own_cache(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """Same code before, in which step and when; last success; elapsed time against the usual; the log's windows."""
    old = [tws_payload(run_id=f"run-{days}", started=NOW - days * DAY) for days in (4, 14)]
    for payload in old:
        write_back(report(tws_envelope(payload)), bench.client, key_prefix=PREFIX, now=NOW)
    fine = [
        record(number, at=NOW - number * DAY, status="SUCC", return_code=0, elapsed_seconds=220 + number)
        for number in (5, 6, 7)
    ]
    bench.writer().write(fine, now=NOW)
    result = bench.fetch(monkeypatch, "ZOS1#FATDIA.BATCH001", codes=("S0C7",))
    payload = LogPayload.model_validate(result.data)
    assert payload.same_code == {"S0C7": 2}
    assert [facts.step for facts in payload.history if facts.codes] == ["STEP030", "STEP030"]
    assert payload.last_success_at == format_time(NOW - 5 * DAY)
    assert payload.elapsed_trend_ratio == pytest.approx(2.92)
    assert payload.newest_age_days == pytest.approx(3.99, abs=0.02)
    assert "o registro mais novo tem 4 dias" in write(result.finding, Language.PT_BR)
    evidence = {item.kind: item for item in reversed(result.evidence)}  # the first of each kind
    assert "IEF450I BATCH001 STEP030" in evidence["recent_error"].text
    assert evidence["recent_error"].when == format_time(NOW - 4 * DAY + timedelta(minutes=11))
    assert evidence["same_code"].text.count("STEP030") == 2
    assert evidence["trend"].title == "Duração 2,92x a usual"
    assert evidence["last_success"].text.endswith("SUCC RC=0 225 s")
    assert len({item.id for item in result.evidence}) == len(result.evidence)


def test_the_app_and_the_own_cache_are_read_together(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the app's keys hold stands beside what was remembered, newest first."""
    bench.client.set("resync:job:history:BATCH001", json.dumps([{"at": format_time(NOW - DAY), "status": "SUCC"}]))
    bench.writer().write([record(1, at=NOW - 2 * DAY)], now=NOW)
    payload = LogPayload.model_validate(bench.fetch(monkeypatch, "BATCH001").data)
    assert [facts.status for facts in payload.history] == ["SUCC", "ABEND"]


def test_without_a_job_the_newest_failures_of_all_jobs_are_given(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """A question about no job in particular is answered from the failures of every job, not from successes."""
    bench.writer().write(
        [record(1, at=NOW), record(2, at=NOW - DAY, job="OTHER"), record(3, status="SUCC", job="FINE")], now=NOW
    )
    result = bench.fetch(monkeypatch, None)
    assert [item.job for item in result.evidence if item.kind == "history"] == ["BATCH001", "OTHER"]


def test_a_job_of_another_stream_is_left_out(bench: Bench) -> None:
    """A qualified job is not answered with the runs of its namesake in another stream."""
    bench.writer().write(
        [record(1, job_stream="NIGHT"), record(2, job_stream="DAY"), record(3, job_stream="")], now=NOW
    )
    found = bench.read("/A/WS1#/B/NIGHT(0200 11/24/26),(0AAAA).BATCH001").history
    assert sorted(entry.run for entry in found) == ["1", "3"]


def test_a_record_that_cannot_be_read_is_reported_and_the_rest_served(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A value of another shape costs itself, and its key is named."""
    bench.writer().write([record(1)], now=NOW)
    key = cache_key(PREFIX, "prod", "BATCH001") + ":values"
    bench.client.hset(key, "run:x", "{not json")
    payload = LogPayload.model_validate(bench.fetch(monkeypatch, "BATCH001").data)
    assert payload.corrupt_keys == (key,)
    assert len(payload.history) == 1


def test_the_apps_keys_are_filled_when_asked_for(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """The app finds outcomes and errors in its own keys; entries of others stay, and nothing is counted twice."""
    bench.client.set("resync:job:history:BATCH001", json.dumps(["ABEND S0C7 said somebody else"]))
    for _ in range(2):
        write_back(report(tws_envelope(tws_payload())), bench.client, key_prefix=PREFIX, feed_app=True, now=NOW)
    history = json.loads(bench.client.get("resync:job:history:BATCH001"))
    errors = json.loads(bench.client.get("resync:errors:recent:BATCH001"))
    assert [entry["return_code"] for entry in history[:-1]] == [12]
    assert history[-1] == "ABEND S0C7 said somebody else"
    assert "IEF450I BATCH001 STEP030" in errors[0]["message"]
    assert json.loads(bench.client.get("resync:errors:recent:global")) == errors
    assert bench.client.ttl("resync:job:history:BATCH001") > 0
    assert b"hunter2" not in bench.client.get("resync:errors:recent:BATCH001")
    payload = LogPayload.model_validate(bench.fetch(monkeypatch, "BATCH001", codes=("S0C7",)).data)
    assert payload.same_code == {"S0C7": 2}
    assert (len(payload.history), len(payload.recent_errors)) == (2, 1)


@pytest.mark.parametrize("value", ["{broken", '{"status": "SUCC"}', "42"])
def test_a_value_that_is_no_list_is_left_alone(bench: Bench, value: str) -> None:
    """What another writer keeps in its own shape is not overwritten."""
    bench.client.set("resync:job:history:BATCH001", value)
    bench.writer(feed_app=True).write([record(1, at=NOW)], now=NOW)
    assert bench.client.get("resync:job:history:BATCH001") == value.encode()


def test_the_apps_keys_stay_bounded(bench: Bench) -> None:
    """Of our entries the newest 50 are in a key of the app."""
    records = [record(number, at=NOW - number * timedelta(minutes=1)) for number in range(120)]
    bench.writer(feed_app=True).write(records, now=NOW)
    history = json.loads(bench.client.get("resync:job:history:BATCH001"))
    assert [entry["id"] for entry in history] == [f"run:{number}" for number in range(50)]


def test_the_apps_keys_are_not_touched_unless_asked_for(bench: Bench) -> None:
    """By default only the project's own keys are written."""
    bench.writer().write([record(1, at=NOW)], now=NOW)
    assert bench.client.keys("resync:job:*") == bench.client.keys("resync:errors:*") == []
