"""Clues between the sources of a run, in the store and in process."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field
from itertools import count
from typing import Any

import fakeredis
import pytest
from tests_support import made, stretched

from orchestrator.config import Settings
from orchestrator.deadline import Deadline
from orchestrator.i18n.languages import Language
from orchestrator.models import (
    NO_CLUES,
    Clue,
    Intent,
    Plan,
    PlannedSource,
    Routing,
    SourceEnvelope,
    SourceOutcome,
    SourceRequest,
    TroubleshootRequest,
)
from orchestrator.run.clues import LocalClues, StoredClues, masked_clue
from orchestrator.run.in_process import LocalSources, ask_all, begin_without_store
from orchestrator.sources import FetchResult, Source
from orchestrator.store.runs import RunStore, new_token
from workers.runtime.ask import SourceRunner
from workers.runtime.event_loop import Runtime

CLUE = Clue(source="tws_status", codes=("ORA-12541",), lines=("ORA-12541: TNS:no listener",))
REQUEST = TroubleshootRequest(message="Job CARGA01 failed")
PLAN = Plan(
    pipeline="troubleshoot",
    routing=Routing(intent=Intent.TROUBLESHOOT, confidence=1, language=Language.EN),
    sources=(
        PlannedSource(source="tws_status", limit_seconds=3),
        PlannedSource(source="rag_search", limit_seconds=3),
    ),
    reason="test",
)


NO_CLUE: Any = object()


@dataclass
class Status:
    """Gives a clue after a pause, which begins when ``waited_for`` is set, and ends after another.

    By an error if it is told so.
    """

    clue: Clue | None = CLUE
    pause_seconds: float = 0.15
    more_seconds: float = 0.0
    error: Exception | None = None
    waited_for: threading.Event | None = None

    async def fetch(self, request: SourceRequest) -> FetchResult:
        if self.waited_for is not None:
            await asyncio.to_thread(self.waited_for.wait, 2)
        await asyncio.sleep(self.pause_seconds)
        if self.clue is not None:
            await request.clues.post(self.clue)
        await asyncio.sleep(self.more_seconds)
        if self.error is not None:
            raise self.error
        return FetchResult()

    async def close(self) -> None:
        return


@dataclass
class Reader:
    """Waits for clues, at most the seconds it is given."""

    seconds: float = 2.0
    clues: tuple[Clue, ...] = ()
    took_seconds: float = 0.0
    waits: threading.Event = field(default_factory=threading.Event)

    async def fetch(self, request: SourceRequest) -> FetchResult:
        began = time.monotonic()
        self.waits.set()
        self.clues = await request.clues.wait(("tws_status",), seconds=self.seconds)
        self.took_seconds = time.monotonic() - began
        return FetchResult()

    async def close(self) -> None:
        return


Ask = Callable[[Status, Reader], dict[str, SourceEnvelope]]


def ask_in_process(status: Status, reader: Reader) -> dict[str, SourceEnvelope]:
    """Both sources in one process, without a store."""

    class Both(LocalSources):
        def get(self, name: str) -> Source:
            return status if name == "tws_status" else reader

    async def ask() -> list[SourceEnvelope]:
        begin = begin_without_store(REQUEST, PLAN, Deadline.after(5))
        async with Both() as sources:
            return await ask_all("run-00000001", PLAN, sources=sources, begin=begin)

    return {envelope.source: envelope for envelope in asyncio.run(ask())}


@dataclass
class Workers:
    """A store with an open run, and a worker's process."""

    store: RunStore
    runtime: Runtime
    run_id: str = field(default_factory=new_token)

    def open(self) -> None:
        self.store.open(self.run_id, REQUEST, nonce=new_token())
        self.store.claim_dispatch(self.run_id, "d")
        self.store.put_plan(self.run_id, "d", PLAN)
        self.store.mark_dispatched(self.run_id, "d")

    def ask(self, status: Status, reader: Reader) -> dict[str, SourceEnvelope]:
        sources = {"tws_status": made(status), "rag_search": made(reader)}
        runner = SourceRunner(self.store, sources.__getitem__, self.runtime.submit, "w")

        async def both() -> None:
            await asyncio.gather(
                *(
                    asyncio.to_thread(runner.ask, self.run_id, name, None, claim=name, soft_limit_seconds=3.0)
                    for name in sources
                )
            )

        self.open()
        asyncio.run(both())
        return self.store.read(self.run_id).envelopes


@pytest.fixture
def workers() -> Iterator[Workers]:
    runtime = Runtime({})
    yield Workers(RunStore(fakeredis.FakeRedis(decode_responses=True), Settings.from_env({})), runtime)
    runtime.close()


@pytest.fixture(params=["workers", "in process"])
def ask(request: pytest.FixtureRequest) -> Ask:
    return ask_in_process if request.param == "in process" else request.getfixturevalue("workers").ask


def test_a_clue_reaches_the_other_sources_before_its_own_answer(ask: Ask) -> None:
    """A source reads it when it is given; the time of waiting is no time of asking."""
    reader = Reader()
    envelopes = ask(Status(more_seconds=0.6, waited_for=reader.waits), reader)
    assert reader.clues == (CLUE,)
    assert envelopes["rag_search"].latency_ms < envelopes["tws_status"].latency_ms
    assert envelopes["rag_search"].waited_ms >= 100
    assert envelopes["tws_status"].waited_ms == 0


@pytest.mark.parametrize("status", [Status(clue=None), Status(clue=None, error=OSError("refused"))])
def test_nobody_waits_for_a_source_that_has_ended(ask: Ask, status: Status) -> None:
    """Its envelope is enough, of whatever outcome."""
    reader = Reader()
    ask(status, reader)
    assert reader.clues == ()
    assert reader.took_seconds < stretched(1.5)


def test_a_late_source_is_gone_without(ask: Ask) -> None:
    """The wait ends when the waiting source says so."""
    reader = Reader(seconds=0.2)
    ask(Status(pause_seconds=1.0), reader)
    assert reader.clues == ()
    assert reader.took_seconds < stretched(0.8)


def test_a_source_that_nobody_has_taken_is_not_waited_for(workers: Workers) -> None:
    """It may be queued behind the one that waits."""
    workers.open()
    board = StoredClues(workers.store, workers.run_id, PLAN, "rag_search", "c")
    assert asyncio.run(board.wait(("tws_status",), seconds=5)) == ()
    assert board.waited_seconds < 2


@pytest.mark.parametrize("sources", [("metrics",), ("rag_search",), ()])
def test_what_is_not_planned_is_not_waited_for(workers: Workers, sources: Collection[str]) -> None:
    """Nor does a source wait for itself."""
    workers.open()
    board = StoredClues(workers.store, workers.run_id, PLAN, "rag_search", "c")
    assert asyncio.run(board.wait(sources, seconds=5)) == ()
    assert board.waited_seconds == 0


@pytest.mark.parametrize(
    "wrong",
    [
        None,
        {"codes": ("x",)},
        Clue.model_construct(source="tws_status", codes=5),
        CLUE.model_copy(update={"lines": (1,)}),
    ],
    ids=["none", "a mapping", "wrong codes", "wrong lines"],
)
def test_a_clue_that_is_none_costs_its_source_nothing(ask: Ask, wrong: Any) -> None:
    """Giving a clue never raises: one that is invalid is dropped, and the source answers."""
    reader = Reader()
    envelopes = ask(Status(clue=NO_CLUE if wrong is None else wrong), reader)
    assert {envelope.outcome for envelope in envelopes.values()} == {SourceOutcome.OK}
    assert reader.clues == ()


def test_a_clue_of_megabytes_is_cut_before_it_is_masked() -> None:
    """Texts and lists end at their limits, however long they are."""
    endless = Clue.model_construct(source="metrics", codes=(str(n) for n in count()), lines=("senha=x " * 2_000_000,))
    began = time.thread_time()
    assert len(masked_clue(endless, personal=False).model_dump_json()) < 5_000
    assert time.thread_time() - began < 1


def test_a_clue_holds_no_secret_and_little() -> None:
    """It is masked and cut as an envelope is."""
    clue = masked_clue(Clue(source="tws_status", lines=("password=hunter2xyz " * 100, *"abcdefgh")), personal=False)
    assert "hunter2xyz" not in " ".join(clue.lines)
    assert len(clue.lines) == 5
    assert max(map(len, clue.lines)) <= 300


def test_clues_are_no_part_of_a_stored_request() -> None:
    """Nor is a source without others in trouble."""
    request = SourceRequest(run_id="r" * 12, source="metrics", message="?", routing=PLAN.routing, limit_seconds=1)
    assert request.clues is NO_CLUES
    assert "clues" not in request.model_dump()
    assert asyncio.run(request.clues.wait(("tws_status",), seconds=5)) == ()


def test_the_causes_of_a_batch_are_masked_as_well() -> None:
    """Each is a clue without secrets, and has no causes of its own."""
    cause = CLUE.model_copy(update={"lines": ("password=hunter2xyz",), "causes": (CLUE,)})
    clue = masked_clue(Clue(source="tws_status", causes=(cause,) * 50), personal=False)
    assert "hunter2xyz" not in clue.model_dump_json()
    assert len(clue.causes) == 20
    assert not any(item.causes for item in clue.causes)


def test_a_batch_gives_one_clue_for_all_its_jobs_or_one_for_each() -> None:
    """Whoever waits goes on with either."""
    batch = PlannedSource(source="tws_status", limit_seconds=5, batch=1, jobs=("A", "B"))
    plan = PLAN.model_copy(update={"sources": (batch,)})

    async def pending(*clues: Clue) -> bool:
        board = LocalClues(plan)
        for clue in clues:
            await board.put(batch.key, clue)
        return bool(board.read([batch]).pending)

    of_job = [CLUE.model_copy(update={"job": job}) for job in ("A", "B")]
    assert asyncio.run(pending(of_job[0]))
    assert not asyncio.run(pending(*of_job))
    assert not asyncio.run(pending(CLUE.model_copy(update={"job": None})))
