"""The page ``/metrics`` of a watcher: what all processes have counted together, and the state of the store.

Needs prometheus-client, which is in the extra ``workers``. Every watcher publishes the same: take ``max by (...)``.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import accumulate

import redis
from prometheus_client import CollectorRegistry, GCCollector, PlatformCollector, ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.registry import Collector

from orchestrator.broker.app import queue_names
from orchestrator.errors import OutOfConnections, StoreRefusesUser, StoreUnreachable
from orchestrator.health import Page
from orchestrator.models import RunOutcome, SourceOutcome
from orchestrator.redaction.redact import KINDS, REDACTED
from orchestrator.sources import source_names
from orchestrator.store.connection import STORE_ERRORS, store_errors, to_ms
from orchestrator.store.counters import CALL_BUCKETS, COMMITTERS, FAILURES, OTHER, RUN_BUCKETS, SKIPS, Counters
from orchestrator.store.keys import Keys
from orchestrator.store.load import QueueLoad, read_load

PREFIX = "resync_troubleshoot"
OVERDUE_MS = 2_000
"""Milliseconds after its deadline from which an open run is overdue; the grace of a run is less."""

Labels = tuple[str, ...]


def _refusals() -> list[Labels]:
    return [("open_runs", ""), ("stuck", ""), *(("queue", name) for name in queue_names())]


@dataclass(frozen=True, slots=True)
class SharedCounter:
    """A counter of the store; ``known`` are the values of its labels that are published before anything is counted.

    Without them the first of a kind would be no increase to Prometheus.
    """

    name: str
    help: str
    labels: Labels = ()
    known: Callable[[], Iterable[Labels]] = lambda: [()]


SHARED_COUNTERS = (
    SharedCounter("runs_accepted", "Runs that were accepted."),
    SharedCounter(
        "runs_ended",
        "Runs that ended, by outcome and by who stored the answer.",
        ("outcome", "by"),
        lambda: [
            *((outcome, by) for outcome in RunOutcome if outcome != RunOutcome.CANCELLED for by in COMMITTERS.values()),
            (RunOutcome.CANCELLED, "caller"),
        ],
    ),
    SharedCounter(
        "deadline_hits",
        "Runs that did not wait for all sources (fan_in), or were answered at their total deadline (total).",
        ("deadline",),
        lambda: [("fan_in",), ("total",)],
    ),
    SharedCounter(
        "run_sources",
        "What became of each source of each run, in its answer.",
        ("source", "outcome"),
        lambda: [(name, kind) for name in source_names() for kind in SourceOutcome if kind != SourceOutcome.LATE],
    ),
    SharedCounter(
        "late_answers",
        "Answers of sources that came after those of their run were frozen.",
        ("source",),
        lambda: [(name,) for name in source_names()],
    ),
    SharedCounter(
        "submits_refused",
        "Submits that were refused as overloaded, by the reason and the queue.",
        ("cause", "queue"),
        _refusals,
    ),
    SharedCounter(
        "llm_answers",
        "Runs with a configured model, by what became of its answer, and why.",
        ("result", "reason"),
        lambda: [
            ("used", ""),
            *(("failed", reason) for reason in (*FAILURES, OTHER)),
            *(("skipped", reason) for reason in SKIPS),
        ],
    ),
    SharedCounter(
        "llm_calls",
        "Calls of a model, by their outcome.",
        ("outcome",),
        lambda: [("ok",), *((reason,) for reason in (*FAILURES, OTHER))],
    ),
    SharedCounter("llm_tokens", "Tokens of a model.", ("kind",), lambda: [("prompt",), ("completion",)]),
)
SHARED_HISTOGRAMS = (
    ("run_seconds", "Time from the submit of a run to its stored answer.", RUN_BUCKETS),
    ("llm_call_seconds", "Time that a call of a model took.", CALL_BUCKETS),
)
QUEUE_GAUGES: tuple[tuple[str, str, Callable[[QueueLoad], float]], ...] = (
    ("waiting", "Messages in the queue.", lambda load: load.waiting),
    ("running", "Tasks of the queue that workers hold.", lambda load: load.running),
    ("work", "Tasks of the queue that wait or run: the figure to scale workers by.", lambda load: load.work),
    ("oldest_wait_seconds", "Since the oldest message came; 0: none waits.", lambda load: load.oldest_wait_seconds),
)
PROCESS_COUNTERS = (
    ("redactions", "Pieces of text that this process masked, by what betrayed them.", "kind", REDACTED, KINDS),
    (
        "store_errors",
        "Calls of this process that Redis did not serve, by the reason.",
        "reason",
        STORE_ERRORS,
        tuple(error.reason for error in (StoreUnreachable, OutOfConnections, StoreRefusesUser)),
    ),
)


class ProcessMetrics(Collector):
    """What every process counts for itself."""

    def collect(self) -> Iterator[Metric]:
        """The present counts."""
        for name, text, label, tally, known in PROCESS_COUNTERS:
            family = CounterMetricFamily(f"{PREFIX}_{name}", text, labels=[label])
            for word, count in {**dict.fromkeys(known, 0), **tally.counts()}.items():
                family.add_metric([word], count)
            yield family


def process_registry() -> CollectorRegistry:
    """A registry with memory, descriptors and CPU time of the process, and its own counts."""
    registry = CollectorRegistry()
    for collector in (ProcessCollector, PlatformCollector, GCCollector):
        collector(registry=registry)
    registry.register(ProcessMetrics())
    return registry


def metrics_page(registry: CollectorRegistry) -> Page:
    """The metrics of a registry in Prometheus's text format."""
    return Page(generate_latest(registry), content_type=CONTENT_TYPE_LATEST)


class StoreMetrics(Collector):
    """What all processes have counted in the store, and its state, read at each scrape."""

    def __init__(self, client: redis.Redis, keys: Keys) -> None:
        self._client, self._keys = client, keys
        self._counters = Counters(client, keys)

    def describe(self) -> Iterable[Metric]:
        """Nothing, so that registering it does not read the store."""
        return ()

    def collect(self) -> Iterator[Metric]:
        """The metrics; without a store only that there is none."""
        families: list[Metric] = []
        try:
            for part in (self._counted, self._runs, self._queues, self._memory):
                families += part()
        except StoreUnreachable:
            families.clear()
        yield _gauge("store_reachable", "Whether Redis served this scrape.", int(bool(families)))
        yield from families

    def _counted(self) -> Iterator[Metric]:
        counts = self._counters.read()
        for counter in SHARED_COUNTERS:
            family = CounterMetricFamily(f"{PREFIX}_{counter.name}", counter.help, labels=counter.labels)
            known = dict.fromkeys((tuple(map(str, labels)) for labels in counter.known()), 0)
            for labels, count in {**known, **_of(counts, counter.name, len(counter.labels))}.items():
                family.add_metric(labels, count)
            yield family
        for name, text, bounds in SHARED_HISTOGRAMS:
            by_bucket = _of(counts, name, 1)
            names = [*map(str, bounds), "inf"]
            totals = accumulate(by_bucket.get((bound,), 0) for bound in names)
            buckets = list(zip([*names[:-1], "+Inf"], totals, strict=True))
            seconds = counts.get((f"{name}_ms",), 0) / 1000
            yield HistogramMetricFamily(f"{PREFIX}_{name}", text, buckets=buckets, sum_value=seconds)

    def _runs(self) -> Iterator[Metric]:
        keys = self._keys
        with store_errors():
            now_ms = to_ms(self._client.time())
            with self._client.pipeline(transaction=False) as pipe:
                pipe.zcount(keys.open, now_ms - 60_000, "+inf")
                pipe.zcount(keys.open, "-inf", now_ms - OVERDUE_MS)
                pipe.zcard(keys.index)
                pipe.zcount(keys.watchers, now_ms - 10_000, "+inf")
                is_open, overdue, stored, watchers = pipe.execute()
        yield _gauge("runs_open", "Runs that have no answer yet.", is_open)
        yield _gauge("runs_overdue", "Open runs whose deadline was more than two seconds ago.", overdue)
        yield _gauge("runs_stored", "Runs that Redis keeps.", stored)
        yield _gauge("watchers", "Deadline watchers that gave a sign of life within ten seconds.", watchers)

    def _queues(self) -> Iterator[Metric]:
        loads = read_load(self._client, self._keys, queue_names())
        for name, text, value in QUEUE_GAUGES:
            family = GaugeMetricFamily(f"{PREFIX}_queue_{name}", text, labels=["queue"])
            for load in loads:
                family.add_metric([load.queue], value(load))
            yield family

    def _memory(self) -> Iterator[Metric]:
        try:
            with store_errors():
                memory = self._client.info("memory")
        except (StoreUnreachable, redis.ResponseError):  # a user without the right to INFO, a service without INFO
            return
        yield _gauge("redis_memory_bytes", "Memory that Redis uses.", memory.get("used_memory", 0))
        yield _gauge("redis_memory_max_bytes", "Limit of Redis's memory; 0: none.", memory.get("maxmemory", 0))


def _of(counts: dict[Labels, int], name: str, labels: int) -> dict[Labels, int]:
    return {key[1:]: count for key, count in counts.items() if key[0] == name and len(key) == labels + 1}


def _gauge(name: str, text: str, value: float) -> Metric:
    return GaugeMetricFamily(f"{PREFIX}_{name}", text, value=value)


def watcher_page(client: redis.Redis, keys: Keys) -> Callable[[], Page]:
    """The page of a watcher."""
    registry = process_registry()
    registry.register(StoreMetrics(client, keys))
    return lambda: metrics_page(registry)
