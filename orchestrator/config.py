"""Settings of clients, workers and watchers, and the ``ParallelConfig`` of a run.

The environment is read by ``from_env``, never at import.
"""

import os
import re
from collections.abc import Collection, Iterator, Mapping
from typing import Any, Final, Literal, Self, TypeVar
from urllib.parse import parse_qsl, quote, urlsplit

from pydantic import (
    AliasChoices,
    BaseModel,
    ConfigDict,
    Field,
    SecretStr,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)

from orchestrator.errors import ConfigurationError, InvalidValue
from orchestrator.i18n.message import Message
from orchestrator.secret_files import read_variables
from orchestrator.validation import describe

DEFAULT_REDIS_URL = "redis://127.0.0.1:6379/0"
DEFAULT_KEY_PREFIX = "resync:troubleshoot:"
DEFAULT_NODE_TIMEOUT_SECONDS = 5.0
DEFAULT_TOTAL_TIMEOUT_SECONDS = 10.0
MAX_TOTAL_TIMEOUT_SECONDS = 900
MAX_ITEMS = 1_000
"""Most items of a list, and fields of an object, that are looked at in what people and apps write."""
MAX_ITEMS_TOGETHER = 2 * MAX_ITEMS
"""The same of all lists and objects together: their wrong items would be thousands of errors all the same."""
MAX_SOURCES = 64
"""Most sources that a run's configuration names."""
SOURCE_NAME = r"^[a-z][a-z0-9_]{0,31}$"
"""Pattern of the name of a source."""
_NESTED = 2
"""Levels of objects in a request: its own fields, those of ``config`` and ``entities``."""

STORED: Final = {"stored": True}
"""Validation context of objects read from the store, which another version may have written."""


_Names = TypeVar("_Names", bound=Collection[str])


class InputModel(BaseModel):
    """Base of the models that people and apps write: unknown fields are refused, as typing errors.

    With the context ``STORED`` they are ignored at every level, as the fields of a newer version. Lists and objects of
    more than ``MAX_ITEMS`` are refused before any of their items is looked at: each wrong one makes an error.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    @model_validator(mode="before")
    @classmethod
    def _ignore_newer_fields(cls, data: Any, info: ValidationInfo) -> Any:
        if info.context is STORED and isinstance(data, dict):
            return {name: value for name, value in data.items() if name in cls.model_fields}
        sizes = list(_sizes(data, "", _NESTED))
        limited = [(*size, MAX_ITEMS) for size in sizes]
        limited.append(("", sum(count for _, count in sizes), MAX_ITEMS_TOGETHER))
        for field, count, limit in limited:
            if count > limit:
                raise InvalidValue(
                    "{field}: {count} items are given, and {limit} at most are read",
                    field=field or cls.__name__,
                    count=count,
                    limit=limit,
                )
        return data


def _sizes(value: object, field: str, levels: int) -> Iterator[tuple[str, int]]:
    """The name of each list and object in ``value``, and how many items it has; not those in one of more than
    ``MAX_ITEMS``.
    """
    if isinstance(value, Collection) and not isinstance(value, str | bytes | bytearray):
        yield field, len(value)
        if isinstance(value, Mapping) and levels > 0 and len(value) <= MAX_ITEMS:
            for name, item in value.items():
                yield from _sizes(item, f"{field}.{name}" if field else str(name), levels - 1)


class ParallelConfig(InputModel):
    """Limits and switches of one run, in seconds.

    Required: ``0 < node_timeout_seconds < total_timeout_seconds``. The fan-in is at total less reserve; a limit
    beyond it is clipped to it, which ``notes`` reports::

        ParallelConfig(node_timeout_seconds=2, total_timeout_seconds=5, disabled_sources=("metrics",))
    """

    model_config = ConfigDict(allow_inf_nan=False)

    node_timeout_seconds: float = Field(default=DEFAULT_NODE_TIMEOUT_SECONDS, gt=0, le=600)
    """Seconds for each source (its soft time limit)."""
    total_timeout_seconds: float = Field(default=DEFAULT_TOTAL_TIMEOUT_SECONDS, ge=0.5, le=MAX_TOTAL_TIMEOUT_SECONDS)
    """Seconds from the submit to the answer."""
    enable_tws_status: bool = True
    """Query TWS."""
    enable_rag_search: bool = True
    """Search the knowledge base."""
    enable_log_cache: bool = True
    """Read the log cache."""
    enable_metrics: bool = True
    """Read the metrics."""
    rag_result_limit: int = Field(default=5, ge=1, le=50)
    """Passages queried from the knowledge base."""
    min_sources_required: int = Field(default=1, ge=0, le=64)
    """Sources that must answer, or the run has failed, as it has in any case when none answers."""
    synthesis_reserve_seconds: float | None = Field(default=None, ge=0)
    """Seconds kept for the answer; not set: `min(4, 0.4 x total_timeout_seconds)`."""
    source_timeout_seconds: dict[str, float] = {}
    """Seconds by source name, where they differ from `node_timeout_seconds`."""
    disabled_sources: tuple[str, ...] = ()
    """Names of sources to leave out, a site's own among them."""

    @field_validator("source_timeout_seconds", "disabled_sources")
    @classmethod
    def _names_are_sources(cls, value: _Names, info: ValidationInfo) -> _Names:
        if info.context is STORED:
            return value
        if len(value) > MAX_SOURCES:
            raise InvalidValue(
                "{count} sources are named, and {limit} at most are read", count=len(value), limit=MAX_SOURCES
            )
        for name in value:
            if not re.fullmatch(SOURCE_NAME, name):
                raise InvalidValue(
                    "{name!r} is not the name of a source: small letters, digits and '_', beginning with a letter",
                    name=name[:80],
                )
        return value

    @model_validator(mode="after")
    def _limits_are_ordered(self) -> Self:
        node, total = self.node_timeout_seconds, self.total_timeout_seconds
        if node >= total:
            raise InvalidValue(
                "{field} ({value}) must be less than {other_field} ({other_value}): 0 < {field} < {other_field}",
                field="node_timeout_seconds",
                value=f"{node:g}",
                other_field="total_timeout_seconds",
                other_value=f"{total:g}",
            )
        reserve = self.synthesis_reserve_seconds
        if reserve is not None and reserve >= total:
            raise InvalidValue(
                "{field} ({value}) must be less than {other_field} ({other_value}): 0 <= {field} < {other_field}",
                field="synthesis_reserve_seconds",
                value=f"{reserve:g}",
                other_field="total_timeout_seconds",
                other_value=f"{total:g}",
            )
        for source, limit in self.source_timeout_seconds.items():
            if not 0 < limit < total:
                raise InvalidValue(
                    "{field} ({value}) must be between 0 and {other_field} ({other_value})",
                    field=f"source_timeout_seconds[{source!r}]",
                    value=f"{limit:g}",
                    other_field="total_timeout_seconds",
                    other_value=f"{total:g}",
                )
        return self

    @property
    def reserve_seconds(self) -> float:
        """Seconds reserved for the answer: as set, else min(4, 0.4 x total)."""
        if self.synthesis_reserve_seconds is not None:
            return self.synthesis_reserve_seconds
        return min(4.0, 0.4 * self.total_timeout_seconds)

    @property
    def fan_in_seconds(self) -> float:
        """Seconds from the submit to the fan-in, the end of the sources' time."""
        return self.total_timeout_seconds - self.reserve_seconds

    def limit_seconds(self, source: str) -> float:
        """Soft time limit of a source in seconds: its own or the node timeout, at most to the fan-in."""
        return min(self.source_timeout_seconds.get(source, self.node_timeout_seconds), self.fan_in_seconds)

    def is_enabled(self, source: str) -> bool:
        """Whether the source is enabled and not disabled by name."""
        return source not in self.disabled_sources and bool(getattr(self, f"enable_{source}", True))

    @property
    def notes(self) -> tuple[Message, ...]:
        """The limits that were clipped to the fan-in, for the event ``routed`` and the report.

        In words that options, variables and fields share, since whoever reads a note may have set any of them.
        """
        limits: list[tuple[Message | str, float]] = [(Message("node timeout"), self.node_timeout_seconds)]
        limits += [(f"source_timeout_seconds[{name}]", limit) for name, limit in self.source_timeout_seconds.items()]
        return tuple(
            Message(
                "{name} of {limit:g} s was clipped to {seconds:g} s, the total timeout less the reserve",
                name=name,
                limit=limit,
                seconds=self.fan_in_seconds,
            )
            for name, limit in limits
            if limit > self.fan_in_seconds
        )


class EnvironmentModel(BaseModel):
    """Base of settings; each field is read from the environment variables in its alias."""

    model_config = ConfigDict(frozen=True, extra="ignore", populate_by_name=True)

    @classmethod
    def from_env(cls, environ: Mapping[str, str] | None = None, **overrides: Any) -> Self:
        """The settings in ``environ``, by default the process's environment; ``overrides`` by field name win.

        Those that are secret, or any, may be files (``orchestrator.secret_files``). Empty variables count as not set.

        Raises ConfigurationError naming the variable and its problem.
        """
        names = [
            name for field in cls.model_fields if field not in overrides for name in _environment_names(cls, field)
        ]
        variables = read_variables(names, os.environ if environ is None else environ)
        try:
            return cls.model_validate(variables | overrides)
        except ValidationError as error:
            raise ConfigurationError(describe(error)) from None


def _environment_names(model: type[BaseModel], field: str) -> list[str]:
    alias = model.model_fields[field].validation_alias
    if isinstance(alias, AliasChoices):
        return [choice for choice in alias.choices if isinstance(choice, str)]
    return [alias] if isinstance(alias, str) else []


MAX_TTL_SECONDS = 31_536_000
"""A year: ``common.lua`` takes no more than ten."""
CANCELLED_TTL_SECONDS = 3_600
"""Seconds for which a cancelled run is kept by default."""


class MaskingSettings(EnvironmentModel):
    """What is masked, for commands that need no broker."""

    redact_personal: bool = Field(default=False, validation_alias="RESYNC_REDACT_PERSONAL_DATA")


class RedisSettings(EnvironmentModel):
    """Where the broker and the store are, who asks them, and who is trusted to be them.

    ``redis_url`` has all of it once the settings are read.
    """

    redis_username: str | None = Field(default=None, validation_alias="REDIS_USERNAME")
    """User for a `REDIS_URL` without one; not set: Redis's user `default`."""
    redis_password: SecretStr | None = Field(default=None, validation_alias="REDIS_PASSWORD")
    """Password for a `REDIS_URL` without one; as it is, with nothing quoted."""
    redis_ca_bundle: str | None = Field(default=None, validation_alias="RESYNC_REDIS_CA_BUNDLE")
    """File of the authorities to trust for `rediss://`, in place of the system's; those that the URL names win."""
    redis_url: str = Field(default=DEFAULT_REDIS_URL, validation_alias=AliasChoices("REDIS_URL", "APP_REDIS_URL"))
    """Broker and store: `redis://`, `rediss://` for [TLS](operations.md#redis-over-tls), or `redis+sentinel://` and
    `rediss+sentinel://` for [Sentinel](operations.md#redis-sentinel)."""

    @field_validator("redis_ca_bundle")
    @classmethod
    def _ca_bundle_is_usable(cls, value: str | None) -> str | None:
        from orchestrator.tls import check_tls, with_ca_bundle  # noqa: PLC0415  # --help does without ssl

        if value is not None:
            check_tls(with_ca_bundle("rediss://", value))
        return value

    @model_validator(mode="before")
    @classmethod
    def _complete_url(cls, data: Any) -> Any:
        from orchestrator.tls import with_ca_bundle  # noqa: PLC0415

        user, password, path = (
            data.get(name) for name in ("REDIS_USERNAME", "REDIS_PASSWORD", "RESYNC_REDIS_CA_BUNDLE")
        )
        if password is None and path is None:
            return data
        names = _environment_names(cls, "redis_url")
        name = next((name for name in ("redis_url", *names) if name in data), names[-1])
        url = data.get(name, DEFAULT_REDIS_URL)
        # Another Redis, such as that of the log cache, is not told the password of this one.
        if password is not None and name in ("redis_url", *_environment_names(RedisSettings, "redis_url")):
            url = _with_credentials(url, user or "", password)
        return {**data, name: url if path is None else with_ca_bundle(url, path)}


def _with_credentials(url: str, user: str, password: str) -> str:
    """The URL with a password where it has none, and with a user where it has no password."""
    scheme, mark, rest = url.partition("://")
    address, slash, path = rest.partition("/")
    own, _, hosts = address.rpartition("@")
    if not mark or ":" in own:
        return url
    return f"{scheme}{mark}{own or quote(user, safe='')}:{quote(password, safe='')}@{hosts}{slash}{path}"


class Settings(RedisSettings):
    """How long things are kept, and the limits of a run where the request sets none."""

    key_prefix: str = Field(default=DEFAULT_KEY_PREFIX, validation_alias="RESYNC_KEY_PREFIX")
    """Prefix of every key and queue; two installations can share one Redis."""
    run_ttl_seconds: int = Field(default=86_400, ge=60, validation_alias="RESYNC_RUN_TTL_SECONDS")
    """Seconds for which a run can be read after its submit, and after its end where it is complete."""
    complete_ttl_seconds: int | None = Field(
        default=None, ge=60, le=MAX_TTL_SECONDS, validation_alias="RESYNC_RUN_TTL_COMPLETE_SECONDS"
    )
    """Seconds for which a complete run is kept after its end; unset: `RESYNC_RUN_TTL_SECONDS`."""
    partial_ttl_seconds: int | None = Field(
        default=None, ge=60, le=MAX_TTL_SECONDS, validation_alias="RESYNC_RUN_TTL_PARTIAL_SECONDS"
    )
    """The same for a partial one; unset: three times `RESYNC_RUN_TTL_SECONDS`."""
    failed_ttl_seconds: int | None = Field(
        default=None, ge=60, le=MAX_TTL_SECONDS, validation_alias="RESYNC_RUN_TTL_FAILED_SECONDS"
    )
    """The same for a failed one; unset: three times `RESYNC_RUN_TTL_SECONDS`."""
    timed_out_ttl_seconds: int | None = Field(
        default=None, ge=60, le=MAX_TTL_SECONDS, validation_alias="RESYNC_RUN_TTL_TIMED_OUT_SECONDS"
    )
    """The same for one that timed out; unset: three times `RESYNC_RUN_TTL_SECONDS`."""
    cancelled_ttl_seconds: int | None = Field(
        default=None, ge=60, le=MAX_TTL_SECONDS, validation_alias="RESYNC_RUN_TTL_CANCELLED_SECONDS"
    )
    """The same for a cancelled one; unset: an hour, or `RESYNC_RUN_TTL_SECONDS` where that is less."""
    pack_after_seconds: float = Field(default=10, ge=0, le=86_400, validation_alias="RESYNC_PACK_AFTER_SECONDS")
    """Seconds after its end at which a watcher compresses a run, to a fifth of its memory; 0: never."""
    max_open_runs: int = Field(default=1_000, ge=1, validation_alias="RESYNC_MAX_OPEN_RUNS")
    """Open runs beyond which a submit is refused as `overloaded`."""
    requests_per_minute: int = Field(default=0, ge=0, le=1_000_000, validation_alias="RESYNC_REQUESTS_PER_MINUTE")
    """Requests of one caller to the [HTTP API](web.md#limits) in a minute, over all processes; 0: no limit."""
    redis_timeout_seconds: float = Field(default=0.5, gt=0, le=30, validation_alias="RESYNC_REDIS_TIMEOUT_SECONDS")
    """Seconds for one call to the store."""
    node_timeout_seconds: float = Field(
        default=DEFAULT_NODE_TIMEOUT_SECONDS, gt=0, validation_alias="RESYNC_NODE_TIMEOUT_SECONDS"
    )
    """Seconds for one source, where the request sets none."""
    total_timeout_seconds: float = Field(
        default=DEFAULT_TOTAL_TIMEOUT_SECONDS, gt=0, validation_alias="RESYNC_TOTAL_TIMEOUT_SECONDS"
    )
    """Seconds for a whole run, where the request sets none; more than the node timeout."""
    log_level: str = Field(default="INFO", validation_alias="RESYNC_LOG_LEVEL")
    """`DEBUG`, `INFO`, `WARNING` or `ERROR`."""
    log_format: Literal["text", "json"] = Field(default="text", validation_alias="RESYNC_LOG_FORMAT")
    """`text`, or `json`: one JSON object a line, for what [collects logs](logs.md)."""
    pipelines_file: str | None = Field(default=None, validation_alias="RESYNC_PIPELINES_FILE")
    """File of the site's [pipelines](pipelines.md): for workers of `orchestrator`; an app refuses wrong names by it."""
    redact_personal: bool = Field(default=False, validation_alias="RESYNC_REDACT_PERSONAL_DATA")
    """Mask e-mail addresses, CPF and CNPJ numbers as well as secrets."""

    @property
    def ttl_by_outcome(self) -> dict[str, int]:
        """Of each outcome of a run the seconds for which it is kept after its end."""
        seconds = self.run_ttl_seconds
        return {
            "complete": self.complete_ttl_seconds or seconds,
            "partial": self.partial_ttl_seconds or 3 * seconds,
            "failed": self.failed_ttl_seconds or 3 * seconds,
            "timed_out": self.timed_out_ttl_seconds or 3 * seconds,
            "cancelled": self.cancelled_ttl_seconds or min(CANCELLED_TTL_SECONDS, seconds),
        }

    @field_validator("redis_url")
    @classmethod
    def _url_is_redis(cls, value: str, info: ValidationInfo) -> str:
        if re.match(r"[a-z+-]*cluster[a-z+-]*://", value):
            raise InvalidValue("Redis Cluster is not supported: the keys of a run would be in different slots")
        # --help and usage errors do without redis and ssl
        from redis.connection import parse_url  # noqa: PLC0415

        from orchestrator.sentinel import FORM, is_sentinel, parse_sentinel  # noqa: PLC0415
        from orchestrator.tls import check_tls, without_tls_options  # noqa: PLC0415

        given = value
        if re.match(r"[a-z+-]*sentinel[a-z+-]*://", value):
            if not is_sentinel(value):
                raise InvalidValue("cannot be read as {form}", form=FORM)
            _, value, _ = parse_sentinel(value)
        # kombu and redis-py write Unix sockets differently, so no such URL serves both broker and store.
        if not value.startswith(("redis://", "rediss://")):
            choices = "redis://, rediss://, redis+sentinel://"
            raise InvalidValue("must start with {choices} or {last}", choices=choices, last="rediss+sentinel://")
        address = without_tls_options(value)
        try:
            host = parse_url(address).get("host", "")  # type: ignore[no-untyped-call]  # redis-py leaves it untyped
            # redis-py takes a database that is no number for 0, and Celery fails at the first message.
            is_one = not set(host) & set(",;") and bool(re.fullmatch(r"/?|/[0-9]+", urlsplit(address).path))
        except ValueError:
            is_one = False
        if not is_one:
            # The parser's message quotes a part of the URL, which may be a part of the password.
            raise InvalidValue(
                "cannot be read as redis://[[user]:password@]host[:port][/database]; "
                "write '/', '@', ':' and '#' of a password as %2F, %40, %3A and %23"
            )
        # kombu and redis-py know different ones.
        for name, _ in parse_qsl(urlsplit(address).query, keep_blank_values=True):
            raise InvalidValue("the parameter {parameter!r} is not known", parameter=name)
        if value.startswith("redis://") and info.data.get("redis_ca_bundle") is not None:
            raise InvalidValue("{parameter} needs {scheme}", parameter="RESYNC_REDIS_CA_BUNDLE", scheme="rediss://")
        if "redis_ca_bundle" in info.data:  # else it is what is wrong
            check_tls(value)
        return given

    @field_validator("log_level")
    @classmethod
    def _level_is_known(cls, value: str) -> str:
        if value.upper() not in {"DEBUG", "INFO", "WARNING", "ERROR"}:
            raise InvalidValue("must be {choices} or {last}", choices="DEBUG, INFO, WARNING", last="ERROR")
        return value.upper()

    @field_validator("log_format", mode="before")
    @classmethod
    def _format_is_known(cls, value: Any) -> Any:
        if str(value).lower() not in {"text", "json"}:
            raise InvalidValue("must be {choices} or {last}", choices="text", last="json")
        return str(value).lower()

    @model_validator(mode="after")
    def _timeouts_are_ordered(self) -> Self:
        if self.node_timeout_seconds >= self.total_timeout_seconds:
            raise InvalidValue(
                "{field} ({value}) must be less than {other_field} ({other_value})",
                field="RESYNC_NODE_TIMEOUT_SECONDS",
                value=f"{self.node_timeout_seconds:g}",
                other_field="RESYNC_TOTAL_TIMEOUT_SECONDS",
                other_value=f"{self.total_timeout_seconds:g}",
            )
        return self

    def parallel_config(self, **overrides: Any) -> ParallelConfig:
        """A run's configuration with the timeouts of these settings; ``overrides`` by field name win.

        Raises ConfigurationError naming the field.
        """
        defaults = {
            "node_timeout_seconds": self.node_timeout_seconds,
            "total_timeout_seconds": self.total_timeout_seconds,
        }
        try:
            return ParallelConfig.model_validate(defaults | overrides)
        except ValidationError as error:
            raise ConfigurationError(describe(error)) from None
