"""Questions for one fact of a job are answered with it first, from the plan; what TWS did not give is said."""

from datetime import UTC, datetime, timedelta

import pytest
from asked_support import ask_plan
from plan_support import depends_on_prompt

from workers.lab.simulator.faults import Fault
from workers.lab.simulator.plan import Plan, Run
from workers.lab.simulator.scenarios.mainframe import s0c7_log

NOW = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
STARTED = NOW - timedelta(minutes=60)


def chain() -> Plan:
    """EXTRAI1 ended well, BATCH001 behind it failed, and two jobs wait for that one."""
    plan = Plan(NOW)
    plan.add_workstation("LNX01")
    plan.add_stream("FATDIA", "LNX01")
    good = Run(STARTED, timedelta(minutes=5), "SUCC", 0)
    first = plan.add_job("EXTRAI1", "FATDIA", "LNX01", status="SUCC", runs=[good])
    run = Run(STARTED, timedelta(minutes=11), "ABEND", 12, s0c7_log(STARTED, 41873))
    failed = plan.add_job("BATCH001", "FATDIA", "LNX01", status="ABEND", runs=[run], task="/opt/fat.sh", user="fatur")
    plan.depends_on_job(failed, first)
    for name in ("BATCH002", "BATCH003"):
        waiting = plan.add_job(
            name, "FATDIA", "LNX01", status="HOLD", substatus="HOLD_WAITING_FOR_PREDECESSOR", task="", user=""
        )
        plan.depends_on_job(waiting, failed)
    depends_on_prompt(plan, waiting, "CONFERIR", "Conferiu?")
    return plan


@pytest.mark.parametrize(
    ("question", "first"),
    [
        ("quem depende do BATCH001?", "2 sucessores de BATCH001: LNX01#FATDIA.BATCH002 (HOLD), LNX01#FATDIA.BATCH003"),
        ("o que roda depois do BATCH001?", "2 sucessores de BATCH001: LNX01#FATDIA.BATCH002 (HOLD)"),
        ("quem espera pelo JOB BATCH002?", "Nada no plano depende de BATCH002."),
        ("quais os predecessores do BATCH002?", "1 dependência de BATCH002: LNX01#FATDIA.BATCH001 (ABEND, RC 12)."),
        ("de quem depende o BATCH001?", "1 dependência de BATCH001: LNX01#FATDIA.EXTRAI1 (SUCC)."),
        ("o que roda antes do EXTRAI1?", "EXTRAI1 não depende de nada."),
        ("que horas falhou o BATCH001?", "BATCH001 terminou em ABEND em 2026-11-24 08:11"),
        ("que horas começou o BATCH001?", "BATCH001 começou em 2026-11-24 08:00"),
        ("qual o script do BATCH001?", "BATCH001 executa `/opt/fat.sh`."),
        ("qual o script do BATCH002?", "O TWS não informou o script de BATCH002."),
        ("com que usuário roda o BATCH001?", "BATCH001 roda com o usuário fatur."),
        ("em que máquina roda o BATCH001?", "BATCH001 roda na workstation LNX01."),
        (
            "quanto tempo durou o BATCH001?",
            "A execução mais recente de BATCH001 durou 11 min, contra 12 min estimados.",
        ),
        ("quanto tempo durou o BATCH002?", "BATCH002 ainda não rodou; está programado para"),
        ("qual o return code do BATCH001?", "BATCH001 terminou com o código de retorno 12."),
        ("qual o RC do BATCH002?", "O TWS não informou um código de retorno de BATCH002."),
    ],
)
def test_the_fact_that_is_asked_for_opens_the_answer(question: str, first: str) -> None:
    """What is wrong with the job follows in one sentence, without steps."""
    diagnosis = ask_plan(chain(), question).diagnosis
    assert diagnosis.summary.startswith(first)
    assert diagnosis.actions == ()
    assert diagnosis.root_cause == ""


def test_each_successor_is_claimed_with_its_state() -> None:
    """By the evidence of the plan."""
    claims = [claim.text for claim in ask_plan(chain(), "quais os sucessores do BATCH001?").diagnosis.claims]
    assert claims[1:] == ["LNX01#FATDIA.BATCH002 está em HOLD.", "LNX01#FATDIA.BATCH003 está em HOLD."]


def test_a_dependency_that_is_no_job_is_named_too() -> None:
    """A prompt is what a job depends on as well."""
    summary = ask_plan(chain(), "quais as dependências do BATCH003?").diagnosis.summary
    assert "2 dependências de BATCH003: " in summary
    assert "CONFERIR" in summary.split(".")[1] + summary.split(".")[2]


def test_successors_that_could_not_be_read_are_not_said_to_be_none() -> None:
    """A server that fails for them leaves the question open."""
    fault = Fault("/successors", status=500)
    summary = ask_plan(chain(), "quem depende do BATCH002?", faults=[fault]).diagnosis.summary
    assert summary.startswith("Não se sabe o que depende de BATCH002")
