"""Reading a Prometheus exposition text: names, scales, missing and broken values."""

from __future__ import annotations

import pytest

from orchestrator.i18n.languages import Language
from workers.sources.metrics.exposition import NotExposition, Reading, parse_exposition
from workers.sources.metrics.series import DEFAULT_SERIES, Series

SERIES = {series.name: series for series in DEFAULT_SERIES}


def read(body: str, name: str, workstations: tuple[str, ...] = ()) -> Reading | None:
    """The reading of one series in a body."""
    return parse_exposition(body, DEFAULT_SERIES).read(SERIES[name], workstations)


def test_a_missing_series_is_none_and_a_zero_is_zero() -> None:
    """What is not published has no value; a published zero is a value."""
    assert read("resync_queue_depth 0\n", "queue_depth") == Reading(0.0, {}, "resync_queue_depth")
    assert read("resync_queue_depth 0\n", "api_error_rate") is None


@pytest.mark.parametrize("value", ["NaN", "+Inf", "-Inf"])
def test_a_value_that_is_no_number_is_missing(value: str) -> None:
    """NaN and infinities are no data."""
    assert read(f"resync_api_error_rate {value}\n", "api_error_rate") is None


def test_the_worst_of_several_label_sets_is_taken() -> None:
    """Of several queues the longest counts, of several connections the least successful."""
    queues = 'resync_queue_depth{queue="a"} 3\nresync_queue_depth{queue="b"} 7\n'
    assert read(queues, "queue_depth") == Reading(7.0, {"queue": "b"}, "resync_queue_depth")
    rates = 'tws_connection_success_rate{i="a"} 0.5\ntws_connection_success_rate{i="b"} 1\n'
    assert read(rates, "tws_connection_success_rate") == Reading(0.5, {"i": "a"}, "tws_connection_success_rate")


def test_the_named_workstation_is_preferred() -> None:
    """With a workstation in the question its own host counts, not the busiest one."""
    body = 'host_cpu_percent{instance="ws1.example:9100"} 20\nhost_cpu_percent{instance="ws2:9100"} 99\n'
    reading = read(body, "host_cpu", ("WS1",))
    assert reading is not None
    assert reading.value == pytest.approx(0.2)


def test_per_cent_and_ratio_become_the_same_unit() -> None:
    """A name in per cent, or a ratio above one, is divided by 100."""
    for body in ("system_cpu_percent 0.5\n", "resync_cache_hit_rate 0.005\n", "cache_hit_rate 87\n"):
        name = "host_cpu" if "cpu" in body else "cache_hit_rate"
        reading = read(body, name)
        assert reading is not None
        assert reading.value == pytest.approx(0.87 if "87" in body else 0.005)


def test_memory_and_disk_are_computed_from_free_and_total() -> None:
    """The node exporter's gauges give the share in use, per file system, without the memory-backed ones."""
    body = """# TYPE node_memory_MemTotal_bytes gauge
node_memory_MemTotal_bytes 100
node_memory_MemAvailable_bytes 25
node_filesystem_avail_bytes{fstype="ext4",mountpoint="/"} 40
node_filesystem_size_bytes{fstype="ext4",mountpoint="/"} 50
node_filesystem_avail_bytes{fstype="squashfs",mountpoint="/snap"} 0
node_filesystem_size_bytes{fstype="squashfs",mountpoint="/snap"} 50
"""
    memory, disk = read(body, "host_memory"), read(body, "host_disk")
    assert memory is not None
    assert memory.value == pytest.approx(0.75)
    assert disk is not None
    assert disk.value == pytest.approx(0.2)


def test_a_broken_line_spoils_only_itself() -> None:
    """An unreadable sample is counted; the others are read."""
    text = parse_exposition('resync_queue_depth{queue="a 3\nresync_cache_hit_rate 0.9\n', DEFAULT_SERIES)
    assert text.unreadable_lines == 1
    assert text.read(SERIES["cache_hit_rate"]) is not None


@pytest.mark.parametrize("body", ["<html><body>login</body></html>", '{"status": "ok"}', "hello world\nbye bye\n"])
def test_another_format_is_refused(body: str) -> None:
    """A login page or JSON is not an empty set of metrics."""
    with pytest.raises(NotExposition):
        parse_exposition(body, DEFAULT_SERIES)


def test_an_empty_body_has_no_samples() -> None:
    """An endpoint with no metrics is valid and empty."""
    assert parse_exposition("", DEFAULT_SERIES).samples == {}


@pytest.mark.parametrize("series", DEFAULT_SERIES, ids=lambda series: series.name)
def test_every_limit_has_two_sides_and_words_in_every_language(series: Series) -> None:
    """Beyond the limit there is a sentence in each language, on the limit there is none."""
    beyond = series.limit * 1.5 if series.bad == "high" else series.limit * 0.5
    for language in Language:
        concern = series.concern(beyond)
        assert concern is not None
        assert series.label.in_language(language) in concern.in_language(language)
        assert series.concern(series.limit) is None


@pytest.mark.parametrize(
    ("language", "value"), [(Language.PT_BR, "2,9 s"), (Language.ES, "2,9 s"), (Language.EN, "2.9 s")]
)
def test_a_value_has_the_languages_decimal_mark(language: Language, value: str) -> None:
    """Figures stand in answers: 2,9 in Portuguese and Spanish, 2.9 in English."""
    series = next(item for item in DEFAULT_SERIES if item.unit == "seconds")
    concern = series.concern(2.9)
    assert series.shown(2.9).in_language(language) == value
    assert concern is not None
    assert value in concern.in_language(language)


def test_a_huge_text_is_read_within_bounds() -> None:
    """A line with thousands of labels is left unread, and of very many samples the rest is counted."""
    labels = ",".join(f'a{number}="x"' for number in range(5_000))
    text = parse_exposition(f"resync_queue_depth{{{labels}}} 9\n" + "resync_queue_depth 3\n" * 6_000, DEFAULT_SERIES)
    assert text.unreadable_lines == 1
    assert (len(text.samples["resync_queue_depth"]), text.unread_samples) == (4_999, 1_001)
    reading = text.read(SERIES["queue_depth"])
    assert reading is not None
    assert reading.value == 3
