"""scripts/setup.sh: which Python it takes, what it installs, and what it says when it cannot."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

SETUP = Path(__file__).parents[3] / "scripts" / "setup.sh"
# Stands in for Python: `-c` is the check of its version, `-m venv` makes an environment with itself in it, anything
# else is pip, which records its arguments and writes a line.
FAKE_PYTHON = """#!/bin/sh
case "$1 $2" in
  "-c "*) exit 0 ;;
  "-m venv") mkdir -p "$3/bin" && cp "$0" "$3/bin/python" ;;
  *) echo "$@" >> pip.log; echo "output of pip"; [ ! -e fail ] ;;
esac
"""


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A folder with the script, a shim that fails as python3.12 and a fake python3.11 on its PATH."""
    (tmp_path / "scripts").mkdir()
    shutil.copy(SETUP, tmp_path / "scripts")
    programs = tmp_path / "bin"
    programs.mkdir()
    (programs / "python3.12").write_text("#!/bin/sh\necho 'shim: not installed' >&2\nexit 127\n", encoding="utf-8")
    (programs / "python3.11").write_text(FAKE_PYTHON, encoding="utf-8")
    for program in programs.iterdir():
        program.chmod(0o755)
    return tmp_path


def set_up(checkout: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run the script with the fake programs before the system's and no version manager."""
    return subprocess.run(
        ["sh", checkout / "scripts" / "setup.sh", *arguments],
        env={"PATH": f"{checkout / 'bin'}:/usr/bin:/bin", "HOME": str(checkout)} | environment,
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )


def pip_arguments(checkout: Path) -> list[str]:
    """The arguments of each call of pip, without its common options."""
    lines = (checkout / "pip.log").read_text(encoding="utf-8").splitlines()
    return [line.partition("--quiet ")[2] for line in lines]


@pytest.mark.parametrize(("kind", "lock"), [("runtime", "requirements.lock"), ("dev", "requirements-dev.lock")])
def test_setup_takes_the_python_that_works(checkout: Path, kind: str, lock: str) -> None:
    """A shim that fails is passed over; what the locks name is installed by its hashes and then the project.

    Nothing of pip's is shown, and pip fetches nothing by itself to build the project.
    """
    result = set_up(checkout, kind)
    assert result.returncode == 0
    assert f"setup: .venv from {checkout}/bin/python3.11" in result.stderr
    assert pip_arguments(checkout) == [
        f"--require-hashes --requirement requirements-build.lock --requirement {lock}",
        "--no-build-isolation --editable .",
    ]
    assert "output of pip" not in result.stdout + result.stderr


def test_the_tools_have_an_environment_of_their_own(checkout: Path) -> None:
    """They are installed beside .venv, and without the project."""
    result = set_up(checkout, "tools")
    assert result.returncode == 0
    assert pip_arguments(checkout) == ["--require-hashes --requirement requirements-tools.lock"]
    assert (checkout / ".venv-tools" / "bin" / "python").exists()
    assert not (checkout / ".venv").exists()


def test_a_failed_installation_shows_what_pip_said(checkout: Path) -> None:
    """pip's output appears when it fails, and the set-up stops there."""
    (checkout / "fail").touch()
    result = set_up(checkout, "runtime")
    assert result.returncode == 1
    assert "output of pip" in result.stderr
    assert len(pip_arguments(checkout)) == 1


def test_an_environment_whose_python_has_gone_is_made_anew(checkout: Path) -> None:
    """A .venv with a dangling interpreter is replaced, not used."""
    (checkout / ".venv" / "bin").mkdir(parents=True)
    (checkout / ".venv" / "bin" / "python").symlink_to(checkout / "gone")
    result = set_up(checkout, "runtime")
    assert result.returncode == 0
    assert "making it anew" in result.stderr
    assert pip_arguments(checkout)


def test_a_named_python_that_does_not_do_is_refused(checkout: Path) -> None:
    """PYTHON is taken at its word: no other Python is tried in its place."""
    result = set_up(checkout, "runtime", PYTHON="/bin/false")
    assert result.returncode == 1
    assert "no working Python 3.11 to 3.14 with venv was found at PYTHON=/bin/false" in result.stderr
    assert not (checkout / ".venv").exists()


def test_an_unknown_kind_is_a_usage_error(checkout: Path) -> None:
    """Only runtime and dev can be set up."""
    result = set_up(checkout, "everything")
    assert result.returncode == 2
    assert "everything" in result.stderr
