"""``logs ingest`` and ``logs show`` against a real redis-server."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import click
import pytest
import redis
from click.testing import CliRunner

from orchestrator.cli.context import CliContext
from orchestrator.cli.main import run
from orchestrator.errors import InvalidRequest, StoreUnreachable
from workers.cli.logs import command

LOG = """= JOB       : SRV1#NIGHT[(0200 11/23/26),(AB)].LOAD01
= Mon 11/23/26 02:00:00 UTC
connect with password=planted-secret-1
ORA-00060: deadlock detected ERROR
= Exit Status           : 5
= Mon 11/23/26 02:01:00 UTC
"""


@dataclass(frozen=True)
class Outcome:
    """What a command did."""

    code: int
    out: str
    err: str
    error: BaseException | None

    @property
    def json(self) -> dict[str, object]:
        loaded: dict[str, object] = json.loads(self.out)
        return loaded


@pytest.fixture
def logs(redis_url: str) -> Callable[..., Outcome]:
    """Run ``logs`` with the given arguments."""

    def call(*args: str, stdin: str | bytes | None = None, url: str = redis_url, lang: str = "en_US.UTF-8") -> Outcome:
        environ = {"REDIS_URL": url, "LANG": lang, "RESYNC_LOG_CACHE_RETENTION_DAYS": "3000"}
        result = CliRunner().invoke(command, list(args), input=stdin, obj=CliContext(environ))
        return Outcome(result.exit_code, result.stdout, result.stderr, result.exception)

    return call


@pytest.fixture
def log_file(tmp_path: Path) -> Path:
    """A job log in a file."""
    path = tmp_path / "job.log"
    path.write_text(LOG)
    return path


def test_a_job_log_is_remembered_once(logs: Callable[..., Outcome], log_file: Path) -> None:
    """The first reading is new, the second known, even from a file with another date."""
    assert logs("ingest", str(log_file), "--json").json == {
        "format": "log", "instance": "default", "lines": 6, "new": 2, "known": 0, "dropped": 0, "ignored": 0,
        "bad": 0, "bad_lines": [],
    }  # fmt: skip
    os.utime(log_file, (1, 1))
    again = logs("ingest", str(log_file), "--json").json
    assert (again["new"], again["known"]) == (0, 2)


def test_what_is_remembered_is_shown_without_secrets(
    logs: Callable[..., Outcome], log_file: Path, redis_url: str
) -> None:
    """``show`` gives the outcome and the finding; the password of the log is nowhere in Redis."""
    logs("ingest", str(log_file), "--instance", "prod")
    shown = logs("show", "SRV1#NIGHT.LOAD01", "--instance", "prod")
    assert "2026-11-23T02:01:00Z  LOAD01 ABEND RC=5" in shown.out
    assert "deadlock" in shown.out
    with redis.Redis.from_url(redis_url) as client:
        stored = b"".join(b"".join(client.hvals(key)) for key in client.keys("*:values"))
    assert b"planted-secret-1" not in stored
    assert b"deadlock" in stored


def test_a_log_cannot_drive_the_terminal_or_the_clock(logs: Callable[..., Outcome]) -> None:
    """Escape sequences are not shown, and twenty thousand lines of blanks are read in seconds."""
    text = "ERROR \x1b]0;title\x07\x1b[2J ABEND=S0C7\n" + ("ERROR return code" + " " * 380 + "\n") * 20_000
    began = time.process_time()
    assert logs("ingest", "-", "--job", "LOAD02", stdin=text).code == 0
    shown = logs("show", "LOAD02").out
    assert "S0C7" in shown
    assert not {"\x1b", "\x07"} & set(shown)
    assert time.process_time() - began < 20


def test_standard_input_and_job_override(logs: Callable[..., Outcome]) -> None:
    """``-`` reads standard input, in any encoding; --job files the log under that job."""
    result = logs("ingest", "-", "--job", "WS#S.OTHER", stdin=LOG.encode() + b"\xe7\xe3o ERROR\n")
    assert result.code == 0
    assert "2 new records" in result.out
    (finding,) = [e for e in json.loads(logs("show", "OTHER", "--json").out) if "deadlock" in e["text"]]
    assert finding["job"] == "OTHER"


def test_bad_lines_are_told_on_standard_error(logs: Callable[..., Outcome]) -> None:
    """Data goes to standard output, the numbers of unreadable lines to standard error."""
    lines = json.dumps({"job": "J1", "status": "SUCC", "at": "2026-11-20T00:00:00Z"}) + "\n{oops\n"
    result = logs("ingest", "-", stdin=lines, lang="pt_BR.UTF-8")
    assert result.code == 0
    assert result.out == (
        "-: 2 linhas; 1 registro novo, 0 já conhecidos, 0 antigos demais, 0 sem interesse, 1 ilegível\n"
    )
    assert result.err == "-, linha 2: não é JSON na coluna 2\n"


def test_progress_is_told_on_standard_error(logs: Callable[..., Outcome], monkeypatch: pytest.MonkeyPatch) -> None:
    """A long log says how far it is, outside the data."""
    monkeypatch.setattr("workers.cli.logs._PROGRESS_LINES", 3)
    result = logs("ingest", "-", "--json", stdin=LOG)
    assert result.err.splitlines() == ["-: 3 lines read", "-: 6 lines read"]
    assert result.json["lines"] == 6


@pytest.mark.parametrize(
    ("args", "names"),
    [
        (("ingest", "-", "--job", "../x"), "--job"),
        (("ingest", "-", "--instance", "a:b"), "--instance"),
        (("ingest", "/nowhere/x.log"), "/nowhere/x.log"),
        (("show", "X' OR 1"), "JOB"),
    ],
)
def test_wrong_arguments_are_usage_errors(
    redis_url: str, args: tuple[str, ...], names: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """One line that names the argument, exit code 2."""
    assert run(["logs", *args], CliContext({"REDIS_URL": redis_url})) == click.UsageError.exit_code
    (line,) = capsys.readouterr().err.splitlines()
    assert names in line


@pytest.mark.parametrize("text", ["{broken\n", "", "no job named, ERROR\n"])
def test_a_log_of_which_nothing_can_be_kept_is_an_error(logs: Callable[..., Outcome], text: str) -> None:
    """Nothing usable is an error of its own, with exit code 2."""
    result = logs("ingest", "-", stdin=text)
    assert isinstance(result.error, InvalidRequest)
    assert result.error.exit_code == 2


def test_json_lines_of_which_none_can_be_read_are_an_error(logs: Callable[..., Outcome]) -> None:
    """When every line is bad, nothing is claimed to be done."""
    result = logs("ingest", "-", stdin='{"status": "ABEND"}\n[1]\n')
    assert isinstance(result.error, InvalidRequest)


def test_no_redis_is_told_with_its_exit_code(logs: Callable[..., Outcome], log_file: Path) -> None:
    """An unreachable store is StoreUnreachable, exit code 5, without the password."""
    result = logs("ingest", str(log_file), url="redis://:planted@127.0.0.1:1/0")
    assert isinstance(result.error, StoreUnreachable)
    assert "planted" not in str(result.error)


def test_json_of_logs_is_utf_8_on_any_terminal(
    redis_url: str, tmp_path: Path, capfdbinary: pytest.CaptureFixture[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a terminal of another encoding no letter of a log is replaced by a similar one."""
    (tmp_path / "job.log").write_text(LOG.replace("deadlock", "“não”"), encoding="utf-8")
    context = CliContext({"REDIS_URL": redis_url, "RESYNC_LOG_CACHE_RETENTION_DAYS": "3000"})
    monkeypatch.setattr(sys, "stdout", open(1, "w", encoding="latin-1", errors="replace", closefd=False))  # noqa: SIM115
    for args in (("ingest", str(tmp_path / "job.log")), ("show", "LOAD01")):
        assert run(("logs", *args, "--json"), context) == 0
    _, entries = map(json.loads, capfdbinary.readouterr().out.decode("utf-8").splitlines())
    assert any("“não” detected" in entry["text"] for entry in entries)
