"""Answers to what was asked: follow-ups, questions for what a code means, pages in other languages."""

from __future__ import annotations

import pytest
from rules_support import PER_JOB, S0C7, ask, failed, job_facts, job_log, tws

from orchestrator.aggregate import aggregate
from orchestrator.diagnosis.rules.diagnose import diagnose
from orchestrator.models import Diagnosis, Entities, Evidence, SourceEnvelope, SourceOutcome, TroubleshootRequest
from orchestrator.payloads import RelatedFacts, RunFacts
from orchestrator.routing.follow_up import subjects_of
from orchestrator.routing.plan import plan_request

JOB = job_facts("ABEND", return_code=12, job_log=job_log(S0C7, step="STEP030"))
PAGE = "O campo não é numérico.\nSolução:\n1. Corrija o arquivo de entrada.\n2. Reexecute do passo que falhou."
FIX = "The field is not numeric.\nFix:\n1. Correct the input file.\n2. Rerun from the step that failed."


def pages(*texts: tuple[str, str, str]) -> SourceEnvelope:
    """What rag_search answers: title, text and language of each passage."""
    evidence = tuple(
        Evidence(
            id=f"rag_search:{number}",
            source="rag_search",
            kind="runbook",
            title=title,
            text=text,
            where=f"{language}/{number}.md#Solução",
            language=language,
        )
        for number, (title, text, language) in enumerate(texts, start=1)
    )
    return SourceEnvelope(source="rag_search", outcome=SourceOutcome.OK, success=True, evidence=evidence)


def follow_up(message: str) -> Diagnosis:
    """The answer to a question that goes on from one about BATCH001."""
    subjects = subjects_of("run-00000001", Entities(jobs=("BATCH001",)), ("BATCH001",), ())
    request = TroubleshootRequest(message=message)
    plan = plan_request(request, PER_JOB, lambda: subjects)
    envelopes = (tws(JOB), pages(("S0C7 – exceção de dados", PAGE, "pt")))
    return diagnose(request, plan, envelopes, aggregate(envelopes, plan.jobs))


@pytest.mark.parametrize("message", ["por que?", "why?", "¿por qué?"])
def test_why_is_answered_with_the_cause_and_what_shows_it(message: str) -> None:
    """The cause, the lines that show it and its usual causes: no steps, which were not asked for."""
    diagnosis = follow_up(message)
    assert "S0C7" in diagnosis.summary
    assert f"{diagnosis.summary} {diagnosis.root_cause}".count("copybook") == 1
    assert any(S0C7 in claim.text for claim in diagnosis.claims)
    assert not any("rag_search:1" in claim.evidence_ids for claim in diagnosis.claims)
    assert (diagnosis.actions, diagnosis.prevention) == ((), ())


@pytest.mark.parametrize("message", ["e agora?", "what now?", "¿y ahora?"])
def test_what_now_is_answered_with_the_steps(message: str) -> None:
    """The state in a few words, then the checks and fixes, and the runbook's steps: not the diagnosis again."""
    diagnosis = follow_up(message)
    assert "BATCH001" in diagnosis.summary
    assert len(diagnosis.summary) < 150
    assert diagnosis.root_cause == ""
    assert [claim.evidence_ids for claim in diagnosis.claims] == [("rag_search:1",)] * 3
    assert any(action.command for action in diagnosis.actions)


def test_a_question_for_the_state_is_answered_with_it_alone() -> None:
    """ "Já terminou?" after a diagnosis does not bring the diagnosis again."""
    diagnosis = follow_up("já terminou?")
    assert diagnosis.summary == "Estado do job BATCH001 no TWS: ABEND, RC 12."
    assert diagnosis.actions == ()


def test_what_a_code_means_is_not_answered_with_other_problems() -> None:
    """Of the plan it is said only which jobs failed with that very code."""
    other = job_facts("ABEND", "FECH777", return_code=8, job_log=job_log("IEF450I FECH777 S1 - ABEND=SB37 U0000"))
    shown = ask(tws(problems=(JOB, other), asked=None), message="o que é S0C7?")
    assert "No plano, 1 job falhou com este código: BATCH001." in shown.summary
    assert "FECH777" not in shown.summary
    assert any(S0C7 in claim.text for claim in shown.claims)
    assert "não foi lido" not in shown.summary

    # Of a long list only the first logs are read; the question's code is not that of a job without a log.
    no_log = job_facts("ABEND", "PAY001")
    partly = ask(tws(problems=(JOB, other, no_log), asked=None), message="o que é S0C7?")
    assert "1 job falhou com este código: BATCH001. O job log de mais 1 job com falha não foi lido." in partly.summary
    assert "este código" not in ask(tws(problems=(no_log,), asked=None), message="o que é S0C7?").summary

    unrelated = ask(tws(problems=(other,), asked=None), message="o que é S0C7?")
    assert "plano" not in unrelated.summary
    assert "FECH777" not in unrelated.summary


@pytest.mark.parametrize(
    ("message", "chosen", "said"),
    [
        ("Por que o job BATCH001 falhou?", "Corrija o arquivo de entrada.", "“S0C7 – exceção de dados”."),
        ("Why did job BATCH001 fail?", "Correct the input file.", "“S0C7 – data exception”."),
        (
            "¿Por qué falló el job BATCH001?",
            "Corrija o arquivo de entrada.",
            "“S0C7 – exceção de dados” (en portugués).",
        ),
    ],
)
def test_a_page_in_the_questions_language_goes_first(message: str, chosen: str, said: str) -> None:
    """Of pages about one code that nearest to the question's language is quoted, and another language is named."""
    found = pages(("S0C7 – data exception", FIX, "en"), ("S0C7 – exceção de dados", PAGE, "pt"))
    if "Why" in message:
        found = pages(("S0C7 – exceção de dados", PAGE, "pt"), ("S0C7 – data exception", FIX, "en"))
    texts = [claim.text for claim in ask(tws(JOB), found, message=message).claims]
    assert any(chosen in text for text in texts)
    assert any(text.endswith(said) for text in texts)


def test_only_steps_of_the_same_cause_are_quoted() -> None:
    """What to do for lack of memory is no step of a job that was asked to stop, and the reverse."""
    steps = (
        "Solução:\n1. Falta de memória: aumente o limite.\n2. Encerrado por cancelamento, parada ou tempo limite: "
        "confirme com quem o fez.\n3. Antes de reexecutar, verifique o que já foi gravado."
    )
    page = pages(("Códigos de retorno 137 e 143 – processo morto por sinal", steps, "pt"))
    for code, word, other in ((143, "Encerrado por", "memória"), (137, "Falta de memória", "Encerrado por")):
        job = job_facts("ABEND", return_code=code, task="/opt/lote/run.sh")
        quoted = [claim.text for claim in ask(tws(job), page).claims if "seção" in claim.text]
        assert any(word in text for text in quoted)
        assert not any(other in text for text in quoted)
        assert "Antes de reexecutar" in quoted[-1]


def test_what_to_check_of_a_failed_predecessor_is_its_cause() -> None:
    """That the predecessor must be diagnosed is no step of an answer that has diagnosed it."""
    cause = job_facts("ABEND", "JOB_A", return_code=12, job_log=job_log(S0C7.replace("BATCH001", "JOB_A")))
    held = job_facts("HOLD", predecessors=(RelatedFacts(name="SRV01#DIARIO.JOB_A", status="ABEND", satisfied=False),))
    diagnosis = ask(tws(held, problems=(cause,)), message="Por que o job BATCH001 não anda?")
    assert diagnosis.category == "predecessor_failed"
    assert "Diagnosticar o predecessor" not in " ".join(action.text for action in diagnosis.actions)
    assert "conman rr SRV01#DIARIO.JOB_A" in [action.command for action in diagnosis.actions]


def test_how_something_is_done_is_answered_with_the_steps_of_the_page() -> None:
    """Of the closest page its steps are quoted, and the answer names no category of a cause."""
    found = pages(("Restart de um passo", "Antes de tudo, o log.\n1. Confira os datasets.\n2. Use RESTART=.", "pt"))
    diagnosis = ask(tws(asked=None), found, message="como faço o restart de um passo?")
    assert [claim.text for claim in diagnosis.claims[1:]] == [
        "Passo 1 do runbook, seção “Solução”: “Confira os datasets.”",
        "Passo 2 do runbook, seção “Solução”: “Use RESTART=.”",
    ]
    assert diagnosis.hypotheses == ()


def test_what_a_state_means_proposes_nothing() -> None:
    """A definition of a state has its meaning and causes: there is no job to treat."""
    diagnosis = ask(tws(asked=None), message="o que é HOLD?")
    assert diagnosis.summary.startswith("HOLD: Retido.")
    assert (diagnosis.actions, diagnosis.prevention) == ((), ())


def test_a_follow_up_is_not_quoted_as_what_is_known() -> None:
    """Without TWS a question such as "por que?" says nothing of the job."""
    subjects = subjects_of("run-00000001", Entities(jobs=("BATCH001",)), ("BATCH001",), ())
    request = TroubleshootRequest(message="por que?")
    envelopes = (failed("tws_status", job="BATCH001"),)
    plan = plan_request(request, PER_JOB, lambda: subjects)
    summary = diagnose(request, plan, envelopes, aggregate(envelopes, plan.jobs)).summary
    assert "“por que?”" not in summary
    assert "O estado atual no TWS não pôde ser lido." in summary


@pytest.mark.parametrize(
    "message", ["a que horas falhou o BATCH001?", "when did job BATCH001 fail?", "¿cuándo falló el job BATCH001?"]
)
def test_a_question_for_the_time_is_answered_with_it_first(message: str) -> None:
    """The state and its time open the answer; the cause comes second."""
    run = RunFacts(status="ABEND", return_code=12, ended_at="2026-11-24T07:12:40Z")
    summary = ask(tws(JOB.model_copy(update={"runs": (run,)})), message=message).summary
    assert "2026-11-24 07:12 (UTC)" in summary.split(". ")[0] + "."
    assert "S0C7" in summary


def test_what_is_known_of_the_job_stands_before_the_page() -> None:
    """The log of the predecessor that failed is not pushed out by the steps of a runbook."""
    cause = job_facts("ABEND", "JOB_A", return_code=12, job_log=job_log(S0C7.replace("BATCH001", "JOB_A")))
    held = job_facts("HOLD", predecessors=(RelatedFacts(name="SRV01#DIARIO.JOB_A", status="ABEND", satisfied=False),))
    page = pages(("STUCK – predecessor com falha", PAGE, "pt"))
    claims = ask(tws(held, problems=(cause,)), page, message="Por que o job BATCH001 não anda?").claims
    sources = [claim.evidence_ids[0].partition(":")[0] for claim in claims]
    assert "rag_search" in sources
    assert sources == sorted(sources, key=lambda name: name == "rag_search")


def test_of_several_jobs_the_cause_leads_and_not_what_waits_for_it() -> None:
    """The category of an answer about a failed job and one that waits for it is the failed one's."""
    envelopes = []
    held = RelatedFacts(name="SRV01#DIARIO.JOB_A", status="ABEND", satisfied=False)
    failed_job = job_facts("ABEND", "JOB_A", return_code=5, job_log=job_log("fecha_a: ERROR conta 41207"))
    for job in (failed_job, job_facts("HOLD", "JOB_B", predecessors=(held,))):
        problems = (failed_job,) if job.name == "JOB_B" else ()
        envelopes.append(tws(job, problems=problems, asked=job.name))
    evidence = tuple(
        item.model_copy(update={"id": f"tws_status:{number}"})
        for number, item in enumerate(envelopes[1].evidence, start=len(envelopes[0].evidence) + 1)
    )
    envelopes[1] = envelopes[1].model_copy(update={"evidence": evidence})
    diagnosis = ask(*envelopes, message="Por que JOB_A e JOB_B não rodaram?", jobs=("JOB_A", "JOB_B"))
    assert diagnosis.category == "application_error"
