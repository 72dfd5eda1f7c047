"""The reduce step: data by source, who answered, and what the parallel run saved."""

from __future__ import annotations

from typing import Any

import pytest

from orchestrator.aggregate import aggregate, performance_event
from orchestrator.models import AggregatedData, SourceEnvelope, SourceOutcome


def envelope(
    source: str, latency_ms: float = 100, *, job: str | None = None, outcome: str = "ok", **more: Any
) -> SourceEnvelope:
    """An envelope of a source that ended that way."""
    ended = SourceOutcome(outcome)
    data = {"of": source, "job": job} if ended.is_success else {}
    return SourceEnvelope(
        source=source, job=job, outcome=ended, success=ended.is_success, data=data, latency_ms=latency_ms, **more
    )


def test_each_source_has_the_apps_own_key() -> None:
    """The four sources' data stands under the app's names, a site's own source under its name in extra."""
    names = ("tws_status", "rag_search", "log_cache", "metrics", "change_calendar")
    merged = aggregate([envelope(name) for name in names])

    assert merged.tws_status == {"of": "tws_status", "job": None}
    assert merged.rag_results == {"of": "rag_search", "job": None}
    assert merged.log_data == {"of": "log_cache", "job": None}
    assert merged.metrics == {"of": "metrics", "job": None}
    assert merged.extra == {"change_calendar": {"of": "change_calendar", "job": None}}
    assert merged.sources_available == names


def test_one_job_is_the_data_itself() -> None:
    """With a single job a source's field is its data, as the app reads it."""
    merged = aggregate([envelope("tws_status", job="A1")], ("A1",))

    assert merged.tws_status == {"of": "tws_status", "job": "A1"}
    assert merged.jobs == ("A1",)


def test_several_jobs_are_a_mapping() -> None:
    """With several jobs a field maps each job to its data; a source asked once per run stays as it is."""
    merged = aggregate([envelope("tws_status", job="A1"), envelope("tws_status", job="B2"), envelope("metrics")])

    assert merged.jobs == ("A1", "B2")
    assert merged.tws_status == {
        "A1": {"of": "tws_status", "job": "A1"},
        "B2": {"of": "tws_status", "job": "B2"},
    }
    assert merged.metrics == {"of": "metrics", "job": None}


def test_a_source_is_available_once_if_any_of_its_envelopes_succeeded() -> None:
    """A source that answered for one job and failed for another is available once and failed once."""
    merged = aggregate(
        [envelope("tws_status", job="A1"), envelope("tws_status", job="B2", outcome="error", error="boom")]
    )

    assert merged.sources_available == ("tws_status",)
    assert [(failure.source, failure.job, failure.error) for failure in merged.sources_failed] == [
        ("tws_status", "B2", "boom")
    ]


def test_no_data_is_a_success() -> None:
    """A source that answered and had nothing is available, not failed."""
    merged = aggregate([envelope("log_cache", outcome="no_data")])

    assert merged.sources_available == ("log_cache",)
    assert merged.sources_failed == ()


def test_a_failure_always_says_something() -> None:
    """Without an error text the reason stands in, and without a reason the outcome."""
    merged = aggregate([envelope("metrics", outcome="timeout"), envelope("rag_search", outcome="error", reason="tls")])

    assert [failure.error for failure in merged.sources_failed] == ["timeout", "tls"]


def test_latencies_are_the_largest_and_the_sum_of_what_was_received() -> None:
    """The parallel time is the maximum, the sequential one the sum; what was never received counts for neither."""
    merged = aggregate(
        [
            envelope("tws_status", 500),
            envelope("rag_search", 300),
            envelope("log_cache", 400, outcome="timeout"),
            envelope("metrics", 9_000, outcome="not_started"),
            envelope("change_calendar", 9_000, outcome="lost"),
        ]
    )

    assert (merged.parallel_latency_ms, merged.sequential_equivalent_ms) == (500, 1200)
    assert merged.speedup_factor == 2.4


@pytest.mark.parametrize("envelopes", [[], [envelope("metrics", 5, outcome="lost")]], ids=["none", "lost"])
def test_nothing_received_is_no_speedup(envelopes: list[SourceEnvelope]) -> None:
    """Without a received envelope both times are 0 and the speedup is 1."""
    merged = aggregate(envelopes)

    assert (merged.parallel_latency_ms, merged.sequential_equivalent_ms, merged.speedup_factor) == (0, 0, 1.0)


def test_the_performance_event_is_the_agreed_line() -> None:
    """The log line has the agreed fields, whole milliseconds and the speedup with two digits and an x."""
    merged = AggregatedData(
        sources_available=("tws_status", "rag_search", "log_cache", "metrics"),
        parallel_latency_ms=500.4,
        sequential_equivalent_ms=1199.6,
        speedup_factor=2.4,
    )

    assert performance_event("run-00000001", merged) == {
        "event": "parallel_aggregation_complete",
        "run_id": "run-00000001",
        "sources_available": 4,
        "sources_failed": 0,
        "parallel_latency_ms": 500,
        "sequential_equivalent_ms": 1200,
        "speedup_factor": "2.40x",
    }
