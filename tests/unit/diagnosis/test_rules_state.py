"""Questions for a state, and names that are not what the user calls them."""

from __future__ import annotations

import pytest
from rules_support import S0C7, answered, ask, failed, job_facts, job_log, tws

from orchestrator.models import SourceEnvelope
from orchestrator.payloads import (
    JobFacts,
    MetricsPayload,
    RelatedFacts,
    RunFacts,
    SeriesFacts,
    TwsPayload,
    WorkstationFacts,
)

CAUSE = job_facts(
    "ABEND",
    name="JOB_A",
    return_code=5,
    job_stream_status="STUCK",
    job_log=job_log("fecha_a: ERROR conta 41207"),
    successors=(RelatedFacts(name="SRV01#DIARIO.JOB_B", status="HOLD"),),
)


def found_otherwise(asked: str, *problems: JobFacts, stations: tuple[WorkstationFacts, ...] = ()) -> SourceEnvelope:
    """What tws_status answers when the job that was named is a job stream or a workstation."""
    envelope = tws(problems=problems, stations=stations, asked=asked)
    payload = TwsPayload.model_validate(envelope.data).model_copy(update={"problems_asked": f"jobs of {asked}"})
    return envelope.model_copy(update={"data": payload.model_dump(mode="json")})


@pytest.mark.parametrize(
    ("message", "job", "opening"),
    [
        (
            "Qual o status do job BATCH001?",
            job_facts("EXEC", runs=(RunFacts(status="EXEC", started_at="2026-11-24T07:01:40Z"),)),
            "Estado do job BATCH001 no TWS: EXEC, iniciado em 2026-11-24 07:01 (UTC).",
        ),
        (
            "What is the status of job BATCH001?",
            job_facts("SUCC", return_code=0, runs=(RunFacts(status="SUCC", ended_at="2026-11-24T07:12:40Z"),)),
            "State of job BATCH001 in TWS: SUCC, RC 0, ended at 2026-11-24 07:12 (UTC).",
        ),
        (
            "¿Cuál es el estado del job BATCH001?",
            job_facts("HOLD", substatus="HOLD_WAITING_FOR_TIME", scheduled_at="2026-11-24T22:00:00Z"),
            "Estado del job BATCH001 en TWS: HOLD, HOLD_WAITING_FOR_TIME, programado para 2026-11-24 22:00 (UTC).",
        ),
    ],
)
def test_a_question_for_the_state_is_answered_with_the_state(message: str, job: JobFacts, opening: str) -> None:
    """Asked for the status, the answer opens with the state and its time; the cause comes second."""
    assert ask(tws(job), message=message).summary.startswith(opening)


def test_a_question_for_the_cause_does_not_open_with_the_state() -> None:
    """Asked why a job failed, the cause leads."""
    assert ask(tws(job_facts("ABEND", return_code=5))).summary.startswith("O job BATCH001 terminou")


def test_an_action_is_answered_with_the_state_as_well() -> None:
    """Before a change is judged, the present state must be known: it follows the word that nothing was executed."""
    summary = ask(tws(job_facts("EXEC")), message="cancele o job BATCH001").summary

    assert summary.startswith("Nada foi executado")
    assert "Estado do job BATCH001 no TWS: EXEC." in summary


def test_without_tws_the_state_is_said_to_be_unknown() -> None:
    """Asked for the status while TWS is silent, the answer says so and does not quote the question as a finding."""
    summary = ask(failed("tws_status", job="BATCH001"), message="Qual o status do job BATCH001?").summary

    assert summary.startswith("O estado atual de BATCH001 não é conhecido: o TWS não respondeu.")
    assert "vem só da pergunta" not in summary


def test_without_tws_the_first_paragraph_says_that_its_state_could_not_be_read() -> None:
    """Asked why a job failed while TWS is silent, the reader learns at once what the answer lacks."""
    summary = ask(failed("tws_status"), message="Job ZOS1#FATDIA.BATCH001 falhou (RC<=4)").summary

    assert "O estado atual no TWS não pôde ser lido: o que se sabe vem só da pergunta, “Job ZOS1#FATDIA.B" in summary
    assert "BATCH001 falhou (RC<=4)”." in summary


def test_the_state_of_a_stream_and_of_a_workstation_is_told() -> None:
    """Streams are told by their own state, workstations by link and limit."""
    station = WorkstationFacts(name="AGT07", linked=False, limit=10)
    stream = ask(tws(problems=(CAUSE,), asked=None), message="Qual o status do job stream DIARIO?")
    agent = ask(tws(stations=(station,), asked=None), message="Qual o status da workstation AGT07?")

    assert stream.summary.startswith("Estado do job stream DIARIO no TWS: STUCK.")
    assert agent.summary.startswith("Estado da workstation AGT07 no TWS: sem link (não LINKED), limite 10.")


def test_a_stream_that_the_user_calls_a_job_is_explained_as_a_stream() -> None:
    """A job stream called a job is not told as missing from the plan: the job that holds it is the answer."""
    waiting = job_facts("HOLD", name="JOB_B", substatus="HOLD_WAITING_FOR_PREDECESSOR")
    diagnosis = ask(found_otherwise("DIARIO", CAUSE, waiting), message="Por que o job DIARIO está parado?")

    assert diagnosis.category == "predecessor_failed"
    assert "O job stream DIARIO não avança porque o predecessor JOB_A falhou (RC 5)" in diagnosis.summary
    assert diagnosis.root_cause.count("JOB_A falhou (RC 5): mensagem de erro do programa") == 1


def test_a_named_job_that_waits_for_another_named_one_adds_no_second_cause() -> None:
    """Asked about a failed job and one that it holds, the cause and its steps are told once; alone, it has them."""
    cause = job_facts("ABEND", name="JOB_A", return_code=12, job_log=job_log(S0C7, step="STEP030"))
    held_by = RelatedFacts(kind="job", name="JOB_A", status="ABEND", return_code=12, satisfied=False)
    waiting = job_facts("HOLD", name="JOB_B", predecessors=(held_by,))
    second = tws(waiting, problems=(cause,), asked="JOB_B")
    alone = ask(second, message="O job JOB_B não roda")
    # The evidence of one source over all jobs is numbered on.
    numbered = [item.model_copy(update={"id": f"tws_status:{9 + at}"}) for at, item in enumerate(second.evidence)]
    second = second.model_copy(update={"evidence": tuple(numbered)})
    both = ask(tws(cause, asked="JOB_A"), second, message="Os jobs JOB_A e JOB_B falharam")

    assert "o predecessor JOB_A falhou" in both.summary
    assert both.root_cause.count("S0C7: ") == 1
    assert "JOB_A terminou" not in both.root_cause
    assert not [action for action in both.actions if "predecessor" in action.text]
    assert alone.root_cause.startswith("O job JOB_A terminou em ABEND S0C7")
    assert [action for action in alone.actions if "predecessor" in action.text]


def test_a_stream_among_jobs_is_no_alternative_to_one_of_them() -> None:
    """Asked about a job and the stream that it holds, each has its own hypotheses."""
    waiting = job_facts("HOLD", name="JOB_B", substatus="HOLD_WAITING_FOR_PREDECESSOR")
    stream = found_otherwise("DIARIO", CAUSE, waiting)
    diagnosis = ask(tws(CAUSE, asked="JOB_A"), stream, message="Os jobs JOB_A e DIARIO falharam")

    assert {item.job: item.category for item in diagnosis.hypotheses} == {
        "JOB_A": "application_error",
        "DIARIO": "predecessor_failed",
    }


def test_a_job_found_by_its_name_and_in_its_stream_is_told_once() -> None:
    """A stream in which only the named job failed adds nothing to it."""
    summary = ask(
        tws(CAUSE, asked="JOB_A"), found_otherwise("DIARIO", CAUSE), message="Os jobs JOB_A e DIARIO falharam"
    ).summary

    assert summary.count("O job JOB_A falhou (RC 5)") == 1
    assert "grupo" not in summary


def test_a_workstation_that_the_user_calls_a_job_is_explained_as_a_workstation() -> None:
    """So is a workstation: its jobs and its link are the answer."""
    station = WorkstationFacts(name="SRV01", linked=False)
    job = job_facts("READY", name="LOJA001", substatus="READY_WAITING_FOR_AGENT")
    diagnosis = ask(found_otherwise("SRV01", job, stations=(station,)), message="O job SRV01 não inicia")

    assert diagnosis.category == "agent_unlinked"
    assert "LOJA001" in diagnosis.summary


def test_a_stream_without_problems_that_the_user_calls_a_job_is_not_missing() -> None:
    """When nothing is wrong with what was found instead of a job, that is said."""
    diagnosis = ask(found_otherwise("DIARIO"), message="Por que o job DIARIO está parado?")

    assert diagnosis.category != "job_not_found"
    assert "Nenhum job com falha" in diagnosis.summary


def test_a_waiting_job_is_explained_by_why_the_failed_one_failed() -> None:
    """Asked about a job in HOLD, the answer names the failed job at the beginning of the chain and why it failed."""
    job = job_facts(
        "HOLD",
        name="JOB_C",
        substatus="HOLD_WAITING_FOR_PREDECESSOR",
        predecessors=(RelatedFacts(name="SRV01#DIARIO.JOB_B", status="HOLD", satisfied=False),),
    )
    diagnosis = ask(tws(job, problems=(CAUSE,), asked="JOB_C"), message="Por que o job JOB_C está em HOLD?")

    assert diagnosis.category == "predecessor_failed"
    assert "JOB_A falhou (RC 5)" in diagnosis.summary
    assert diagnosis.root_cause.count("JOB_A falhou (RC 5): mensagem de erro do programa") == 1
    assert any("ERROR conta 41207" in claim.text for claim in diagnosis.claims)
    assert "waiting_predecessor" not in [item.category for item in diagnosis.hypotheses]


def test_a_predecessor_that_cannot_start_is_explained_by_its_workstation() -> None:
    """A job that waits for one in READY on a workstation with limit 0 is told why that one does not start."""
    job = job_facts(
        "HOLD",
        substatus="HOLD_WAITING_FOR_PREDECESSOR",
        predecessors=(RelatedFacts(name="SRV01#DIARIO.JOB_A", status="READY", satisfied=False),),
    )
    diagnosis = ask(tws(job, stations=(WorkstationFacts(name="SRV01", linked=True, limit=0),)))

    assert diagnosis.category == "waiting_predecessor"
    assert "A workstation SRV01 está com LIMIT 0: nenhum job inicia nela." in diagnosis.summary


@pytest.mark.parametrize(("series", "expected"), [("host_up", True), ("backup_duration", False), ("group_lag", False)])
def test_only_the_series_of_the_link_speak_for_an_unlinked_agent(series: str, expected: bool) -> None:
    """A figure whose name merely holds the letters of ``up`` is no word about the agent."""
    job = job_facts("READY", substatus="READY_WAITING_FOR_AGENT")
    figures = MetricsPayload(series=(SeriesFacts(name=series, value=0, concern="0, abaixo de 1"),))
    diagnosis = ask(
        tws(job, stations=(WorkstationFacts(name="SRV01", linked=False),)),
        answered("metrics", figures, f"{series} 0, abaixo de 1"),
    )

    assert diagnosis.category == "agent_unlinked"
    assert any(series in claim.text for claim in diagnosis.claims) is expected


@pytest.mark.parametrize(
    ("status", "said"),
    [
        ("INTRO", "está em INTRO: o lançamento foi pedido ao agente."),
        ("WAIT", "está em WAIT: o pedido de lançamento foi feito e espera o agente."),
        ("WAITD", "está em WAITD: o lançamento foi solicitado e o agente o adiou."),
        ("READY", "está em READY: as dependências estão satisfeitas; falta a workstation aceitar o lançamento."),
        ("HOLD", "está em HOLD: o job espera dependências: predecessor, horário, arquivo, recurso ou prompt."),
        ("SCHED", "está em SCHED: o horário agendado do job ainda não chegou."),
        ("ADD", "está em ADD: o job está sendo incluído no plano e ainda não foi agendado."),
        ("BOUND", "está em BOUND: o job sombra foi associado a um job do plano remoto"),
        ("DONE", "está em DONE: o job terminou; o agente não sabe como."),
        ("CANCLP", "está em CANCLP: o cancelamento espera as dependências."),
        ("SUSP", "está em SUSP: o job está bloqueado."),
        ("EXEC", "está em execução."),
        ("SUPPR", "foi suprimido (SUPPR)"),
    ],
)
def test_a_state_without_a_substate_is_told_by_its_own_meaning(status: str, said: str) -> None:
    """No state is told as another one, and none as more than it says."""
    diagnosis = ask(tws(job_facts(status)), message="Por que o job BATCH001 não anda?")

    assert diagnosis.summary.startswith(f"O job BATCH001 {said}")
    assert ("em execução" in diagnosis.summary) is (status == "EXEC")


def test_a_missing_priority_is_not_told() -> None:
    """A job below the fence whose priority TWS did not give has no priority "None"."""
    diagnosis = ask(tws(job_facts("FENCE"), stations=(WorkstationFacts(name="SRV01", limit=10, linked=True, fence=5),)))

    assert "None" not in diagnosis.summary + " ".join(claim.text for claim in diagnosis.claims)
