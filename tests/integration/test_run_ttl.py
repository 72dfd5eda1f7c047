"""How long a run is kept by its outcome, with all that belongs to it."""

from __future__ import annotations

import pytest
import redis

from orchestrator.config import Settings
from orchestrator.errors import ConfigurationError
from orchestrator.models import AnswerMode, Report, RunOutcome, SourceEnvelope, SourceOutcome, TroubleshootRequest
from orchestrator.store.run_list import RunList
from orchestrator.store.runs import RunStore

RUN, KEY = "run-00000001", "key-1"
TTLS = {"COMPLETE": 1_000, "PARTIAL": 2_000, "FAILED": 3_000, "TIMED_OUT": 4_000, "CANCELLED": 500}
VARIABLES = {"RESYNC_RUN_TTL_SECONDS": "1500", "RESYNC_PACK_AFTER_SECONDS": "0.001"} | {
    f"RESYNC_RUN_TTL_{name}_SECONDS": str(seconds) for name, seconds in TTLS.items()
}


@pytest.fixture
def store(either_redis: tuple[redis.Redis, Settings]) -> RunStore:
    client, settings = either_redis
    return RunStore(client, Settings.from_env(VARIABLES | {"REDIS_URL": settings.redis_url}))


def opened(store: RunStore, run_id: str = RUN, **fields: object) -> str:
    request = TroubleshootRequest.model_validate({"message": "x", **fields})
    return store.open(run_id, request, nonce="1", idempotency_key=KEY if run_id == RUN else None).run_id


def committed(store: RunStore, outcome: RunOutcome, run_id: str = RUN, token: str = "t") -> str:
    if outcome is RunOutcome.CANCELLED:
        return "ok" if store.cancel(run_id, by="test") else "closed"
    report = Report(run_id=run_id, outcome=outcome, mode=AnswerMode.DETERMINISTIC, response="r", committed_by="test")
    return store.commit(report, token=token, seen_received=None, is_over=True)


@pytest.mark.parametrize("outcome", RunOutcome)
def test_all_of_a_run_is_kept_by_its_outcome(store: RunStore, outcome: RunOutcome) -> None:
    """Hash, events, end and idempotency key; packed as well. Repetitions, late answers and readers change nothing."""
    client, keys, seconds = store._client, store.keys, TTLS[outcome.name]
    opened(store, session_id="s")
    assert 1_400 < client.ttl(keys.run(RUN)) <= 1_500
    assert committed(store, outcome) == "ok"
    names = [keys.run(RUN), keys.events(RUN), keys.ending(RUN), keys.idempotency(KEY)]
    assert all(seconds - 60 < client.ttl(name) <= seconds for name in names)
    for name in names:
        client.expire(name, 100)
    committed(store, outcome)
    late = SourceEnvelope(source="metrics", outcome=SourceOutcome.OK, success=True)
    store.put_envelope(RUN, "c", late, unclaimed=True)
    store.read(RUN), store.report(RUN), store.count(RUN, "republished")
    opened(store)
    assert all(0 < client.ttl(name) <= 100 for name in names)
    assert store.pack(RUN)
    assert all(0 < client.ttl(name) <= 100 for name in (keys.run(RUN), keys.packed(RUN), keys.idempotency(KEY)))
    shared = (keys.index, keys.leaving, keys.session(None, "s"))
    assert all(client.ttl(name) >= seconds - 60 for name in shared)


def test_a_run_leaves_the_list_when_it_expires(store: RunStore) -> None:
    """With its entry of the index, at the next submit; what lives longer stays, whatever comes after it."""
    client, keys = store._client, store.keys
    for run_id, outcome in ((RUN, RunOutcome.COMPLETE), ("run-00000002", RunOutcome.FAILED)):
        opened(store, run_id)
        committed(store, outcome, run_id)
    now_ms = client.zscore(keys.index, RUN)
    assert client.zscore(keys.leaving, RUN) == pytest.approx(now_ms + 1_000_000, abs=60_000)
    assert client.zscore(keys.leaving, "run-00000002") == pytest.approx(now_ms + 3_000_000, abs=60_000)
    client.zadd(keys.leaving, {RUN: 1})
    client.zadd(keys.index, {"run-00000002": now_ms - 3_500_000, "run-old": now_ms - 4_100_000})
    opened(store, "run-00000003")
    assert client.zrange(keys.index, 0, -1) == ["run-00000002", "run-00000003"]
    assert client.zrange(keys.leaving, 0, -1) == ["run-00000002"]
    assert [item.run_id for item in RunList(client, keys).page(limit=5).runs] == ["run-00000003", "run-00000002"]


def test_a_run_whose_id_is_used_again_stays_in_the_list(store: RunStore) -> None:
    """What an expired run of that id has left behind does not take the new one out of it."""
    client, keys = store._client, store.keys
    opened(store)
    committed(store, RunOutcome.CANCELLED)
    client.delete(keys.run(RUN), keys.events(RUN), keys.ending(RUN))
    client.zadd(keys.leaving, {RUN: 1})
    opened(store)
    opened(store, "run-00000002")
    assert [item.run_id for item in RunList(client, keys).page(limit=5).runs] == ["run-00000002", RUN]


def test_a_key_of_another_run_is_left_alone(store: RunStore) -> None:
    """An idempotency key that stands for another run by now, or holds damage, keeps its time to live."""
    client, keys = store._client, store.keys
    opened(store)
    client.set(keys.idempotency(KEY), "run-of-another", ex=100)
    committed(store, RunOutcome.FAILED)
    assert 0 < client.ttl(keys.idempotency(KEY)) <= 100


@pytest.mark.parametrize("ttls", ["", "complete=", "complete=x", "complete=99999999999", "incomplete=5", "complete=-5"])
def test_a_run_of_another_version_is_kept_as_it_was_opened(store: RunStore, ttls: str) -> None:
    """One that says nothing of outcomes, or what cannot be."""
    opened(store)
    store._client.hset(store.keys.run(RUN), "ttls", ttls)
    assert committed(store, RunOutcome.COMPLETE) == "ok"
    assert 1_400 < store._client.ttl(store.keys.run(RUN)) <= 1_500


def test_times_to_live_follow_the_one_that_is_set() -> None:
    """What ended badly is kept longer, what was cancelled not for long; what is out of bounds is one error."""
    day, minute = Settings.from_env({}).ttl_by_outcome, Settings.from_env({"RESYNC_RUN_TTL_SECONDS": "60"})
    assert set(day) == set(RunOutcome)
    assert (day["complete"], day["failed"], day["partial"], day["cancelled"]) == (86_400, 259_200, 259_200, 3_600)
    assert minute.ttl_by_outcome == dict.fromkeys(RunOutcome, 180) | {"complete": 60, "cancelled": 60}
    for value in ("59", "31536001", "x"):
        with pytest.raises(ConfigurationError, match="RESYNC_RUN_TTL_FAILED_SECONDS"):
            Settings.from_env({"RESYNC_RUN_TTL_FAILED_SECONDS": value})
