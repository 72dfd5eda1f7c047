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
from orchestrator.models import Evidence, Report, SourceEnvelope
from orchestrator.store.reading import REPORT, Damage, parse_stored, read_fields

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


def from_kept(run_id: str, text: str, stored: Mapping[str, SourceEnvelope]) -> tuple[Report | None, tuple[Damage, ...]]:
    """The report that ``to_kept`` was given, or None where it cannot be read; and what of it cannot.

    Raises SchemaMismatch.
    """
    kept = parse_stored(text, run_id=run_id, part=REPORT)
    if kept is None:
        return None, (Damage(REPORT),)
    places = kept.pop(RESULTS, None)
    report, damage = read_fields(Report, kept, part=REPORT)
    if report is None or places is None:
        return report, damage
    results, lost = _results(places, stored)
    aggregated = report.aggregated_data
    told = {
        "parallel_results": results,
        "evidence": _evidence(results),
        "aggregated_data": aggregated.model_copy(update=_data(results, aggregated.jobs)),
    }
    return report.model_copy(update=told), (*damage, *lost)


def _results(
    places: Any, stored: Mapping[str, SourceEnvelope]
) -> tuple[tuple[SourceEnvelope, ...], tuple[Damage, ...]]:
    """The report's results by their places: keys of ``stored``, and envelopes that stand for sources without one."""
    results: list[SourceEnvelope] = []
    damage: list[Damage] = []
    for number, place in enumerate(places if isinstance(places, list) else [None]):
        envelope = stored.get(place) if isinstance(place, str) else None
        if isinstance(place, dict):
            envelope, lost = read_fields(SourceEnvelope, place, part=REPORT)
            damage += lost
        elif envelope is None:
            damage.append(Damage(REPORT, f"{RESULTS}.{number}"))
        if envelope is not None:
            results.append(envelope)
    return number_evidence(results), tuple(damage)


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
