"""A range in a few figures, and when a jump against the day before is a concern."""

from __future__ import annotations

import pytest

from orchestrator.i18n.languages import Language
from workers.sources.metrics.evidence import facts_of
from workers.sources.metrics.prometheus import RangeSummary, summarise
from workers.sources.metrics.series import DEFAULT_SERIES

SERIES = {series.name: series for series in DEFAULT_SERIES}


def test_no_points_are_no_summary() -> None:
    """Without points there are no figures, not zeros."""
    assert summarise([], [1.0]) is None


def test_figures_of_a_range() -> None:
    """Minimum, mean, maximum and the ratio to the day before."""
    summary = summarise([1, 2, 3], [1, 1])
    assert summary == RangeSummary(minimum=1, mean=2, maximum=3, trend="", anomaly_ratio=2)


@pytest.mark.parametrize("day_before", [[], [0.0, 0.0]])
def test_without_a_day_before_there_is_no_ratio(day_before: list[float]) -> None:
    """Nothing to compare with, or only zeros, is no anomaly."""
    summary = summarise([1.0], day_before)
    assert summary is not None
    assert summary.anomaly_ratio is None


@pytest.mark.parametrize(
    ("points", "trend"),
    [
        ([1, 1, 1, 2, 2, 2], "rising"),
        ([2, 2, 2, 1, 1, 1], "falling"),
        ([100, 101, 99, 100, 104, 105], "flat"),
        ([0, 0, 0, 0, 0, 0], "flat"),
        ([0, 0, 9, 9, 0, 0], "flat"),
        ([1, 2, 3, 4, 5], ""),
    ],
)
def test_the_trend_compares_first_and_last_third(points: list[float], trend: str) -> None:
    """A tenth is a change, a hump in the middle is none, and a few points say nothing."""
    summary = summarise(points, [])
    assert summary is not None
    assert summary.trend == trend


@pytest.mark.parametrize(
    ("value", "ratio", "is_concern"), [(0.04, 3.0, True), (0.04, 2.9, False), (0.02, 9.0, False), (0.06, 1.0, True)]
)
def test_a_jump_counts_half_way_to_the_limit(value: float, ratio: float, is_concern: bool) -> None:
    """Three times the day before is a concern for a value that is not small, and the limit alone always is."""
    summary = RangeSummary(minimum=0, mean=value, maximum=value, anomaly_ratio=ratio)
    for language in Language:
        facts = facts_of(SERIES["api_error_rate"], value, {}, language, summary)
        assert bool(facts.concern) is is_concern


def test_labels_are_bounded() -> None:
    """However many and long the labels are, the payload stays small."""
    labels = {f"l{number:02d}": "x" * 1_000 for number in range(40)} | {"__name__": "m"}
    facts = facts_of(SERIES["queue_depth"], 1, labels, Language.EN)
    assert sum(len(value) for value in facts.labels.values()) <= 2_000
    assert "__name__" not in facts.labels
