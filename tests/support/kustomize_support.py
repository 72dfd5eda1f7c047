"""Builds a kustomization as `kubectl kustomize` does, with what those of ops/k8s use and no more.

That is: resources, components, labels, patches (strategic merges with a target), images (newTag), namespace.
"""

from __future__ import annotations

import re
from copy import deepcopy
from pathlib import Path
from typing import Any

import yaml

MERGE_KEYS = {
    "containers": "name",
    "env": "name",
    "ports": "containerPort",
    "volumeMounts": "mountPath",
    "volumes": "name",
}
"""Lists whose items are merged by a key; any other list is replaced."""
KNOWN = {"apiVersion", "kind", "resources", "components", "labels", "patches", "images", "namespace"}
CLUSTER_WIDE = {"Namespace"}

Item = dict[str, Any]


def build(folder: Path, given: list[Item] | None = None) -> list[Item]:
    """The objects of a kustomization; a component's are added to those that it is given."""
    file = yaml.safe_load((folder / "kustomization.yaml").read_text(encoding="utf-8"))
    assert set(file) <= KNOWN, f"{folder}: the build of the tests does not know {set(file) - KNOWN}"
    items = list(given or [])
    for name in file.get("resources", ()):
        path = folder / name
        assert path.resolve().is_relative_to(folder.resolve()) or path.is_dir(), f"{path}: outside of its folder"
        items += build(path) if path.is_dir() else list(yaml.safe_load_all(path.read_text(encoding="utf-8")))
    for name in file.get("components", ()):
        items = build(folder / name, items)
    for patch in file.get("patches", ()):
        text = (folder / patch["path"]).read_text(encoding="utf-8") if "path" in patch else patch["patch"]
        change = {key: value for key, value in yaml.safe_load(text).items() if key not in {"kind", "metadata"}}
        chosen = [item for item in items if _is_target(item, patch["target"])]
        assert chosen, f"{folder}: no target for {patch['target']}"
        for item in chosen:
            item.update(_merged(item, deepcopy(change)))
    for item in items:
        for labels in file.get("labels", ()):
            item["metadata"].setdefault("labels", {}).update(labels["pairs"])
        if "namespace" in file and item["kind"] not in CLUSTER_WIDE:
            item["metadata"]["namespace"] = file["namespace"]
        tags = {image["name"]: image["newTag"] for image in file.get("images", ())}
        for container in item.get("spec", {}).get("template", {}).get("spec", {}).get("containers", ()):
            if container["image"] in tags:
                container["image"] += f":{tags[container['image']]}"
    return items


def _is_target(item: Item, target: dict[str, str]) -> bool:
    name = target.get("name", ".*")
    return item["kind"] == target["kind"] and re.fullmatch(name, item["metadata"]["name"]) is not None


def _merged(old: Any, new: Any, field: str = "") -> Any:
    if isinstance(old, dict) and isinstance(new, dict):
        return old | {key: _merged(old[key], value, key) if key in old else value for key, value in new.items()}
    if isinstance(old, list) and field in MERGE_KEYS:
        key = MERGE_KEYS[field]
        items = {item[key]: item for item in old}
        items |= {item[key]: _merged(items.get(item[key], {}), item) for item in new}
        return list(items.values())
    return new
