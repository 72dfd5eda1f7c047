"""Sources in the process of a caller: what blocks or ends an event loop is not the caller's."""

from __future__ import annotations

import asyncio
import gc
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future
from dataclasses import dataclass, field

import pytest
from tests_support import stretched, wait_until

from orchestrator.config import ParallelConfig
from orchestrator.deadline import Deadline
from orchestrator.i18n.languages import Language
from orchestrator.models import Intent, Plan, PlannedSource, Routing, SourceEnvelope, SourceRequest, TroubleshootRequest
from orchestrator.run import loop_thread
from orchestrator.run.in_process import LocalSources, ask_all, begin_without_store
from orchestrator.run.source_call import SourceCall
from orchestrator.sources import FetchResult, Source

LIMIT = 0.3
REQUEST = TroubleshootRequest(
    message="Job BATCH001 failed", config=ParallelConfig(node_timeout_seconds=LIMIT, total_timeout_seconds=2)
)
ENOUGH = {"metrics": 30.0, "log_cache": 30.0}
"""Limits of the site's source, and of the one that is well, which is none that is tried here."""
SHORT = ENOUGH | {"metrics": LIMIT}


def plan_of(limits: Mapping[str, float]) -> Plan:
    return Plan(
        pipeline="troubleshoot",
        routing=Routing(intent=Intent.TROUBLESHOOT, confidence=1, language=Language.EN),
        sources=tuple(PlannedSource(source=name, limit_seconds=limit) for name, limit in limits.items()),
        reason="test",
    )


PLAN = plan_of({"metrics": LIMIT, "log_cache": LIMIT})


@dataclass
class Site:
    """The metrics as a site has written them; the log cache is well."""

    make: Callable[[], object] = lambda: None
    fetch: Callable[[], object] = lambda: None
    closed: list[str] = field(default_factory=list)

    def source(self, name: str) -> Source:
        site = self if name == "metrics" else Site(closed=self.closed)
        site.make()

        class OfSite:
            async def fetch(self, _request: SourceRequest) -> FetchResult:
                site.fetch()
                await asyncio.sleep(0.02)
                return FetchResult(data={"a": 1})

            async def close(self) -> None:
                site.closed.append(name)

        return OfSite()


def ask(site: Site, limits: Mapping[str, float] = ENOUGH) -> tuple[dict[str, SourceEnvelope], float]:
    """The envelopes, and how late the caller's own loop ran at most, in seconds."""

    class OfSite(LocalSources):
        def get(self, name: str) -> Source:
            if name not in self._sources:
                self._sources[name] = site.source(name)
            return self._sources[name]

    async def scenario() -> tuple[dict[str, SourceEnvelope], float]:
        latest = 0.0

        async def tick() -> None:
            nonlocal latest
            while True:
                began = time.monotonic()
                await asyncio.sleep(0.01)
                latest = max(latest, time.monotonic() - began - 0.01)

        ticking = asyncio.create_task(tick())
        plan, fan_in = plan_of(limits), Deadline.after(max(1.2, *limits.values()))
        begin = begin_without_store(REQUEST, plan, fan_in)
        async with OfSite() as sources:
            envelopes = await ask_all("run-00000001", plan, sources=sources, begin=begin)
        ticking.cancel()
        return {envelope.source: envelope for envelope in envelopes}, latest

    return asyncio.run(scenario())


def threads_of_sources() -> set[threading.Thread]:
    return {thread for thread in threading.enumerate() if thread.name.startswith("source-")}


@pytest.fixture
def blocked() -> Iterator[threading.Event]:
    """What the site's code waits for, without an event loop."""
    event = threading.Event()
    yield event
    event.set()
    wait_until(lambda: all(thread.ended.done() for thread in loop_thread._left), what="the end of every thread")


@pytest.mark.parametrize("where", ["make", "fetch"])
def test_a_source_that_blocks_costs_only_its_own_answer(blocked: threading.Event, where: str) -> None:
    """In its making too: the other answers, and the caller's loop never waits for it."""
    envelopes, latest = ask(Site(**{where: lambda: blocked.wait(10)}), SHORT)  # type: ignore[arg-type]
    assert envelopes["log_cache"].outcome == "ok"
    assert (envelopes["metrics"].outcome, envelopes["metrics"].reason) == ("timeout", "soft_time_limit")
    assert envelopes["metrics"].latency_ms / 1000 < LIMIT + stretched(0.3)
    assert latest < stretched(0.2)


def test_an_error_that_comes_while_the_wait_ends_is_read(caplog: pytest.LogCaptureFixture) -> None:
    """The query has failed, the loop has not heard of it yet, and its caller goes on: asyncio has nothing to log."""

    class Late(Future[FetchResult | None]):
        def done(self) -> bool:
            if not super().done():
                self.set_exception(OSError("refused"))
            return True

    class Lates(LocalSources):
        def submit(self, call: SourceCall) -> Future[FetchResult | None]:
            return Late()

    async def scenario() -> list[SourceEnvelope]:
        async with Lates() as sources:
            begin = begin_without_store(REQUEST, PLAN, Deadline.after(0.2))
            return await ask_all("run-00000001", PLAN, sources=sources, begin=begin)

    assert {envelope.outcome for envelope in asyncio.run(scenario())} == {"error"}
    gc.collect()
    assert [record for record in caplog.records if record.name == "asyncio"] == []


@pytest.mark.parametrize("error", [SystemExit(1), KeyboardInterrupt()])
def test_a_task_that_would_end_the_loop_ends_no_caller(error: BaseException) -> None:
    """One that a source has started and not awaited, too: it had ended the event loop of the app."""

    def start() -> None:
        async def fail() -> None:
            raise error

        tasks.append(asyncio.ensure_future(fail()))

    tasks: list[asyncio.Future[None]] = []
    site = Site(fetch=start)
    envelopes, _ = ask(site)
    assert [envelope.outcome for envelope in envelopes.values()] == ["ok", "ok"]
    assert sorted(site.closed) == ["log_cache", "metrics"]
    assert tasks[0].exception() is error


def test_threads_that_are_blocked_for_ever_are_bounded(
    blocked: threading.Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each run has fresh ones up to the limit; then no source is asked here, at once, until one is free again."""
    monkeypatch.setattr(loop_thread, "MAX_LEFT", 2)
    monkeypatch.setattr(loop_thread, "_left", [])
    earlier = threads_of_sources()  # of other tests

    def wait_for(count: int) -> None:
        # A thread that has only been slow to end is no blocked one.
        wait_until(lambda: len(threads_of_sources() - earlier) == count, what="the end of the other threads")

    for number in (1, 2):
        envelopes, _ = ask(Site(fetch=lambda: blocked.wait(30)), SHORT)
        assert envelopes["log_cache"].outcome == "ok"
        wait_for(number)
    envelopes, _ = ask(Site())
    assert {envelope.reason for envelope in envelopes.values()} == {"loop_blocked"}
    assert envelopes["metrics"].error == "not queried: earlier queries of this process still block their threads (2)"
    assert len(threads_of_sources() - earlier) == 2
    blocked.set()
    wait_for(0)
    envelopes, _ = ask(Site())
    assert [envelope.outcome for envelope in envelopes.values()] == ["ok", "ok"]
    wait_for(0)
