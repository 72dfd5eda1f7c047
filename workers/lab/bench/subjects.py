"""The measured subjects: this project, a plain chord and ``asyncio.gather``."""

import asyncio
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Self

import redis
from celery import Celery

from orchestrator.client.sync import TroubleshootClient
from orchestrator.config import ParallelConfig, Settings
from orchestrator.errors import TroubleshootError
from orchestrator.models import Intent, RunOutcome, TroubleshootRequest
from orchestrator.store.connection import connect, connect_reader, session
from orchestrator.testing import stub_message
from workers.lab.bench.plain import DONE_KEY, apply_chord, forget_results

Sleeps = Mapping[str, float]
"""Duration of each source in seconds."""
FIGURES = ("sequential_equivalent_ms", "parallel_latency_ms", "speedup_factor")
"""What a report's metadata say about its time."""
POLL_SECONDS = 0.01
QUEUED_LIMIT_SECONDS = 240.0
IDLE_CONFIG = ParallelConfig(node_timeout_seconds=10, total_timeout_seconds=30)
QUEUED_CONFIG = ParallelConfig(node_timeout_seconds=120, total_timeout_seconds=QUEUED_LIMIT_SECONDS)


@dataclass(frozen=True, slots=True)
class Timed:
    """Duration of a run and of its slowest source, in milliseconds, and the figures that its report has."""

    total_ms: float
    slowest_ms: float
    figures: Mapping[str, float] = field(default_factory=dict)

    @property
    def overhead_ms(self) -> float:
        """Time of the orchestration: end to end less the slowest source."""
        return self.total_ms - self.slowest_ms


class BenchFailed(TroubleshootError):
    """A measured run did not end as expected, so its figures are void."""

    reason = "bench_failed"


@dataclass(frozen=True, slots=True)
class Troubleshoot:
    """This project: submit, sources, finisher, report."""

    client: TroubleshootClient

    def run(self, sleeps: Sleeps, failing: tuple[str, ...] = ()) -> Timed:
        """Measure from the submit to the received report."""
        began = time.perf_counter()
        report = self.client.result(self.client.submit(_request(sleeps, IDLE_CONFIG, failing)))
        took = (time.perf_counter() - began) * 1000
        if report.outcome is not (RunOutcome.PARTIAL if failing else RunOutcome.COMPLETE):
            raise BenchFailed(
                "a run ended as {outcome}: {errors}", outcome=str(report.outcome), errors=str(report.errors)
            )
        slowest = max(envelope.latency_ms for envelope in report.parallel_results)
        return Timed(took, slowest, {name: report.metadata[name] for name in FIGURES})

    def queue(self, sleeps: Sleeps, count: int) -> float:
        """Runs per second over ``count`` runs submitted at once, to the last one committed."""
        store = self.client.store
        with session(self.client.settings) as redis_client:
            began = time.perf_counter()
            run_ids = [self.client.submit(_request(sleeps, QUEUED_CONFIG, ())) for _ in range(count)]
            _wait(lambda: count - int(redis_client.zcard(store.keys.open)), count)
            took = time.perf_counter() - began
        outcomes = [self.client.get(run_id).outcome for run_id in run_ids]
        if set(outcomes) != {RunOutcome.COMPLETE}:
            raise BenchFailed(
                "not every queued run was complete: {outcomes}",
                outcomes=", ".join(sorted({str(item) for item in outcomes})),
            )
        return count / took


@dataclass(frozen=True, slots=True)
class PlainChord:
    """Celery's own chord over the same number of workers."""

    app: Celery
    client: redis.Redis
    reader: redis.Redis

    @classmethod
    def connect(cls, app: Celery, settings: Settings) -> Self:
        """With clients for the list to which the body pushes."""
        return cls(app, connect(settings), connect_reader(settings))

    def run(self, sleeps: Sleeps) -> Timed:
        """Measure from the publish to the body's push."""
        began = time.perf_counter()
        apply_chord(self.app, sleeps)
        end = began + 30
        while (pushed := self.reader.blpop([DONE_KEY], timeout=1)) is None:
            if time.perf_counter() > end:
                raise BenchFailed("a plain chord did not end within 30 s")
        return Timed((time.perf_counter() - began) * 1000, float(pushed[1]))

    def queue(self, sleeps: Sleeps, count: int) -> float:
        """Runs per second over ``count`` chords published at once."""
        self.client.delete(DONE_KEY)
        began = time.perf_counter()
        for _ in range(count):
            apply_chord(self.app, sleeps)
        _wait(lambda: int(self.client.llen(DONE_KEY)), count)
        took = time.perf_counter() - began
        self.client.delete(DONE_KEY)
        return count / took

    def close(self) -> None:
        """Close the connections."""
        forget_results(self.app)
        self.client.close()
        self.reader.close()


def gather(sleeps: Sleeps) -> Timed:
    """Measure ``asyncio.gather`` over the same sleeps in one process, without queue and store."""

    async def source(seconds: float) -> float:
        began = time.perf_counter()
        await asyncio.sleep(seconds)
        return (time.perf_counter() - began) * 1000

    async def run() -> Timed:
        began = time.perf_counter()
        latencies = await asyncio.gather(*(source(seconds) for seconds in sleeps.values()))
        return Timed((time.perf_counter() - began) * 1000, max(latencies))

    return asyncio.run(run())


def in_sequence(sleeps: Sleeps) -> float:
    """Duration of the same sources in sequence, in milliseconds."""
    began = time.perf_counter()
    for seconds in sleeps.values():
        time.sleep(seconds)
    return (time.perf_counter() - began) * 1000


def _request(sleeps: Sleeps, config: ParallelConfig, failing: tuple[str, ...]) -> TroubleshootRequest:
    behaviours = {
        source: {"sleep_seconds": seconds, **({"error": "planted"} if source in failing else {})}
        for source, seconds in sleeps.items()
    }
    return TroubleshootRequest(
        message=stub_message(behaviours), job_name="BATCH001", intent=Intent.TROUBLESHOOT, config=config
    )


def _wait(done: Callable[[], int], count: int) -> None:
    end = time.perf_counter() + QUEUED_LIMIT_SECONDS
    while (finished := done()) < count:
        if time.perf_counter() > end:
            raise BenchFailed(
                "{finished} of {count} queued runs ended within {seconds:g} s",
                finished=finished,
                count=count,
                seconds=QUEUED_LIMIT_SECONDS,
            )
        time.sleep(POLL_SECONDS)
