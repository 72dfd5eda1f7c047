"""A run in which the knowledge base is asked again with what the job log showed, over real sources."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Collection
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
from tests_support import fetch_once

from orchestrator.models import Clue, SourceRequest
from orchestrator.routing.router import route
from workers.knowledge.sqlite.folder import index_folder
from workers.knowledge.sqlite.index import KnowledgeIndex
from workers.knowledge.sqlite.shipped import index_runbooks
from workers.lab.evaluation.cases import read_cases, scenario_of
from workers.lab.evaluation.runs import Answer, ask, counterparts
from workers.lab.simulator.counterparts import scenario_environ
from workers.lab.simulator.faults import Fault
from workers.lab.simulator.hwa import HwaSimulator
from workers.lab.simulator.scenarios import get_scenario
from workers.sources.tws_status.source import SPEC
from workers.standalone.system import system

PAGE = """# ORA-12541 na carga noturna

O listener do banco de carga cai quando o servidor é reiniciado.

## Solução

1. No servidor do banco, rode `lsnrctl status LISTENER_CARGA`.
2. Suba o listener e avise o time de banco.
"""
OLD = "# ORA-12541 na carga antiga\n\n**REVOGADO**\n\n## Solução\n\n1. Reinicie o servidor inteiro.\n"
CASES = """[{"id": "CARGA01", "system": "unix", "status": "ABEND", "return_code": 1,
  "log": ["loading table CONTAS", "ERROR:", "ORA-12541: TNS:no listener"],
  "right_cause": "listener down", "accept": ["listener"], "telling_line": "ORA-12541: TNS:no listener"}]"""


def test_a_run_finds_the_runbook_of_its_jobs_log(tmp_path: Path) -> None:
    """The question names no code; the page about the log's code supports the answer and gives its steps."""
    pages = tmp_path / "pages"
    pages.mkdir()
    (pages / "carga.md").write_text(PAGE, encoding="utf-8")
    (pages / "carga-antiga.md").write_text(OLD, encoding="utf-8")
    (tmp_path / "cases.json").write_text(CASES, encoding="utf-8")
    path = tmp_path / "kb.sqlite3"
    with KnowledgeIndex(path) as index:
        index_runbooks(index)
        index_folder(index, pages)
    (case,) = read_cases(tmp_path / "cases.json")
    # The log comes later than the knowledge base's first answer, on any machine.
    scenario = replace(scenario_of(case, 0), faults=(Fault(path="/joblog", latency_seconds=0.3),))

    async def run(environ: dict[str, str]) -> Answer:
        with counterparts(scenario, environ) as variables:
            await ask(scenario, variables)  # the first run loads libraries
            return await ask(scenario, variables)

    with system(scenario_environ(os.environ), redis_url=None, say=lambda _line: None) as parts:
        answer = asyncio.run(run({**parts.environ, "RESYNC_KNOWLEDGE_PATH": str(path)}))

    envelopes = {envelope.source: envelope for envelope in answer.envelopes}
    assert envelopes["rag_search"].evidence[0].where.startswith("pages/carga.md")
    assert all("antiga" not in item.where for item in envelopes["rag_search"].evidence)
    assert envelopes["rag_search"].waited_ms > 0
    assert "trata deste caso em “ORA-12541 na carga noturna" in answer.text
    assert "lsnrctl status LISTENER_CARGA" in answer.text
    assert "Reinicie o servidor inteiro" not in answer.text


@dataclass
class Board:
    """Keeps what is posted."""

    waited_seconds: float = 0.0
    posted: list[Clue] = field(default_factory=list)

    async def post(self, clue: Clue) -> None:
        self.posted.append(clue)

    async def wait(self, sources: Collection[str], *, seconds: float) -> tuple[Clue, ...]:
        raise AssertionError(sources)


@pytest.mark.parametrize(
    ("question", "gives"),
    [
        ("o que é um run cycle?", False),
        ("ORA-12541 o que faço?", False),
        ("deu ORA-12541, e agora?", False),
        ("o que significa AWSJPL017E?", False),
        ("o que significa RC 8?", False),
        ("deu CEE3207S hoje", True),
        ("por que os jobs falharam hoje?", True),
        ("o que é a malha FATDIA?", True),
    ],
)
def test_what_has_failed_is_no_clue_to_a_question_about_something_else(question: str, gives: bool) -> None:
    """BATCH001 failed with S0C7, of which a question about a notion or another code asks nothing."""
    board = Board()
    request = SourceRequest(
        run_id="run-00000001",
        source="tws_status",
        message=question,
        routing=route(question),
        limit_seconds=20,
        clues=board,
    )
    with HwaSimulator(get_scenario(1).plan) as simulator:
        asyncio.run(fetch_once(SPEC.create(simulator.environ()), request))
    assert bool(board.posted) is gives
