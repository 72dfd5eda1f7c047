"""What other versions stored, and what was damaged: every run is read and answered, over fakeredis and a real Redis."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
import redis
from stored_support import (
    CANCELLED,
    DONE,
    OPEN,
    PARTIAL,
    RUNS,
    UNKNOWN_EVENT,
    VERSIONS,
    YESTERDAY,
    Change,
    Planter,
    same,
)

from orchestrator.client import fallback
from orchestrator.client.aio import AsyncTroubleshootClient
from orchestrator.client.sync import TroubleshootClient
from orchestrator.config import Settings
from orchestrator.deadline import Deadline
from orchestrator.errors import RunDamaged, SchemaMismatch
from orchestrator.i18n.languages import Language
from orchestrator.i18n.message import write
from orchestrator.models import (
    SCHEMA_VERSION,
    Event,
    EventType,
    Plan,
    Report,
    RunOutcome,
    RunSnapshot,
    RunState,
    RunSummary,
    SourceEnvelope,
    SourceOutcome,
    TroubleshootRequest,
)
from orchestrator.run.dispatch import plan_dispatch
from orchestrator.run.finisher import Finisher
from orchestrator.run.report import stored_report
from orchestrator.store.connection import connect, to_ms
from orchestrator.store.events import EventReader
from orchestrator.store.presence import Presence
from orchestrator.store.reading import MAX_NAMED
from orchestrator.store.records import MAX_DAMAGE, Dispatch
from orchestrator.store.run_copy import RunCopy
from orchestrator.store.run_list import RunList
from orchestrator.store.runs import RunStore, new_token
from orchestrator.watcher import (
    MAX_FAILURES,
    POLL_SECONDS,
    UNREAD_GRACE_SECONDS,
    UNREAD_PAUSE_SECONDS,
    Watcher,
)
from workers.sources.log_cache.record import read_record


@dataclass
class Bench:
    """A store under test, what writes into it past our code, and a watcher."""

    client: redis.Redis
    store: RunStore
    planter: Planter
    watcher: Watcher

    @property
    def key(self) -> str:
        return self.store.keys.run(DONE)

    def now_ms(self) -> int:
        return to_ms(self.client.time())

    def events(self, run_id: str = DONE) -> list[Event]:
        reader, events, after = EventReader(self.client, self.store.keys), list[Event](), "0"
        while (page := reader.read(run_id, after)).last_id != after:
            events, after = events + page.events, page.last_id
        return events

    def terminal_events(self, run_id: str = DONE) -> list[EventType]:
        return [event.type for event in self.events(run_id) if event.type.is_terminal]

    def report(self, run_id: str = DONE) -> Report:
        return stored_report(self.store.read(run_id))

    def act(self) -> None:
        """Let the watcher act on all that is due."""
        while self.watcher.step() == 0.0:
            continue

    def armed(self) -> list[str]:
        return sorted(self.client.zrange(self.store.keys.wakeups, 0, -1))

    def make_due(self, kind: str = "total", run_id: str = DONE) -> None:
        self.client.zadd(self.store.keys.wakeups, {f"{run_id}|{kind}": 1})


class NoPublisher:
    """A watcher's publisher where nothing is to be published."""

    def publish_run(self, run_id: str) -> None:
        raise AssertionError(run_id)

    publish_synthesis = publish_run


@pytest.fixture
def bench(either_redis: tuple[redis.Redis, Settings], monkeypatch: pytest.MonkeyPatch) -> Bench:
    # In a step that a busy machine interrupts, what was claimed before would be left to another.
    monkeypatch.setattr("orchestrator.watcher.REARM_MS", 60_000)
    client, settings = either_redis
    store = RunStore(client, settings)
    watcher = Watcher(store, NoPublisher(), name="w")  # type: ignore[arg-type]
    return Bench(client, store, Planter(client, store.keys), watcher)


@pytest.fixture(params=VERSIONS.values(), ids=VERSIONS)
def change(request: pytest.FixtureRequest) -> Change:
    change: Change = request.param
    return change


# Other versions


def test_every_stored_object_is_read_whole(bench: Bench, change: Change) -> None:
    """Each run of another version is read without damage, and says what that version meant."""
    for run_id, run in RUNS.items():
        bench.planter.plant(run_id, change)
        record, fields = bench.store.read(run_id), run["hash"]
        assert record.damage == ()
        assert (record.state.value, record.outcome) == (fields["state"], fields.get("outcome"))
        assert record.request == TroubleshootRequest.model_validate_json(fields["request"])
        assert (record.plan is None) == ("plan" not in fields)
        if record.plan:
            assert record.plan.model_dump(mode="json", exclude_unset=True) == json.loads(fields["plan"])
        assert {key: item.model_dump(mode="json", exclude_unset=True) for key, item in record.envelopes.items()} == {
            name[2:]: json.loads(value) for name, value in fields.items() if name.startswith("e:")
        }
        assert (record.report is None) == ("report" not in fields)


def test_a_stored_report_is_the_one_that_was_given(bench: Bench, change: Change) -> None:
    """The report of another version is put together as it was there."""
    bench.planter.plant(PARTIAL, change)
    given = Report.model_validate(YESTERDAY["wire"]["report"])
    assert bench.store.report(PARTIAL) == bench.report(PARTIAL) == given


def test_events_of_another_version_are_read(bench: Bench, change: Change) -> None:
    """Every event that we know comes, in order; those that we do not know are passed over, and so is their place."""
    for run_id, run in RUNS.items():
        bench.planter.plant(run_id, change)
        kinds = [(event.type.value, event.data.get("source")) for event in bench.events(run_id)]
        assert kinds == [(event["type"], json.loads(event["data"]).get("source")) for _, event in run["events"]]


def test_the_list_shows_runs_of_another_version(bench: Bench, change: Change) -> None:
    """Each run has its line, with message and jobs."""
    for run_id in RUNS:
        bench.planter.plant(run_id, change)
    rows = {row.run_id: row for row in RunList(bench.client, bench.store.keys).page(limit=10).runs}
    assert set(rows) == set(RUNS)
    known = {item["run_id"]: RunSummary.model_validate(item) for item in YESTERDAY["wire"]["summaries"]}
    assert {run_id: rows[run_id] for run_id in known} == known


def test_a_run_of_another_version_is_finished(bench: Bench, change: Change) -> None:
    """A watcher answers it at its deadline as that version would have: all sources count, nothing is damaged."""
    bench.planter.plant(DONE, change)
    bench.planter.reopen(DONE)
    bench.act()
    report = bench.report()
    assert (report.outcome, report.committed_by) == (RunOutcome.COMPLETE, "watcher:w")
    assert "unreadable" not in report.metadata
    assert bench.terminal_events() == [EventType.FINAL]
    assert bench.armed() == []


def test_a_run_of_another_version_is_dispatched_and_asked(bench: Bench, change: Change) -> None:
    """A worker plans the question that another version's app stored, and starts its sources."""
    bench.planter.plant(OPEN, change)
    bench.planter.plant(DONE, change)
    bench.planter.reopen(DONE, deadline_in_ms=9_000)
    bench.client.hset(bench.key, "fanin_ms", bench.now_ms() + 5_000)
    bench.client.hset(bench.store.keys.run(OPEN), "fanin_ms", bench.now_ms() + 5_000)
    dispatch = bench.store.claim_dispatch(OPEN, "d")
    assert dispatch is not None
    assert dispatch.request.message == "O job BATCH001 falhou?"
    bench.client.hdel(bench.key, "s:metrics")
    start = bench.store.begin_source(DONE, "metrics", "c", source="metrics", job=None, worker="w")
    assert not isinstance(start, str)
    assert start.request.config.rag_result_limit == 3
    assert "metrics" in {planned.source for planned in start.plan.sources}


def test_wakeups_and_signs_of_life_are_read(bench: Bench) -> None:
    """Yesterday's wake-ups, instances and watchers are those that we know."""
    bench.planter.plant(OPEN)
    due = bench.store.claim_wakeups().wakeups
    assert {(wakeup.run_id, wakeup.kind) for wakeup in due} == {(OPEN, kind) for kind in ("dispatch", "fanin", "total")}
    presence = Presence(bench.client, bench.store.keys)
    for watcher in YESTERDAY["watchers"]:
        presence.announce(instances=YESTERDAY["instances"], watcher=watcher)
    assert sorted(presence.live_watchers()) == sorted(YESTERDAY["watchers"])


def test_a_newer_versions_wakeup_is_left_to_its_watchers(bench: Bench) -> None:
    """It stays while its run is open, without doing anything, and goes with it; so does an entry that names none."""
    bench.planter.plant(DONE)
    bench.planter.reopen(DONE, deadline_in_ms=60_000)
    bench.client.delete(bench.store.keys.wakeups)
    bench.make_due("grading")
    bench.client.zadd(bench.store.keys.wakeups, {"garbage": 1})
    bench.act()
    assert bench.armed() == [f"{DONE}|grading"]
    bench.store.cancel(DONE, by="x")
    bench.make_due("grading")
    bench.act()
    assert bench.armed() == []


@pytest.mark.parametrize("change", VERSIONS.values(), ids=VERSIONS)
def test_what_apps_keep_is_read(change: Change) -> None:
    """JSON that a client printed or an endpoint answered is read by our models, whatever is new in it."""
    wire = YESTERDAY["wire"]
    kinds: tuple[tuple[type[Any], Any], ...] = (
        (Report, wire["report"]),
        (RunSnapshot, wire["snapshot"]),
        *((RunSummary, item) for item in wire["summaries"]),
        *((Event, item) for item in wire["events"]),
    )
    for model, value in kinds:
        assert model.model_validate_json(json.dumps(change(value))) == model.model_validate(value)


@pytest.mark.parametrize("change", VERSIONS.values(), ids=VERSIONS)
def test_the_log_caches_records_are_read(change: Change) -> None:
    """A record of the log cache has its fields, whatever is new in it."""
    for text in YESTERDAY["log_cache_records"]:
        record = read_record(json.dumps(change(json.loads(text))))
        assert record is not None
        assert record.model_dump(mode="json", exclude_none=True) == json.loads(text)


UNKNOWN_VALUES: dict[str, tuple[str, str, Callable[[Bench], object], object]] = {
    "state": ("state", "resting", lambda b: b.store.state(DONE)[0], RunState.DISPATCHED),
    "outcome": ("outcome", "superb", lambda b: b.store.read(DONE).outcome, RunOutcome.FAILED),
}


@pytest.mark.parametrize("name", UNKNOWN_VALUES)
def test_an_unknown_value_of_the_hash_is_read_with_care(bench: Bench, name: str) -> None:
    """A state is an open one, an outcome is no success, and the list shows the run."""
    field, value, read, meant = UNKNOWN_VALUES[name]
    bench.planter.plant(DONE)
    bench.client.hset(bench.key, field, value)
    assert read(bench) == meant
    assert len(RunList(bench.client, bench.store.keys).page(limit=5).runs) == 1


def test_an_unknown_outcome_of_a_source_is_an_error(bench: Bench) -> None:
    """A source that ended as only a newer version knows is an error of that source, and the others serve."""
    bench.planter.plant(DONE)
    bench.planter.reopen(DONE)
    bench.planter.change(DONE, "e:metrics", lambda value: value | {"outcome": "guessed"})
    bench.act()
    report = bench.report()
    assert {item.source: item.outcome for item in report.errors} == {"metrics": SourceOutcome.ERROR}
    assert (report.outcome, "unreadable" in report.metadata) == (RunOutcome.PARTIAL, False)


def test_an_unknown_language_and_intent_of_a_question_are_not_set(bench: Bench) -> None:
    """The router decides, as for a question that names none; nothing is reported as damage."""
    bench.planter.plant(OPEN)
    bench.planter.change(OPEN, "request", lambda value: value | {"language": "tlh", "intent": "forecast"})
    record = bench.store.read(OPEN)
    assert (record.request.language, record.request.intent, record.damage) == (None, None, ())


# A schema that is too far away


def versioned(version: int) -> Change:
    return lambda value: value | {"schema_version": version}


@pytest.mark.parametrize(
    ("field", "version", "side"),
    [
        ("request", SCHEMA_VERSION + 1, "this process"),
        ("plan", SCHEMA_VERSION + 1, "this process"),
        ("report", SCHEMA_VERSION + 1, "this process"),
        ("request", 0, "the app"),
        ("plan", 0, "the workers"),
        ("report", 0, "workers and watchers"),
    ],
)
def test_a_schema_too_far_away_names_the_side_to_upgrade(bench: Bench, field: str, version: int, side: str) -> None:
    """Reading such a run is an error of ours; its line in the list is there all the same."""
    bench.planter.plant(DONE)
    bench.planter.change(DONE, field, versioned(version))
    with pytest.raises(SchemaMismatch, match=rf"{field} was written by schema {version}, .* upgrade {side}$"):
        bench.store.read(DONE)
    assert [row.run_id for row in RunList(bench.client, bench.store.keys).page(limit=5).runs] == [DONE]


def test_a_summary_of_a_newer_schema_does_not_hide_the_list(bench: Bench) -> None:
    """A run whose line cannot be read is listed without its question."""
    bench.planter.plant(DONE)
    bench.client.hset(bench.key, "summary", json.dumps({"schema_version": SCHEMA_VERSION + 1, "message": "x"}))
    rows = RunList(bench.client, bench.store.keys).page(limit=5).runs
    assert [(row.run_id, row.message) for row in rows] == [(DONE, "")]


def test_one_answer_of_another_schema_costs_its_source_only(bench: Bench) -> None:
    """A worker of another schema beside the others: its source is an error that says so, the others serve."""
    bench.planter.plant(DONE)
    bench.planter.reopen(DONE)
    bench.planter.change(DONE, "e:metrics", versioned(SCHEMA_VERSION + 1))
    bench.act()
    report = bench.report()
    assert [(item.source, item.reason) for item in report.errors] == [("metrics", "schema_mismatch")]
    assert "versões incompatíveis" in report.response
    assert report.outcome is RunOutcome.PARTIAL


def test_a_run_of_another_schema_is_left_to_others_and_then_closed(bench: Bench) -> None:
    """At the deadline the watcher gives those who can read it a few turns, and then closes it, once, in the grace."""
    bench.planter.plant(DONE)
    bench.planter.reopen(DONE, deadline_in_ms=60_000)
    bench.planter.change(DONE, "plan", versioned(SCHEMA_VERSION + 1))
    bench.watcher.step()
    assert bench.terminal_events() == []
    due_ms = bench.client.zscore(bench.store.keys.wakeups, f"{DONE}|total")
    seconds, micros = bench.client.time()
    assert 0 < (due_ms or 0) - seconds * 1000 - micros // 1000 <= 100
    assert UNREAD_GRACE_SECONDS + UNREAD_PAUSE_SECONDS <= 0.25
    deadline_ms = seconds * 1000 - int(UNREAD_GRACE_SECONDS * 1000)
    bench.client.hset(bench.key, "deadline_ms", deadline_ms)
    bench.make_due()
    bench.act()
    assert bench.terminal_events() == [EventType.FINAL]
    assert bench.armed() == []
    final = bench.events()[-1].data
    assert (final["outcome"], "atualize" in final["response"]) == ("failed", True)


def test_a_run_of_another_schema_holds_no_other_run_up(bench: Bench) -> None:
    """In the same step the next run is answered."""
    for run_id in (DONE, PARTIAL):
        bench.planter.plant(run_id)
        bench.planter.reopen(run_id)
    bench.planter.change(DONE, "request", versioned(SCHEMA_VERSION + 1))
    bench.act()
    assert bench.terminal_events(PARTIAL) == [EventType.FINAL]


# Damage


def without(name: str) -> Change:
    return lambda value: {key: item for key, item in value.items() if key != name}


def with_bad_item(value: Any) -> Any:
    bad = value["evidence"][0] | {"text": 7}
    return value | {"evidence": [bad, *value["evidence"]]}


DAMAGE: dict[str, tuple[str, Change | str, str]] = {
    "request: no JSON": ("request", "{", "a pergunta"),
    "request: no object": ("request", "[]", "a pergunta"),
    "request: no message": ("request", without("message"), "a pergunta"),
    "request: a wrong limit": (
        "request",
        lambda value: value | {"config": value["config"] | {"total_timeout_seconds": "soon"}},
        "a pergunta (`config.total_timeout_seconds`)",
    ),
    "request: limits out of order": (
        "request",
        lambda value: value | {"config": value["config"] | {"node_timeout_seconds": 500}},
        "a pergunta (`config`)",
    ),
    "plan: no JSON": ("plan", "nonsense", "o plano"),
    "plan: no routing": ("plan", without("routing"), "o plano"),
    "plan: a wrong source": (
        "plan",
        lambda value: value | {"sources": [*value["sources"], {"source": "NO NAME"}]},
        "o plano (`sources.4`)",
    ),
    "envelope: no JSON": ("e:metrics", "\x00", "metrics"),
    "envelope: of another source": ("e:metrics", lambda value: value | {"source": "rag_search"}, "metrics"),
    "envelope: no outcome": ("e:metrics", without("outcome"), "metrics"),
    "envelope: a wrong latency": ("e:metrics", lambda value: value | {"latency_ms": []}, "metrics (`latency_ms`)"),
    "envelope: data of another type": ("e:metrics", lambda value: value | {"data": "text"}, "metrics (`data`)"),
    "envelope: a wrong item": ("e:rag_search", with_bad_item, "rag_search (`evidence.0`)"),
}


@pytest.mark.parametrize("name", DAMAGE)
def test_a_damaged_run_is_finished_with_what_can_be_read(bench: Bench, name: str) -> None:
    """It is answered once, its answer names in the question's language what is missing, and no wake-up is left."""
    field, damage, named = DAMAGE[name]
    for run_id in (DONE, PARTIAL):
        bench.planter.plant(run_id)
        bench.planter.reopen(run_id)
    if isinstance(damage, str):
        bench.client.hset(bench.key, field, damage)
    else:
        bench.planter.change(DONE, field, damage)
    bench.act()
    report = bench.report()
    assert f"não pôde ser lida e falta nesta resposta: {named}." in report.response
    assert len(report.metadata["unreadable"]) == 1
    assert {item.source for item in report.parallel_results} == {"tws_status", "rag_search", "log_cache", "metrics"}
    lost = {"metrics"} if named == "metrics" else set()
    assert {item.source for item in report.errors} == lost
    assert report.outcome is (RunOutcome.PARTIAL if lost else RunOutcome.COMPLETE)
    assert [item.reason for item in report.errors] == [RunDamaged.reason] * len(lost)
    for run_id in (DONE, PARTIAL):
        assert bench.terminal_events(run_id) == [EventType.FINAL]
    assert bench.armed() == []
    assert len(RunList(bench.client, bench.store.keys).page(limit=5).runs) == 2


def test_a_plan_that_lost_its_sources_costs_no_answer(bench: Bench) -> None:
    """Sources that have answered were planned, whatever the plan says now."""
    bench.planter.plant(DONE)
    bench.planter.reopen(DONE)
    bench.planter.change(DONE, "plan", lambda value: value | {"sources": []})
    bench.act()
    assert bench.report().outcome is RunOutcome.COMPLETE


def test_only_the_damaged_item_is_missing(bench: Bench) -> None:
    """Of an answer with one wrong item, the others are in the report."""
    bench.planter.plant(DONE)
    before = bench.store.read(DONE).envelopes["rag_search"]
    bench.planter.change(DONE, "e:rag_search", with_bad_item)
    assert bench.store.read(DONE).envelopes["rag_search"] == before


@pytest.mark.parametrize("damage", ["{", "[]", '{"run_id": "x"}'])
def test_a_damaged_report_is_made_again(bench: Bench, damage: str) -> None:
    """Who reads an answered run whose report cannot be read gets one from the sources' answers, which says so."""
    bench.planter.plant(DONE)
    bench.client.hset(bench.key, "report", damage)
    assert bench.store.report(DONE) is None
    report = bench.report()
    assert (report.outcome, report.reason) == (RunOutcome.COMPLETE, RunDamaged.reason)
    assert report.committed_by == RUNS[DONE]["hash"]["committed_by"]
    assert report.response.startswith("## Diagnóstico")
    assert "a resposta gravada" in report.response


def test_a_part_of_a_report_is_missing_and_the_rest_is_there(bench: Bench) -> None:
    """A wrong field of a report costs that field, and the answer says so."""
    bench.planter.plant(DONE)
    whole = bench.report()
    bench.planter.change(DONE, "report", lambda value: value | {"attempt": "first"})
    report = bench.report()
    assert report.response.startswith(whole.response.rstrip())
    assert "a resposta gravada (`attempt`)" in report.response
    assert report.parallel_results == whole.parallel_results


@pytest.mark.parametrize("metadata", [{"unreadable": 5}, {"unreadable": {"a": 1}, "llm": [], "notes": 7, "mode": None}])
def test_a_reports_metadata_may_hold_anything(bench: Bench, metadata: dict[str, Any]) -> None:
    """What is free in a report is read as it is, also where a reader looks for something else."""
    bench.planter.plant(DONE)
    bench.planter.change(DONE, "report", lambda value: value | {"metadata": metadata, "attempt": "first"})
    report = bench.report()
    assert report.metadata["unreadable"] == ["report: attempt"]


def test_names_of_damaged_fields_are_short_and_few(bench: Bench) -> None:
    """A thousand fields of a run that cannot be read, with long names, fill no answer."""
    bench.planter.plant(DONE)
    bench.planter.reopen(DONE)
    bench.client.hset(bench.key, mapping={f"e:{number}{'x' * 500}": "{" for number in range(1_000)})
    bench.act()
    report = bench.report()
    assert len(report.response) < 10_000
    assert len(report.metadata["unreadable"]) <= MAX_DAMAGE
    assert report.outcome is RunOutcome.COMPLETE


def test_a_damaged_cancelled_run_names_its_damage(bench: Bench) -> None:
    """The report of a cancelled run says what cannot be read, in the question's language."""
    bench.planter.plant(CANCELLED)
    bench.client.hset(bench.store.keys.run(CANCELLED), "e:metrics", "{")
    report = bench.report(CANCELLED)
    assert (report.outcome, "metrics" in report.response) == (RunOutcome.CANCELLED, True)


@pytest.mark.parametrize("value", ["{", "[]", ""])
def test_a_damaged_event_is_skipped_and_a_terminal_one_ends_the_stream(bench: Bench, value: str) -> None:
    """Data that cannot be read costs its event, but never the end."""
    stream = bench.store.keys.events(DONE)
    for kind in ("draft", "final"):
        bench.client.xadd(stream, {"type": kind, "at": "soon", "attempt": "first", "data": value})
    bench.client.xadd(stream, {"data": "{}"})
    assert [(event.type, event.data, event.attempt) for event in bench.events()] == [(EventType.FINAL, {}, 0)]
    assert bench.events()[0].at_ms > 1_700_000_000_000


@pytest.mark.parametrize("value", ["x", "nan", "inf", "1e400", "0x7fffffffffff", "9999999999999", "9" * 400, b"\xff"])
@pytest.mark.parametrize(
    "field", ["received", "deadline_ms", "created_ms", "attempt", "dropped", "event_limit", "s:metrics"]
)
def test_damaged_numbers_do_not_keep_a_run_open(bench: Bench, field: str, value: str | bytes) -> None:
    """A run whose own numbers are no numbers, or none that a run has, is closed all the same."""
    bench.planter.plant(DONE)
    bench.planter.reopen(DONE)
    bench.client.hset(bench.key, field, value)
    bench.act()
    assert bench.terminal_events() == [EventType.FINAL]
    assert bench.store.read(DONE).state is RunState.DONE
    assert bench.armed() == []


@pytest.mark.parametrize("field", ["received", "attempt", "nudged"])
def test_counts_go_on_from_a_damaged_number(bench: Bench, field: str) -> None:
    """A count that cannot be read begins again: no step of a run fails by it."""
    bench.planter.plant(DONE)
    bench.planter.reopen(DONE, deadline_in_ms=9_000)
    bench.client.hset(bench.key, field, "junk")
    assert bench.store.count(DONE, field) == 1
    bench.client.hset(bench.key, mapping={field: "junk", "s:metrics": "c|1"})
    bench.client.hdel(bench.key, "e:metrics")
    envelope = SourceEnvelope(source="metrics", outcome=SourceOutcome.OK, success=True)
    assert bench.store.put_envelope(DONE, "c", envelope) == "stored"
    bench.client.hset(bench.key, field, "junk")
    assert not isinstance(bench.store.lease(DONE, "t", by="w"), str)


@pytest.mark.parametrize("kind", ["gone", "string", "list"])
def test_a_run_whose_stream_is_damaged_is_closed(bench: Bench, kind: str) -> None:
    """Its streams hold the end and expire with the run, whatever was under their names."""
    bench.planter.plant(DONE)
    bench.planter.reopen(DONE)
    bench.client.expire(bench.key, 1_000)
    streams = bench.store.keys.events(DONE), bench.store.keys.ending(DONE)
    for stream in streams:
        bench.client.delete(stream)
        if kind != "gone":
            bench.client.rpush(stream, "x") if kind == "list" else bench.client.set(stream, "x")
    bench.act()
    assert (bench.terminal_events(), bench.armed()) == ([EventType.FINAL], [])
    for stream in streams:
        assert bench.client.xlen(stream) == 1
        assert 0 < bench.client.ttl(stream) <= 1_000


def test_bytes_that_are_no_utf_8_cost_their_text_alone(bench: Bench) -> None:
    """Wherever they stand, the run is answered with all sources, and every other run and the list are read."""
    for run_id in (DONE, PARTIAL):
        bench.planter.plant(run_id)
        bench.planter.reopen(run_id)
    keys, bad = bench.store.keys, b"\xff\xfe"
    bench.client.hset(bench.key, mapping={"summary": b'{"message": "\xff"}', bad: bad, b"e:\xff": bad, b"s:\xff": bad})
    bench.client.hset(keys.run(bad.decode("utf-8", "replace")), mapping={"state": bad})
    bench.client.xadd(keys.events(DONE), {bad: bad, "type": bad})
    for name in (keys.wakeups, keys.index, keys.open, keys.watchers):
        bench.client.zadd(name, {bad: 1})
    bench.act()
    for run_id in (DONE, PARTIAL):
        assert bench.terminal_events(run_id) == [EventType.FINAL]
    assert bench.report().outcome is RunOutcome.COMPLETE
    assert bench.armed() == []
    assert {DONE, PARTIAL} <= {row.run_id for row in RunList(bench.client, keys).page(limit=5).runs}


@pytest.mark.parametrize("field", ["e:NO NAME", "s:", "s:NO NAME|JOB", "e:", "l:|"])
def test_a_field_of_no_source_costs_nothing_but_itself(bench: Bench, field: str) -> None:
    """A run whose plan cannot be read is finished with its sources, whatever else is in its hash."""
    bench.planter.plant(DONE)
    bench.planter.reopen(DONE)
    bench.client.hset(bench.key, mapping={"plan": "{", field: "x"})
    bench.act()
    assert bench.report().outcome is RunOutcome.COMPLETE


@pytest.mark.parametrize(
    "member", [b"abc", b"", b"|", b"|total", b"\xff|total", b"a|b|total", b"x y|total", b"x" * 99_999]
)
def test_a_wakeup_that_is_none_is_dropped(bench: Bench, member: bytes) -> None:
    """It comes once, to nobody."""
    bench.client.zadd(bench.store.keys.wakeups, {member: 1})
    assert bench.store.claim_wakeups().wakeups == ()
    assert bench.client.zcard(bench.store.keys.wakeups) == 0


def test_an_infinite_wakeup_does_not_keep_a_watcher_busy(bench: Bench) -> None:
    """A watcher sleeps as long as with none."""
    bench.client.zadd(bench.store.keys.wakeups, {"junk": float("inf")})
    assert bench.watcher.step() == POLL_SECONDS


def test_a_clock_of_another_type_stops_no_watcher(bench: Bench) -> None:
    """It counts as no time, and is replaced."""
    bench.client.rpush(bench.store.keys.clock, "x")
    bench.client.zadd(bench.store.keys.wakeups, {f"{DONE}|total": 1})
    assert [wakeup.run_id for wakeup in bench.store.claim_wakeups().wakeups] == [DONE]
    assert bench.client.type(bench.store.keys.clock) == "string"


@pytest.mark.parametrize("name", ["watchers", "wakeups"])
def test_a_watcher_lives_on_beside_a_damaged_key(bench: Bench, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """A set of its own that is none is renamed at once, and the runs end whose wake-ups were lost with it."""
    bench.planter.plant(DONE)
    bench.planter.reopen(DONE)
    keys, key = bench.store.keys, getattr(bench.store.keys, name)
    bench.client.zadd(keys.open, {DONE: int(bench.client.time()[0]) * 1000})
    bench.client.delete(key)
    bench.client.set(key, "no set")
    watcher = Watcher(
        bench.store,
        NoPublisher(),  # type: ignore[arg-type]
        name="w",
        presence=Presence(bench.client, keys),
    )
    stop, pauses = threading.Event(), list[float]()
    monkeypatch.setattr(stop, "wait", lambda seconds: pauses.append(seconds) or len(pauses) > 3)
    watcher.run(stop)
    assert bench.terminal_events() == [EventType.FINAL]
    assert bench.client.get(f"{key}:set_aside") == "no set"
    assert not bench.client.exists(keys.open)


def test_every_key_that_all_runs_share_is_renamed_when_it_is_of_another_type(bench: Bench) -> None:
    """Each is made anew by whoever needs it; what it was is kept for a week, and a second time does nothing."""
    bench.planter.plant(DONE)
    keys = bench.store.keys
    for key, kind in keys.kinds.items():
        bench.client.delete(key)
        bench.client.rpush(key, "x") if kind != "list" else bench.client.set(key, "x")
    lists = [keys.queue(name)[1] for name in ("orchestrator", "metrics", "metrics\x06\x163")]
    for key in lists:
        bench.client.set(key, "x")
    found = bench.store.set_foreign_aside()
    assert set(found) == {*keys.kinds, *lists}
    assert found[keys.wakeups] == "list"
    assert not bench.client.exists(*found)
    assert all(bench.client.ttl(f"{key}:set_aside") > 0 for key in found)
    assert bench.store.set_foreign_aside() == {}
    assert bench.store.claim_wakeups().wakeups == ()


def test_an_open_run_ends_although_its_wakeups_are_lost(bench: Bench) -> None:
    """By the set of open runs, in which a name that is none of a run does not stay, nor a run that is gone."""
    bench.planter.plant(DONE)
    bench.planter.reopen(DONE)
    keys, now_ms = bench.store.keys, bench.now_ms()
    bench.client.delete(keys.wakeups)
    bench.client.zadd(
        keys.open, {DONE: now_ms, "run-is-gone": now_ms, "no run\nERROR": now_ms, "later": now_ms + 5_000}
    )
    bench.act()
    assert bench.terminal_events() == [EventType.FINAL]
    assert bench.client.zrange(keys.open, 0, -1) == ["later"]
    assert bench.armed() == []


def test_junk_in_the_list_of_runs_hides_none(bench: Bench) -> None:
    """Names of no run, of the far future or newer than all, in any number that is likely."""
    bench.planter.plant(DONE)
    keys, now_ms = bench.store.keys, bench.now_ms()
    bench.client.zadd(keys.index, {f"junk-{number}": "inf" for number in range(30)})
    bench.client.zadd(keys.index, {f"none-{number}": now_ms + 1_000 + number for number in range(30)})
    assert [row.run_id for row in RunList(bench.client, keys).page(limit=5).runs] == [DONE]


def test_a_damaged_summary_does_not_break_the_list(bench: Bench) -> None:
    """Each run keeps its line, the damaged one with what can be read; a key of another kind has none."""
    for run_id in (DONE, PARTIAL, CANCELLED):
        bench.planter.plant(run_id)
    bench.client.hset(bench.key, mapping={"summary": '{"message": 7, "jobs": ["A", 1]}', "deadline_ms": "x"})
    bench.client.delete(bench.store.keys.run(CANCELLED))
    bench.client.set(bench.store.keys.run(CANCELLED), "no hash")
    rows = {row.run_id: row for row in RunList(bench.client, bench.store.keys).page(limit=5).runs}
    assert {run_id: (row.message != "", row.jobs) for run_id, row in rows.items()} == {
        DONE: (False, ("A",)),
        PARTIAL: (True, ("BATCH001",)),
    }


def test_a_question_that_cannot_be_read_is_asked_from_its_line(bench: Bench) -> None:
    """A worker plans from what the list of runs keeps of the question."""
    bench.planter.plant(OPEN)
    bench.client.hset(bench.store.keys.run(OPEN), "request", "{")
    bench.client.hset(bench.store.keys.run(OPEN), "fanin_ms", bench.now_ms() + 5_000)
    dispatch = bench.store.claim_dispatch(OPEN, "d")
    assert dispatch is not None
    assert dispatch.request.message == "O job BATCH001 falhou?"


# The last resort


def doubled(depth: int) -> dict[str, Any]:
    """A stored message that holds the next one twice."""
    message: dict[str, Any] = {"key": "x"}
    for _ in range(depth):
        message = {"key": "{x}{x}", "facts": {"x": message}}
    return message


def test_an_unforeseen_error_ends_the_run_all_the_same(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where even the report cannot be made, the run is closed from its state and its deadline, in time and once."""

    def broken(*_: object, **__: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr("orchestrator.run.finisher.make_report", broken)
    bench.planter.plant(DONE)
    bench.planter.reopen(DONE)
    assert Finisher(bench.store, by="client").finish_at_deadline(DONE) is None
    report = bench.report()
    assert (report.outcome, report.reason) == (RunOutcome.FAILED, "finisher: ZeroDivisionError")
    assert "não pôde ser montada" in report.response
    assert bench.terminal_events() == [EventType.FINAL]


def test_a_failing_conclusion_is_told_in_the_questions_language(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever fails while an answer is put together, there is one."""

    def broken(*_: object) -> None:
        raise KeyError("planted")

    monkeypatch.setattr("orchestrator.run.conclusion._all_envelopes", broken)
    bench.planter.plant(PARTIAL)
    bench.planter.reopen(PARTIAL)
    bench.act()
    report = bench.report(PARTIAL)
    assert (report.outcome, report.reason) == (RunOutcome.FAILED, "conclusion: KeyError")
    assert "could not be put together" in report.response


def broken(*_: object, **__: object) -> None:
    raise ZeroDivisionError


def test_a_deadline_that_fails_ends_its_run_at_once(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first failure at the deadline closes the run from its state and its deadline, and nothing is armed."""
    monkeypatch.setattr("orchestrator.run.finisher.Finisher.finish_at_deadline", broken)
    bench.planter.plant(DONE)
    bench.planter.reopen(DONE)
    bench.act()
    assert bench.terminal_events() == [EventType.FINAL]
    assert bench.armed() == []
    assert bench.report().reason == "watcher_failed"


@pytest.mark.parametrize("kind", ["total", "fanin", "dispatch"])
def test_a_wakeup_that_always_fails_backs_off_and_is_given_up(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, kind: str
) -> None:
    """Its pauses double, and then it goes; the log has a line for each try."""
    for name in ("finish_at_deadline", "close_unread"):
        monkeypatch.setattr(f"orchestrator.run.finisher.Finisher.{name}", broken)
    monkeypatch.setattr(bench.store, "check_synthesis", broken)
    monkeypatch.setattr(bench.store, "states", broken)
    bench.planter.plant(DONE)
    bench.planter.reopen(DONE)
    bench.client.delete(bench.store.keys.wakeups)
    pauses = []
    for _ in range(MAX_FAILURES - 1):
        bench.make_due(kind)
        bench.watcher.step()
        due_ms = bench.client.zscore(bench.store.keys.wakeups, f"{DONE}|{kind}") or 0
        seconds, micros = bench.client.time()
        pauses.append(round((due_ms - seconds * 1000 - micros // 1000) / 1000))
    assert pauses == [1, 2, 4, 8]
    bench.make_due(kind)
    bench.watcher.step()
    assert bench.armed() == []
    assert len([line for line in caplog.messages if line.startswith("watcher_failed")]) == MAX_FAILURES


@pytest.mark.parametrize("name", ["open", "completed", "expired", "wakeups"])
def test_a_damaged_key_of_all_runs_does_not_keep_one_open(bench: Bench, name: str) -> None:
    """What is done after the terminal event never fails the commit."""
    bench.planter.plant(DONE)
    bench.planter.reopen(DONE)
    key = getattr(bench.store.keys, name)
    bench.client.delete(key)
    bench.client.rpush(key, "no set")
    report = Finisher(bench.store, by="client").finish_at_deadline(DONE)
    assert report is not None
    assert bench.terminal_events() == [EventType.FINAL]


@pytest.mark.parametrize(
    "name", ["wakeups", "index", "open", "completed", "expired", "instances", "idempotency", "session"]
)
def test_a_damaged_key_of_all_runs_refuses_no_question(bench: Bench, name: str) -> None:
    """A key of ours that holds something else is replaced, and the run has its wake-ups."""
    keys = bench.store.keys
    others = {"idempotency": keys.idempotency("k"), "session": keys.session("ana", "s")}
    bench.client.hset(others.get(name) or getattr(keys, name), "no", "set")
    request = TroubleshootRequest(message="x", user_id="ana", session_id="s")
    assert bench.store.open("run-00000001", request, nonce="n", idempotency_key="k").is_new
    assert len(bench.armed()) == 3
    assert [row.run_id for row in RunList(bench.client, keys).page(limit=5).runs] == ["run-00000001"]


def test_a_stream_that_takes_no_further_entry_is_replaced(bench: Bench) -> None:
    """A stream whose last id is the last possible one ends the run in a new one."""
    bench.planter.plant(DONE)
    bench.planter.reopen(DONE)
    bench.client.xadd(bench.store.keys.events(DONE), {"type": "x"}, id="18446744073709551615-18446744073709551615")
    bench.act()
    assert bench.terminal_events() == [EventType.FINAL]


ABSURD: dict[str, tuple[str, Any]] = {
    "a million items": ("e:metrics", {"evidence": [1] * 1_000_000}),
    "many wrong items": ("e:metrics", {"evidence": [{}] * 1_500}),
    "some wrong items": ("e:metrics", {"asked": [1] * 50}),
    "a long plan": ("plan", {"sources": [{"source": "NO NAME"}] * 100_000}),
    "endless latency": ("e:metrics", {"latency_ms": 1e999}),
    "endless limit": ("plan", {"notes": [1e999] * 3}),
    "a template that doubles": ("e:metrics", {"outcome": "error", "success": False, "error_message": doubled(60)}),
    "a wide template": (
        "e:metrics",
        {"outcome": "error", "success": False, "error_message": {"key": "{a:>999999999}", "facts": {"a": "x"}}},
    ),
    "a long question": ("request", {"jobs": ["A"] * 200_000}),
}


@pytest.mark.parametrize("name", ABSURD)
def test_absurd_values_cost_little_and_end_their_run(bench: Bench, name: str) -> None:
    """A damaged run of megabytes is read as quickly as others, answered once, and names a few of its parts."""
    field, values = ABSURD[name]
    bench.planter.plant(DONE)
    bench.planter.reopen(DONE)
    bench.planter.change(DONE, field, lambda value: value | values)
    began = time.thread_time()
    bench.act()
    report = bench.report()
    for item in report.parallel_results:
        assert len(write(item.error_text or "", Language.PT_BR)) < 10_000
    assert time.thread_time() - began < 3
    assert bench.terminal_events() == [EventType.FINAL]
    assert len(report.metadata.get("unreadable", [])) <= MAX_NAMED + 1
    assert len(report.response) < 20_000


def test_a_run_that_is_no_hash_is_given_up(bench: Bench) -> None:
    """Nothing can be written for it, so its wake-up goes."""
    bench.client.set(bench.key, "no hash")
    bench.make_due()
    bench.act()
    assert bench.armed() == []


def test_a_run_that_is_no_hash_is_one_clear_error(settings: Settings, planter: Planter) -> None:
    """Every call that reads it says so, and a watcher in one line."""
    planter.client.set(planter.keys.run(DONE), "no hash")
    with TroubleshootClient(settings) as client:
        for call in (client.get, client.result, client.cancel, lambda run_id: list(client.stream(run_id))):
            with pytest.raises(RunDamaged):
                call(DONE)


# Readers


@pytest.fixture
def planter(settings: Settings) -> Iterator[Planter]:
    with connect(settings) as client:
        yield Planter(client, RunStore(client, settings).keys)


def types_of(events: list[Event]) -> list[EventType]:
    return [event.type for event in events]


KNOWN = [EventType(event["type"]) for _, event in RUNS[DONE]["events"]]


def test_clients_follow_a_run_of_a_newer_version(settings: Settings, planter: Planter) -> None:
    """Both clients give every event that we know, resume after any of them, and give the report."""
    planter.plant(DONE, VERSIONS["tomorrow"])

    async def follow() -> tuple[list[Event], list[Event], Report]:
        async with AsyncTroubleshootClient(settings) as client:
            events = [event async for event in client.stream(DONE)]
            rest = [event async for event in client.stream(DONE, after=events[4].id)]
            return events, rest, await client.result(DONE)

    with TroubleshootClient(settings) as client:
        events = list(client.stream(DONE))
        assert types_of(events) == KNOWN
        assert list(client.stream(DONE, after=events[4].id)) == events[5:]
        report = client.result(DONE)
        assert client.get(DONE).report == report
    assert asyncio.run(follow()) == (events, events[5:], report)


@pytest.mark.usefixtures("patient_readers")
def test_clients_wait_out_a_run_with_unknown_events_at_its_end(settings: Settings, planter: Planter) -> None:
    """Unknown events behind the last known one neither end a wait nor make it spin; the deadline ends the run."""
    planter.plant(DONE, VERSIONS["tomorrow"])
    planter.reopen(DONE, deadline_in_ms=700)
    for number in range(3):
        planter.client.xadd(planter.keys.events(DONE), {**UNKNOWN_EVENT, "at": str(number)})

    async def follow() -> list[Event]:
        async with AsyncTroubleshootClient(settings) as client:
            return [event async for event in client.stream(DONE)]

    events = asyncio.run(follow())
    assert types_of(events)[-1] is EventType.FINAL
    with TroubleshootClient(settings) as client:
        assert list(client.stream(DONE)) == events
        assert client.result(DONE).committed_by == "client"


@pytest.mark.usefixtures("patient_readers")
def test_clients_answer_a_damaged_run(settings: Settings, planter: Planter) -> None:
    """Waiting clients finish it at its deadline; ``get`` and ``list`` work."""
    planter.plant(DONE)
    planter.reopen(DONE, deadline_in_ms=300)
    planter.client.hset(planter.keys.run(DONE), mapping={"plan": "{", "e:metrics": "{"})
    with TroubleshootClient(settings) as client:
        report = client.result(DONE)
        assert report.metadata["unreadable"] == ["plan", "metrics"]
        assert client.get(DONE).report == report
        assert [row.run_id for row in client.list()] == [DONE]


async def help_a_run(
    client: AsyncTroubleshootClient, settings: Settings, change: Callable[[str], object] = lambda _: None
) -> str:
    """Submit a question, change its run, and do what a caller's process does where no worker runs."""
    request = TroubleshootRequest(message="O job BATCH001 falhou?")
    run_id = await client.submit(request)
    change(client.sync.store.keys.run(run_id))
    deadline = Deadline.after(request.config.total_timeout_seconds)
    async with fallback.OwnProcess(request, settings, deadline, client=client, copy=RunCopy(run_id)) as own:
        await own.help()
    return run_id


UNREAD = {
    "a damaged plan": ("plan", "{", "run_damaged"),
    "a newer plan": ("plan", json.dumps({"schema_version": SCHEMA_VERSION + 1}), "schema_mismatch"),
    "a newer question": ("request", json.dumps({"schema_version": SCHEMA_VERSION + 1}), "schema_mismatch"),
}


@pytest.mark.parametrize("name", UNREAD)
def test_a_caller_that_asks_the_sources_itself_treats_damage_as_a_worker_does(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """A run that cannot be read when its sources are asked has their errors, and the take-over raises nothing."""
    field, value, reason = UNREAD[name]
    plan_dispatch = fallback.plan_dispatch

    def damaged(store: RunStore, run_id: str, dispatch: Dispatch) -> Plan:
        plan = plan_dispatch(store, run_id, dispatch)
        before.append((field, store._client.hget(store.keys.run(run_id), field)))
        store._client.hset(store.keys.run(run_id), field, value)
        return plan

    def restored(*_: object, **__: object) -> None:
        """Nobody finishes the run."""

    before: list[Any] = []
    monkeypatch.setattr(fallback, "plan_dispatch", damaged)
    monkeypatch.setattr(Finisher, "finish", restored)

    async def take_over() -> dict[str, SourceEnvelope]:
        async with AsyncTroubleshootClient(settings) as client:
            run_id = await help_a_run(client, settings)
            store = client.sync.store
            store._client.hset(store.keys.run(run_id), *before[0])
            return store.read(run_id).envelopes

    envelopes = asyncio.run(take_over())
    assert len(envelopes) == 4
    assert {(item.outcome, item.reason) for item in envelopes.values()} == {(SourceOutcome.ERROR, reason)}


def test_a_caller_leaves_a_run_that_it_cannot_read_to_others(settings: Settings) -> None:
    """A question of a newer version is not dispatched here, and that is no error of the take-over."""

    async def take_over() -> RunState:
        async with AsyncTroubleshootClient(settings) as client:
            store = client.sync.store
            newer = {"request": UNREAD["a newer question"][1]}
            run_id = await help_a_run(client, settings, lambda key: store._client.hset(key, mapping=newer))
            return store.state(run_id)[0]

    assert asyncio.run(take_over()) is RunState.DISPATCHING


@pytest.mark.parametrize("value", ["no hash", None])
def test_an_earlier_run_of_a_session_that_is_damaged_costs_nothing(
    settings: Settings, planter: Planter, value: str | None
) -> None:
    """The next question of the session is planned as one without it."""
    with TroubleshootClient(settings) as client:
        earlier, later = (
            client.submit(TroubleshootRequest(message="e agora?", session_id="s", user_id="ana")) for _ in range(2)
        )
        key = planter.keys.run(earlier)
        planter.client.hset(key, "plan", "[" * 1_000) if value is None else planter.client.set(key, value)
        dispatch = client.store.claim_dispatch(later, "d")
        assert dispatch is not None
        assert plan_dispatch(client.store, later, dispatch).reason


def test_clients_tell_which_side_to_upgrade(settings: Settings, planter: Planter) -> None:
    """A run of a schema too new is one clear error in every call that reads it, and none in those that do not."""
    planter.plant(DONE)
    planter.change(DONE, "report", versioned(SCHEMA_VERSION + 1))

    async def result() -> Report:
        async with AsyncTroubleshootClient(settings) as client:
            return await client.result(DONE)

    with TroubleshootClient(settings) as client:
        for call in (client.result, client.get):
            with pytest.raises(SchemaMismatch, match="upgrade this process"):
                call(DONE)
        assert types_of(list(client.stream(DONE))) == KNOWN
        assert client.cancel(DONE).state is RunState.DONE
    with pytest.raises(SchemaMismatch) as caught:
        asyncio.run(result())
    assert caught.value.exit_code == 8
    assert "atualize este processo" in caught.value.message.in_language(Language.PT_BR)


def test_a_submit_stores_its_schema(bench: Bench) -> None:
    """Every stored object says by which schema it was written."""
    bench.store.open("run-00000001", TroubleshootRequest(message="x"), nonce=new_token())
    stored = json.loads(bench.client.hget(bench.store.keys.run("run-00000001"), "request") or "{}")
    assert stored["schema_version"] == SCHEMA_VERSION
    bench.planter.plant(DONE, same)
    fields = bench.client.hgetall(bench.key)
    assert {json.loads(fields[name])["schema_version"] for name in ("plan", "report", "e:metrics")} == {1}
