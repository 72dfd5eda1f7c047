"""The reduce step: many envelopes to one ``AggregatedData``, and what the parallel run saved."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from orchestrator.models import (
    AggregatedData,
    SourceEnvelope,
    SourceFailure,
    SourceOutcome,
)

FIELD_OF_SOURCE = {
    "tws_status": "tws_status",
    "rag_search": "rag_results",
    "log_cache": "log_data",
    "metrics": "metrics",
}
"""The Resync app's names of the four built-in sources' data; any other source goes to ``extra`` by its own name."""

_NOT_RECEIVED = (SourceOutcome.NOT_STARTED, SourceOutcome.LOST)


def aggregate(envelopes: Sequence[SourceEnvelope], jobs: tuple[str, ...] = ()) -> AggregatedData:
    """Merge the envelopes of one run.

    With one job or none, a source's field is its data. With several, it is a mapping of job to data; a source that
    is asked once per run keeps its data itself. Latencies in milliseconds are over the received envelopes: the
    largest (what the run waited) and the sum (what asking one by one would have taken).
    """
    asked = jobs or tuple(dict.fromkeys(envelope.job for envelope in envelopes if envelope.job is not None))
    received = [envelope.latency_ms for envelope in envelopes if envelope.outcome not in _NOT_RECEIVED]
    parallel, sequential = max(received, default=0.0), sum(received)
    data = data_by_source(envelopes, several=len(asked) > 1)
    return AggregatedData(
        **{field: data.get(source) for source, field in FIELD_OF_SOURCE.items()},
        extra={source: value for source, value in data.items() if source not in FIELD_OF_SOURCE},
        jobs=asked,
        sources_available=tuple(data),
        sources_failed=failures(envelopes),
        parallel_latency_ms=parallel,
        sequential_equivalent_ms=sequential,
        speedup_factor=round(sequential / parallel, 2) if parallel > 0 else 1.0,
    )


def performance_event(run_id: str, aggregated: AggregatedData) -> dict[str, Any]:
    """Fields of the one JSON log line a run writes about its fan-in; milliseconds are whole numbers."""
    return {
        "event": "parallel_aggregation_complete",
        "run_id": run_id,
        "sources_available": len(aggregated.sources_available),
        "sources_failed": len(aggregated.sources_failed),
        "parallel_latency_ms": round(aggregated.parallel_latency_ms),
        "sequential_equivalent_ms": round(aggregated.sequential_equivalent_ms),
        "speedup_factor": f"{aggregated.speedup_factor:.2f}x",
    }


def data_by_source(envelopes: Sequence[SourceEnvelope], *, several: bool) -> dict[str, dict[str, Any]]:
    """Data by source that answered; of one asked for each of ``several`` jobs, a mapping of job to data."""
    data: dict[str, dict[str, Any]] = {}
    for envelope in envelopes:
        if not envelope.success:
            continue
        if several and envelope.job is not None:
            data.setdefault(envelope.source, {})[envelope.job] = envelope.data
        else:
            data[envelope.source] = envelope.data
    return data


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


def number_evidence(envelopes: Sequence[SourceEnvelope]) -> tuple[SourceEnvelope, ...]:
    """The envelopes with evidence ids unique across the run: ``source:n``, n counted over all jobs, in order.

    An item without a job gets its envelope's.
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
