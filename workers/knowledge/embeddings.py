"""Embeddings through an OpenAI-compatible endpoint (``POST {base}/embeddings``)."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import ClassVar

import httpx2
from pydantic import BaseModel, FiniteFloat, SecretStr, ValidationError

from workers.config import KnowledgeSettings
from workers.http import read_body, tls_failure
from workers.knowledge.base import KnowledgeError

BATCH = 64
"""Texts in one request while indexing: well below the limits of the servers in use."""
MAX_CHARACTERS = 8_000
"""Of one text; models in use take 8,191 tokens, smaller ones cut by themselves."""
MAX_VECTOR_BYTES = 512 * 1024
"""Of one vector in an answer; the largest models in use give 4,096 numbers of some 25 characters."""
EMBED_SECONDS = 1.5
"""A question's vector must be there by then, and in half of the time there is; else full text answers alone."""
ATTEMPTS = 4
_RETRIED = frozenset({408, 425, 429, 500, 502, 503, 504})


class EmbeddingError(KnowledgeError):
    """The embedding endpoint could not answer."""

    reason: ClassVar[str] = "embedding_unavailable"


class _Item(BaseModel):
    index: int
    embedding: list[FiniteFloat]


class _Answer(BaseModel):
    data: list[_Item]


class EmbeddingClient:
    """One endpoint and model. Connections are made on first use and kept until ``close``."""

    def __init__(
        self,
        endpoint: str,
        model: str,
        api_key: SecretStr | None = None,
    ) -> None:
        """``endpoint`` is the API's base, such as ``https://host/v1``, or the full path that ends in /embeddings."""
        base = endpoint.rstrip("/")
        self.model = model
        self._url = base if base.endswith("/embeddings") else f"{base}/embeddings"
        self._api_key = api_key
        self._http: httpx2.AsyncClient | None = None

    async def close(self) -> None:
        """Close the connections."""
        client, self._http = self._http, None
        if client is not None:
            await client.aclose()

    def _client(self) -> httpx2.AsyncClient:
        if self._http is None:
            key = self._api_key
            headers = {} if key is None else {"Authorization": f"Bearer {key.get_secret_value()}"}
            # Proxies and certificates as the environment has them, as for the model; the key follows no redirect.
            self._http = httpx2.AsyncClient(headers=headers, follow_redirects=False)
        return self._http

    async def embed(self, texts: Sequence[str], *, timeout_seconds: float) -> list[list[float]]:
        """One vector per text, in order; one request. Raises EmbeddingError within ``timeout_seconds``."""
        body = {
            "model": self.model,
            "input": [text[:MAX_CHARACTERS] or " " for text in texts],
            "encoding_format": "float",
        }
        try:
            async with (
                asyncio.timeout(timeout_seconds),
                self._client().stream("POST", self._url, json=body, timeout=timeout_seconds) as response,
            ):
                if response.status_code != 200:
                    raise _StatusError(response.status_code)
                content, is_cut = await read_body(response, len(texts) * MAX_VECTOR_BYTES)
        except TimeoutError:
            raise EmbeddingError(f"no answer within {timeout_seconds:g} s") from None
        except httpx2.TimeoutException:
            raise EmbeddingError(f"no answer within {timeout_seconds:g} s") from None
        except httpx2.HTTPError as error:
            raise EmbeddingError(f"no connection ({tls_failure(error) or type(error).__name__})") from error
        if is_cut:
            raise EmbeddingError(f"the answer is larger than {len(texts)} vectors can be")
        return _vectors(content, len(texts))

    async def embed_patiently(self, texts: Sequence[str], *, timeout_seconds: float = 60.0) -> list[list[float]]:
        """As ``embed``, for indexing: an overloaded server is asked again, up to four times with growing pauses."""
        pause = 0.5
        for attempt in range(1, ATTEMPTS + 1):
            try:
                return await self.embed(texts, timeout_seconds=timeout_seconds)
            except EmbeddingError as error:
                if attempt == ATTEMPTS or not _is_worth_repeating(error):
                    raise
            await asyncio.sleep(pause)
            pause *= 3
        raise AssertionError("the last attempt returns or raises")


async def embed_question(
    embeddings: EmbeddingClient | None, text: str, timeout_seconds: float
) -> tuple[list[float], tuple[str, ...]]:
    """The question's vector, or none and why: a search goes on by full text alone."""
    if embeddings is None or not text.strip():
        return [], ()
    try:
        (vector,) = await embeddings.embed([text], timeout_seconds=min(EMBED_SECONDS, timeout_seconds / 2))
    except EmbeddingError as error:
        return [], (f"full text only, embedding endpoint: {error}",)
    return vector, ()


class _StatusError(EmbeddingError):
    """The endpoint answered with an error; its body is not repeated, it may quote the key."""

    def __init__(self, status: int) -> None:
        hint = {401: ", check RESYNC_EMBEDDING_API_KEY", 404: ", check the endpoint and the model's name"}
        super().__init__(f"status {status}{hint.get(status, '')}")
        self.status = status


def _is_worth_repeating(error: EmbeddingError) -> bool:
    return not isinstance(error, _StatusError) or error.status in _RETRIED


def _vectors(content: bytes, count: int) -> list[list[float]]:
    try:
        items = _Answer.model_validate_json(content).data
    except ValidationError:
        raise EmbeddingError("the answer is not an embeddings list") from None
    by_index = {item.index: item.embedding for item in items}
    if sorted(by_index) != list(range(count)) or len({len(vector) for vector in by_index.values()}) != 1:
        raise EmbeddingError(f"the answer does not hold one vector for each of {count} texts")
    return [by_index[index] for index in range(count)]


def create_embedding_client(settings: KnowledgeSettings) -> EmbeddingClient | None:
    """The client that the settings name; None without an endpoint."""
    if settings.embedding_endpoint is None:
        return None
    return EmbeddingClient(settings.embedding_endpoint, settings.embedding_model, settings.embedding_api_key)
