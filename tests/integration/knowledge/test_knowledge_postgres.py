"""The PostgreSQL store: read-only, bounded, and precise about what is wrong."""

from __future__ import annotations

import asyncio
import json
import statistics
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from pydantic import SecretStr
from tests_support import stretched

from workers.knowledge.base import KnowledgeError, KnowledgeStats, SearchResult
from workers.knowledge.embeddings import EmbeddingClient
from workers.knowledge.postgres.base import PostgresKnowledgeBase
from workers.knowledge.postgres.sql import TEXT_VECTOR
from workers.knowledge.ranking.query import build_query
from workers.knowledge.reading.chunking import cut_sections
from workers.knowledge.reading.readers import read_document
from workers.knowledge.sqlite.shipped import runbooks_folder

psycopg = pytest.importorskip("psycopg")

COLLECTION = "knowledge_v1"
TABLE = (
    "CREATE TABLE document_embeddings (id bigserial PRIMARY KEY, collection_name text, document_id text,"
    " chunk_id int, content text, embedding vector(4), metadata jsonb, sha256 text)"
)


@contextmanager
def new_database(server: str) -> Iterator[str]:
    """A database of its own, so that a test may shape the table as it likes."""
    name = f"kb_{uuid.uuid4().hex[:12]}"
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
    url = server.replace("/postgres?", f"/{name}?")
    yield url
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
def database(postgres_url: str) -> Iterator[str]:
    """A database with the app's table, empty."""
    with new_database(postgres_url) as url:
        with psycopg.connect(url) as connection:
            connection.execute("CREATE EXTENSION vector")
            connection.execute(TABLE)
        yield url


def add(
    url: str, document: str, chunk: int, content: str, metadata: object = None, *, vector: str | None = None
) -> None:
    with psycopg.connect(url) as connection:
        connection.execute(
            "INSERT INTO document_embeddings (collection_name, document_id, chunk_id, content, metadata, embedding)"
            " VALUES (%s, %s, %s, %s, %s, %s::vector)",
            (COLLECTION, document, chunk, content, json.dumps(metadata or {}), vector),
        )


def search(
    url: str, text: str, *, timeout_seconds: float = 10, embeddings: EmbeddingClient | None = None
) -> SearchResult:
    async def run() -> SearchResult:
        base = PostgresKnowledgeBase(SecretStr(url), COLLECTION, embeddings)
        try:
            return await base.search(build_query(text), limit=5, timeout_seconds=timeout_seconds)
        finally:
            await base.close()

    return asyncio.run(run())


def test_the_apps_rows_are_read_as_they_are(database: str) -> None:
    """Titles, sections and sources come from the row's metadata, a server path is shortened, neighbours are joined."""
    meta = {"source": "/srv/data/docs/manual.pdf", "title": "Guia", "section": "AWSBHT001E"}
    add(database, "d1", 0, "AWSBHT001E aparece no log.", meta)
    add(database, "d1", 1, "Defina o usuário de logon.", {**meta, "section": "Causa e solução"})
    add(database, "d2", 0, "Outra coisa.", {})
    (hit,) = search(database, "o que é AWSBHT001E").hits
    assert hit.document == "docs/manual.pdf"
    assert hit.title == "Guia"
    assert "Defina o usuário de logon." in hit.text


def test_a_page_and_its_translation_take_one_place(database: str) -> None:
    """Of pages of one name in folders of languages, the one in the question's language is shown."""
    for language, text in (("pt", "O agente está desconectado, AWSBHT010E."), ("en", "The agent is down, AWSBHT010E.")):
        add(database, f"d-{language}", 0, text, {"source": f"docs/{language}/agent.md", "language": language})
    add(database, "d-other", 0, "AWSBHT010E again.", {"source": "docs/agent.md", "language": "en"})
    found = [hit.document for hit in search(database, "por que o agente está desconectado, AWSBHT010E?").hits]
    assert sorted(found) == ["docs/agent.md", "docs/pt/agent.md"]


def test_rows_without_metadata_are_cited_by_their_document(database: str) -> None:
    """Missing metadata breaks nothing; the document's id is cited."""
    add(database, "doc-17", 3, "S0C7 is a data exception.")
    (hit,) = search(database, "S0C7").hits
    assert hit.where.startswith("doc-17")


def test_other_collections_are_not_read(database: str) -> None:
    """Only the configured collection answers."""
    with psycopg.connect(database) as connection:
        connection.execute(
            "INSERT INTO document_embeddings (collection_name, document_id, chunk_id, content) VALUES"
            " ('private', 'x', 0, 'S0C7 secret')"
        )
    assert search(database, "S0C7").hits == ()


def test_every_transaction_is_read_only(database: str) -> None:
    """The store's connection cannot write, whatever the database user may do."""

    async def run() -> None:
        base = PostgresKnowledgeBase(SecretStr(database), COLLECTION)
        try:
            async with base._transaction(time.monotonic() + 5) as connection:
                await connection.execute("DELETE FROM document_embeddings")
        finally:
            await base.close()

    with pytest.raises(KnowledgeError, match="read-only transaction"):
        asyncio.run(run())


def test_a_blocked_table_is_a_timeout_and_leaves_no_query_behind(database: str) -> None:
    """A search that waits for a lock ends in time, at the server as well."""
    add(database, "d1", 0, "S0C7")
    with psycopg.connect(database) as blocker:
        blocker.execute("LOCK TABLE document_embeddings IN ACCESS EXCLUSIVE MODE")
        started = time.monotonic()
        with pytest.raises(KnowledgeError) as caught:
            search(database, "S0C7", timeout_seconds=0.5)
        assert caught.value.reason == "knowledge_timeout"
        assert time.monotonic() - started < stretched(3)
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            row = blocker.execute(
                "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
                " AND state = 'active'"
            ).fetchone()
            if row == (0,):
                break
            time.sleep(0.05)
        assert row == (0,)


def test_a_missing_table_is_said(postgres_url: str) -> None:
    """A database without the app's table is a schema error, not an empty answer."""
    with new_database(postgres_url) as url, pytest.raises(KnowledgeError) as caught:
        search(url, "S0C7")
    assert caught.value.reason == "knowledge_schema"


def test_an_unreachable_server_is_said_at_once_without_the_password() -> None:
    """A refused connection fails in a moment, and no error shows the password."""
    started = time.monotonic()
    with pytest.raises(KnowledgeError) as caught:
        search("postgresql://resync:planted-pw@127.0.0.1:1/db", "S0C7")
    assert time.monotonic() - started < stretched(3)
    assert "planted-pw" not in f"{caught.value!r} {caught.value.__cause__!r}"


def test_sqlalchemy_urls_are_understood(database: str) -> None:
    """The app's URL may name SQLAlchemy's driver."""
    add(database, "d1", 0, "S0C7")
    assert search(database.replace("postgresql://", "postgresql+asyncpg://"), "S0C7").total_found == 1


def test_a_model_of_other_dimensions_leaves_full_text(database: str, embeddings_server) -> None:
    """Vectors that do not fit the column are said, and full text answers."""
    add(database, "d1", 0, "S0C7 is a data exception", vector="[1,0,0,0]")
    result = search(database, "S0C7", embeddings=EmbeddingClient(embeddings_server.url, "hashing"))
    assert result.total_found == 1
    assert result.backend == "postgres"
    assert "gives 512 numbers, column embedding has 4" in str(result.notes[0])


def test_a_restarted_connection_is_replaced(database: str) -> None:
    """An idle connection that the server has ended is replaced without an error."""
    add(database, "d1", 0, "S0C7")

    async def run() -> int:
        base = PostgresKnowledgeBase(SecretStr(database), COLLECTION)
        try:
            await base.search(build_query("S0C7"), limit=5, timeout_seconds=5)
            await asyncio.to_thread(end_others)
            return (await base.search(build_query("S0C7"), limit=5, timeout_seconds=5)).total_found
        finally:
            await base.close()

    def end_others() -> None:
        with psycopg.connect(database) as connection:
            connection.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )

    assert asyncio.run(run()) == 1


def test_a_dead_idle_connection_is_closed_when_the_time_is_over() -> None:
    """A connection that a firewall dropped does not answer; the search ends in time and leaves it closed."""

    class DeadConnection:
        is_closed = False

        async def execute(self, _query: str) -> None:
            await asyncio.sleep(60)

        async def close(self) -> None:
            self.is_closed = True

    dead = DeadConnection()

    async def run() -> None:
        base = PostgresKnowledgeBase(SecretStr("postgresql://nowhere/x"), COLLECTION)
        base._idle.append(dead)  # type: ignore[arg-type]  # a stand-in
        await base.search(build_query("S0C7"), limit=1, timeout_seconds=0.1)

    with pytest.raises(KnowledgeError) as caught:
        asyncio.run(run())
    assert (caught.value.reason, dead.is_closed) == ("knowledge_timeout", True)


def test_the_recommended_index_is_used(database: str) -> None:
    """The index of the documentation can be made, and PostgreSQL plans the search's expression with it."""
    with psycopg.connect(database) as connection:
        connection.execute(f"CREATE INDEX ON document_embeddings USING gin (({TEXT_VECTOR}))")
        connection.execute("SET enable_seqscan = off")
        plan = connection.execute(
            f"EXPLAIN SELECT 1 FROM document_embeddings WHERE {TEXT_VECTOR} @@ to_tsquery('simple', 's0c7')"
        ).fetchall()
    assert any("Bitmap Index Scan" in line for (line,) in plan)


def test_stats_of_an_empty_collection_are_zero(database: str) -> None:
    """An empty collection is counted as empty."""

    async def run() -> KnowledgeStats:
        base = PostgresKnowledgeBase(SecretStr(database), COLLECTION)
        try:
            return await base.stats(timeout_seconds=5)
        finally:
            await base.close()

    stats = asyncio.run(run())
    assert (stats.documents, stats.passages, stats.embedded) == (0, 0, 0)
    assert stats.backend == "postgres+pgvector:vector"


def test_operators_questions_find_their_runbook_in_postgres_too(database: str, request: pytest.FixtureRequest) -> None:
    """Full text alone finds at least nine of ten pages among the first five, as the embedded store does."""
    data = json.loads((request.config.rootpath / "tests/data/retrieval.json").read_text(encoding="utf-8"))
    folder = runbooks_folder()
    for path in sorted(folder.glob("*/*.md")):
        name = path.relative_to(folder).as_posix()
        document = read_document(name, path.read_bytes())
        with psycopg.connect(database) as connection, connection.cursor() as cursor:
            cursor.executemany(
                "INSERT INTO document_embeddings (collection_name, document_id, chunk_id, content, metadata)"
                " VALUES (%s, %s, %s, %s, %s)",
                [
                    (COLLECTION, name, chunk.ordinal, "\n".join((*chunk.headings, chunk.text)),
                     json.dumps({"source": name, "title": document.title, "section": chunk.section}))
                    for chunk in cut_sections(document.sections)
                ],
            )  # fmt: skip

    taken: list[float] = []

    async def run() -> list[int | None]:
        base = PostgresKnowledgeBase(SecretStr(database), COLLECTION)
        try:
            ranks: list[int | None] = []
            for item in data["questions"]:
                query = build_query(item["question"], language=item["language"])
                began = time.perf_counter()
                result = await base.search(query, limit=5, timeout_seconds=10)
                taken.append((time.perf_counter() - began) * 1_000)
                wanted = {f"{folder}/{page}.md" for folder in ("pt", "en") for page in item["pages"]}
                places = [place for place, hit in enumerate(result.hits, 1) if hit.document in wanted]
                ranks.append(places[0] if places else None)
            return ranks
        finally:
            await base.close()

    ranks = asyncio.run(run())
    first = sum(rank == 1 for rank in ranks) / len(ranks)
    five = sum(rank is not None for rank in ranks) / len(ranks)
    times = f"p50 {statistics.median(taken):.0f} ms, p95 {statistics.quantiles(taken, n=20)[-1]:.0f} ms"
    request.config.get_terminal_writer().line(f" postgres full text: hit@1 {first:.2f} hit@5 {five:.2f}, {times}")
    assert five >= 0.9
