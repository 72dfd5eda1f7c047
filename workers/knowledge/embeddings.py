"""Embeddings through an OpenAI-compatible endpoint (``POST {base}/embeddings``)."""

import asyncio
from collections.abc import Sequence
from typing import ClassVar

import httpx2
from pydantic import BaseModel, FiniteFloat, SecretStr, ValidationError

from orchestrator.i18n.message import Message
from orchestrator.tls import tls_failure
from workers.config import KnowledgeSettings
from workers.http import open_client, read_body
from workers.knowledge.base import KnowledgeError

BATCH = 64
"""Texts per request while indexing; below the limits of the known servers."""
MAX_CHARACTERS = 8_000
"""Longest text that is sent; common models accept 8,191 tokens, smaller ones truncate by themselves."""
MAX_VECTOR_BYTES = 512 * 1024
"""Largest size of one vector in a response; the largest models return 4,096 numbers of about 25 characters."""
EMBED_SECONDS = 1.5
"""Limit for a question's vector, besides half of the time left; without it full text alone is searched."""
ENDPOINT_FAILED = Message("full text only, embedding endpoint: {detail}")
"""Note of a search without the question's vector."""
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
    """Client of one endpoint and model. Connects on first use; connections are pooled until ``close``."""

    def __init__(self, endpoint: str, model: str, api_key: SecretStr | None = None) -> None:
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
            # Proxies and certificates of the environment apply, as for the model; the key follows no redirect.
            self._http = open_client(headers=headers, follow_redirects=False)
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
        except (TimeoutError, httpx2.TimeoutException):
            raise EmbeddingError("no answer within {seconds:g} s", seconds=timeout_seconds) from None
        except httpx2.HTTPError as error:
            detail = tls_failure(error) or type(error).__name__
            raise EmbeddingError("no connection ({detail})", detail=detail) from error
        if is_cut:
            raise EmbeddingError("the answer is larger than {count} vectors can be", count=len(texts))
        return _vectors(content, len(texts))

    async def embed_patiently(self, texts: Sequence[str], *, timeout_seconds: float = 60.0) -> list[list[float]]:
        """``embed`` with retries, for indexing: up to ``ATTEMPTS`` attempts with growing pauses."""
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
) -> tuple[list[float], tuple[Message, ...]]:
    """The question's vector, or an empty one and a note: the search goes on by full text alone."""
    if embeddings is None or not text.strip():
        return [], ()
    try:
        (vector,) = await embeddings.embed([text], timeout_seconds=min(EMBED_SECONDS, timeout_seconds / 2))
    except EmbeddingError as error:
        return [], (ENDPOINT_FAILED.with_facts(detail=error.message),)
    return vector, ()


class _StatusError(EmbeddingError):
    """The endpoint answered with an HTTP error."""

    # The body of the response is left out: it may quote the key.
    _MESSAGES: ClassVar = {
        401: Message("status {status}, check RESYNC_EMBEDDING_API_KEY"),
        404: Message("status {status}, check the endpoint and the model's name"),
    }

    def __init__(self, status: int) -> None:
        super().__init__(self._MESSAGES.get(status, Message("status {status}")).with_facts(status=status))
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
        raise EmbeddingError("the answer does not hold one vector for each text ({count})", count=count)
    return [by_index[index] for index in range(count)]


def create_embedding_client(settings: KnowledgeSettings) -> EmbeddingClient | None:
    """The client of the configured endpoint; None without one."""
    if settings.embedding_endpoint is None:
        return None
    return EmbeddingClient(settings.embedding_endpoint, settings.embedding_model, settings.embedding_api_key)
