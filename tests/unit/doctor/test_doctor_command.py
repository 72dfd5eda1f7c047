"""The command doctor: table, JSON, options and exit codes, over settings alone."""

from __future__ import annotations

import json

import click
import pytest

from orchestrator.cli.context import CliContext
from orchestrator.cli.main import run
from orchestrator.i18n.languages import Language
from workers.doctor.check import CheckResult, Status
from workers.doctor.report import json_report, table_report

RESULTS = [
    CheckResult(Status.OK, "all is well", facts={"version": "7.0"}, name="redis", took_ms=3.2),
    CheckResult(
        Status.ERROR,
        "it refused the sign-in of the user we have",
        "Mend it.",
        "unauthorized",
        name="tws:prod",
        took_ms=1_234.5,
    ),
]


def doctor(*args: str, **environ: str) -> int:
    return run(["doctor", *args], CliContext(environ))


def test_the_table_has_a_line_for_each_check_and_its_remedy() -> None:
    """Name, status, time and finding stand in columns; what to do stands below, under the finding."""
    lines = click.unstyle(table_report(RESULTS, Language.EN, width=None)).splitlines()
    assert lines[0].split() == ["check", "status", "time", "found"]
    column = lines[0].index("found")
    assert "3 ms" in lines[1]
    assert "1.2 s" in lines[2]
    assert lines[2][column:] == "it refused the sign-in of the user we have"
    assert lines[3] == " " * column + "→ Mend it."


def test_the_table_fits_a_narrow_terminal() -> None:
    """Long findings are folded under their own column."""
    lines = click.unstyle(table_report(RESULTS, Language.EN, width=62)).splitlines()
    assert max(map(len, lines)) <= 62
    assert len(lines) > 4


def test_the_table_speaks_the_terminals_language() -> None:
    """Headings and states are in the language of the terminal."""
    table = table_report(RESULTS, Language.PT_BR, width=None)
    assert "situação" in table
    assert "1,2 s" in table
    assert "estado" in table_report(RESULTS, Language.ES, width=None)


def test_json_is_stable() -> None:
    """Programs get status, reason, time and facts, and the exit code that the process ends with."""
    report = json_report(RESULTS)
    assert report["exit_code"] == 1
    assert report["counts"] == {"ok": 1, "warning": 0, "error": 1, "off": 0}
    assert report["checks"][1] == {  # type: ignore[index]
        "name": "tws:prod",
        "status": "error",
        "reason": "unauthorized",
        "found": "it refused the sign-in of the user we have",
        "fix": "Mend it.",
        "took_ms": 1_234.5,
        "facts": {},
    }


def test_nothing_to_repair_ends_with_zero(capsys: pytest.CaptureFixture[str]) -> None:
    """A counterpart that is not configured is off, with how to configure it, and no failure."""
    assert doctor("--only", "llm", "--only", "metrics", LANG="pt_BR.UTF-8") == 0
    out, err = capsys.readouterr()
    assert "LLM_MODEL" in out
    assert "respostas determinísticas" in out
    assert "2 inativos" in err


def test_a_wrong_setting_ends_with_two(capsys: pytest.CaptureFixture[str]) -> None:
    """Each wrong setting is told by its variable, next to the others, and its value is not."""
    code = doctor("--json", "--only", "llm", "--only", "tws", LLM_ENDPOINT="ftp://secret", TWS_PORT="secret")
    report = json.loads(capsys.readouterr().out)
    assert code == report["exit_code"] == 2
    assert [check["reason"] for check in report["checks"]] == ["configuration", "configuration"]
    assert "TWS_PORT" in report["checks"][0]["found"]
    assert "LLM_ENDPOINT" in report["checks"][1]["found"]
    assert "secret" not in json.dumps(report)


def test_an_unknown_name_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    """A misspelt check is a usage error that lists the checks."""
    assert doctor("--only", "reddis") == 2
    err = capsys.readouterr().err
    assert "'reddis'" in err
    assert "watchers" in err


@pytest.mark.parametrize("seconds", ["-1", "0", "61", "soon", "nan"])
def test_a_timeout_out_of_range_is_refused(seconds: str, capsys: pytest.CaptureFixture[str]) -> None:
    """A limit that cannot be kept is a usage error."""
    assert doctor("--timeout", seconds) == 2
    assert "--timeout" in capsys.readouterr().err


def test_the_option_stands_in_for_the_variable(capsys: pytest.CaptureFixture[str]) -> None:
    """--redis-url is what is examined, whatever REDIS_URL says, for broker, store and log cache."""
    url = "redis://127.0.0.1:1/0"
    code = doctor("--redis-url", url, "--only", "redis", "--only", "log_cache", "--json", REDIS_URL="http://wrong")
    report = json.loads(capsys.readouterr().out)
    assert code == 5
    assert "127.0.0.1:1/0" in report["checks"][0]["found"]
    assert report["checks"][1]["status"] == "off"


def test_json_is_the_same_in_every_language(capsys: pytest.CaptureFixture[str]) -> None:
    """A program reads the same findings whatever the locale of the terminal."""
    pages = []
    for language in ("pt_BR.UTF-8", "C"):
        doctor("--json", "--only", "llm", "--only", "metrics", LANG=language)
        checks = json.loads(capsys.readouterr().out)["checks"]
        pages.append([(check["name"], check["found"], check["fix"]) for check in checks])
    assert pages[0] == pages[1]
    assert pages[0][0][1] == "no metrics are configured"
