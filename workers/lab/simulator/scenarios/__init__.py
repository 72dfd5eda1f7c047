"""Scenarios, each with plan, log cache, metrics and question seeded together: ten of one cause, one of many jobs."""

from collections.abc import Callable
from datetime import UTC, datetime

from workers.lab.simulator.scenarios.base import Scenario
from workers.lab.simulator.scenarios.distributed import scenario_5, scenario_6, scenario_9, scenario_10
from workers.lab.simulator.scenarios.mainframe import scenario_1, scenario_8
from workers.lab.simulator.scenarios.many import scenario_11
from workers.lab.simulator.scenarios.starts import scenario_2, scenario_3, scenario_4, scenario_7

__all__ = ["MANY_JOBS", "SCENARIO_NUMBERS", "Scenario", "all_scenarios", "get_scenario"]

_SCENARIOS: dict[int, Callable[[datetime], Scenario]] = {
    1: scenario_1,
    2: scenario_2,
    3: scenario_3,
    4: scenario_4,
    5: scenario_5,
    6: scenario_6,
    7: scenario_7,
    8: scenario_8,
    9: scenario_9,
    10: scenario_10,
    11: scenario_11,
}
MANY_JOBS = 11
"""The scenario of two hundred jobs, which no single answer is right for."""
SCENARIO_NUMBERS = tuple(number for number in _SCENARIOS if number != MANY_JOBS)
"""The scenarios whose answers are scored."""


def get_scenario(number: int, now: datetime | None = None) -> Scenario:
    """The scenario of that number as of ``now`` (UTC; the current time by default). Raises KeyError."""
    return _SCENARIOS[number](now or datetime.now(UTC))


def all_scenarios(now: datetime | None = None) -> tuple[Scenario, ...]:
    """The scored scenarios, all as of the same moment."""
    at = now or datetime.now(UTC)
    return tuple(get_scenario(number, at) for number in SCENARIO_NUMBERS)
