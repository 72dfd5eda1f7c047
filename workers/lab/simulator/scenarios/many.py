"""Scenario 11: two hundred jobs in trouble for a handful of causes."""

from collections.abc import Callable
from datetime import datetime, timedelta

from workers.lab.simulator.plan import Plan, Run, local
from workers.lab.simulator.scenarios.base import MINUTE, Scenario, app_metrics, log_cache, successes, unix_log
from workers.lab.simulator.scenarios.mainframe import jes_header, step_ended
from workers.lab.simulator.scenarios.starts import add_stores_without_agent

MANY = 200
"""Jobs in trouble."""
ON_THE_AGENT = 12
"""Of these, READY on a workstation without link."""


def scenario_11(now: datetime) -> Scenario:
    """A night in which 200 jobs failed or did not start: a database, a disk, a program, data, a user and an agent."""
    plan = Plan(now)
    plan.add_workstation("MDM", kind="MANAGER")
    plan.add_workstation("ZOS1", kind="X-AGENT", os="ZOS", limit=50)
    plan.add_workstation("SRVAPP01")
    plan.add_workstation("SRVETL01")
    plan.add_workstation("AGT07", linked=False, limit=10)
    failing = MANY - ON_THE_AGENT
    for stream, station, jobs, make in (
        ("FECHADIA", "SRVAPP01", 70, _no_listener),
        ("CARGADW", "SRVETL01", 48, _no_space),
        ("FATDIA", "ZOS1", 40, _data_exception),
        ("RELAT", "SRVAPP01", failing - 168, _not_found),
        ("CADASTRO", "SRVETL01", 10, _no_user),
    ):
        plan.add_stream(stream, station, status="STUCK")
        for number in range(1, jobs + 1):
            make(plan, f"{stream[:4]}{number * 10:04d}", stream, station)
        for number in range(1, 4):
            run = Run(now - 90 * MINUTE, 3 * MINUTE, "SUCC", 0)
            plan.add_job(f"{stream[:4]}OK{number:02d}", stream, station, status="SUCC", runs=[run])
    plan.add_stream("LOJAS", "MDM", status="READY")
    add_stores_without_agent(plan, ON_THE_AGENT, now)
    return Scenario(
        number=11,
        name="many_jobs",
        title="Duzentos jobs com problema, por seis causas",
        question="Quais jobs estão com problema e por quê?",
        job_name=None,
        category="many",
        plan=plan,
        log_cache=log_cache("FECH0010", history=successes(now, range(1, 6), 6 * MINUTE)),
        metrics_text=app_metrics(tws_success=0.97, hosts={"SRVAPP01": (0.3, 0.44, 0.4), "SRVETL01": (0.5, 0.6, 1.0)}),
    )


_Body = Callable[[str, datetime], tuple[str, ...]]


def _unix_job(plan: Plan, name: str, stream: str, station: str, *, code: int, body: _Body, user: str) -> None:
    started, script = plan.now - 40 * MINUTE, f"/opt/batch/bin/{name.lower()}.sh"
    log = unix_log(
        name,
        stream,
        station,
        script=script,
        user=user,
        started=started,
        elapsed=2 * MINUTE,
        exit_status=code,
        body=body(name, local(started)),
    )
    run = Run(started, 2 * MINUTE, "ABEND", code, log)
    plan.add_job(name, stream, station, status="ABEND", runs=[run], task=script, user=user)


def _no_listener(plan: Plan, name: str, stream: str, station: str) -> None:
    def body(job: str, at: datetime) -> tuple[str, ...]:
        steps = tuple(f"{at + second * MINUTE / 60:%H:%M:%S} {job} lote {second:03d} lido" for second in range(30))
        return (*steps, "ERROR:", "ORA-12541: TNS:no listener", f"{job}: conexao com FINPRD falhou, encerrando")

    _unix_job(plan, name, stream, station, code=1, body=body, user="fechamento")


def _no_space(plan: Plan, name: str, stream: str, station: str) -> None:
    def body(job: str, at: datetime) -> tuple[str, ...]:
        return (
            f"{at:%H:%M:%S} carga de {job} iniciada",
            f"cp: error writing '/dados/dw/{job.lower()}.dat': No space left on device",
            "carga interrompida",
        )

    _unix_job(plan, name, stream, station, code=1, body=body, user="etl")


def _not_found(plan: Plan, name: str, stream: str, station: str) -> None:
    def body(job: str, at: datetime) -> tuple[str, ...]:
        return (f"{at:%H:%M:%S} {job}", f"/opt/batch/bin/{job.lower()}.sh: line 14: geraplan: command not found")

    _unix_job(plan, name, stream, station, code=127, body=body, user="batch")


def _data_exception(plan: Plan, name: str, stream: str, station: str) -> None:
    started = local(plan.now - 34 * MINUTE)
    at, number = started + 11 * MINUTE, 41_000 + int(name[-4:])
    log = [
        *jes_header(name, number, started, (("STEP010", "SORT"), ("STEP030", "PGFAT030"))),
        *step_ended(name, "STEP010", started + MINUTE, "04.82"),
        *(f" PGFAT030 - REGISTROS LIDOS: {count * 10_000:09d}" for count in range(1, 60)),
        "CEE3207S The system detected a data exception (System Completion Code=0C7).",
        f"{at:%H.%M.%S} JOB{number:05d}  IEF450I {name} STEP030 - ABEND=S0C7 U0000 REASON=00000000  731",
        f" IEF472I {name} STEP030 - COMPLETION CODE - SYSTEM=0C7 USER=0000 REASON=00000000",
        f"{at:%H.%M.%S} JOB{number:05d}  $HASP395 {name:<8} ENDED - ABEND=S0C7",
    ]
    run = Run(started, 11 * MINUTE, "ABEND", 12, log)
    plan.add_job(name, stream, station, status="ABEND", runs=[run], task=f"PRD.FAT.JCL({name})", user="BATCHPRD")


def _no_user(plan: Plan, name: str, stream: str, station: str) -> None:
    started = local(plan.now - 18 * MINUTE)
    log = [
        "=" * 63,
        f"= JOB       : {station}#{stream}[({started:%H%M %m/%d/%y}),({stream}AB)].{name}",
        "= USER      : btchcli",
        'AWSBDW009E Os dados do usuário de logon "btchcli" não puderam ser obtidos do sistema operacional (errno 2).',
        f'AWSBHT001E O job "{name}" não pôde ser lançado na estação "{station}": usuário desconhecido.',
    ]
    run = Run(started, timedelta(seconds=1), "FAIL", None, log)
    job = plan.add_job(name, stream, station, status="FAIL", runs=[run], user="btchcli")
    plan.add_issue(job, "LAUNCH", 'AWSBHT001E O job não pôde ser lançado; usuário de logon "btchcli" (AWSBDW009E).')
