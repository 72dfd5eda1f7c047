"""Redis behind Sentinels: what a ``redis+sentinel://`` URL says, and the URL of one Redis that it stands for.

redis-py, kombu, Celery's result backend and Flower have ways of their own to name Sentinels, none of which all of them
read. So each is given the URL of one Redis, under a host name that our connections know and ask the Sentinels about.
"""

import hashlib
from dataclasses import dataclass
from urllib.parse import parse_qsl, urlencode

from orchestrator.errors import InvalidValue
from orchestrator.tls import PARAMETERS

DEFAULT_PORT = 26_379
FORM = "redis+sentinel://[[user]:password@]host[:26379][,host...]/name[/database]"
_SCHEMES = {"redis+sentinel": "redis", "rediss+sentinel": "rediss"}
_OWN = ("sentinel_username", "sentinel_password")
"""Parameters of such a URL: user and password of the Sentinels themselves."""


@dataclass(frozen=True, slots=True)
class Sentinels:
    """Who knows where a primary is; over TLS, if the primary is reached by it."""

    name: str
    """What the Sentinels call the primary."""
    urls: tuple[str, ...]
    """Each of them."""


def is_sentinel(url: str) -> bool:
    """Whether a URL names Sentinels."""
    return url.partition("://")[0] in _SCHEMES


def parse_sentinel(url: str) -> tuple[str, str, Sentinels]:
    """Host name and URL of the one Redis that a ``redis+sentinel://`` URL stands for, and its Sentinels.

    Raises InvalidValue, without the URL: it may hold a password.
    """
    scheme, _, rest = url.partition("://")
    address, _, query = rest.partition("?")
    hosts, slash, path = address.partition("/")
    credentials, at, hosts = hosts.rpartition("@")
    name, _, database = path.strip("/").partition("/")
    addresses = [_address(host) for host in hosts.split(",")]
    if not slash or not name or "/" in database or None in addresses:
        raise InvalidValue("cannot be read as {form}", form=FORM)
    parameters = parse_qsl(query, keep_blank_values=True)
    given = {key: value for key, value in parameters if key in _OWN}
    kept = urlencode([(key, value) for key, value in parameters if key not in _OWN])
    tls = urlencode([(key, value) for key, value in parameters if key in PARAMETERS])
    user, password = (urlencode({"": given.get(key, "")})[1:].replace("+", "%20") for key in _OWN)
    own = f"{user}:{password}@" if password else ""
    sentinels = Sentinels(
        name, tuple(f"{_SCHEMES[scheme]}://{own}{host}/0{'?' if tls else ''}{tls}" for host in addresses)
    )
    # The same name is another primary where other Sentinels say where it is.
    digest = hashlib.sha256(repr(sentinels).encode()).hexdigest()[:8]
    label = "".join(letter if letter.isalnum() else "-" for letter in name.lower())
    host = f"{label}.{digest}.sentinel"
    single = f"{_SCHEMES[scheme]}://{credentials}{at}{host}:6379/{database or 0}{'?' if kept else ''}{kept}"
    return host, single, sentinels


def describe_sentinel(url: str) -> str:
    """Sentinels, name and database of a URL, without users and passwords."""
    scheme, _, rest = url.partition("://")
    return f"{scheme}://{rest.partition('?')[0].rpartition('@')[2]}"


def _address(host: str) -> str | None:
    name, colon, port = host.rpartition(":") if not host.endswith("]") else (host, "", "")
    name, port = (name, port) if colon else (host, str(DEFAULT_PORT))
    is_usable = bool(name) and port.isdecimal() and 0 < int(port) < 65_536 and not set(name) & set(" ;@/")
    return f"{name}:{port}" if is_usable else None
