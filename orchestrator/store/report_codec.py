"""Encoding of a stored report: what the run's envelopes already contain is left out.

A report repeats the envelopes of its sources: whole in ``parallel_results``, their evidence again in ``evidence``,
their data in ``aggregated_data``. The envelopes are stored in the run and do not change once the answers are frozen.
So a report is stored without them and put together when it is read, in half the memory.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from orchestrator.aggregate import FIELD_OF_SOURCE, all_evidence, data_fields, failures, job_reports, number_evidence
from orchestrator.models import Report, SourceEnvelope
from orchestrator.store.reading import MAX_REPORT_CHARACTERS, REPORT, Damage, parse_stored, read_fields

RESULTS = "results_in_run"
"""Field of a stored report in place of ``parallel_results``: for each result the key of its envelope in the run, or the
envelope itself for a source that has none in the run; or ``ALL``."""
ALL = "all"
"""The results are all envelopes of the run, which the report's writer has not read."""
_IN_ENVELOPES: dict[str, Any] = {
    "parallel_results": True,
    "evidence": True,
    "aggregated_data": {*FIELD_OF_SOURCE.values(), "extra"},
}


def encode_report(report: Report, stored: Mapping[str, SourceEnvelope] | None) -> str:
    """The JSON to store of ``report`` in the run of the ``stored`` envelopes; the whole report when they differ, if it
    is not too long to be read.

    ``stored`` is None for a report whose results are to be all envelopes of the run.
    """
    if stored is None:
        return f'{report.model_dump_json(exclude=_IN_ENVELOPES)[:-1]},"{RESULTS}":"{ALL}"}}'
    results = tuple(stored.get(envelope.key, envelope) for envelope in report.parallel_results)
    if not stored or not _is_made_of(number_evidence(results), report):
        whole = report.model_dump_json()
        if not stored or len(whole) <= MAX_REPORT_CHARACTERS:
            return whole
    rest = report.model_dump_json(exclude=_IN_ENVELOPES)
    places = [
        json.dumps(envelope.key) if envelope.key in stored else envelope.model_dump_json() for envelope in results
    ]
    return f'{rest[:-1]},"{RESULTS}":[{",".join(places)}]}}'


def decode_report(
    run_id: str, text: str, stored: Mapping[str, SourceEnvelope]
) -> tuple[Report | None, tuple[Damage, ...]]:
    """The report that ``encode_report`` encoded, None when it cannot be read; and the parts that cannot be read.

    Raises SchemaMismatch.
    """
    fields = parse_stored(text, run_id=run_id, part=REPORT)
    if fields is None:
        return None, (Damage(REPORT),)
    places = fields.pop(RESULTS, None)
    report, damage = read_fields(Report, fields, part=REPORT)
    if report is None or places is None:
        return report, damage
    if places == ALL:
        results = number_evidence(tuple(stored.values()))
        named = dict.fromkeys(envelope.job for envelope in results if envelope.job is not None)
        update = {**_of_envelopes(report, results), "errors": failures(results), "jobs": job_reports(results, named)}
        return report.model_copy(update=update), damage
    results, lost = _results(places, stored)
    return report.model_copy(update=_of_envelopes(report, results)), (*damage, *lost)


def _results(
    places: Any, stored: Mapping[str, SourceEnvelope]
) -> tuple[tuple[SourceEnvelope, ...], tuple[Damage, ...]]:
    """The report's results, and the damage: ``places`` are keys of ``stored`` or whole envelopes."""
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


def _is_made_of(results: Sequence[SourceEnvelope], report: Report) -> bool:
    return all(getattr(report, name) == value for name, value in _of_envelopes(report, tuple(results)).items())


def _of_envelopes(report: Report, results: tuple[SourceEnvelope, ...]) -> dict[str, Any]:
    """The fields of the report that repeat its results."""
    aggregated = report.aggregated_data
    return {
        "parallel_results": results,
        "evidence": all_evidence(results),
        "aggregated_data": aggregated.model_copy(update=data_fields(results, aggregated.jobs)),
    }
