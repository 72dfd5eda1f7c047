"""TWS instances by name: one from the ``TWS_*`` variables, any number from a JSON file."""

import json
import re
import ssl
from collections.abc import Mapping
from pathlib import Path
from typing import Self
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

import httpx2
from pydantic import (
    AliasChoices,
    BaseModel,
    ConfigDict,
    Field,
    SecretStr,
    ValidationError,
    field_validator,
    model_validator,
)

from orchestrator.codes.control import has_control
from orchestrator.errors import ConfigurationError, InvalidValue, SourceError
from orchestrator.i18n.message import Message
from orchestrator.outcomes import NOT_CONFIGURED
from orchestrator.validation import describe, with_names
from workers.config import TwsSettings
from workers.http import tls_context
from workers.sources.tws_status.transport import API_PREFIX

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
_HOST = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?|\[[0-9A-Fa-f:.]+\]")
_HEADER = re.compile(r"(?P<name>[A-Za-z0-9!#$%&'*+.^_`|~-]+)\s*:\s*(?P<value>[\x21-\x7e](?:[\x20-\x7e]*[\x21-\x7e])?)")
_FRAMING = {"connection", "content-length", "expect", "te", "trailer", "transfer-encoding", "upgrade"}
"""Headers that frame an HTTP message; a site may not set them."""
_TOKEN = re.compile(r"[\x21-\x7e]+")
_TRUE, _FALSE = {"true", "1", "yes", "on"}, {"false", "0", "no", "off"}


class TwsInstance(BaseModel):
    """Address and credentials of one TWS instance. Secrets do not show in ``repr``."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)

    name: str = ""
    base_url: str = Field(validation_alias=AliasChoices("base_url", "url"))
    """Scheme, host, port and the path prefix of a gateway; without ``/twsd/api/v2``."""
    user: str | None = Field(default=None, validation_alias=AliasChoices("user", "username"))
    password: SecretStr | None = None
    token: SecretStr | None = None
    auth_header: SecretStr | None = None
    """``Name: value``, for a gateway with an authentication header of its own."""
    verify: str | bool = Field(default=True, validation_alias=AliasChoices("verify", "verify_ssl", "ca_bundle"))
    use_proxy: bool = False
    description: str = ""

    @model_validator(mode="before")
    @classmethod
    def _host_makes_a_url(cls, data: object) -> object:
        if not isinstance(data, dict) or "host" not in data:
            return data
        values = dict(data)
        host, port = values.pop("host"), values.pop("port", 31116)
        if not isinstance(host, str) or not _HOST.fullmatch(host):
            raise InvalidValue("{field} must be a name or an address, without scheme and path", field="host")
        if isinstance(port, bool) or not isinstance(port, int) or not 1 <= port <= 65535:
            raise InvalidValue("{field} must be a number from 1 to 65535", field="port")
        if "base_url" not in values and "url" not in values:
            values["base_url"] = f"https://{host}:{port}"
        return values

    @field_validator("base_url")
    @classmethod
    def _url_is_usable(cls, value: str) -> str:
        try:
            # Normalise as httpx does when sending: the read-only transport compares paths.
            value = str(httpx2.URL(value.strip()))
            parts = urlsplit(value)
        except (httpx2.InvalidURL, ValueError):
            raise InvalidValue("must look like https://tws.example:31116") from None
        try:
            port = parts.port
        except ValueError:
            raise InvalidValue("must have a number from 1 to 65535 after the last colon") from None
        if parts.scheme not in ("http", "https") or not parts.hostname or port == 0:
            raise InvalidValue("must look like https://tws.example:31116")
        if parts.username is not None or parts.password is not None:
            raise InvalidValue("must not hold credentials; give user and password on their own")
        if parts.query or parts.fragment:
            raise InvalidValue("must have no query and no fragment")
        return value.rstrip("/").removesuffix(API_PREFIX).rstrip("/")

    @field_validator("verify")
    @classmethod
    def _verify_is_a_switch_or_a_bundle(cls, value: str | bool) -> str | bool:
        if isinstance(value, bool):
            return value
        if value.strip().lower() in _TRUE | _FALSE:
            return value.strip().lower() in _TRUE
        try:
            if not Path(value).exists():
                raise InvalidValue("must be true, false or the path of a CA bundle; there is no such file")
            tls_context("https:", value)
        except (ssl.SSLError, OSError):
            raise InvalidValue("names a file that holds no PEM certificates") from None
        return value

    @field_validator("user")
    @classmethod
    def _user_can_be_sent(cls, value: str | None) -> str | None:
        if value is not None and (not value or ":" in value or has_control(value)):
            raise InvalidValue("must be a name without colon and line break (RFC 7617)")
        return value

    @field_validator("password")
    @classmethod
    def _password_can_be_sent(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None and has_control(value.get_secret_value()):
            raise InvalidValue("must not hold a line break or another control character, not even at its end")
        return value

    @field_validator("token")
    @classmethod
    def _token_can_be_sent(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None and not _TOKEN.fullmatch(value.get_secret_value()):
            raise InvalidValue("must be the bare value, ASCII without blanks and line breaks, and without 'Bearer'")
        return value

    @field_validator("auth_header")
    @classmethod
    def _header_has_name_and_value(cls, value: SecretStr | None) -> SecretStr | None:
        match = _HEADER.fullmatch(value.get_secret_value().strip()) if value is not None else None
        if value is not None and (match is None or match["name"].lower() in _FRAMING):
            raise InvalidValue("must look like 'X-Api-Key: value'")
        return value

    @model_validator(mode="after")
    def _credentials_are_whole(self) -> Self:
        if (self.user is None) != (self.password is None):
            raise InvalidValue(
                "{field} and {other_field} belong together: one of them is missing",
                field="user",
                other_field="password",
            )
        if self.user is not None and self.token is not None:
            raise InvalidValue(
                "{field} and {other_field} exclude each other: give one of them", field="user", other_field="token"
            )
        if (self.user is not None or self.token is not None) and self._header()[0].lower() == "authorization":
            raise InvalidValue(
                "{field} is the Authorization header: give it alone, or {other_field} or {third_field} instead",
                field="auth_header",
                other_field="user",
                third_field="token",
            )
        if self.use_proxy:
            self.proxy()
        return self

    @property
    def where(self) -> str:
        """Host and port, for envelopes and messages."""
        return urlsplit(self.base_url).netloc

    def headers(self) -> dict[str, str]:
        """Authentication headers: the bearer token and the site's own header, where configured."""
        headers = {} if self.token is None else {"Authorization": f"Bearer {self.token.get_secret_value()}"}
        name, value = self._header()
        if name:
            headers[name] = value
        return headers

    def _header(self) -> tuple[str, str]:
        text = self.auth_header.get_secret_value().strip() if self.auth_header is not None else ""
        match = _HEADER.fullmatch(text)
        return (match["name"], match["value"]) if match is not None else ("", "")

    def proxy(self) -> str | None:
        """The environment's proxy for this host, or None without ``use_proxy`` or when ``NO_PROXY`` excludes the host.

        Raises InvalidValue for an unusable proxy URL; validated at start.
        """
        parts = urlsplit(self.base_url)
        if not self.use_proxy or proxy_bypass(parts.netloc.rpartition("@")[2]):
            return None
        proxies = getproxies()
        proxy = (proxies.get(parts.scheme) or proxies.get("all") or "").strip()
        if not proxy:
            return None
        if "://" not in proxy:
            proxy = f"http://{proxy}"  # as curl reads it
        try:
            url = httpx2.URL(proxy)
        except httpx2.InvalidURL:
            url = httpx2.URL("")
        if url.scheme not in ("http", "https") or not url.host:
            raise InvalidValue(
                "{field}: the environment's proxy for {scheme} must look like http://proxy:3128",
                field="use_proxy",
                scheme=parts.scheme,
            )
        return proxy

    def ssl_context(self) -> ssl.SSLContext:
        """The TLS context for ``verify``. Raises OSError or ssl.SSLError for a CA bundle that cannot be read."""
        context = tls_context(self.base_url, self.verify if isinstance(self.verify, str) else None)
        if self.verify is False:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        return context


class TwsInstances:
    """The configured instances; may be empty."""

    def __init__(self, instances: Mapping[str, TwsInstance], default: str) -> None:
        self._instances = dict(instances)
        self._default = default

    @property
    def names(self) -> tuple[str, ...]:
        """Names in alphabetical order."""
        return tuple(sorted(self._instances))

    def get(self, name: str | None) -> TwsInstance:
        """The instance of that name, or the default one for None.

        Raises SourceError: ``not_configured``, or ``unknown_instance`` naming the known ones.
        """
        if not self._instances:
            raise SourceError(
                "no TWS instance is configured: set TWS_BASE_URL, or TWS_INSTANCES_FILE for several",
                reason=NOT_CONFIGURED,
            )
        instance = self._instances.get(name or self._default)
        if instance is None:
            raise SourceError(
                "unknown TWS instance {name!r}; known: {known}",
                name=name or self._default,
                known=", ".join(self.names),
                reason="unknown_instance",
            )
        return instance


def load_instances(settings: TwsSettings) -> TwsInstances:
    """The instances of the environment: ``TWS_INSTANCES_FILE``, ``TWS_BASE_URL`` or ``TWS_HOST``, or both.

    A single instance is the default one; of several, ``TWS_DEFAULT_INSTANCE`` is. Raises ConfigurationError naming the
    variable.
    """
    instances: dict[str, TwsInstance] = {}
    if settings.instances_file is not None:
        instances |= _from_file(settings.instances_file)
    if settings.base_url is not None or settings.host is not None:
        if settings.default_instance in instances:
            raise ConfigurationError(
                "TWS_INSTANCES_FILE ({path}): {name!r} is also the instance of TWS_BASE_URL or TWS_HOST; leave out "
                "one, or name that one otherwise with TWS_DEFAULT_INSTANCE",
                path=str(settings.instances_file),
                name=settings.default_instance,
            )
        instances[settings.default_instance] = _from_variables(settings)
    default = settings.default_instance
    if instances and default not in instances:
        if len(instances) > 1 and "default_instance" in settings.model_fields_set:
            raise ConfigurationError(
                "TWS_DEFAULT_INSTANCE: no instance {name!r}; known: {known}", name=default, known=", ".join(instances)
            )
        default = next(iter(instances))
    return TwsInstances(instances, default)


_VARIABLES = {
    "base_url": "TWS_BASE_URL",
    "host": "TWS_HOST",
    "port": "TWS_PORT",
    "user": "TWS_USER",
    "password": "TWS_PASSWORD",
    "token": "TWS_TOKEN",
    "auth_header": "TWS_AUTH_HEADER",
    "verify": "TWS_VERIFY",
    "use_proxy": "TWS_USE_PROXY",
}


def _from_variables(settings: TwsSettings) -> TwsInstance:
    if not _NAME.fullmatch(settings.default_instance):
        raise ConfigurationError("TWS_DEFAULT_INSTANCE: a name of letters, digits, '.', '_' and '-' is needed")
    values: dict[str, object] = {
        "name": settings.default_instance,
        "user": settings.user,
        "password": settings.password,
        "token": settings.token,
        "auth_header": settings.auth_header,
        "verify": settings.verify,
        "use_proxy": settings.use_proxy,
    }
    if settings.base_url is not None:
        values["base_url"] = settings.base_url
    else:
        values |= {"host": settings.host, "port": settings.port}
    try:
        return TwsInstance.model_validate(values)
    except ValidationError as error:
        raise ConfigurationError(with_names(describe(error), _VARIABLES)) from None


class _NamedTwice(Exception):
    """A name occurs twice in one JSON object; ``json`` would silently keep the last."""


def _named_once(pairs: list[tuple[str, object]]) -> dict[str, object]:
    values: dict[str, object] = {}
    for name, value in pairs:
        if name in values:
            raise _NamedTwice(name)
        values[name] = value
    return values


def _from_file(path: Path) -> dict[str, TwsInstance]:
    def wrong(problem: Message) -> ConfigurationError:
        return ConfigurationError("TWS_INSTANCES_FILE ({path}): {problem}", path=str(path), problem=problem)

    try:
        content = json.loads(path.read_text(encoding="utf-8-sig"), object_pairs_hook=_named_once)
    except OSError as error:
        raise wrong(Message("cannot be read ({detail})", detail=error.strerror)) from None
    except _NamedTwice as error:
        raise wrong(Message("{name!r} stands there twice", name=error.args[0])) from None
    except (ValueError, RecursionError):
        raise wrong(Message("is not JSON")) from None
    entries = content.get("instances", content) if isinstance(content, dict) else None
    if not isinstance(entries, dict) or not entries:
        raise wrong(Message("must be an object of instances by name"))
    instances = {}
    for name, entry in entries.items():
        if not _NAME.fullmatch(name) or not isinstance(entry, dict):
            raise wrong(Message("{name!r} must be a plain name with an object of settings", name=name))
        try:
            instances[name] = TwsInstance.model_validate({**entry, "name": name})
        except ValidationError as error:
            raise wrong(Message("{name}: {problem}", name=name, problem=describe(error))) from None
    return instances
