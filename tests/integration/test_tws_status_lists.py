"""Questions for a list of the plan: counted over every page of the server, grouped, and cut only where it is said."""

from datetime import UTC, datetime, timedelta

import pytest
from asked_support import Asked, ask_plan
from plan_support import add_resource, depends_on_resource

from orchestrator.models import SourceOutcome
from orchestrator.payloads import is_cut_list
from workers.lab.simulator.faults import Fault
from workers.lab.simulator.plan import Plan, Run

NOW = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
SERVER_CAP = 25
"""Results at once, whatever limit a client sends."""


def big_plan(total: int = 400, failed: int = 37) -> Plan:
    """Jobs in twenty streams of which some are in ABEND, most of these in two streams."""
    plan = Plan(NOW)
    plan.add_workstation("SRV1")
    for number in range(20):
        plan.add_stream(f"JS{number:02d}", "SRV1", folder="/PRD/PIX" if number < 5 else "/PRD/FAT")
    for number in range(total):
        is_failed = number < failed
        stream = number % 2 if is_failed else number % 20
        code = 12 if number % 3 else 8
        run = Run(
            NOW - timedelta(minutes=60),
            timedelta(minutes=3),
            "ABEND" if is_failed else "SUCC",
            code if is_failed else 0,
        )
        plan.add_job(
            f"JOB{number:04d}",
            f"JS{stream:02d}",
            "SRV1",
            folder="/PRD/PIX" if stream < 5 else "/PRD/FAT",
            status="ABEND" if is_failed else "SUCC",
            runs=[run],
        )
    return plan


def mixed_plan() -> Plan:
    """A job in each of several states, in two folders, on two workstations."""
    plan = Plan(NOW)
    plan.add_workstation("SRV1")
    plan.add_workstation("SRV2", linked=False)
    plan.add_workstation("SRV3", limit=0)
    plan.add_stream("NOITE", "SRV1", folder="/PRD/PIX", status="STUCK")
    plan.add_stream("DIA", "SRV2", folder="/PRD/FAT")
    started = NOW - timedelta(minutes=30)
    for folder, stream, station in (("/PRD/PIX", "NOITE", "SRV1"), ("/PRD/FAT", "DIA", "SRV2")):
        where = {"stream": stream, "workstation": station, "folder": folder}
        runs = {"ABEND": 8, "FAIL": None, "SUCC": 0, "EXEC": None}
        for status, code in runs.items():
            run = Run(started, None if status == "EXEC" else timedelta(minutes=2), status, code)
            plan.add_job(f"{stream}_{status}", **where, status=status, runs=[run])
        plan.add_job(f"{stream}_HOLD", **where, status="HOLD", substatus="HOLD_WAITING_FOR_FILE")
        plan.add_job(f"{stream}_TIME", **where, status="HOLD", substatus="HOLD_WAITING_FOR_TIME")
        plan.add_job(f"{stream}_READY", **where, status="READY", substatus="READY_WAITING_FOR_LIMIT")
    return plan


ALL = ("ABEND", "EXEC", "FAIL", "HOLD", "READY", "SUCC", "TIME")


def names(asked: Asked) -> list[str]:
    """The names in the list."""
    assert asked.payload.listing is not None
    return sorted(name.rpartition(".")[2] for group in asked.payload.listing.groups for name in group.names)


@pytest.mark.parametrize("cap", [None, SERVER_CAP, 10])
def test_every_failed_job_is_counted_whatever_the_server_gives_at_once(cap: int | None) -> None:
    """37 are 37, by stream and return code, with the names of all."""
    asked = ask_plan(big_plan(), "quais jobs estão em abend?", max_results=cap)
    listing = asked.payload.listing
    assert listing is not None
    assert (listing.count, listing.is_complete) == (37, True)
    assert listing.by_stream == {"SRV1#/PRD/PIX/JS00": 19, "SRV1#/PRD/PIX/JS01": 18}
    assert listing.by_code == {"ABEND RC 12": 24, "ABEND RC 8": 13}
    assert names(asked) == [f"JOB{number:04d}" for number in range(37)]
    assert asked.diagnosis.category == "plan_list"
    assert asked.diagnosis.summary.startswith("37 jobs em ABEND no plano atual.")
    assert "SRV1#/PRD/PIX/JS00: 19" in asked.diagnosis.summary
    assert "ABEND RC 12: 24" in asked.diagnosis.summary
    assert any("JOB0036" in claim.text for claim in asked.diagnosis.claims)
    assert asked.diagnosis.actions == ()
    assert asked.result.truncated is None
    assert not is_cut_list(asked.result.data)


def test_a_number_is_answered_with_a_number() -> None:
    """ "quantos falharam" wants no names first."""
    asked = ask_plan(big_plan(), "quantos jobs falharam?", max_results=SERVER_CAP)
    assert asked.diagnosis.summary.startswith("37 jobs com falha no plano atual.")


def test_what_is_not_named_is_said_with_the_way_to_see_it() -> None:
    """With more than an answer can name the numbers stay exact, and nothing calls the list complete."""
    asked = ask_plan(big_plan(total=320, failed=300), "quais jobs estão em abend?", max_results=SERVER_CAP)
    listing = asked.payload.listing
    assert listing is not None
    assert (listing.count, sum(listing.by_stream.values()), listing.unread) == (300, 300, 0)
    assert not listing.is_complete
    assert is_cut_list(asked.result.data)
    assert "contados e não nomeados" in " ".join(asked.diagnosis.missing_evidence)
    assert asked.commands == ["conman sj @#@.@+state=abend,abenp"]


def test_a_list_that_the_time_does_not_allow_to_read_says_so() -> None:
    """A slow server that gives 25 at once: what was read is counted, and what was not is said."""
    plan = big_plan(total=400, failed=400)
    asked = ask_plan(
        plan,
        "quais jobs estão em abend?",
        max_results=SERVER_CAP,
        faults=[Fault("/plan/job", latency_seconds=0.5)],
        limit_seconds=3,
    )
    listing = asked.payload.listing
    assert listing is not None
    assert 0 < listing.count < 400
    assert listing.count + listing.unread == 400
    assert "Pelo menos" in asked.diagnosis.summary
    assert asked.diagnosis.confidence <= 0.7
    assert is_cut_list(asked.result.data)


@pytest.mark.parametrize(
    ("question", "expected"),
    [
        ("jobs bloqueados na pasta PIX", ["NOITE_HOLD", "NOITE_READY"]),
        ("jobs em HOLD da pasta /PRD/FAT", ["DIA_HOLD", "DIA_TIME"]),
        ("quais jobs estão rodando", ["DIA_EXEC", "NOITE_EXEC"]),
        ("quais jobs estão rodando na workstation SRV2?", ["DIA_EXEC"]),
        ("¿qué jobs están en READY?", ["DIA_READY", "NOITE_READY"]),
        ("list failed jobs in /PRD/FAT", ["DIA_ABEND", "DIA_FAIL"]),
        ("há jobs com erro na malha NOITE?", ["NOITE_ABEND", "NOITE_FAIL"]),
        ("which jobs have not run yet on agent SRV1?", ["NOITE_EXEC", "NOITE_HOLD", "NOITE_READY", "NOITE_TIME"]),
        ("quantos jobs já terminaram na malha DIA?", ["DIA_SUCC"]),
        ("quais jobs da SRV1 estão em hold?", ["NOITE_HOLD", "NOITE_TIME"]),
        ("lista os jobs da NOITE que falharam", ["NOITE_ABEND", "NOITE_FAIL"]),
        ("lista os jobs da NOITE em erro", ["NOITE_ABEND", "NOITE_FAIL"]),
        ("quais jobs tem na SRV2?", [f"DIA_{state}" for state in ALL]),
        ("quais jobs tem na DIA?", [f"DIA_{state}" for state in ALL]),
        ("lista os jobs da DIA", [f"DIA_{state}" for state in ALL]),
        ("what runs on SRV1?", [f"NOITE_{state}" for state in ALL]),
        ("jobs of stream DIA", [f"DIA_{state}" for state in ALL]),
        ("¿qué jobs hay en SRV2?", [f"DIA_{state}" for state in ALL]),
        ("jobs waiting on SRV2", ["DIA_HOLD", "DIA_READY", "DIA_TIME"]),
        ("quem espera pelo SRV2?", ["DIA_HOLD", "DIA_READY", "DIA_TIME"]),
        ("who is waiting for SRV2?", ["DIA_HOLD", "DIA_READY", "DIA_TIME"]),
    ],
)
@pytest.mark.parametrize("cap", [None, 3])
def test_a_list_is_limited_by_state_folder_stream_and_workstation(
    question: str, expected: list[str], cap: int | None
) -> None:
    """The same on a server that gives three at once."""
    asked = ask_plan(mixed_plan(), question, max_results=cap)
    assert asked.payload.listing is not None
    assert (names(asked), asked.payload.listing.count) == (expected, len(expected))
    assert str(len(expected)) in asked.diagnosis.summary
    assert asked.result.outcome is SourceOutcome.OK


def plan_with_resources() -> Plan:
    """Two jobs that wait for FITAS, one for DISCOS, and one for its time."""
    plan = Plan(NOW)
    plan.add_workstation("SRV1")
    plan.add_stream("NOITE", "SRV1")
    for name, resource in (("PEDE1", "FITAS"), ("PEDE2", "FITAS"), ("OUTRO", "DISCOS")):
        job = plan.add_job(name, "NOITE", "SRV1", status="READY", substatus="READY_WAITING_FOR_RESOURCES")
        depends_on_resource(plan, job, resource, "SRV1", required=1, free=0)
    plan.add_job("HORA", "NOITE", "SRV1", status="HOLD", substatus="HOLD_WAITING_FOR_TIME")
    for resource in ("FITAS", "DISCOS", "LIVRE"):
        add_resource(plan, resource, "SRV1", quantity=1, held_by=[])
    return plan


@pytest.mark.parametrize(
    ("question", "expected", "said"),
    [
        ("jobs esperando o recurso FITAS", ["PEDE1", "PEDE2"], "2 jobs em espera pelo recurso FITAS no plano atual."),
        ("quem espera pelo recurso FITAS?", ["PEDE1", "PEDE2"], "2 jobs em espera pelo recurso FITAS no plano atual."),
        ("which jobs are waiting for resource DISCOS?", ["OUTRO"], "1 job waiting for resource DISCOS"),
        ("¿qué jobs esperan el recurso LIVRE?", [], "0 jobs en espera por el recurso LIVRE"),
        ("quantos jobs aguardam o recurso NENHUM?", [], "O plano não tem o recurso NENHUM."),
    ],
)
def test_jobs_that_wait_for_a_resource_are_those_that_depend_on_it(
    question: str, expected: list[str], said: str
) -> None:
    """By their dependencies, which a list of jobs does not hold; other waiting jobs are none of them."""
    asked = ask_plan(plan_with_resources(), question)
    assert names(asked) == expected
    assert asked.diagnosis.summary.startswith(said)


@pytest.mark.parametrize(
    ("question", "lacks", "near"),
    [
        ("jobs bloqueados na pasta /PRD/XXX/", "/PRD/XXX", ("/PRD/FAT", "/PRD/PIX")),
        ("o que está em abend em /PRD/PIXX?", "/PRD/PIXX", ("/PRD/PIX",)),
        ("quantos jobs falharam na pasta PUX?", "PUX", ("/PRD/PIX",)),
        ("por que a pasta /DEV/ZZZ está parada?", "/DEV/ZZZ", ("/PRD/FAT", "/PRD/PIX")),
        ("which workstations in folder /DEV are offline?", "/DEV", ("/PRD/FAT", "/PRD/PIX")),
    ],
)
def test_a_folder_that_the_plan_lacks_is_said_first(question: str, lacks: str, near: tuple[str, ...]) -> None:
    """With the folders that are nearest, and without anything of another folder."""
    asked = ask_plan(mixed_plan(), question)
    assert (asked.payload.unknown, asked.payload.nearest) == ((lacks,), near)
    lead = "The plan has no folder" if question.startswith("which") else "O plano não tem a pasta"
    assert asked.diagnosis.summary.startswith(f"{lead} {lacks}.")
    assert all(folder in asked.diagnosis.summary for folder in near)
    assert asked.commands == []


def test_a_question_about_a_folder_is_answered_about_it_alone() -> None:
    """The problems of other folders are not its own."""
    asked = ask_plan(mixed_plan(), "o que aconteceu na pasta PIX?")
    assert {job.folder for job in asked.payload.problem_jobs} == {"/PRD/PIX"}
    assert asked.payload.problem_count == 6
    assert "SRV2" not in [station.name for station in asked.payload.workstations]


@pytest.mark.parametrize(
    ("question", "expected"),
    [
        ("workstations offline", ["SRV2"]),
        ("Workstations online", ["SRV1", "SRV3"]),
        ("Status das workstations", ["SRV1", "SRV2", "SRV3"]),
        ("quantos streams estão em STUCK?", ["SRV1#/PRD/PIX/NOITE"]),
    ],
)
def test_workstations_and_streams_are_listed_as_well(question: str, expected: list[str]) -> None:
    """By their state, with a server that gives one at once."""
    asked = ask_plan(mixed_plan(), question, max_results=1)
    listing = asked.payload.listing
    assert listing is not None
    assert sorted(name for group in listing.groups for name in group.names) == expected
    assert listing.count == len(expected)


def test_the_state_of_all_jobs_is_told_by_state() -> None:
    """ "Qual o status dos jobs?" names nothing: the numbers of each state are the answer."""
    asked = ask_plan(mixed_plan(), "Qual o status dos jobs?", max_results=3)
    assert asked.payload.listing is not None
    assert asked.payload.listing.by_code["HOLD"] == 4
    assert asked.diagnosis.summary.startswith("14 jobs no plano atual.")


def test_of_a_plan_that_was_not_read_to_its_end_the_number_is_right() -> None:
    """What the server counts are the jobs of the plan; the states are those of the jobs that were read."""
    asked = ask_plan(
        big_plan(),
        "Qual o status dos jobs?",
        max_results=SERVER_CAP,
        faults=[Fault("/plan/job", latency_seconds=0.5)],
        limit_seconds=3,
    )
    assert asked.payload.listing is not None
    read = asked.payload.listing.count
    assert 0 < read < 400
    assert asked.diagnosis.summary.startswith(f"400 jobs no plano atual. {read} deles foram lidos.")
    assert sum(asked.payload.listing.by_code.values()) == read


def test_late_jobs_are_those_that_the_plan_marks() -> None:
    """The plan's own flag, and not an estimate."""
    plan = mixed_plan()
    for job in plan.jobs:
        job["jobStatusFlags"] = {"jobLate": job["name"] == "DIA_EXEC"}
    assert names(ask_plan(plan, "quais jobs estão atrasados?")) == ["DIA_EXEC"]


def test_one_or_two_failed_jobs_are_explained_too() -> None:
    """The number first, and then why."""
    log = ["ModuleNotFoundError: No module named 'pandas'"]
    plan = Plan(NOW)
    plan.add_workstation("SRV1")
    plan.add_stream("JS1", "SRV1")
    run = Run(NOW - timedelta(minutes=30), timedelta(minutes=2), "ABEND", 1, log)
    plan.add_job("CARGA", "JS1", "SRV1", status="ABEND", runs=[run], task="/opt/a.py")
    asked = ask_plan(plan, "qual job esta em abend?")
    assert asked.diagnosis.summary.startswith("1 job em ABEND no plano atual.")
    assert "pandas" in asked.diagnosis.summary


def test_jobs_of_one_name_are_found_behind_the_first_page() -> None:
    """The stream is what tells them apart, and the server gives 25 at once."""
    plan = Plan(NOW)
    plan.add_workstation("SRV1")
    for number in range(60):
        plan.add_stream(f"JS{number}", "SRV1")
        plan.add_job("CARGA", f"JS{number}", "SRV1", status="SUCC", scheduled=NOW)
    asked = ask_plan(plan, "status do job SRV1#JS59.CARGA", max_results=SERVER_CAP)
    assert asked.payload.job is not None
    assert asked.payload.job.job_stream == "JS59"


def test_the_failed_jobs_of_the_plan_are_all_counted() -> None:
    """Without a list, too: the number of problems is that of the plan, not of a page."""
    asked = ask_plan(big_plan(), "o que está acontecendo no plano?", max_results=SERVER_CAP)
    assert asked.payload.problem_count == 37


def test_a_server_that_ignores_the_offset_ends() -> None:
    """It gives the same page again; what it counts beyond is said to be unread."""
    asked = ask_plan(big_plan(), "quais jobs estão em abend?", max_results=SERVER_CAP, ignores_offset=True)
    listing = asked.payload.listing
    assert listing is not None
    assert (listing.count, listing.unread) == (25, 12)
    assert not listing.is_complete


@pytest.mark.parametrize(
    ("question", "limited"),
    [
        ("quais jobs falharam desde ontem?", "“ontem”"),
        ("qué jobs fallaron desde las 3?", "“las 3”"),
        ("which jobs failed today?", ""),
        ("jobs em abend agora", ""),
    ],
)
def test_a_time_that_limits_no_list_is_said(question: str, limited: str) -> None:
    """The plan has states: who asks for yesterday's failures is told that these are the present ones."""
    diagnosis = ask_plan(big_plan(), question).diagnosis
    assert diagnosis.summary.startswith("37 ")
    assert ("“" in diagnosis.summary) is bool(limited)
    assert limited in diagnosis.summary
    assert (diagnosis.confidence > 0.7) is not bool(limited)


@pytest.mark.parametrize(
    "question", ["quantos jobs no plano?", "quantos jobs na produção?", "how many jobs succeeded?"]
)
def test_a_word_for_the_plan_or_a_state_limits_no_list(question: str) -> None:
    """Nobody is told that "plano" is not in the plan."""
    asked = ask_plan(big_plan(), question)
    assert asked.diagnosis.summary.startswith(("400 ", "363 "))
    assert asked.payload.unknown == ()


def waiting_plan(jobs: int) -> Plan:
    """A failed job, jobs that wait for it, and one that waits for its time."""
    plan = Plan(NOW)
    plan.add_workstation("SRV1")
    plan.add_stream("NOITE", "SRV1")
    run = Run(NOW - timedelta(minutes=30), timedelta(minutes=2), "ABEND", 8)
    failed = plan.add_job("CARGA1", "NOITE", "SRV1", status="ABEND", runs=[run])
    for number in range(jobs):
        waiting = plan.add_job(
            f"ESPERA{number}", "NOITE", "SRV1", status="HOLD", substatus="HOLD_WAITING_FOR_PREDECESSOR"
        )
        plan.depends_on_job(waiting, failed)
    plan.add_job("TARDE1", "NOITE", "SRV1", status="HOLD", substatus="HOLD_WAITING_FOR_TIME")
    return plan


def test_a_list_with_the_reasons_explains_each_of_its_jobs() -> None:
    """The number comes first, then why each group of them waits: by its predecessor, by its time."""
    summary = ask_plan(waiting_plan(2), "quais jobs estão em HOLD e por quê?").diagnosis.summary
    assert summary.startswith("3 jobs em HOLD no plano atual.")
    assert "ESPERA0, ESPERA1" in summary
    assert "CARGA1 falhou" in summary
    assert "TARDE1" in summary
    assert "outros problemas" not in summary


def test_of_a_long_list_the_answer_says_that_the_reasons_are_left_out() -> None:
    """All are named, and one may be asked about."""
    asked = ask_plan(waiting_plan(20), "which jobs are in HOLD and why?")
    assert asked.diagnosis.category == "plan_list"
    assert asked.diagnosis.summary.endswith("they are not looked up for a list of this length.")


@pytest.mark.parametrize("question", ["lista todos os jobs", "me mostra todos os jobs", "list all jobs"])
def test_all_the_jobs_are_listed_by_state(question: str) -> None:
    """Whatever has failed, a question for the jobs is answered with the jobs."""
    asked = ask_plan(waiting_plan(2), question)
    assert asked.diagnosis.category == "plan_list"
    assert asked.payload.listing is not None
    assert asked.payload.listing.count == 4
    assert "HOLD: 3" in asked.diagnosis.summary


def test_a_pattern_without_a_match_is_said_with_what_to_check() -> None:
    """The pattern, the plan's instance, and what may be wrong with either."""
    asked = ask_plan(mixed_plan(), "por que FECH9* falharam?")
    assert asked.payload.listing is not None
    assert asked.payload.listing.count == 0
    summary = asked.diagnosis.summary
    assert (
        f"Nenhum nome corresponde a FECH9*, em maiúsculas ou minúsculas (instância {asked.payload.instance})" in summary
    )
    assert "confira a grafia" in summary
