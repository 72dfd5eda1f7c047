"""``llm``: whether the model's server accepts the key and offers the model. No token is generated."""

import asyncio
import json
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

import httpx2

from orchestrator.i18n.message import Message
from workers.config import LlmSettings
from workers.doctor.check import CheckContext, CheckResult, Status, Verdict
from workers.http import read_body, without_credentials
from workers.synthesis.client import DEFAULT_ENDPOINT

MAX_BODY_BYTES = 4 * 1024 * 1024
SHOWN_MODELS = 5


async def check_llm(context: CheckContext) -> CheckResult:
    """Requests the list of models with the key and without: a public list proves no key."""
    settings = LlmSettings.from_env(context.environ)
    if settings.model is None:
        if settings.endpoint is not None or settings.api_key is not None:
            return CheckResult(
                Status.WARNING,
                Message("an endpoint or a key is set, but no model: deterministic answers"),
                Message("Set LLM_MODEL, or remove LLM_ENDPOINT and LLM_API_KEY."),
                "no_model",
            )
        return CheckResult(
            Status.OFF,
            Message("no model is configured: deterministic answers"),
            Message("To have a model refine the answers, set LLM_ENDPOINT, LLM_MODEL and LLM_API_KEY."),
            "not_configured",
        )
    base = (settings.endpoint or DEFAULT_ENDPOINT).rstrip("/").removesuffix("/chat/completions")
    where = without_credentials(base)
    try:
        return await _ask(settings, f"{base}/models", where, context)
    except (TimeoutError, httpx2.TimeoutException):
        found = Message("{where} did not answer within {seconds:.1f} s", where=where, seconds=context.call_seconds)
        return CheckResult(
            Status.ERROR,
            found,
            Message("Check the way to the host of LLM_ENDPOINT (proxy, firewall) and its load."),
            "timeout",
            {"where": where},
        )
    except (httpx2.HTTPError, httpx2.InvalidURL) as error:
        found = Message("{where} cannot be reached ({kind})", where=where, kind=type(error).__name__)
        return CheckResult(
            Status.ERROR,
            found,
            Message("Correct LLM_ENDPOINT, or start the model's server."),
            "unreachable",
            {"where": where},
        )


async def _ask(settings: LlmSettings, url: str, where: str, context: CheckContext) -> CheckResult:
    key = settings.api_key.get_secret_value() if settings.api_key is not None else None
    # The proxies of the environment apply, as in the model's SDK.
    client = await asyncio.to_thread(httpx2.AsyncClient)
    async with client, asyncio.timeout(context.call_seconds):
        if key is None:
            status, body = await _get(client, url, None, context)
            return judge_models(ModelsAnswer(status, body), settings, where, context)
        (status, body), (bare_status, _) = await asyncio.gather(
            _get(client, url, key, context), _get(client, url, None, context)
        )
    return judge_models(ModelsAnswer(status, body, bare_status), settings, where, context)


async def _get(client: httpx2.AsyncClient, url: str, key: str | None, context: CheckContext) -> tuple[int, bytes]:
    headers = {} if key is None else {"Authorization": f"Bearer {key}"}
    async with client.stream("GET", url, headers=headers, timeout=context.call_seconds) as response:
        body, _ = await read_body(response, MAX_BODY_BYTES)
    return response.status_code, body


@dataclass(frozen=True, slots=True)
class ModelsAnswer:
    """The server's response to the request for its models."""

    status: int
    body: bytes = b""
    bare_status: int | None = None
    """Status of the request without the key; None without a key, where ``status`` is that already."""


def judge_models(answer: ModelsAnswer, settings: LlmSettings, where: str, context: CheckContext) -> CheckResult:
    """The result for the server's response."""
    status = answer.status
    verdict = Verdict()
    facts: dict[str, object] = {"where": where, "model": settings.model, "http_status": status}
    if status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
        if settings.api_key is not None:
            found = Message("{where} refused the key (HTTP {status})", where=where, status=status)
        else:
            found = Message("{where} asks for a key (HTTP {status}) and none is set", where=where, status=status)
        verdict.fail(found, Message("Put a valid key into LLM_API_KEY."), reason="unauthorized")
        return verdict.result(**facts)
    if status in (HTTPStatus.NOT_FOUND, HTTPStatus.METHOD_NOT_ALLOWED):
        verdict.warn(
            Message(
                "{where} answers, but offers no list of models (HTTP {status}): key and model are not proven",
                where=where,
                status=status,
            ),
            Message("If answers say mode deterministic, check that LLM_ENDPOINT ends where /chat/completions begins."),
            reason="no_list",
        )
        return verdict.result(**facts)
    models = _models(answer.body) if status == HTTPStatus.OK else None
    if models is None:
        verdict.fail(
            Message("{where} gave no list of models (HTTP {status})", where=where, status=status),
            Message("Check LLM_ENDPOINT: it must be the base of an OpenAI-compatible API, such as https://host/v1."),
            reason="bad_answer",
        )
        return verdict.result(**facts)
    verdict.note(
        Message(
            "{model} at {where}; the server lists {count} model",
            plural="{model} at {where}; the server lists {count} models",
            where=where,
            model=settings.model,
            count=len(models),
        )
    )
    key_checked = answer.bare_status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN)
    if settings.api_key is not None:
        verdict.note(
            Message("the key is accepted")
            if key_checked
            else Message("the list is given without a key too, so the key is not proven")
        )
    for name in filter(None, (settings.model, settings.fallback_model)):
        if name not in models:
            listed = ", ".join(models[:SHOWN_MODELS]) + (" …" if len(models) > SHOWN_MODELS else "")
            variable = "LLM_MODEL" if name == settings.model else "LLM_FALLBACK_MODEL"
            verdict.warn(
                Message(
                    "the server does not list {model}; it lists {listed}",
                    model=name,
                    listed=context.scrub(listed) or "-",
                ),
                Message("Set {variable} to a model that the server lists.", variable=variable),
                reason="unknown_model",
            )
    return verdict.result(**facts, models=len(models), key_proven=key_checked)


def _models(body: bytes) -> list[str] | None:
    """Ids of an OpenAI-compatible list; None for any other body."""
    try:
        document: Any = json.loads(body)
    except (ValueError, RecursionError):
        return None
    items = document.get("data") if isinstance(document, dict) else None
    if not isinstance(items, list):
        return None
    return [str(item["id"])[:100] for item in items if isinstance(item, dict) and "id" in item]
