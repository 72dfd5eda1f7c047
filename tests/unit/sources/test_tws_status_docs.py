"""The TWS page of the documentation tells what the code does."""

import re
from pathlib import Path

import pytest

from workers.config import TwsSettings
from workers.sources.tws_status import errors as hwa_errors
from workers.sources.tws_status import joblog as hwa_joblog
from workers.sources.tws_status import lookup as hwa_lookup
from workers.sources.tws_status import problems as hwa_problems
from workers.sources.tws_status.client import FAILURES_TO_OPEN, OPEN_SECONDS
from workers.sources.tws_status.evidence import MAX_BYTES, MAX_ITEMS
from workers.sources.tws_status.transport import Endpoint

PAGE = (Path(__file__).resolve().parents[3] / "docs" / "tws.md").read_text(encoding="utf-8")


def _kinds(kind: type[hwa_errors.HwaError]) -> list[type[hwa_errors.HwaError]]:
    return [kind, *(deeper for below in kind.__subclasses__() for deeper in _kinds(below))]


def test_every_variable_is_documented() -> None:
    """Each name that the settings read, without its APP_ twin, stands on the page."""
    aliases = [field.validation_alias for field in TwsSettings.model_fields.values()]
    names = {str(name) for alias in aliases for name in getattr(alias, "choices", [alias])}
    plain = {name for name in names if not name.startswith("APP_")}
    assert len(plain) >= 10
    assert {name for name in plain if f"`{name}`" not in PAGE} == set()


@pytest.mark.parametrize("kind", [found for found in _kinds(hwa_errors.HwaError) if found is not hwa_errors.HwaError])
def test_every_reason_is_documented(kind: type[hwa_errors.HwaError]) -> None:
    """What a reader meets in an envelope can be looked up."""
    assert f"| `{kind.reason}` |" in PAGE


@pytest.mark.parametrize("endpoint", list(Endpoint))
def test_every_endpoint_is_documented(endpoint: Endpoint) -> None:
    """The page lists exactly what can be sent."""
    assert f"`{endpoint.value}`" in PAGE
    listed = set(re.findall(r"`(/(?:plan|engine|model)/[^`]*)`", PAGE))
    assert listed == {found.value for found in Endpoint}


def test_the_limits_are_those_of_the_code() -> None:
    """The numbers on the page are the constants."""
    assert f"{MAX_ITEMS} items, {MAX_BYTES // 1024} KiB" in PAGE
    assert f"| problem jobs | {hwa_problems.MAX_PROBLEMS}," in PAGE
    assert f"| 10, {hwa_lookup.MAX_ISSUES}, {hwa_lookup.MAX_RELATED}, {hwa_lookup.MAX_RELATED} |" in PAGE
    assert f"{hwa_joblog.MAX_LINES} lines in all" in PAGE
    assert f"pages of {hwa_joblog.PAGE_LINES} lines, at most {hwa_joblog.MAX_PAGES}" in PAGE
    assert f"first {hwa_joblog.HEAD_LINES} and the last {hwa_joblog.TAIL_LINES} lines" in PAGE
    assert f"left alone for {OPEN_SECONDS:g} s" in PAGE
    assert FAILURES_TO_OPEN == 5
    assert "five questions in a row" in PAGE
