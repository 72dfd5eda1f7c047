"""The watcher's decisions, over fakeredis and a publisher that only remembers."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from types import SimpleNamespace

import fakeredis
import pytest

from orchestrator.config import Settings
from orchestrator.errors import StoreUnreachable
from orchestrator.i18n.languages import Language
from orchestrator.models import (
    AnswerMode,
    Intent,
    Plan,
    PlannedSource,
    Report,
    Routing,
    RunOutcome,
    RunState,
    SourceEnvelope,
    SourceOutcome,
    TroubleshootRequest,
)
from orchestrator.run.conclusion import BUSY
from orchestrator.store.connection import to_ms
from orchestrator.store.keys import ORCHESTRATOR_QUEUE, SYNTHESIS_QUEUE
from orchestrator.store.runs import COMMIT_MARGIN_MS, RunStore, new_token
from orchestrator.watcher import MAX_REPUBLISH, Watcher

RUN = "run-00000001"


@dataclass
class RememberingPublisher:
    """Remembers what it was asked to publish."""

    runs: list[str] = field(default_factory=list)
    syntheses: list[str] = field(default_factory=list)
    broken: bool = False

    def publish_run(self, run_id: str) -> None:
        if self.broken:
            raise StoreUnreachable
        self.runs.append(run_id)

    def publish_synthesis(self, run_id: str) -> None:
        self.syntheses.append(run_id)

    def close(self) -> None:
        return


@dataclass
class Scene:
    client: fakeredis.FakeRedis
    store: RunStore
    publisher: RememberingPublisher
    watcher: Watcher

    def due(self, kind: str) -> None:
        """Make one wake-up of the run due, and only that one."""
        self.client.zadd(self.store.keys.wakeups, {f"{RUN}|{kind}": 1})

    def waiting(self, queue: str) -> None:
        self.client.rpush(f"{self.store.keys.broker_prefix}{queue}", "message")

    def now_ms(self) -> int:
        return to_ms(self.client.time())

    def due_ms(self, kind: str) -> float:
        due_ms = self.client.zscore(self.store.keys.wakeups, f"{RUN}|{kind}")
        assert isinstance(due_ms, float)
        return due_ms

    def step(self, *, arms: str, after_ms: int) -> None:
        """Let the watcher do what is due; afterwards a wake-up of this kind is due, so long after that."""
        began_ms = self.now_ms()
        self.watcher.step()
        assert began_ms + after_ms <= self.due_ms(arms) <= self.now_ms() + after_ms

    def armed(self) -> set[str]:
        return {member.rsplit("|", 1)[1] for member in self.client.zrange(self.store.keys.wakeups, 0, -1)}


@pytest.fixture
def scene(monkeypatch: pytest.MonkeyPatch) -> Iterator[Scene]:
    # In a step that a busy machine interrupts, what was claimed before would be left to another.
    monkeypatch.setattr("orchestrator.watcher.REARM_MS", 60_000)
    client = fakeredis.FakeRedis(decode_responses=True)
    store = RunStore(client, Settings.from_env({}))
    store.open(RUN, TroubleshootRequest(message="Job BATCH001 falhou"), nonce=new_token())
    publisher = RememberingPublisher()
    yield Scene(client, store, publisher, Watcher(store, publisher, name="w"))  # type: ignore[arg-type]
    client.close()


def test_nothing_due_nothing_done(scene: Scene) -> None:
    """A watcher without due work sleeps until the next wake-up or its poll, whichever is sooner."""
    assert 0 < scene.watcher.step() <= 0.25
    assert scene.publisher.runs == []


def test_a_lost_message_is_published_again_at_most_twice(scene: Scene) -> None:
    """A run that nobody dispatched is published again while its queue is empty, and not for ever."""
    for _ in range(MAX_REPUBLISH + 2):
        scene.due("dispatch")
        scene.watcher.step()
    assert scene.publisher.runs == [RUN] * MAX_REPUBLISH
    assert "dispatch" not in scene.armed()


def test_a_message_that_waits_is_left_alone(scene: Scene) -> None:
    """While the orchestrator's queue holds messages nothing is published, and the wake-up stays."""
    scene.waiting(ORCHESTRATOR_QUEUE)
    scene.due("dispatch")
    scene.watcher.step()
    assert scene.publisher.runs == []
    assert "dispatch" in scene.armed()


def test_a_broker_that_is_away_costs_no_wakeup(scene: Scene) -> None:
    """When publishing fails the wake-up comes back."""
    scene.publisher.broken = True
    scene.due("dispatch")
    scene.watcher.step()
    assert "dispatch" in scene.armed()


def answered(scene: Scene, *, received: int = 1) -> None:
    """The run as it is when ``received`` of its one source has answered."""
    plan = Plan(
        pipeline="troubleshoot",
        routing=Routing(intent=Intent.TROUBLESHOOT, confidence=1, language=Language.EN),
        sources=(PlannedSource(source="metrics", limit_seconds=5),),
        reason="test",
    )
    fields = {"state": "dispatched", "plan": plan.model_dump_json(), "expected": 1, "received": received}
    if received:
        envelope = SourceEnvelope(source="metrics", outcome=SourceOutcome.OK, success=True, finding="CPU at 97 %")
        fields["e:metrics"] = envelope.model_dump_json()
    scene.client.hset(scene.store.keys.run(RUN), mapping=fields)


def test_the_fan_in_asks_for_the_synthesis(scene: Scene) -> None:
    """At the fan-in a dispatched run gets its synthesis requested once, and a second for it to start."""
    answered(scene, received=0)
    scene.due("fanin")
    scene.step(arms="fanin", after_ms=1_000)
    assert scene.publisher.syntheses == [RUN]


def test_a_body_that_has_not_started_a_second_after_the_last_source_is_not_waited_for(scene: Scene) -> None:
    """With every source in and no synthesis worker at work, the watcher finishes the run, and the answer says so."""
    answered(scene)
    scene.due("fanin")
    # The wake-up came half a second after the last source.
    scene.step(arms="fanin", after_ms=500)
    assert scene.publisher.syntheses == [RUN]
    scene.waiting(SYNTHESIS_QUEUE)
    scene.due("fanin")
    scene.watcher.step()
    report = scene.store.read(RUN).report
    assert report is not None
    assert (report.outcome, report.committed_by) == (RunOutcome.COMPLETE, "watcher:w")
    assert report.metadata["llm"] == {"skipped": "no_worker"}
    assert "no worker of the queue `synthesis` took the run on in time" in report.response
    assert scene.armed() == set()


@pytest.mark.parametrize(("left_ms", "waits"), [(5_000, True), (900, False)])
def test_a_run_behind_others_waits_while_a_model_has_time(scene: Scene, left_ms: int, waits: bool) -> None:
    """A synthesis worker that is at work on another run is not robbed, unless no time is left to ask its model."""
    answered(scene)
    scene.due("fanin")
    scene.watcher.step()
    other = "run-00000002"
    scene.store.open(other, TroubleshootRequest(message="x"), nonce=new_token())
    scene.client.hset(scene.store.keys.run(other), mapping={"plan": "{}", "state": "dispatched"})
    scene.store.lease(other, "t", by="synthesis:w", serves_queue=True)
    scene.client.hset(scene.store.keys.run(RUN), "deadline_ms", scene.now_ms() + left_ms)
    scene.waiting(SYNTHESIS_QUEUE)
    scene.due("fanin")
    scene.watcher.step()
    assert scene.publisher.syntheses == [RUN]
    assert scene.store.read(RUN).state is (RunState.DISPATCHED if waits else RunState.DONE)


def test_a_body_that_was_lost_is_called_again_while_other_runs_are_at_work(scene: Scene) -> None:
    """With an empty queue and a busy worker, the run's message is gone: it is published again."""
    answered(scene)
    scene.client.set(scene.store.keys.synthesis, 1, px=5_000)
    for _ in range(2):
        scene.due("fanin")
        scene.watcher.step()
    assert scene.publisher.syntheses == [RUN, RUN]


def test_a_run_that_was_never_dispatched_is_left_to_the_total_deadline(scene: Scene) -> None:
    """At the fan-in of a run that nobody took there is nothing to synthesize."""
    scene.due("fanin")
    scene.watcher.step()
    assert scene.publisher.syntheses == []


def test_an_expired_lease_asks_for_another_finisher(scene: Scene) -> None:
    """The wake-up of a lease that ran out requests the synthesis anew; a second later the watcher finishes the run."""
    answered(scene)
    scene.store.lease(RUN, "t", by="synthesis:w", serves_queue=True)
    scene.client.hset(scene.store.keys.run(RUN), "lease_until", scene.now_ms() - 1)
    scene.client.delete(scene.store.keys.synthesis)
    scene.due("lease")
    scene.step(arms="lease", after_ms=1_000)
    assert scene.publisher.syntheses == [RUN]
    scene.due("lease")
    scene.watcher.step()
    record = scene.store.read(RUN)
    assert (record.state, record.attempt, record.committed_by) == (RunState.DONE, 2, "watcher:w")


def test_the_total_deadline_commits(scene: Scene) -> None:
    """At the total deadline the watcher itself commits and the run has no wake-up left."""
    seconds, micros = scene.client.time()
    scene.client.hset(scene.store.keys.run(RUN), "deadline_ms", seconds * 1000 + micros // 1000 + 150)
    scene.due("total")
    scene.watcher.step()
    record = scene.store.read(RUN)
    assert (record.state, record.outcome) == (RunState.DONE, RunOutcome.TIMED_OUT)
    assert record.report is not None
    assert record.report.committed_by == "watcher:w"
    assert scene.armed() == set()


def crowd(scene: Scene, count: int, *, left_ms: int) -> None:
    """The run, answered by its source, and ``count - 1`` others that are in nobody's hands, with ``left_ms`` left."""
    answered(scene)
    deadline_ms = scene.now_ms() + left_ms
    scene.client.hset(scene.store.keys.run(RUN), mapping={"deadline_ms": deadline_ms, "fanin_ms": 1})
    scene.client.zadd(scene.store.keys.wakeups, {f"{RUN}|total": deadline_ms - COMMIT_MARGIN_MS})
    runs = [RUN, *(f"run-other{number}" for number in range(count - 1))]
    scene.client.zadd(scene.store.keys.open, dict.fromkeys(runs, deadline_ms))


@pytest.mark.parametrize(
    ("count", "mode", "reason"),
    [
        (1, AnswerMode.DETERMINISTIC, None),
        (10, AnswerMode.DETERMINISTIC, None),
        (60, AnswerMode.RAW, BUSY),
        (1_000, AnswerMode.ERROR, BUSY),
    ],
)
def test_a_deadline_that_many_runs_share_is_kept_with_less(
    scene: Scene, count: int, mode: AnswerMode, reason: str | None
) -> None:
    """Where the rules cannot answer all in time, the data of the sources is the answer; the results are complete."""
    crowd(scene, count, left_ms=0)
    scene.watcher.step()
    record = scene.store.read(RUN)
    assert record.report is not None
    assert (record.report.mode, record.report.reason) == (mode, reason)
    assert [envelope.finding for envelope in record.report.parallel_results] == ["CPU at 97 %"]
    assert record.report.committed_by == "watcher:w"
    assert scene.armed() == set()


@pytest.mark.parametrize(
    ("count", "fields", "early"),
    [
        (1, {}, False),
        (100, {}, True),
        (100, {"fanin_ms": 2**50}, False),
        (100, {"lease_token": "t", "lease_until": 2**50}, False),
    ],
    ids=["alone", "crowd", "sources_have_time", "held"],
)
def test_deadlines_of_a_crowd_are_acted_on_early(
    scene: Scene, count: int, fields: dict[str, str | int], early: bool
) -> None:
    """A second before them, but for runs that a finisher or a source is at work on; one alone has its time."""
    crowd(scene, count, left_ms=900)
    scene.client.hset(scene.store.keys.run(RUN), mapping={"expected": 2, **fields})
    scene.client.zrem(scene.store.keys.wakeups, f"{RUN}|fanin", f"{RUN}|dispatch")
    scene.watcher.step()
    scene.watcher.step()
    assert scene.store.read(RUN).state is (RunState.DONE if early else RunState.DISPATCHED)


def test_a_crowd_leaves_one_watcher_what_another_can_take(scene: Scene) -> None:
    """A step claims what is done in some tens of milliseconds, the soonest deadline first."""
    now_ms = scene.now_ms()
    for number in range(10):
        run_id = f"run-other{number}"
        scene.client.zadd(scene.store.keys.open, {run_id: now_ms - number})
        scene.client.zadd(scene.store.keys.wakeups, {f"{run_id}|total": now_ms - 200})
    scene.watcher.step()
    assert scene.client.zrange(scene.store.keys.wakeups, 0, 20, withscores=False)[:8] == [
        f"run-other{number}|total" for number in range(8)
    ]


def test_a_claim_runs_out_within_the_grace(scene: Scene) -> None:
    """What a watcher has claimed and not done, another one takes before the deadline."""
    scene.due("total")
    began_ms = scene.now_ms()
    assert len(scene.store.claim_wakeups().wakeups) == 1
    assert began_ms < scene.due_ms("total") <= scene.now_ms() + COMMIT_MARGIN_MS


def test_hooks_of_brief_answers_are_called_when_nothing_is_due(scene: Scene) -> None:
    """There was no time for them before."""
    reports: list[Report] = []
    watcher = Watcher(scene.store, scene.publisher, name="w", after_commit=[reports.append])  # type: ignore[arg-type]
    crowd(scene, 1_000, left_ms=0)
    assert watcher.step() == 0.0
    assert reports == []
    scene.client.delete(scene.store.keys.open)  # of the crowd
    watcher.step()
    assert [(report.run_id, len(report.parallel_results)) for report in reports] == [(RUN, 1)]


def test_a_wakeup_of_an_expired_run_is_dropped(scene: Scene) -> None:
    """A run that is no longer stored leaves no work behind."""
    scene.client.delete(scene.store.keys.run(RUN))
    for kind in ("dispatch", "fanin", "total"):
        scene.due(kind)
    scene.watcher.step()
    assert scene.armed() == set()


def test_one_bad_run_does_not_stop_the_watcher(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    """An unforeseen error with one run is logged; the next run is served in the same step."""

    def broken(*_: object, **__: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(scene.store, "read", broken)
    monkeypatch.setattr(scene.store, "commit", broken)
    seconds, micros = scene.client.time()
    scene.client.hset(scene.store.keys.run(RUN), "deadline_ms", seconds * 1000 + micros // 1000)
    scene.due("total")
    scene.client.zadd(scene.store.keys.wakeups, {"run-gone|total": 1})
    scene.watcher.step()
    assert scene.client.zscore(scene.store.keys.wakeups, "run-gone|total") is None
    assert "total" in scene.armed()


def test_a_busy_watcher_still_gives_signs_of_life(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    """The heartbeat follows the clock, not the pauses: a watcher that never sleeps is not taken for dead."""
    now, beats, stop = 0.0, [], threading.Event()

    def busy_step() -> float:
        nonlocal now
        now += 1.0
        if now >= 10:
            stop.set()
        return 0.0

    presence = SimpleNamespace(announce=lambda watcher: beats.append((watcher, now)))
    watcher = Watcher(scene.store, scene.publisher, name="w", presence=presence)  # type: ignore[arg-type]
    monkeypatch.setattr(watcher, "step", busy_step)
    monkeypatch.setattr("orchestrator.deadline.time.monotonic", lambda: now)
    watcher.run(stop)
    assert beats == [("w", 0.0), ("w", 3.0), ("w", 6.0), ("w", 9.0)]


@pytest.mark.parametrize(("argument", "status", "stream"), [("--help", 0, "stdout"), ("--port=1", 2, "stderr")])
def test_a_watcher_takes_no_arguments(argument: str, status: int, stream: str) -> None:
    """``--help`` prints a page, and any other argument is refused: neither starts a watcher."""
    command = [sys.executable, "-m", "orchestrator.watcher", argument]
    result = subprocess.run(command, capture_output=True, text=True, timeout=100, check=False)
    assert result.returncode == status
    assert "usage: python -m orchestrator.watcher" in getattr(result, stream)
