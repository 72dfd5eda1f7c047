"""A stored report comes back as it was, without what its run's envelopes contain."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from orchestrator.aggregate import aggregate, number_evidence
from orchestrator.models import AnswerMode, Evidence, Report, RunOutcome, SourceEnvelope, SourceOutcome
from orchestrator.store.report_codec import decode_report, encode_report

PROOF = "IEF450I BATCH001 STEP030 ABEND=S0C7"


def an_envelope(source: str, job: str | None = "BATCH001") -> SourceEnvelope:
    """The answer of a source, with data and two items of evidence that it numbered itself."""
    items = tuple(Evidence(id=f"{source}:{n}", source=source, kind="log", title="log", text=PROOF) for n in (1, 2))
    outcome = SourceOutcome.OK
    return SourceEnvelope(
        source=source, job=job, outcome=outcome, success=True, data={"seen": PROOF, "n": [1, 2.5]}, evidence=items
    )


def not_started(source: str) -> SourceEnvelope:
    """What stands in for a source that no worker took."""
    return SourceEnvelope(source=source, outcome=SourceOutcome.NOT_STARTED, success=False, error="não começou — ã")


def a_report(results: Sequence[SourceEnvelope], *, numbered: bool = True) -> Report:
    """The report over ``results``; one that is not numbered lost its aggregate as well."""
    shown = number_evidence(results) if numbered else tuple(results)
    return Report(
        run_id="run-00000001",
        outcome=RunOutcome.PARTIAL,
        mode=AnswerMode.DETERMINISTIC,
        response="resposta",
        parallel_results=shown,
        evidence=tuple(item for envelope in shown for item in envelope.evidence),
        metadata={"speedup_factor": 1.5},
        **({"aggregated_data": aggregate(shown)} if numbered else {}),
    )


STORED = {
    "all in": (an_envelope("tws_status"), an_envelope("metrics", None)),
    "one job more": (an_envelope("tws_status"), an_envelope("tws_status", "BATCH002"), an_envelope("metrics", None)),
    "a site's own source": (an_envelope("tws_status"), an_envelope("cmdb")),
}


@pytest.mark.parametrize("missing", [(), (not_started("rag_search"),)], ids=["complete", "one missing"])
@pytest.mark.parametrize("stored", STORED.values(), ids=STORED)
def test_a_report_comes_back_without_having_been_written_twice(
    stored: tuple[SourceEnvelope, ...], missing: tuple[SourceEnvelope, ...]
) -> None:
    """Results, evidence and data are put together from the envelopes; only what stands in for an answer is stored."""
    by_key = {envelope.key: envelope for envelope in stored}
    report = a_report((*missing, *stored))
    stored_report = encode_report(report, by_key)
    assert decode_report("r", stored_report, by_key) == (report, ())
    assert PROOF not in stored_report
    assert stored_report.count("não começou") == 2 * len(missing)  # once as result, once among the sources that failed


@pytest.mark.parametrize(
    ("report", "stored"),
    [
        (a_report(STORED["all in"]), ()),
        (a_report(STORED["one job more"], numbered=False), STORED["one job more"]),
        (
            a_report(STORED["all in"]),
            (an_envelope("tws_status"), an_envelope("metrics", None).model_copy(update={"data": {}})),
        ),
        (a_report(()), STORED["all in"]),
    ],
    ids=["nothing stored", "not numbered", "another answer", "no results"],
)
def test_a_report_that_says_something_else_comes_back_all_the_same(
    report: Report, stored: tuple[SourceEnvelope, ...]
) -> None:
    """Where the envelopes do not say the same, nothing is left out."""
    by_key = {envelope.key: envelope for envelope in stored}
    assert decode_report("r", encode_report(report, by_key), by_key) == (report, ())


def test_a_report_that_was_kept_whole_is_still_read() -> None:
    """What was written before reports were put together is read as it is."""
    report = a_report(STORED["all in"])
    assert decode_report("r", report.model_dump_json(), {}) == (report, ())
