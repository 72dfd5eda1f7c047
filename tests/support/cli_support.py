"""Commands run in this process, with their exit code and output."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from orchestrator.cli.main import run

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pytest

    from orchestrator.cli.context import CliContext


@dataclass(frozen=True)
class Result:
    """What a command ended with, and wrote."""

    code: int
    out: str
    err: str


Cli = Callable[..., Result]
"""A command by its words; the environment as keywords."""


def run_command(capsys: pytest.CaptureFixture[str], args: Sequence[str], context: CliContext) -> Result:
    """The result of the command ``args``."""
    code = run(args, context)
    captured = capsys.readouterr()
    return Result(code, captured.out, captured.err)
