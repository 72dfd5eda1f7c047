"""The one-line finding, in the user's language."""

import pytest

from orchestrator.i18n.languages import Language
from orchestrator.models import Entities, Intent, Routing, SourceRequest
from orchestrator.payloads import IssueFacts, JobFacts, JobLogFacts, RelatedFacts, TwsPayload, WorkstationFacts
from workers.sources.tws_status import finding


def _request(language: Language, job: str | None = "A", **entities: tuple[str, ...]) -> SourceRequest:
    routing = Routing(
        intent=Intent.TROUBLESHOOT, confidence=1, language=language, entities=Entities.model_validate(entities)
    )
    return SourceRequest(
        run_id="run-00000001", source="tws_status", job=job, message="?", routing=routing, limit_seconds=1
    )


def describe(payload: TwsPayload, request: SourceRequest) -> str:
    return finding.describe(payload, request).in_language(request.routing.language)


ABEND = JobFacts(
    name="A", status="ABEND", return_code=12, job_log=JobLogFacts(codes=("S0C7", "IEF450I"), step="STEP030")
)
HELD = JobFacts(
    name="A",
    status="HOLD",
    substatus="HOLD_WAITING_FOR_PREDECESSOR",
    predecessors=(RelatedFacts(name="X", status="ABEND", satisfied=False), RelatedFacts(name="Y", satisfied=False)),
)
READY = JobFacts(name="A", status="READY", issues=(IssueFacts(message="limite 0"),))


@pytest.mark.parametrize(
    ("language", "payload", "expected"),
    [
        (Language.PT_BR, TwsPayload(job=ABEND), "A ABEND RC=12; S0C7 em STEP030"),
        (Language.EN, TwsPayload(job=ABEND), "A ABEND RC=12; S0C7 in STEP030"),
        (Language.ES, TwsPayload(job=ABEND), "A ABEND RC=12; S0C7 en STEP030"),
        (Language.PT_BR, TwsPayload(job=HELD), "A HOLD (HOLD_WAITING_FOR_PREDECESSOR); espera X (ABEND), mais 1"),
        (
            Language.EN,
            TwsPayload(job=READY, workstations=(WorkstationFacts(name="W", linked=False, limit=0),)),
            "A READY; limite 0; W not linked; W has limit 0",
        ),
        (Language.PT_BR, TwsPayload(), "A não está no plano corrente"),
        (Language.ES, TwsPayload(), "A no está en el plan actual"),
    ],
)
def test_a_job_in_one_line(language: Language, payload: TwsPayload, expected: str) -> None:
    """State, code, step and what it waits for fit one line; codes and names stay as they are."""
    assert describe(payload, _request(language)) == expected


def test_a_plan_in_one_line() -> None:
    """Without a job, the count of problem jobs by state, the stuck stream and the worst job are told."""
    worst = ABEND.model_copy(
        update={"job_stream": "JS", "job_stream_status": "STUCK", "successors": (RelatedFacts(name="B"),)}
    )
    payload = TwsPayload(problem_jobs=(worst, READY, READY), problem_count=7)
    assert describe(payload, _request(Language.PT_BR, None)) == (
        "stream JS em STUCK; 7 jobs com problema: 2 READY, 1 ABEND, +4; A ABEND RC=12; S0C7 em STEP030; "
        "segura 1 sucessor"
    )


def test_an_issue_that_is_a_sentence_ends_without_its_full_stop() -> None:
    """What TWS writes as a sentence stands in a list of findings."""
    job = READY.model_copy(update={"issues": (IssueFacts(message="O limite é 0."),)})
    station = WorkstationFacts(name="W", limit=0)
    found = describe(TwsPayload(job=job, workstations=(station,)), _request(Language.PT_BR))
    assert found == "A READY; O limite é 0; W com limit 0"


def test_no_problems_in_one_line() -> None:
    """A healthy plan and a healthy workstation are told apart."""
    assert describe(TwsPayload(), _request(Language.EN, None)) == "no failed or stuck job in the plan"
    assert describe(TwsPayload(), _request(Language.EN, None, workstations=("W",))) == "no job in trouble"
