"""Whatever a question calls a job, the plan decides; what it does not have is said, and nothing else is diagnosed."""

from datetime import UTC, datetime, timedelta

import pytest
from asked_support import Asked, ask_plan

from workers.lab.simulator.plan import Plan, Run
from workers.lab.simulator.scenarios.mainframe import s0c7_log

NOW = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
STARTED = NOW - timedelta(minutes=40)


def some_plan() -> Plan:
    """BATCH001 failed on ZOS1; everything else runs or ended well."""
    plan = Plan(NOW)
    plan.add_workstation("ZOS1", kind="X-AGENT", os="ZOS")
    plan.add_workstation("LNX01")
    for stream, station, status in (
        ("FATDIA", "ZOS1", "STUCK"),
        ("CONTAB", "ZOS1", "SUCC"),
        ("FECHTO", "LNX01", "SUCC"),
    ):
        plan.add_stream(stream, station, status=status)
    failed = Run(STARTED, timedelta(minutes=11), "ABEND", 12, s0c7_log(STARTED, 41873))
    plan.add_job("BATCH001", "FATDIA", "ZOS1", status="ABEND", runs=[failed])
    for name, stream, station in (
        ("PAY#D010", "FATDIA", "ZOS1"),
        ("ACT@SALD", "FATDIA", "ZOS1"),
        ("ACTXSALD", "FATDIA", "ZOS1"),
        ("HIST#90", "FATDIA", "ZOS1"),
        ("LQD0116", "CONTAB", "ZOS1"),
        ("fechto_diaria", "FECHTO", "LNX01"),
        ("CARGA", "FECHTO", "LNX01"),
    ):
        plan.add_job(name, stream, station, status="SUCC", runs=[Run(STARTED, timedelta(minutes=3), "SUCC", 0)])
    return plan


def ask(message: str) -> Asked:
    """Ask about that plan."""
    return ask_plan(some_plan(), message)


@pytest.mark.parametrize(
    ("message", "name", "nearest"),
    [
        ("o fechto_diario ja acabou?", "fechto_diario", "fechto_diaria"),
        ("O job HIST#99 deu pau outra vez", "HIST#99", "HIST#90"),
        ("restarta ai o lqd0115 a partir do passo 40", "lqd0115", "LQD0116"),
        ("a malha FATDIO travou?", "FATDIO", "FATDIA"),
        ("a workstation LNX02 caiu?", "LNX02", "LNX01"),
        ("ZOS1#CONTAB.BATCH001 caiu?", "ZOS1#CONTAB.BATCH001", "ZOS1#FATDIA.BATCH001 (ABEND)"),
    ],
)
def test_what_the_plan_does_not_have_is_said_first_with_the_nearest_names(
    message: str, name: str, nearest: str
) -> None:
    """No other object is diagnosed in its place, and no command changes one."""
    asked = ask(message)
    assert name in asked.diagnosis.summary.split(". ")[0]
    assert nearest in asked.diagnosis.summary
    assert asked.diagnosis.category == "job_not_found"
    assert "S0C7" not in asked.diagnosis.summary
    assert not [action for action in asked.diagnosis.actions if action.mutates and action.command]
    assert not any("BATCH001" in command for command in asked.commands if "sj" not in command)


@pytest.mark.parametrize("message", ["por que o job falhou?", "reroda o trambolho", "caiu com rc 12", "1+1?"])
def test_a_question_without_a_subject_diagnoses_nothing(message: str) -> None:
    """The plan's problems are named, so that one can be chosen; none is diagnosed, and no command proposed."""
    asked = ask(message)
    assert asked.diagnosis.confidence <= 0.3
    assert "ZOS1#FATDIA.BATCH001" in asked.diagnosis.summary
    assert "S0C7" not in asked.diagnosis.summary
    assert asked.diagnosis.actions == ()
    assert asked.diagnosis.asks_back


def test_a_question_about_the_plan_is_answered_with_its_problems() -> None:
    """It has a subject: all jobs."""
    assert "S0C7" in ask("quais jobs falharam?").diagnosis.summary


@pytest.mark.parametrize(
    ("message", "job"),
    [
        ("por que carga não rodou", "CARGA"),
        ("o PAY#D010 terminou?", "PAY#D010"),
        ("pay#d010 ja acabou?", "PAY#D010"),
        ("o ACT@SALD terminou?", "ACT@SALD"),
        ("e o lqd0116?", "LQD0116"),
        ("JOB FECHTO_DIARIA TERMINOU?", "fechto_diaria"),
    ],
)
def test_a_name_is_the_jobs_that_the_plan_has(message: str, job: str) -> None:
    """In small letters, without the word job, of z/OS; "@", a wildcard of queries, finds no other job."""
    asked = ask(message)
    assert asked.payload.job is not None
    assert asked.payload.job.name == job
    assert asked.payload.candidates == ()


@pytest.mark.parametrize("name", ["BATCH-001", "batch_001", "Batch_0_01"])
def test_another_spelling_of_a_name_is_that_job(name: str) -> None:
    """Hyphens and underscores are easily mistaken; the answer says how the plan writes it."""
    asked = ask(f"por que o job {name} falhou?")
    assert asked.diagnosis.summary.startswith(f"O plano tem {name} como ZOS1#FATDIA.BATCH001.")
    assert "S0C7" in asked.diagnosis.summary


def test_a_word_that_names_a_stream_is_that_stream() -> None:
    """Neither the word for its kind nor capitals are needed."""
    asked = ask("e o fechto, terminou?")
    assert asked.payload.named_stream == "FECHTO"
    assert "FECHTO" in asked.diagnosis.summary


def test_a_list_of_what_the_plan_does_not_have_says_so() -> None:
    """None of its jobs failed because it has none; and a word may name what a list is of."""
    asked = ask("quais jobs do stream FATDIO falharam?")
    assert "FATDIO" in asked.diagnosis.summary.split(". ")[0]
    assert "FATDIA" in asked.diagnosis.summary
    assert asked.diagnosis.category == "job_not_found"
    of_all = ask("quais jobs da folhinha falharam?")
    assert of_all.diagnosis.summary.startswith("folhinha não está no plano atual.")
    assert not [action for action in of_all.diagnosis.actions if action.mutates]
    of_stream = ask("quais jobs da fatdia falharam?").payload.listing
    assert of_stream is not None
    assert of_stream.where == ("FATDIA",)


def test_a_stream_of_two_readings_is_found() -> None:
    """WS#STREAM of eight characters at most reads like a job of z/OS; the plan has it as a job stream."""
    plan = some_plan()
    plan.add_workstation("MDM")
    plan.add_stream("FAT1", "MDM", status="STUCK")
    plan.add_job("FATJOB", "FAT1", "MDM", status="ABEND", runs=[Run(STARTED, timedelta(minutes=1), "ABEND", 8)])
    asked = ask_plan(plan, "por que MDM#FAT1 travou?")
    assert [job.name for job in asked.payload.problem_jobs] == ["FATJOB"]


def test_a_wrong_stream_of_a_right_job_is_corrected() -> None:
    """What the plan has instead comes first; a command that changes the job waits for the user's word."""
    asked = ask("O job BATCH001 do stream CONTAB caiu")
    assert asked.diagnosis.summary.startswith("O job BATCH001 não está em CONTAB: no plano ele é ZOS1#FATDIA.BATCH001.")
    assert not [action for action in asked.diagnosis.actions if action.mutates]


@pytest.mark.parametrize(
    ("message", "stream"),
    [("quais jobs ainda nao acabaram no FAT_2?", "FAT_2"), ("a workstation FAT_2 travou?", "FAT_2")],
)
def test_a_stream_that_is_called_a_workstation_is_the_stream(message: str, stream: str) -> None:
    """The plan knows what its names are."""
    plan = some_plan()
    plan.add_stream("FAT_2", "LNX01", status="STUCK")
    plan.add_job("FAT_JOB", "FAT_2", "LNX01", status="ABEND", runs=[Run(STARTED, timedelta(minutes=1), "ABEND", 8)])
    asked = ask_plan(plan, message)
    assert asked.payload.named_stream == stream
    assert asked.diagnosis.category != "job_not_found"


def test_a_job_on_another_workstation_is_corrected() -> None:
    """A name behind "na" says where the job is, and is no second job."""
    asked = ask("o job BATCH001 na LNX01 caiu")
    assert asked.routing.entities.jobs == ("BATCH001",)
    assert asked.diagnosis.summary.startswith("O job BATCH001 não está em LNX01: no plano ele é ZOS1#FATDIA.BATCH001.")


def test_the_stream_of_the_question_chooses_among_jobs_of_one_name() -> None:
    """Without one the failed job is meant, and the answer says so with its stream and time."""
    plan = some_plan()
    plan.add_job("BATCH001", "CONTAB", "ZOS1", status="SUCC", runs=[Run(STARTED, timedelta(minutes=3), "SUCC", 0)])
    chosen = ask_plan(plan, "o job BATCH001 da malha CONTAB terminou?")
    assert chosen.payload.job is not None
    assert chosen.payload.job.job_stream == "CONTAB"
    open_question = ask_plan(plan, "por que o job BATCH001 falhou?")
    assert open_question.diagnosis.summary.startswith(
        "O plano tem 2 jobs de nome BATCH001; esta resposta é sobre ZOS1#FATDIA.BATCH001, agendado para "
        "2026-11-24 07:00 (America/Sao_Paulo)."
    )


def test_a_rerun_that_ended_well_is_told_from_the_failed_run() -> None:
    """Both runs are named with their times, and no rerun is proposed."""
    plan = some_plan()
    again = STARTED + timedelta(minutes=20)
    runs = [Run(STARTED, timedelta(minutes=3), "ABEND", 8, ["ORA-01017"]), Run(again, timedelta(minutes=3), "SUCC", 0)]
    plan.add_job("RERUN01", "FECHTO", "LNX01", status="SUCC", runs=runs)
    asked = ask_plan(plan, "por que o job RERUN01 falhou?")
    assert asked.diagnosis.summary.startswith(
        "RERUN01 executou 2 vezes: a execução de 2026-11-24 08:20 (America/Sao_Paulo) terminou em ABEND; "
        "a mais recente, de 2026-11-24 08:40 (America/Sao_Paulo), terminou bem."
    )
    assert asked.diagnosis.category == "completed"
    assert not any(" rr " in command for command in asked.commands)


def two_places() -> Plan:
    """FECHA_LOJA failed in LOJASUL and ended well in LOJANORTE; CARGA failed as well."""
    plan = Plan(NOW)
    for station, stream, status in (("SRVUNX1", "LOJASUL", "ABEND"), ("SRVUNX2", "LOJANORTE", "SUCC")):
        plan.add_workstation(station)
        plan.add_stream(stream, station)
        run = Run(STARTED, timedelta(minutes=3), status, 0 if status == "SUCC" else 1, ["fim"])
        plan.add_job("FECHA_LOJA", stream, station, status=status, runs=[run])
    failed = Run(STARTED, timedelta(minutes=3), "ABEND", 1, ["bash: x: command not found"])
    plan.add_job("CARGA", "LOJANORTE", "SRVUNX2", status="ABEND", runs=[failed])
    return plan


@pytest.mark.parametrize(
    "question",
    [
        "fecha_loja da LOJANORTE terminou?",
        "fecha_loja na srvunx2 caiu",
        "FECHA_LOJA caiu na SRVUNX2",
        "FECHA_LOJA (SRVUNX2) caiu",
        "o FECHA_LOJA lá da LOJANORTE falhou?",
        "job FECHA_LOJA stream LOJANORTE ws SRVUNX2",
        "did FECHA_LOJA in LOJANORTE finish?",
        "FECHA_LOJA from SRVUNX2 failed",
        "el job FECHA_LOJA de LOJANORTE falló",
    ],
)
def test_where_a_job_is_said_to_be_chooses_among_its_namesakes(question: str) -> None:
    """Neither the job of the same name elsewhere nor another one of the same place is answered about."""
    asked = ask_plan(two_places(), question)
    assert asked.payload.job is not None
    assert asked.payload.job.job_stream == "LOJANORTE"
    assert asked.diagnosis.category == "completed"
    assert asked.commands == []


@pytest.mark.parametrize("question", ["job /PRD/FAT/FATDIA.BATCH001 abendou", "/PRD/FAT/FATDIA.BATCH001 falhou"])
def test_a_job_with_its_folder_and_no_workstation_is_found(question: str) -> None:
    """As the web console shows it."""
    plan = Plan(NOW)
    plan.add_workstation("ZOS1")
    plan.add_stream("FATDIA", "ZOS1", folder="/PRD/FAT")
    failed = Run(STARTED, timedelta(minutes=11), "ABEND", 12, s0c7_log(STARTED, 41873))
    plan.add_job("BATCH001", "FATDIA", "ZOS1", folder="/PRD/FAT", status="ABEND", runs=[failed])
    assert ask_plan(plan, question).diagnosis.category == "data_exception"


def test_two_failed_runs_are_told_apart() -> None:
    """The newest is answered about, and that there are others is said."""
    plan = two_places()
    old = Run(STARTED - timedelta(hours=3), timedelta(minutes=3), "ABEND", 137, ["Killed"])
    new = Run(STARTED, timedelta(minutes=3), "ABEND", 127, ["bash: x: command not found"])
    plan.add_job("DUAS_VEZES", "LOJASUL", "SRVUNX1", status="ABEND", runs=[old, new])
    diagnosis = ask_plan(plan, "por que DUAS_VEZES falhou?").diagnosis
    assert diagnosis.category == "command_not_found"
    assert diagnosis.summary.startswith("DUAS_VEZES executou 2 vezes; esta resposta é sobre a execução mais recente")


@pytest.mark.parametrize(
    ("question", "said"),
    [("BATCH001 deu ORA-12541?", True), ("BATCH001 deu S0C4?", True), ("BATCH001 deu S0C7?", False)],
)
def test_a_code_that_the_log_does_not_show_is_said_to_be_missing(question: str, said: bool) -> None:
    """Who believes in another error is told that it is not there, before the one that is."""
    diagnosis = ask_plan(some_plan(), question).diagnosis
    assert diagnosis.category == "data_exception"
    assert diagnosis.summary.startswith("O job log de BATCH001 não mostra") is said


@pytest.mark.parametrize("question", ["status do stream /PRD/FAT/FATDIA", "o stream /PRD/FAT/FATDIA travou"])
def test_a_job_stream_is_found_by_its_folder(question: str) -> None:
    """The path behind a word for a job stream is that of the stream, not of a folder."""
    plan = Plan(NOW)
    plan.add_workstation("ZOS1")
    plan.add_stream("FATDIA", "ZOS1", folder="/PRD/FAT", status="STUCK")
    failed = Run(STARTED, timedelta(minutes=11), "ABEND", 12, s0c7_log(STARTED, 41873))
    plan.add_job("BATCH001", "FATDIA", "ZOS1", folder="/PRD/FAT", status="ABEND", runs=[failed])
    asked = ask_plan(plan, question)
    assert [job.name for job in asked.payload.problem_jobs] == ["BATCH001"]
    assert "não tem" not in asked.diagnosis.summary


@pytest.mark.parametrize(("message", "category"), [("FECHTO", "no_problem"), ("actxsald", "completed")])
def test_a_bare_name_is_looked_up_in_the_plan(message: str, category: str) -> None:
    """A message of one word that may be a name is about what the plan has by that name."""
    asked = ask(message)
    assert asked.payload.named_stream == message or asked.payload.job is not None
    assert asked.diagnosis.category == category


def test_a_bare_name_that_the_plan_lacks_is_said_to_be_missing() -> None:
    """With the nearest names, and not with what can be asked in general."""
    diagnosis = ask("FECHTU").diagnosis
    assert diagnosis.summary.startswith("O plano não tem job, job stream nem workstation de nome FECHTU.")
    assert "FECHTO" in diagnosis.summary


@pytest.mark.parametrize(
    ("message", "category"),
    [
        ("curl: (6) Could not resolve host: x.example", "network_error"),
        ("bash: foo: command not found", "command_not_found"),
        ("o que significa isso? bash: foo: command not found", "command_not_found"),
        ("o que é isso: No space left on device", "disk_full"),
        ("No space left on device", "disk_full"),
        ("Permission denied", "permission_denied"),
    ],
)
def test_a_pasted_line_is_explained_by_the_catalogue(message: str, category: str) -> None:
    """No word of it is taken for a name, and no job of the plan for its cause."""
    diagnosis = ask(message).diagnosis
    assert diagnosis.category == category
    assert message.rsplit("? ", 1)[-1].rsplit(" isso: ", 1)[-1] in diagnosis.summary
    assert "BATCH001" not in diagnosis.summary


@pytest.mark.parametrize(
    "message", ["o extracao caiu: bash: foo: command not found", "extracao: curl: (6) Could not resolve host"]
)
def test_a_name_before_a_pasted_line_is_what_it_is_about(message: str) -> None:
    """What stands before the line is looked up as ever."""
    assert ask(message).routing.entities.candidates == ("extracao",)
