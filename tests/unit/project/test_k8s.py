"""The Kubernetes manifests: valid, complete, confined, and scaled by what the watchers publish of each queue."""

from __future__ import annotations

import importlib
import json
import os
import re
import shutil
import subprocess
from copy import deepcopy
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from kustomize_support import MERGE_KEYS, build

from orchestrator.broker.app import queue_names
from orchestrator.config import DEFAULT_TOTAL_TIMEOUT_SECONDS
from orchestrator.monitoring import PREFIX, QUEUE_GAUGES
from orchestrator.secret_files import SECRETS_DIR

ROOT = Path(__file__).parents[3]
FOLDER = ROOT / "ops" / "k8s"
OVERLAYS = ("development", "production")
CUSTOM = {"ScaledObject", "PodMonitor"}
NAMES = {queue: f"worker-{queue.replace('_', '-')}" for queue in queue_names()}
"""Deployments of the queues: Kubernetes takes no underscore."""
PROCESSES = (*NAMES.values(), "watcher", "flower")


@cache
def objects(overlay: str = "production") -> dict[tuple[str, str], dict[str, Any]]:
    """The objects of an overlay by kind and name."""
    items = build(FOLDER / "overlays" / overlay)
    by_name = {(item["kind"], item["metadata"]["name"]): item for item in items}
    assert len(by_name) == len(items)
    return by_name


def named(kind: str, overlay: str = "production") -> dict[str, dict[str, Any]]:
    """The specs of the objects of one kind, by name."""
    return {name: item["spec"] for (its_kind, name), item in objects(overlay).items() if its_kind == kind}


def pods(overlay: str = "production") -> dict[str, dict[str, Any]]:
    """The specs of the pods of an overlay."""
    owners = named("Deployment", overlay) | named("StatefulSet", overlay)
    return {name: spec["template"]["spec"] for name, spec in owners.items()}


def pod_labels() -> dict[str, dict[str, str]]:
    """The labels of the pods."""
    owners = named("Deployment") | named("StatefulSet")
    return {name: spec["template"]["metadata"]["labels"] for name, spec in owners.items()}


def selected(selector: dict[str, str]) -> set[str]:
    """The owners of the pods with these labels."""
    return {name for name, labels in pod_labels().items() if selector.items() <= labels.items()}


def in_order(value: Any, field: str = "") -> Any:
    """The same, with those lists sorted whose order says nothing."""
    if isinstance(value, dict):
        return {key: in_order(item, key) for key, item in sorted(value.items())}
    if isinstance(value, list):
        items = [in_order(item) for item in value]
        return sorted(items, key=json.dumps) if field in MERGE_KEYS else items
    return value


def check_by_kubectl(folder: Path) -> None:
    """What kubectl builds of a folder is what the tests build of it."""
    kubectl = shutil.which("kubectl")
    if kubectl is None:
        pytest.skip("kubectl is not installed, and Debian's is too old")
    command = [kubectl, "kustomize", str(folder)]
    built = subprocess.run(command, capture_output=True, text=True, timeout=100, check=True).stdout
    found = {(item["kind"], item["metadata"]["name"]): in_order(item) for item in yaml.safe_load_all(built)}
    assert found == {(item["kind"], item["metadata"]["name"]): in_order(item) for item in build(folder)}


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_kustomize_builds_what_the_tests_read(overlay: str) -> None:
    """What kubectl makes of an overlay is what the other tests look at."""
    check_by_kubectl(FOLDER / "overlays" / overlay)


def test_each_process_can_have_its_user_of_redis(tmp_path: Path) -> None:
    """With the component, each pod has the user of its role and no other's password; Redis has the file of users."""
    parts = {name: os.path.relpath(FOLDER / name, tmp_path.resolve()) for name in ("base", "components")}
    components = [f"{parts['components']}/{name}" for name in ("redis", "redis-users", "monitoring")]
    text = yaml.safe_dump({"resources": [parts["base"]], "components": components})
    (tmp_path / "kustomization.yaml").write_text(text, encoding="utf-8")
    users = set(re.findall(r"^user (\w+) on", (ROOT / "ops" / "redis" / "users.acl").read_text("utf-8"), re.MULTILINE))
    for item in build(tmp_path):
        if item["kind"] not in {"Deployment", "StatefulSet"}:
            continue
        name, spec = item["metadata"]["name"], item["spec"]["template"]["spec"]
        (container,) = spec["containers"]
        if name == "redis":
            assert container["command"][2:] == ["--aclfile", "/run/secrets/redis/users.acl"]
            continue
        env = {variable.pop("name"): variable for variable in container["env"]}
        user = env["REDIS_USERNAME"]["value"]
        assert user == name.partition("-")[0]
        assert user in users
        key = {"name": "resync-troubleshoot-redis-users", "key": user}
        assert env["REDIS_PASSWORD"] == {"valueFrom": {"secretKeyRef": key}}
    check_by_kubectl(tmp_path)


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_the_manifests_follow_the_kubernetes_schemas(overlay: str) -> None:
    """Every object is valid by Kubernetes' own schemas, unknown fields refused."""
    try:
        # 108 MB of schemas: installed by CI, and by whoever changes the manifests.
        kubernetes_validate = importlib.import_module("kubernetes_validate")
    except ModuleNotFoundError:
        if os.environ.get("CI"):
            pytest.fail("kubernetes-validate is missing in CI")
        pytest.skip("kubernetes-validate is not installed")
    for (kind, _), item in objects(overlay).items():
        if kind not in CUSTOM:
            kubernetes_validate.validate(item, "1.32", strict=True)
    wrong = deepcopy(objects()["Deployment", "watcher"])
    wrong["spec"]["replicaz"] = 2
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(wrong, "1.32", strict=True)


def test_the_deployments_are_the_processes() -> None:
    """One Deployment for each queue, the watchers' and Flower's, each in a file of its name, and Redis."""
    for overlay in OVERLAYS:
        assert set(named("Deployment", overlay)) == set(PROCESSES)
        assert set(named("StatefulSet", overlay)) == {"redis"}
    assert {name.removeprefix("worker-") for name in PROCESSES} <= {path.stem for path in (FOLDER / "base").iterdir()}


@pytest.mark.parametrize("queue", queue_names())
def test_a_worker_takes_its_queue(queue: str) -> None:
    """The Deployment of a queue starts a worker of that queue, and leaves the number of workers to whoever scales."""
    (container,) = pods()[NAMES[queue]]["containers"]
    assert container["args"] == ["resync-troubleshoot", "worker", queue]
    assert "replicas" not in named("Deployment")[NAMES[queue]]


def test_a_watcher_is_always_there() -> None:
    """Two watchers, and a drained node takes away one of them at a time."""
    assert named("Deployment")["watcher"]["replicas"] == 2
    assert named("PodDisruptionBudget")["watcher"]["minAvailable"] == 1


def test_selectors_select_their_own_pods() -> None:
    """Each selector matches the labels of its own pods and of no others; each has a budget of disruptions."""
    for kind in ("Deployment", "StatefulSet", "PodDisruptionBudget"):
        for name, spec in named(kind).items():
            assert selected(spec["selector"]["matchLabels"]) == {name}
    assert set(named("PodDisruptionBudget")) == {*PROCESSES, "redis"}
    for name, spec in named("Service").items():
        assert selected(spec["selector"]) == {name}
    assert named("StatefulSet")["redis"]["serviceName"] in named("Service")


@pytest.mark.parametrize("overlay", OVERLAYS)
@pytest.mark.parametrize("name", [*PROCESSES, "redis"])
def test_a_pod_is_confined(name: str, overlay: str) -> None:
    """Non-root, read-only root, no capabilities, no token of the cluster, bounded, with time to finish a run."""
    spec = pods(overlay)[name]
    (container,) = spec["containers"]
    assert spec["securityContext"]["runAsNonRoot"] is True
    assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert spec["automountServiceAccountToken"] is False
    assert spec["terminationGracePeriodSeconds"] > 2 * DEFAULT_TOTAL_TIMEOUT_SECONDS
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    for bound in ("requests", "limits"):
        assert set(container["resources"][bound]) == {"cpu", "memory", "ephemeral-storage"}
    claims = {claim["metadata"]["name"] for claim in named("StatefulSet")["redis"]["volumeClaimTemplates"]}
    volumes = {volume["name"] for volume in spec["volumes"]} | (claims if name == "redis" else set())
    mounts = {mount["name"]: mount["mountPath"] for mount in container["volumeMounts"]}
    assert set(mounts) == volumes
    assert mounts["tmp"] == "/tmp"
    assert ("topologySpreadConstraints" in spec) == (name != "redis")


@pytest.mark.parametrize("name", PROCESSES)
def test_a_pod_is_probed_where_it_listens(name: str) -> None:
    """Each probe asks a path that the process answers, on the port that it is told to listen on."""
    (container,) = pods()[name]["containers"]
    (port,) = container["ports"]
    settings = objects()["ConfigMap", "resync-troubleshoot"]["data"]
    if name == "flower":
        paths = dict.fromkeys(("startupProbe", "livenessProbe", "readinessProbe"), "/healthcheck")
    else:
        assert str(port["containerPort"]) == settings["RESYNC_HEALTH_PORT"]
        paths = {"startupProbe": "/livez", "livenessProbe": "/livez", "readinessProbe": "/readyz"}
    assert {probe: container[probe]["httpGet"] for probe in paths} == {
        probe: {"path": path, "port": port["name"]} for probe, path in paths.items()
    }


def test_a_secret_goes_only_where_it_is_used() -> None:
    """Secrets are files; besides the one of all, a pod has that of its own queue; no value stands in a manifest."""
    folder = objects()["ConfigMap", "resync-troubleshoot"]["data"][SECRETS_DIR]
    for name in PROCESSES:
        (container,) = pods()[name]["containers"]
        assert container["envFrom"] == [{"configMapRef": {"name": "resync-troubleshoot"}}]
        assert {"name": "secrets", "mountPath": folder, "readOnly": True} in container["volumeMounts"]
        (files,) = (volume["projected"] for volume in pods()[name]["volumes"] if volume["name"] == "secrets")
        assert files["defaultMode"] == 0o440
        secrets = {source["secret"]["name"] for source in files["sources"]}
        own = f"resync-troubleshoot-{name.removeprefix('worker-')}"
        assert {"resync-troubleshoot"} <= secrets <= {"resync-troubleshoot", own}
    assert "Secret" not in {kind for kind, _ in objects()}


def test_redis_is_that_of_compose() -> None:
    """The image is Compose's, the configuration is that of ops/redis, the data lie in a volume."""
    (container,) = pods()["redis"]["containers"]
    compose = yaml.safe_load((ROOT / "compose.yaml").read_text("utf-8"))["services"]["redis"]
    assert container["image"] == compose["image"]
    assert container["command"] == compose["command"]
    files = objects()["ConfigMap", "redis"]["data"]
    assert files == {name: (ROOT / "ops" / "redis" / name).read_text("utf-8") for name in files}
    assert {"redis.conf", "start.sh"} == set(files)
    assert {"name": "data", "mountPath": "/data"} in container["volumeMounts"]


def allowed(way: str) -> dict[str, list[dict[str, Any]]]:
    """For each pod, the rules of the policies that select it."""
    rules: dict[str, list[dict[str, Any]]] = {name: [] for name in pod_labels()}
    for spec in named("NetworkPolicy").values():
        for name in selected(spec["podSelector"]["matchLabels"]):
            rules[name] += spec.get(way, [])
    return rules


def test_nothing_is_reached_but_what_a_policy_allows() -> None:
    """Every pod has a policy for both directions; no rule leaves ports open, and none lets everybody in."""
    denied: dict[str, set[str]] = {name: set() for name in pod_labels()}
    for spec in named("NetworkPolicy").values():
        for name in selected(spec["podSelector"]["matchLabels"]):
            denied[name] |= set(spec["policyTypes"])
    assert set(map(frozenset, denied.values())) == {frozenset({"Ingress", "Egress"})}
    for rules in (allowed("ingress"), allowed("egress")):
        assert all(rule["ports"] for its in rules.values() for rule in its)
    assert all(rule["from"] for its in allowed("ingress").values() for rule in its)


def test_who_may_reach_what() -> None:
    """Redis is open to our processes, the watchers to KEDA; sources call out, orchestrator, watcher, Flower do not."""
    ours = {"podSelector": {"matchLabels": {"app.kubernetes.io/name": "resync-troubleshoot"}}}
    (redis,) = allowed("ingress")["redis"]
    assert ours in redis["from"]
    assert redis["ports"] == [{"protocol": "TCP", "port": "redis"}]
    assert allowed("egress")["redis"] == []
    everywhere = {
        name: {port["port"] for rule in rules if "to" not in rule for port in rule["ports"]}
        for name, rules in allowed("egress").items()
    }
    to_redis = {6379, 6380, 26379}
    for name in PROCESSES:
        assert to_redis <= everywhere[name]
        calls_out = name not in {"worker-orchestrator", "watcher", "flower"}
        assert (name + "-calls-out" in named("NetworkPolicy")) == calls_out
        assert calls_out or everywhere[name] == to_redis
    keda = [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "keda"}}}]
    assert {name for name, rules in allowed("ingress").items() if keda in [it["from"] for it in rules]} == {"watcher"}


@pytest.mark.parametrize("queue", queue_names())
def test_a_worker_is_scaled_by_its_own_queue(queue: str) -> None:
    """KEDA reads what waits and runs in the queue from the watchers' page, and never takes the last worker."""
    scaled = named("ScaledObject")[NAMES[queue]]
    assert scaled["scaleTargetRef"] == {"name": NAMES[queue]}
    assert scaled["minReplicaCount"] == 1
    assert scaled["maxReplicaCount"] > 1
    (trigger,) = scaled["triggers"]
    assert trigger["type"] == "metrics-api"
    assert "work" in {name for name, _, _ in QUEUE_GAUGES}
    assert trigger["metadata"]["valueLocation"] == f'{PREFIX}_queue_work{{queue="{queue}"}}'


def test_all_queues_are_scaled_alike() -> None:
    """But for their names, so that what is simulated of one is true of all; without KEDA, none is."""
    texts = set()
    for queue, name in NAMES.items():
        texts.add(json.dumps(named("ScaledObject")[name]).replace(name, "").replace(f'"{queue}\\"', ""))
    assert len(texts) == 1
    assert named("ScaledObject", "development") == {}


def test_the_autoscaler_asks_the_watchers() -> None:
    """The address of the triggers is that of a Service that leads to the port of the watchers' pages."""
    (port,) = named("Service")["watcher"]["ports"]
    (container,) = pods()["watcher"]["containers"]
    assert port["targetPort"] == container["ports"][0]["name"]
    namespace = objects()["Service", "watcher"]["metadata"]["namespace"]
    addresses = {trigger["metadata"]["url"] for it in named("ScaledObject").values() for trigger in it["triggers"]}
    assert addresses == {f"http://watcher.{namespace}.svc:{port['port']}/metrics"}


def strict(schema: dict[str, Any]) -> dict[str, Any]:
    """The schema of a custom resource, with the fields refused that Kubernetes would drop."""
    found = {key: strict(value) if isinstance(value, dict) else value for key, value in schema.items()}
    return found | ({"additionalProperties": False} if isinstance(schema.get("properties"), dict) else {})


@pytest.mark.parametrize("kind", sorted(CUSTOM))
def test_the_custom_resources_follow_their_schemas(kind: str) -> None:
    """Every ScaledObject and PodMonitor is valid by the definition of KEDA and of the Prometheus Operator."""
    text = (ROOT / "tests" / "data" / "custom_resources" / f"{kind.lower()}.json").read_text(encoding="utf-8")
    validator = jsonschema.Draft7Validator(strict(json.loads(text)["schema"]))
    items = [*objects().values(), *build(FOLDER / "components" / "monitoring")]
    chosen = [item for item in items if item["kind"] == kind]
    assert len(chosen) == (len(queue_names()) if kind == "ScaledObject" else 1)
    for item in chosen:
        assert [error.message for error in validator.iter_errors(item)] == []
        for field in item["spec"]:
            wrong = deepcopy(item)
            wrong["spec"][f"{field}z"] = wrong["spec"].pop(field)
            assert not validator.is_valid(wrong), field
