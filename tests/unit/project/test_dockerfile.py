"""The image: accepted by hadolint, not root, built from the lock, without index addresses or secrets."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
DOCKERFILE = ROOT / "ops" / "docker" / "Dockerfile"


def instructions() -> list[tuple[str, str]]:
    """The Dockerfile's instructions in order, continuation lines joined, comments left out."""
    lines = [line for line in DOCKERFILE.read_text(encoding="utf-8").splitlines() if not line.startswith("#")]
    joined = re.sub(r"\s*\\\n\s*", " ", "\n".join(lines))
    pairs = []
    for line in filter(None, map(str.strip, joined.splitlines())):
        name, _, rest = line.partition(" ")
        pairs.append((name.upper(), rest))
    return pairs


def last_stage() -> list[tuple[str, str]]:
    """The instructions of the stage that becomes the image."""
    all_of_them = instructions()
    start = max(index for index, (name, _) in enumerate(all_of_them) if name == "FROM")
    return all_of_them[start:]


def test_hadolint_accepts_the_dockerfile() -> None:
    """hadolint finds nothing, not even a matter of style."""
    hadolint = shutil.which("hadolint", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}")
    if hadolint is None:
        if os.environ.get("CI") == "true":
            pytest.fail("hadolint is missing in CI")
        pytest.skip("hadolint is not installed: there is no wheel for this platform")
    result = subprocess.run([hadolint, str(DOCKERFILE)], capture_output=True, text=True, timeout=100, check=False)
    assert (result.returncode, result.stdout) == (0, "")


def test_the_image_does_not_run_as_root() -> None:
    """The last USER of the image is a number other than 0, as Kubernetes' runAsNonRoot needs it."""
    users = [rest for name, rest in last_stage() if name == "USER"]
    assert re.fullmatch(r"[1-9]\d*:[1-9]\d*", users[-1])


def test_nothing_is_fetched_by_address() -> None:
    """No ADD and no address: packages come from wherever the builder's pip is set to."""
    assert [rest for name, rest in instructions() if name == "ADD"] == []
    assert not re.search(r"https?://|PIP_INDEX", DOCKERFILE.read_text(encoding="utf-8"))


def test_no_secret_is_built_in() -> None:
    """No ARG or ENV takes a secret: layers keep them for ever."""
    declared = " ".join(rest for name, rest in instructions() if name in {"ARG", "ENV"})
    assert not re.search(r"PASSWORD|TOKEN|SECRET|API_KEY|REDIS_URL", declared)


def test_base_images_are_pinned_to_a_python_line_by_digest() -> None:
    """Both stages start from one base image: a Python that the project supports, and the image of today."""
    assert {rest.split()[0] for name, rest in instructions() if name == "FROM"} == {"${BASE}"}
    (base,) = [rest for name, rest in instructions() if name == "ARG"]
    assert re.fullmatch(r"BASE=python:3\.1[1-4]-slim-[a-z]+@sha256:[0-9a-f]{64}", base)


def test_only_the_files_of_the_locks_are_installed() -> None:
    """Each installation is one by hashes, or of the wheel that was made here; nothing is fetched beside them."""
    commands = [part for name, rest in instructions() if name == "RUN" for part in rest.split(" && ")]
    for command in (command for command in commands if " install " in command and "pip" in command):
        assert "--no-deps" in command, command
        assert "--require-hashes" in command or command.endswith("dist/*.whl"), command


def test_the_image_has_every_extra_but_the_embedded_parts() -> None:
    """A worker of the image can use PostgreSQL, vectors and Flower; the embedded Redis stays outside."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    script = (ROOT / "scripts" / "lock.sh").read_text(encoding="utf-8").replace("\\\n", "")
    (command,) = [line for line in script.splitlines() if "--output-file requirements-image.lock" in line]
    # `cli` is the client's part of `workers`; `api` is for an app, which brings its own image.
    wanted = set(project["optional-dependencies"]) - {"embedded", "cli", "api"}
    assert set(re.findall(r"--extra (\w+)", command)) == wanted


def test_what_is_copied_is_in_the_build_context() -> None:
    """Every file and folder that COPY takes exists and is let through by .dockerignore."""
    ignore = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    admitted = {line.removeprefix("!") for line in ignore if line.startswith("!")}
    for name, rest in instructions():
        if name != "COPY" or rest.startswith("--from"):
            continue
        for source in rest.split()[:-1]:
            path = source.removeprefix("./")
            assert (ROOT / path).exists(), path
            assert any(path == entry or path.startswith(f"{entry}/") for entry in admitted), path
