"""The read-only border: nothing but the allow-listed GET requests can leave."""

import asyncio

import httpx2
import pytest

from workers.sources.tws_status.transport import (
    API_PREFIX,
    Endpoint,
    ReadOnlyTransport,
    ReadOnlyViolation,
    UnsafeId,
    endpoint_path,
)


def _send(method: str, url: str, *, base_path: str = "", content: bytes | None = None) -> list[str]:
    sent: list[str] = []

    def answer(request: httpx2.Request) -> httpx2.Response:
        sent.append(f"{request.method} {request.url.raw_path.decode()}")
        return httpx2.Response(200)

    async def go() -> None:
        transport = ReadOnlyTransport(httpx2.MockTransport(answer), f"http://hwa{base_path}")
        async with httpx2.AsyncClient(transport=transport, trust_env=False) as client:
            await client.request(method, url, content=content)

    asyncio.run(go())
    return sent


@pytest.mark.parametrize("endpoint", list(Endpoint))
def test_every_endpoint_of_the_list_passes(endpoint: Endpoint) -> None:
    """Each allow-listed path can be asked, with an id of any characters."""
    path = endpoint_path(endpoint, "MDM;JOBS;X/../é" if "{id}" in endpoint.value else None)
    assert _send("GET", f"http://hwa{path}") == [f"GET {path}"]


@pytest.mark.parametrize("endpoint", list(Endpoint))
@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "HEAD", "OPTIONS"])
def test_no_other_method_can_be_sent(endpoint: Endpoint, method: str) -> None:
    """Only GET leaves, whatever the path."""
    with pytest.raises(ReadOnlyViolation):
        _send(method, f"http://hwa{endpoint_path(endpoint, 'x')}")


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/twsd/api/v2",
        "/twsd/api/v2/",
        "/twsd/api/v1/plan/job",
        "/twsd/api/v2/plan/job/",
        "/twsd/api/v2/plan/job/x/action/cancel",
        "/twsd/api/v2/plan/job/x/cancel",
        "/twsd/api/v2/plan/job/joblog/extra/deep",
        "/twsd/api/v2/plan/job/run/x/joblog/y",
        "/twsd/api/v2/model/jobdefinition",
        "/twsd/api/v2/model/user/x",
        "/twsd/api/v2/plan/prompt",
        "/other/twsd/api/v2/plan/job",
        "/twsd/api/v2/plan/job/%2e%2e",
        "/twsd/api/v2/plan/job/run/.%2E/joblog",
    ],
)
def test_no_other_path_can_be_sent(path: str) -> None:
    """A path beside the list is refused even for GET."""
    with pytest.raises(ReadOnlyViolation):
        _send("GET", f"http://hwa{path}")


@pytest.mark.parametrize("query", ["follow=true", "lock=true", "limit=1&follow=1", "plan_filter=x", "unknown=1"])
def test_parameters_that_hold_or_lock_cannot_be_sent(query: str) -> None:
    """``follow``, ``lock`` and every parameter that is not listed are refused."""
    with pytest.raises(ReadOnlyViolation):
        _send("GET", f"http://hwa{API_PREFIX}/plan/job?{query}")


def test_a_get_with_a_body_cannot_be_sent() -> None:
    """A body has no place in a read."""
    with pytest.raises(ReadOnlyViolation):
        _send("GET", f"http://hwa{API_PREFIX}/plan/job", content=b"{}")


def test_the_prefix_of_a_gateway_is_part_of_the_path() -> None:
    """Behind a gateway its prefix is required, so that a path outside the API cannot be reached."""
    url = f"http://hwa/gw/tws{API_PREFIX}/engine/info"
    assert _send("GET", url, base_path="/gw/tws/") == [f"GET /gw/tws{API_PREFIX}/engine/info"]
    with pytest.raises(ReadOnlyViolation):
        _send("GET", f"http://hwa{API_PREFIX}/engine/info", base_path="/gw/tws")


@pytest.mark.parametrize(
    ("object_id", "encoded"),
    [("MDM;JOBS;X", "MDM%3BJOBS%3BX"), ("a/b", "a%2Fb"), ("a?b#c", "a%3Fb%23c"), ("ç %", "%C3%A7%20%25")],
)
def test_ids_are_percent_encoded_as_one_segment(object_id: str, encoded: str) -> None:
    """No character of an id can end its segment or start a query."""
    assert endpoint_path(Endpoint.JOB, object_id) == f"{API_PREFIX}/plan/job/{encoded}"


@pytest.mark.parametrize("object_id", [None, "", ".", ".."])
def test_an_id_that_would_change_the_path_is_refused(object_id: str | None) -> None:
    """An empty or relative segment is a mistake, not a request."""
    with pytest.raises(UnsafeId) as caught:
        endpoint_path(Endpoint.JOB, object_id)
    assert caught.value.reason == "invalid_value"


@pytest.mark.parametrize("origin", ["http://other", "https://hwa", "http://hwa:8080", "http://hwa.other"])
def test_no_other_host_can_be_sent_anything(origin: str) -> None:
    """The credentials go to the instance alone, whatever leads elsewhere."""
    with pytest.raises(ReadOnlyViolation):
        _send("GET", f"{origin}{API_PREFIX}/engine/info")
