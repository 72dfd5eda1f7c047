"""Health checks of a worker and its metrics for Prometheus.

A supervisor cannot detect a consumer that hangs after losing the broker: the process is alive but takes no messages.
Celery's heartbeat comes from the consumer's loop, so its age shows it.
"""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from celery.exceptions import Retry
from celery.signals import heartbeat_sent, task_postrun, task_prerun
from prometheus_client import Counter, Gauge, Histogram
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from orchestrator.broker.app import SOURCE_TASK_PREFIX, queue_names
from orchestrator.broker.queues import NO_PLACE, WorkerProblem
from orchestrator.broker.transport import message_set_aside
from orchestrator.health import ALIVE_SECONDS, READY_SECONDS, Beat, Page, check_page
from orchestrator.monitoring import PREFIX, metrics_page, process_registry
from orchestrator.sources import CIRCUIT_STATES

_OTHER_QUEUE = "other"
_BUCKETS = (0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 3.0, 4.0, 5.0, 7.5, 10.0, 15.0, 30.0)


@dataclass(frozen=True, slots=True)
class WorkerChecks:
    """The checks of a worker; each returns a problem or None.

    The heartbeat comes every 2 s. ``ALIVE_SECONDS`` far exceeds the time of a reconnect.
    """

    beat: Beat
    broker_problem: Callable[[], str | None]
    problems: Callable[[], Sequence[WorkerProblem]] = tuple

    def ready(self) -> str | None:
        """Whether it takes messages."""
        for problem in self.problems():
            return str(problem.text)
        age = self.beat.age_seconds
        if age < READY_SECONDS:
            return None
        return f"no sign of life from the consumer for {age:.0f} s: {self.broker_problem() or 'the broker serves'}"

    def alive(self) -> str | None:
        """Whether a restart would help: no place of the pool is left, or the consumer is silent and the broker not.

        A process with a blocked event loop ends by itself when that lasts too long.
        """
        for problem in self.problems():
            if problem.reason == NO_PLACE:
                return str(problem.text)
        age = self.beat.age_seconds
        if age < ALIVE_SECONDS or self.broker_problem() is not None:
            return None
        return f"the broker serves, but the consumer has given no sign of life for {age:.0f} s"


@dataclass(frozen=True, slots=True)
class WorkerState(Collector):
    """What a worker can do now, read at each scrape."""

    queues: Callable[[], Collection[str]] = tuple
    """The queues that it serves."""
    places: Callable[[], int] = lambda: 0
    """How many tasks it can run at once."""
    circuits: Callable[[], Mapping[tuple[str, str], str]] = dict
    """The state of each circuit, by source and counterpart."""

    def collect(self) -> Iterator[Metric]:
        """The present state."""
        places = GaugeMetricFamily(
            f"{PREFIX}_worker_places",
            "Tasks that this worker can run at once, for each queue that it serves; 0: it takes none.",
            labels=["queue"],
        )
        for queue in sorted(self.queues()):
            places.add_metric([queue], self.places())
        yield places
        circuits = GaugeMetricFamily(
            f"{PREFIX}_circuit_state",
            "Circuit of a counterpart: 0 closed, 1 half-opened, 2 opened: it is left alone.",
            labels=["source", "counterpart"],
        )
        for labels, state in sorted(self.circuits().items()):
            circuits.add_metric(labels, CIRCUIT_STATES.index(state) if state in CIRCUIT_STATES else -1)
        yield circuits


class WorkerMetrics:
    """Metrics of this process's tasks from Celery's signals, in a registry of their own."""

    def __init__(self, beat: Beat, *, loop_lag_seconds: Callable[[], float], state: WorkerState | None = None) -> None:
        self.registry, prefix = process_registry(), PREFIX
        self.registry.register(state or WorkerState())
        self._running = Gauge(f"{prefix}_tasks_running", "Tasks that run now.", ["task"], registry=self.registry)
        self._tasks = Counter(f"{prefix}_tasks", "Tasks that ended, by their result.", ["task", "result"],
                              registry=self.registry)  # fmt: skip
        self._sources = Histogram(f"{prefix}_source_seconds", "Time a source took, by its outcome.",
                                  ["source", "outcome"], buckets=_BUCKETS, registry=self.registry)  # fmt: skip
        self._set_aside = Counter(f"{prefix}_messages_set_aside", "Messages that could not be taken.", ["queue"],
                                  registry=self.registry)  # fmt: skip
        for queue in (*queue_names(), _OTHER_QUEUE):
            self._set_aside.labels(queue)  # published before the first, which would be no increase else
        age = Gauge(f"{prefix}_heartbeat_age_seconds", "Since the consumer's last sign of life.",
                    registry=self.registry)  # fmt: skip
        age.set_function(lambda: beat.age_seconds)
        lag = Gauge(f"{prefix}_event_loop_lag_seconds", "Since the event loop's last sign of life.",
                    registry=self.registry)  # fmt: skip
        lag.set_function(loop_lag_seconds)

    def began(self, task: str) -> None:
        """Count the start of a task."""
        self._running.labels(task).inc()

    def ended(self, task: str, returned: object) -> None:
        """Count the end of a task; ``returned`` is a word, or a source's summary."""
        self._running.labels(task).dec()
        result = returned.get("outcome") if isinstance(returned, Mapping) else returned
        if isinstance(returned, Retry):
            result = "put_back"
        # The known words are few; any other result must not become a label.
        self._tasks.labels(task, result if isinstance(result, str) else "failed").inc()
        if isinstance(returned, Mapping) and "latency_ms" in returned and task.startswith(SOURCE_TASK_PREFIX):
            self._sources.labels(returned["source"], result).observe(returned["latency_ms"] / 1000)

    def set_aside(self, queue: str) -> None:
        """Count a message that was set aside."""
        # The queues of replies and of remote control have random names.
        self._set_aside.labels(queue if queue in queue_names() else _OTHER_QUEUE).inc()

    def page(self) -> Page:
        """The metrics in Prometheus's text format."""
        return metrics_page(self.registry)


class WorkerHealth:
    """Connects Celery's signals to the checks and metrics of one worker."""

    def __init__(
        self,
        *,
        broker_problem: Callable[[], str | None],
        loop_lag_seconds: Callable[[], float],
        problems: Callable[[], Sequence[WorkerProblem]],
        state: WorkerState,
    ) -> None:
        self.beat = Beat()
        self._checks = WorkerChecks(self.beat, broker_problem, problems)
        self._metrics = WorkerMetrics(self.beat, loop_lag_seconds=loop_lag_seconds, state=state)

    def pages(self) -> dict[str, Callable[[], Page]]:
        """The pages of the health server, by path."""
        return {
            "/livez": check_page(self._checks.alive),
            "/readyz": check_page(self._checks.ready),
            "/metrics": self._metrics.page,
        }

    def connect(self) -> None:
        """Connect to Celery's signals, until the process ends."""
        heartbeat_sent.connect(self._on_heartbeat, weak=False)
        task_prerun.connect(self._on_prerun, weak=False)
        task_postrun.connect(self._on_postrun, weak=False)
        message_set_aside.connect(self._on_set_aside, weak=False)

    def _on_heartbeat(self, **_: Any) -> None:
        self.beat.mark()

    def _on_prerun(self, task: Any = None, **_: Any) -> None:
        self._metrics.began(task.name)

    def _on_postrun(self, task: Any = None, retval: Any = None, **_: Any) -> None:
        self._metrics.ended(task.name, retval)

    def _on_set_aside(self, queue: str = "", **_: Any) -> None:
        self._metrics.set_aside(queue)
