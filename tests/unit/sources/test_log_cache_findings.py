"""What is remembered of plain job logs and of JSON lines."""

from __future__ import annotations

import gzip
import json
import random
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

import pytest

from orchestrator.errors import InvalidRequest
from workers.lab.simulator.scenarios.mainframe import s0c7_log
from workers.sources.log_cache.entries import MAX_TEXT, is_failure, parse_time
from workers.sources.log_cache.history import build_history
from workers.sources.log_cache.ingest import Ingest, open_ingest
from workers.sources.log_cache.joblog_summary import summarise_job_log
from workers.sources.log_cache.record import LogRecord

NOW = datetime(2026, 11, 24, 6, 0, tzinfo=UTC)
UNIX_LOG = """===============================================================
= JOB       : SRVAPP02#CADASTRO[(0200 11/23/26),(CADASTROAB)].CARGA_CLI
= TASK      : /opt/batch/carga.sh
= USER      : batch
= Job Number: 27714
= Mon 11/23/26 02:00:00 UTC
===============================================================
loading customers
java.lang.OutOfMemoryError: Java heap space
Killed
===============================================================
= Exit Status           : 137
= Elapsed Time (hh:mm:ss) : 00:05:10
= Mon 11/23/26 02:05:10 UTC
===============================================================
""".splitlines()


LOG = "\n".join(UNIX_LOG * 30).encode()


def ingest(lines: Iterable[str], *, job: str | None = None, written_at: datetime | None = None) -> list[LogRecord]:
    """All records of a log."""
    return list(open_ingest(lines, job=job, written_at=written_at, now=NOW).records)


def test_a_framed_log_gives_the_outcome_of_its_run() -> None:
    """Job, stream, workstation, number, exit status, elapsed time and end come from the agent's frame."""
    run, finding = ingest(UNIX_LOG)
    assert (run.kind, run.job, run.job_stream, run.workstation) == ("run", "CARGA_CLI", "CADASTRO", "SRVAPP02")
    assert (run.run_id, run.status, run.return_code, run.elapsed_seconds) == ("27714", "ABEND", 137, 310.0)
    assert run.at == "2026-11-23T02:05:10Z"
    assert (finding.kind, finding.run) == ("finding", run.run)
    assert "OutOfMemoryError" in finding.text


def test_a_mainframe_log_gives_the_abend_and_its_step() -> None:
    """The abend, the step named by IEF450I and the lines around it are kept, within the text's bound."""
    log = s0c7_log(NOW - timedelta(hours=1), 41873)
    run, finding = ingest(log)
    assert (run.job, run.step, run.status) == ("BATCH001", "STEP030", "ABEND")
    assert run.codes[0] == "S0C7"
    assert "IEF450I BATCH001 STEP030 - ABEND=S0C7" in finding.text
    assert len(finding.text) <= MAX_TEXT


def test_an_error_of_a_sort_program_comes_before_what_only_informs() -> None:
    """Its ids end in A, which is severe in them alone; they are a code to compare runs by like any other error's."""
    (run, _) = ingest(["IEF403I J1 - STARTED", "ICE046A SORT CAPACITY EXCEEDED", "RC=16"])
    assert run.codes == ("ICE046A", "IEF403I")
    assert list(build_history([], [run.entry(NOW)], [], codes=()).cases) == ["ICE046A"]


def test_a_log_of_a_good_run_leaves_no_finding() -> None:
    """Exit status 0 without errors is remembered as a success alone."""
    lines = [line for line in UNIX_LOG if "Memory" not in line and line != "Killed"]
    lines = [line.replace(": 137", ": 0") for line in lines]
    (run,) = ingest(lines)
    assert (run.kind, run.status, run.return_code) == ("run", "SUCC", 0)


def test_reading_a_log_again_gives_the_same_ids() -> None:
    """Ids come from the log itself, not from the moment or the file's date."""
    first = ingest(["oops: ERROR 5"], job="J1", written_at=NOW)
    again = ingest(["oops: ERROR 5"], job="J1", written_at=NOW - timedelta(days=1))
    assert [record.id for record in first] == [record.id for record in again]
    assert first[0].at == "2026-11-24T06:00:00Z"


def test_a_long_log_of_nothing_but_errors_stays_bounded_and_keeps_the_abend() -> None:
    """However many lines are telling, the text is bounded and the weightiest one is in it."""
    lines = [f"line {number} ERROR something" for number in range(20_000)]
    lines[7_000] = "IEF450I J1 STEP1 - ABEND=S322 U0000"
    summary = summarise_job_log(lines)
    assert summary.lines == 20_000
    assert "ABEND=S322" in summary.text
    assert "[7" in summary.text
    assert len(summary.text) <= MAX_TEXT


def test_a_plain_log_without_a_job_is_refused() -> None:
    """A log that names no job cannot be filed under one."""
    with pytest.raises(InvalidRequest, match="--job"):
        ingest(["something ERROR"])


def test_an_empty_log_is_refused() -> None:
    """An empty file is an error of its own."""
    for lines in ([], ["\n", "  \n"]):
        with pytest.raises(InvalidRequest, match="empty"):
            ingest(lines, job="J1")


@pytest.mark.parametrize(
    "content", [random.Random(1).randbytes(9_000), "ERROR S0C7\n".encode("utf-16") * 9, gzip.compress(LOG)]
)
def test_what_is_no_text_is_refused(content: bytes) -> None:
    """A compressed file or another encoding would be remembered as noise that never ran."""
    with pytest.raises(InvalidRequest, match="no text"):
        ingest(content.decode("utf-8", "replace").splitlines(keepends=True), job="J1")


def test_a_log_in_an_older_encoding_is_text() -> None:
    """Letters with accents that are no UTF-8 are few, and the rest of the log tells enough."""
    log = "A execução não terminou: abend S0C7, código inválido\n".encode("latin-1") * 300
    records = ingest(log.decode("utf-8", "replace").splitlines(), job="J1")
    assert {record.kind for record in records} == {"run", "finding"}


def json_lines(*values: object) -> list[str]:
    """Values as JSON lines."""
    return [json.dumps(value) for value in values]


def test_json_lines_of_outcomes_and_errors() -> None:
    """An outcome is a run, an error a finding, and a line that tells of neither is left out."""
    records = ingest(
        json_lines(
            {"job": "J1", "timestamp": "2026-11-20T01:00:00Z", "status": "SUCC", "rc": 0, "elapsed_seconds": 60},
            {"job": "WS#S1.J2", "message": "AWSBHT001E The job could not be launched"},
            {"job": "J1", "message": "all is well"},
            ["J1 says ABEND S0C7"],
        ),
        job=None,
    )
    assert [(record.kind, record.job) for record in records] == [("run", "J1"), ("finding", "J2")]


def test_bad_json_lines_are_numbered_and_the_rest_is_read() -> None:
    """A broken line and one without a job are told with their number; their values are not."""
    reading: Ingest = open_ingest(
        [*json_lines({"job": "J1", "status": "SUCC"}), '{"job": "J1", password', "", *json_lines("ERROR hunter2", 5)],
        job=None,
        written_at=None,
        now=NOW,
    )
    assert len(list(reading.records)) == 1
    assert [number for number, _ in reading.bad_lines] == [2, 4, 5]
    assert "hunter2" not in repr(reading.bad_lines)


def test_an_entry_with_a_whole_log_keeps_the_windows_that_matter() -> None:
    """A long text is not cut at its end, where the failure stands."""
    log = "\n".join(s0c7_log(NOW, 1))
    (record,) = ingest(json_lines({"job": "BATCH001", "status": "ABEND", "log": log}))
    assert "ABEND=S0C7" in record.text
    assert (record.step, record.codes[0]) == ("STEP030", "S0C7")


def test_a_log_that_begins_with_a_bracket_is_no_json() -> None:
    """A timestamp in brackets does not make JSON lines."""
    assert open_ingest(["[2026-11-24] ERROR"], job="J1", written_at=None, now=NOW).format == "log"


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("2026-11-24T03:00:00-03:00", "2026-11-24T06:00:00+00:00"),
        ("2026-11-24 06:00:00,123", "2026-11-24T06:00:00.123000+00:00"),
        (1_795_500_000, "2026-11-24T06:00:00+00:00"),
        (1_795_500_000_000, "2026-11-24T06:00:00+00:00"),
    ],
)
def test_times_of_every_form_are_utc(value: object, expected: str) -> None:
    """ISO 8601 with any offset, epoch seconds and epoch milliseconds name the same moment."""
    moment = parse_time(value)
    assert moment is not None
    assert moment.isoformat() == expected


@pytest.mark.parametrize(
    "value", ["yesterday", True, None, 1e300, {}, "0001-01-01T00:00:00+01:00", "9999-12-31T23:59:59.9999999-03:00"]
)
def test_what_is_no_time_is_none(value: object) -> None:
    """A word, a number out of range or a writer's "never" without a UTC time is no time, and no crash."""
    assert parse_time(value) is None


def test_a_return_code_under_success_is_no_failure() -> None:
    """SUCC with RC 4 met its success condition; RC 4 without a status did not say so."""
    assert not is_failure("SUCC", (), 4)
    assert is_failure("", (), 4)
