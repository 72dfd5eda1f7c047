"""The dispatch lease of a run, which its holder keeps while it publishes."""

from __future__ import annotations

from collections.abc import Iterator

import fakeredis
import pytest

from orchestrator.config import Settings
from orchestrator.deadline import Deadline
from orchestrator.errors import RunRefused
from orchestrator.models import TroubleshootRequest
from orchestrator.run.dispatch import DispatchLease
from orchestrator.store.runs import DISPATCH_LEASE_MS, RunStore

RUN = "run-00000001"


@pytest.fixture
def store() -> Iterator[RunStore]:
    with fakeredis.FakeRedis(decode_responses=True) as client:
        store = RunStore(client, Settings.from_env({}))
        store.open(RUN, TroubleshootRequest(message="Job BATCH001 falhou"), nonce="n")
        yield store


def held_until(store: RunStore) -> int:
    return int(store._client.hget(store.keys.run(RUN), "dispatch_until"))


def spend(store: RunStore, milliseconds: int) -> None:
    """Let that much of the lease pass."""
    store._client.hset(store.keys.run(RUN), "dispatch_until", held_until(store) - milliseconds)


def test_a_slow_dispatcher_is_not_taken_for_a_dead_one(store: RunStore) -> None:
    """While it keeps its lease no other one takes the run, and its wake-up is later."""
    store.claim_dispatch(RUN, "slow")
    lease = DispatchLease(store, RUN, "slow")
    spend(store, DISPATCH_LEASE_MS - 100)
    before = held_until(store)
    lease.keep()
    assert held_until(store) == before  # it has just been taken, by this process's clock
    lease._renewal = Deadline.after(0)
    lease.keep()
    assert held_until(store) - before >= DISPATCH_LEASE_MS - 150
    assert store._client.zscore(store.keys.wakeups, f"{RUN}|dispatch") == held_until(store)
    assert store.claim_dispatch(RUN, "other") is None


def test_a_dispatcher_that_was_overtaken_is_told(store: RunStore) -> None:
    """One that was frozen longer than its lease, and whose run another one has, is refused."""
    store.claim_dispatch(RUN, "frozen")
    lease = DispatchLease(store, RUN, "frozen")
    lease._renewal = Deadline.after(0)
    spend(store, DISPATCH_LEASE_MS)
    assert store.claim_dispatch(RUN, "other") is not None
    with pytest.raises(RunRefused):
        lease.keep()
