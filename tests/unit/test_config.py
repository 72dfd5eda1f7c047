"""Settings and ParallelConfig: defaults, order, and errors that name the field."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import ValidationError
from tls_support import Authority

from orchestrator.config import ParallelConfig, RedisSettings, Settings
from orchestrator.errors import ConfigurationError
from orchestrator.health import HealthSettings
from workers.config import KnowledgeSettings, LlmSettings, LogCacheSettings, MetricsSettings, TwsSettings


def test_the_seeds_defaults() -> None:
    """Without arguments the configuration is the seed's."""
    config = ParallelConfig()
    assert (config.node_timeout_seconds, config.total_timeout_seconds) == (5.0, 10.0)
    assert config.enable_tws_status
    assert config.enable_rag_search
    assert config.enable_log_cache
    assert config.enable_metrics
    assert (config.rag_result_limit, config.min_sources_required) == (5, 1)
    assert (config.reserve_seconds, config.fan_in_seconds) == (4.0, 6.0)


def test_a_short_total_keeps_its_reserve_in_proportion() -> None:
    """With two and four seconds, 1.6 s are kept for the answer and nothing is clipped."""
    config = ParallelConfig(node_timeout_seconds=2, total_timeout_seconds=4)
    assert config.fan_in_seconds == pytest.approx(2.4)
    assert config.limit_seconds("metrics") == 2
    assert config.notes == ()


def test_a_node_limit_beyond_the_fan_in_is_clipped_and_said() -> None:
    """A limit that reaches into the reserve is cut to the fan-in, in a note in words of options and fields alike."""
    config = ParallelConfig(
        node_timeout_seconds=3, total_timeout_seconds=4, source_timeout_seconds={"metrics": 3.5, "log_cache": 1}
    )
    assert config.limit_seconds("tws_status") == pytest.approx(2.4)
    assert config.limit_seconds("log_cache") == 1
    assert [str(note) for note in config.notes] == [
        "node timeout of 3 s was clipped to 2.4 s, the total timeout less the reserve",
        "source_timeout_seconds[metrics] of 3.5 s was clipped to 2.4 s, the total timeout less the reserve",
    ]


@pytest.mark.parametrize(
    ("fields", "named", "order"),
    [
        ({"node_timeout_seconds": 10}, "node_timeout_seconds", "node_timeout_seconds < total_timeout_seconds"),
        ({"synthesis_reserve_seconds": 10}, "synthesis_reserve_seconds", "< total_timeout_seconds"),
        ({"source_timeout_seconds": {"metrics": 20}}, "source_timeout_seconds['metrics']", "total_timeout_seconds"),
        ({"node_timeout_seconds": -1}, "node_timeout_seconds", "greater than 0"),
        ({"total_timeout_seconds": 0}, "total_timeout_seconds", "0.5"),
        ({"node_timeout_seconds": float("nan")}, "node_timeout_seconds", "finite"),
        ({"rag_result_limit": 0}, "rag_result_limit", "1"),
        ({"min_sources_required": -1}, "min_sources_required", "0"),
        ({"nodetimeout": 1}, "nodetimeout", "not permitted"),
    ],
)
def test_inconsistent_values_are_refused_by_name(fields: dict[str, object], named: str, order: str) -> None:
    """Each refusal names the field and what must hold."""
    with pytest.raises(ValidationError) as raised:
        ParallelConfig.model_validate(fields)
    assert named in str(raised.value)
    assert order in str(raised.value)


def test_sources_are_switched_off_by_field_or_by_name() -> None:
    """The seed's switches and the list of names both hold; a site's own source is on by default."""
    config = ParallelConfig(enable_metrics=False, disabled_sources=("log_cache",))
    enabled = {name: config.is_enabled(name) for name in ("tws_status", "metrics", "log_cache", "site_own")}
    assert enabled == {"tws_status": True, "metrics": False, "log_cache": False, "site_own": True}


def test_settings_read_the_apps_names() -> None:
    """REDIS_URL is read with and without the app's prefix; empty values count as unset; overrides win."""
    assert Settings.from_env({"APP_REDIS_URL": "redis://a:1/0"}).redis_url == "redis://a:1/0"
    assert Settings.from_env({"REDIS_URL": ""}).redis_url == "redis://127.0.0.1:6379/0"
    assert Settings.from_env({}, run_ttl_seconds=60).run_ttl_seconds == 60
    both = Settings.from_env(
        {"REDIS_URL": "redis://a:1/0", "APP_REDIS_URL": "redis://b:1/0"}, redis_url="redis://c:1/0"
    )
    assert both.redis_url == "redis://c:1/0"


def test_a_variable_with_the_name_of_a_field_is_not_read() -> None:
    """Only the documented variables count: ``port`` and ``token`` in an environment are somebody else's."""
    assert HealthSettings.from_env({"port": "80", "RESYNC_HEALTH_ADDRESS": "0.0.0.0"}).port is None
    assert MetricsSettings.from_env({"token": "somebody-elses"}).token is None
    assert Settings.from_env({"redis_url": "http://x"}).redis_url == "redis://127.0.0.1:6379/0"


@pytest.mark.parametrize(
    ("environ", "named"),
    [
        ({"REDIS_URL": "http://x"}, "REDIS_URL"),
        ({"REDIS_URL": "unix:///run/redis.sock"}, "REDIS_URL"),
        ({"REDIS_URL": "redis://:Segr/edo@h/0"}, "REDIS_URL"),
        ({"REDIS_URL": "redis://h:6379/zero"}, "REDIS_URL"),
        ({"REDIS_URL": "redis://h:6379/-1"}, "REDIS_URL"),
        ({"RESYNC_RUN_TTL_SECONDS": "5"}, "RESYNC_RUN_TTL_SECONDS"),
        ({"RESYNC_MAX_OPEN_RUNS": "many"}, "RESYNC_MAX_OPEN_RUNS"),
        ({"RESYNC_NODE_TIMEOUT_SECONDS": "20"}, "RESYNC_NODE_TIMEOUT_SECONDS"),
        ({"RESYNC_LOG_LEVEL": "LOUD"}, "RESYNC_LOG_LEVEL"),
    ],
)
def test_a_wrong_variable_is_named(environ: dict[str, str], named: str) -> None:
    """An error of the environment names the variable."""
    with pytest.raises(ConfigurationError, match=named):
        Settings.from_env(environ)


def test_an_error_never_repeats_a_value() -> None:
    """The value of a wrong variable may be a secret and stays out of the error."""
    with pytest.raises(ConfigurationError) as raised:
        Settings.from_env({"REDIS_URL": "htp://user:Segredo@host"})
    assert "Segredo" not in str(raised.value)
    with pytest.raises(ConfigurationError) as raised:
        Settings.from_env({"REDIS_URL": "redis://:Segr/edo@host/0"})
    assert "Segr" not in str(raised.value)


def test_worker_settings_read_the_apps_names() -> None:
    """TWS and model settings come under the app's names, with and without the prefix, and hide their secrets."""
    tws = TwsSettings.from_env({"APP_TWS_USERNAME": "op", "TWS_PASSWORD": "Segredo", "TWS_HOST": "h"})
    assert (tws.user, tws.host) == ("op", "h")
    assert "Segredo" not in repr(tws)
    llm = LlmSettings.from_env({"LLM_MODEL": "m", "APP_LLM_API_KEY": "Segredo", "LLM_TIMEOUT": "3"})
    assert (llm.model, llm.timeout_seconds) == ("m", 3.0)
    assert "Segredo" not in repr(llm)


def test_wrong_worker_settings_name_their_variable() -> None:
    """An address without a scheme names its variable."""
    with pytest.raises(ConfigurationError, match="TWS_BASE_URL"):
        TwsSettings.from_env({"TWS_BASE_URL": "host:31116"})
    with pytest.raises(ConfigurationError, match="RESYNC_PROMETHEUS_URL"):
        MetricsSettings.from_env({"RESYNC_PROMETHEUS_URL": "prom:9090"})


@pytest.mark.parametrize("address", ["http://", "http://[::1", "http://:9090/metrics", "http://h:x", "https://h:70000"])
def test_an_address_that_no_request_can_use_is_refused_at_the_start(address: str) -> None:
    """Without a host, or with a port that is none, it is the setting that is wrong, not each of the requests."""
    for settings, variable in (
        (TwsSettings, "TWS_BASE_URL"),
        (MetricsSettings, "RESYNC_PROMETHEUS_URL"),
        (MetricsSettings, "RESYNC_METRICS_URL"),
        (KnowledgeSettings, "RESYNC_EMBEDDING_ENDPOINT"),
        (LlmSettings, "LLM_ENDPOINT"),
    ):
        with pytest.raises(ConfigurationError, match=f"{variable} must name a host"):
            settings.from_env({variable: address})


def test_parallel_config_from_the_environment() -> None:
    """The run's defaults come from the environment and a caller's words win; an inconsistent mix is refused."""
    settings = Settings.from_env({"RESYNC_NODE_TIMEOUT_SECONDS": "3", "RESYNC_TOTAL_TIMEOUT_SECONDS": "8"})
    assert settings.parallel_config().total_timeout_seconds == 8
    assert settings.parallel_config(node_timeout_seconds=2).node_timeout_seconds == 2
    with pytest.raises(ConfigurationError, match="node_timeout_seconds"):
        settings.parallel_config(total_timeout_seconds=2)


def test_the_address_of_redis_is_completed_by_user_password_and_authority(tmp_path: Path) -> None:
    """Where the URL has none of its own, and for this Redis alone; a password is quoted."""

    def url_of(model: type[RedisSettings] = Settings, **variables: str) -> str:
        return model.from_env(variables).redis_url

    ca = Authority(tmp_path).ca_file
    both = {"REDIS_USERNAME": "worker", "REDIS_PASSWORD": "a/b@c:d"}
    assert url_of(**both) == "redis://worker:a%2Fb%40c%3Ad@127.0.0.1:6379/0"
    assert url_of(REDIS_URL="redis://h:1/2", REDIS_PASSWORD="p") == "redis://:p@h:1/2"
    assert url_of(REDIS_URL="redis://app@h:1/2", **both) == "redis://app:a%2Fb%40c%3Ad@h:1/2"
    assert url_of(REDIS_URL="redis://:own@h:1/2", **both) == "redis://:own@h:1/2"
    trusting = {"REDIS_URL": "rediss://h:1/2", "RESYNC_REDIS_CA_BUNDLE": str(ca)}
    assert url_of(**trusting) == f"rediss://h:1/2?ssl_ca_certs={ca}"
    assert url_of(**trusting | {"REDIS_URL": f"rediss://h/?ssl_ca_path={tmp_path}"}).count("ssl_") == 1
    assert url_of(LogCacheSettings, **trusting, **both) == f"rediss://worker:a%2Fb%40c%3Ad@h:1/2?ssl_ca_certs={ca}"
    another = {"RESYNC_LOG_CACHE_URL": "rediss://other:1/0"}
    assert url_of(LogCacheSettings, **trusting, **both, **another) == f"rediss://other:1/0?ssl_ca_certs={ca}"
    with pytest.raises(ConfigurationError, match=r"RESYNC_REDIS_CA_BUNDLE needs rediss://$"):
        url_of(RESYNC_REDIS_CA_BUNDLE=str(ca))
    with pytest.raises(ConfigurationError, match=r"^RESYNC_REDIS_CA_BUNDLE: ssl_ca_certs: /nowhere cannot be read$"):
        url_of(**trusting | {"RESYNC_REDIS_CA_BUNDLE": "/nowhere"})
