"""Questions that name no job: the plan, its workstations, and codes and states on their own."""

from __future__ import annotations

import pytest
from rules_support import S0C7, ask, failed, job_facts, job_log, tws

from orchestrator.models import SourceOutcome
from orchestrator.payloads import WorkstationFacts

ABENDED = job_facts("ABEND", return_code=12, job_log=job_log(S0C7, step="STEP030"))


@pytest.mark.parametrize("message", ["Quais jobs falharam hoje?", "Está tudo bem na malha?", "o que falhou na malha?"])
def test_a_plan_without_problems_is_an_answer_of_its_own(message: str) -> None:
    """TWS without data has answered: nothing failed, and its state is not told as missing."""
    empty = tws(asked=None).model_copy(update={"outcome": SourceOutcome.NO_DATA})
    diagnosis = ask(empty, message=message)

    assert (diagnosis.category, diagnosis.confidence) == ("no_problem", 0.8)
    assert not [text for text in diagnosis.missing_evidence if text.startswith("tws_status")]


def test_a_silent_tws_is_no_plan_without_problems() -> None:
    """When TWS does not answer, nothing is said to be fine."""
    diagnosis = ask(failed("tws_status"), message="o que falhou na malha?")

    assert diagnosis.category == "unknown"
    assert any(text.startswith("tws_status") for text in diagnosis.missing_evidence)


@pytest.mark.parametrize(
    ("station", "category", "words"),
    [
        (WorkstationFacts(name="AGT07", linked=False, limit=10), "agent_unlinked", "desconectada (unlinked)"),
        (WorkstationFacts(name="AGT07", linked=True, limit=0), "job_limit_zero", "LIMIT 0"),
        (WorkstationFacts(name="AGT07", linked=True, limit=10), "no_problem", "para AGT07"),
    ],
)
def test_a_workstation_without_waiting_jobs_is_still_explained(
    station: WorkstationFacts, category: str, words: str
) -> None:
    """A workstation that starts nothing is told as such, also while no job waits for it."""
    diagnosis = ask(tws(stations=(station,), asked=None), message="O que há com a workstation AGT07?")

    assert diagnosis.category == category
    assert words in diagnosis.summary
    assert len(diagnosis.hypotheses) == 1


def test_an_idle_workstation_of_a_plan_without_problems_is_named() -> None:
    """Asked about the whole plan, a workstation that starts nothing is worth a word although nothing failed."""
    station = WorkstationFacts(name="AGT07", linked=False)
    diagnosis = ask(tws(stations=(station,), asked=None), message="Está tudo bem na malha?")

    assert diagnosis.category == "no_problem"
    assert "A workstation AGT07 está desconectada" in diagnosis.summary
    assert [claim.text for claim in diagnosis.claims] == ["A workstation AGT07 não está LINKED."]


@pytest.mark.parametrize("message", ["Explique o erro AWSBHT001E", "deu AWSBHT001E, o que fazer?"])
def test_a_code_that_the_plan_does_not_show_is_explained_for_itself(message: str) -> None:
    """Another job's failure is no answer to a question about a code; it is named as what else is wrong."""
    diagnosis = ask(tws(problems=(ABENDED,), asked=None), message=message)

    assert diagnosis.summary.startswith("AWSBHT001E: ")
    assert "Há outros problemas no plano: BATCH001" in diagnosis.summary
    assert diagnosis.category == "launch_failure"


def test_a_code_that_the_plan_shows_is_answered_by_its_job() -> None:
    """When a job of the plan ended with the code, that job is the answer."""
    diagnosis = ask(tws(problems=(ABENDED,), asked=None), message="deu S0C7, o que fazer?")

    assert diagnosis.summary.startswith("O job BATCH001 terminou em ABEND S0C7")


def test_a_code_alone_is_not_surer_than_the_missing_tws_allows() -> None:
    """Asked what to do about a code while TWS is silent, the explanation keeps the low confidence."""
    assert ask(failed("tws_status"), message="deu S0C7, o que fazer?").confidence <= 0.4


@pytest.mark.parametrize(
    ("message", "opening"),
    [
        ("O que é STUCK?", "STUCK: "),
        ("what does HOLD_WAITING_FOR_FILE mean?", "HOLD_WAITING_FOR_FILE: "),
        ("¿Qué significa FENCE?", "FENCE: "),
    ],
)
def test_a_question_about_a_state_is_answered_from_the_catalogue(message: str, opening: str) -> None:
    """States and substates are explained as codes are."""
    assert ask(tws(asked=None), message=message).summary.startswith(opening)
