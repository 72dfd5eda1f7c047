"""The reader of job logs: platforms, prefixes, what is routine, retried, tolerated or only a consequence."""

import re
import time
from collections.abc import Callable

import pytest

from orchestrator.codes.catalogue import Category, Platform
from orchestrator.joblog.lines import bare, folded
from orchestrator.joblog.places import Places, stays_on_its_line
from orchestrator.joblog.reader import Reading, is_ending, platform_of, read_log

JES = " 02.16.44 JOB07731  "


def lead(*lines: str, code: int | None = 1) -> str:
    """The line that tells most."""
    reading = read_log(lines, return_code=code)
    return reading.raw[reading.telling[0]] if reading.telling else ""


def cause(*lines: str, code: int | None = 1) -> Category | None:
    """The category of the first cause."""
    causes = read_log(lines, return_code=code).causes
    return causes[0].symptom.category if causes else None


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (f"{JES}IEF450I A S1 - ABEND=S0C7 U0000", "IEF450I A S1 - ABEND=S0C7 U0000"),
        ("0IDC3013I DUPLICATE DATA SET NAME", "IDC3013I DUPLICATE DATA SET NAME"),
        ("1IDCAMS  SYSTEM SERVICES", "IDCAMS  SYSTEM SERVICES"),
        (" IEF236I ALLOC. FOR A S1", " IEF236I ALLOC. FOR A S1"),
        ("   at com.x.Y(Z.java:1)", "   at com.x.Y(Z.java:1)"),
    ],
)
def test_what_jes_writes_in_front_is_taken_off(line: str, expected: str) -> None:
    """Time, job number and carriage control go, indentation stays."""
    assert bare(line) == expected


def test_lines_that_differ_in_numbers_only_are_one() -> None:
    """A loop is seen as one line and its count."""
    lines = ["begin", *(f"retry {number} of 9" for number in range(9)), "end"]
    assert [(run.first, run.count) for run in folded(lines)] == [(0, 1), (1, 9), (10, 1)]


@pytest.mark.parametrize(
    ("text", "platform"),
    [
        (f"{JES}$HASP373 A STARTED", Platform.ZOS),
        ("IEFC630I UNIDENTIFIED KEYWORD X", Platform.ZOS),
        ("/opt/x/run.sh: line 3: y: command not found", Platform.UNIX),
        (r"C:\x\run.bat", Platform.WINDOWS),
        ("fim", None),
    ],
)
def test_the_platform_is_that_of_its_forms(text: str, platform: Platform | None) -> None:
    """A log shows by its forms where it was written."""
    assert platform_of(text) is platform


def test_for_java_the_last_cause_is_the_cause() -> None:
    """The chain of ``Caused by`` is read to its end."""
    lines = (
        "org.springframework.beans.factory.BeanCreationException: Error creating bean 'ds'",
        "\tat a.B.c(B.java:1)",
        "Caused by: org.springframework.jdbc.CannotGetJdbcConnectionException: no connection",
        "\t... 20 more",
        "Caused by: java.net.UnknownHostException: dbprd",
        "\t... 30 more",
    )
    assert lead(*lines) == lines[4]


def test_a_root_that_nobody_knows_is_told_rather_than_what_carries_it() -> None:
    """An exception known for its general words does not lead before its own unknown cause."""
    lines = (
        'Exception in thread "main" java.lang.IllegalStateException: falha na geracao',
        "\tat a.B.c(B.java:1)",
        "Caused by: com.corp.files.LayoutVersionException: versao 7 do layout",
        "\t... 3 more",
    )
    assert cause(*lines) is None
    assert lead(*lines) == lines[2]


def test_an_exception_that_repeats_its_cause_is_as_sure_as_it() -> None:
    """Java makes the message of a wrapper from the cause: both say the same."""
    path = "sun.security.provider.certpath.SunCertPathBuilderException: unable to find valid certification path"
    lines = (
        f"Caused by: javax.net.ssl.SSLHandshakeException: PKIX path building failed: {path}",
        "\tat a.B.c(B.java:1)",
        f"Caused by: {path}",
    )
    assert read_log(lines, return_code=1).causes[0].weight == 0.9


def test_a_message_of_another_step_than_the_one_that_abended_is_no_cause() -> None:
    """The job went on after it."""
    lines = (
        "IEC070I 203-204,JOB1,STEP005,INDICE,,,PRD.AUX.KSDS,",
        "-STEP005              04    123    210    .01    .00     .1",
        "IEC030I B37-04,IFG0554A,JOB1,STEP010,SAIDA,A52C,PRDW07,PRD.MOVTO",
    )
    end = "IEF450I JOB1 STEP010 - ABEND=SB37 U0000 REASON=00000004"
    reading = read_log((*lines, end))
    assert [item.symptom.key for item in reading.causes] == ["IEC030I B37-04"]
    procedure = read_log((lines[0], "IEF450I JOB1 STEP005 SORTEIA - ABEND=S0C7 U0000"))
    assert procedure.causes[0].symptom.key.startswith("IEC070I")


def test_a_message_that_names_the_abended_step_at_another_place_is_of_that_step() -> None:
    """Without the module in it, the fields of an IEC message stand one place further left."""
    lines = (
        "IEC020I 001-4,TITD061,PASSO1,ENTRADA,8123,PRD077,PRD.TIT.RETORNO.CNAB400",
        "IEF450I TITD061 PASSO1 - ABEND=S001 U0000 REASON=00000004",
    )
    assert read_log(lines, return_code=None).causes[0].symptom.key == "IEC020I"


@pytest.mark.parametrize(
    "ends",
    [
        (
            "-STEP005              04    123    210    .01    .00     .1",
            "-STEP010              12     88     20    .01",
        ),
        (
            "IEF142I JOB1 STEP005 - STEP WAS EXECUTED - COND CODE 0004",
            "IEF142I JOB1 STEP010 - STEP WAS EXECUTED - COND CODE 0012",
        ),
    ],
)
def test_a_message_of_a_step_that_ended_better_than_another_is_no_cause(ends: tuple[str, str]) -> None:
    """Without an abend the step with the highest condition code failed."""
    message = "IEC070I 104-204,JOB1,STEP005,ARQ,,,PRD.X.KSDS,"
    assert not read_log((message, *ends), return_code=12).causes
    assert read_log((message, ends[0]), return_code=4).causes


def test_of_several_calls_the_one_with_the_code_of_the_run_failed() -> None:
    """A call of curl or rsync that ended with another code was got over."""
    lines = (
        "curl: (7) Failed to connect to api1 port 443: Connection refused",
        "curl: (22) The requested URL returned error: 413 Request Entity Too Large",
    )
    assert "(22)" in lead(*lines, code=22)
    assert "(7)" in lead(*lines, code=7)


def test_an_error_that_a_later_try_got_over_is_none() -> None:
    """What was retried and passed counts for nothing; what failed each time is the cause."""
    tries = ("tentativa 1: curl: (28) Operation timed out after 30001 milliseconds with 0 bytes received",) * 2
    passed = (*tries, "tentativa 3: HTTP/2 200 - download ok", "registro 118: banco inválido")
    assert lead(*passed) == passed[3]
    assert cause(*tries) is Category.NETWORK_ERROR


def test_what_the_program_went_on_after_is_no_cause() -> None:
    """A message whose own line says that it was tolerated is a hint at most."""
    lines = (
        "AVISO: HTTP 503 na consulta opcional, seguindo sem ele",
        "Arquivo rejeitado: linha 118 sem chave de acesso",
    )
    assert lead(*lines) == lines[1]


@pytest.mark.parametrize("line", ["fin con codigo 3", "exit 1", "LIQP081 999 - FIM ANORMAL", "[conc] saída 9"])
def test_a_line_that_only_says_the_end_comes_after_what_stands_before_it(line: str) -> None:
    """The reason stands before the line in which the program says that it ends."""
    assert is_ending(line)
    assert lead("Caixa 12 em aberto - operador 00441", line, code=4).startswith("Caixa 12")


def test_the_line_with_the_return_code_of_the_run_tells_more() -> None:
    """A program of the house names its own code."""
    lines = ("PGM8: PROCESSANDO FILIAL U2001", "PGM8: SALDO NAO CONFERE - RC 8", "PGM8: 3 AVISOS - RC 4")
    assert lead(*lines, code=8) == lines[1]


@pytest.mark.parametrize(
    "line",
    [
        "IEF403I A - STARTED - TIME=02.14.03",
        "ICH70001I BATCH01  LAST ACCESS AT 01:58:11 ON FRIDAY, NOVEMBER 27, 2026",
        "Traceback (most recent call last):",
        "IEC161I 056-084,A,S1,DD1,,,PRD.X,",
    ],
)
def test_routine_is_not_quoted(line: str) -> None:
    """What looks like an error and is none is never the telling line."""
    error = "PGM: PARAMETRO INVALIDO - ENCERRANDO COM RC 12"
    assert lead(line, error, code=12) == error


def test_a_log_without_any_error_shows_its_last_lines() -> None:
    """When nothing reports an error, the last lines that mean anything are quoted."""
    reading = read_log(["inicio", "lendo a.dat", "gravando b.dat", "====="], return_code=1)
    assert reading.errors == ()
    assert [reading.raw[index] for index in reading.telling] == ["gravando b.dat", "lendo a.dat", "inicio"]


def test_codes_of_another_platform_say_nothing() -> None:
    """A message of z/OS in a log of Unix is not read as one."""
    reading = read_log(["/opt/lote/run.sh: line 3: x: command not found"], return_code=127)
    assert reading.platform is Platform.UNIX
    assert all(Platform.ZOS not in item.symptom.platforms for item in reading.sightings)


def test_an_empty_log_is_read() -> None:
    """Nothing is nothing."""
    reading: Reading = read_log([])
    assert (reading.causes, reading.telling, reading.platform) == ((), (), None)


@pytest.mark.parametrize(
    "line",
    [
        "IEF142I PAY STEP{number:03d} - STEP WAS EXECUTED - COND CODE {rc:04d}",
        "loja {number}: rc={rc}",
        "{rc} rejeitados",
    ],
)
def test_a_result_other_than_naught_is_not_folded_away(line: str) -> None:
    """Among equal lines with a result of 0, the one with another result stays a line of its own."""
    lines = [line.format(number=number, rc=12 if number == 20 else 0) for number in range(40)]
    assert [(run.first, run.count) for run in folded(lines)] == [(0, 20), (20, 1), (21, 19)]


_NAMES = ("ANA", "SOUZA", "RUA", "LOJA", "PEDIDO", "failed", "BRASIL")
_KINDS: dict[str, Callable[[int], str]] = {
    "numbers": lambda at: f"2026-11-28 03:00:00 INFO record {at} of /dados/in/a.txt",
    "errors": lambda at: f"ERROR: could not open file {at}: failed, not found, denied",
    "one character": lambda _at: "1" * 300,
    "control characters": lambda _at: "\x00" * 300,
    "colons": lambda _at: "a:b: " * 60,
    "names": lambda at: " ".join(_NAMES[(at * 7 + n * n) % len(_NAMES)] for n in range(40)),
}


@pytest.mark.parametrize("kind", _KINDS)
def test_a_long_log_takes_little_cpu_time(kind: str) -> None:
    """8,000 lines are read in a part of the seconds that a source has."""
    read_log(["warm"])
    lines = [_KINDS[kind](at)[:300] for at in range(8_000)]
    began = time.thread_time()
    _ = read_log(lines, return_code=1).telling
    assert time.thread_time() - began < 3.0


def test_the_cause_in_a_long_log_of_equal_lines_is_found() -> None:
    """One line in the middle of thousands that repeat, and the last of many errors of one kind."""
    lines = [f"INFO record {number}" for number in range(9_000)]
    lines[4_321] = "ORA-01653: unable to extend table APP.MOVTO by 128 in tablespace TS_DADOS"
    assert read_log(lines, return_code=1).causes[0].symptom.key == "ORA-01653"
    many = [f"ORA-00001: unique constraint (APP.PK_{number}) violated" for number in range(700)]
    facts = read_log([*many, "ORA-00001: unique constraint (APP.LAST) violated"], return_code=1).causes[0]
    assert facts.symptom.key == "ORA-00001"


@pytest.mark.parametrize(
    ("lines", "cause"),
    [
        (
            [
                "Permission denied (publickey) for the backup host, falling back to password",
                "assert total failed: got 9",
            ],
            "",
        ),
        (["ERRO 7: agencia 55 inexistente", "shutdown hook: java.net.SocketException: Connection reset"], ""),
        (["could not close connection: ORA-03114: not connected to ORACLE"], ""),
        (
            [
                "rm: cannot remove '/tmp/x': No such file or directory",
                "Traceback (most recent call last):",
                '  File "x.py", line 3, in <module>',
                "    load()",
                "KeyError: 'CPF'",
            ],
            "python KeyError",
        ),
        (
            [
                "2026/11/28 02:15:09 ERROR 64 (0x00000040) Copying File D:\\exp\\a.csv",
                "The specified network name is no longer available.",
                "",
                "Waiting 10 seconds... Retrying...",
                "\t    New File  \t\t  12173\ta.csv",
                "2026/11/28 02:17:12 ERROR 112 (0x00000070) Copying File D:\\exp\\b.csv",
                "There is not enough space on the disk.",
                "ERROR: RETRY LIMIT EXCEEDED.",
            ],
            "robocopy ERROR 112",
        ),
        (
            [
                "sftp> -rm OLD.TXT",
                "Couldn't delete file: No such file or directory",
                "sftp> put NEW.TXT",
                'remote open("/in/NEW.TXT"): Permission denied',
            ],
            "sftp/scp remote denied",
        ),
        (["sftp> rm OLD.TXT", "Couldn't delete file: No such file or directory"], "sftp/scp remote missing"),
        (
            [
                "DROP TABLE TMP_X",
                "           *",
                "ERROR at line 1:",
                "ORA-00942: table or view does not exist",
                "",
                "Table created.",
                "ORA-30036: unable to extend segment by 8 in undo tablespace 'UNDOTBS1'",
            ],
            "ORA-30036",
        ),
        (["DROP TABLE TMP_X", "  *", "ERROR at line 1:", "ORA-00942: table or view does not exist"], "ORA-00942"),
        (
            [
                "db2 drop table TMP_A",
                'SQL0204N  "LOTE.TMP_A" is an undefined name.  SQLSTATE=42704',
                'SQL0668N  Operation not allowed for reason code "3" on table "DW.F".  SQLSTATE=57016',
            ],
            "SQL0668N rc 3",
        ),
        (
            [
                "0IDC3012I ENTRY PRD.CAD.AIX NOT FOUND",
                " IDC0551I ** ENTRY PRD.CAD.AIX NOT DELETED",
                "0  SET MAXCC = 0",
                "0IDC3302I ACTION ERROR ON PRD.CAD",
                " IDC3308I ** DUPLICATE RECORD, RECORD FOLLOWS",
            ],
            "IDC3308I",
        ),
        (
            [
                'fatal: [srv1]: FAILED! => {"changed": false, "msg": "path /tmp/x is absent"}',
                "...ignoring",
                'fatal: [srv2]: UNREACHABLE! => {"changed": false, "msg": "Failed to connect to the host via ssh"}',
            ],
            "ansible unreachable",
        ),
        (["ORA-20001: Erro na carga: ORA-12899: value too large for column"], "ORA-12899"),
        (
            [
                "sftp> mkdir /in/d",
                "Couldn't create directory: Failure",
                "sftp> put a.txt /in/d/a.txt",
                "md5 do destino difere",
            ],
            "",
        ),
        (
            [
                "Remove-Item : Cannot find path 'D:\\tmp\\x' because it does not exist.",
                "Import-Csv : Could not find file 'D:\\in\\base.csv'.",
            ],
            "ps could not find file",
        ),
        (
            [
                "02:14:01 WARN  [main] b.c.Cfg - falha ao ler cfg remoto",
                "java.net.SocketTimeoutException: connect timed out",
                "\tat b.c.Cfg.load(Cfg.java:31)",
                "02:14:02 INFO  [main] b.c.Cfg - usando cfg local",
                "02:14:40 ERROR [main] b.c.Main - Parametro DATA_REF nao informado",
            ],
            "",
        ),
        (
            [
                "2026-11-28 02:14:05 WARNING 12 linhas duplicadas",
                "Traceback (most recent call last):",
                '  File "x.py", line 3, in <module>',
                "    load()",
                "KeyError: 'CPF'",
            ],
            "python KeyError",
        ),
    ],
)
def test_what_the_program_went_on_after_is_not_the_cause(lines: list[str], cause: str) -> None:
    """A fallback, an error while letting go, a failed removal before an exception: at most a hint."""
    reading = read_log(lines, return_code=1)
    sure = [item.symptom.key for item in reading.causes if item.weight >= 0.5]
    assert sure[:1] == ([cause] if cause else [])


@pytest.mark.parametrize(
    "line",
    [
        "## if No space left on device, call the operators",
        "+ trap 'echo No space left on device' EXIT",
        "select 'ORA-00942: table or view does not exist' from dual;",
        "o job anterior terminou com ORA-01555, ver o procedimento",
        "Deleting /tmp/x: No such file or directory (ok)",
        r"C:\lote>if errorlevel 1 goto erro",
    ],
)
def test_talk_of_an_error_is_no_error(line: str) -> None:
    """Comments, traced commands, SQL and what another run met are neither causes nor quoted before the error."""
    reading = read_log([line, "linha 33: campo DATA invalido"], return_code=1)
    assert all(item.weight < 0.25 for item in reading.sightings if item.first == 0)
    assert reading.telling[0] == 1


def test_an_error_that_was_got_over_is_not_quoted() -> None:
    """Another host answered: what follows is the error; a warning counts less beside an error at its level."""
    lines = [
        "ORA-12541: TNS:no listener",
        "Tentando host secundario",
        "Conexao estabelecida",
        "Layout invalido: 19 colunas",
    ]
    assert read_log(lines, return_code=1).telling[0] == 3
    lines = ["ORA-00054: resource busy (tentativa 1)", "lock obtido", "ORA-01400: cannot insert NULL into (A.B)"]
    assert read_log(lines, return_code=1).causes[0].symptom.key == "ORA-01400"
    lines = ["WARN java.net.UnknownHostException: graylog.local", "ERROR Conta 123 sem saldo"]
    assert read_log(lines, return_code=1).errors[0] == 1


def test_most_patterns_stay_on_their_line() -> None:
    """A pattern that cannot take a line's end is tried on single lines; what may is given the lines around."""
    assert stays_on_its_line(re.compile(r"ORA-(\d{5})[^\n]{0,20} x$"))
    for pattern in (r"a\nb", r"a\s{1,3}b", r"a[^b]c", r"(?s)a.b"):
        assert not stays_on_its_line(re.compile(pattern))


def test_a_pattern_sees_the_lines_around_its_hint() -> None:
    """A match may begin above the line with the hint and end below it."""
    lines = [*("x" for _ in range(50)), "begin 1", "hint", "end", *("x" for _ in range(50))]
    places = Places(lines)
    (match,) = places.matches(re.compile(r"begin \d\nhint\nend"), ("hint",))
    assert places.line_at(match.start()) == 50
    assert list(places.matches(re.compile(r"x\n"), ("absent",))) == []


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("IEF863I DSN = PRD.FAT.MESTRE FATDIA", "IEF403I FATDIA - STARTED - TIME=02.20.00"),
        ("IEF233A M 0A80,V01234,,FATDIA,STEP010", "IEF404I FATDIA - ENDED - TIME=02.20.00"),
        (
            "IDC3012I ENTRY PRD.FAT.TEMP NOT FOUND",
            "IDC0002I IDCAMS PROCESSING COMPLETE. MAXIMUM CONDITION CODE WAS 0",
        ),
    ],
)
def test_what_shows_far_below_that_a_line_was_harmless_is_seen(before: str, after: str) -> None:
    """A wait, a mount or a missing entry that the job got over is no cause, however many lines lie between."""
    between = [f" DISPLAY OF RECORD {chr(65 + number)}" for number in range(22)]
    assert not read_log([before, *between, after], return_code=1).causes
    assert read_log([before, *between], return_code=1).causes


ICH408I = (
    "ICH408I USER(PRDEST  ) GROUP(LOTEPRD ) NAME(LOTE)",
    "  PRD.EST.CUSTO CL(DATASET ) VOL(PRD077)",
    "  INSUFFICIENT ACCESS AUTHORITY",
    "  ACCESS INTENT(UPDATE )  ACCESS ALLOWED(READ   )",
)


@pytest.mark.parametrize(
    ("lines", "key", "certainty"),
    [
        ((*ICH408I, "IEC150I 913-38,IFG0194E,A,S1,CUSTO,9A21,PRD077,PRD.EST.CUSTO"), "ICH408I dataset", "certain"),
        ((*ICH408I, "IEF404I A - ENDED - TIME=02.20.00"), "ICH408I dataset alone", "likely"),
        ((">>> RETR PRD.A", "550 PRD.A: No such file or directory."), "FTP GET 550", "likely"),
        ((">>> RETR PRD.A", "550 PRD.A used exclusively by someone else."), "FTP GET refused", "likely"),
        (("MQOPEN ended with reason code 2035",), "MQRC 2035", "certain"),
        (("CKPT0099 REASON CODE 2035",), None, ""),
        (
            ("DSNU1122I DSNUGBAC UNABLE TO DRAIN DBFAT.TSNOTA.", "  RETRY 1 OF 3 WILL BE ATTEMPTED IN 60 SECONDS"),
            None,
            "",
        ),
        (("IEC161I 018-301,A,S1,CAD,,,PRD.CAD.KSDS",), None, ""),
        (("ICE218A F 22 BYTE VARIABLE RECORD IS SHORTER THAN 30 BYTE MINIMUM FOR FIELDS",), "ICE218A", "certain"),
        (("IEC030I B37-04,IFG0554A,A,S1,SORTWK02,A5AB,WORK12,SYS1.T1.R1",), None, ""),
        (
            (
                "CPF4128  Escape  40",
                "  Message . . . . :   Not able to allocate objects needed for file A in library B",
            ),
            "CPF4128",
            "likely",
        ),
        (("CPF2103  Information  00", "  Message . . . . :   Library A already exists in library list."), None, ""),
    ],
)
def test_a_line_proves_what_it_says_and_no_more(lines: tuple[str, ...], key: str | None, certainty: str) -> None:
    """Messages that also stand in jobs that end well, are tried again or look like another product's say less."""
    causes = read_log(lines, return_code=12).causes
    assert (causes[0].symptom.key if causes else None) == key
    assert not causes or causes[0].symptom.certainty.value == certainty


@pytest.mark.parametrize(
    "line",
    [
        "  704              PSW AT TIME OF ERROR  078D1000   A6C013F2  ILC 6  INTC 07",
        "PSW AT ENTRY TO ABEND  078D1000  A6C013F2",
        "  704                AR/GR 0: 00000000/26C01A20   1: 00000000/26C02040",
        "  704                      2: 00000000/00000010   3: 00000000/26C00F48",
        "  704                DATA AT PSW  26C013EC - FA54D0B8  D1C0960F  D0BC47F0",
        "  704              END OF SYMPTOM DUMP",
        "  704              TIME=16.43.10  SEQ=00417  CPU=0000  ASID=0061",
        "GPR 0-3  00000001 26C02040 00000010 26C00F48",
        f"{JES}IEF142I A STEP1 - STEP WAS EXECUTED - COND CODE 0004",
        f"{JES}IEF373I STEP/STEP1   /START 2026332.1710",
        "IEF032I STEP/STEP1   /STOP  2026332.1710",
        "        CPU:     0 HR  00 MIN  18.40 SEC    SRB:     0 HR  00 MIN  00.11 SEC",
        "Error: 2026-11-27 02:14:22.31",
    ],
)
def test_dumps_and_statistics_are_never_quoted(line: str) -> None:
    """What a dump or the end of a step prints takes no line of evidence, also where nothing else is an error."""
    for lines in ((line, "PGM1 - SALDO NAO CONFERE"), ("PGM1 - SALDO NAO CONFERE", line)):
        reading = read_log(lines, return_code=8)
        assert [reading.raw[index] for index in reading.telling] == ["PGM1 - SALDO NAO CONFERE"]


@pytest.mark.parametrize(
    "line",
    [
        "Run fsck manually",
        "Please check the log for errors",
        "backup.sh: verifique se o erro persiste",
        "You may consult the administrator",
    ],
)
def test_what_only_advises_stands_below_the_error(line: str) -> None:
    """A line that says what to do is quoted after the one that says what happened, in whatever order they stand."""
    for lines in (("saldo nao confere", line), (line, "saldo nao confere")):
        assert lead(*lines) == "saldo nao confere"


@pytest.mark.parametrize(
    "line", ["Run-time error 2", "check constraint A failed", "UNEXPECTED INCONSISTENCY; RUN fsck MANUALLY."]
)
def test_an_error_with_a_word_of_advice_stays_one(line: str) -> None:
    """Words of advice do not make a line that reports the failure less."""
    assert lead(line, "next line") == line


def test_a_directory_is_no_word_of_an_ending() -> None:
    """ "fin" in a path does not make a line one that says that the program ends."""
    assert not is_ending("lendo lancamentos de /dados/fin/lancamentos.dat")
    assert is_ending("fim do programa /dados/fin/x")


def test_a_known_cause_is_quoted_before_the_last_lines() -> None:
    """Where the form of no line is an error's, a known message tells more than the end of the log, a digit nothing."""
    reading = read_log((f"{JES}IEE301I A CANCEL COMMAND ACCEPTED", "0 ", "PGM1 TOTAL 12 REGISTROS"), return_code=-1)
    assert reading.telling[0] == 0
    assert 1 not in reading.telling


def test_of_a_long_message_the_lines_with_its_facts_are_quoted() -> None:
    """Not only its first two, which may be the head of a table."""
    reading = read_log(
        (
            "   ROBOCOPY     ::     Robust File Copy for Windows",
            "               Total    Copied   Skipped  Mismatch    FAILED    Extras",
            "    Dirs :         4         1         3         0         0         0",
            "   Files :       120        12       108         0         0         2",
        ),
        return_code=3,
    )
    shown = [reading.raw[index] for index in reading.shown_of(reading.causes[0])]
    assert "   Files :       120        12       108         0         0         2" in shown


def test_of_a_symptom_dump_its_code_is_quoted_alone() -> None:
    """PSW, registers and the module's address are routine also inside a message that is known."""
    dump = (
        "SYSTEM COMPLETION CODE=0C7  REASON CODE=00000000",
        " TIME=16.43.10  SEQ=00417  CPU=0000  ASID=0061",
        " PSW AT TIME OF ERROR  078D1000   A6C013F2  ILC 6  INTC 07",
        "   ACTIVE LOAD MODULE           ADDRESS=26C00F48  OFFSET=000004AA",
        "   NAME=PGFAT030",
    )
    reading = read_log(dump, return_code=12)
    shown = {index for item in reading.sightings for index in reading.shown_of(item)}
    assert not shown & {1, 2, 3}
