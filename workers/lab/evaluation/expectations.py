"""Expectations for the answer to each scenario: required and forbidden statements, and cited sources."""

import tomllib
from importlib.resources import files

from pydantic import BaseModel, ConfigDict

from orchestrator.codes.catalogue import Category
from workers.lab.simulator.scenarios import Scenario

TWS = "tws_status"


class _Data(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Statement(_Data):
    """A required statement; it is not required when one of the sources in ``needs`` failed."""

    pattern: str
    needs: tuple[str, ...]


class Expectation(_Data):
    """Expectation for the answer to one scenario."""

    required: tuple[Statement, ...]
    forbidden: tuple[str, ...] = ()
    cited: tuple[str, ...] = (TWS,)
    """Sources that the claims must cite if they answered."""
    without_tws: tuple[Category, ...] = (Category.UNKNOWN,)
    """Right categories without TWS."""
    without: dict[str, tuple[Category, ...]] = {}
    """Right categories without another source; by default the scenario's own."""

    def categories(self, scenario: Scenario, failed_source: str | None) -> frozenset[str]:
        """The right categories when ``failed_source`` failed."""
        if failed_source == TWS:
            return frozenset(category.value for category in self.without_tws)
        categories = self.without.get(failed_source or "", ())
        return frozenset(category.value for category in categories) or frozenset({scenario.category})


class _Expectations(_Data):
    always_forbidden: tuple[str, ...]
    scenario: dict[int, Expectation]


_FILE = files(__package__).joinpath("expectations.toml").read_text(encoding="utf-8")
_ALL = _Expectations.model_validate(tomllib.loads(_FILE))
ALWAYS_FORBIDDEN, EXPECTATIONS = _ALL.always_forbidden, _ALL.scenario
