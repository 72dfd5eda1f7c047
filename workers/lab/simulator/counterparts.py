"""A scenario's counterparts, seeded together: a simulated TWS, an application's metrics, a filled log cache."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from orchestrator.config import Settings
from orchestrator.store.connection import connect, store_errors
from workers.lab.simulator.hwa import HwaSimulator
from workers.lab.simulator.metrics import AppMetricsServer
from workers.lab.simulator.scenarios import Scenario

# A scenario answers for all counterparts: settings of real ones would mix true and made-up facts.
_KEPT = ("RESYNC_LOG_LEVEL", "RESYNC_LLM_MAX_PROMPT_TOKENS")
_LEFT_OUT = ("RESYNC_", "TWS_", "REDIS_URL")


def scenario_environ(environ: Mapping[str, str]) -> dict[str, str]:
    """``environ`` without the settings of real counterparts; a model that is configured stays."""
    return {
        name: value
        for name, value in environ.items()
        if name in _KEPT or not name.removeprefix("APP_").startswith(_LEFT_OUT)
    }


@contextmanager
def scenario_parts(scenario: Scenario, settings: Settings) -> Iterator[dict[str, str]]:
    """Start the servers and fill the log cache of ``settings``; gives the variables that lead the sources there.

    Writes made-up history: only for a Redis of one's own.
    """
    client = connect(settings)
    try:
        with store_errors():
            for key, value in scenario.log_cache.items():
                client.set(key, value)
    finally:
        client.close()
    simulator = HwaSimulator(scenario.plan, faults=scenario.faults)
    with simulator, AppMetricsServer(scenario.metrics_text) as metrics:
        yield {**simulator.environ(), "RESYNC_METRICS_URL": metrics.url}
