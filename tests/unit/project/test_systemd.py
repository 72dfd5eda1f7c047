"""The systemd units: accepted by systemd, one worker instance a queue, confined, no secret in a unit."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from orchestrator.broker.app import queue_names

ROOT = Path(__file__).parents[3]
UNITS = ROOT / "ops" / "systemd"
SERVICES = sorted(UNITS.glob("*.service"))
QUEUES = queue_names()


def directives(unit: Path) -> dict[str, list[str]]:
    """The values of each directive, whatever its section; a unit file may name one several times."""
    values: dict[str, list[str]] = {}
    for line in unit.read_text(encoding="utf-8").splitlines():
        if line and line[0] not in "#;[":
            name, separator, value = line.partition("=")
            assert separator, f"{unit.name}: not a directive: {line}"
            values.setdefault(name, []).append(value)
    return values


@pytest.fixture
def analyze() -> str:
    """The program `systemd-analyze`."""
    program = shutil.which("systemd-analyze")
    if program is None:
        if os.environ.get("CI") == "true":
            pytest.fail("systemd-analyze is missing in CI")
        pytest.skip("systemd-analyze is not installed")
    return program


@pytest.mark.parametrize("unit", SERVICES, ids=lambda unit: unit.name)
def test_a_unit_is_little_exposed(unit: Path, analyze: str) -> None:
    """`systemd-analyze security` rates the exposure at 1.5 of 10 or less."""
    command = [analyze, "security", "--offline=yes", "--no-pager", "--threshold=15", str(unit)]
    result = subprocess.run(command, capture_output=True, text=True, timeout=100, check=False)
    assert result.returncode == 0, result.stdout[-200:] + result.stderr


def test_systemd_accepts_the_units(tmp_path: Path, analyze: str) -> None:
    """`systemd-analyze verify` finds nothing to say about any unit, with the programs in place."""
    program = tmp_path / "opt" / "bin"
    program.mkdir(parents=True)
    for name in ("resync-troubleshoot", "python", "celery"):
        (program / name).write_text("#!/bin/sh\n", encoding="utf-8")
        (program / name).chmod(0o755)
    units = tmp_path / "units"
    units.mkdir()
    for unit in UNITS.iterdir():
        text = unit.read_text(encoding="utf-8").replace("/opt/resync-troubleshoot/bin", str(program))
        (units / unit.name).write_text(text, encoding="utf-8")
    names = [str(units / unit.name).replace("@.", "@metrics.") for unit in SERVICES]
    names.append(str(units / "resync-troubleshoot.target"))
    result = subprocess.run(
        [analyze, "verify", "--recursive-errors=no", "--man=no", *names],
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    ours = [line for line in result.stderr.splitlines() if "resync-troubleshoot" in line or str(units) in line]
    assert ours == []


def test_systemd_units_are_all_there() -> None:
    """The workers and watchers are templates, Flower is one service, and a target starts them all."""
    assert {unit.name for unit in UNITS.iterdir()} == {
        "resync-troubleshoot.target",
        "resync-troubleshoot-worker@.service",
        "resync-troubleshoot-watcher@.service",
        "resync-troubleshoot-flower.service",
    }


def test_the_target_starts_every_process() -> None:
    """One worker for each queue, two watchers and Flower are wanted by the target."""
    units = {name for value in directives(UNITS / "resync-troubleshoot.target")["Wants"] for name in value.split()}
    assert units == {
        *(f"resync-troubleshoot-worker@{queue}.service" for queue in QUEUES),
        "resync-troubleshoot-watcher@1.service",
        "resync-troubleshoot-watcher@2.service",
        "resync-troubleshoot-flower.service",
    }


def test_the_worker_takes_the_queue_of_its_instance() -> None:
    """The instance's name is the queue."""
    worker = directives(UNITS / "resync-troubleshoot-worker@.service")
    assert worker["ExecStart"] == ["/opt/resync-troubleshoot/bin/resync-troubleshoot worker %i"]


@pytest.mark.parametrize("unit", SERVICES, ids=lambda unit: unit.name)
def test_a_unit_is_confined_and_restarted(unit: Path) -> None:
    """Every service runs as its own user, on a read-only system, is restarted, and has time to finish a run."""
    service = directives(unit)
    assert service["User"] == ["resync"]
    assert service["NoNewPrivileges"] == ["yes"]
    assert service["ProtectSystem"] == ["strict"]
    assert service["CapabilityBoundingSet"] == [""]
    assert service["Restart"] == ["always"]
    assert service["TimeoutStopSec"] == ["30"]
    assert service["SystemCallFilter"] == ["@system-service", "~@privileged @resources"]
    assert {"MemoryMax", "TasksMax"} <= set(service)


@pytest.mark.parametrize("unit", SERVICES, ids=lambda unit: unit.name)
def test_no_secret_stands_in_a_unit(unit: Path) -> None:
    """Units can be read by everyone, so secrets come from a file."""
    service = directives(unit)
    assert service["EnvironmentFile"][0] == "/etc/resync-troubleshoot/environment"
    assert [value for value in service["Environment"] if re.search(r"PASSWORD|TOKEN|KEY|AUTH|URL", value)] == []
