"""The command ``pipelines``: the list, and one as a diagram, from the data of the documentation's example."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from cli_support import Cli, Result, run_command

from orchestrator.cli.context import CliContext
from orchestrator.routing.registry import PIPELINES_FILE

PAGE = (Path(__file__).parents[3] / "docs" / "pipelines.md").read_text("utf-8")
EXAMPLE, DRAWN = (
    re.findall(rf"^```{kind}\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)[0] for kind in ("toml", "mermaid")
)


@pytest.fixture
def cli(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Cli:
    path = tmp_path / "pipelines.toml"
    path.write_text(EXAMPLE, "utf-8")

    def call(*args: str, **environ: str) -> Result:
        return run_command(capsys, args, CliContext({PIPELINES_FILE: str(path), **environ}))

    return call


def test_the_list_has_the_sites_pipelines_first(cli: Cli) -> None:
    """Name, title, sources by stage and what leads to each."""
    lines = cli("pipelines").out.splitlines()
    assert re.split(r"  +", lines[0]) == ["name", "title", "sources", "led to by"]
    assert re.split(r"  +", lines[1]) == [
        "fechamento",
        "Fechamento mensal",
        "tws_status > log_cache, rag_search",
        "“fechamento”, “virada do mês”",
    ]
    assert [line.partition(" ")[0] for line in lines[2:]] == [
        *("so-tws", "troubleshoot", "status", "query", "action", "general", "everything")
    ]
    assert "por que algo falhou" in cli("pipelines", LANG="pt_BR.UTF-8").out


def test_one_is_drawn_as_the_page_shows(cli: Cli) -> None:
    """The flowchart of the documentation is what the command draws."""
    assert cli("pipelines", "fechamento").out == DRAWN


def test_a_composition_is_drawn(cli: Cli) -> None:
    """Several names are one pipeline, and the sources of a site stand in the last stage."""
    drawn = cli("pipelines", "fechamento|troubleshoot").out
    assert 'plan["fechamento+troubleshoot"]' in drawn
    assert 's2_site["sources of the site"]' in drawn
    assert drawn.count("subgraph") == drawn.count("    end\n") == 2


def test_json_is_the_data(cli: Cli) -> None:
    """For programs: the keys of the file, and which are built in."""
    listed = json.loads(cli("pipelines", "--json").out)
    assert [item["name"] for item in listed if not item["built_in"]] == ["fechamento", "so-tws"]
    one = json.loads(cli("pipelines", "fechamento", "--json").out)
    assert one["stages"] == [["tws_status"], ["log_cache", "rag_search"]]
    assert one["limits"]["tws_status"] == {"seconds": 8.0, "batch": 50, "retries": 1, "cache_seconds": 30.0}


def test_a_wrong_name_and_a_wrong_file_are_one_line(cli: Cli, tmp_path: Path) -> None:
    """Exit code 2, with the known names, or the variable."""
    unknown = cli("pipelines", "nada")
    assert (unknown.code, unknown.out) == (2, "")
    assert "no pipeline is named 'nada'; known: fechamento, so-tws, troubleshoot" in unknown.err
    (tmp_path / "wrong.toml").write_text("[a]\n")
    wrong = cli("pipelines", RESYNC_PIPELINES_FILE=str(tmp_path / "wrong.toml"))
    assert wrong.code == 2
    assert "wrong.toml: [a] stages: Field required" in wrong.err
