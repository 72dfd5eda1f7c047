"""What is fetched is named by digest, and the audit and the bill of materials say what they know."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[3]
GOOD = {"name": "celery", "version": "5.7.0", "vulns": []}
BAD = {"name": "amqp", "version": "5.4.2", "vulns": [{"id": "PYSEC-1", "fix_versions": ["5.4.3"]}]}
SKIPPED = {"name": "vine", "skip_reason": "Dependency not found on PyPI and could not be audited: vine (5.1.0)"}


def images_in(value: Any) -> list[str]:
    """The images that a YAML document names."""
    if isinstance(value, dict):
        own = [item for name, item in value.items() if name == "image" and isinstance(item, str)]
        return own + [image for item in value.values() for image in images_in(item)]
    return [image for item in value for image in images_in(item)] if isinstance(value, list) else []


MANIFESTS = sorted(str(path.relative_to(ROOT)) for path in (ROOT / "ops" / "k8s").rglob("*.yaml"))


@pytest.mark.parametrize("path", ["compose.yaml", *MANIFESTS])
def test_every_image_but_our_own_is_named_by_digest(path: str) -> None:
    """Our own has no digest before it is built, and stands under its version."""
    text = (ROOT / path).read_text(encoding="utf-8")
    for image in images_in(list(yaml.safe_load_all(text))):
        assert re.match("resync-troubleshoot(:|$)", image) or re.search("@sha256:[0-9a-f]{64}$", image), image


def test_the_workflow_runs_what_is_named_by_digest_and_commit() -> None:
    """A tag of an action or an image may stand for something else tomorrow."""
    workflow = yaml.safe_load((ROOT / ".github" / "workflows" / "ci.yml").read_text(encoding="utf-8"))
    (job,) = workflow["jobs"].values()
    assert all(re.search("@sha256:[0-9a-f]{64}$", image) for image in job["strategy"]["matrix"]["image"])
    assert all(re.search("@[0-9a-f]{40}$", step["uses"]) for step in job["steps"] if "uses" in step)


def test_every_installation_of_a_script_is_one_by_hashes() -> None:
    """No script lets pip choose what it fetches."""
    for script in (*(ROOT / "scripts").glob("*.sh"), ROOT / ".ci" / "run"):
        text = script.read_text(encoding="utf-8")
        for line in text.splitlines():
            if re.search(r"(run \$pip|pip .*install) .*(--requirement|==)", line):
                assert "--require-hashes" in line, f"{script.name}: {line}"


@pytest.fixture
def tool(tmp_path: Path) -> Path:
    """A Python beside which tools lie that print what the test wrote into their files."""
    shutil.copytree(ROOT / "scripts", tmp_path / "scripts")
    python = tmp_path / "bin" / "python"
    python.parent.mkdir()
    # Its own name decides where the tools are looked for, so no link will do.
    python.symlink_to(getattr(sys, "_base_executable", sys.executable))
    for name in ("pip-audit", "cyclonedx-py"):
        program = python.with_name(name)
        program.write_text('#!/bin/sh\ncat "$0.$1" 2>/dev/null || { echo "no route to host" >&2; exit 1; }\n', "utf-8")
        program.chmod(0o755)
    return python


def run(tool: Path, script: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [tool, tool.parents[1] / "scripts" / script, *arguments]
    environment = {"PATH": os.environ["PATH"]}
    return subprocess.run(command, capture_output=True, text=True, timeout=100, check=False, env=environment)


@pytest.mark.parametrize(
    ("dependencies", "status", "told"),
    [
        ([GOOD], 0, "no known vulnerability"),
        ([GOOD, BAD], 1, "amqp==5.4.2 PYSEC-1: fixed in 5.4.3"),
        ([GOOD, SKIPPED], 3, "could not ask about 1 of the packages or locks, such as vine"),
        ([BAD, SKIPPED], 1, "could not ask about 1"),
        (None, 3, "could not ask about 1 of the packages or locks, such as some.lock: no route to host"),
    ],
    ids=["good", "vulnerable", "unknown", "both", "offline"],
)
def test_an_audit_says_what_it_could_not_ask(
    tool: Path, dependencies: list[dict[str, Any]] | None, status: int, told: str
) -> None:
    """A version that nobody was asked about is not one without a known vulnerability, and has a status of its own."""
    if dependencies is not None:
        tool.with_name("pip-audit.--requirement").write_text(json.dumps({"dependencies": dependencies}), "utf-8")
    done = run(tool, "audit.py", "some.lock")
    assert (done.returncode, told in done.stdout + done.stderr) == (status, True)


def test_a_bill_of_materials_has_the_lock_with_licences_and_needs(tool: Path) -> None:
    """Components and hashes are the lock's; what is installed for the tests beside them is left out."""
    licence = [{"license": {"id": "BSD-3-Clause"}}]
    root, one, two = "root-component", "celery==5.7.0", "vine==5.1.0"
    lock = [
        {"bom-ref": "L1", "name": "celery", "purl": "pkg:pypi/celery@5.7.0", "description": "line 1"},
        {"bom-ref": "L2", "name": "tzdata", "purl": "pkg:pypi/tzdata@2026.6", "description": "line 2"},
    ]
    installed = [
        {"bom-ref": one, "purl": "pkg:pypi/celery@5.7.0", "licenses": licence, "description": "Queue."},
        {"bom-ref": two, "purl": "pkg:pypi/vine@5.1.0"},
    ]
    needs = [{"ref": root, "dependsOn": [one]}, {"ref": one, "dependsOn": [two]}, {"ref": two}]
    bill = {"metadata": {"component": {"bom-ref": root}}, "components": lock, "dependencies": []}
    tool.with_name("cyclonedx-py.requirements").write_text(json.dumps(bill), "utf-8")
    tool.with_name("cyclonedx-py.environment").write_text(
        json.dumps({"components": installed, "dependencies": needs}), "utf-8"
    )
    done = run(tool, "sbom.py")
    assert done.returncode == 0, done.stderr
    written = json.loads((tool.parents[1] / "dist" / "sbom.cdx.json").read_text("utf-8"))
    assert [(item["bom-ref"], item.get("licenses")) for item in written["components"]] == [(one, licence), ("L2", None)]
    assert written["dependencies"] == [
        {"ref": "L2", "dependsOn": []},
        {"ref": one, "dependsOn": []},
        {"ref": root, "dependsOn": [one]},
    ]
