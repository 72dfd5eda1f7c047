"""What a message of the broker must be, checked before Celery sees it.

Who can write to Redis can put anything into a queue. Celery and kombu read headers, properties and body at many places,
where wrong ones end the worker, keep a place of its pool for ever, or are decompressed to gigabytes.
"""

import base64
from typing import Annotated, Any, Literal, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    FiniteFloat,
    StringConstraints,
    TypeAdapter,
    ValidationError,
    model_validator,
)

from orchestrator.broker.app import EXCHANGE, TASK_PREFIX
from orchestrator.models import RunId

MAX_CHARACTERS = 1_000_000
"""Longest message; those of a run have a few thousand characters, a reply to Flower some more."""
MAX_CLOCK = 2**53
"""Largest logical clock, as Celery counts messages."""
MAX_LIMIT_SECONDS = 86_400.0
MAX_TIMESTAMP = 1e11
"""Seconds since 1970: some thousand years."""
CONTROL_QUEUES, REPLY_QUEUES = ".pidbox", ".reply.celery.pidbox"
"""Ends of the names of the queues of remote control and of the replies to it, and of the latter alone."""
EVENT_QUEUES = "celeryev"
"""Beginning of the names of the queues of Celery's events."""

Word = Annotated[str, StringConstraints(min_length=1, max_length=255, pattern=r"^[^\s\p{C}]*$")]
"""A name or an id: no blanks and no line feeds, which would begin a line of the log."""
Line = Annotated[str, StringConstraints(max_length=4_000, pattern=r"^[^\p{Cc}\p{Zl}\p{Zp}]*$")]
Part = Annotated[str, StringConstraints(min_length=1, max_length=2_000, pattern=r"^[^\p{Cc}\p{Zl}\p{Zp}]*$")]
"""A job or the number of a batch."""
Count = Annotated[int, Field(ge=0, le=MAX_CLOCK)]
Limit = Annotated[FiniteFloat, Field(gt=0, le=MAX_LIMIT_SECONDS)] | None
Empty = Annotated[list[Any], Field(max_length=0)] | Annotated[dict[str, Any], Field(max_length=0)] | None


class _Shape(BaseModel):
    """Base of the shapes: types are not converted, and what is not named is not looked at."""

    model_config = ConfigDict(strict=True, frozen=True, extra="ignore")


class _Properties(_Shape):
    delivery_tag: Word
    delivery_info: dict[str, Any]
    body_encoding: Literal["base64"]
    priority: Annotated[int, Field(ge=0, le=9)] | None = None
    correlation_id: Word | None = None
    reply_to: Word | Literal[""] | None = None
    delivery_mode: int | None = None


class _Headers(_Shape):
    """Of remote control and of events. A compressed one may become gigabytes."""

    compression: None = None
    clock: Count | None = None
    expires: FiniteFloat | None = None
    ticket: Word | None = None
    hostname: Word | None = None


class _TaskHeaders(_Shape):
    """Of a task, which Celery writes with every field; ours have no time to start at, no expiry and no stamps."""

    compression: None = None
    task: Word
    id: Word
    timelimit: Annotated[list[Limit], Field(min_length=2, max_length=2)] | None = None
    retries: Count = 0
    group: Word | None = None
    group_index: Count | None = None
    root_id: Word | None = None
    parent_id: Word | None = None
    ignore_result: bool | None = None
    replaced_task_nesting: Count | None = 0
    argsrepr: Line | None = None
    kwargsrepr: Line | None = None
    origin: Line | None = None
    eta: None = None
    expires: None = None
    shadow: None = None
    meth: None = None
    stamped_headers: Empty = None
    stamps: Empty = None


class _Message(_Shape):
    content_type: Literal["application/json"] = Field(alias="content-type")
    content_encoding: Literal["utf-8"] = Field(alias="content-encoding")
    body: str
    properties: _Properties


class _ControlMessage(_Message):
    headers: _Headers


class _TaskMessage(_Message):
    headers: _TaskHeaders


class _Embed(BaseModel):
    """What is to be done after a task; beside these, Celery would take anything as a field of the request."""

    model_config = ConfigDict(strict=True, frozen=True, extra="forbid")

    callbacks: Empty
    errbacks: Empty
    chain: Empty
    chord: dict[str, Any] | None


class _Address(_Shape):
    exchange: Word
    routing_key: Word


class _Command(_Shape):
    """Of remote control, which workers choose by name; a regular expression may take for ever on one."""

    method: Word
    arguments: dict[Word, Line | float | bool | list[Line] | dict[Word, Any] | None] | None = None
    """An object in them is that of a starting worker (``hello``), which says what ids of tasks were revoked."""
    destination: list[Word] | None = None
    pattern: Line | None = None
    matcher: Literal["glob"] | None = None
    ticket: Word | None = None
    reply_to: _Address | None = None


class _Event(_Shape):
    """Of a worker or a task, as Celery sends it; Flower sorts and groups by these fields."""

    type: Word
    hostname: Word
    timestamp: Annotated[FiniteFloat, Field(ge=0, le=MAX_TIMESTAMP)]
    clock: Count
    utcoffset: Annotated[FiniteFloat, Field(ge=-24, le=24)] | None = None
    pid: Count | None = None
    freq: FiniteFloat | None = None
    uuid: Word | None = None
    name: Word | None = None
    root_id: Word | None = None
    parent_id: Word | None = None
    retries: Count | None = None
    eta: str | None = None
    expires: str | None = None

    @model_validator(mode="after")
    def _task_is_named(self) -> Self:
        if self.type.startswith("task-") and self.uuid is None:
            raise ValueError("a task without its id")
        return self


_TASK_BODY = TypeAdapter(
    tuple[tuple[RunId] | tuple[RunId, Part | None], Annotated[dict[str, Any], Field(max_length=0)], _Embed],
    config=ConfigDict(strict=True),
)
"""Positional arguments, of which all are, keyword arguments, and the rest."""
_COMMAND, _REPLY = TypeAdapter(_Command), TypeAdapter(dict[str, Any])
_EVENTS = TypeAdapter(_Event | list[_Event])


def problem_of(message: object, queue: str) -> str | None:
    """Why ``message``, the JSON of one read from ``queue``, cannot be taken; None for a good one."""
    try:
        if queue.startswith(EVENT_QUEUES) or queue.endswith(CONTROL_QUEUES):
            control = _ControlMessage.model_validate(message)
            is_reply, is_command = queue.endswith(REPLY_QUEUES), queue.endswith(CONTROL_QUEUES)
            (_REPLY if is_reply else _COMMAND if is_command else _EVENTS).validate_json(_body(control))
        else:
            task = _TaskMessage.model_validate(message)
            if not task.headers.task.startswith(TASK_PREFIX):
                return "unknown task"
            _TASK_BODY.validate_json(_body(task))
    except ValidationError as error:
        return f"malformed: {_place(error)}"
    except ValueError:
        return "malformed: body"
    return None


def bind(message: dict[str, Any], queue: str) -> None:
    """Let a good message come from the queue that it was read from, whatever it says: to there it is put back."""
    redelivered = message["properties"]["delivery_info"].get("redelivered") is True
    origin = {"exchange": EXCHANGE.name, "routing_key": queue, "queue": queue, "redelivered": redelivered}
    message["properties"]["delivery_info"] = origin


def _body(message: _Message) -> bytes:
    return base64.b64decode(message.body, validate=True)


def _place(error: ValidationError) -> str:
    """The first wrong field, as far as its names are ours."""
    first = error.errors(include_url=False, include_input=False, include_context=False)[0]
    names = [name for name in map(str, first["loc"]) if name.replace("-", "_").isidentifier() and name[0] != "_"]
    return ".".join(names[:-1] if first["type"] == "extra_forbidden" else names)[:60] or "body"
