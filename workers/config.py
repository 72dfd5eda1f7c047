"""Settings of the worker side: one group a counterpart, each read from the environment once, at start.

The names of TWS and LLM settings are those the Resync app uses already, with and without its ``APP_`` prefix.
"""

from __future__ import annotations

from pathlib import Path
from typing import Self

from pydantic import AliasChoices, Field, SecretStr, model_validator

from orchestrator.config import DEFAULT_REDIS_URL, EnvironmentModel


def _names(*names: str) -> AliasChoices:
    return AliasChoices(*names, *(f"APP_{name}" for name in names))


class TwsSettings(EnvironmentModel):
    """How to reach HCL Workload Automation: one instance from these names, or several from a JSON file."""

    base_url: str | None = Field(default=None, validation_alias=_names("TWS_BASE_URL"))
    host: str | None = Field(default=None, validation_alias=_names("TWS_HOST"))
    port: int = Field(default=31116, ge=1, le=65535, validation_alias=_names("TWS_PORT"))
    user: str | None = Field(default=None, validation_alias=_names("TWS_USER", "TWS_USERNAME"))
    password: SecretStr | None = Field(default=None, validation_alias=_names("TWS_PASSWORD"))
    token: SecretStr | None = Field(default=None, validation_alias=_names("TWS_TOKEN"))
    auth_header: SecretStr | None = Field(default=None, validation_alias=_names("TWS_AUTH_HEADER"))
    """``Name: value``, for a site whose gateway asks for a header of its own."""
    verify: str = Field(default="true", validation_alias=_names("TWS_VERIFY"))
    """``true``, ``false`` or the path of a CA bundle."""
    instances_file: Path | None = Field(default=None, validation_alias=_names("TWS_INSTANCES_FILE"))
    default_instance: str = Field(default="default", validation_alias=_names("TWS_DEFAULT_INSTANCE"))
    use_proxy: bool = Field(default=False, validation_alias=_names("TWS_USE_PROXY"))

    @model_validator(mode="after")
    def _base_url_has_a_scheme(self) -> Self:
        if self.base_url is not None and not self.base_url.startswith(("http://", "https://")):
            raise ValueError("TWS_BASE_URL must start with http:// or https://")
        return self


class KnowledgeSettings(EnvironmentModel):
    """Where the knowledge base is: an SQLite file (embedded default) or the app's PostgreSQL."""

    path: Path | None = Field(default=None, validation_alias="RESYNC_KNOWLEDGE_PATH")
    """SQLite file; None: the index of the shipped runbooks, built on first use in the user's cache folder."""
    database_url: SecretStr | None = Field(default=None, validation_alias="RESYNC_KNOWLEDGE_DATABASE_URL")
    collection: str = Field(default="knowledge_v1", validation_alias="RESYNC_KNOWLEDGE_COLLECTION")
    embedding_endpoint: str | None = Field(default=None, validation_alias="RESYNC_EMBEDDING_ENDPOINT")
    embedding_model: str = Field(default="text-embedding-3-small", validation_alias="RESYNC_EMBEDDING_MODEL")
    embedding_api_key: SecretStr | None = Field(default=None, validation_alias="RESYNC_EMBEDDING_API_KEY")
    min_similarity: float = Field(default=0.3, ge=-1, le=1, validation_alias="RESYNC_EMBEDDING_MIN_SIMILARITY")
    """Cosine similarity from which a passage counts as relevant without a word in common; depends on the model."""

    @model_validator(mode="after")
    def _one_store_and_usable_addresses(self) -> Self:
        if self.path is not None and self.database_url is not None:
            raise ValueError("RESYNC_KNOWLEDGE_PATH and RESYNC_KNOWLEDGE_DATABASE_URL are both set; set one of them")
        endpoint = self.embedding_endpoint
        if endpoint is not None and not endpoint.startswith(("http://", "https://")):
            raise ValueError("RESYNC_EMBEDDING_ENDPOINT must start with http:// or https://")
        if self.database_url is not None and not self.database_url.get_secret_value().startswith("postgres"):
            raise ValueError("RESYNC_KNOWLEDGE_DATABASE_URL must start with postgresql://")
        return self


class LogCacheSettings(EnvironmentModel):
    """Where the Resync app's log cache is; the same Redis as the broker unless it says otherwise."""

    redis_url: str = Field(
        default=DEFAULT_REDIS_URL,
        validation_alias=AliasChoices("RESYNC_LOG_CACHE_URL", "REDIS_URL", "APP_REDIS_URL"),
    )
    key_prefix: str = Field(default="resync:troubleshoot:", validation_alias="RESYNC_KEY_PREFIX")
    entry_limit: int = Field(default=50, ge=1, le=1_000, validation_alias="RESYNC_LOG_CACHE_ENTRY_LIMIT")
    max_records: int = Field(default=200, ge=1, le=5_000, validation_alias="RESYNC_LOG_CACHE_MAX_RECORDS")
    """Records kept of one job in the project's own cache."""
    retention_days: float = Field(default=90, gt=0, le=3_650, validation_alias="RESYNC_LOG_CACHE_RETENTION_DAYS")
    feed_app: bool = Field(default=False, validation_alias="RESYNC_LOG_CACHE_FEED_APP")
    """Fill the Resync app's own keys of a job as well; for sites where nobody else does."""


class MetricsSettings(EnvironmentModel):
    """Where metrics come from: the Prometheus HTTP API, else a text endpoint such as the app's ``/metrics``."""

    prometheus_url: str | None = Field(default=None, validation_alias="RESYNC_PROMETHEUS_URL")
    text_url: str | None = Field(
        default=None, validation_alias=AliasChoices("RESYNC_METRICS_URL", "RESYNC_METRICS_TEXT_URL")
    )
    queries_file: Path | None = Field(default=None, validation_alias="RESYNC_METRICS_QUERIES_FILE")
    token: SecretStr | None = Field(default=None, validation_alias="RESYNC_METRICS_TOKEN")
    ca_bundle: Path | None = Field(default=None, validation_alias="RESYNC_METRICS_CA_BUNDLE")
    """Certificates to trust in place of the system's."""

    @model_validator(mode="after")
    def _urls_have_a_scheme(self) -> Self:
        for name, url in (("RESYNC_PROMETHEUS_URL", self.prometheus_url), ("RESYNC_METRICS_URL", self.text_url)):
            if url is not None and not url.startswith(("http://", "https://")):
                raise ValueError(f"{name} must start with http:// or https://")
        return self


class LlmSettings(EnvironmentModel):
    """The OpenAI-compatible model that refines the draft; without a model name there is none."""

    endpoint: str | None = Field(default=None, validation_alias=_names("LLM_ENDPOINT"))
    api_key: SecretStr | None = Field(default=None, validation_alias=_names("LLM_API_KEY"))
    model: str | None = Field(default=None, validation_alias=_names("LLM_MODEL"))
    fallback_model: str | None = Field(default=None, validation_alias=_names("LLM_FALLBACK_MODEL"))
    timeout_seconds: float | None = Field(default=None, gt=0, validation_alias=_names("LLM_TIMEOUT"))
    """Upper bound on one call; the run's remaining time bounds it all the same."""
    max_prompt_tokens: int = Field(default=6_000, ge=500, validation_alias="RESYNC_LLM_MAX_PROMPT_TOKENS")
    max_answer_tokens: int = Field(default=1_500, ge=100, validation_alias="RESYNC_LLM_MAX_ANSWER_TOKENS")
    input_price_per_million: float | None = Field(
        default=None, ge=0, validation_alias="RESYNC_LLM_INPUT_PRICE_PER_MILLION"
    )
    """Price of a million prompt tokens, in whatever currency the site counts; both prices give ``cost`` in a report."""
    output_price_per_million: float | None = Field(
        default=None, ge=0, validation_alias="RESYNC_LLM_OUTPUT_PRICE_PER_MILLION"
    )

    @model_validator(mode="after")
    def _endpoint_has_a_scheme(self) -> Self:
        if self.endpoint is not None and not self.endpoint.startswith(("http://", "https://")):
            raise ValueError("LLM_ENDPOINT must start with http:// or https://")
        return self
