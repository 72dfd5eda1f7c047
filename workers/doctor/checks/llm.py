"""``llm``: whether the model's server lets us in and has the model. No token is generated."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

import httpx2

from workers.config import LlmSettings
from workers.doctor.check import Check, Surroundings
from workers.doctor.finding import Finding, Status, Verdict
from workers.sources.metrics.http import without_credentials
from workers.synthesis.client import DEFAULT_ENDPOINT

MAX_BODY_BYTES = 4 * 1024 * 1024
SHOWN_MODELS = 5


def check_llm(around: Surroundings) -> Check:
    """Asks for the list of models, with the key and without: a list that anyone gets proves no key."""

    async def examine() -> Finding:
        text = around.text
        settings = LlmSettings.from_env(around.environ)
        if settings.model is None:
            if settings.endpoint is not None or settings.api_key is not None:
                return Finding(Status.WARNING, text("llm.no_model"), text("fix.llm_no_model"), "no_model")
            return Finding(Status.OFF, text("llm.off"), text("fix.llm_off"), "not_configured")
        base = (settings.endpoint or DEFAULT_ENDPOINT).rstrip("/").removesuffix("/chat/completions")
        where = without_credentials(base)
        try:
            return await _ask(settings, f"{base}/models", where, around)
        except (TimeoutError, httpx2.TimeoutException):
            found = text("llm.timeout", where=where, seconds=around.call_seconds)
            return Finding(Status.ERROR, found, text("fix.llm_timeout"), "timeout", {"where": where})
        except (httpx2.HTTPError, httpx2.InvalidURL) as error:
            found = text("llm.unreachable", where=where, kind=type(error).__name__)
            return Finding(Status.ERROR, found, text("fix.llm_unreachable"), "unreachable", {"where": where})

    return Check("llm", examine)


async def _ask(settings: LlmSettings, url: str, where: str, around: Surroundings) -> Finding:
    key = settings.api_key.get_secret_value() if settings.api_key is not None else None
    # As the model's SDK does, the proxies of the environment are used.
    client = await asyncio.to_thread(httpx2.AsyncClient)
    async with client, asyncio.timeout(around.call_seconds):
        if key is None:
            status, body = await _get(client, url, None, around)
            return judge_models(ModelsAnswer(status, body), settings, where, around)
        (status, body), (bare_status, _) = await asyncio.gather(
            _get(client, url, key, around), _get(client, url, None, around)
        )
    return judge_models(ModelsAnswer(status, body, bare_status), settings, where, around)


async def _get(client: httpx2.AsyncClient, url: str, key: str | None, around: Surroundings) -> tuple[int, bytes]:
    headers = {} if key is None else {"Authorization": f"Bearer {key}"}
    body = bytearray()
    async with client.stream("GET", url, headers=headers, timeout=around.call_seconds) as response:
        async for chunk in response.aiter_bytes():
            body += chunk
            if len(body) > MAX_BODY_BYTES:
                break
    return response.status_code, bytes(body)


@dataclass(frozen=True, slots=True)
class ModelsAnswer:
    """What the server said."""

    status: int
    body: bytes = b""
    bare_status: int | None = None
    """Its status for a caller without a key; None: there is no key, so that is ``status``."""


def judge_models(answer: ModelsAnswer, settings: LlmSettings, where: str, around: Surroundings) -> Finding:
    """The server's answer, judged. Pure."""
    status = answer.status
    text, verdict = around.text, Verdict()
    facts: dict[str, object] = {"where": where, "model": settings.model, "http_status": status}
    if status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
        given = settings.api_key is not None
        found = text("llm.unauthorized" if given else "llm.no_key", where=where, status=status)
        verdict.fail(found, text("fix.llm_key"), reason="unauthorized")
        return verdict.finding(**facts)
    if status in (HTTPStatus.NOT_FOUND, HTTPStatus.METHOD_NOT_ALLOWED):
        verdict.warn(text("llm.no_list", where=where, status=status), text("fix.llm_no_list"), reason="no_list")
        return verdict.finding(**facts)
    models = _models(answer.body) if status == HTTPStatus.OK else None
    if models is None:
        verdict.fail(text("llm.status", where=where, status=status), text("fix.llm_status"), reason="bad_answer")
        return verdict.finding(**facts)
    verdict.note(text("llm.found", where=where, model=settings.model, count=len(models)))
    key_checked = answer.bare_status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN)
    if settings.api_key is not None:
        verdict.note(text("llm.key_accepted" if key_checked else "llm.key_unproven"))
    for name in filter(None, (settings.model, settings.fallback_model)):
        if name not in models:
            listed = ", ".join(models[:SHOWN_MODELS]) + (" …" if len(models) > SHOWN_MODELS else "")
            variable = "LLM_MODEL" if name == settings.model else "LLM_FALLBACK_MODEL"
            verdict.warn(
                text("llm.unlisted", model=name, listed=around.scrub(listed) or "-"),
                text("fix.llm_unlisted", variable=variable),
                reason="unknown_model",
            )
    return verdict.finding(**facts, models=len(models), key_proven=key_checked)


def _models(body: bytes) -> list[str] | None:
    """Ids of an OpenAI-compatible list; None when it is none."""
    try:
        answer: Any = json.loads(body)
    except (ValueError, RecursionError):
        return None
    items = answer.get("data") if isinstance(answer, dict) else None
    if not isinstance(items, list):
        return None
    return [str(item["id"])[:100] for item in items if isinstance(item, dict) and "id" in item]
