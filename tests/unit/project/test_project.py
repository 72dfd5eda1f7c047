"""The project's own files: locks, dependency bounds, entry points, and strings that must not be anywhere."""

from __future__ import annotations

import importlib.resources
import json
import re
import subprocess
import tomllib
from functools import cache
from importlib.metadata import EntryPoint, distribution
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).parents[3]
RUNTIME, DEV, IMAGE, BUILD, TOOLS, LOWEST = (
    ROOT / f"requirements{name}.lock" for name in ("", "-dev", "-image", "-build", "-tools", "-lowest")
)
CI = ROOT / ".ci" / "requirements.lock"
LOCKS = (RUNTIME, DEV, IMAGE, BUILD, TOOLS, LOWEST, CI)
LOCK_OF_GROUP = {"build": BUILD, "tools": TOOLS, "ci": CI}
"""Lock files of the dependency groups and of the build; of everything else it is the development's."""
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


def direct_dependencies() -> dict[str, Path]:
    """Every requirement of pyproject.toml with its lock: the client's, the extras', the groups', the build's."""
    project = PROJECT["project"]
    groups = {"build": PROJECT["build-system"]["requires"], "": project["dependencies"]}
    lines = [(line, LOCK_OF_GROUP.get(name, DEV)) for name, group in groups.items() for line in group]
    for name, group in (project["optional-dependencies"] | PROJECT["dependency-groups"]).items():
        lines.extend((line, LOCK_OF_GROUP.get(name, DEV)) for line in group)
    return {line: lock for line, lock in lines if canonicalize_name(Requirement(line).name) != NAME}


def pins(lock: Path) -> list[tuple[str, list[str]]]:
    """Each requirement of a lock file with the hashes of its files."""
    lines = lock.read_text(encoding="utf-8").replace("\\\n", "").splitlines()
    found = [line.split(" --hash=") for line in lines]
    return [(pin.strip(), [digest.strip() for digest in digests]) for pin, *digests in found]


def app_pins() -> list[str]:
    """What the Resync app pins."""
    lines = (ROOT / "tests" / "data" / "app_pins.txt").read_text(encoding="utf-8").splitlines()
    return [line for line in lines if not line.startswith("#")]


@cache
def locked(lock: Path) -> set[tuple[str, str]]:
    """Names and versions of a lock file; a package may have several, by the Python."""
    requirements = [Requirement(pin) for pin, _ in pins(lock)]
    return {(canonicalize_name(pin.name), str(pin.specifier)) for pin in requirements}


def tracked_texts() -> list[Path]:
    """The text files under version control."""
    if not (ROOT / ".git").exists():
        pytest.skip("not a git checkout")
    listed = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, timeout=100, check=True
    ).stdout.split("\0")
    return [ROOT / name for name in listed if name and Path(name).suffix in TEXT and (ROOT / name).is_file()]


def pythons() -> list[str]:
    """The Pythons that the classifiers name."""
    named = [line.rpartition(" :: ")[2] for line in PROJECT["project"]["classifiers"]]
    return [name for name in named if name.startswith("3.")]


def entry_points() -> list[EntryPoint]:
    """The commands and plug-ins that pyproject.toml declares."""
    project = PROJECT["project"]
    groups = {"console_scripts": project["scripts"]} | project["entry-points"]
    return [EntryPoint(name, value, group) for group, points in groups.items() for name, value in points.items()]


@pytest.mark.parametrize("lock", LOCKS, ids=lambda lock: lock.name)
def test_a_lock_names_versions_with_the_hashes_of_their_files_and_no_address(lock: Path) -> None:
    """Every requirement pins one version and has at least one hash; no address, no option of pip."""
    for pin, digests in pins(lock):
        assert re.fullmatch(r"[a-z0-9][a-z0-9._-]*==[^\s;]+( ; .+)?", pin), pin
        assert "://" not in pin, pin
        assert digests, pin
        assert all(re.fullmatch(r"sha256:[0-9a-f]{64}", digest) for digest in digests), pin


def test_the_hashes_are_those_of_every_supported_machine() -> None:
    """A compiled package has the files of two Pythons on two architectures at least, and its source."""
    counts = {pin.partition("==")[0]: len(digests) for lock in (RUNTIME, IMAGE) for pin, digests in pins(lock)}
    assert min(counts[name] for name in ("pydantic-core", "jiter", "numpy", "psycopg-binary")) >= 5


def test_the_locks_agree() -> None:
    """The tests run the versions that the demo and the image run, and a wheel is made of."""
    development = locked(DEV)
    shared = {name for name, _ in development} & {name for name, _ in locked(BUILD)}
    assert locked(RUNTIME) | locked(IMAGE) <= development
    assert {(name, version) for name, version in locked(BUILD) if name in shared} <= development


def test_the_installed_project_has_its_licence() -> None:
    """The metadata names the licence by SPDX, and the text comes with it."""
    installed = distribution(NAME)
    assert installed.metadata["License-Expression"] == "Apache-2.0"
    (text,) = [file for file in installed.files or () if file.name == "LICENSE"]
    assert text.read_text() == (ROOT / "LICENSE").read_text(encoding="utf-8")


@pytest.mark.parametrize("line", direct_dependencies())
def test_a_dependency_has_both_bounds(line: str) -> None:
    """Each direct dependency says from which version and below which one."""
    operators = {specifier.operator for specifier in Requirement(line).specifier}
    assert operators in ({">=", "<"}, {"=="}), line


def test_an_extra_is_asked_of_the_package_that_is_bounded() -> None:
    """What an extra brings with an extra of its own is not bounded by us without it.

    With `celery[redis]`, which asks for any `kombu[redis]`, beside our bounds of `kombu`, pip before 24 went through
    every kombu that there ever was, found one that it could not build, and gave up beside the app's redis 5.2.1.
    """
    ours = [Requirement(line) for line in direct_dependencies()]
    bounded = {canonicalize_name(requirement.name): requirement.extras for requirement in ours if requirement.specifier}
    for requirement in ours:
        for extra in requirement.extras:
            for brought in map(Requirement, distribution(requirement.name).requires or ()):
                if brought.marker is not None and brought.marker.evaluate({"extra": extra}):
                    name = canonicalize_name(brought.name)
                    assert not brought.extras or bounded.get(name) == brought.extras, f"{requirement} brings {brought}"


def test_the_locks_hold_the_direct_dependencies() -> None:
    """A dependency added to pyproject.toml is in its lock, at a version that its bounds admit: else `make lock`."""
    for line, lock in direct_dependencies().items():
        requirement = Requirement(line)
        name = canonicalize_name(requirement.name)
        versions = [version for locked_name, version in locked(lock) if locked_name == name]
        assert versions, f"{line} is not locked: run `make lock`"
        for version in versions:
            assert requirement.specifier.contains(version.removeprefix("=="), prereleases=True), line


def test_a_lower_bound_is_the_version_that_is_tested() -> None:
    """`make test-lowest` runs on the lower bounds themselves, of the client and of each extra: else `make lock`."""
    project, lowest = PROJECT["project"], dict(locked(LOWEST))
    lines = [line for group in (project["dependencies"], *project["optional-dependencies"].values()) for line in group]
    for requirement in map(Requirement, lines):
        if (name := canonicalize_name(requirement.name)) != NAME:
            (bound,) = [part.version for part in requirement.specifier if part.operator == ">="]
            assert Version(lowest[name].removeprefix("==")) == Version(bound), name


def test_what_the_app_pins_is_what_the_lowest_versions_are_beside() -> None:
    """The lock was resolved with the Resync app's pins, so that both install into one environment."""
    pinned = {(canonicalize_name(pin.name), str(pin.specifier)) for pin in map(Requirement, app_pins())}
    assert {"redis", "pydantic", "fastapi", "starlette", "openai", "httpx", "structlog"} <= {name for name, _ in pinned}
    assert pinned <= locked(LOWEST)


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
    images = [image.partition("@")[0] for image in job["strategy"]["matrix"]["image"]]
    # The system that .ci/run is written for: on Ubuntu one of its packages is missing, so none would be installed.
    assert images == [f"python:{name}-bookworm" for name in pythons()]
    assert job["container"]["image"] == "${{ matrix.image }}"
    assert "bash .ci/run" in job["steps"][-1]["run"]


def test_the_supported_pythons_are_the_same_everywhere() -> None:
    """pip refuses what is not listed, and the set-up looks for what is."""
    bounds = SpecifierSet(PROJECT["project"]["requires-python"])
    assert [name for name in (f"3.{minor}" for minor in range(40)) if name in bounds] == pythons()
    setup = (ROOT / "scripts" / "setup.sh").read_text(encoding="utf-8")
    (minors,) = re.findall(r'^minors="(.*)"$', setup, re.MULTILINE)
    assert sorted(minors.split()) == pythons()


def test_each_pre_commit_hook_is_a_program_of_the_development_environment() -> None:
    """The hooks run what `make lint` runs, from .venv, and fetch nothing."""
    config = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text(encoding="utf-8"))
    assert [repository["repo"] for repository in config["repos"]] == ["local"]
    programs = {hook["entry"].split()[0] for hook in config["repos"][0]["hooks"]}
    lint = (ROOT / "Makefile").read_text(encoding="utf-8").partition("\nlint:")[2].partition("\n\n")[0]
    linters = {f".venv/bin/{name}" for name in re.findall(r"\$\(BIN\)/([\w-]+)", lint)}
    assert linters <= programs <= {*linters, ".venv/bin/python"}
