"""The clients against a real Redis, and against one that is away."""

from __future__ import annotations

import asyncio
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
import redis
from kombu import pools
from tests_support import RedisServer, stretched

from orchestrator.client.aio import AsyncTroubleshootClient
from orchestrator.client.sync import TroubleshootClient
from orchestrator.client.waiting import GRACE_SECONDS
from orchestrator.config import ParallelConfig, Settings
from orchestrator.errors import ConfigurationError, Conflict, InvalidRequest, RunNotFound, StoreUnreachable
from orchestrator.models import Event, EventType, Report, RunOutcome, RunState, SourceEnvelope, TroubleshootRequest
from orchestrator.run import finisher
from orchestrator.run.conclusion import Conclusion, warm_up_aside
from orchestrator.run.dispatch import plan_dispatch
from orchestrator.run.finisher import Finisher
from orchestrator.sources import source_names
from orchestrator.store.keys import ORCHESTRATOR_QUEUE
from orchestrator.store.presence import Presence
from orchestrator.store.records import RunRecord
from orchestrator.store.runs import RunStore

APP_READS = {
    *("parallel_execution", "sources_queried", "sources_successful"),
    *("speedup_factor", "parallel_latency_ms", "sequential_equivalent_ms"),
}
"""Figures that the Resync app reads in the metadata of every answer."""
ENDS = (EventType.FINAL, EventType.CANCELLED)
SHORT = ParallelConfig(node_timeout_seconds=0.3, total_timeout_seconds=0.6)


@pytest.fixture(autouse=True, scope="module")
def warm() -> None:
    """What a first answer needs is loaded: the first of these tests must not have less time than the others."""
    warm_up_aside().join()


@pytest.fixture
def client(settings: Settings) -> Iterator[TroubleshootClient]:
    with TroubleshootClient(settings) as client:
        yield client


@pytest.mark.usefixtures("patient_readers")
def test_a_submit_publishes_one_message(client: TroubleshootClient, redis_url: str) -> None:
    """A submit puts one message on the orchestrator's queue, with the run's id as task id, root id and argument."""
    run_id = client.submit(TroubleshootRequest(message="Job BATCH001 falhou"))
    with redis.Redis.from_url(redis_url, decode_responses=True) as raw:
        messages = raw.lrange("resync:troubleshoot:mq:orchestrator", 0, -1)
    assert len(messages) == 1
    assert f'"id": "{run_id}"' in messages[0]
    assert f'"root_id": "{run_id}"' in messages[0]
    assert "BATCH001" not in messages[0]


@pytest.mark.usefixtures("patient_readers")
def test_an_idempotent_submit_publishes_once(client: TroubleshootClient) -> None:
    """The same idempotency key gives the same run and no second message."""
    request = TroubleshootRequest(message="x")
    assert client.submit(request, idempotency_key="k") == client.submit(request, idempotency_key="k")
    assert client.store.queue_length(ORCHESTRATOR_QUEUE) == 1


def test_a_client_for_each_question_leaves_nothing_behind(settings: Settings) -> None:
    """An app that opens and closes a client each time holds no more of the broker's pools after the tenth."""

    def places() -> int:
        with TroubleshootClient(settings) as client:
            client.submit(TroubleshootRequest(message="x"))
        return sum(pool._resource.qsize() for pool in pools.producers.values())

    first = places()
    assert [places() for _ in range(9)] == [first] * 9


@pytest.mark.parametrize("is_forgotten", [True, False])
def test_pools_that_were_closed_by_others_are_opened_again(client: TroubleshootClient, *, is_forgotten: bool) -> None:
    """An app with a Celery of its own may reset kombu's pools, which are those of the whole process."""
    client.submit(TroubleshootRequest(message="x"))
    if is_forgotten:
        pools.reset()
    else:
        for pool in (*pools.producers.values(), *pools.connections.values()):
            pool.force_close_all()
    client.submit(TroubleshootRequest(message="y"))
    assert client.store.queue_length(ORCHESTRATOR_QUEUE) == 2


def dispatch_and_answer(store: RunStore, run_id: str, *, but: str = "") -> set[str]:
    """Dispatch a run as a worker would, and answer each source that is to be asked; returns their names."""
    dispatch = store.claim_dispatch(run_id, "d", by_worker=False)
    assert dispatch is not None
    plan = plan_dispatch(store, run_id, dispatch)
    store.mark_dispatched(run_id, "d")
    asked = [planned for planned in plan.sources if planned.source != but]
    for planned in asked:
        source, job = planned.source, planned.job
        evidence = {"id": f"{source}:1", "source": source, "kind": "line", "title": "t", "text": "S0C7"}
        store.begin_source(run_id, planned.key, "c", source=source, job=job, worker="w")
        answer = {"source": source, "job": job, "outcome": "ok", "success": True, "data": {"a": 1}}
        store.put_envelope(run_id, "c", SourceEnvelope.model_validate({**answer, "evidence": [evidence]}))
    return {planned.source for planned in asked}


def test_what_a_source_has_answered_can_be_read_while_others_are_asked(client: TroubleshootClient) -> None:
    """An open run gives the data and evidence of its sources as they are in; a report has them itself."""
    run_id = client.submit(TroubleshootRequest(message="Job BATCH001 falhou", job_name="BATCH001"))
    dispatch_and_answer(client.store, run_id, but="metrics")
    snapshot = client.get(run_id)
    assert snapshot.report is None
    assert {envelope.source for envelope in snapshot.results} == {"tws_status", "rag_search", "log_cache"}
    assert all(envelope.data == {"a": 1} and envelope.evidence[0].text == "S0C7" for envelope in snapshot.results)
    client.cancel(run_id)
    assert len(client.get(run_id).results) == 3


@pytest.mark.parametrize("api", ["sync", "aio"])
def test_a_stream_gives_data_and_evidence_where_they_are_asked_for(settings: Settings, api: str) -> None:
    """The events of a run's sources have what the sources answered, with the switch only."""
    request = TroubleshootRequest(message="Job BATCH001 falhou", job_name="BATCH001")

    async def ask(*, with_results: bool) -> list[Event]:
        async with AsyncTroubleshootClient(settings) as client:
            run_id = await client.submit(request)
            dispatch_and_answer(client.sync.store, run_id, but="metrics")
            await client.cancel(run_id)
            if api == "sync":
                return await asyncio.to_thread(lambda: list(client.sync.stream(run_id, with_results=with_results)))
            return [event async for event in client.stream(run_id, with_results=with_results)]

    ends = [event for event in asyncio.run(ask(with_results=True)) if event.type is EventType.SOURCE_FINISHED]
    assert [event.data["results"][0]["data"] for event in ends] == [{"a": 1}] * 3
    assert ends[0].data["results"][0]["evidence"][0]["text"] == "S0C7"
    assert not any("results" in event.data for event in asyncio.run(ask(with_results=False)))


@pytest.mark.parametrize("everything", [False, True])
def test_a_rerun_asks_what_failed_and_keeps_the_rest(client: TroubleshootClient, everything: bool) -> None:
    """The new run names the old one, has its good answers, and is whole when the rest answers; or asks everything."""
    finisher = Finisher(client.store, by="w")
    asked = TroubleshootRequest(message="Job BATCH001 falhou", job_name="BATCH001", user_id="ana")
    old = client.submit(asked)
    dispatch_and_answer(client.store, old, but="metrics")
    client.cancel(old)
    new = client.rerun(old, everything=everything)
    assert dispatch_and_answer(client.store, new) == ({*source_names()} if everything else {"metrics"})
    report = finisher.finish(new)
    assert report is not None
    assert (report.outcome, report.metadata["rerun_of"]) == (RunOutcome.COMPLETE, old)
    kept = {envelope.source for envelope in report.parallel_results if envelope.kept_from == old}
    assert kept == (set() if everything else {"tws_status", "rag_search", "log_cache"})
    assert any(old in note for note in report.metadata["notes"])
    assert client.get(new).request.user_id == "ana"
    # Of a run in which nothing failed, only the answer is written again.
    third = client.rerun(new, user_id=None)
    assert dispatch_and_answer(client.store, third) == set()
    finisher.finish(third)
    assert client.result(third).outcome is RunOutcome.COMPLETE
    assert client.get(third).request.user_id is None


def test_a_key_gives_its_run_again_and_never_the_answer_to_another_question(client: TroubleshootClient) -> None:
    """A question is the same with the same secrets masked, and another one as another rerun; a user's keys are own."""
    asked = TroubleshootRequest(message="Job BATCH001 falhou, senha=Segredo-2026-x", jobs=("J1..J3",), user_id="ana")
    run_id = client.submit(asked, idempotency_key="k")
    assert client.submit(asked, idempotency_key="k") == run_id
    for other in ({"message": "Job BATCH002 falhou"}, {"rerun_of": "a" * 32}):
        with pytest.raises(Conflict, match="idempotency_key: the key stands for another question"):
            client.submit(asked.model_copy(update=other), idempotency_key="k")
    for user_id in ("bia", None):
        of_another = client.submit(asked.model_copy(update={"user_id": user_id}), idempotency_key="k")
        assert of_another != run_id
        assert client.submit(asked, idempotency_key="k") == run_id
    client.cancel(run_id)
    again = client.rerun(run_id, idempotency_key="r")
    assert client.rerun(run_id, idempotency_key="r") == again
    assert client.rerun(run_id, user_id="bia", idempotency_key="r") != again
    with pytest.raises(Conflict, match="idempotency_key"):
        client.rerun(run_id, everything=True, idempotency_key="r")
    with pytest.raises(Conflict, match="idempotency_key"):
        client.rerun(run_id, idempotency_key="k")


def test_only_what_is_stored_and_has_ended_is_repeated(client: TroubleshootClient) -> None:
    """An open run is refused, as is one that is gone; one that expires after the submit is asked anew."""
    with pytest.raises(RunNotFound):
        client.rerun("a" * 32)
    old = client.submit(TroubleshootRequest(message="Job BATCH001 falhou", job_name="BATCH001"))
    with pytest.raises(Conflict, match="has not ended"):
        client.rerun(old)
    dispatch_and_answer(client.store, old, but="metrics")
    client.cancel(old)
    new, unread = client.rerun(old), client.rerun(old)
    assert dispatch_and_answer(client.store, new) == {"metrics"}
    client.store._client.delete(client.store.keys.run(old))
    assert dispatch_and_answer(client.store, unread) == {*source_names()}


def test_a_rerun_of_a_question_that_was_not_clear_is_planned_anew(client: TroubleshootClient) -> None:
    """A run that asked which job was meant had asked no source: nor does its repetition ask all of them."""
    question = TroubleshootRequest(message="por que falhou?", session_id="s1")
    old = client.submit(question)
    assert dispatch_and_answer(client.store, old) == set()
    client.cancel(old)
    assert dispatch_and_answer(client.store, client.rerun(old)) == set()
    # What the session has been about by then is taken up.
    client.submit(TroubleshootRequest(message="Job BATCH001 falhou", session_id="s1"))
    assert dispatch_and_answer(client.store, client.rerun(old)) == {*source_names()}


def test_another_question_does_not_get_the_answers_of_a_run(client: TroubleshootClient) -> None:
    """A request that names a run of another question is asked as any other."""
    old = client.submit(TroubleshootRequest(message="Job BATCH001 falhou", job_name="BATCH001"))
    dispatch_and_answer(client.store, old, but="metrics")
    other = TroubleshootRequest(message="Job BATCH002 falhou", job_name="BATCH002", rerun_of=old)
    assert dispatch_and_answer(client.store, client.submit(other)) == {*source_names()}


def test_a_secret_in_the_question_is_stored_nowhere(client: TroubleshootClient, redis_url: str) -> None:
    """A password in the message is masked before anything reaches Redis."""
    client.submit(TroubleshootRequest(message="Job BATCH001 falhou, senha: Segredo!2026x"))
    with redis.Redis.from_url(redis_url) as raw:
        for key in raw.keys("*"):
            assert b"Segredo" not in raw.dump(key), key
            if raw.type(key) == b"hash":
                assert b"Segredo" not in b"".join(raw.hgetall(key).values())
            if raw.type(key) == b"stream":
                assert b"Segredo" not in repr(raw.xrange(key)).encode()


def test_a_question_that_its_masks_make_longer_can_be_read_again(client: TroubleshootClient) -> None:
    """Masks may outgrow their secrets: the question is cut then, and its run ends like any other."""
    message = ("senha=Ab12 " * 1_000)[:8_000]
    report = client.result(client.submit(TroubleshootRequest(message=message, config=SHORT)))
    assert report.outcome is RunOutcome.TIMED_OUT
    stored = client.get(report.run_id).request.message
    assert len(stored) == 8_000
    assert "Ab12" not in stored


@pytest.mark.parametrize(
    "run_id", ["short", "x" * 65, "with space 1", "../../etc", "çççççççç", "-abcdefgh", "x" * 500_000]
)
def test_a_run_id_that_is_none_is_refused(client: TroubleshootClient, run_id: str) -> None:
    """A client's own run id must be a plain word, by which a worker takes it; the error names the field, briefly."""
    with pytest.raises(InvalidRequest, match="run_id") as caught:
        client.submit(TroubleshootRequest(message="x"), run_id=run_id)
    with pytest.raises(RunNotFound) as missing:
        client.get(run_id)
    assert len(str(caught.value)) + len(str(missing.value)) < 500


@pytest.mark.parametrize("key", ["", "x" * 201, "\udcff", "two\nlines"])
def test_an_idempotency_key_that_is_none_is_refused(client: TroubleshootClient, key: str) -> None:
    """A key is short and printable; anything else is refused before it reaches Redis."""
    with pytest.raises(InvalidRequest, match="idempotency_key"):
        client.submit(TroubleshootRequest(message="x"), idempotency_key=key)


@pytest.mark.parametrize("after", ["", "zzz", "1-", "-1", "9" * 30, f"1-{2**64}", "\u0661"])
def test_an_event_id_that_is_none_is_refused(client: TroubleshootClient, after: str) -> None:
    """A reader that resumes after something that is no event id gets that error, whatever Redis would say."""
    run_id = client.submit(TroubleshootRequest(message="x"))
    with pytest.raises(InvalidRequest, match="after"):
        client.stream(run_id, after=after)


def test_a_full_redis_refuses_a_submit_in_words(client: TroubleshootClient, redis_url: str) -> None:
    """A Redis that is out of memory is an unreachable store, and nothing of the run is left in it."""
    with redis.Redis.from_url(redis_url) as raw:
        maxmemory = raw.config_get("maxmemory")["maxmemory"]
        raw.config_set("maxmemory", "1")
        try:
            with pytest.raises(StoreUnreachable, match="OOM"):
                client.submit(TroubleshootRequest(message="x"), run_id="run-00000001")
            # Not a script: a watcher's sign of life must not end the watcher.
            with pytest.raises(StoreUnreachable, match="OOM"):
                Presence(raw, client.store.keys).announce(watcher="w")
        finally:
            raw.config_set("maxmemory", maxmemory)
    with pytest.raises(RunNotFound):
        client.get("run-00000001")


def test_a_run_is_accepted_although_the_broker_refuses_its_message(
    client: TroubleshootClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Once its script has committed a run is accepted: a broker that is full then leaves it to the watcher."""

    def full(*_: object, **__: object) -> None:
        raise redis.exceptions.OutOfMemoryError("command not allowed when used memory > 'maxmemory'.")

    monkeypatch.setattr("celery.Celery.send_task", full)
    run_id = client.submit(TroubleshootRequest(message="x"))
    assert client.get(run_id).state is RunState.ACCEPTED


def test_threads_that_share_a_client_may_submit_more_than_it_remembers(
    client: TroubleshootClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Forgetting old deadlines does not disturb other threads' submits."""
    monkeypatch.setattr("orchestrator.client.sync.MAX_KNOWN_RUNS", 2)
    with ThreadPoolExecutor(8) as threads:
        run_ids = list(threads.map(lambda _: client.submit(TroubleshootRequest(message="x")), range(40)))
    assert len(set(run_ids)) == 40
    assert len(client._submitted) == 2


@pytest.mark.usefixtures("patient_readers")
def test_a_waiting_client_ends_the_run_at_its_deadline(client: TroubleshootClient) -> None:
    """Without workers and watchers the client returns at the deadline, not before, with a committed answer."""
    began = time.monotonic()
    report = client.result(client.submit(TroubleshootRequest(message="x", config=SHORT)))
    assert 0.35 <= time.monotonic() - began <= 0.6 + stretched(0.25)
    assert (report.outcome, report.committed, report.committed_by) == (RunOutcome.TIMED_OUT, True, "client")
    assert {failure.reason for failure in report.errors} == {"not_started"}


def test_a_result_can_be_waited_for_in_steps(client: TroubleshootClient) -> None:
    """A caller's own timeout ends its wait and leaves the run alone."""
    run_id = client.submit(TroubleshootRequest(message="x"))
    with pytest.raises(TimeoutError, match="goes on"):
        client.result(run_id, timeout_seconds=0.1)
    assert client.get(run_id).state is RunState.ACCEPTED


@pytest.mark.usefixtures("patient_readers")
def test_a_stream_resumes_after_an_event(client: TroubleshootClient) -> None:
    """Resuming after the first event gives the rest; resuming after the last gives nothing, at once."""
    run_id = client.submit(TroubleshootRequest(message="x", config=SHORT))
    events = list(client.stream(run_id))
    assert [event.type for event in events] == [EventType.ACCEPTED, EventType.FINAL]
    assert list(client.stream(run_id, after=events[0].id)) == events[1:]
    assert list(client.stream(run_id, after=events[-1].id)) == []
    with pytest.raises(InvalidRequest):
        client.stream(run_id, after="nonsense")


def test_a_stream_resumed_after_the_end_of_a_run_ends_at_once(client: TroubleshootClient) -> None:
    """Long before its deadline, a closed run has nothing more to wait for, on either client."""
    run_id = client.submit(TroubleshootRequest(message="x", config=ParallelConfig(total_timeout_seconds=60)))
    client.cancel(run_id)
    last = list(client.stream(run_id))[-1]
    began = time.monotonic()
    assert list(client.stream(run_id, after=last.id)) == []

    async def resume() -> list[object]:
        async with AsyncTroubleshootClient(client.settings) as other:
            return [event async for event in other.stream(run_id, after=last.id)]

    assert asyncio.run(resume()) == []
    assert time.monotonic() - began < stretched(5)


def test_unknown_runs_are_not_found(client: TroubleshootClient) -> None:
    """Every call on a run that is not stored says RunNotFound, and none hangs."""
    for call in (client.get, client.result, client.cancel, lambda run_id: list(client.stream(run_id))):
        with pytest.raises(RunNotFound, match="nope-nope"):
            call("nope-nope")


def test_a_run_that_the_store_lost_is_told_as_lost(client: TroubleshootClient, redis_url: str) -> None:
    """After a loss of data, every call on a run that was submitted here says so; a run of others is unknown."""
    run_id = client.submit(TroubleshootRequest(message="x"))
    with redis.Redis.from_url(redis_url) as raw:
        raw.flushall()
    for call in (client.get, client.result, client.cancel, lambda run_id: list(client.stream(run_id))):
        with pytest.raises(RunNotFound, match="was accepted and is no longer stored"):
            call(run_id)
        with pytest.raises(RunNotFound, match="never existed, has expired, or Redis lost it"):
            call("nope-nope")


def test_a_run_that_is_lost_while_it_is_waited_for_is_told_at_once(settings: Settings) -> None:
    """The wait, on a thread or on a loop, ends when the store has lost the run and not at its deadline."""

    async def lose(only_the_end: bool) -> None:
        async with AsyncTroubleshootClient(settings) as client:
            run_id = await client.submit(TroubleshootRequest(message="x"))
            asyncio.get_running_loop().call_later(0.3, lambda: redis.Redis.from_url(settings.redis_url).flushall())
            began = time.monotonic()
            with pytest.raises(RunNotFound, match="Redis lost its data"):
                _ = await client.result(run_id) if only_the_end else [event async for event in client.stream(run_id)]
            assert time.monotonic() - began < stretched(3)

    for only_the_end in (True, False):
        asyncio.run(lose(only_the_end))


@pytest.mark.parametrize("api", ["sync", "aio"])
def test_a_run_whose_end_is_late_is_answered_all_the_same(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, api: str
) -> None:
    """A process that takes longer for the answer than the grace does not take its own time for a silent store."""
    plain = finisher.conclude

    def slow(record: RunRecord, *, briefly: bool = False) -> Conclusion:
        time.sleep(2 * GRACE_SECONDS)
        return plain(record, briefly=briefly)

    monkeypatch.setattr(finisher, "conclude", slow)
    config = ParallelConfig(node_timeout_seconds=0.2, total_timeout_seconds=0.5)

    async def ask() -> tuple[list[Event], Report]:
        async with AsyncTroubleshootClient(settings) as client:
            run_id = await client.submit(TroubleshootRequest(message="Job BATCH001 falhou", config=config))
            if api == "sync":
                events = await asyncio.to_thread(lambda: list(client.sync.stream(run_id, keeps_answers=True)))
            else:
                events = [event async for event in client.stream(run_id, keeps_answers=True)]
            return events, await client.result(run_id)

    events, report = asyncio.run(ask())
    assert events[-1].type is EventType.FINAL
    assert (report.committed, report.outcome, report.reason) == (True, RunOutcome.TIMED_OUT, None)


def test_cancel_says_how_the_run_stands(client: TroubleshootClient) -> None:
    """Cancelling twice leaves the run cancelled; its result is a report of a cancelled run."""
    run_id = client.submit(TroubleshootRequest(message="x"))
    assert client.cancel(run_id).state is RunState.CANCELLED
    assert client.cancel(run_id).state is RunState.CANCELLED
    report = client.result(run_id)
    assert report.outcome is RunOutcome.CANCELLED
    assert set(report.metadata) >= APP_READS
    assert [row.run_id for row in client.list()] == [run_id]


def test_a_wrong_password_is_a_configuration_error(redis_url: str) -> None:
    """A password that Redis refuses is named as such, and the message does not contain it."""
    wrong = redis_url.replace("redis://:", "redis://:wrong-")
    with TroubleshootClient(Settings.from_env({"REDIS_URL": wrong})) as client:
        with pytest.raises(ConfigurationError, match="REDIS_URL") as raised:
            client.submit(TroubleshootRequest(message="x"))
        assert "wrong-" not in str(raised.value)


def test_a_refused_connection_fails_within_a_second() -> None:
    """With nothing listening, a submit fails as store_unreachable in under one second."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        url = f"redis://127.0.0.1:{probe.getsockname()[1]}/0"
        with TroubleshootClient(Settings.from_env({"REDIS_URL": url})) as client:
            began = time.monotonic()
            with pytest.raises(StoreUnreachable):
                client.submit(TroubleshootRequest(message="x"))
            assert time.monotonic() - began < stretched(1.0)


def test_a_server_that_never_answers_fails_within_a_second() -> None:
    """With a server that accepts and says nothing, a submit fails in under one second."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        url = f"redis://127.0.0.1:{server.getsockname()[1]}/0"
        with TroubleshootClient(Settings.from_env({"REDIS_URL": url})) as client:
            began = time.monotonic()
            with pytest.raises(StoreUnreachable):
                client.submit(TroubleshootRequest(message="x"))
            assert time.monotonic() - began < stretched(1.0)


@pytest.mark.parametrize("how", ["killed", "stopped"])
def test_redis_gone_in_mid_run_never_hangs_the_client(own_redis: RedisServer, how: str) -> None:
    """When Redis dies or freezes under a waiting client, it returns by the deadline plus 250 ms, uncommitted."""
    config = ParallelConfig(node_timeout_seconds=0.5, total_timeout_seconds=1.5)
    with TroubleshootClient(Settings.from_env({"REDIS_URL": own_redis.url})) as client:
        began = time.monotonic()
        run_id = client.submit(TroubleshootRequest(message="x", config=config))
        threading.Timer(0.4, own_redis.kill if how == "killed" else own_redis.freeze).start()
        report = client.result(run_id)
        took = time.monotonic() - began
    assert took <= 1.5 + stretched(0.25), took
    assert (report.committed, report.reason, report.outcome) == (False, "store_unreachable", RunOutcome.TIMED_OUT)
    assert "Redis" in report.response
    assert set(report.metadata) >= APP_READS
    assert 1_500 <= report.total_latency_ms <= 1_500 + stretched(250)


@pytest.mark.parametrize("streams", [False, True])
@pytest.mark.parametrize("api", ["sync", "aio"])
@pytest.mark.parametrize("how", ["killed", "stopped"])
def test_what_was_read_is_answered_when_redis_goes(own_redis: RedisServer, how: str, api: str, streams: bool) -> None:
    """The sources that had answered before Redis died are in the answer with their data, and the others are named."""
    until_read = 0.6 * min(stretched(1), 3)
    total = 1.9 + until_read
    config = ParallelConfig(node_timeout_seconds=1.5, total_timeout_seconds=total)
    settings = Settings.from_env({"REDIS_URL": own_redis.url})
    request = TroubleshootRequest(message="Job BATCH001 falhou", job_name="BATCH001", config=config)

    def work(store: RunStore, run_id: str) -> None:
        dispatch_and_answer(store, run_id, but="metrics")
        threading.Timer(until_read, own_redis.kill if how == "killed" else own_redis.freeze).start()

    async def ask() -> Report:
        client = AsyncTroubleshootClient(settings)
        run_id = await client.submit(request)
        work(client.sync.store, run_id)
        if streams:
            assert [event.type async for event in client.stream(run_id, keeps_answers=True)][-1] not in ENDS
        report = await client.result(run_id)
        own_redis.thaw()
        await client.close()
        return report

    began = time.monotonic()
    if api == "aio":
        report = asyncio.run(ask())
    else:
        with TroubleshootClient(settings) as client:
            run_id = client.submit(request)
            work(client.store, run_id)
            if streams:
                assert [event.type for event in client.stream(run_id, keeps_answers=True)][-1] not in ENDS
            report = client.result(run_id)
            own_redis.thaw()
    assert time.monotonic() - began <= total + stretched(0.5)
    assert (report.committed, report.reason, report.outcome) == (False, "store_unreachable", RunOutcome.PARTIAL)
    assert report.aggregated_data.log_data is not None
    assert {item.source for item in report.parallel_results if item.data} == {"tws_status", "rag_search", "log_cache"}
    assert [(item.source, item.reason) for item in report.errors] == [("metrics", "store_unreachable")]
    assert "Redis" in report.response
    assert report.response.startswith("## Diagnóstico")


@pytest.mark.parametrize(("how", "streams"), [("killed", False), ("stopped", True)])
def test_nobody_waits_for_a_redis_that_is_gone_when_all_was_read(
    own_redis: RedisServer, how: str, streams: bool
) -> None:
    """With every source's answer read, the answer comes a moment after Redis went, not at the deadline."""
    request = TroubleshootRequest(message="Job BATCH001 falhou", job_name="BATCH001")
    end = own_redis.kill if how == "killed" else own_redis.freeze
    with TroubleshootClient(Settings.from_env({"REDIS_URL": own_redis.url})) as client:
        store, run_id = client.store, client.submit(request)
        dispatch = store.claim_dispatch(run_id, "d")
        assert dispatch is not None
        plan = plan_dispatch(store, run_id, dispatch)
        store.mark_dispatched(run_id, "d")
        for planned in plan.sources:
            source, job = planned.source, planned.job
            store.begin_source(run_id, planned.key, "c", source=source, job=job, worker="w")
            answer = {"source": source, "job": job, "outcome": "ok", "success": True, "data": {"a": 1}}
            store.put_envelope(run_id, "c", SourceEnvelope.model_validate(answer))
        threading.Timer(0.6 * min(stretched(1), 3), end).start()
        began = time.monotonic()
        if streams:
            assert [event.type for event in client.stream(run_id, keeps_answers=True)][-1] not in ENDS
        report = client.result(run_id)
        took = time.monotonic() - began
        own_redis.thaw()
    assert took < 5.0  # of ten
    assert (report.committed, report.reason, report.outcome) == (False, "store_unreachable", RunOutcome.COMPLETE)
    assert report.errors == ()


def test_redis_gone_never_hangs_the_async_client(own_redis: RedisServer) -> None:
    """The async client holds the same bound, and its loop is never blocked meanwhile."""
    config = ParallelConfig(node_timeout_seconds=0.5, total_timeout_seconds=1.5)

    async def scenario() -> tuple[float, float, bool]:
        gaps, done = [0.0], asyncio.Event()

        async def beat() -> None:
            last = time.monotonic()
            while not done.is_set():
                await asyncio.sleep(0.01)
                now = time.monotonic()
                gaps.append(now - last)
                last = now

        heart = asyncio.create_task(beat())
        client = AsyncTroubleshootClient(Settings.from_env({"REDIS_URL": own_redis.url}))
        began = time.monotonic()
        run_id = await client.submit(TroubleshootRequest(message="x", config=config))
        asyncio.get_running_loop().call_later(0.4, own_redis.freeze)
        report = await client.result(run_id)
        took = time.monotonic() - began
        done.set()
        await heart
        own_redis.thaw()
        await client.close()
        return took, max(gaps), report.committed

    took, gap, committed = asyncio.run(scenario())
    assert took <= 1.5 + stretched(0.25)
    assert gap < stretched(0.2)
    assert not committed


@pytest.mark.usefixtures("patient_readers")
def test_the_async_client_does_what_the_sync_one_does(settings: Settings) -> None:
    """Submit, stream, resume, get, list, cancel and result on an event loop."""

    async def scenario() -> None:
        async with AsyncTroubleshootClient(settings) as client:
            request = TroubleshootRequest(message="x", config=SHORT)
            run_id = await client.submit(request, idempotency_key="k")
            assert await client.submit(request, idempotency_key="k") == run_id
            events = [event async for event in client.stream(run_id)]
            assert [event.type for event in events] == [EventType.ACCEPTED, EventType.FINAL]
            assert [event async for event in client.stream(run_id, after=events[0].id)] == events[1:]
            assert [event async for event in client.stream(run_id, after=events[1].id)] == []
            report = await client.result(run_id)
            assert report.outcome is RunOutcome.TIMED_OUT
            assert (await client.get(run_id)).report == report
            assert [row.run_id for row in await client.list()] == [run_id]
            other = await client.submit(TroubleshootRequest(message="y"))
            with pytest.raises(TimeoutError):
                await client.result(other, timeout_seconds=0.1)
            assert (await client.cancel(other)).state is RunState.CANCELLED
            with pytest.raises(RunNotFound):
                await client.result("nope-nope")

    asyncio.run(scenario())


def test_a_connection_that_cannot_be_closed_costs_no_answer(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """redis-py raises when a TLS connection to a hanging Redis does not close in time; the rest is closed then."""

    async def scenario() -> AsyncTroubleshootClient:
        async with AsyncTroubleshootClient(settings) as client:

            async def hang() -> None:
                raise redis.exceptions.TimeoutError("Timed out closing connection after 0.5")

            monkeypatch.setattr(client._reader, "aclose", hang)
        return client

    client = asyncio.run(scenario())
    with pytest.raises(RuntimeError, match="shutdown"):
        asyncio.run(client.get("nope-nope"))


def test_importing_the_client_is_light() -> None:
    """The app's import of the client loads no source client, no model SDK and no live view."""
    code = (
        "import sys, orchestrator.graph, orchestrator.client.sync;"
        "print([m for m in ('httpx2', 'openai', 'rich', 'workers', 'prometheus_client') if m in sys.modules])"
    )
    import sys

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=100, check=True)
    assert done.stdout.strip() == "[]"
