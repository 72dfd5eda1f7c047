"""Errors as ``application/problem+json`` (RFC 9457) with their ``reason``."""

from collections.abc import Callable, Coroutine
from http import HTTPStatus
from typing import Any

from fastapi import Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from pydantic import BaseModel, Field
from starlette.requests import ClientDisconnect
from starlette.types import Scope

from orchestrator.errors import (
    BodyTooLarge,
    BodyTooSlow,
    Conflict,
    InvalidRequest,
    NotOpen,
    Overloaded,
    RunNotFound,
    SchemaMismatch,
    StoreUnreachable,
    TroubleshootError,
)
from orchestrator.logs import bound, get_logger, shown
from orchestrator.models import is_run_id
from orchestrator.validation import about, all_of, problem_of, with_names

_LOGGER = get_logger(__name__)
PROBLEM_JSON = "application/problem+json"
RETRY_AFTER_SECONDS = 10
"""``Retry-After`` of ``store_unreachable``, and of ``overloaded`` where no more is known: the default total timeout."""

_STATUS: tuple[tuple[type[TroubleshootError], HTTPStatus], ...] = (
    (BodyTooLarge, HTTPStatus.REQUEST_ENTITY_TOO_LARGE),  # before their base
    (BodyTooSlow, HTTPStatus.REQUEST_TIMEOUT),
    (Conflict, HTTPStatus.CONFLICT),
    (InvalidRequest, HTTPStatus.UNPROCESSABLE_ENTITY),
    (NotOpen, HTTPStatus.FORBIDDEN),
    (RunNotFound, HTTPStatus.NOT_FOUND),
    (Overloaded, HTTPStatus.TOO_MANY_REQUESTS),
    (StoreUnreachable, HTTPStatus.SERVICE_UNAVAILABLE),
    (SchemaMismatch, HTTPStatus.NOT_IMPLEMENTED),
)
_HEADERS = {"idempotency_key": "Idempotency-Key"}
"""Names of the headers that carry a field."""
_RETRYABLE = (HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE)


class Problem(BaseModel):
    """A problem: programs evaluate ``reason``, people read ``detail``."""

    type: str = Field(default="about:blank", description="Always `about:blank`: the reason identifies the error.")
    title: str = Field(description="The phrase of the HTTP status.", examples=["Not Found"])
    status: int = Field(description="The HTTP status.", examples=[404])
    detail: str = Field(description="The problem, its field, and what to do.")
    reason: str = Field(description="The stable identifier of the error.", examples=["run_not_found"])


Docs = dict[int | str, dict[str, Any]]
"""OpenAPI documentation of a route's responses, by status."""


def problem_docs(*statuses: HTTPStatus) -> Docs:
    """OpenAPI documentation of problem responses with these statuses."""
    content = {PROBLEM_JSON: {"schema": Problem.model_json_schema()}}
    return {status.value: {"description": _DESCRIPTIONS[status], "content": content} for status in statuses}


_DESCRIPTIONS = {
    HTTPStatus.FORBIDDEN: "`not_open`: the app identifies nobody, and so serves its own machine alone.",
    HTTPStatus.REQUEST_TIMEOUT: "`body_too_slow`: the body did not come in time.",
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: "`body_too_large`: the body is longer than any question needs.",
    HTTPStatus.NOT_FOUND: "`run_not_found`: no run of that id is stored; it never existed, expired, or Redis lost it.",
    HTTPStatus.CONFLICT: "`conflict`: the run id or the idempotency key is that of another question.",
    HTTPStatus.UNPROCESSABLE_ENTITY: "`invalid_request`, `unknown_instance`: the detail names the field and the fix.",
    HTTPStatus.TOO_MANY_REQUESTS: (
        "`overloaded`: the run cannot be answered in time. `too_many_requests`: the caller makes more requests than "
        "are allowed. See `Retry-After`."
    ),
    HTTPStatus.NOT_IMPLEMENTED: "`schema_mismatch`: the run was written by a version whose schema is not read here.",
    HTTPStatus.SERVICE_UNAVAILABLE: (
        "`store_unreachable`: Redis does not answer. `out_of_connections`: it may be well, and this app may open no "
        "further connection to it. See `Retry-After`."
    ),
}


def problem_response(error: TroubleshootError) -> Response:
    """The problem response of ``error``, whose message contains no secret."""
    status = next((status for kind, status in _STATUS if isinstance(error, kind)), HTTPStatus.INTERNAL_SERVER_ERROR)
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        _LOGGER.error("web_request_failed reason=%s error=%s", error.reason, shown(error))
    detail = str(with_names(error.message, _HEADERS))
    problem = Problem(title=status.phrase, status=status, detail=detail, reason=error.reason)
    headers = {"Cache-Control": "no-store"}
    if status in _RETRYABLE:
        known = error.retry_after_seconds if isinstance(error, Overloaded) else None
        headers["Retry-After"] = str(known or RETRY_AFTER_SECONDS)
    return Response(problem.model_dump_json(), status, headers, PROBLEM_JSON)


def run_id_of(scope: Scope) -> str | None:
    """The run in the path of a request, if it is one."""
    run_id = scope.get("path_params", {}).get("run_id")
    return run_id if isinstance(run_id, str) and is_run_id(run_id) else None


class ProblemRoute(APIRoute):
    """A route that returns errors as problems, whatever error handlers the app has.

    An ``HTTPException`` of the app's dependencies, such as authentication, is left to the app.
    """

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """FastAPI's handler, with errors turned into problem responses."""
        handle = super().get_route_handler()

        async def handle_with_problems(request: Request) -> Response:
            with bound(run_id=run_id_of(request.scope)):
                return await handle_within(request)

        async def handle_within(request: Request) -> Response:
            try:
                response = await handle(request)
            except TroubleshootError as error:
                return problem_response(error)
            except RequestValidationError as error:
                return problem_response(_refusal(request, error))
            except ClientDisconnect:  # in the middle of its body
                return Response(status_code=HTTPStatus.BAD_REQUEST)
            response.headers.setdefault("Cache-Control", "no-store")
            return response

        return handle_with_problems


def _refusal(request: Request, error: RequestValidationError) -> TroubleshootError:
    """The error for values that FastAPI refused; it names the fields and not the values."""
    problems = []
    # A dependency that two others have is told of twice.
    for item in {(item["loc"], item["type"]): item for item in error.errors()}.values():
        place, *names = item["loc"]
        if place == "path":
            return RunNotFound.of(request.path_params["run_id"])
        problems.append(about(".".join(map(str, names)), problem_of(item)))
    return InvalidRequest(all_of(problems))
