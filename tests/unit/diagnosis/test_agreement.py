"""An answer that contradicts what TWS and the rules are sure of is none, whoever asked for it."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest

from orchestrator.diagnosis.agreement import SureFacts, sure_confidence
from orchestrator.models import Action, Claim, Diagnosis, SourceEnvelope, SourceOutcome
from orchestrator.payloads import JobFacts, RunFacts, TwsPayload

TABLE = json.loads((Path(__file__).parents[2] / "data" / "answers.json").read_text("utf-8"))
RULES = Diagnosis(
    summary="O job BATCH001 terminou em ABEND S0C7 no STEP030.",
    root_cause="Um campo compactado tem conteúdo não numérico.",
    category="data_exception",
    confidence=0.8,
)


def facts_of(status: str, return_code: int | None = None, draft: Diagnosis = RULES) -> SureFacts:
    job = JobFacts(name="BATCH001", status=status, runs=(RunFacts(status=status, return_code=return_code),))
    data = TwsPayload(job=job).model_dump(mode="json")
    tws = SourceEnvelope(source="tws_status", job="BATCH001", outcome=SourceOutcome.OK, success=True, data=data)
    return SureFacts.of((tws,), draft)


ABEND = facts_of("ABEND", 12)


def refuses(facts: SureFacts, sentence: str) -> bool:
    return facts.contradiction(Diagnosis(summary=sentence, category=facts.category)) is not None


@pytest.mark.parametrize("kind", ["lies", "more_lies"])
def test_no_lie_about_a_failed_job_stands(kind: str) -> None:
    """That it ended well, failed otherwise, was a drill, needs nothing or was resolved, in three languages."""
    assert [text for text in TABLE[kind] if not refuses(ABEND, text)] == []


def test_a_lie_stands_nowhere_in_an_answer() -> None:
    """Beside a right summary, in a claim, a step or what prevents it, it is refused as well."""
    lie = "No entanto, o job BATCH001 terminou bem e nenhuma ação é necessária."
    for more in (
        {"claims": (Claim(text=lie, evidence_ids=("tws_status:1",)),)},
        {"claims": (Claim(text=lie, evidence_ids=("rag_search:1",)),)},
        {"actions": (Action(text=lie),)},
        {"prevention": (lie,)},
        {"missing_evidence": (lie,)},
        {"root_cause": lie},
        {"summary": f"{RULES.summary} {lie}"},
    ):
        assert ABEND.contradiction(RULES.model_copy(update=more)) is not None


def test_an_honest_answer_stands() -> None:
    """Other runs, steps and things may be well, what is denied or wished for is not said."""
    assert [text for text in TABLE["honest"] if ABEND.contradiction_in(text) is not None] == []


@pytest.mark.parametrize("text", TABLE["tester_lies"])
def test_a_lie_behind_the_truth_is_refused(text: str) -> None:
    """What contradicts the facts is refused behind a sentence that tells them, in other words and other languages."""
    assert refuses(ABEND, f"O job BATCH001 terminou em ABEND S0C7. {text}")


@pytest.mark.parametrize("text", TABLE["tester_honest"])
def test_an_honest_sentence_stands_wherever_it_is(text: str) -> None:
    """In a claim, a step and the cause: of other runs, steps, programs and jobs, and of what is to be done."""
    for more in (
        {"claims": (Claim(text=text, evidence_ids=("tws_status:1",)),)},
        {"actions": (Action(text=text),)},
        {"root_cause": f"{RULES.root_cause} {text}"},
    ):
        assert ABEND.contradiction(RULES.model_copy(update=more)) is None


@pytest.mark.parametrize(
    "text", ["Ｏ job ｔｅｒｍｉｎｏｕ ｂｅｍ (S0C7).", "O job term\u200binou bem (S0C7).", "S0C7: tеrminоu bеm."]
)
def test_a_lie_in_disguise_is_one(text: str) -> None:
    """Full width, characters of no width and look-alikes are read as their reader reads them."""
    assert refuses(ABEND, text)


@pytest.mark.parametrize(
    ("status", "lie", "honest"),
    [
        ("HOLD", "O job BATCH001 terminou bem.", "O job BATCH001 aguarda o predecessor JOB_A."),
        ("READY", "BATCH001 has finished.", "BATCH001 is READY and waits for the limit of its workstation."),
        ("EXEC", "BATCH001 falhou.", "BATCH001 está em execução há mais tempo que o normal."),
        ("SUCC", "O job BATCH001 abendou.", "O job BATCH001 terminou com sucesso."),
        ("HOLD", "BATCH001 já terminou.", "BATCH001 waits for PREP001, which ended in ABEND."),
        ("HOLD", "Nenhuma ação é necessária.", "Aguarda o predecessor PREP001, que falhou com RC 8."),
        ("SUCC", "BATCH001 está em ABEND.", "BATCH001 ended in SUCC after the first attempt failed."),
        ("SUCC", "The job failed.", "BATCH001 ended with return code 4 and is SUCC: RC<=4 accepts that code."),
        ("STUCK", "Todo bien con el trabajo.", "El flujo está en STUCK por un predecesor que falló."),
    ],
)
def test_every_state_has_what_contradicts_it(status: str, lie: str, honest: str) -> None:
    """A job that waits has not ended, one that runs has not failed, one that succeeded has not abended."""
    facts = facts_of(status, draft=Diagnosis(summary="x", category="x", confidence=0.8))
    assert refuses(facts, lie)
    assert not refuses(facts, honest)


def test_what_a_model_understood_is_compared_with_tws() -> None:
    """The fields beside the prose: state, return code and code of a job; a job that is not known is left to others."""
    assert ABEND.unlike("BATCH001", "ABEND", 12, "S0C7") is None
    assert ABEND.unlike("ZOS1#FATDIA.BATCH001", "abend", None, None) is None
    assert ABEND.unlike("OUTRO", "SUCC", 0, None) is None
    assert ABEND.unlike("BATCH001", "SUCC", None, None) is not None
    assert ABEND.unlike("BATCH001", "ABEND", 0, None) is not None
    assert ABEND.unlike("BATCH001", "ABEND", 12, "S0C4") is not None


def test_without_facts_nothing_is_refused() -> None:
    """Where TWS did not answer and the rules found no code, nobody is sure."""
    assert [text for text in TABLE["lies"] if refuses(SureFacts(), text)] == []


def test_what_the_rules_say_themselves_is_no_contradiction() -> None:
    """A job that failed and was rerun since: the rules say so, and so may a model."""
    rerun = RULES.model_copy(update={"summary": "O job BATCH001 abendou com S0C7 e já foi reexecutado."})
    facts = facts_of("ABEND", 12, rerun)
    assert not refuses(facts, "O BATCH001 abendou com S0C7 e já foi reexecutado às 04:00.")


def test_an_answer_is_hardly_surer_than_the_rules() -> None:
    """Of their cause by a little, of another one not at all, and never quite."""
    facts = facts_of("ABEND", 12)
    assert sure_confidence(RULES.model_copy(update={"confidence": 0.99}), facts) == pytest.approx(0.95)
    assert sure_confidence(RULES.model_copy(update={"confidence": 0.99, "category": "x"}), facts) == 0.8
    assert sure_confidence(RULES.model_copy(update={"confidence": 0.5}), facts) == 0.5
    assert sure_confidence(RULES.model_copy(update={"confidence": 1.0}), SureFacts()) == 0.97


@pytest.mark.parametrize("seed", ["a ", "não ", "o job foi ", "bem ", "falha ", ", ", "the job is ", "nao houve "])
def test_reading_an_answer_takes_little(seed: str) -> None:
    """The longest text of an answer is read in a fifth of a second, whatever it repeats."""
    began = time.thread_time()
    ABEND.contradiction_in((seed * 2_000)[:2_000])
    assert time.thread_time() - began < 0.2
