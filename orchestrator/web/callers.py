"""Who may call: this machine alone where nobody is identified, and each caller so often in a minute."""

import ipaddress
import re

from fastapi import Request

from orchestrator.client.aio import AsyncTroubleshootClient
from orchestrator.errors import NotOpen, TooManyRequests
from orchestrator.store.run_filter import RunFilter
from orchestrator.web.submission import Identity

_PROXY_HEADER = re.compile(
    r"x-forwarded(-.*)?|x-(original|envoy|azure|arr|appengine)-.*|(.*-)?(client|real|connecting|user|source)-?ip"
    r"|forwarded|via|cdn-loop|cf-.*|fastly-.*|x-amzn-trace-id|x-request-start|x-scheme|x-host"
)
"""Headers of a proxy, with ``-`` for ``_``: who calls it is on another machine, for all that is known."""
_HOST = re.compile(r"\[?(?P<name>[^\[\]]*?)\]?(?::[0-9]*)?")
_IN_PROCESS = "testclient"
"""Host of Starlette's ``TestClient``, which calls the app without a network."""


def only_this_machine(request: Request) -> None:
    """Refuse a request that comes over a network, as far as can be seen, or by the name of another host.

    The name is judged because a page of any site may have its own name resolve to 127.0.0.1 (DNS rebinding), and then
    ask this app from its reader's browser. A Unix socket has no address: what is behind it, mostly a proxy, is unknown.

    Raises NotOpen.
    """
    client = request.client.host if request.client else ""
    # nginx adds no header of its own accord, but it alone speaks HTTP/1.0 still.
    has_proxy = request.scope.get("http_version") == "1.0" or any(
        _PROXY_HEADER.fullmatch(name.replace("_", "-")) for name in request.headers
    )
    if has_proxy or not (client == _IN_PROCESS or _is_loopback(client)) or not _is_named_so(request):
        raise NotOpen(
            "create_router was given no identify, so this machine alone is served, by its own name; "
            "give it an identify, or open_to_network=True where the app itself decides who may call"
        )


def _is_named_so(request: Request) -> bool:
    server = (request.scope.get("server") or ("",))[0]
    if not _address(server):
        return True  # called within the process: a server has an address
    match = _HOST.fullmatch(request.headers.get("host", ""))
    name = "?" if match is None else match["name"].lower()
    return name in ("", "localhost") or name.endswith(".localhost") or _is_loopback(name)


def _address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address


def _is_loopback(host: str) -> bool:
    address = _address(host)
    return address is not None and address.is_loopback


async def check_own(client: AsyncTroubleshootClient, run_id: str, identity: Identity | None) -> None:
    """Refuse a run that is not the caller's as one that is not stored; None: the app identifies nobody.

    Raises RunNotFound, StoreUnreachable.
    """
    if identity is not None and not identity.all_runs:
        await client.check_owner(run_id, identity.user_id)


def own_runs(where: RunFilter, identity: Identity | None) -> RunFilter | None:
    """Those of the runs that are the caller's; None when none can be."""
    if identity is None or identity.all_runs:
        return where
    if not identity.user_id or where.user not in (None, identity.user_id):
        return None
    return where.model_copy(update={"user": identity.user_id})


async def count_request(client: AsyncTroubleshootClient, request: Request, identity: Identity | None) -> None:
    """Count a request of its caller, where the settings limit them: the user, or the address of who is not known.

    Raises TooManyRequests, StoreUnreachable.
    """
    most = client.sync.settings.requests_per_minute
    if most == 0:
        return
    user = None if identity is None else identity.user_id
    kind, name = ("address", _network(request)) if user is None else ("user", user)
    seconds = await client.call(client.sync.store.count_request, kind, name, per_minute=most)
    if seconds > 0:
        error = TooManyRequests(
            "requests a minute: {most} at most; try again in {seconds} s", most=most, seconds=seconds
        )
        error.retry_after_seconds = seconds
        raise error


def _network(request: Request) -> str:
    """The caller's address; of IPv6 the network, of which one caller has all addresses."""
    host = request.client.host if request.client else ""
    address = _address(host)
    if isinstance(address, ipaddress.IPv6Address):
        return str(ipaddress.IPv6Network((int(address), 64), strict=False))
    return host
