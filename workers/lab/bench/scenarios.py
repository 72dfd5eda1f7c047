"""The table of scenarios: sleeping sources in sequence and in parallel."""

from collections.abc import Callable
from dataclasses import dataclass, field

from orchestrator.i18n.message import Message
from workers.lab.bench.subjects import Sleeps, Troubleshoot, in_sequence

LOAD: Sleeps = {"tws_status": 0.3, "rag_search": 0.5, "log_cache": 0.1, "metrics": 0.05}
"""Durations of the sources for overhead and throughput."""


@dataclass(frozen=True, slots=True)
class BenchScenario:
    """A row of the table: seconds per source and the sources that fail after them."""

    name: str
    sleeps: Sleeps
    failing: tuple[str, ...] = field(default=())


SCENARIOS = (
    BenchScenario("best", {"tws_status": 0.2, "rag_search": 0.2, "log_cache": 0.2, "metrics": 0}),
    BenchScenario("typical", {"tws_status": 0.3, "rag_search": 0.5, "log_cache": 0.1, "metrics": 0}),
    BenchScenario("one_slow", {"tws_status": 0.5, "rag_search": 0.8, "log_cache": 0.2, "metrics": 0}),
    BenchScenario(
        "with_failures", {"tws_status": 0.5, "rag_search": 0.5, "log_cache": 0.2, "metrics": 0}, ("log_cache",)
    ),
)
"""The metrics come from memory. In sequence 600, 900, 1500 and 1200 ms; the slowest sources 200, 500, 800 and 500."""
RUNS = 5


def run_scenarios(subject: Troubleshoot, say: Callable[[Message], None]) -> list[dict[str, object]]:
    """Measure each scenario: its sources in sequence, then the median of whole runs from submit to report.

    ``report`` has what that run says itself: the sum of the sources' latencies, and the time from the first start to
    the last end.
    """
    rows: list[dict[str, object]] = []
    for scenario in SCENARIOS:
        say(Message("scenario {name}", name=scenario.name))
        sequential = in_sequence(scenario.sleeps)
        runs = [subject.run(scenario.sleeps, scenario.failing) for _ in range(RUNS)]
        run = sorted(runs, key=lambda timed: timed.total_ms)[RUNS // 2]
        rows.append(
            {
                "name": scenario.name,
                "sequential_ms": round(sequential, 1),
                "parallel_ms": round(run.total_ms, 1),
                "speedup": round(sequential / run.total_ms, 2),
                "report": run.figures,
                "sources_available": len(scenario.sleeps) - len(scenario.failing),
                "sources_failed": len(scenario.failing),
            }
        )
    return rows
