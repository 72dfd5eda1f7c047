"""The embeddings client against a scripted OpenAI-compatible server."""

from __future__ import annotations

import asyncio
import json
import socket

import pytest
from pydantic import SecretStr

from workers.knowledge.embeddings import EmbeddingClient, EmbeddingError

KEY = "sk-planted-secret"


def embed(url: str, texts: list[str], *, patiently: bool = False, timeout_seconds: float = 5) -> list[list[float]]:
    async def run() -> list[list[float]]:
        client = EmbeddingClient(url, "hashing", SecretStr(KEY))
        try:
            if patiently:
                return await client.embed_patiently(texts, timeout_seconds=timeout_seconds)
            return await client.embed(texts, timeout_seconds=timeout_seconds)
        finally:
            await client.close()

    return asyncio.run(run())


def test_texts_and_key_are_sent_as_the_api_wants_them(embeddings_server) -> None:
    """One request carries model, texts and the bearer key; an empty text is sent as a blank."""
    vectors = embed(embeddings_server.url, ["disk full", ""])
    assert len(vectors) == 2
    assert embeddings_server.requests == [{"model": "hashing", "input": ["disk full", " "], "encoding_format": "float"}]
    assert embeddings_server.headers[0]["Authorization"] == f"Bearer {KEY}"


def test_the_full_path_is_taken_as_it_is(embeddings_server) -> None:
    """An endpoint that already ends in /embeddings is not extended."""
    assert len(embed(f"{embeddings_server.url}/embeddings", ["a"])) == 1


def test_vectors_follow_the_index_and_not_the_order(embeddings_server) -> None:
    """Vectors are matched to texts by their index."""
    data = [{"index": 1, "embedding": [0.0, 1.0]}, {"index": 0, "embedding": [1.0, 0.0]}]
    embeddings_server.body = json.dumps({"data": data}).encode()
    assert embed(embeddings_server.url, ["first", "second"]) == [[1.0, 0.0], [0.0, 1.0]]


@pytest.mark.parametrize(
    "body",
    [b"", b"<html>", b"[]", b'{"data": []}', b'{"data": [{"index": 5, "embedding": [1]}]}',
     b'{"data": [{"index": 0, "embedding": ["x"]}]}'],
)  # fmt: skip
def test_an_answer_that_makes_no_sense_is_an_error(embeddings_server, body: bytes) -> None:
    """An empty, foreign or incomplete body is an embedding error, whatever it holds."""
    embeddings_server.body = body
    with pytest.raises(EmbeddingError):
        embed(embeddings_server.url, ["a"])


def test_indexing_is_patient_with_an_overloaded_server(embeddings_server) -> None:
    """429 and 503 are asked again; 401 is not."""
    embeddings_server.statuses = [429, 503]
    assert len(embed(embeddings_server.url, ["a"], patiently=True)) == 1
    assert len(embeddings_server.requests) == 3
    embeddings_server.statuses = [401, 200]
    with pytest.raises(EmbeddingError, match="RESYNC_EMBEDDING_API_KEY"):
        embed(embeddings_server.url, ["a"], patiently=True)
    assert len(embeddings_server.requests) == 4


def test_no_server_and_no_time_are_told_apart(embeddings_server) -> None:
    """A refused connection and a timeout have messages of their own, without the key."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with pytest.raises(EmbeddingError, match="no connection") as refused:
        embed(f"http://127.0.0.1:{port}/v1", ["a"])
    embeddings_server.delay_seconds = 1.0
    with pytest.raises(EmbeddingError, match=r"no answer within 0\.1 s") as slow:
        embed(embeddings_server.url, ["a"], timeout_seconds=0.1)
    assert KEY not in f"{refused.value!r}{slow.value!r}"


def test_an_answer_without_end_is_refused(embeddings_server, monkeypatch: pytest.MonkeyPatch) -> None:
    """More than the vectors can take is not read into memory."""
    monkeypatch.setattr("workers.knowledge.embeddings.MAX_VECTOR_BYTES", 1_000)
    embeddings_server.body = b" " * 5_000
    with pytest.raises(EmbeddingError, match="larger than 1 vectors can be"):
        embed(embeddings_server.url, ["one"])
