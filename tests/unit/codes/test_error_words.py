"""Words by which a line of a log reports an error, and those that deny one."""

from __future__ import annotations

import time

import pytest

from orchestrator.codes.error_words import reports_error, reports_failure
from orchestrator.codes.patterns import is_severe


@pytest.mark.parametrize(
    ("line", "failure"),
    [
        ("ERROR: cannot open /dados/entrada.txt", True),
        ("IEF450I J1 S1 - ABEND=S0C7 U0000", True),
        ("java.lang.NullPointerException: x", True),
        ("Falha ao abrir o arquivo", True),
        ("el proceso falló", True),
        ("step failed", True),
        ("/app/run.sh: line 3: Killed", True),
        ("cp: No space left on device", True),
        # What is talked of, or what a program may survive.
        ("error na linha 3", False),
        ("ls: no such file or directory", False),
        ("open /x: Permission denied", False),
        ("acesso negado ao usuário", False),
        ("SQLCODE = -911", False),
    ],
)
def test_an_error_is_recognised_in_three_languages(line: str, failure: bool) -> None:
    """Each word counts as an error; what programs write before they end counts as a failure as well."""
    assert reports_error(line)
    assert reports_failure(line) is failure


@pytest.mark.parametrize(
    "line",
    [
        "0 errors",
        "concluído sem erros",
        "ERRORS: 0",
        "no errors found",
        "ERRORLEVEL 0",
        "failed: 0",
        "SQLCODE = 000",
        "nenhuma falha",
        "12 registros lidos",
        "terrorists",
    ],
)
def test_a_line_that_denies_errors_reports_none(line: str) -> None:
    """A count of zero is good news, whatever its word."""
    assert not reports_error(line)
    assert not reports_failure(line)


def test_the_severity_of_a_message_is_its_last_letter() -> None:
    """E and S are errors, I and W are none; A asks an operator for something, but is critical to sort programs."""
    severe = {"AWSBHT001E", "EQQE107E", "CEE3207S", "ICE046A", "WER046A", "AWSBHT001W", "IEF450I", "IEF233A"}
    assert {message for message in severe if is_severe(message)} == {
        "AWSBHT001E", "EQQE107E", "CEE3207S", "ICE046A", "WER046A",
    }  # fmt: skip


@pytest.mark.parametrize("piece", ["a", "Error", "a ", "no ", "SQLCODE ", "errors : "])
def test_reading_takes_time_in_line_with_the_text(piece: str) -> None:
    """No line makes the patterns try every division of it."""
    line = piece * (200_000 // len(piece))
    started = time.thread_time()
    reports_error(line)
    reports_failure(line)
    assert time.thread_time() - started < 2
