"""One contract for every knowledge base: the SQLite file and the app's PostgreSQL, each with and without vectors."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, TypeVar

import pytest
from pydantic import SecretStr
from tests_support import stretched

from workers.knowledge.base import KnowledgeBase, KnowledgeError, SearchResult
from workers.knowledge.embeddings import EmbeddingClient
from workers.knowledge.postgres.base import PostgresKnowledgeBase
from workers.knowledge.ranking.query import build_query
from workers.knowledge.reading.chunking import cut_sections
from workers.knowledge.reading.readers import read_document
from workers.knowledge.sqlite.base import SqliteKnowledgeBase
from workers.knowledge.sqlite.folder import index_folder
from workers.knowledge.sqlite.index import KnowledgeIndex
from workers.knowledge.sqlite.vectors import pack

Result = TypeVar("Result")
Open = Callable[[], KnowledgeBase]

PAGES = {
    "messages.md": """# Messages of the batch server

## AWSBHT001E

### Symptom
The job could not be launched: message AWSBHT001E is in the log.

### Cause and solution
The logon user is not defined on the workstation. Define the user with its password and rerun the job.

## AWSBHT999E

### Symptom
The mailbox file is damaged.

### Cause and solution
Recreate the mailbox.
""",
    "memory.md": """# Return code 137

The process was killed because the machine ran out of memory. RC 137 is SIGKILL.

## Fix
Raise the memory limit of the container.
""",
    "space.md": """# SB37 data set out of space

The volume is full and the data set cannot grow.

## Fix
Increase the secondary allocation.
""",
    "conexao.md": """# Perda de conexão do agente

A estação de trabalho fica sem comunicação e os jobs não iniciam.

## Solução
Verifique o firewall e reinicie o agente.
""",
    "payroll.md": """# Payroll handover

Job PAYROLL_CLOSE01 is owned by the finance team; call extension 4711 before a rerun.
""",
    **{f"filler{number}.md": f"# Chapter {number}\n\nText number {number} about calendars and run cycles.\n"
       for number in range(30)},
}  # fmt: skip


def write_pages(folder: Path) -> Path:
    folder.mkdir()
    for name, text in PAGES.items():
        (folder / name).write_text(text, encoding="utf-8")
    return folder


def make_client(url: str) -> EmbeddingClient:
    return EmbeddingClient(url, "hashing", SecretStr("sk-test"))


async def embed_all(url: str, texts: list[str]) -> list[list[float]]:
    client = make_client(url)
    try:
        return await client.embed(texts, timeout_seconds=10)
    finally:
        await client.close()


def fill_sqlite(tmp_path: Path, url: str | None) -> Path:
    path = tmp_path / "kb.sqlite3"
    with KnowledgeIndex(path) as index:
        index_folder(index, write_pages(tmp_path / "manual"))
        if url:
            waiting = index.chunks_without_vector("hashing")
            vectors = asyncio.run(embed_all(url, [text for _, text in waiting]))
            index.put_vectors("hashing", [(item[0], pack(v)) for item, v in zip(waiting, vectors, strict=True)])
    return path


def fill_postgres(database: str, url: str | None, collection: str) -> None:
    import psycopg

    rows: list[tuple[str, int, str, str]] = []
    for name, text in PAGES.items():
        document = read_document(name, text.encode())
        for chunk in cut_sections(document.sections):
            metadata = {"source": f"manual/{name}", "title": document.title, "section": chunk.section}
            rows.append((name, chunk.ordinal, "\n".join((*chunk.headings, chunk.text)), json.dumps(metadata)))
    vectors: list[Any] = asyncio.run(embed_all(url, [row[2] for row in rows])) if url else [None] * len(rows)
    with psycopg.connect(database) as connection:
        connection.execute("CREATE EXTENSION IF NOT EXISTS vector")
        connection.execute(
            "CREATE TABLE IF NOT EXISTS document_embeddings (id bigserial PRIMARY KEY, collection_name text,"
            " document_id text, chunk_id int, content text, embedding vector(512), metadata jsonb, sha256 text)"
        )
        connection.execute("DELETE FROM document_embeddings WHERE collection_name = %s", (collection,))
        for row, vector in zip(rows, vectors, strict=True):
            connection.execute(
                "INSERT INTO document_embeddings (collection_name, document_id, chunk_id, content, metadata, embedding)"
                " VALUES (%s, %s, %s, %s, %s, %s::vector)",
                (collection, *row, None if vector is None else str(vector)),
            )


@pytest.fixture(params=["sqlite", "sqlite-vectors", "postgres", "postgres-vectors"])
def open_base(request: pytest.FixtureRequest, tmp_path: Path) -> Open:
    """A function that opens a filled knowledge base of each kind."""
    kind, _, vectors = str(request.param).partition("-")
    url = request.getfixturevalue("embeddings_server").url if vectors else None
    if kind == "sqlite":
        path = fill_sqlite(tmp_path, url)
        return lambda: SqliteKnowledgeBase(path, make_client(url) if url else None)
    database = request.getfixturevalue("postgres_url")
    fill_postgres(database, url, request.param)
    return lambda: PostgresKnowledgeBase(
        SecretStr(database), request.param, make_client(url) if url else None
    )  # fmt: skip


def use(open_base: Open, work: Callable[[KnowledgeBase], Awaitable[Result]]) -> Result:
    async def run() -> Result:
        base = open_base()
        try:
            return await work(base)
        finally:
            await base.close()

    return asyncio.run(run())


def search(open_base: Open, text: str, limit: int = 5, **known: Any) -> SearchResult:
    query = build_query(text, **known)
    return use(open_base, lambda base: base.search(query, limit=limit, timeout_seconds=10))


def test_the_page_of_a_code_comes_first(open_base: Open) -> None:
    """A code in the question outweighs every word: its page is the first."""
    assert search(open_base, "job em ABEND SB37, o agente e o firewall").hits[0].document == "manual/space.md"
    assert search(open_base, "failed", codes=["AWSBHT001E"]).hits[0].document == "manual/messages.md"
    assert search(open_base, "terminou com código de retorno 137").hits[0].document == "manual/memory.md"


def test_the_remedy_comes_with_the_symptom(open_base: Open) -> None:
    """The passage of a message holds the neighbouring section with its solution, and not the next message."""
    text = search(open_base, "AWSBHT001E").hits[0].text
    assert "Define the user with its password" in text
    assert "Recreate the mailbox" not in text


def test_accents_and_endings_do_not_matter(open_base: Open) -> None:
    """Accents, case and plural make no difference to what is found."""
    documents = {
        search(open_base, text).hits[0].document
        for text in ("perda de conexão do agente", "PERDA DE CONEXAO DOS AGENTES", "perdas de conexões")
    }
    assert documents == {"manual/conexao.md"}


def test_a_portuguese_question_finds_an_english_page(open_base: Open) -> None:
    """The glossary brings Portuguese words of the domain to English pages."""
    assert search(open_base, "processo morto por falta de memória").hits[0].document == "manual/memory.md"


def test_a_page_that_names_the_job_is_found(open_base: Open) -> None:
    """The job's name is searched as a whole, in whatever notation it came."""
    result = search(open_base, "o job falhou", names=["WS1#PAY.PAYROLL_CLOSE01"])
    assert result.hits[0].document == "manual/payroll.md"


def test_the_limit_holds_and_the_total_is_told(open_base: Open) -> None:
    """Never more passages than asked for, and how many there were."""
    result = search(open_base, "calendars and run cycles", limit=3)
    assert len(result.hits) == 3
    assert result.total_found > 3
    assert search(open_base, "calendars and run cycles", limit=0).hits == ()


def test_hits_are_ordered_and_say_where_they_are_from(open_base: Open) -> None:
    """Passages are distinct, best first, with document, section, score and codes."""
    hits = search(open_base, "SB37 volume full").hits
    assert [hit.score for hit in hits] == sorted((hit.score for hit in hits), reverse=True)
    assert len({hit.where for hit in hits}) == len(hits)
    assert hits[0].where.startswith("manual/space.md#")
    assert hits[0].title == "SB37 data set out of space"
    assert "SB37" in hits[0].codes


def test_nothing_relevant_is_nothing(open_base: Open) -> None:
    """A question from outside of the domain gets no passage at all."""
    result = search(open_base, "qual a receita de bolo de cenoura com cobertura")
    assert result.hits == ()
    assert result.total_found == 0


@pytest.mark.parametrize(
    "text",
    [
        '"', "'",
        "a' OR 1=1 --", 'x" OR NEAR(', "* ^ : - + ( ) { }", "AND OR NOT NEAR", "col:umn", "\\", "\x00\x00S0C7",
        "😀 ção", "%s %(x)s", "S" * 8000, "a " * 4000, "''::tsquery & !", "🤖" * 3000, "\ud800",
    ],
)  # fmt: skip
def test_any_text_is_a_safe_question(open_base: Open, text: str) -> None:
    """No text breaks the search: quotes, operators, NUL, lone surrogates, very long input."""
    assert len(search(open_base, text).hits) <= 5


def test_stats_count_what_is_there(open_base: Open) -> None:
    """Documents and passages are counted."""
    stats = use(open_base, lambda base: base.stats(timeout_seconds=10))
    assert stats.documents == len(PAGES)
    assert stats.passages >= len(PAGES)
    assert stats.embedded in (0, stats.passages)


def test_no_time_is_a_timeout(open_base: Open) -> None:
    """With no time left the search says so within a moment, with a reason of its own."""

    async def run(base: KnowledgeBase) -> tuple[str, float]:
        started = time.monotonic()
        with pytest.raises(KnowledgeError) as caught:
            await base.search(build_query("SB37"), limit=5, timeout_seconds=-1)
        return caught.value.reason, time.monotonic() - started

    reason, seconds = use(open_base, run)
    assert reason == "knowledge_timeout"
    assert seconds < stretched(2)


def test_a_cancelled_search_leaves_the_base_usable(open_base: Open) -> None:
    """Cancelling a search ends it, and the next one works."""

    async def run(base: KnowledgeBase) -> SearchResult:
        task = asyncio.create_task(base.search(build_query("SB37 volume"), limit=5, timeout_seconds=10))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        return await base.search(build_query("SB37 volume"), limit=5, timeout_seconds=10)

    assert use(open_base, run).hits[0].document == "manual/space.md"


def test_concurrent_searches_do_not_mix(open_base: Open) -> None:
    """Many searches at once each get their own answer."""

    async def run(base: KnowledgeBase) -> list[SearchResult]:
        texts = ["SB37", "AWSBHT001E", "RC 137"] * 6
        return await asyncio.gather(*(base.search(build_query(t), limit=1, timeout_seconds=20) for t in texts))

    documents = [result.hits[0].document for result in use(open_base, run)]
    assert documents == ["manual/space.md", "manual/messages.md", "manual/memory.md"] * 6
