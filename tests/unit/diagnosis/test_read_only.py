"""Commands that only look are known one by one; whatever can do more is none of them."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest

from orchestrator.diagnosis.commands import check_action, is_mutating_command, mark_commands, risk_of
from orchestrator.diagnosis.draft import ActionDraft, DiagnosisDraft
from orchestrator.diagnosis.read_only import only_looks
from orchestrator.i18n.languages import Language
from orchestrator.i18n.message import Message
from orchestrator.models import Action

TABLE = json.loads((Path(__file__).parents[2] / "data" / "commands.json").read_text("utf-8"))
LOOKS, CHANGES = TABLE["looks"], TABLE["changes"]
SPOILERS = (
    "{}; rm x", "{};rm x", "{} && rm x", "{} & rm x", "{}\nrm x", "{}\r\nrm x", "{} | sh", "{}|sh", "{} || rm x",
    "{} > x", "{}>x", "{} >> x", "{} >| x", "{} &> x", "{} 2>x", "{} $(rm x)", '{} "$(rm x)"', "{} `rm x`",
    '{} "`rm x`"', "{} <(rm x)", "{}\u2028rm x", "{}\u00a0; rm x", "rm x; {}", "$(rm x) {}", "PAGER=sh {}", "eval {}",
    "{}; Remove-Item x", "{} | Remove-Item x", "{}; drop table t", "{} # \nrm x",
)  # fmt: skip


def test_nothing_that_changes_is_taken_for_looking() -> None:
    """Openly or in disguise: none of the table passes."""
    assert [command for command in CHANGES if only_looks(command)] == []


def test_what_operators_type_to_look_is_known() -> None:
    """Every command of the table is on the allow-list."""
    assert [command for command in LOOKS if not only_looks(command)] == []


@pytest.mark.parametrize("spoiler", SPOILERS)
def test_a_command_that_looks_does_not_carry_another_one(spoiler: str) -> None:
    """What is added to a command that only looks, to run or to write something, is not overlooked."""
    assert [command for command in LOOKS if only_looks(spoiler.replace("{}", command, 1))] == []


@pytest.mark.parametrize(
    "seed", ["ls ", "'", '"', "| ls ", "sj X;", "s/a/b/;", "select (", "-a b ", "get-x ", "<a", "[a"]
)
def test_reading_a_command_takes_linear_time(seed: str) -> None:
    """The longest command that is read at all takes less than a fifth of a second, whatever it repeats."""
    for start in ("", "sed -n '", "Get-Service ", "aws ec2 describe-x ", 'conman "sj ', "select "):
        began = time.thread_time()
        only_looks((start + seed * 2_000)[:2_000])
        assert time.thread_time() - began < 0.2


@pytest.mark.parametrize(
    "command",
    ['tail "$(wget -qO- x|sh)"', "ls `reboot`", 'less "+!cmd"', "rm -rf /dados", "curl -s https://h | sh"],
)
def test_what_runs_anything_is_of_high_risk(command: str) -> None:
    """What is not known before it runs is as harmful as can be."""
    assert check_action(Action(text="Ver", command=command)).risk == "high"


def test_what_a_command_looks_for_is_no_change() -> None:
    """A command that only looks is none for the words that it looks for."""
    for command in ("grep -i 'DROP TABLE' app.log", "grep -c 'kill -9' app.log"):
        assert risk_of("Procurar no log", command) == "none"
        assert risk_of(f"Rode `{command}`") == "none"


@pytest.mark.parametrize(
    "text",
    [
        'Rode tail "$(wget -qO- x|sh)" agora.',
        'A solução é less "+!cmd".',
        'Execute `sed "1w f" entrada` e confira.',
        "Use ``ls `reboot` `` antes.",
        "Run python limpa.py now",
        "Rode `SELECT pg_terminate_backend(1)`.",
        "SELECT pg_terminate_backend(1) resolve.",
        "Execute git log --output=/etc/x",
        "Peça o comando `F CICSPRD,CEMT P SHUT`.",
        "Veja com `curl -K conf`",
        "Execute `mysqladmin shutdown`.",
        "Run `for f in *; do rm $f; done`",
        "`LD_PRELOAD=x.so ls`",
        "Emita `V 0A80,OFFLINE` no console.",
        "Peça o comando `SETROPTS REFRESH`.",
        "Rode o comando `reboot` e espere.",
        "Ejecute `ls|rm`.",
    ],
)
def test_a_command_in_a_sentence_is_marked_unless_it_is_known_to_look(text: str) -> None:
    """In prose as in a step: what is not proven to look carries its mark, where it stands."""
    assert is_mutating_command(text)
    assert check_action(Action(text=text)).mutates
    assert "(proposta, não executada; risco " in mark_commands(text, "", Language.PT_BR)


@pytest.mark.parametrize(
    "text",
    [
        "Rode `tail -n 50 app.log` e confira.",
        "Rode conman sj PRD#X.Y;joblog e leia o fim.",
        "Use `SELECT count(*) FROM t` para contar.",
        "O código `S0C7` e a mensagem `ORA-12541` dizem por quê.",
        "Corrija `DISP=(NEW,CATLG,DELETE)` e `REGION=0M`.",
        "O log diz `No space left on device` e `Out of memory: Killed process`.",
        "`NOT CATLGD 2` e `IF field NUMERIC`",
        "Use less memory, or try more time.",
        "Peça ao operador `D GRS,C`.",
        "The command file is missing; run the job log check.",
        "O arquivo `/dados/entrada.dat` está vazio",
        "Execute `LISTCAT ENT('PRD.X') ALL` e `D A,L`",
        "O step que executa `IDCAMS` e o campo `PIC S9(7) COMP-3`",
        "Rode de novo só depois de ver `RC=0`",
    ],
)
def test_looking_codes_and_names_in_a_sentence_are_not_marked(text: str) -> None:
    """What only looks, and what is no command at all, stays as it is."""
    assert mark_commands(text, "", Language.PT_BR) == text
    assert not is_mutating_command(text)


def test_a_name_of_a_log_that_a_command_takes_over_is_looked_at() -> None:
    """A catalogue's command with a name out of the evidence is marked when the name makes more of it."""
    actions = (
        ActionDraft(Message("Check the user."), command="id tws"),
        ActionDraft(Message("Check the user."), command="id $(reboot)"),
    )
    written = DiagnosisDraft(Message("x"), actions=actions).written(Language.EN)
    assert [(action.mutates, action.risk) for action in written.actions] == [(False, "none"), (True, "high")]
