"""How a question names several jobs: lists, ranges, patterns, and the request's jobs beside those of the message."""

import random
from fnmatch import fnmatchcase

import pytest

from orchestrator.codes.notation import (
    JobName,
    distinct_jobs,
    is_named_by,
    is_same_job,
    jobs_among,
    wildcard_expression,
)
from orchestrator.models import MAX_JOBS, Plan, TroubleshootRequest
from orchestrator.redaction.redact import MARK
from orchestrator.routing.entities import extract_entities
from orchestrator.routing.plan import plan_request
from orchestrator.routing.router import route

PER_TASK = {"tws_status": 1, "rag_search": 0, "log_cache": 1, "metrics": 0}
THREE = ("FECH001", "FECH002", "FECH003")


def plan(message: str, **fields: object) -> Plan:
    """Plan a question."""
    return plan_request(TroubleshootRequest.model_validate({"message": message, **fields}), PER_TASK)


@pytest.mark.parametrize(
    "text",
    [
        "por que os jobs FECH001 a FECH003 falharam?",
        "FECH001 até FECH003 em abend",
        "por que os jobs FECH003 a FECH001 falharam?",
        "FECH003 hasta FECH001 fallaron",
        "why did FECH003 through FECH001 fail?",
        "FECH003..FECH001 caíram",
        "FECH001..FECH003 caíram",
        "FECH001...FECH003?",
        "FECH001-FECH003 caíram",
        "FECH003-FECH001 caíram",
        "FECH003-FECH001",
        "os jobs FECH003 a 001 falharam",
        "FECH003-001 não rodaram",
        "os jobs FECH001-003 caíram",
        "jobs FECH001 a 003",
        "por que FECH001-003 não rodaram?",
        "FECH001-003 are late",
        "FECH001-003 fallaron",
        "jobs FECH001 - FECH003 falharam",
        "FECH001–FECH003 parados",
        "why did FECH001 to FECH003 fail?",
        "trabajos FECH001 hasta FECH003 fallaron",
        '"FECH001 a FECH003"',
        "(FECH001 a FECH003)",
        "O FECH001, FECH002 e FECH003 falharam",
        "por que FECH001, 002 e 003 falharam?",
        "FECH001/002/003 caíram",
        "why did FECH001, 002 and 003 fail?",
        "¿por qué fallaron FECH001, 002 y 003?",
    ],
)
def test_a_range_is_its_jobs(text: str) -> None:
    """Words, dots and dashes between two names that count up make a range."""
    assert extract_entities(text).jobs == THREE


@pytest.mark.parametrize(
    ("text", "jobs"),
    [
        ("MDM#FATDIA.FECH01 a FECH02", ("MDM#FATDIA.FECH01", "MDM#FATDIA.FECH02")),
        ("PAY#001 a PAY#002 falharam", ("PAY#001", "PAY#002")),
        ("jobs FECH001..FECH002 e BATCH001, BATCH002", ("FECH001", "FECH002", "BATCH001", "BATCH002")),
        ("BATCH001 a BATCH002 e extracao caíram", ("BATCH001", "BATCH002", "extracao")),
        ("o job FECH001-003 caiu", ("FECH001-003",)),
        ("ETL_2024-2025 falhou", ("ETL_2024-2025",)),
        ("ETL-DAILY-01 caiu", ("ETL-DAILY-01",)),
        ("BATCH001 - BATCH002 - BATCH005", ("BATCH001", "BATCH002", "BATCH005")),
        ("compara o FECH001 a FECH004", ("FECH001", "FECH004")),
        ("BATCH001 a CARGA009", ("BATCH001", "CARGA009")),
        ("o BATCH01 rodando a 10 minutos", ("BATCH01",)),
        ("FECH001... FECH003 caiu também", ("FECH001", "FECH003")),
        ("FECH099, 100 e 101 caíram", ("FECH099", "FECH100", "FECH101")),
        ("FECH001, 200 registros", ("FECH001",)),
        ("FECH001, 005 minutos", ("FECH001",)),
        ("RC1 a RC5", ()),
        ("S0C1 a S0C7", ()),
        ("STEP010 a STEP030", ()),
        ("de 10/11 a 20/11", ()),
        ("entre 2024-01-01 e 2024-02-01 das 10h a 12h", ()),
    ],
)
def test_only_what_is_certain_is_a_range(text: str, jobs: tuple[str, ...]) -> None:
    """Hyphens in names, lists, comparisons, dates, codes and steps are no ranges."""
    assert extract_entities(text).jobs == jobs


@pytest.mark.parametrize(
    ("text", "field"),
    [
        ("agentes LNX001, 002 e 003 fora do ar", "workstations"),
        ("o que parou no agente LNX001/002/003?", "workstations"),
        ("os streams LNX001, 002 e 003 não terminaram", "job_streams"),
        ("jobs em abend da pasta LNX001, 002 e 003", "folders"),
        ("os jobs LNX001, 002 e 003 caíram", "jobs"),
    ],
)
def test_numbers_behind_a_name_are_of_what_it_is_of(text: str, field: str) -> None:
    """A word for workstations, job streams or folders before a list of numbers makes it one of these."""
    entities = extract_entities(text)
    kinds = {kind: getattr(entities, kind) for kind in ("jobs", "workstations", "job_streams", "folders")}
    assert kinds == dict.fromkeys(kinds, ()) | {field: ("LNX001", "LNX002", "LNX003")}


def test_workstations_may_be_a_range_too() -> None:
    """A word for workstations before a range makes it one of them."""
    entities = extract_entities("agentes LNX01 a LNX03 fora do ar")
    assert (entities.workstations, entities.jobs) == (("LNX01", "LNX02", "LNX03"), ())


@pytest.mark.parametrize(
    ("text", "pattern"),
    [
        ("os jobs FECH0* falharam?", "FECH0*"),
        ("FECH0* falhou", "FECH0*"),
        ("jobs fech0* falharam", "fech0*"),
        ("os jobs FECH0? estão parados", "FECH0?"),
        ('"FECH0?" falhou', "FECH0?"),
        ("FECH@ em abend?", "FECH@"),
        ("MDM#FATDIA.@ está parado?", "MDM#FATDIA.@"),
        ("@#@.FECH* falhou", "@#@.FECH*"),
        ("os jobs que começam com FECH0 falharam", "FECH0*"),
        ("jobs starting with PAY failed", "PAY*"),
        ("los trabajos que empiezan con FECH fallaron", "FECH*"),
    ],
)
def test_a_pattern_is_found(text: str, pattern: str) -> None:
    """Wildcards of TWS and of file names, and names by their beginning."""
    entities = extract_entities(text)
    assert (entities.job_patterns, entities.jobs) == ((pattern,), ())


@pytest.mark.parametrize(
    "text",
    [
        "O que houve com o BATCH001?",
        "BATCH001??",
        "**BATCH001** falhou",
        "*BATCH001* falhou",
        "**URGENTE: BATCH001** parou",
        "avisa @maria que o BATCH001 caiu",
        "SQL*Plus no BATCH001",
        "o arquivo /tmp/FECH* do BATCH001",
        "SELECT * FROM TAB no BATCH001",
        "mail job@fech.com sobre o BATCH001",
        "erros ORA-01* no BATCH001",
        "BATCH001: PGM=FECH*",
        "cron 0 */5 * * * do BATCH001",
    ],
)
def test_what_only_looks_like_a_pattern_is_none(text: str) -> None:
    """Question marks, bold type, people, addresses, files and codes are no patterns."""
    entities = extract_entities(text)
    assert entities.job_patterns == ()
    assert "BATCH001" in entities.jobs


def test_several_names_do_not_disturb_kind_and_language() -> None:
    """For random questions, a range or a pattern in place of a name gives the same intent and language."""
    chance = random.Random(4)
    questions = (
        "por que o {} não rodou",
        "why did {} fail",
        "status do {}",
        "cancela o {}",
        "el {} falló, ¿qué hago?",
        "quem é o dono do {}?",
        "{} deu erro de novo",
        "como reinicio o {} com segurança?",
    )
    for _ in range(30):
        question = chance.choice(questions)
        head, first = "".join(chance.choices("FGHKLMPR", k=4)), chance.randint(1, 60)
        names = (
            f"{head}{first:03d}..{head}{first + 5:03d}", f"{head}{first:03d}-{head}{first + 5:03d}", f"{head}0*",
            f"{head}@", f"WS1#{head}.@",
        )  # fmt: skip
        one = route(question.format(f"{head}{first:03d}"))
        for name in names:
            several = route(question.format(name))
            assert (several.intent, several.language) == (one.intent, one.language), (question, name)
            assert several.entities.jobs or several.entities.job_patterns, (question, name)


def test_dates_times_and_hyphens_are_no_ranges() -> None:
    """For random names, dates, times, amounts and codes a question names its one job, and no other."""
    chance = random.Random(11)
    for _ in range(150):
        head = "".join(chance.choices("FGHKLMPR", k=4))
        number, other = f"{chance.randint(1, 40):02d}", f"{chance.randint(41, 59):02d}"
        name = chance.choice(
            (f"{head}{number}", f"{head}{number}-{other}", f"{head}-{number}", f"{head}_{number}-{other}A")
        )
        what = chance.choice((
            f"{number}/11 a {other}/11", f"das {number}:00 a {number}:{other}", f"2024-01-{number} a 2024-12-{number}",
            f"a {other} minutos", f"de {number}h a 23h", f"RC {number} a RC {other}", "S0C1 a S0C7", f"a {other}%",
            f"STEP0{number} a STEP0{other}", f"- {other} execuções", f"até {other}:30", f"...{other}?",
            f"a {other} dias",
        ))  # fmt: skip
        text = f"o job {name} caiu {what}" if chance.random() < 0.5 else f"o job {name} {what}"
        assert extract_entities(text).jobs == (name,), text


@pytest.mark.parametrize(
    ("message", "jobs"),
    [
        ("BATCH001, BATCH002 e BATCH003 falharam", ("BATCH001", "BATCH002", "BATCH003")),
        ("falhou", ("BATCH001",)),
        ("MDM#FATDIA.BATCH001 falhou, e o batch001?", ("MDM#FATDIA.BATCH001",)),
        ("BATCH002 depende do BATCH001 e não rodou", ("BATCH001", "BATCH002")),
        ("FECH001 a FECH002 também", ("BATCH001", "FECH001", "FECH002")),
        ("falharam:\nBATCH001\n- BATCH002\n2. BATCH003,\nobrigado", ("BATCH001", "BATCH002", "BATCH003")),
        ("caiu:\njava.lang.Error in load_data at YarnAllocator\ne o BATCH002?", ("BATCH001", "BATCH002")),
        ("caiu:\nIEF450I CARGA07 STEP1 - ABEND=S0C7 U0000\nin load_data at YarnAllocator", ("BATCH001",)),
    ],
)
def test_jobs_of_request_and_message_are_both_asked(message: str, jobs: tuple[str, ...]) -> None:
    """``job_name`` with other jobs in the message asks about all of them."""
    assert plan(message, job_name="BATCH001").jobs == jobs


@pytest.mark.parametrize(
    "message",
    [
        "está esperando o BATCH002 e o BATCH003",
        "depende do BATCH002, BATCH003",
        "it waits for BATCH002 and BATCH003",
        "its predecessors are BATCH002 and BATCH003",
        "BATCH002 e BATCH003 são predecessores: BATCH003 é predecessor e BATCH002 é antecessor",
        "está bloqueado por el BATCH002 y el BATCH003",
    ],
)
def test_what_a_job_waits_for_is_said_and_not_asked(message: str) -> None:
    """What the message names only as what the job waits for is not asked about, and a note says so."""
    made = plan(message, job_name="BATCH001", language="en")

    assert made.jobs == ("BATCH001",)
    assert any("BATCH002" in note and "BATCH003" in note for note in made.notes)


def test_what_a_message_names_alone_is_all_asked() -> None:
    """Without jobs in the request, each job of the message is asked about."""
    assert plan("BATCH001 está esperando o BATCH002").jobs == ("BATCH001", "BATCH002")


def test_more_jobs_than_fit_are_cut_and_counted() -> None:
    """A range that is too long is cut, whatever its length; request and message together as well."""
    made = plan("os jobs FECH0001 a FECH9999 falharam", language="en")

    assert len(made.jobs) == MAX_JOBS
    assert made.left_out == 9999 - MAX_JOBS
    assert any("9999" in note for note in made.notes)
    assert plan("e FECH001 a FECH200?", job_name="BATCH001").left_out == 1


def test_patterns_of_request_and_message_are_kept() -> None:
    """Patterns stand beside the jobs, those of the request first."""
    made = plan("e os FECH0* também", jobs=["PAY@", "BATCH001"])

    assert made.routing.entities.job_patterns == ("PAY@", "FECH0*")
    assert made.jobs == ("BATCH001",)


@pytest.mark.parametrize(
    ("message", "jobs"),
    [
        ("BATCH001 e batch001 falharam", ("BATCH001",)),
        ("BATCH001, FATDIA.BATCH001 e MDM#FATDIA.BATCH001 falharam", ("MDM#FATDIA.BATCH001",)),
        ("mdm#fatdia.batch001 failed; FATDIA.BATCH001 too", ("mdm#fatdia.batch001",)),
        ("job /PRD/FATDIA.BATCH001 falló, ¿y BATCH001?", ("/PRD/FATDIA.BATCH001",)),
        ("MDM#FATDIA.BATCH001 e MDM#FATMES.BATCH001", ("MDM#FATDIA.BATCH001", "MDM#FATMES.BATCH001")),
        ("BATCH001, BATCH002 e MDM#FATDIA.BATCH001 caíram", ("MDM#FATDIA.BATCH001", "BATCH002")),
    ],
)
def test_a_job_is_one_whatever_its_spelling(message: str, jobs: tuple[str, ...]) -> None:
    """Capitals and qualifiers make no other job: it is asked about once, by the name that says most."""
    assert plan(message).jobs == jobs
    assert plan("caiu", jobs=list(reversed(plan(message).jobs))).jobs == tuple(reversed(jobs))


def test_names_of_one_job_are_one_in_any_order() -> None:
    """For random sets of names: no two that are left say the same, and each that was given is said by one of them."""
    chance = random.Random(7)
    for _ in range(100):
        names = [
            chance.choice(("", "FATDIA.", "FATMES.", "MDM#FATDIA.", "mdm#FATDIA.", "MDM#/PRD/FATDIA.", "LNX01#"))
            + chance.choice(("BATCH001", "batch001", "PAY#D010"))
            for _ in range(chance.randint(1, 6))
        ]
        left = distinct_jobs(names)
        parts = {name: JobName.readings(name)[0] for name in (*names, *left)}
        assert all(any(parts[name].is_said_by(parts[one]) for one in left) for name in names), names
        assert not any(parts[one].is_said_by(parts[two]) for one in left for two in left if one != two), names


@pytest.mark.parametrize(
    ("message", "is_said"),
    [
        ("os jobs FECH001 a CARGA010 falharam", True),
        ("why did the jobs FECH001 to CARGA010 fail?", True),
        ("os jobs FECH001 a FECH010 falharam", False),
        ("compara os jobs FECH001 a CARGA010", False),
        ("FECH001 e CARGA010 falharam", False),
    ],
)
def test_what_is_no_range_is_said(message: str, is_said: bool) -> None:
    """Names that differ by more than a number are two jobs, and a note says so."""
    assert any("no range of jobs" in note for note in plan(message, language="en").notes) is is_said


def test_jobs_among_others_are_those_that_are_the_same_as_one() -> None:
    """As comparing each with each gives, in a time that grows with their number and not with its square."""
    names = ["FECH001", "WS1#JS.FECH001", "WS1-JS.FECH002", "fech002", "/F/JS.FECH003", "A#B", "CARGA"]
    others = ["fech001", "WS1#JS.FECH002", "/F/JS.FECH003", "A#B", "X.CARGA", "não é job"]
    assert jobs_among(names, others) == tuple(
        name for name in names if any(is_same_job(name, other) for other in others)
    )


@pytest.mark.parametrize(
    ("text", "left_out"),
    [
        ("FECH0* exceto FECH003", ("FECH003",)),
        ("por que os jobs FECH0* falharam, menos o FECH003?", ("FECH003",)),
        ("FECH0* sem o FECH003", ("FECH003",)),
        ("FECH0* (fora o FECH003) caíram", ("FECH003",)),
        ("why did FECH0* fail, except FECH003?", ("FECH003",)),
        ("FECH0* but not FECH003", ("FECH003",)),
        ("FECH0* excepto FECH003 fallaron", ("FECH003",)),
        ("os jobs FECH0* exceto FECH01* e FECH020 falharam", ("FECH01*", "FECH020")),
        ("todos os jobs em abend do stream FECHADIA exceto FECH003 e FECH004", ("FECH003", "FECH004")),
        ("todos os jobs em abend exceto os do stream FATDIA", ("FATDIA.@",)),
        ("all jobs in abend except FECH003", ("FECH003",)),
        ("todos los trabajos en abend menos FECH003", ("FECH003",)),
        ("quais jobs falharam hoje, salvo o job FECH003?", ("FECH003",)),
    ],
)
def test_jobs_that_a_question_leaves_out_are_not_asked_about(text: str, left_out: tuple[str, ...]) -> None:
    """The others are found as ever; the plan says which were left out."""
    made = plan(text)
    assert made.routing.entities.excluded == left_out
    assert made.jobs == ()
    assert "exceto" not in made.routing.entities.candidates
    assert [stage.after for stage in made.then] == [("tws_status",)]
    assert sum(", ".join(left_out) in note for note in made.notes) == 1
    assert made.left_out == 0


@pytest.mark.parametrize(
    ("text", "jobs"),
    [
        ("FECH001 a FECH005 exceto FECH003", ("FECH001", "FECH002", "FECH004", "FECH005")),
        ("FECH001 a FECH005 exceto 003 e 004", ("FECH001", "FECH002", "FECH005")),
        ("FECH001..FECH005 exceto FECH002 a FECH004", ("FECH001", "FECH005")),
        ("todos os FECH0* rodaram menos o FECH003", ("FECH003",)),
        ("tudo rodou menos o FECH003, por quê?", ("FECH003",)),
        ("todos os jobs terminaram menos o FECH003", ("FECH003",)),
        ("o FECH001 roda sem o FECH003?", ("FECH001", "FECH003")),
        ("why did FECH001 fail but not FECH002?", ("FECH001", "FECH002")),
    ],
)
def test_what_is_left_out_of_a_range_and_what_is_meant_though_it_sounds_so(text: str, jobs: tuple[str, ...]) -> None:
    """Of what went well the one left out is asked about."""
    assert plan(text).jobs == jobs


def test_a_pattern_of_the_request_less_what_its_message_leaves_out() -> None:
    """A job that the request names itself is asked about, whatever the message says."""
    entities = plan("todos exceto FECH003", jobs=["FECH0*"]).routing.entities
    assert (entities.job_patterns, entities.excluded) == (("FECH0*",), ("FECH003",))
    assert plan("por que falharam, exceto FECH003?", jobs=["FECH001..FECH004"]).jobs == (
        "FECH001",
        "FECH002",
        "FECH004",
    )
    assert plan("todos exceto FECH003", job_name="FECH003").jobs == ("FECH003",)


@pytest.mark.parametrize(
    ("name", "pattern", "is_named"),
    [
        ("MDM#FECHADIA.FECH003", "fech003", True),
        ("/PRD/MDM#/PRD/FECHADIA(0800 11/24/26).FECH003", "FECH00?", True),
        ("MDM#FECHADIA.FECH003", "FATDIA.FECH*", False),
        ("MDM#FECHADIA.FECH003", "FECHADIA.@", True),
        ("MDM#FECHADIA.FECH003", "FECH", False),
        ("PAY#D010", "PAY#D0*", True),
        ("FECH003", "MDM#FECHADIA.FECH003", False),
    ],
)
def test_a_name_is_held_against_a_pattern_by_its_parts(name: str, pattern: str, is_named: bool) -> None:
    """A part that the pattern has and the name lacks is none of it."""
    assert is_named_by(name, pattern) is is_named


def test_names_with_many_wildcards_are_matched_as_with_few() -> None:
    """Right for random names and patterns, and at once: twenty wildcards once took longer than any run."""
    chance = random.Random(5)
    for _ in range(300):
        name = "A" + "".join(chance.choices("AB", k=chance.randint(0, 7)))
        pattern = "".join(chance.choices("AB*@?", k=chance.randint(1, 6)))
        expected = fnmatchcase(name, pattern.replace("@", "*"))
        assert (wildcard_expression(pattern).fullmatch(name.lower()) is not None) is expected, (name, pattern)
    assert wildcard_expression("A*" * 19 + "B").fullmatch("A" * 40) is None


@pytest.mark.parametrize(
    "question",
    [
        *(f"{word} o FECH003 e o FECH004 caíram" for word in ("apenas", "inclusive", "ambos", "talvez", "Enquanto")),
        *(f"{word} el FECH003 y el FECH004 fallaron" for word in ("solamente", "incluso", "ambos", "aunque")),
        *(f"{word} FECH003 and FECH004 failed" for word in ("only", "both", "even", "maybe")),
    ],
)
def test_a_function_word_before_a_list_is_no_job(question: str) -> None:
    """An adverb, a conjunction or a quantifier is neither a job of the list behind it nor a word that may be one."""
    entities = route(question).entities
    assert (set(entities.jobs), entities.candidates) == ({"FECH003", "FECH004"}, ())


def test_a_masked_secret_is_no_job() -> None:
    """What stands in a secret's place is asked about by no source."""
    for message in (f"Job BATCH001 falhou, a senha é {MARK}", f"BATCH001 e {MARK} falharam", f"token: {MARK}"):
        entities = extract_entities(message)
        assert set(entities.jobs) <= {"BATCH001"}
        assert "REDACTED" not in entities.candidates
