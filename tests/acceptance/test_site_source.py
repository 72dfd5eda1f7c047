"""A source that a site adds: installed from the documentation's own example, asked by real processes."""

from __future__ import annotations

import json
import os
import re
import select
import signal
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests_support import on_terminal, without_escapes

from orchestrator.models import Report, SourceOutcome
from orchestrator.sources import SOURCES_GROUP

pytestmark = pytest.mark.acceptance

PAGE = Path(__file__).parents[2] / "docs" / "sources.md"
PROGRAM = str(Path(sys.executable).with_name("resync-troubleshoot"))
QUESTION = ("Job BATCH001 falhou com ABEND S0C7", "--job", "BATCH001")
TICKETS = [
    {
        "id": "INC-7",
        "job": "BATCH001",
        "text": "Arquivo do dia veio com registro truncado",
        "at": "2026-11-20T10:00:00Z",
    },
    {"id": "INC-8", "job": "OTHER", "text": "not about it"},
]


def install(folder: Path) -> None:
    """Lay the example out as an installed distribution: what pip makes of its module and its pyproject.toml."""
    found = re.findall(r"^```(python|toml)\n(.*?)^```$", PAGE.read_text("utf-8"), re.MULTILINE | re.DOTALL)
    blocks = dict(reversed(found))  # the first of each kind
    project = tomllib.loads(blocks["toml"])["project"]
    points = project["entry-points"][SOURCES_GROUP]
    folder.mkdir()
    (folder / "site_tickets.py").write_text(blocks["python"], "utf-8")
    info = folder / f"{project['name'].replace('-', '_')}-{project['version']}.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(
        f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {project['version']}\n", "utf-8"
    )
    lines = [f"[{SOURCES_GROUP}]", *(f"{name} = {target}" for name, target in points.items())]
    (info / "entry_points.txt").write_text("\n".join(lines) + "\n", "utf-8")


def environ_of(folder: Path, **more: str) -> dict[str, str]:
    return {
        "PATH": os.environ["PATH"], "HOME": str(folder), "TMPDIR": str(folder), "LANG": "C.UTF-8",
        "PYTHONPATH": str(folder / "site"), **more,
    }  # fmt: skip


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """``up`` with the source on its path; gives the environment of another shell, and what ``up`` said, as ``UP``.

    It is started where packages of other people have the names of ours, as they may in an app's folder.
    """
    folder = tmp_path_factory.mktemp("site")
    for name in ("orchestrator", "workers"):
        (folder / name).mkdir()
        (folder / name / "__init__.py").write_text("raise SystemExit('not ours')\n")
    install(folder / "site")
    tickets = folder / "tickets.json"
    tickets.write_text(json.dumps(TICKETS), "utf-8")
    environ = environ_of(folder, SITE_TICKETS_FILE=str(tickets))
    arguments = (PROGRAM, "up", "--no-flower", "--demo-data", "--json")
    with (folder / "up.log").open("wb") as log:
        up = subprocess.Popen(arguments, cwd=folder, env=environ, stdout=subprocess.PIPE, stderr=log)
        try:
            assert up.stdout is not None
            ready, _, _ = select.select([up.stdout], [], [], 60)
            said = up.stdout.readline().decode() if ready else ""
            assert said, (folder / "up.log").read_text()
            variables = Path(json.loads(said)["environment"]).read_text()
            shared = dict(re.findall(r"^export (\w+)='?([^'\n]*)'?$", variables, re.MULTILINE))
            yield {**environ, **shared, "UP": said}
        finally:
            up.send_signal(signal.SIGTERM)
            up.wait(60)
            assert up.stdout is not None
            up.stdout.close()


def run(site: dict[str, str], *args: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run((PROGRAM, *args), env=site, capture_output=True, text=True, timeout=100, check=False)


def on_a_terminal(site: dict[str, str], *args: str) -> str:
    """What the command draws, without its escape sequences."""
    environ = {**site, "TERM": "xterm-256color", "COLUMNS": "120", "LINES": "50"}
    return without_escapes(on_terminal((PROGRAM, *args), environ)[1])


def test_a_registration_is_all_that_a_source_needs(site: dict[str, str]) -> None:
    """Queue, worker, row of the live view and envelope of a site's source come from its entry point."""
    assert any(name.startswith("tickets") for name in json.loads(site["UP"])["processes"])
    queues = run(site, "queues", "--json")
    assert "tickets" in queues.stdout, queues.stderr
    shown = on_a_terminal(site, "submit", *QUESTION)
    assert re.search(r"tickets +ok +\d+\.\d\d s  1 ticket\(s\)", shown), shown
    answer = run(site, "submit", *QUESTION, "--json")
    report = Report.model_validate_json(answer.stdout)
    (envelope,) = [found for found in report.parallel_results if found.source == "tickets"]
    assert (envelope.outcome, envelope.job, envelope.data) == (SourceOutcome.OK, "BATCH001", {"tickets": ["INC-7"]})
    assert (envelope.evidence[0].id, envelope.evidence[0].text) == ("tickets:1", TICKETS[0]["text"])
    assert (envelope.where, envelope.worker.partition("@")[0]) == ("tickets.json", "tickets")
    assert len(report.parallel_results) == 5


def test_a_site_source_can_be_switched_off_and_says_no_data(site: dict[str, str]) -> None:
    """It obeys --disable like the built-in ones, and nothing found is no_data."""
    without = Report.model_validate_json(run(site, "submit", *QUESTION, "--disable", "tickets", "--json").stdout)
    assert "tickets" not in {found.source for found in without.parallel_results}
    other = run(site, "submit", "Job RELFAT01 falhou", "--job", "RELFAT01", "--json")
    outcomes = {found.source: found.outcome for found in Report.model_validate_json(other.stdout).parallel_results}
    assert outcomes["tickets"] is SourceOutcome.NO_DATA


def test_a_site_source_that_lacks_its_setting_stops_with_its_name(tmp_path: Path) -> None:
    """A worker for it does not start without the variable, which the line names."""
    install(tmp_path / "site")
    arguments = (PROGRAM, "worker", "tickets", "--redis-url", "redis://127.0.0.1:1/0")
    worker = subprocess.run(
        arguments, env=environ_of(tmp_path), capture_output=True, text=True, timeout=100, check=False
    )
    assert worker.returncode == 2
    assert "SITE_TICKETS_FILE: name the file of tickets" in worker.stderr
