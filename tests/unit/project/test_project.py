"""The project's own files: locks, dependency bounds, entry points, and strings that must not be anywhere."""

from __future__ import annotations

import importlib.resources
import json
import re
import subprocess
import tomllib
from importlib.metadata import EntryPoint, distribution
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[3]
LOCKS = (ROOT / "requirements.lock", ROOT / "requirements-dev.lock")
PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
NAME = PROJECT["project"]["name"]
# Written so that this file does not hold what it looks for.
FORBIDDEN = re.compile(
    "|".join(("index" + "-url", "find" + "-links", "pypi" + r"\.org", "/opt" + "/pypi", r"(?<![\w.-])/work" + "/"))
)
TEXT = {
    ".cfg",
    ".conf",
    ".css",
    ".html",
    ".ini",
    ".js",
    ".json",
    ".lock",
    ".lua",
    ".md",
    ".py",
    ".service",
    ".sh",
    ".sql",
}
TEXT |= {".target", ".toml", ".txt", ".yaml", ".yml", ""}


def direct_dependencies() -> dict[str, Requirement]:
    """Every requirement of pyproject.toml: the client's, the extras', the development group's, the build's."""
    project = PROJECT["project"]
    lines = [*project["dependencies"], *PROJECT["build-system"]["requires"]]
    for group in (*project["optional-dependencies"].values(), *PROJECT["dependency-groups"].values()):
        lines.extend(group)
    return {line: Requirement(line) for line in lines if canonicalize_name(Requirement(line).name) != NAME}


def locked(lock: Path) -> dict[str, str]:
    """Name to version of a lock file."""
    pins = (Requirement(line) for line in lock.read_text(encoding="utf-8").splitlines())
    return {canonicalize_name(pin.name): str(pin.specifier) for pin in pins}


def tracked_texts() -> list[Path]:
    """The text files under version control."""
    if not (ROOT / ".git").exists():
        pytest.skip("not a git checkout")
    listed = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, timeout=100, check=True
    ).stdout.split("\0")
    return [ROOT / name for name in listed if name and Path(name).suffix in TEXT and (ROOT / name).is_file()]


def entry_points() -> list[EntryPoint]:
    """The commands and plug-ins that pyproject.toml declares."""
    project = PROJECT["project"]
    groups = {"console_scripts": project["scripts"]} | project["entry-points"]
    return [EntryPoint(name, value, group) for group, points in groups.items() for name, value in points.items()]


@pytest.mark.parametrize("lock", LOCKS, ids=lambda lock: lock.name)
def test_a_lock_names_versions_and_no_address(lock: Path) -> None:
    """Every line pins one version; no address, no option of pip, no hash."""
    for line in lock.read_text(encoding="utf-8").splitlines():
        assert re.fullmatch(r"[a-z0-9][a-z0-9._-]*==[^\s;]+( ; .+)?", line), line
        assert "http" not in line.replace("httpx2", "").replace("httpcore2", ""), line


def test_both_locks_agree() -> None:
    """The tests run the versions that the demo runs."""
    runtime, development = (locked(lock) for lock in LOCKS)
    assert runtime.items() <= development.items()


@pytest.mark.parametrize("line", direct_dependencies())
def test_a_dependency_has_both_bounds(line: str) -> None:
    """Each direct dependency says from which version and below which one."""
    operators = {specifier.operator for specifier in Requirement(line).specifier}
    assert operators in ({">=", "<"}, {"=="}), line


def test_the_locks_hold_the_direct_dependencies() -> None:
    """A dependency added to pyproject.toml is in the lock, at a version that its bounds admit: else `make lock`."""
    pins = locked(LOCKS[1])
    build = set(PROJECT["build-system"]["requires"])
    for line, requirement in direct_dependencies().items():
        if line in build:
            continue
        version = pins.get(canonicalize_name(requirement.name))
        assert version is not None, f"{line} is not locked: run `make lock`"
        assert requirement.specifier.contains(version.removeprefix("=="), prereleases=True), line


def test_no_file_names_an_index_or_a_place_of_one_machine() -> None:
    """No tracked file holds an index option, an index's address or a path of a build machine."""
    texts = tracked_texts()
    assert len(texts) > 50
    violations = {
        f"{path.relative_to(ROOT)}: {match[0]}"
        for path in texts
        if (match := FORBIDDEN.search(path.read_text(encoding="utf-8", errors="replace")))
    }
    assert violations == set()


@pytest.mark.parametrize("point", entry_points(), ids=lambda point: f"{point.group}:{point.name}")
def test_an_entry_point_can_be_loaded(point: EntryPoint) -> None:
    """Every command and plug-in that the project declares exists."""
    assert point.load() is not None


def test_the_installed_entry_points_are_the_declared_ones() -> None:
    """The editable installation knows the entry points of today's pyproject.toml."""
    installed = {(point.group, point.name, point.value) for point in distribution(NAME).entry_points}
    assert {(point.group, point.name, point.value) for point in entry_points()} == installed


def test_the_changelog_has_this_version() -> None:
    """CHANGELOG.md has a section for the version of pyproject.toml, or unreleased changes lead up to it."""
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert re.search(rf"^## \[(Unreleased|{re.escape(PROJECT['project']['version'])})\]", changelog, re.MULTILINE)


def test_the_workflow_runs_ci_on_each_supported_python() -> None:
    """The workflow is valid by the published schema, and calls .ci/run on every Python that the project names."""
    schemas = importlib.resources.files("check_jsonschema") / "builtin_schemas" / "vendor"
    schema = json.loads((schemas / "github-workflows.json").read_text(encoding="utf-8"))
    workflow = yaml.safe_load((ROOT / ".github" / "workflows" / "ci.yml").read_text(encoding="utf-8"))
    jsonschema.validators.validator_for(schema)(schema).validate(workflow)
    (job,) = workflow["jobs"].values()
    classifiers = [line.rpartition(" :: ")[2] for line in PROJECT["project"]["classifiers"]]
    assert job["strategy"]["matrix"]["python-version"] == [name for name in classifiers if name.startswith("3.")]
    assert "bash .ci/run" in job["steps"][-1]["run"]
    # The system that .ci/run is written for: on Ubuntu one of its packages is missing, so none would be installed.
    assert job["container"]["image"] == "python:${{ matrix.python-version }}-bookworm"


def test_each_pre_commit_hook_is_a_program_of_the_development_environment() -> None:
    """The hooks run what `make lint` runs, from .venv, and fetch nothing."""
    config = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text(encoding="utf-8"))
    assert [repository["repo"] for repository in config["repos"]] == ["local"]
    programs = {hook["entry"].split()[0] for hook in config["repos"][0]["hooks"]}
    lint = (ROOT / "Makefile").read_text(encoding="utf-8").partition("\nlint:")[2].partition("\n\n")[0]
    linters = {f".venv/bin/{name}" for name in re.findall(r"\$\(BIN\)/([\w-]+)", lint)}
    assert linters <= programs <= {*linters, ".venv/bin/python"}
