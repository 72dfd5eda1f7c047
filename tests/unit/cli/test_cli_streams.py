"""Standard streams that are full, closed or gone: one clear line or silence, and an exit code."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ENVIRON = {"PATH": os.environ["PATH"], "LANG": "C.UTF-8"}
PROGRAM = (sys.executable, "-c", "from orchestrator.cli.main import main; main()")
UNKNOWN = ("get", "nope", "--json")

needs_full = pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")


def shell(redirections: str, *command: str, **environ: str) -> subprocess.CompletedProcess[str]:
    """Run a command under a shell's redirections."""
    return subprocess.run(
        ("bash", "-c", f'exec "$@" {redirections}', "bash", *command),
        env=ENVIRON | environ,
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )


@needs_full
@pytest.mark.parametrize("args", [("--help",), ("list", "--help"), UNKNOWN], ids=" ".join)
def test_full_standard_output_is_one_line(args: tuple[str, ...]) -> None:
    """Data that cannot be written is told of on one line with exit code 1, whoever writes it."""
    result = shell("> /dev/full", *PROGRAM, *args, LANG="pt_BR.UTF-8")
    assert result.returncode == 1
    told = [line for line in result.stderr.splitlines() if "nope" not in line]
    assert told == ["erro: não foi possível escrever: No space left on device"]


@pytest.mark.parametrize("args", [("--help",), ("list", "--help"), UNKNOWN], ids=" ".join)
def test_reader_that_has_gone_is_no_error(args: tuple[str, ...]) -> None:
    """Into a closed pipe the program ends as one that SIGPIPE ended, without a word of it."""
    ours, theirs = os.pipe()
    os.close(ours)
    result = subprocess.run(
        (*PROGRAM, *args), env=ENVIRON, stdout=theirs, stderr=subprocess.PIPE, text=True, timeout=100, check=False
    )
    os.close(theirs)
    assert result.returncode == 141
    assert [line for line in result.stderr.splitlines() if "nope" not in line] == []


@needs_full
@pytest.mark.parametrize("redirections", ["2> /dev/full", "2>&-", "<&- 2>&-"])
def test_data_goes_out_without_words(redirections: str) -> None:
    """Where words cannot be written the data is written all the same, and the exit code is that of the command."""
    result = shell(redirections, *PROGRAM, *UNKNOWN)
    assert result.returncode == 7
    assert '"run_not_found"' in result.stdout


def test_closed_streams_are_no_error() -> None:
    """A program that is started without standard streams does its work; nothing is left to write to."""
    result = shell("<&- >&- 2>&-", *PROGRAM, *UNKNOWN)
    assert (result.returncode, result.stdout, result.stderr) == (7, "", "")


def test_closed_streams_are_not_given_to_files() -> None:
    """The number of a closed stream does not go to the next file or socket, where stray output would end up."""
    code = (
        "import os, sys\n"
        "from orchestrator.cli import process\n"
        "process.prepare()\n"
        "print('stray'); sys.stderr.write('stray'); sys.stdout.flush()\n"
        "sys.stdin.read()\n"
        "os.write(3, str(os.open(os.devnull, os.O_RDONLY)).encode())\n"
    )
    result = shell("3>&1 <&- >&- 2>&-", sys.executable, "-c", code)
    assert result.returncode == 0
    assert int(result.stdout) > 2


def test_file_that_is_refused_is_named(tmp_path: Path) -> None:
    """A file that the system refuses in the middle of a command is one line that names it."""
    code = (
        "import click\n"
        "from orchestrator.cli import main\n"
        "main.cli.get_command = lambda ctx, name: click.Command('x', callback=lambda: open('/nowhere/file'))\n"
        "main.main()\n"
    )
    result = shell("", sys.executable, "-c", code, "x")
    assert (result.returncode, result.stderr) == (1, "error: /nowhere/file: No such file or directory\n")


@pytest.mark.parametrize(
    ("encoding", "shown"),
    [
        ("ascii", 'Execucao: nao ha "dados" - *~>? Ano'),
        ("latin-1", 'Execução: não há "dados" - *~>? Año'),
        ("utf-8", "Execução: não há “dados” – •…→界 Año"),
    ],
)
def test_other_encoding_keeps_the_text_readable(encoding: str, shown: str) -> None:
    """A terminal without accents shows the bare letters, one column for one; only what has no likeness is a mark."""
    code = "from orchestrator.cli import process; process.prepare(); print('Execução: não há “dados” – •…→界 Año')"
    result = subprocess.run(
        (sys.executable, "-X", "utf8=0", "-c", code),
        env=ENVIRON | {"PYTHONIOENCODING": encoding},
        stdout=subprocess.PIPE,
        timeout=100,
        check=True,
    )
    assert result.stdout.decode(encoding) == f"{shown}\n"
