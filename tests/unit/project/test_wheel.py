"""What is in the wheel."""

from __future__ import annotations

import subprocess
import sys
from email import message_from_bytes
from pathlib import Path
from zipfile import ZipFile

ROOT = Path(__file__).parents[3]


def test_the_wheel_has_every_file_of_both_packages_and_the_licence(tmp_path: Path) -> None:
    """Scripts, catalogues and data come with the code; it is typed, for the Pythons that are supported."""
    # By the locked build group, without fetching anything.
    build = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(tmp_path)]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True, timeout=200)
    tracked = subprocess.run(
        ["git", "ls-files", "orchestrator", "workers"], cwd=ROOT, check=True, capture_output=True, text=True, timeout=60
    ).stdout.split()
    (path,) = tmp_path.glob("*.whl")
    with ZipFile(path) as wheel:
        names = {name for name in wheel.namelist() if not name.partition("/")[0].endswith(".dist-info")}
        (about,) = {name.partition("/")[0] for name in wheel.namelist()} - {"orchestrator", "workers"}
        metadata = message_from_bytes(wheel.read(f"{about}/METADATA"))
        licence = wheel.read(f"{about}/licenses/LICENSE")
    # Files that are not tracked yet may be there too.
    assert {name for name in tracked if (ROOT / name).is_file()} <= names
    assert {"orchestrator/py.typed", "workers/py.typed"} <= names
    assert licence == (ROOT / "LICENSE").read_bytes()
    assert metadata["License-Expression"] == "Apache-2.0"
    assert "Typing :: Typed" in metadata.get_all("Classifier", [])
    assert set(metadata["Requires-Python"].split(",")) == {">=3.11", "<3.15"}
