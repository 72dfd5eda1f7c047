"""Client of an OpenAI-compatible model: streamed chat completions, failures as machine-readable reasons.

Works with every server that implements ``/chat/completions`` (OpenAI, NVIDIA, Ollama, vLLM, a LiteLLM proxy). The SDK
is imported at the first call, and its client is created inside the loop that uses it.
"""

import asyncio
import json
import re
import sys
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from importlib import import_module
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, Protocol

from orchestrator.deadline import Deadline
from orchestrator.logs import mask_log
from workers.config import LlmSettings

if TYPE_CHECKING:
    import openai
    from openai import AsyncOpenAI

DEFAULT_ENDPOINT = "https://api.openai.com/v1"
MAX_ANSWER_CHARS = 64_000
MAX_BODY_BYTES = 1024 * 1024
_BY_STATUS = {
    400: "bad_request",
    401: "unauthorized",
    402: "quota",
    403: "unauthorized",
    404: "not_found",
    405: "not_found",
    407: "unauthorized",
    408: "timeout",
    410: "not_found",
    413: "context_window",
    422: "bad_request",
    429: "rate_limited",
}
_BY_TEXT = (
    (
        "context_window",
        re.compile(
            r"context[_ ]?(?:length|window|size)|max(?:imum)? context|(?:prompt|input) (?:is )?too long"
            r"|too many (?:input )?tokens|reduce the length"
            r"|exceeds? the (?:model'?s )?(?:maximum|available|limit)[^.\"]{0,40}token",
            re.IGNORECASE,
        ),
    ),
    ("content_filter", re.compile(r"content[_ -]?(?:filter|policy|management)|ResponsibleAIPolicy", re.IGNORECASE)),
    ("quota", re.compile(r"insufficient_quota|quota[_ ]exceeded|exceeded your current quota", re.IGNORECASE)),
)
"""Reasons that servers name in an error's code or text, in their different words."""
_TAIL_SECONDS = 0.5
"""Time for the usage figures and the end of the stream after the finish reason."""


class LlmFailed(Exception):
    """A call without a usable text. ``reason`` is one of the table "failed" in docs/answers.md.

    ``status`` is the HTTP status, when the server's answer had one that tells something.
    """

    def __init__(self, reason: str, message: str, *, status: int | None = None) -> None:
        super().__init__(message)
        self.reason = reason
        self.status = status


@dataclass(frozen=True, slots=True)
class Usage:
    """Token counts reported by the server."""

    prompt_tokens: int
    completion_tokens: int


class LLMClient(Protocol):
    """The model client of the synthesizer."""

    def stream(
        self, model: str, messages: Sequence[dict[str, str]], deadline: Deadline, first_within: float | None = None
    ) -> AsyncGenerator[str | Usage, None]:
        """Text deltas as they arrive, then the usage if the server reports it.

        ``first_within`` bounds the time to the first delta, in seconds. Raises LlmFailed. Closing the iterator or
        cancelling its reader closes the connection.
        """
        ...

    async def close(self) -> None:
        """Close every connection."""
        ...


class OpenAIClient:
    """``LLMClient`` with the ``openai`` SDK, without the SDK's retries: the run's deadline decides."""

    def __init__(self, settings: LlmSettings) -> None:
        self._settings = settings
        self._sdk: AsyncOpenAI | None = None
        self._plain_models: set[str] = set()
        """Models whose server refused the optional parameters."""

    async def stream(
        self, model: str, messages: Sequence[dict[str, str]], deadline: Deadline, first_within: float | None = None
    ) -> AsyncGenerator[str | Usage, None]:
        """See ``LLMClient.stream``."""
        # One limit for all that is done up to the first delta: the import and the opening are no time beside it.
        first = None if first_within is None else Deadline.after(first_within)
        try:
            # The first import takes up to a second, so it runs in a thread.
            async with asyncio.timeout(deadline.remaining()):
                await asyncio.to_thread(import_module, "openai")
        except TimeoutError:
            raise LlmFailed("timeout", "no time was left to ask the model") from None
        import openai  # noqa: PLC0415  # imported above

        transport = _http_library()
        try:
            opened = await self._open(model, messages, deadline, first)
            async with (
                opened,
                aclosing(_chunks(opened)) as chunks,
                aclosing(_read(chunks, deadline, first)) as deltas,
            ):
                async for delta in deltas:
                    yield delta
        except (TimeoutError, transport.TimeoutException):
            raise LlmFailed("timeout", "the model did not answer in time") from None
        except transport.HTTPError:  # of a stream; later SDKs have an error of their own
            raise LlmFailed("connection", "the connection to the model failed or was cut") from None
        except openai.OpenAIError as error:
            raise _failure(error) from None
        except ValueError:
            raise LlmFailed("bad_json", "the server sent an event that is not JSON") from None

    async def close(self) -> None:
        """Close every connection."""
        sdk, self._sdk = self._sdk, None
        if sdk is not None:
            await sdk.close()

    def _client(self) -> "AsyncOpenAI":
        if self._sdk is None:
            from openai import AsyncOpenAI  # noqa: PLC0415

            key = self._settings.api_key
            endpoint = (self._settings.endpoint or DEFAULT_ENDPOINT).rstrip("/").removesuffix("/chat/completions")
            mask_log(_http_library().__name__)
            self._sdk = AsyncOpenAI(
                # Local servers need no key, but the SDK does.
                api_key=key.get_secret_value() if key is not None else "none",
                base_url=endpoint,
                max_retries=0,
            )
        return self._sdk

    async def _open(
        self, model: str, messages: Sequence[dict[str, str]], deadline: Deadline, first: Deadline | None
    ) -> Any:
        import openai  # noqa: PLC0415

        create: Any = self._client().chat.completions.create
        required = {"model": model, "messages": list(messages), "stream": True}
        limit = _left(deadline, first)
        async with asyncio.timeout(limit):
            if model not in self._plain_models:
                try:
                    return await create(**required, **self._optional(), timeout=limit)
                except (openai.BadRequestError, openai.UnprocessableEntityError) as error:
                    # Not every server or model accepts these; the next call shows whether they were the reason.
                    if _reason_in_body(error) is not None:
                        raise
            opened = await create(**required, timeout=limit)
            self._plain_models.add(model)
            return opened

    def _optional(self) -> dict[str, Any]:
        return {
            "response_format": {"type": "json_object"},
            "stream_options": {"include_usage": True},
            "max_tokens": self._settings.max_answer_tokens,
            "temperature": 0.1,
        }


def _http_library() -> Any:
    """httpx2, or httpx before version 3 of the SDK, which speaks to the server through it."""
    import openai  # noqa: PLC0415

    return sys.modules[openai.Timeout.__init__.__module__.partition(".")[0]]


def _left(deadline: Deadline, first: Deadline | None) -> float:
    """Seconds to the deadline, or to that of the first delta while there is none."""
    return deadline.remaining() if first is None else min(first.remaining(), deadline.remaining())


async def _chunks(opened: Any) -> AsyncGenerator[Any, None]:
    """The chunks of a response; of a server or proxy that does not stream, its one document as a chunk.

    Such a document is known by its content type, or by what it begins with where it is called a stream of events.
    """
    response = opened.response
    if str(response.headers.get("content-type", "")).partition(";")[0].strip().lower().endswith("json"):
        async for chunk in _whole(response):
            yield chunk
        return
    body, pieces, is_stream = bytearray(), response.aiter_bytes, False

    async def recorded() -> AsyncGenerator[bytes, None]:
        async for piece in pieces():
            if not is_stream and len(body) < MAX_BODY_BYTES:
                body.extend(piece)
            yield piece

    response.aiter_bytes = recorded
    async for chunk in opened:
        is_stream = True
        yield chunk
    if not is_stream and body.lstrip().startswith(b"{"):
        yield _chunk(json.loads(body))


async def _whole(response: Any) -> AsyncGenerator[Any, None]:
    """The chunks of a response that is no stream of events: its one document, or a stream under a wrong name."""
    body = bytearray()
    async for piece in response.aiter_bytes():
        body += piece
        if len(body) > MAX_BODY_BYTES:
            raise LlmFailed("invalid", f"the answer is longer than {MAX_BODY_BYTES} bytes")
    text = body.decode("utf-8", "replace").strip()
    if text.startswith("data:"):
        events = (line.removeprefix("data:").strip() for line in text.splitlines() if line.startswith("data:"))
        for event in events:
            if event != "[DONE]":
                yield _chunk(json.loads(event))
    elif text:
        yield _chunk(json.loads(text))


def _chunk(document: Any) -> Any:
    """A completion, or a chunk of one, as an object with the attributes that ``_read`` uses. Raises LlmFailed."""
    if not isinstance(document, dict):
        raise LlmFailed("bad_json", "the server's answer is no JSON object")
    if document.get("error"):
        raise _failure_in_body(document["error"])
    choices = []
    for choice in document.get("choices") or []:
        message = choice.get("message")
        delta = message if isinstance(message, dict) else choice.get("delta") or {}
        finish = choice.get("finish_reason") or ("stop" if message else None)
        said = SimpleNamespace(content=delta.get("content"), refusal=delta.get("refusal"))
        choices.append(SimpleNamespace(delta=said, finish_reason=finish))
    usage = document.get("usage")
    return SimpleNamespace(choices=choices, usage=SimpleNamespace(**usage) if isinstance(usage, dict) else None)


async def _read(
    chunks: AsyncIterator[Any], deadline: Deadline, first: Deadline | None
) -> AsyncGenerator[str | Usage, None]:
    size, finish = 0, None
    while True:
        try:
            async with asyncio.timeout(_left(deadline, first if finish is None else Deadline.after(_TAIL_SECONDS))):
                chunk = await anext(chunks, None)
        except TimeoutError:
            if finish is None:
                raise
            return
        if chunk is None:
            break
        usage = _usage(chunk)
        if usage is not None:
            yield usage
        text, ended = _choice(chunk)
        if text:
            first, size = None, size + len(text)
            if size > MAX_ANSWER_CHARS:
                raise LlmFailed("invalid", f"the answer is longer than {MAX_ANSWER_CHARS} characters")
            yield text
        finish = ended or finish
    if finish is None and size == 0:
        raise LlmFailed("no_answer", "the server ended its answer without any text of the model")
    if finish is None:
        raise LlmFailed("connection", "the stream ended before the answer did")


def _choice(chunk: Any) -> tuple[str, str | None]:
    """Text and finish reason of a chunk's first choice. Raises LlmFailed when the model or its server refuses."""
    if not chunk.choices:
        return "", None
    choice = chunk.choices[0]
    if choice.finish_reason == "content_filter":
        raise LlmFailed("content_filter", "the server's content filter stopped the answer")
    if choice.delta is None:
        return "", choice.finish_reason
    if getattr(choice.delta, "refusal", None):
        raise LlmFailed("refused", "the model refused to answer")
    return _text(choice.delta.content), choice.finish_reason


def _text(content: object) -> str:
    """The text of a delta; some servers send a list of parts."""
    if isinstance(content, list):
        parts = (part.get("text") if isinstance(part, dict) else part for part in content)
        return "".join(part for part in parts if isinstance(part, str))
    return content if isinstance(content, str) else ""


def _usage(chunk: Any) -> Usage | None:
    """The server's token counts; None when they are malformed, which the SDK does not check."""
    usage = chunk.usage
    prompt, completion = getattr(usage, "prompt_tokens", None), getattr(usage, "completion_tokens", None)
    return Usage(prompt, completion) if isinstance(prompt, int) and isinstance(completion, int) else None


def _failure(error: Exception) -> LlmFailed:
    """The failure without the server's text, which may repeat the key or the prompt."""
    import openai  # noqa: PLC0415

    if isinstance(error, openai.APITimeoutError):
        return LlmFailed("timeout", "the model did not answer in time")
    if isinstance(error, openai.APIConnectionError):
        return LlmFailed("connection", "the connection to the model failed or was cut")
    if isinstance(error, openai.APIStatusError):
        status = error.status_code
        named = None if _BY_STATUS.get(status) == "unauthorized" else _reason_in_body(error)
        reason = named or _BY_STATUS.get(status) or ("rejected" if status < 500 else "no_answer")
        return LlmFailed(reason, f"the model's server answered with status {status}", status=status)
    if isinstance(error, openai.APIError) and (named := _reason_in_body(error)):
        return LlmFailed(named, "the model's server reported an error within its answer")
    return LlmFailed("no_answer", f"the model's server reported an error ({type(error).__name__})")


def _failure_in_body(error: object) -> LlmFailed:
    """The failure of a response with status 200 that holds an error."""
    return LlmFailed(_reason_of_text(json.dumps(error)) or "no_answer", "the model's server reported an error")


def _reason_in_body(error: "openai.APIError") -> str | None:
    """The reason that the body of an error names: its status says only that the request was refused."""
    return _reason_of_text(f"{error.code or ''} {error.type or ''} {json.dumps(error.body, default=str)}")


def _reason_of_text(text: str) -> str | None:
    return next((reason for reason, pattern in _BY_TEXT if pattern.search(text)), None)
