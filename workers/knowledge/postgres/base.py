"""The Resync app's knowledge base in PostgreSQL, read-only: full text, fused with pgvector given an endpoint."""

import asyncio
import re
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from pydantic import SecretStr

from orchestrator.errors import ConfigurationError
from orchestrator.i18n.message import Message
from workers.knowledge.base import KnowledgeError, KnowledgeStats, SearchResult
from workers.knowledge.embeddings import EmbeddingClient, embed_question
from workers.knowledge.postgres import sql
from workers.knowledge.postgres.search import BACKEND, Layout, PostgresSearch, backend_name
from workers.knowledge.ranking.query import KnowledgeQuery

if TYPE_CHECKING:
    from psycopg import AsyncConnection

    Connection = AsyncConnection[tuple[Any, ...]]

CONNECTIONS = 4
LAYOUT_SECONDS = 600.0
"""How long the table's columns and size are cached."""


class PostgresKnowledgeBase:
    """Reads one collection. Every transaction is READ ONLY and has a statement timeout."""

    def __init__(
        self,
        database_url: SecretStr,
        collection: str,
        embeddings: EmbeddingClient | None = None,
        *,
        min_similarity: float = 0.3,
    ) -> None:
        """Does not connect yet. Raises ConfigurationError when psycopg is not installed."""
        try:
            import psycopg  # noqa: F401, PLC0415  # optional extra
        except ImportError:
            raise ConfigurationError(
                "{variable} needs {package}: pip install {what}",
                variable="RESYNC_KNOWLEDGE_DATABASE_URL",
                package="psycopg",
                what="'resync-troubleshoot[postgres]'",
            ) from None
        # The app's URL may name SQLAlchemy's driver: postgresql+asyncpg://
        self._url = re.sub(r"^(postgres(?:ql)?)\+\w+://", r"\1://", database_url.get_secret_value())
        self._collection = collection
        self._embeddings = embeddings
        self._min_similarity = min_similarity
        self._idle: list[Connection] = []
        self._slots = asyncio.Semaphore(CONNECTIONS)
        self._layout: Layout | None = None

    async def close(self) -> None:
        """Close the idle connections and the endpoint's."""
        while self._idle:
            await self._idle.pop().close()
        if self._embeddings is not None:
            await self._embeddings.close()

    async def search(self, query: KnowledgeQuery, *, limit: int, timeout_seconds: float) -> SearchResult:
        """See KnowledgeBase."""
        if limit < 1 or (query.is_empty and self._embeddings is None):
            return SearchResult(backend=BACKEND)
        stop_at = time.monotonic() + timeout_seconds
        # Before taking a connection: the endpoint may need a second, and connections are few.
        vector, notes = await embed_question(self._embeddings, query.text, timeout_seconds)
        async with self._transaction(stop_at) as connection:
            layout = await self._read_layout(connection)
            search = PostgresSearch(self._collection, query, layout)
            if vector:
                unusable = self._unusable(vector, layout)
                if unusable is None:
                    await search.find_similar(connection, vector, self._min_similarity)
                else:
                    notes = (unusable,)
            notes = (*notes, *await search.find_text(connection, stop_at))
            return replace(await search.finish(connection, limit), where=self._where, notes=notes)

    @property
    def _where(self) -> str:
        return f"{sql.TABLE}, collection {self._collection}"

    def _unusable(self, vector: Sequence[float], layout: Layout) -> Message | None:
        """Why the table cannot be searched for neighbours of ``vector``; None when it can."""
        if layout.column is None:
            return Message("full text only: {table} has no vector column", table=sql.TABLE)
        if len(vector) != layout.column.dimensions:
            return Message(
                "full text only: the embedding model gives {model} numbers, column {column} has {index}",
                model=len(vector),
                column=layout.column.name,
                index=layout.column.dimensions,
            )
        return None

    async def stats(self, *, timeout_seconds: float) -> KnowledgeStats:
        """See KnowledgeBase."""
        parameters = {"collection": self._collection}
        async with self._transaction(time.monotonic() + timeout_seconds) as connection:
            layout = await self._read_layout(connection, fresh=True)
            cursor = await connection.execute(
                f"SELECT count(DISTINCT document_id) FROM {sql.TABLE}"  # noqa: S608  # a constant
                " WHERE collection_name = %(collection)s",
                parameters,
            )
            (documents,) = await cursor.fetchone() or (0,)
            embedded = 0
            if layout.column is not None:
                cursor = await connection.execute(sql.embedded_sql(layout.column), parameters)
                (embedded,) = await cursor.fetchone() or (0,)
        return KnowledgeStats(backend_name(layout.column), self._where, documents, layout.passages, embedded)

    async def _read_layout(self, connection: "Connection", *, fresh: bool = False) -> Layout:
        """The table's columns and size, cached. Raises KnowledgeError when the table is missing."""
        layout = self._layout
        if layout is None or fresh or time.monotonic() - layout.read_at > LAYOUT_SECONDS:
            columns = await (await connection.execute(sql.COLUMNS)).fetchall()
            if not columns:
                raise KnowledgeError("the database has no table {table}", table=sql.TABLE, reason="knowledge_schema")
            cursor = await connection.execute(sql.COUNT, {"collection": self._collection})
            (passages,) = await cursor.fetchone() or (0,)
            column = sql.vector_column((name, kind) for name, kind in columns)
            layout = self._layout = Layout(column, passages, time.monotonic())
        return layout

    @asynccontextmanager
    async def _transaction(self, stop_at: float) -> AsyncIterator["Connection"]:
        """A read-only transaction that ends by ``stop_at`` (monotonic), on the server too. Raises KnowledgeError."""
        import psycopg  # noqa: PLC0415  # optional extra

        timeout = stop_at - time.monotonic()
        if timeout <= 0:
            raise KnowledgeError("no time left to search", reason="knowledge_timeout")
        try:
            async with asyncio.timeout(timeout), self._slots:
                connection = await self._checkout()
                try:
                    async with connection.transaction():
                        milliseconds = max(10, int((stop_at - time.monotonic()) * 1000))
                        await connection.execute(f"SET LOCAL statement_timeout = {milliseconds}")
                        yield connection
                except BaseException:
                    await connection.close()
                    raise
                self._idle.append(connection)
        except (TimeoutError, psycopg.errors.QueryCanceled):
            raise KnowledgeError(
                "no answer within {seconds:.1f} s", seconds=timeout, reason="knowledge_timeout"
            ) from None
        except psycopg.Error as error:
            raise KnowledgeError("PostgreSQL: {detail}", detail=_safe_detail(error)) from error

    async def _checkout(self) -> "Connection":
        """An idle connection that still works, else a new one."""
        import psycopg  # noqa: PLC0415  # optional extra

        while self._idle:
            idle = self._idle.pop()
            try:
                await idle.execute("SELECT 1")
                await idle.rollback()
            except psycopg.Error:
                # The server was restarted, or a firewall dropped the connection.
                await idle.close()
            except BaseException:
                await idle.close()  # out of time while a dead connection did not answer
                raise
            else:
                return idle
        # No prepared statements: a pooler in front of the database may not support them.
        connection = await psycopg.AsyncConnection.connect(self._url, prepare_threshold=None)
        await connection.set_read_only(True)
        return connection


def _safe_detail(error: Exception) -> str:
    """The server's message, but only the type of an error in the URL.

    For a malformed connection string libpq quotes the wrong part, which may be the password.
    """
    import psycopg  # noqa: PLC0415  # optional extra

    if isinstance(error, psycopg.ProgrammingError) and error.sqlstate is None:
        return f"{type(error).__name__}: RESYNC_KNOWLEDGE_DATABASE_URL is no valid connection string"
    return (str(error).splitlines() or [type(error).__name__])[0]
