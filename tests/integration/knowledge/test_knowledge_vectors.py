"""What vectors add to both stores, and what happens when the endpoint fails."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import numpy as np
import pytest
from pydantic import SecretStr
from tests_support import stretched

from workers.knowledge.base import SearchResult
from workers.knowledge.embeddings import EmbeddingClient
from workers.knowledge.ranking.query import build_query
from workers.knowledge.sqlite.base import SqliteKnowledgeBase
from workers.knowledge.sqlite.folder import index_folder
from workers.knowledge.sqlite.index import KnowledgeIndex
from workers.knowledge.sqlite.vectors import pack

MODEL = "hashing"
PAGES = {
    "memory.md": "# Memory limits\n\nThe process was killed because memory was exhausted.\n",
    "disk.md": "# Disk limits\n\nThe disk is full.\n",
    **{
        f"other{number}.md": f"# Chapter {number}\n\nCalendars and run cycles, part {number}.\n" for number in range(20)
    },
}
PARAPHRASE = "starved and slain"
"""No word of it stands in a page; the scripted model knows that it means memory and killed."""


def make_client(url: str) -> EmbeddingClient:
    return EmbeddingClient(url, MODEL, SecretStr("sk-test"))


@pytest.fixture
def index_path(tmp_path: Path, embeddings_server: object) -> Path:
    """A filled index with vectors."""
    folder = tmp_path / "manual"
    folder.mkdir()
    for name, text in PAGES.items():
        (folder / name).write_text(text, encoding="utf-8")
    path = tmp_path / "kb.sqlite3"
    with KnowledgeIndex(path) as index:
        index_folder(index, folder)
        embed_waiting(index, embeddings_server.url)  # type: ignore[attr-defined]
    return path


def embed_waiting(index: KnowledgeIndex, url: str) -> int:
    async def run() -> int:
        client = make_client(url)
        try:
            waiting = index.chunks_without_vector(MODEL)
            vectors = await client.embed([text for _, text in waiting], timeout_seconds=10)
            index.put_vectors(MODEL, [(item[0], pack(v)) for item, v in zip(waiting, vectors, strict=True)])
            return len(waiting)
        finally:
            await client.close()

    return asyncio.run(run())


def search(path: Path, url: str | None, text: str, timeout_seconds: float = 10) -> tuple[SearchResult, float]:
    async def run() -> tuple[SearchResult, float]:
        base = SqliteKnowledgeBase(path, make_client(url) if url else None)
        try:
            started = time.monotonic()
            result = await base.search(build_query(text), limit=5, timeout_seconds=timeout_seconds)
            return result, time.monotonic() - started
        finally:
            await base.close()

    return asyncio.run(run())


def test_a_paraphrase_is_found_by_its_vector_only(index_path: Path, embeddings_server) -> None:
    """A question that shares no word with its page is found with vectors and not without."""
    hybrid, _ = search(index_path, embeddings_server.url, PARAPHRASE)
    plain, _ = search(index_path, None, PARAPHRASE)
    assert hybrid.hits[0].document == "manual/memory.md"
    assert hybrid.backend == "sqlite-fts5+vectors"
    assert plain.hits == ()


@pytest.mark.parametrize("status", [401, 404, 429, 500])
def test_an_endpoint_that_refuses_leaves_full_text(index_path: Path, embeddings_server, status: int) -> None:
    """When the endpoint answers with an error, full text answers and a note says why; the key is not in it."""
    embeddings_server.statuses = [status]
    result, _ = search(index_path, embeddings_server.url, "memory exhausted")
    assert result.hits[0].document == "manual/memory.md"
    assert result.backend == "sqlite-fts5"
    assert f"status {status}" in str(result.notes[0])
    assert "sk-test" not in repr(result)


def test_a_slow_endpoint_costs_at_most_half_of_the_time(index_path: Path, embeddings_server) -> None:
    """An endpoint that does not answer in half of the search's time is left, and full text still answers in time."""
    embeddings_server.delay_seconds = 3.0
    result, seconds = search(index_path, embeddings_server.url, "memory exhausted", timeout_seconds=2.0)
    assert result.hits[0].document == "manual/memory.md"
    assert "no answer within 1 s" in str(result.notes[0])
    assert seconds < stretched(2.0)


def test_an_index_without_vectors_says_that_full_text_answered_alone(
    index_path: Path, tmp_path: Path, embeddings_server
) -> None:
    """An endpoint that serves nothing, for no passage was embedded, is said with the remedy."""
    path = tmp_path / "plain.sqlite3"
    with KnowledgeIndex(path) as index:
        index_folder(index, index_path.parent / "manual")
    result, _ = search(path, embeddings_server.url, "disk limits")
    assert result.hits[0].document == "manual/disk.md"
    assert result.backend == "sqlite-fts5"
    (note,) = map(str, result.notes)
    assert "full text only" in note
    assert "kb index" in note


def test_vectors_of_another_length_are_told(index_path: Path, embeddings_server) -> None:
    """A model of the same name that gives other numbers is no error, and both lengths are said."""
    embeddings_server.body = b'{"data": [{"index": 0, "embedding": [0.5, 0.5, 0.5]}]}'
    result, _ = search(index_path, embeddings_server.url, "disk limits")
    assert result.hits[0].document == "manual/disk.md"
    (note,) = map(str, result.notes)
    assert "gives 3 numbers" in note
    assert "have 512" in note


@pytest.mark.parametrize("number", [b"NaN", b"1e999", b"null"])
def test_a_vector_that_is_none_is_told(index_path: Path, embeddings_server, number: bytes) -> None:
    """Numbers that are none never reach the index; full text answers and the endpoint is named."""
    embeddings_server.body = b'{"data": [{"index": 0, "embedding": [' + b", ".join([number] * 512) + b"]}]}"
    result, _ = search(index_path, embeddings_server.url, "disk limits")
    assert result.hits[0].document == "manual/disk.md"
    assert [str(note) for note in result.notes] == [
        "full text only, embedding endpoint: the answer is not an embeddings list"
    ]


def test_vectors_of_any_size_have_unit_length() -> None:
    """Very large and very small numbers keep their direction; zeros stay zeros."""
    for scale in (1e200, 1.0, 1e-200):
        assert np.allclose(np.frombuffer(pack([3 * scale, 4 * scale]), dtype="<f4"), [0.6, 0.8])
    assert np.frombuffer(pack([0.0, 0.0]), dtype="<f4").tolist() == [0.0, 0.0]


def test_vectors_of_another_model_are_not_used(index_path: Path, embeddings_server) -> None:
    """A model that the index has no vectors of leaves full text alone, without an error."""

    async def run() -> SearchResult:
        base = SqliteKnowledgeBase(index_path, EmbeddingClient(embeddings_server.url, "another-model"))
        try:
            return await base.search(build_query("memory exhausted"), limit=5, timeout_seconds=10)
        finally:
            await base.close()

    result = asyncio.run(run())
    assert result.hits[0].document == "manual/memory.md"
    assert result.backend == "sqlite-fts5"


def test_only_what_changed_is_embedded_again(index_path: Path, embeddings_server, tmp_path: Path) -> None:
    """After one page changed, one page is embedded; an unchanged folder needs no request."""
    (tmp_path / "manual" / "disk.md").write_text("# Disk limits\n\nThe disk is full again.\n", encoding="utf-8")
    with KnowledgeIndex(index_path) as index:
        assert index_folder(index, tmp_path / "manual").indexed == 1
        assert embed_waiting(index, embeddings_server.url) == 1
        assert index.chunks_without_vector(MODEL) == []


def test_new_vectors_are_seen_by_an_open_base(index_path: Path, embeddings_server, tmp_path: Path) -> None:
    """A base that has its vectors in memory reads them again once the file has changed."""

    async def run() -> tuple[SearchResult, SearchResult]:
        base = SqliteKnowledgeBase(index_path, make_client(embeddings_server.url))
        try:
            before = await base.search(build_query("engorged platter"), limit=5, timeout_seconds=10)
            await asyncio.to_thread(add_page)
            after = await base.search(build_query("engorged platter"), limit=5, timeout_seconds=10)
        finally:
            await base.close()
        return before, after

    def add_page() -> None:
        (tmp_path / "manual" / "new.md").write_text("# Full disk platter\n\nFull disk.\n", encoding="utf-8")
        with KnowledgeIndex(index_path) as index:
            index_folder(index, tmp_path / "manual")
            embed_waiting(index, embeddings_server.url)

    before, after = asyncio.run(run())
    assert before.hits[0].document == "manual/disk.md"
    assert {hit.document for hit in after.hits[:2]} == {"manual/disk.md", "manual/new.md"}
