"""How a report is kept in its run: what the run's envelopes say already is not written again.

A report repeats the sources' answers: whole as ``parallel_results``, their evidence once more as ``evidence``, their
data as ``aggregated_data``. The run holds them as its envelopes, which nothing changes once the answers are frozen. So
a report is written without them and put together when it is read, in half the memory.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from orchestrator.aggregate import FIELD_OF_SOURCE, data_by_source, number_evidence
from orchestrator.models import AggregatedData, Evidence, Report, SourceEnvelope

RESULTS = "results_in_run"
"""Field of a kept report in the place of ``parallel_results``: per result the key of its envelope in the run, or, for
a source that never reported, the envelope that stands in for its answer."""
_IN_ENVELOPES: dict[str, Any] = {
    "parallel_results": True,
    "evidence": True,
    "aggregated_data": {*FIELD_OF_SOURCE.values(), "extra"},
}


def to_kept(report: Report, stored: Mapping[str, SourceEnvelope]) -> str:
    """JSON of ``report`` for the run whose envelopes are ``stored``; whole when they do not say the same."""
    results = tuple(stored.get(envelope.key, envelope) for envelope in report.parallel_results)
    if not stored or not _say_the_same(report, number_evidence(results)):
        return report.model_dump_json()
    kept = report.model_dump_json(exclude=_IN_ENVELOPES)
    places = [
        json.dumps(envelope.key) if envelope.key in stored else envelope.model_dump_json() for envelope in results
    ]
    return f'{kept[:-1]},"{RESULTS}":[{",".join(places)}]}}'


def from_kept(text: str, stored: Mapping[str, SourceEnvelope]) -> Report:
    """The report that ``to_kept`` was given."""
    kept = json.loads(text)
    if RESULTS not in kept:
        return Report.model_validate_json(text)
    results = number_evidence(
        [stored[item] if isinstance(item, str) else SourceEnvelope.model_validate(item) for item in kept.pop(RESULTS)]
    )
    aggregated = AggregatedData.model_validate(kept.pop("aggregated_data"))
    return Report.model_validate(
        {
            **kept,
            "parallel_results": results,
            "evidence": _evidence(results),
            "aggregated_data": aggregated.model_copy(update=_data(results, aggregated.jobs)),
        }
    )


def _say_the_same(report: Report, results: Sequence[SourceEnvelope]) -> bool:
    aggregated = report.aggregated_data
    return (
        report.parallel_results == tuple(results)
        and report.evidence == _evidence(results)
        and aggregated == aggregated.model_copy(update=_data(results, aggregated.jobs))
    )


def _evidence(results: Sequence[SourceEnvelope]) -> tuple[Evidence, ...]:
    return tuple(item for envelope in results for item in envelope.evidence)


def _data(results: Sequence[SourceEnvelope], jobs: tuple[str, ...]) -> dict[str, object]:
    data = data_by_source(results, several=len(jobs) > 1)
    return {
        **{field: data.get(source) for source, field in FIELD_OF_SOURCE.items()},
        "extra": {source: value for source, value in data.items() if source not in FIELD_OF_SOURCE},
    }
