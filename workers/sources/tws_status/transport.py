"""The read-only transport: an allow-list of GET endpoints, enforced below the HTTP client.

No mistake in the code above it can change the plan.
"""

import re
from enum import StrEnum
from urllib.parse import quote

import httpx2

from orchestrator.errors import SourceError

API_PREFIX = "/twsd/api/v2"


class Endpoint(StrEnum):
    """The allow-list: GET endpoints of the REST API v2. ``{id}`` is one percent-encoded path segment."""

    ENGINE_INFO = "/engine/info"
    JOBS = "/plan/job"
    JOB_COUNT = "/plan/job/count"
    JOB_ISSUES = "/plan/job/issues"
    JOB = "/plan/job/{id}"
    PREDECESSORS = "/plan/job/{id}/predecessors"
    SUCCESSORS = "/plan/job/{id}/successors"
    JOB_LOG = "/plan/job/run/{id}/joblog"
    JOB_STREAMS = "/plan/jobstream"
    JOB_STREAM = "/plan/jobstream/{id}"
    RESOURCES = "/plan/resource"
    WORKSTATIONS = "/plan/workstation"
    WORKSTATION = "/plan/workstation/{id}"
    JOB_DEFINITION = "/model/jobdefinition/{id}"


_ID = r"(?!(?:\.|%2[eE]){1,2}(?:/|$))[^/?#]+"
_PATHS = re.compile("|".join(re.escape(endpoint.value).replace(re.escape("{id}"), _ID) for endpoint in Endpoint))
_PARAMETERS = frozenset(
    {"oql", "limit", "offset", "plan_id", "depth", "from_line", "to_line", "contentOnly", "grouping_filters"}
)
"""Allowed query parameters. Not ``follow``, which keeps a job log open, nor ``lock``, which locks a definition."""


class UnsafeId(SourceError):
    """An id cannot stand in a path."""

    reason = "invalid_value"


class ReadOnlyViolation(RuntimeError):
    """A request outside the allow-list: a programming error."""


def endpoint_path(endpoint: Endpoint, object_id: str | None = None) -> str:
    """Path of an endpoint below the base URL, with the id percent-encoded as one segment.

    Some installations have ids such as ``MDM;JOBS;X``, so everything but unreserved characters is encoded. Raises
    UnsafeId for an id that would change the path.
    """
    if "{id}" not in endpoint.value:
        return API_PREFIX + endpoint.value
    if not object_id or object_id in (".", ".."):
        raise UnsafeId("{id!r} is not an id: GET {path} needs one", id=object_id, path=endpoint.value)
    return API_PREFIX + endpoint.value.replace("{id}", quote(object_id, safe=""))


class ReadOnlyTransport(httpx2.AsyncBaseTransport):
    """Passes allow-listed GETs below ``base_url`` to ``inner``, and raises ReadOnlyViolation for any other request.

    Other hosts are refused too, since they would receive the credentials.
    """

    def __init__(self, inner: httpx2.AsyncBaseTransport, base_url: str) -> None:
        base = httpx2.URL(base_url)
        self._inner = inner
        self._origin = (base.scheme, base.netloc)
        self._prefix = base.raw_path.decode("ascii").rstrip("/") + API_PREFIX

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """Forward one request. Raises ReadOnlyViolation."""
        path = request.url.raw_path.split(b"?", 1)[0].decode("ascii")
        inside = path.removeprefix(self._prefix) if path.startswith(self._prefix + "/") else ""
        if (request.url.scheme, request.url.netloc) != self._origin:
            raise ReadOnlyViolation("a host other than the instance's is not on the allow-list")
        if request.method != "GET" or not _PATHS.fullmatch(inside):
            raise ReadOnlyViolation(f"{request.method} {path} is not on the allow-list")
        extra = {name for name, _ in request.url.params.multi_items()} - _PARAMETERS
        if extra or request.headers.get("content-length", "0") != "0" or "transfer-encoding" in request.headers:
            raise ReadOnlyViolation(f"GET {path} with {', '.join(sorted(extra)) or 'a body'} is not on the allow-list")
        return await self._inner.handle_async_request(request)

    async def aclose(self) -> None:
        """Close the connections."""
        await self._inner.aclose()
