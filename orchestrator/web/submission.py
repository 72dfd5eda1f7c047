"""The parts of a submit over HTTP: the request, the caller, the time for which the caller waits."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Self

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
    """The authenticated caller."""

    user_id: str | None
    session_id: str | None = None
    """None: the session in the body, if any."""


class _SchemaOf:
    """Documents a value with the JSON schema of ``model`` and does not validate it."""

    def __init__(self, model: type[BaseModel]) -> None:
        self._model = model

    def __get_pydantic_json_schema__(self, _schema: object, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        return handler(self._model.__pydantic_core_schema__)


RequestBody = Annotated[dict[str, Any], _SchemaOf(TroubleshootRequest), Body()]
"""The fields of a ``TroubleshootRequest``; ``make_request`` validates them, because FastAPI does not know the settings
that limits missing in the body default to."""


def make_request(body: Mapping[str, Any], settings: Settings, identity: Identity | None) -> TroubleshootRequest:
    """The request in a body; with an ``identity``, the user in the body is ignored.

    Raises InvalidRequest naming the field.
    """
    fields = dict(body)
    config = fields.get("config", {})
    if isinstance(config, Mapping):
        fields["config"] = settings.parallel_config().model_dump() | dict(config)
    if identity is not None:
        fields["user_id"] = identity.user_id
        if identity.session_id is not None:
            fields["session_id"] = identity.session_id
    try:
        return TroubleshootRequest.model_validate(fields)
    except ValidationError as error:
        raise InvalidRequest(describe(error)) from None


@dataclass(frozen=True, slots=True)
class Patience:
    """The time for which the caller waits for the report."""

    seconds: float | None
    """None: until the run's deadline."""

    @classmethod
    def of(cls, *, wait: bool, prefer: str | None) -> Self | None:
        """The patience in ``?wait=true`` or ``Prefer: wait=10`` (RFC 7240); None for a caller that does not wait.

        ``Prefer: wait`` without seconds waits until the deadline.
        """
        if wait:
            return cls(None)
        match = _PREFER_WAIT.search(prefer or "")
        if match is None:
            return None
        return cls(None if match["seconds"] is None else float(match["seconds"]))
