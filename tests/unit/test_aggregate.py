"""The reduce step: data by source, who answered, and what the parallel run saved."""

from __future__ import annotations

import heapq
import math
import random
from typing import Any

import pytest

from orchestrator.aggregate import aggregate, job_reports, performance_event
from orchestrator.models import AggregatedData, PlannedSource, RunOutcome, SourceEnvelope, SourceOutcome


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


def test_without_starts_the_parallel_time_is_the_largest_latency() -> None:
    """The sequential one is the sum; what was never received counts for neither."""
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


LIFE = (1_000_000, 1_010_000)
"""Submit and deadline of a run of ten seconds."""


def timed(*calls: tuple[int | None, float]) -> list[SourceEnvelope]:
    """Envelopes by start, in milliseconds since the submit, and latency."""
    return [
        envelope(f"source_{number}", latency, started_at_ms=None if start is None else LIFE[0] + start)
        for number, (start, latency) in enumerate(calls)
    ]


def figures(*calls: tuple[int | None, float]) -> tuple[float, float, float]:
    merged = aggregate(timed(*calls), lifetime=LIFE)
    return merged.parallel_latency_ms, merged.sequential_equivalent_ms, merged.speedup_factor


HOUR = 3_600_000


@pytest.mark.parametrize(
    ("calls", "expected"),
    [
        pytest.param([(5, 500), (5, 300), (5, 400)], (500, 1200, 2.4), id="together"),
        pytest.param([(5, 500), (7, 300), (9, 497)], (501, 1297, 2.59), id="a few milliseconds apart"),
        pytest.param([(0, 100), (100, 100), (200, 100)], (300, 300, 1.0), id="one after the other"),
        pytest.param([(0, 100), (0, 100), (100, 100), (100, 100)], (200, 400, 2.0), id="two at a time"),
        pytest.param([(0, 100), (400, 100)], (500, 200, 0.4), id="with a wait between"),
        pytest.param([(None, 500), (None, 700)], (700, 1200, 1.71), id="no starts"),
        pytest.param([(None, 500), (50, 100), (150, 100)], (500, 700, 1.4), id="an older version's among them"),
        pytest.param([(None, 100), (50, 100), (250, 100)], (300, 300, 1.0), id="a short one without a start"),
        pytest.param([(5, 500), (5 + HOUR, 300)], (500, 800, 1.6), id="a step forward"),
        pytest.param([(5, 500), (5 - HOUR, 300)], (500, 800, 1.6), id="a step back"),
        pytest.param([(5, 500), (9_900, 4_000)], (10_000, 4_500, 0.45), id="a step within the time of the run"),
        pytest.param([(10**400, 500), (-1, 300)], (500, 800, 1.6), id="damaged"),
    ],
)
def test_the_parallel_time_is_from_the_first_start_to_the_last_end(
    calls: list[tuple[int | None, float]], expected: tuple[float, float, float]
) -> None:
    """What waits in a queue is told; a start that cannot be the run's counts as the first."""
    assert figures(*calls) == expected


@pytest.mark.parametrize("seed", range(50))
def test_figures_keep_within_what_is_possible(seed: int) -> None:
    """Whatever the workers: no less than the longest call, no more than the run; a speed-up up to the workers."""
    chance = random.Random(seed)
    workers = chance.randint(1, 6)
    free, starts = [0.0] * workers, list[int]()
    calls: list[tuple[int | None, float]] = []
    for _ in range(chance.randint(1, 40)):
        latency = round(chance.uniform(1, 400), 1)
        start = math.ceil(heapq.heappop(free)) + chance.choice((0, 0, 3))
        heapq.heappush(free, start + latency)
        starts.append(start)
        calls.append((start, latency))
    parallel, sequential, speedup = figures(*calls)
    assert parallel == pytest.approx(max(free) - min(starts))
    assert sequential == pytest.approx(sum(latency for _, latency in calls))
    assert speedup == pytest.approx(sequential / parallel, abs=0.006)
    assert speedup <= min(workers, len(calls)) + 0.005
    chance.shuffle(calls)
    assert figures(*calls) == (parallel, sequential, speedup)
    stepped = [(start if chance.random() < 0.7 else chance.choice((None, -HOUR, HOUR)), ms) for start, ms in calls]
    longest = max(latency for _, latency in calls)
    assert longest <= figures(*stepped)[0] <= max(LIFE[1] - LIFE[0], longest)


def test_a_batch_is_one_call_about_all_its_jobs() -> None:
    """Of a call that was asked about three jobs at once, nothing says that three calls would have taken as long."""
    batch = PlannedSource(source="tws_status", batch=1, jobs=("A1", "B2", "C3"), limit_seconds=5)
    parts = [
        envelope("tws_status", 100, job="A1", started_at_ms=7),
        envelope("tws_status", 250, job="B2", started_at_ms=7),
        envelope("tws_status", 40, job="C3", started_at_ms=257, outcome="timeout"),
        envelope("tws_status", 290, job="D4", started_at_ms=7),
    ]
    merged = aggregate([*parts, envelope("metrics", 20, started_at_ms=7)], sources=[batch])

    assert (merged.parallel_latency_ms, merged.sequential_equivalent_ms) == (290, 290 + 290 + 20)


def test_waiting_for_a_clue_takes_no_time_of_asking_one_by_one() -> None:
    """The source that waited is as late as it was; asked after the other it would not have waited."""
    merged = aggregate(
        [envelope("tws_status", 200, started_at_ms=7), envelope("rag_search", 350, started_at_ms=7, waited_ms=310)]
    )

    assert (merged.parallel_latency_ms, merged.sequential_equivalent_ms) == (350, 240)
    assert merged.speedup_factor == 0.69


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


def test_each_job_has_the_outcome_of_its_own_sources() -> None:
    """A job is complete, partial, failed or timed out by what its sources did; those of the run do not save it."""
    envelopes = [
        *(envelope("tws_status", job=job) for job in ("WHOLE", "CUT")),
        envelope("tws_status", job="PART"),
        envelope("tws_status", job="DEAD", outcome="error"),
        envelope("tws_status", job="MUTE", outcome="timeout"),
        *(envelope("log_cache", job=job) for job in ("WHOLE", "CUT")),
        envelope("log_cache", job="PART", outcome="lost"),
        envelope("log_cache", job="DEAD", outcome="not_started"),
        envelope("log_cache", job="MUTE", outcome="not_started"),
        envelope("rag_search"),
    ]
    envelopes[1] = envelopes[1].model_copy(update={"data": {"listing": {"is_complete": False}}})
    reports = job_reports(envelopes, ("WHOLE", "CUT", "PART", "DEAD", "MUTE"))

    assert {report.job: report.outcome for report in reports} == {
        "WHOLE": RunOutcome.COMPLETE,
        "CUT": RunOutcome.PARTIAL,
        "PART": RunOutcome.PARTIAL,
        "DEAD": RunOutcome.FAILED,
        "MUTE": RunOutcome.TIMED_OUT,
    }
    assert {report.job: [failure.source for failure in report.errors] for report in reports} == {
        "WHOLE": [],
        "CUT": [],
        "PART": ["log_cache"],
        "DEAD": ["tws_status", "log_cache"],
        "MUTE": ["tws_status", "log_cache"],
    }


def test_jobs_that_were_found_and_not_asked_about_make_a_run_partial() -> None:
    """A search that found more jobs than it names has left some out."""
    found = envelope("tws_status").model_copy(update={"data": {"found": ["A1"], "found_count": 2}})

    assert job_reports([found], ("A1",))[0].outcome is RunOutcome.PARTIAL
