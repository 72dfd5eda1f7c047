"""Settings of the worker side, one model per counterpart.

The TWS and LLM settings have the names of the Resync app, with and without its ``APP_`` prefix.
"""

from pathlib import Path
from typing import Self
from urllib.parse import urlsplit

from pydantic import AliasChoices, Field, SecretStr, model_validator

from orchestrator.config import DEFAULT_KEY_PREFIX, DEFAULT_REDIS_URL, EnvironmentModel, RedisSettings
from orchestrator.errors import InvalidValue


def _names(*names: str) -> AliasChoices:
    return AliasChoices(*names, *(f"APP_{name}" for name in names))


def _check_url(variable: str, url: str | None) -> None:
    """Raise InvalidValue when ``url`` is not an HTTP URL; None is accepted."""
    if url is not None and not url.startswith(("http://", "https://")):
        raise InvalidValue("{variable} must start with http:// or https://", variable=variable)
    try:
        is_usable = url is None or (bool(urlsplit(url).hostname) and urlsplit(url).port != 0)
    except ValueError:  # an unclosed bracket, or a port that is no number up to 65535
        is_usable = False
    if not is_usable:
        raise InvalidValue("{variable} must name a host, and a port from 1 to 65535 if any", variable=variable)


class TwsSettings(EnvironmentModel):
    """Connection to HCL Workload Automation: one instance by these variables, or several by a JSON file."""

    base_url: str | None = Field(default=None, validation_alias=_names("TWS_BASE_URL"))
    """Address of the scheduler's REST API."""
    host: str | None = Field(default=None, validation_alias=_names("TWS_HOST"))
    """In place of `TWS_BASE_URL`: `https` on this host and `TWS_PORT`."""
    port: int = Field(default=31116, ge=1, le=65535, validation_alias=_names("TWS_PORT"))
    """Port for `TWS_HOST`."""
    user: str | None = Field(default=None, validation_alias=_names("TWS_USER", "TWS_USERNAME"))
    """User for basic authentication."""
    password: SecretStr | None = Field(default=None, validation_alias=_names("TWS_PASSWORD"))
    """Password for basic authentication."""
    token: SecretStr | None = Field(default=None, validation_alias=_names("TWS_TOKEN"))
    """Bearer token, in place of user and password."""
    auth_header: SecretStr | None = Field(default=None, validation_alias=_names("TWS_AUTH_HEADER"))
    """A header of the site's gateway, as `Name: value`."""
    verify: str = Field(default="true", validation_alias=_names("TWS_VERIFY"))
    """`true`, `false` or the path of a CA bundle."""
    instances_file: Path | None = Field(default=None, validation_alias=_names("TWS_INSTANCES_FILE"))
    """JSON file with several instances by name."""
    default_instance: str = Field(default="default", validation_alias=_names("TWS_DEFAULT_INSTANCE"))
    """The instance of a request that names none."""
    use_proxy: bool = Field(default=False, validation_alias=_names("TWS_USE_PROXY"))
    """Use the proxy that the environment names."""
    max_concurrent_calls: int = Field(default=16, ge=0, le=10_000, validation_alias="RESYNC_TWS_MAX_CONCURRENT_CALLS")
    """Requests to one instance at a time, over all workers; 0: any number. Shared by the runs."""

    @model_validator(mode="after")
    def _base_url_is_usable(self) -> Self:
        _check_url("TWS_BASE_URL", self.base_url)
        return self


class KnowledgeSettings(EnvironmentModel):
    """The knowledge base: an SQLite file (default) or the app's PostgreSQL."""

    path: Path | None = Field(default=None, validation_alias="RESYNC_KNOWLEDGE_PATH")
    """SQLite file; not set: the shipped runbooks, indexed at first use in the user's cache folder."""
    database_url: SecretStr | None = Field(default=None, validation_alias="RESYNC_KNOWLEDGE_DATABASE_URL")
    """PostgreSQL with pgvector: the Resync app's knowledge base, in place of the SQLite file."""
    collection: str = Field(default="knowledge_v1", validation_alias="RESYNC_KNOWLEDGE_COLLECTION")
    """Collection that is read in PostgreSQL."""
    embedding_endpoint: str | None = Field(default=None, validation_alias="RESYNC_EMBEDDING_ENDPOINT")
    """OpenAI-compatible API for embeddings; without it the search is full text alone."""
    embedding_model: str = Field(default="text-embedding-3-small", validation_alias="RESYNC_EMBEDDING_MODEL")
    """Model that the passages were embedded with."""
    embedding_api_key: SecretStr | None = Field(default=None, validation_alias="RESYNC_EMBEDDING_API_KEY")
    """Key of the embeddings API."""
    min_similarity: float = Field(default=0.3, ge=-1, le=1, validation_alias="RESYNC_EMBEDDING_MIN_SIMILARITY")
    """Cosine similarity from which a passage counts without a word in common; depends on the model."""

    @model_validator(mode="after")
    def _one_store_and_usable_addresses(self) -> Self:
        if self.path is not None and self.database_url is not None:
            raise InvalidValue("RESYNC_KNOWLEDGE_PATH and RESYNC_KNOWLEDGE_DATABASE_URL are both set; set one of them")
        _check_url("RESYNC_EMBEDDING_ENDPOINT", self.embedding_endpoint)
        if self.database_url is not None and not self.database_url.get_secret_value().startswith("postgres"):
            raise InvalidValue("RESYNC_KNOWLEDGE_DATABASE_URL must start with postgresql://")
        return self


class LogCacheSettings(RedisSettings):
    """The Redis of the Resync app's log cache, by default the broker's."""

    redis_url: str = Field(
        default=DEFAULT_REDIS_URL,
        validation_alias=AliasChoices("RESYNC_LOG_CACHE_URL", "REDIS_URL", "APP_REDIS_URL"),
    )
    """Redis of the app's log cache; not set: the broker's."""
    key_prefix: str = Field(default=DEFAULT_KEY_PREFIX, validation_alias="RESYNC_KEY_PREFIX")
    """Prefix of the project's own records."""
    entry_limit: int = Field(default=50, ge=1, le=1_000, validation_alias="RESYNC_LOG_CACHE_ENTRY_LIMIT")
    """Entries returned for a job."""
    max_records: int = Field(default=200, ge=1, le=5_000, validation_alias="RESYNC_LOG_CACHE_MAX_RECORDS")
    """Records kept for each job in the project's own cache."""
    retention_days: float = Field(default=90, gt=0, le=3_650, validation_alias="RESYNC_LOG_CACHE_RETENTION_DAYS")
    """Days for which records are kept."""
    feed_app: bool = Field(default=False, validation_alias="RESYNC_LOG_CACHE_FEED_APP")
    """Also fill the Resync app's own keys, where nobody else does."""


class MetricsSettings(EnvironmentModel):
    """Source of metrics: the Prometheus HTTP API, else a text endpoint such as the app's ``/metrics``."""

    prometheus_url: str | None = Field(default=None, validation_alias="RESYNC_PROMETHEUS_URL")
    """Prometheus' HTTP API."""
    text_url: str | None = Field(
        default=None, validation_alias=AliasChoices("RESYNC_METRICS_URL", "RESYNC_METRICS_TEXT_URL")
    )
    """Text endpoint such as the app's `/metrics`, where there is no Prometheus."""
    queries_file: Path | None = Field(default=None, validation_alias="RESYNC_METRICS_QUERIES_FILE")
    """File with the site's own queries."""
    token: SecretStr | None = Field(default=None, validation_alias="RESYNC_METRICS_TOKEN")
    """Bearer token for either address."""
    ca_bundle: Path | None = Field(default=None, validation_alias="RESYNC_METRICS_CA_BUNDLE")
    """Certificates to trust, in place of the system's."""

    @model_validator(mode="after")
    def _urls_are_usable(self) -> Self:
        _check_url("RESYNC_PROMETHEUS_URL", self.prometheus_url)
        _check_url("RESYNC_METRICS_URL", self.text_url)
        return self


class LlmSettings(EnvironmentModel):
    """The OpenAI-compatible model that refines the draft."""

    endpoint: str | None = Field(default=None, validation_alias=_names("LLM_ENDPOINT"))
    """OpenAI-compatible API."""
    api_key: SecretStr | None = Field(default=None, validation_alias=_names("LLM_API_KEY"))
    """Key of the API."""
    model: str | None = Field(default=None, validation_alias=_names("LLM_MODEL"))
    """Name of the model; not set: the diagnosis by rules is the answer."""
    fallback_model: str | None = Field(default=None, validation_alias=_names("LLM_FALLBACK_MODEL"))
    """Model that is asked when the first one fails."""
    timeout_seconds: float | None = Field(default=None, gt=0, validation_alias=_names("LLM_TIMEOUT"))
    """Seconds for one call; the run's remaining time bounds it all the same."""
    max_prompt_tokens: int = Field(default=6_000, ge=500, validation_alias="RESYNC_LLM_MAX_PROMPT_TOKENS")
    """Token budget of the evidence in a prompt."""
    max_answer_tokens: int = Field(default=1_500, ge=100, validation_alias="RESYNC_LLM_MAX_ANSWER_TOKENS")
    """Longest answer of the model, in tokens."""
    input_price_per_million: float | None = Field(
        default=None, ge=0, validation_alias="RESYNC_LLM_INPUT_PRICE_PER_MILLION"
    )
    """Price of a million prompt tokens, in the site's currency; with both prices a report holds the `cost`."""
    output_price_per_million: float | None = Field(
        default=None, ge=0, validation_alias="RESYNC_LLM_OUTPUT_PRICE_PER_MILLION"
    )
    """Price of a million answer tokens."""

    @model_validator(mode="after")
    def _endpoint_is_usable(self) -> Self:
        _check_url("LLM_ENDPOINT", self.endpoint)
        return self
