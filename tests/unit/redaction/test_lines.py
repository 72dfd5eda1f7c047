"""Frames, continuations and quoting of lines: what they hide from patterns of whole lines, and what stays."""

from __future__ import annotations

import json
import time

import pytest

from orchestrator.redaction.lines import through
from orchestrator.redaction.redact import MARK, redact

S = "Zq9xW3kLm7"
PEM = "MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSjAgEAAoIBAQC7VJTUt9Us8cKj"

FRAMES = [
    "12.34.56 JOB01234  ",
    " 12.34.56 J0123456  ",
    "JOB01234  ",
    "2026-11-24T03:00:12.123456789Z stdout F ",
    "2026-11-24 03:00:12,123 INFO  [main] com.acme.Batch - ",
    "2026-11-24 03:00:12.123  INFO 12345 --- [           main] c.a.batch.Loader                 : ",
    "24/11/2026 03:00:12 [WARN] ",
    "[2026-11-24 03:00:12] ",
    "Nov 24 03:00:12 host01 job.sh[4711]: ",
    "1732417212.123 ",
    "[   12.345678] ",
    "E1124 03:00:12.123456    1234 server.go:12] ",
    "N 4000000 SYSA     24329 03:00:12.12 JOB01234 00000090  ",
    "     12  ",
    "    12\t",
    "12:",
    "12 | ",
    "job.log:12:",
    "web-1  | ",
    "[pod/batch-7d/loader] ",
    "ERROR: ",
    "[INFO] ",
    "+ ",
    "++ ",
    "+(job.sh:12): ",
    "$ ",
    "tws@host01:/opt/tws$ ",
    "     12  2026-11-24 03:00:12,123 DEBUG [pool-1] job.Step - ",
    "2026-11-24T03:00:12Z stderr F + ",
]  # fmt: skip

# Of programs that nobody knows here: the lines beside each other begin alike.
SHARED = [
    "11/24/2026 3:00:12 AM ",
    "2026-11-24-03.00.12.123456-180 ",
    "[11/24/26 3:00:12:123 BRT] 0000004f SystemOut     O ",
    "####<Nov 24, 2026 3:00:12 AM BRT> <Error> <JDBC> <srv1> ",
    "<34>1 2026-11-24T03:00:12Z host app 123 ID47 - ",
    "level=info ts=2026-11-24T03:00:12Z msg=",
    "20261124 030012 ",
    "host01 | SUCCESS >> ",
    "batch-job-7d9f-x2k loader ",
    "npm ERR! ",
    "PS C:\\jobs> ",
    "00012 ",
    "* ",
]

# What only a pattern of whole lines finds, and the secrets in it.
BLOCKS = [
    (["USER app", f"PASS {S}"], [S]),
    (["//INPUT DD *", "host01", f"app {S}"], [S]),
    ([f"db1:5432:prod:app:{S}"], [S]),
    ([f"*:5432:prod:app:{S}", f"7z x -p{S} a.7z"], [S]),
    (["Password:", S], [S]),
    (["token: |", f"  {S}", f"  second{S}", "host: db1"], [S]),
    (["-----BEGIN PRIVATE KEY-----", PEM, PEM[:20], "-----END PRIVATE KEY-----"], [PEM[:16], PEM[4:20]]),
    ([PEM, PEM[:20], "-----END PRIVATE KEY-----"], [PEM[:16], PEM[4:20]]),
    (["-----BEGIN PRIVATE KEY-----", PEM, PEM[:20]], [PEM[:16], PEM[4:20]]),
    (["Private-Lines: 2", PEM, PEM[:20]], [PEM[:16], PEM[4:20]]),
    (["ALTER USER app", f"IDENTIFIED BY {S};"], [S]),
    (["mysql -u root \\", "  --password \\", f"  {S} prod"], [S]),
    ([f"connect scott/{S}"], [S]),
]


@pytest.mark.parametrize("frame", ["", *FRAMES, *SHARED], ids=repr)
def test_no_frame_hides_a_secret(frame: str) -> None:
    """What stands before each line hides no secret, and stays; so do the number and the ends of the lines."""
    for lines, secrets in BLOCKS if frame not in SHARED else [block for block in BLOCKS if len(block[0]) > 1]:
        for end in ("\n", "\r\n"):
            masked = redact(end.join(f"{frame}{line}" for line in lines))
            assert [secret for secret in secrets if secret in masked] == [], masked
            assert len(masked.split(end)) == len(lines)
            assert frame in SHARED or all(line.startswith(frame.rstrip()) for line in masked.split(end)), masked
            assert redact(masked) == masked


def test_the_numbers_and_indentation_of_lines_with_a_shared_frame_may_differ() -> None:
    """As those of times and counters do; other lines may stand between."""
    lines = ["0:01 job7 Password:", f"0:02 job7   {S}", f"0:02 job8   {S}", "0:03 job8 ok", "", "end"]
    masked = [lines[0], f"0:02 job7   {MARK}", f"0:02 job8   {S}", *lines[3:]]
    assert redact("\n".join(f"x9 {line}" for line in lines)) == "\n".join(f"x9 {line}" for line in masked)


def test_what_names_a_secret_is_no_frame() -> None:
    """A key that looks like a logger, a thread or a row's number keeps its value masked."""
    for text in (
        f"2026-11-24 03:00:12 [senha]: {S}",
        f"2026-11-24 03:00:12 INFO password: {S}",
        f"03:00:12 senha: {S}",
        f"12: pwd={S}",
        f"110201543:AAHdqTcvCH1vGWJxfSeofSAs0K5PALDsaw{S}",
    ):
        assert S not in redact(text), text


CONTINUED = [
    ("mysql -u u \\\n  --password \\\n  {} \\\n  db", "mysql -u u \\\n  --password \\\n  [REDACTED] \\\n  db"),
    ("tool --password={0}a\\\n{0}b --job A", "tool --password=[REDACTED] --job A\n"),
    ("tool --password ^\n  {}\nnext", "tool --password ^\n  [REDACTED]\nnext"),
    ("Connect-X -password `\n  {}", "Connect-X -password `\n  [REDACTED]"),
    ("ALTER USER app IDENTIFIED BY -\n {}", "ALTER USER app IDENTIFIED BY -\n [REDACTED]"),
    ("+ curl -u \\\n+ app:{} https://x", "+ curl -u \\\n+ app:[REDACTED] https://x"),
    ("//J JOB (A),USER=P,\n//  PASSWORD={},\n// CLASS=A", "//J JOB (A),USER=P,\n//  PASSWORD=[REDACTED],\n// CLASS=A"),
    ("//J JOB (A),PASSWORD=\n//  {},CLASS=A", None),
    (f"{'//S EXEC PGM=X,PARM=':<40}'{'A' * 10},PASSWORD={{0}}X\n//{'':13}{{0}}'", None),
    ("2026-11-24T03:00:12Z stdout P x password={0}\n2026-11-24T03:00:12Z stdout F {0} end", None),
    ("000100     05 WS-PWD PIC X(60) VALUE \"password={0}\n000200-        \"{0}\".", None),
]  # fmt: skip


@pytest.mark.parametrize(("text", "expected"), CONTINUED)
def test_no_line_end_hides_a_secret(text: str, expected: str | None) -> None:
    """A command that goes on in the next line is read as one; what it says besides keeps its lines."""
    masked = redact(text.format(S))
    assert S not in masked
    assert S[:4] not in masked
    assert S[-4:] not in masked
    assert expected is None or masked == expected
    assert masked.count("\n") == text.count("\n")
    assert redact(masked) == masked


def test_no_escape_hides_a_secret() -> None:
    """Within JSON, and JSON within JSON, lines and quotes are what they stand for."""
    for lines, secrets in (*BLOCKS, ([f'tool --password "{S} two" x'], [S, "two"]), ([f"pass\x1b[0mword={S}"], [S])):
        text = "\n".join(lines)
        for _ in range(3):
            text = json.dumps({"log": text, "stream": "stdout", "t": 1})
            masked = redact(text)
            assert [secret for secret in secrets if secret in masked] == [], masked
            assert set(json.loads(masked)) == {"log", "stream", "t"}
            assert redact(masked) == masked


@pytest.mark.parametrize(
    "text",
    [
        r"C:\new\table\report.txt and D:\nfs\pass\x",
        r'{"path": "C:\\new\\t", "text": "a\tb\n\"quoted\" é", "n": 1}',
        "  12  password: done\n  13  senha: expirada\n",
        "2026-11-24 03:00:12 INFO password: done",
        "echo a \\\n  b \\\n  c",
        "//S EXEC PGM=X,\n//  PARM='A'\n//* comment,\n//D DD *",
        "- a -\n- b -\n",
        "export senha=^SENHA^\nJOB (A),'X'",
        'Error: secret "db-credentials" not found\nssh -p 2222 op@host',
        "",
        "\n\n",
    ],
)
def test_what_holds_no_secret_stays(text: str) -> None:
    """Without a secret nothing changes, whatever frames, continues or quotes it."""
    assert redact(text) == text


def test_a_change_of_the_number_of_lines_loses_frames_and_no_secret() -> None:
    """Where the lines cannot be told apart any more, what was masked stays masked."""
    assert through(f"12:a\n13:{S}\n", lambda text: text.replace(f"\n{S}", MARK)) == f"a{MARK}\n"


@pytest.mark.parametrize(
    "unit",
    ["12:30:05 ", "2026-11-24 ", "[", "[a] ", "INFO ", "+ ", "a \\\n", "a ^\n", " ", "\t", "a: ", "a - ", "\\n", '\\"',
     "\\\\", "//A,\n// ", "-----END PRIVATE KEY-----\n", "AAAA\n", "(a) ", "1 ", "a.log:1:", "       -  'a\n", "\n"],
)  # fmt: skip
def test_time_is_linear(unit: str) -> None:
    """Four times the text takes about four times as long, and would take sixteen times as long by its square."""

    def seconds(size: int) -> float:
        started = time.thread_time()
        redact(unit * (size // len(unit)))
        return time.thread_time() - started

    assert any(seconds(12_000) < 8 * max(seconds(3_000), 0.01) for _ in range(5))
