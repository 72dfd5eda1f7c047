"""What each queue has to do, over fakeredis and over a real redis-server."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path

import pytest
import redis
from clock_support import step_clock
from kustomize_support import build
from prometheus_client.parser import text_string_to_metric_families

from orchestrator.broker.app import queue_names
from orchestrator.config import Settings
from orchestrator.i18n.languages import Language
from orchestrator.models import (
    AnswerMode,
    Intent,
    Plan,
    PlannedSource,
    Report,
    Routing,
    RunOutcome,
    SourceEnvelope,
    SourceOutcome,
    TroubleshootRequest,
)
from orchestrator.monitoring import watcher_page
from orchestrator.store.load import QueueLoad, read_load
from orchestrator.store.runs import RunStore

RUN = "run-00000001"
QUEUES = ("orchestrator", "tws_status", "metrics", "synthesis")
BATCH = "metrics|+1"


@dataclass
class Desk:
    """A store whose queues are watched."""

    client: redis.Redis
    store: RunStore

    def load(self, queue: str) -> QueueLoad:
        return {load.queue: load for load in read_load(self.client, self.store.keys, QUEUES)}[queue]

    def counts(self, queue: str) -> tuple[int, float, float]:
        """Running; arrived and ended in the five seconds over which rates are taken at least."""
        load = self.load(queue)
        return load.running, load.arrivals_per_second * 5, load.completions_per_second * 5

    def open(self, run_id: str = RUN) -> None:
        self.store.open(run_id, TroubleshootRequest(message="Job BATCH001 falhou"), nonce=run_id)

    def plan(self, run_id: str = RUN) -> None:
        plan = Plan(
            pipeline="troubleshoot",
            routing=Routing(intent=Intent.TROUBLESHOOT, confidence=1, language=Language.EN),
            sources=(
                PlannedSource(source="tws_status", limit_seconds=5),
                PlannedSource(source="metrics", limit_seconds=5, jobs=("A", "B"), batch=1),
            ),
            reason="test",
        )
        self.store.queue_plan(run_id, "d1", plan)

    def begin(self, key: str, *, by_worker: bool = True) -> None:
        source = key.partition("|")[0]
        self.store.begin_source(RUN, key, f"c-{key}", source=source, job=None, worker="w", by_worker=by_worker)

    def end(self, key: str, *, by_worker: bool = True, claim: str | None = None) -> str:
        batch = 1 if key == BATCH else None
        source = key.partition("|")[0]
        envelope = SourceEnvelope(source=source, batch=batch, outcome=SourceOutcome.OK, success=True)
        return self.store.put_envelope(RUN, claim or f"c-{key}", envelope, by_worker=by_worker)

    def commit(self, token: str) -> str:
        report = Report(
            run_id=RUN, outcome=RunOutcome.COMPLETE, mode=AnswerMode.DETERMINISTIC, response="x", committed_by="w"
        )
        return self.store.commit(report, token=token, seen_received=2)


@pytest.fixture
def desk(either_redis: tuple[redis.Redis, Settings]) -> Desk:
    client, settings = either_redis
    return Desk(client, RunStore(client, settings))


def test_each_task_of_a_run_is_running_while_a_worker_holds_it(desk: Desk) -> None:
    """From its claim to its end, in its own queue, a batch as one task; then it is counted as ended."""
    desk.open()
    assert desk.counts("orchestrator") == (0, 1, 0)
    assert desk.store.claim_dispatch(RUN, "d1")
    assert desk.counts("orchestrator") == (1, 1, 0)
    desk.plan()
    assert desk.counts("tws_status") == desk.counts("metrics") == (0, 1, 0)
    assert desk.store.mark_dispatched(RUN, "d1")
    assert desk.counts("orchestrator") == (0, 1, 1)
    for key in ("tws_status", BATCH):
        desk.begin(key)
    assert desk.counts("tws_status") == desk.counts("metrics") == (1, 1, 0)
    assert desk.end("tws_status", claim="another") == "duplicate"
    assert desk.load("tws_status").running == 1
    for key in ("tws_status", BATCH):
        assert desk.end(key) == "stored"
    assert desk.counts("tws_status") == desk.counts("metrics") == (0, 1, 1)
    assert desk.counts("synthesis") == (0, 1, 0)
    desk.store.lease(RUN, "f1", by="w", serves_queue=True)
    assert desk.store.renew(RUN, "f1", serves_queue=True)
    assert desk.counts("synthesis") == (1, 1, 0)
    assert desk.commit("f1") == desk.commit("f1") == "ok"
    assert desk.counts("synthesis") == (0, 1, 1)
    assert desk.load("tws_status").turned_away_per_second == 0
    assert all(load.capacity is None for load in read_load(desk.client, desk.store.keys, QUEUES))


def test_the_autoscaler_finds_what_waits_and_runs_on_the_page_of_a_watcher(desk: Desk) -> None:
    """Each ScaledObject's selector leads to one sample: a task that a worker holds, and two that wait, are three."""
    desk.open()
    desk.store.claim_dispatch(RUN, "d1")
    desk.plan()
    desk.begin("tws_status")
    desk.client.rpush(desk.store.keys.broker_prefix + "tws_status", "first", "second")
    text = watcher_page(desk.client, desk.store.keys)().body.decode()
    families = {family.name: family for family in text_string_to_metric_families(text)}
    folder = Path(__file__).parents[2] / "ops" / "k8s" / "components" / "autoscaling"
    figures = {}
    for item in build(folder):
        if item["kind"] == "ScaledObject":
            selector = item["spec"]["triggers"][0]["metadata"]["valueLocation"]
            name, queue = re.fullmatch(r'(\w+)\{queue="(\w+)"\}', selector).groups()
            (sample,) = (it for it in families[name].samples if it.labels == {"queue": queue})
            figures[queue] = sample.value
    assert set(figures) == set(queue_names())
    assert figures["tws_status"] == 3
    assert figures["log_cache"] == 0


def test_what_a_caller_does_itself_is_no_task_of_the_queue(desk: Desk) -> None:
    """Neither its dispatch, its sources nor its answer run in a queue."""
    desk.open()
    desk.store.claim_dispatch(RUN, "d1", by_worker=False)
    desk.plan()
    desk.store.mark_dispatched(RUN, "d1")
    for key in ("tws_status", BATCH):
        desk.begin(key, by_worker=False)
    assert {load.running for load in read_load(desk.client, desk.store.keys, QUEUES)} == {0}
    for key in ("tws_status", BATCH):
        desk.end(key, by_worker=False)
    desk.store.lease(RUN, "f1", by="caller")
    assert desk.load("synthesis").running == 0
    desk.commit("f1")
    assert {load.completions_per_second for load in read_load(desk.client, desk.store.keys, QUEUES)} == {0}


def test_the_task_of_a_dead_worker_falls_out_when_its_time_is_over(desk: Desk) -> None:
    """Its limit, or the fan-in where that is earlier, and a second; the set expires, and moves with the clock."""
    desk.open()
    desk.store.claim_dispatch(RUN, "d1")
    desk.plan()
    running = desk.store.keys.running("tws_status")
    for limit, seconds in ((2.0, 2.0), (60.0, 6.0), (None, 6.0)):
        desk.client.hdel(desk.store.keys.run(RUN), "s:tws_status")
        desk.store.begin_source(RUN, "tws_status", "c", source="tws_status", job=None, worker="w", limit_seconds=limit)
        (due,) = (score for _, score in desk.client.zrange(running, 0, -1, withscores=True))
        assert 0 <= seconds + 1 - (due - _now_ms(desk)) / 1000 < 2
    assert 0 < desk.client.ttl(running) <= 3_600
    desk.store.claim_wakeups()
    step_clock(desk.client, desk.store.keys, -500)
    desk.store.claim_wakeups()
    assert abs(desk.client.zscore(running, f"{RUN}|tws_status") - due) < 1_000
    desk.client.zadd(running, {f"{RUN}|tws_status": _now_ms(desk) - 1})
    assert desk.load("tws_status").running == 0


def test_the_oldest_message_is_found_whoever_put_it_there(desk: Desk) -> None:
    """By the run that it belongs to, in both lanes; a message that names none has no age."""
    desk.open()
    now, keys = _now_ms(desk), desk.store.keys
    desk.client.hset(keys.run(RUN), mapping={"created_ms": now - 40_000, "planned_ms": now - 30_000})
    message = json.dumps({"headers": {"id": "x", "root_id": RUN}, "body": "W10="})
    for queue, seconds in (("orchestrator", 40), ("metrics\x06\x163", 30)):
        desk.client.rpush(keys.queue(queue)[1], "newer", message)
        assert seconds <= desk.load(queue.partition("\x06")[0]).oldest_wait_seconds < seconds + 20
    assert desk.load("metrics").waiting == 2
    for oldest in ("junk", json.dumps({"headers": {"root_id": "run-gone"}}), '"root_id": "../x"'):
        desk.client.rpush(keys.queue("tws_status")[1], oldest)
        assert desk.load("tws_status").oldest_wait_seconds == 0


def test_a_source_that_is_left_out_for_its_queue_was_asked_for_all_the_same(desk: Desk) -> None:
    """What is turned away counts as an arrival: workers are wanted for it."""
    desk.open()
    now, keys = _now_ms(desk), desk.store.keys
    waiting, messages = keys.queue("tws_status")
    desk.client.zadd(waiting, {f"o{i}|{now - 900}|": now + 9_000 for i in range(100)})
    desk.client.rpush(messages, *map(str, range(100)))
    desk.client.hset(keys.rates, "tws_status", f"1000.0 10.0 {now - 2_000} {now - 100}")
    desk.store.claim_dispatch(RUN, "d1")
    desk.plan()
    load = desk.load("tws_status")
    assert (load.arrivals_per_second, load.turned_away_per_second) == (0.2, 0.2)
    assert load.task_seconds == 1.0
    assert desk.load("metrics").turned_away_per_second == 0


@pytest.mark.parametrize("kind", ["string", "junk"])
def test_damage_is_no_load(desk: Desk, kind: str) -> None:
    """Keys of another type, or counts that somebody wrote: they are read as none, and no run fails by them."""
    keys = desk.store.keys
    if kind == "string":
        for key in (keys.rates, *(keys.running(queue) for queue in QUEUES), *(keys.queue(q)[1] for q in QUEUES)):
            desk.client.set(key, "x")
    else:
        fields = {f"{queue}|{slot}": f"{'9' * 40} 1 1 1 1 1" for queue in QUEUES for slot in range(13)}
        desk.client.hset(keys.rates, mapping={**fields, "|since": "9" * 30})
    for load in read_load(desk.client, keys, QUEUES):
        assert load == QueueLoad(load.queue, 0, 0, 0, 0, 0, 0, None)
    desk.open()
    desk.store.claim_dispatch(RUN, "d1")
    desk.plan()
    desk.store.mark_dispatched(RUN, "d1")
    desk.begin("tws_status")
    assert desk.end("tws_status") == "stored"
    desk.store.set_foreign_aside()
    assert desk.load("tws_status").arrivals_per_second == desk.load("tws_status").completions_per_second > 0


def _now_ms(desk: Desk) -> int:
    seconds, micros = desk.client.time()
    return int(seconds * 1000 + micros // 1000)
