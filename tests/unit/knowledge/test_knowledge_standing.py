"""Pages that no longer hold: what they say, their editions, and who replaces them."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from workers.knowledge.ranking.query import build_query
from workers.knowledge.reading.readers import read_document
from workers.knowledge.reading.standing import find_standing
from workers.knowledge.sqlite.base import SqliteKnowledgeBase
from workers.knowledge.sqlite.folder import index_folder
from workers.knowledge.sqlite.index import KnowledgeIndex


@pytest.mark.parametrize(
    ("path", "title", "head", "edition"),
    [
        ("a.md", "Rotina de carga v2", "", "v0002"),
        ("a.md", "Rotina de carga – versão 1.10", "", "v0001.0010"),
        ("carga-v3.md", "Rotina de carga", "", "v0003"),
        ("a.md", "Rotina de carga 2023", "", "d2023"),
        ("a.md", "Rotina de carga", "Atualizado em: 05/03/2024", "d2024-03-05"),
        ("a.md", "Load routine", "Version: 2.1", "v0002.0001"),
        ("a.md", "Load routine", "Last update: 2024-03-05", "d2024-03-05"),
        ("a.md", "Rotina de carga", "O job roda desde 2019 com a versão 3 do script.", ""),
        ("a.md", "S0C7 em PAYD2023", "", ""),
    ],
)
def test_the_edition_of_a_page(path: str, title: str, head: str, edition: str) -> None:
    """Its version or date, from title, file name or a line that states it."""
    assert find_standing(path, title, head).edition == edition


def test_front_matter_and_text_say_what_a_page_replaces() -> None:
    """By title or file name, without marks."""
    document = read_document("x/new.md", b"---\nsupersedes: old-page.md\n---\n# New\n\nReplaces: Load routine\n")
    assert document.standing.replaces == ("old page", "load routine")
    assert document.standing.names == ("new",)


def test_a_page_that_no_longer_holds_is_marked_and_comes_last(tmp_path: Path) -> None:
    """Revoked, older than its successor, or replaced by another page; one of another folder is another system's."""
    pages = {
        "a/carga-v1.md": "# ORA-12541 na carga v1\n\nReinicie o listener antigo.",
        "a/carga-v2.md": "# ORA-12541 na carga v2\n\nReinicie o listener novo.",
        "a/velha.md": "# Listener da carga\n\nORA-12541: ligue para o plantão.",
        "a/nova.md": "# Listener novo da carga\n\nSubstitui: velha.md\n\nORA-12541: reinicie o listener.",
        "a/revogada.md": "# ORA-12541 no legado\n\n**REVOGADO**\n\nReinicie o listener do legado.",
        "b/rotina-2020.md": "# Listener de estoque 2020\n\nORA-12541: reinicie o listener.",
        "c/rotina-2024.md": "# Listener de estoque 2024\n\nORA-12541: reinicie o listener.",
    }
    for path, text in pages.items():
        (tmp_path / "kb" / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "kb" / path).write_text(text, encoding="utf-8")
    file = tmp_path / "kb.sqlite3"
    with KnowledgeIndex(file) as index:
        index_folder(index, tmp_path / "kb")

    async def search() -> dict[str, bool]:
        base = SqliteKnowledgeBase(file)
        try:
            result = await base.search(build_query("ORA-12541 listener"), limit=10, timeout_seconds=10)
            return {hit.document.removeprefix("kb/"): hit.withdrawn for hit in result.hits}
        finally:
            await base.close()

    hits = asyncio.run(search())
    assert {path for path, withdrawn in hits.items() if withdrawn} <= {"a/carga-v1.md", "a/velha.md", "a/revogada.md"}
    assert hits["a/carga-v2.md"] is False
    assert hits["a/nova.md"] is False
    assert hits["b/rotina-2020.md"] is False
    assert hits["a/carga-v1.md"] is True
    assert hits["a/revogada.md"] is True
    (tmp_path / "kb" / "a/carga-v2.md").unlink()
    with KnowledgeIndex(file) as index:
        index_folder(index, tmp_path / "kb")
    assert asyncio.run(search())["a/carga-v1.md"] is False
