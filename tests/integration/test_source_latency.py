"""How long each source takes for each scenario, printed: ``pytest -s -n0`` of this file makes the table."""

from __future__ import annotations

import asyncio
import statistics
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests_support import stretched

from orchestrator.config import ParallelConfig, Settings
from orchestrator.models import SourceOutcome, SourceRequest
from orchestrator.routing.router import route
from orchestrator.sources import BUILTIN_SOURCES, load_source
from workers.lab.simulator.counterparts import scenario_parts
from workers.lab.simulator.scenarios import SCENARIO_NUMBERS, get_scenario

ROUNDS = 20
LIMIT_SECONDS = ParallelConfig().node_timeout_seconds
ROWS: list[str] = []


@pytest.fixture(scope="module", autouse=True)
def table(request: pytest.FixtureRequest) -> Iterator[None]:
    """Prints the table once all scenarios have been asked: median / 95th percentile in ms."""
    yield
    head = ["", f"| scenario | {' | '.join(BUILTIN_SOURCES)} |", "|---|" + "---|" * len(BUILTIN_SOURCES)]
    for line in (*head, *ROWS):
        request.config.get_terminal_writer().line(line)
    ROWS.clear()


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the index of the shipped runbooks is built, once for all scenarios."""
    return tmp_path_factory.mktemp("cache")


async def measure(name: str, request: SourceRequest, environ: dict[str, str]) -> tuple[SourceOutcome, list[float]]:
    """Outcome and milliseconds of each fetch after the first, which opens connections and may build an index."""
    source = load_source(name).create(environ)
    try:
        result = await source.fetch(request.model_copy(update={"limit_seconds": 60.0}))
        taken = []
        for _ in range(ROUNDS):
            began = time.perf_counter()
            await source.fetch(request)
            taken.append((time.perf_counter() - began) * 1_000)
    finally:
        await source.close()
    return result.outcome, taken


@pytest.mark.parametrize("number", SCENARIO_NUMBERS)
def test_a_source_takes_a_small_part_of_its_limit(number: int, settings: Settings, cache: Path) -> None:
    """The median of each source that answers is below a tenth of the default limit, for every scenario."""
    scenario = get_scenario(number)
    routing = route(scenario.question, jobs=() if scenario.job_name is None else (scenario.job_name,))
    cells, medians = [], {}
    with scenario_parts(scenario, settings) as variables:
        environ = {**variables, "REDIS_URL": settings.redis_url, "XDG_CACHE_HOME": str(cache)}
        for name in BUILTIN_SOURCES:
            if name == "tws_status" and scenario.faults:
                cells.append("its limit")
                continue
            job = next(iter(routing.entities.jobs), None) if load_source(name).per_job else None
            request = SourceRequest(
                run_id="run-00000001",
                source=name,
                job=job,
                message=scenario.question,
                routing=routing,
                limit_seconds=LIMIT_SECONDS,
            )
            outcome, taken = asyncio.run(measure(name, request, environ))
            assert outcome.is_success
            medians[name] = statistics.median(taken)
            cells.append(f"{medians[name]:.1f} / {statistics.quantiles(taken, n=20)[-1]:.1f}")
    ROWS.append(f"| {number} {scenario.name} | " + " | ".join(cells) + " |")
    bound_ms = stretched(LIMIT_SECONDS * 100)
    assert {name: value for name, value in medians.items() if value > bound_ms} == {}
