"""The body of a request, received within limits of size and time, and the object in it."""

import asyncio
import json
from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar

from fastapi import Request

from orchestrator.errors import BodyTooLarge, BodyTooSlow, InvalidRequest
from orchestrator.i18n.message import Message
from orchestrator.validation import about

MAX_BODY_BYTES = 512 * 1024
"""Longest body: more than a request with every field at its limit needs."""
BODY_SECONDS = 10.0
"""Seconds within which the whole of a body must come."""
MAX_OPENED = 10_000
"""Most opening brackets: more than a message of nothing else has. A body of 170,000 empty lists takes eight times as
long to read as one of numbers."""
NOT_JSON = Message("the body must be a JSON object, sent with Content-Type: application/json")
_SHORT_BYTES = 16 * 1024
"""A body up to this length is read on the event loop, which takes less than to go to a thread."""

_P = ParamSpec("_P")
_T = TypeVar("_T")


async def receive_body(request: Request) -> bytes:
    """The body, which is said to be JSON: a dependency of routes, so that nothing is received before who asks is known.

    Raises InvalidRequest for another type of content, BodyTooLarge, BodyTooSlow.
    """
    # A page of any site could send another type, or none, with this app's cookies.
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/json" and not (kind.startswith("application/") and kind.endswith("+json")):
        raise InvalidRequest(NOT_JSON)
    chunks, size = list[bytes](), 0
    try:
        async with asyncio.timeout(BODY_SECONDS):
            # Counted as it comes: a chunked body does not say how long it is.
            async for chunk in request.stream():
                size += len(chunk)
                if size > MAX_BODY_BYTES:
                    raise BodyTooLarge("the body is longer than {limit} bytes", limit=MAX_BODY_BYTES)
                chunks.append(chunk)
    except TimeoutError:
        raise BodyTooSlow("the body did not come within {seconds:g} s", seconds=BODY_SECONDS) from None
    return b"".join(chunks)


async def read_object(body: bytes, read: Callable[_P, _T], *args: _P.args, **kwargs: _P.kwargs) -> _T:
    """``read`` of a body; in a thread for a long one, so that other requests go on meanwhile."""
    if len(body) <= _SHORT_BYTES:
        return read(*args, **kwargs)
    return await asyncio.to_thread(read, *args, **kwargs)


def parse_object(body: bytes) -> dict[str, Any]:
    """The JSON object in a body.

    Raises InvalidRequest for what is none, or names a field twice: another reader may take the other value.
    """
    if body.count(b"[") + body.count(b"{") > MAX_OPENED:
        raise InvalidRequest("the body has more than {limit} lists and objects", limit=MAX_OPENED)
    try:
        value = json.loads(body.decode("utf-8-sig"), object_pairs_hook=_with_each_name_once)
    # Not JSON in UTF-8, a name with half of a surrogate pair, a number of thousands of digits, nested too deep.
    except (ValueError, RecursionError):
        raise InvalidRequest(NOT_JSON) from None
    if not isinstance(value, dict):
        raise InvalidRequest(NOT_JSON)
    return value


def _with_each_name_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    fields = dict[str, Any]()
    for name, value in pairs:
        name.encode()  # pydantic cannot refuse a name that is no Unicode
        if name in fields:
            raise InvalidRequest(about(name, Message("is named twice")))
        fields[name] = value
    return fields
