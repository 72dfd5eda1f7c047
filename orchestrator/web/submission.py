"""The parts of a submit over HTTP: the request, the caller, the time for which the caller waits."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from pydantic import BaseModel, Field, ValidationError

from orchestrator.config import InputModel, Settings
from orchestrator.errors import InvalidRequest
from orchestrator.models import TroubleshootRequest
from orchestrator.store.run_filter import RunFilter
from orchestrator.validation import describe
from orchestrator.web.body import parse_object

_PREFER_WAIT = re.compile(r"""(?:^|,)\s*wait\s*(?:=\s*"?(?P<seconds>\d{1,6})"?\s*)?(?=$|[,;])""", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Identity:
    """The authenticated caller."""

    user_id: str | None
    session_id: str | None = None
    """None: the session in the body, if any."""
    all_runs: bool = False
    """Whether every run is this caller's to list, read, rerun and cancel, and not only those that they submitted."""


class Rerun(InputModel):
    """What of an ended run is asked again."""

    all: bool = Field(default=False, description="Every source, not only those that failed.")


def body_docs(model: type[BaseModel]) -> dict[str, Any]:
    """OpenAPI documentation of a route whose body is received by ``receive_body``."""
    schema = model.model_json_schema()
    definitions = schema.pop("$defs", {})

    def whole(value: Any) -> Any:
        # A reference would be one to the schemas of the app.
        if isinstance(value, dict):
            referred = definitions[value["$ref"].rpartition("/")[2]] if "$ref" in value else {}
            return {name: whole(item) for name, item in (referred | value).items() if name != "$ref"}
        return [whole(item) for item in value] if isinstance(value, list) else value

    return {"requestBody": {"required": True, "content": {"application/json": {"schema": whole(schema)}}}}


def make_request(body: bytes, settings: Settings, identity: Identity | None) -> TroubleshootRequest:
    """The request in a body, whose limits default to those of the settings; with an ``identity``, the user in the body
    is ignored.

    Raises InvalidRequest naming the field.
    """
    fields = parse_object(body)
    config = fields.get("config", {})
    if isinstance(config, Mapping):
        fields["config"] = settings.parallel_config().model_dump() | dict(config)
    if identity is not None:
        fields["user_id"] = identity.user_id
        # What nobody in particular was told is not to be asked after by whoever names the session.
        if identity.session_id is not None or not identity.user_id:
            fields["session_id"] = identity.session_id
    try:
        return TroubleshootRequest.model_validate(fields)
    except ValidationError as error:
        raise InvalidRequest(describe(error)) from None


def make_filter(**fields: object) -> RunFilter:
    """Which runs are to be listed. Raises InvalidRequest naming the field."""
    try:
        return RunFilter.model_validate(fields)
    except ValidationError as error:
        raise InvalidRequest(describe(error)) from None


def make_rerun(body: bytes) -> Rerun:
    """The rerun in a body. Raises InvalidRequest naming the field."""
    try:
        return Rerun.model_validate(parse_object(body))
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
