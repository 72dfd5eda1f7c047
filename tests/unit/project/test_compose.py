"""compose.yaml: valid by the compose specification, complete, and careful with secrets."""

from __future__ import annotations

import importlib
import importlib.resources
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from pydantic import AliasChoices

from orchestrator.broker.app import queue_names
from orchestrator.config import EnvironmentModel, RedisSettings
from orchestrator.secret_files import SECRETS_DIR

ROOT = Path(__file__).parents[3]
QUEUES = queue_names()
THIRD_PARTY_NAMES = {
    "flower": {"FLOWER_ADDRESS", "FLOWER_BASIC_AUTH", "FLOWER_READ_ONLY", "FLOWER_STATE_DIRECTORY"},
    "redis": {"REDIS_PASSWORD"},
}
OPENTELEMETRY = {"OTEL_EXPORTER_OTLP_ENDPOINT"}
SECRET = re.compile(r"PASSWORD|TOKEN|API_KEY|BASIC_AUTH|DATABASE_URL|LOG_CACHE_URL")


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    return yaml.safe_load((ROOT / "compose.yaml").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def services(compose: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return compose["services"]


@pytest.fixture(scope="module")
def schema() -> dict[str, Any]:
    vendored = importlib.resources.files("check_jsonschema") / "builtin_schemas" / "vendor" / "compose-spec.json"
    return json.loads(vendored.read_text(encoding="utf-8"))


def settings_groups() -> list[type[EnvironmentModel]]:
    """Every settings class of the project, wherever it stands."""
    for package in ("orchestrator", "workers"):
        for path in (ROOT / package).rglob("*.py"):
            if "(EnvironmentModel)" in path.read_text(encoding="utf-8"):
                importlib.import_module(".".join(path.relative_to(ROOT).with_suffix("").parts))
    subclasses = [*EnvironmentModel.__subclasses__(), *RedisSettings.__subclasses__()]
    return [group for group in subclasses if group.__module__.partition(".")[0] in {"orchestrator", "workers"}]


def settings_and_names() -> dict[str, set[str]]:
    """Each setting of the project, as ``Group.field``, with the environment names that it is read from."""
    variables: dict[str, set[str]] = {}
    for group in settings_groups():
        for field, info in group.model_fields.items():
            alias = info.validation_alias
            choices = alias.choices if isinstance(alias, AliasChoices) else [alias]
            variables[f"{group.__name__}.{field}"] = {str(choice) for choice in choices}
    return variables


def substitutions(value: object) -> Iterator[str]:
    """Every ``${...}`` in a string, list or mapping."""
    if isinstance(value, dict):
        for item in value.values():
            yield from substitutions(item)
    elif isinstance(value, list):
        for item in value:
            yield from substitutions(item)
    elif isinstance(value, str):
        yield from re.findall(r"(?<!\$)\$\{([^}]*)\}", value)


def test_compose_follows_the_specification(compose: dict[str, Any], schema: dict[str, Any]) -> None:
    """compose.yaml is valid by the compose specification's own schema."""
    validator = jsonschema.validators.validator_for(schema)(schema)
    assert [f"{'.'.join(map(str, error.path))}: {error.message}" for error in validator.iter_errors(compose)] == []


def test_the_schema_refuses_a_wrong_file(compose: dict[str, Any], schema: dict[str, Any]) -> None:
    """The check above can fail: a misspelt key of a service is refused."""
    wrong = compose | {"services": {"redis": {"image": "redis", "restrat": "always"}}}
    assert not jsonschema.validators.validator_for(schema)(schema).is_valid(wrong)


@pytest.mark.parametrize("queue", QUEUES)
def test_every_queue_has_a_worker(services: dict[str, dict[str, Any]], queue: str) -> None:
    """Each queue has one service of its name, whose worker takes that queue."""
    assert services[queue]["command"] == ["resync-troubleshoot", "worker", queue]


def test_no_service_beyond_the_processes_of_up(services: dict[str, dict[str, Any]]) -> None:
    """Redis, the six workers, the watchers and Flower, and nothing else."""
    assert set(services) == {"redis", "watcher", "flower", *QUEUES}


def test_two_watchers(services: dict[str, dict[str, Any]]) -> None:
    """Deadlines hold while one watcher restarts, so there are two."""
    assert services["watcher"]["command"] == ["python", "-m", "orchestrator.watcher"]
    assert services["watcher"]["deploy"]["replicas"] == 2


def test_every_environment_name_is_read_by_someone(services: dict[str, dict[str, Any]]) -> None:
    """No service is given a variable that no settings class, OpenTelemetry, Flower or Redis's start script reads."""
    ours = OPENTELEMETRY.union(*settings_and_names().values())
    for name, service in services.items():
        known = ours | THIRD_PARTY_NAMES.get(name, set())
        assert set(service["environment"]) <= known, name


def test_every_setting_can_be_set(services: dict[str, dict[str, Any]]) -> None:
    """Every setting reaches some service, under at least one of its names."""
    passed_on = {variable for service in services.values() for variable in service["environment"]}
    assert [setting for setting, names in settings_and_names().items() if not names & passed_on] == []


def test_every_process_is_given_the_common_settings(services: dict[str, dict[str, Any]]) -> None:
    """Settings that all processes read reach all of them: a limit or a mask in one of them alone would be none."""
    common = [names for setting, names in settings_and_names().items() if setting.startswith("Settings.")]
    for service in set(services) - {"redis"}:
        assert [names for names in common if not names & set(services[service]["environment"])] == [], service


def test_a_variable_is_passed_on_under_its_own_name(services: dict[str, dict[str, Any]]) -> None:
    """`TWS_HOST: ${TWS_HOST:-}` and never another name, which a copied line easily leaves behind."""
    for service in services.values():
        for variable, value in service["environment"].items():
            taken = {re.match(r"\w+", text)[0] for text in substitutions(value)}  # type: ignore[index]
            assert taken <= {variable}


def test_secrets_are_required_or_empty(compose: dict[str, Any]) -> None:
    """A secret has no default: it is required (`:?`) or empty (`:-`)."""
    secrets = [text for text in substitutions(compose) if SECRET.search(text)]
    in_files = "${RESYNC_SECRETS:?set "
    assert {
        f"REDIS_PASSWORD:-{in_files}REDIS_PASSWORD",
        f"FLOWER_BASIC_AUTH:-{in_files}FLOWER_BASIC_AUTH to user:password",
    } <= set(secrets)
    assert [text for text in secrets if not re.fullmatch(rf"\w+:-({re.escape(in_files)}.+)?", text)] == []


def test_secrets_can_be_files(services: dict[str, dict[str, Any]], schema: dict[str, Any]) -> None:
    """By the second file, no service is given a secret's value, and each reads the files of its own secrets."""
    override = yaml.safe_load((ROOT / "compose.secrets.yaml").read_text(encoding="utf-8"))
    assert jsonschema.validators.validator_for(schema)(schema).is_valid(override)
    assert set(override["services"]) == set(services)
    files = override["secrets"]
    assert files == {name: {"file": f"${{RESYNC_SECRETS}}/{name}"} for name in files}
    for name, service in override["services"].items():
        given = services[name]["environment"] | service["environment"]
        assert set(service["secrets"]) == {secret for secret in files if secret in given}, name
        assert all(given[secret] in {"", f"${{{secret}:-}}"} for secret in service["secrets"]), name
        if name == "redis":
            assert given["REDIS_PASSWORD_FILE"] == "/run/secrets/REDIS_PASSWORD"
        else:
            assert given[SECRETS_DIR] == "/run/secrets"


def test_no_secret_in_an_argument(services: dict[str, dict[str, Any]]) -> None:
    """Arguments show in process lists, so none takes a variable of the host."""
    for name, service in services.items():
        assert list(substitutions(service["command"])) == [], name


def test_a_secret_goes_only_where_it_is_used(services: dict[str, dict[str, Any]]) -> None:
    """The passwords of TWS, the metrics, the knowledge base and the model reach one service each."""
    owners = {
        "TWS_PASSWORD": "tws_status",
        "TWS_TOKEN": "tws_status",
        "RESYNC_METRICS_": "metrics",
        "RESYNC_EMBEDDING_": "rag_search",
        "LLM_": "synthesis",
    }
    for prefix, owner in owners.items():
        holders = {
            name
            for name, service in services.items()
            if any(item.startswith(prefix) for item in service["environment"])
        }
        assert holders == {owner}


def test_every_service_is_confined(services: dict[str, dict[str, Any]]) -> None:
    """Non-root, read-only root with a tmpfs, no capabilities, bounded, restarted, stopped with time to finish."""
    for name, service in services.items():
        assert service["user"] not in {"root", "0", "0:0"}, name
        assert service["read_only"] is True, name
        assert service["tmpfs"], name
        assert service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        assert service["restart"] == "unless-stopped", name
        assert service["stop_grace_period"] == "30s", name
        assert "privileged" not in service, name
        assert set(service["deploy"]["resources"]["limits"]) == {"cpus", "memory", "pids"}, name


def test_only_flower_is_published_and_only_here(services: dict[str, dict[str, Any]]) -> None:
    """Redis and the workers publish no port; Flower does, on the host's loopback."""
    published = {name: service["ports"] for name, service in services.items() if "ports" in service}
    assert set(published) == {"flower"}
    assert all(port.startswith("127.0.0.1:") for port in published["flower"])


def test_everything_waits_for_redis(services: dict[str, dict[str, Any]]) -> None:
    """Every process starts once Redis answers its health check."""
    assert "healthcheck" in services["redis"]
    for name in set(services) - {"redis"}:
        assert services[name]["depends_on"] == {"redis": {"condition": "service_healthy"}}, name


def test_every_service_is_asked_for_its_health(services: dict[str, dict[str, Any]]) -> None:
    """Each process of ours is asked on the port that it is told to listen on, Flower on its own."""
    for name in set(services) - {"redis"}:
        service = services[name]
        port = "5555/healthcheck" if name == "flower" else f"{service['environment']['RESYNC_HEALTH_PORT']}/readyz"
        assert f"'http://127.0.0.1:{port}'" in service["healthcheck"]["test"][-1], name


def test_every_setting_is_documented() -> None:
    """docs/configuration.md is what scripts/configuration.py writes of today's settings, and names every one."""
    page = ROOT / "docs" / "configuration.md"
    documented = set(re.findall(r"`([A-Z][A-Z_]+)`", page.read_text(encoding="utf-8")))
    assert [setting for setting, names in settings_and_names().items() if not names & documented] == []
    script = [sys.executable, str(ROOT / "scripts" / "configuration.py"), "--check"]
    assert subprocess.run(script, timeout=100, check=False).returncode == 0, "run: make docs"
