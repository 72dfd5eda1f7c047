"""Which questions ask for one fact of a job."""

import pytest

from orchestrator.routing.facts import Fact, fact_of
from orchestrator.routing.follow_up import Reference, reference_of
from orchestrator.routing.router import entities_of


@pytest.mark.parametrize(
    ("fact", "question"),
    [
        ("successors", "quem depende do BATCH001?"),
        ("successors", "quem espera pelo JOB BATCH001?"),
        ("successors", "quem está esperando o BATCH001?"),
        ("successors", "quais os sucessores do BATCH001?"),
        ("successors", "sucessores do BATCH001"),
        ("successors", "o que roda depois do BATCH001?"),
        ("successors", "quais jobs dependem do BATCH001?"),
        ("successors", "what depends on BATCH001?"),
        ("successors", "¿quién depende de BATCH001?"),
        ("predecessors", "quais os predecessores do BATCH001?"),
        ("predecessors", "de quem o BATCH001 depende?"),
        ("predecessors", "o BATCH001 depende de quem?"),
        ("predecessors", "o que roda antes do BATCH001?"),
        ("predecessors", "what does BATCH001 depend on?"),
        ("ended", "que horas falhou o BATCH001?"),
        ("ended", "quando o BATCH001 terminou?"),
        ("started", "a que horas começou o BATCH001?"),
        ("script", "qual o script do BATCH001?"),
        ("script", "which script does BATCH001 run?"),
        ("user", "com que usuário roda o BATCH001?"),
        ("user", "qual o usuário do BATCH001?"),
        ("workstation", "em que máquina roda o BATCH001?"),
        ("workstation", "onde o BATCH001 rodou?"),
        ("duration", "quanto tempo durou o BATCH001?"),
        ("duration", "how long did BATCH001 run?"),
        ("return_code", "qual o return code do BATCH001?"),
        ("return_code", "qual foi o RC do BATCH001?"),
    ],
)
def test_a_question_for_one_fact_is_recognised(fact: str, question: str) -> None:
    """By its words, in three languages."""
    assert fact_of(question, entities_of(question)) is Fact(fact)


@pytest.mark.parametrize(
    "question",
    [
        "por que o BATCH001 falhou?",
        "por que o BATCH001 falhou e quem depende dele?",
        "qual usuário cancelou o BATCH001?",
        "qual o comando para reexecutar o BATCH001?",
        "o que significa RC 12 no BATCH001?",
        "qual o RC aceito pelo BATCH001?",
        "quando o BATCH001 vai rodar?",
        "quanto tempo ainda falta para o BATCH001?",
        "como mudo o usuário do BATCH001?",
        "o sucessor do BATCH001 não rodou",
        "BATCH001",
        "",
    ],
)
def test_another_question_asks_for_no_fact(question: str) -> None:
    """For a reason, a way, a meaning, or for what the plan does not hold."""
    assert fact_of(question, entities_of(question)) is None


@pytest.mark.parametrize(
    "question",
    ["qual o script?", "com que usuário roda?", "em que máquina?", "quanto tempo durou?", "que horas falhou?"],
)
def test_a_fact_without_a_name_is_asked_of_the_sessions_job(question: str) -> None:
    """It is no question about the plan, nor about nothing."""
    assert reference_of(question, entities_of(question)) is Reference.BACK
