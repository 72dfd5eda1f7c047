"""The counterparts of a scenario: a simulated TWS, the app's metrics and a filled log cache."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from orchestrator.config import Settings
from orchestrator.store.connection import session
from workers.lab.simulator.hwa import HwaSimulator
from workers.lab.simulator.metrics import AppMetricsServer
from workers.lab.simulator.scenarios import Scenario

# A scenario replaces all counterparts: settings of real ones would mix real and simulated data.
_INHERITED = ("RESYNC_LOG_LEVEL", "RESYNC_LOG_FORMAT", "RESYNC_LLM_", "RESYNC_PIPELINES_FILE")
_LEFT_OUT = ("RESYNC_", "TWS_", "REDIS_URL")


def scenario_environ(environ: Mapping[str, str]) -> dict[str, str]:
    """``environ`` without the settings of real counterparts; those of a model and of pipelines stay."""
    return {
        name: value
        for name, value in environ.items()
        if name.startswith(_INHERITED) or not name.removeprefix("APP_").startswith(_LEFT_OUT)
    }


@contextmanager
def scenario_parts(scenario: Scenario, settings: Settings) -> Iterator[dict[str, str]]:
    """Start the servers and fill the log cache of ``settings``; yields the variables for the sources.

    Writes simulated history, so the Redis must be an embedded one.
    """
    with session(settings) as client:
        for key, value in scenario.log_cache.items():
            client.set(key, value)
    simulator = HwaSimulator(scenario.plan, faults=scenario.faults)
    with simulator, AppMetricsServer(scenario.metrics_text) as metrics:
        yield {**simulator.environ(), "RESYNC_METRICS_URL": metrics.url}
