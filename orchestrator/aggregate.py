"""The reduce step: envelopes to one ``AggregatedData``, with the time that asking in parallel saved."""

from collections.abc import Iterable, Sequence
from typing import Any

from orchestrator.models import (
    AggregatedData,
    Evidence,
    JobReport,
    PlannedSource,
    RunOutcome,
    SourceEnvelope,
    SourceFailure,
    SourceOutcome,
)
from orchestrator.outcomes import QUEUE_FULL
from orchestrator.payloads import is_cut_list

FIELD_OF_SOURCE = {
    "tws_status": "tws_status",
    "rag_search": "rag_results",
    "log_cache": "log_data",
    "metrics": "metrics",
}
"""Fields of ``AggregatedData`` for the built-in sources; any other source is in ``extra``, by its name."""

_NOT_RECEIVED = (SourceOutcome.NOT_STARTED, SourceOutcome.LOST)
NOT_IN_TIME = frozenset({SourceOutcome.TIMEOUT, SourceOutcome.NOT_STARTED, SourceOutcome.LOST})
"""Outcomes of sources that have said nothing by their limit."""
Lifetime = tuple[int, int]
"""Submit and deadline of a run, in milliseconds of the Redis clock."""


def aggregate(
    envelopes: Sequence[SourceEnvelope],
    jobs: tuple[str, ...] = (),
    *,
    sources: Iterable[PlannedSource] = (),
    lifetime: Lifetime | None = None,
) -> AggregatedData:
    """Merge the envelopes of one run.

    With one job or none, a source's field is its data. With several ``jobs``, it is a mapping of job to data; a source
    that is asked once per run keeps its data itself. Times in milliseconds are over the envelopes received: from the
    first start to the last end (the time of the parallel run, with what waited in a queue between them), and the sum of
    the latencies (the time of asking one source after the other, in which none waits for another's clue). A batch among
    the planned ``sources`` is one call about all its jobs. ``lifetime`` is that of the run, and bounds the first.
    """
    jobs = jobs or tuple(dict.fromkeys(envelope.job for envelope in envelopes if envelope.job is not None))
    received = [
        envelope for envelope in envelopes if envelope.outcome not in _NOT_RECEIVED and envelope.kept_from is None
    ]
    parallel = _span_ms(received, lifetime)
    sequential = sum(
        _span_ms(call, lifetime) - max(envelope.waited_ms for envelope in call) for call in _calls(received, sources)
    )
    return AggregatedData(
        **data_fields(envelopes, jobs),
        jobs=jobs,
        sources_available=tuple(dict.fromkeys(envelope.source for envelope in envelopes if envelope.success)),
        sources_failed=failures(envelopes),
        parallel_latency_ms=parallel,
        sequential_equivalent_ms=round(sequential, 1),
        speedup_factor=round(sequential / parallel, 2) if parallel > 0 else 1.0,
    )


def _calls(envelopes: Iterable[SourceEnvelope], sources: Iterable[PlannedSource]) -> Iterable[Sequence[SourceEnvelope]]:
    """The envelopes by the call that they are of: those of a batch's jobs together, any other alone."""
    batches = {alone.key: planned.key for planned in sources if planned.batch is not None for alone in planned.each}
    calls: dict[str, list[SourceEnvelope]] = {}
    for envelope in envelopes:
        calls.setdefault(batches.get(envelope.key, envelope.key), []).append(envelope)
    return calls.values()


def _span_ms(envelopes: Sequence[SourceEnvelope], lifetime: Lifetime | None) -> float:
    """Milliseconds from the first start to the last end, never less than the largest latency.

    An envelope without a start that lies in the ``lifetime`` counts as started with the first: it is of a version that
    stored none, or the clock has stepped. Where all started together, the span is the largest latency.
    """
    starts = [_start_ms(envelope, lifetime) for envelope in envelopes]
    first = min((start for start in starts if start is not None), default=0)
    ends = (
        envelope.latency_ms + (0 if start is None else start - first)
        for envelope, start in zip(envelopes, starts, strict=True)
    )
    span = max(ends, default=0.0)
    if lifetime is not None:
        submitted, deadline = lifetime
        span = min(span, float(deadline - submitted))
    return round(max((span, *(envelope.latency_ms for envelope in envelopes))), 1)


def _start_ms(envelope: SourceEnvelope, lifetime: Lifetime | None) -> int | None:
    start = envelope.started_at_ms
    is_known = start is not None and (lifetime is None or lifetime[0] <= start <= lifetime[1])
    return start if is_known else None


def performance_event(run_id: str, aggregated: AggregatedData) -> dict[str, Any]:
    """The JSON log line about the fan-in of a run; milliseconds are whole numbers."""
    return {
        "event": "parallel_aggregation_complete",
        "run_id": run_id,
        "sources_available": len(aggregated.sources_available),
        "sources_failed": len(aggregated.sources_failed),
        "parallel_latency_ms": round(aggregated.parallel_latency_ms),
        "sequential_equivalent_ms": round(aggregated.sequential_equivalent_ms),
        "speedup_factor": f"{aggregated.speedup_factor:.2f}x",
    }


def data_fields(envelopes: Iterable[SourceEnvelope], jobs: Sequence[str]) -> dict[str, Any]:
    """The data of the sources that answered, as the fields of an ``AggregatedData`` about ``jobs``.

    Of a source that was asked for a list, and then about the jobs that were found: the list, with theirs in ``jobs``.
    """
    good = [envelope for envelope in envelopes if envelope.success]
    data = {envelope.source: envelope.data for envelope in good if envelope.job is None}
    by_job: dict[str, dict[str, Any]] = {}
    for envelope in good:
        if envelope.job is not None:
            by_job.setdefault(envelope.source, {})[envelope.job] = envelope.data
    for source, of_jobs in by_job.items():
        if source in data:
            data[source] = {**data[source], "jobs": of_jobs}
        else:
            data[source] = of_jobs if len(jobs) > 1 else next(reversed(of_jobs.values()))
    fields: dict[str, Any] = {field: data.pop(source, None) for source, field in FIELD_OF_SOURCE.items()}
    return fields | {"extra": data}


def all_evidence(envelopes: Iterable[SourceEnvelope]) -> tuple[Evidence, ...]:
    """The evidence of every envelope, in order."""
    return tuple(item for envelope in envelopes for item in envelope.evidence)


def failures(envelopes: Iterable[SourceEnvelope]) -> tuple[SourceFailure, ...]:
    """One entry per source that did not answer."""
    return tuple(
        SourceFailure(
            source=envelope.source,
            error=envelope.error or envelope.reason or envelope.outcome.value,
            outcome=envelope.outcome,
            reason=envelope.reason,
            job=envelope.job,
        )
        for envelope in envelopes
        if not envelope.success
    )


def outcome_of(envelopes: Sequence[SourceEnvelope], *, has_enough: bool) -> RunOutcome:
    """What came of a run, or of one of its jobs, by its sources; ``has_enough``: whether enough of them answered.

    Partial when one did not answer, or a list was cut; timed out when none has said anything in time.
    """
    if not has_enough:
        failed = [envelope for envelope in envelopes if not envelope.success]
        silent = all(envelope.outcome in NOT_IN_TIME and envelope.reason != QUEUE_FULL for envelope in failed)
        return RunOutcome.TIMED_OUT if silent and len(failed) == len(envelopes) else RunOutcome.FAILED
    is_whole = all(envelope.success and not is_cut_list(envelope.data) for envelope in envelopes)
    return RunOutcome.COMPLETE if is_whole else RunOutcome.PARTIAL


def job_reports(envelopes: Sequence[SourceEnvelope], jobs: Iterable[str]) -> tuple[JobReport, ...]:
    """One entry for each of ``jobs``, with what became of its sources; their causes are for the rules to find.

    A job of which no source of its own answered has failed, whatever the sources say that are asked once per run.
    """
    shared = [envelope for envelope in envelopes if envelope.job is None]
    own: dict[str, list[SourceEnvelope]] = {job: [] for job in jobs}
    for envelope in envelopes:
        if envelope.job in own:
            own[envelope.job].append(envelope)
    reports = []
    for job, mine in own.items():
        has_enough = any(envelope.success for envelope in mine or shared)
        asked = (*mine, *shared) if has_enough else mine or shared
        reports.append(
            JobReport(job=job, outcome=outcome_of(asked, has_enough=has_enough), errors=failures((*mine, *shared)))
        )
    return tuple(reports)


def number_evidence(envelopes: Sequence[SourceEnvelope]) -> tuple[SourceEnvelope, ...]:
    """The envelopes with evidence ids that are unique in the run: ``source:n``, counted over all jobs in order.

    An item without a job gets that of its envelope.
    """
    counts: dict[str, int] = {}
    numbered = []
    for envelope in envelopes:
        items = []
        for item in envelope.evidence:
            counts[envelope.source] = counts.get(envelope.source, 0) + 1
            new_id = f"{envelope.source}:{counts[envelope.source]}"
            items.append(item.model_copy(update={"id": new_id, "job": item.job or envelope.job}))
        numbered.append(envelope.model_copy(update={"evidence": tuple(items)}) if items else envelope)
    return tuple(numbered)
