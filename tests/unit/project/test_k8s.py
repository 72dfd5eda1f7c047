"""The Kubernetes manifests: valid, complete, confined, and scaled by what the watchers publish of each queue."""

from __future__ import annotations

import importlib
import json
import os
from copy import deepcopy
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from orchestrator.broker.app import queue_names
from orchestrator.monitoring import PREFIX, QUEUE_GAUGES

FOLDER = Path(__file__).parents[3] / "ops" / "k8s"


@cache
def items(name: str) -> list[dict[str, Any]]:
    """The objects of one file."""
    document = yaml.safe_load((FOLDER / f"{name}.yaml").read_text(encoding="utf-8"))
    assert (document["apiVersion"], document["kind"]) == ("v1", "List")
    return document["items"]


def named(kind: str) -> dict[str, dict[str, Any]]:
    """The specs of the objects of one kind, by name."""
    everything = items("resync-troubleshoot") + items("autoscaling")
    return {item["metadata"]["name"]: item["spec"] for item in everything if item["kind"] == kind}


def worker(queue: str) -> str:
    """Name of a queue's Deployment: Kubernetes takes no underscore."""
    return f"worker-{queue.replace('_', '-')}"


def pod(deployment: str) -> dict[str, Any]:
    """The pod's spec of a Deployment."""
    return named("Deployment")[deployment]["template"]["spec"]


def test_the_manifests_follow_the_kubernetes_schemas() -> None:
    """Every object is valid by Kubernetes' own schemas, unknown fields refused."""
    try:
        # 108 MB of schemas: installed by CI, and by whoever changes the manifests.
        kubernetes_validate = importlib.import_module("kubernetes_validate")
    except ModuleNotFoundError:
        if os.environ.get("CI"):
            pytest.fail("kubernetes-validate is missing in CI")
        pytest.skip("kubernetes-validate is not installed")
    for item in items("resync-troubleshoot"):
        kubernetes_validate.validate(item, "1.32", strict=True)
    wrong = deepcopy(items("resync-troubleshoot")[1])
    wrong["spec"]["replicaz"] = 2
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(wrong, "1.32", strict=True)


def test_the_deployments_are_the_processes() -> None:
    """One Deployment for each queue, the watchers' and Flower's."""
    assert set(named("Deployment")) == {*map(worker, queue_names()), "watcher", "flower"}


@pytest.mark.parametrize("queue", queue_names())
def test_a_worker_takes_its_queue(queue: str) -> None:
    """The Deployment of a queue starts a worker of that queue."""
    (container,) = pod(worker(queue))["containers"]
    assert container["args"] == ["resync-troubleshoot", "worker", queue]


def test_a_watcher_is_always_there() -> None:
    """Two watchers, and a drained node takes away one of them at a time."""
    assert named("Deployment")["watcher"]["replicas"] == 2
    assert named("PodDisruptionBudget")["watcher"]["minAvailable"] == 1


def test_selectors_select_their_own_pods() -> None:
    """Each selector matches the labels of its own pods and of no other Deployment's."""
    deployments = named("Deployment")
    for name, spec in deployments.items():
        selector = spec["selector"]["matchLabels"].items()
        matching = {
            other for other, it in deployments.items() if selector <= it["template"]["metadata"]["labels"].items()
        }
        assert matching == {name}
    assert named("Service")["flower"]["selector"] == deployments["flower"]["selector"]["matchLabels"]
    assert named("PodDisruptionBudget")["watcher"]["selector"] == deployments["watcher"]["selector"]


@pytest.mark.parametrize("deployment", [*map(worker, queue_names()), "watcher", "flower"])
def test_a_pod_is_confined(deployment: str) -> None:
    """Non-root, read-only root, no capabilities, no token of the cluster, time to finish a run."""
    spec = pod(deployment)
    (container,) = spec["containers"]
    assert spec["securityContext"]["runAsNonRoot"] is True
    assert spec["automountServiceAccountToken"] is False
    assert spec["terminationGracePeriodSeconds"] == 30
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }


@pytest.mark.parametrize("deployment", [*map(worker, queue_names()), "watcher", "flower"])
def test_a_pod_is_probed_where_it_listens(deployment: str) -> None:
    """Each probe asks a path that the process answers, on the port that it is told to listen on."""
    (container,) = pod(deployment)["containers"]
    (port,) = container["ports"]
    (settings,) = (item["data"] for item in items("resync-troubleshoot") if item["kind"] == "ConfigMap")
    if deployment == "flower":
        paths = dict.fromkeys(("startupProbe", "livenessProbe", "readinessProbe"), "/healthcheck")
    else:
        assert str(port["containerPort"]) == settings["RESYNC_HEALTH_PORT"]
        paths = {"startupProbe": "/livez", "livenessProbe": "/livez", "readinessProbe": "/readyz"}
    assert {probe: container[probe]["httpGet"] for probe in paths} == {
        probe: {"path": path, "port": port["name"]} for probe, path in paths.items()
    }


def test_a_secret_goes_only_where_it_is_used() -> None:
    """Besides the one with REDIS_URL, a pod is given only the secret of its own queue; no value stands in a file."""
    for deployment in named("Deployment"):
        (container,) = pod(deployment)["containers"]
        secrets = {source["secretRef"]["name"] for source in container["envFrom"] if "secretRef" in source}
        own = f"resync-troubleshoot-{deployment.removeprefix('worker-')}"
        assert {"resync-troubleshoot"} <= secrets <= {"resync-troubleshoot", own}
    assert "Secret" not in {item["kind"] for item in items("resync-troubleshoot") + items("autoscaling")}


@pytest.mark.parametrize("queue", queue_names())
def test_a_worker_is_scaled_by_its_own_queue(queue: str) -> None:
    """KEDA reads what waits and runs in the queue from the watchers' page, and never takes the last worker."""
    scaled = named("ScaledObject")[worker(queue)]
    assert scaled["scaleTargetRef"] == {"name": worker(queue)}
    assert scaled["minReplicaCount"] == 1
    assert scaled["maxReplicaCount"] > 1
    (trigger,) = scaled["triggers"]
    assert trigger["type"] == "metrics-api"
    assert "work" in {name for name, _, _ in QUEUE_GAUGES}
    assert trigger["metadata"]["valueLocation"] == f'{PREFIX}_queue_work{{queue="{queue}"}}'


def test_the_autoscaler_asks_the_watchers() -> None:
    """The address of the triggers is that of a Service that leads to the port of the watchers' pages."""
    service = named("Service")["watcher"]
    assert service["selector"] == named("Deployment")["watcher"]["selector"]["matchLabels"]
    (port,) = service["ports"]
    (container,) = pod("watcher")["containers"]
    assert port["targetPort"] == container["ports"][0]["name"]
    addresses = {trigger["metadata"]["url"] for it in named("ScaledObject").values() for trigger in it["triggers"]}
    assert addresses == {f"http://watcher.resync-troubleshoot.svc:{port['port']}/metrics"}


def strict(schema: dict[str, Any]) -> dict[str, Any]:
    """The schema of a custom resource, with the fields refused that Kubernetes would drop."""
    found = {key: strict(value) if isinstance(value, dict) else value for key, value in schema.items()}
    return found | ({"additionalProperties": False} if isinstance(schema.get("properties"), dict) else {})


def test_the_scaled_objects_follow_the_schema_of_keda() -> None:
    """Every ScaledObject is valid by KEDA's own definition of it, unknown fields refused."""
    text = (Path(__file__).parents[2] / "data" / "keda_scaledobject.json").read_text(encoding="utf-8")
    schema = strict(json.loads(text)["schema"])
    schema["properties"]["metadata"].pop("additionalProperties", None)
    validator = jsonschema.Draft7Validator(schema)
    objects = [item for item in items("autoscaling") if item["kind"] == "ScaledObject"]
    assert len(objects) == len(queue_names())
    for item in objects:
        assert [error.message for error in validator.iter_errors(item)] == []
    for path, value in ((("spec", "minReplicas"), 1), (("spec", "pollingInterval"), "5s"), (("spec", "triggers"), {})):
        wrong = deepcopy(objects[0])
        wrong[path[0]][path[1]] = value
        assert not validator.is_valid(wrong), path
