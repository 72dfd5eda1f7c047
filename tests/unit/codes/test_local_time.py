"""Times in the zone of the instance."""

from datetime import UTC, datetime

import pytest

from orchestrator.codes.local_time import in_zone, seconds_between, shown_time


@pytest.mark.parametrize(
    ("value", "zone", "local", "shown"),
    [
        (
            "2026-11-24T11:31:40Z",
            "America/Sao_Paulo",
            "2026-11-24T08:31:40-03:00",
            "2026-11-24 08:31 (America/Sao_Paulo)",
        ),
        ("2026-11-24T11:31:40", "", "2026-11-24T11:31:40", "2026-11-24 11:31 (UTC)"),
        ("2026-11-24T08:31:40-03:00", "", "2026-11-24T08:31:40-03:00", "2026-11-24 08:31 (UTC-03:00)"),
        ("0001-01-01T00:00:00Z", "America/Sao_Paulo", "0001-01-01T00:00:00Z", "0001-01-01 00:00 (UTC)"),
        ("ontem", "America/Sao_Paulo", "ontem", "ontem"),
        (None, "America/Sao_Paulo", "", ""),
        ("2026-11-24T11:31:40Z", "../etc/passwd", "2026-11-24T11:31:40Z", "2026-11-24 11:31 (UTC)"),
    ],
)
def test_a_time_is_shown_in_the_instances_zone(value: str | None, zone: str, local: str, shown: str) -> None:
    """With the zone beside it; what is no time, and a zone that is none, change nothing."""
    assert (in_zone(value, zone), shown_time(value, zone)) == (local, shown)


def test_a_duration_needs_two_times_in_order() -> None:
    """Clocks that run backwards give none."""
    start, now = "2026-11-24T11:00:00Z", datetime(2026, 11, 24, 12, 3, tzinfo=UTC)
    assert seconds_between(start, now) == 63 * 60
    assert seconds_between(start, "2026-11-24T10:00:00Z") is None
    assert seconds_between(None, now) is None
