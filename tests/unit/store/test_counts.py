"""What the commit of a report counts."""

from __future__ import annotations

import pytest

from orchestrator.models import AnswerMode, Report, RunOutcome, SourceEnvelope, SourceOutcome
from orchestrator.store.counters import counts_of


def counted(llm: object, by: str = "client") -> dict[str, int]:
    report = Report(
        run_id="run-aaaaaaaa",
        outcome=RunOutcome.PARTIAL,
        mode=AnswerMode.DETERMINISTIC,
        response="x",
        committed_by=by,
        total_latency_ms=99_000.0,
        parallel_results=(SourceEnvelope(source="tickets", outcome=SourceOutcome.ERROR, success=False),),
        metadata={} if llm is None else {"llm": llm},
    )
    return counts_of(report)


def test_labels_are_known_words() -> None:
    """Whatever a run's sources, committer and model are called, no label has a value that is not known beforehand."""
    llm = {"failed": "tenant 4711", "attempts": [{"reason": "x y", "latency_ms": 1}, {"reason": None}, 7]}
    assert counted(llm, by="joe@example.com") == {
        "runs_ended|partial|other": 1,
        "run_seconds|inf": 1,
        "run_seconds_ms": 99_000,
        "run_sources|other|error": 1,
        "llm_answers|failed|other": 1,
        "llm_calls|other": 2,
        "llm_call_seconds|0.25": 2,
        "llm_call_seconds_ms": 1,
    }


@pytest.mark.parametrize(
    ("llm", "counted_as"),
    [
        (None, []),
        ("no mapping", []),
        ({}, ["llm_answers|used|"]),
        ({"skipped": "no_worker"}, ["llm_answers|skipped|no_worker"]),
        ({"skipped": ["x"]}, ["llm_answers|skipped|other"]),
        ({"failed": "contradicts", "attempts": "many"}, ["llm_answers|failed|contradicts"]),
        ({"prompt_tokens": -5, "completion_tokens": float("nan")}, ["llm_answers|used|"]),
        ({"prompt_tokens": True, "completion_tokens": 1e30}, ["llm_answers|used|"]),
    ],
)
def test_metadata_of_a_site_s_synthesizer(llm: object, counted_as: list[str]) -> None:
    """What is told of a model is counted as far as it is what ours tells."""
    assert [name for name in counted(llm) if name.startswith("llm")] == counted_as
