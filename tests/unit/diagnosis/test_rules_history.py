"""What happened before: the run in question, which the cache may know already, is not before itself."""

from __future__ import annotations

import pytest
from rules_support import S0C7, answered, ask, job_facts, job_log, tws

from orchestrator.models import Diagnosis, Evidence, SourceEnvelope
from orchestrator.payloads import HistoryFacts, JobFacts, LogPayload, RunFacts

RUN = RunFacts(
    run_id="ZOS1;BATCH001;51274",
    status="ABEND",
    return_code=12,
    started_at="2026-11-24T07:01:40Z",
    ended_at="2026-11-24T07:12:40Z",
)


def failed_job() -> JobFacts:
    """BATCH001 as TWS shows it after RUN."""
    log = job_log(S0C7, step="STEP030").model_copy(update={"run_id": RUN.run_id})
    return job_facts("ABEND", runs=(RUN,), job_log=log)


def seen(at: str, run_id: str = "") -> HistoryFacts:
    """A S0C7 in the log cache."""
    return HistoryFacts(at=at, status="ABEND", codes=("S0C7",), step="STEP030", run_id=run_id)


def remember(*items: HistoryFacts) -> SourceEnvelope:
    """What log_cache answers when it knows these outcomes: one item each, and their sum."""
    envelope = answered("log_cache", LogPayload(history=items, same_code={"S0C7": len(items)}), job="BATCH001")
    texts = [("history", "BATCH001 ABEND S0C7", item.at, f"Redis run {item.run_id}") for item in items]
    texts.append(("same_code", f"S0C7 x{len(items)}", items[0].at, "Redis"))
    evidence = tuple(
        Evidence(id=f"log_cache:{n}", source="log_cache", kind=kind, title=text, text=text, when=when, where=where)
        for n, (kind, text, when, where) in enumerate(texts, start=1)
    )
    return envelope.model_copy(update={"evidence": evidence})


def told(diagnosis: Diagnosis) -> list[tuple[str, tuple[str, ...]]]:
    """The claims about earlier occurrences, with what they cite."""
    return [(claim.text, claim.evidence_ids) for claim in diagnosis.claims if "já ocorreu" in claim.text]


@pytest.mark.parametrize(
    "present",
    [
        seen("2026-11-24T07:12:40Z", RUN.run_id),
        seen("2026-11-24T07:12:40Z"),
        seen("2026-11-24T04:12:58-03:00"),
        HistoryFacts(codes=("S0C7",), run_id=RUN.run_id),
    ],
    ids=["by run", "by time", "a little later, in another zone", "by run without a time"],
)
def test_the_run_in_question_is_no_earlier_occurrence(present: HistoryFacts) -> None:
    """Asked twice about one failure, the answer counts and cites only the failures before it."""
    before = seen("2026-11-17T07:35:40Z")
    diagnosis = ask(tws(failed_job()), remember(present, before, seen("2026-11-10T07:35:40Z")))

    assert told(diagnosis) == [
        ("S0C7 já ocorreu 2 vezes antes neste job no passo STEP030.", ("log_cache:2", "log_cache:3"))
    ]


def test_alone_the_run_in_question_is_no_history() -> None:
    """When the cache knows nothing but the present run, nothing is said of the past."""
    assert told(ask(tws(failed_job()), remember(seen("2026-11-24T07:12:40Z", RUN.run_id)))) == []


def test_a_run_id_that_another_plan_has_used_is_an_earlier_run() -> None:
    """Plans number their runs anew: the same id days before is another run."""
    diagnosis = ask(tws(failed_job()), remember(seen("2026-11-20T07:12:40Z", RUN.run_id)))

    assert [text for text, _ in told(diagnosis)] == ["S0C7 já ocorreu 1 vez antes neste job no passo STEP030."]


def test_a_job_that_never_ran_is_known_by_its_schedule() -> None:
    """A job in FAIL without a run is remembered at its scheduled time, and that is no earlier failure."""
    job = job_facts("FAIL", scheduled_at="2026-11-24T05:00:00Z", job_log=job_log("AWSBDW009E logon user"))
    known = HistoryFacts(at="2026-11-24T05:00:00Z", status="FAIL", codes=("AWSBDW009E",))

    assert told(ask(tws(job), remember(known))) == []


def test_what_is_on_record_of_one_job_is_not_said_of_another() -> None:
    """Asked about all jobs, the cache has records of all; a job's past is its own, and so is that of its stream."""
    own = HistoryFacts(at="2026-11-20T03:00:00Z", codes=("S0C7",), text="BATCH001 S0C7", job="BATCH001")
    others = [
        HistoryFacts(at="2026-11-21T03:00:00Z", codes=("S0C7",), text="FATUR9 ABEND S0C7", job="FATUR9"),
        HistoryFacts(at="2026-11-22T03:00:00Z", codes=("S0C7",), text="FATUR9 S0C7 after BATCH0012"),
        HistoryFacts(at="2026-11-23T03:00:00Z", codes=("S0C7",), text="S0C7", job="BATCH001", job_stream="OUTRO"),
    ]
    failed_job = job_facts("ABEND", job_log=job_log(S0C7, step="STEP030"))

    def claims(*records: HistoryFacts) -> str:
        log = answered("log_cache", LogPayload(history=records, same_code={"S0C7": len(records)}))
        evidence = tuple(
            Evidence(
                id=f"log_cache:{number}",
                source="log_cache",
                kind="history",
                title="S0C7",
                text=record.text,
                when=record.at,
                job=record.job or None,
                codes=record.codes,
            )
            for number, record in enumerate(records, start=1)
        )
        log = log.model_copy(update={"evidence": evidence})
        diagnosis = ask(tws(problems=(failed_job,), asked=None), log, message="quais jobs falharam?")
        return " ".join(claim.text for claim in diagnosis.claims)

    assert "neste job" not in claims(*others)
    assert "já ocorreu 1 vez antes neste job" in claims(own, *others)
