"""A name that is not known is told with the nearest ones, in the language of the terminal."""

from __future__ import annotations

import re

import pytest
from cli_support import run_command

from orchestrator.cli.context import CliContext
from orchestrator.nearest import nearest

MEANT = [
    ("lits", "list"),
    ("sumbit x", "submit"),
    ("kb serch x", "search"),
    ("list --limt 3", "--limit"),
    ("list --state opn", "open"),
    ("list --outcome timeout", "timed_out"),
    ("submit x --disable metric", "metrics"),
    ("submit x --disable tws", "tws_status"),
    ("worker log-cache", "log_cache"),
    ("worker metrics --pool thread", "threads"),
    ("up --worker synthesys=2", "synthesis"),
    ("demo --scenario 12", "11"),
    ("eval --scenario 0", "1"),
    ("pipelines statu", "status"),
    ("doctor --only redes", "redis"),
    ("completion bas", "bash"),
]
WORDS = {"C": "id you mean", "pt_BR.UTF-8": "você quis dizer |Seria ", "es_ES.UTF-8": "¿quiso decir |¿"}


@pytest.mark.parametrize(("line", "meant"), MEANT)
def test_the_nearest_name_is_told(line: str, meant: str, capsys: pytest.CaptureFixture[str]) -> None:
    """For commands, options, values, queues, sources, scenarios, pipelines and checks; exit code 2."""
    for language, words in WORDS.items():
        result = run_command(capsys, line.split(), CliContext({"LANG": language}))
        assert result.code == 2, result
        hint = result.err.strip().rpartition("\n")[2]
        assert meant in re.split(words, hint, maxsplit=1)[1]


@pytest.mark.parametrize("line", ["zzzz", "list --state zzzz", "worker zzzz"])
def test_what_is_like_nothing_gets_no_guess(line: str, capsys: pytest.CaptureFixture[str]) -> None:
    """The error stays as it is."""
    result = run_command(capsys, line.split(), CliContext({}))
    assert (result.code, "did you mean" in result.err.lower()) == (2, False)


@pytest.mark.parametrize(
    ("name", "expected"),
    [("METRICS", ("metrics",)), ("log-cache", ("log_cache",)), ("q", ()), ("", ()), ("x" * 10_000, ())],
)
def test_nearest_names(name: str, expected: tuple[str, ...]) -> None:
    """Capitals, "-" and "_" make no difference; a long text costs no more than a short one."""
    assert nearest(name, ("tws_status", "log_cache", "metrics")) == expected
