"""What a POST asks for: the request out of its body, who asks, and how long the caller wants to wait."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import Body
from pydantic import BaseModel, GetJsonSchemaHandler, ValidationError
from pydantic.json_schema import JsonSchemaValue

from orchestrator.config import Settings
from orchestrator.errors import InvalidRequest
from orchestrator.models import TroubleshootRequest
from orchestrator.validation import describe

_PREFER_WAIT = re.compile(r"""(?:^|,)\s*wait\s*(?:=\s*"?(?P<seconds>\d{1,6})"?\s*)?(?=$|[,;])""", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Identity:
    """Who asks, as the app's own authentication knows it."""

    user_id: str | None
    session_id: str | None = None
    """None: the session that the body names, if any."""


class _SchemaOf:
    """Documents a value with the JSON schema of ``model`` and leaves it unchecked."""

    def __init__(self, model: type[BaseModel]) -> None:
        self._model = model

    def __get_pydantic_json_schema__(self, _schema: object, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        return handler(self._model.__pydantic_core_schema__)


RequestBody = Annotated[dict[str, Any], _SchemaOf(TroubleshootRequest), Body()]
"""The fields of a ``TroubleshootRequest``, checked by ``make_request``: limits that the body leaves out are the
settings' own, which FastAPI does not know."""


def make_request(body: Mapping[str, Any], settings: Settings, identity: Identity | None) -> TroubleshootRequest:
    """The request of a body. With an ``identity``, the user that the body names is never believed.

    Raises InvalidRequest naming the field.
    """
    asked = dict(body)
    config = asked.get("config", {})
    if isinstance(config, Mapping):
        asked["config"] = settings.parallel_config().model_dump() | dict(config)
    if identity is not None:
        asked["user_id"] = identity.user_id
        if identity.session_id is not None:
            asked["session_id"] = identity.session_id
    try:
        return TroubleshootRequest.model_validate(asked)
    except ValidationError as error:
        raise InvalidRequest(describe(error)) from None


@dataclass(frozen=True, slots=True)
class Patience:
    """How long the caller waits for the report."""

    seconds: float | None
    """None: to the run's deadline."""

    @classmethod
    def of(cls, *, wait: bool, prefer: str | None) -> Patience | None:
        """The patience in ``?wait=true`` or in a header ``Prefer: wait=10`` (RFC 7240); None waits for nothing.

        ``Prefer: wait`` without seconds is understood as well: to the deadline.
        """
        if wait:
            return cls(None)
        found = _PREFER_WAIT.search(prefer or "")
        if found is None:
            return None
        return cls(None if found["seconds"] is None else float(found["seconds"]))
