"""Scenarios 2, 3, 4 and 7: jobs that do not start."""

from datetime import datetime, timedelta

from workers.lab.simulator.plan import Plan, Run, instant, local
from workers.lab.simulator.scenarios.base import (
    MINUTE,
    Scenario,
    add_successor,
    app_metrics,
    log_cache,
    new_plan,
    successes,
)


def scenario_2(now: datetime) -> Scenario:
    """FAIL before launch: the agent does not know the logon user."""
    plan = new_plan(now, "CADASTRO", "SRVAPP02")
    started = local(now - 18 * MINUTE)
    log = [
        "=" * 63,
        f"= JOB       : SRVAPP02#CADASTRO[({started:%H%M %m/%d/%y}),(CADASTROAB)].CARGA_CLI",
        "= TASK      : /opt/batch/bin/carga_clientes.sh",
        "= USER      : btchcli",
        "=" * 63,
        'AWSBDW009E Os dados do usuário de logon "btchcli" não puderam ser obtidos do sistema operacional (errno 2).',
        'AWSBHT001E O job "CARGA_CLI" não pôde ser lançado na estação "SRVAPP02": usuário desconhecido.',
    ]
    job = plan.add_job(
        "CARGA_CLI",
        "CADASTRO",
        "SRVAPP02",
        status="FAIL",
        runs=[Run(started, timedelta(seconds=1), "FAIL", None, log)],
        task="/opt/batch/bin/carga_clientes.sh",
        user="btchcli",
    )
    plan.add_issue(job, "LAUNCH", 'AWSBHT001E O job não pôde ser lançado; usuário de logon "btchcli" (AWSBDW009E).')
    add_successor(plan, "VALIDA_CLI", job, task="/opt/batch/bin/valida_clientes.sh")
    return Scenario(
        number=2,
        name="logon_user",
        title="FAIL: usuário de logon desconhecido no agente",
        question="O job CARGA_CLI está em FAIL e não gerou saída. Por quê?",
        job_name="CARGA_CLI",
        category="logon_user_unknown",
        plan=plan,
        log_cache=log_cache("CARGA_CLI", history=successes(now, range(1, 6), 6 * MINUTE)),
        metrics_text=app_metrics(hosts={"SRVAPP02": (0.22, 0.41, 0.38)}),
    )


def scenario_3(now: datetime) -> Scenario:
    """READY and not starting: the workstation's limit is 0."""
    plan = new_plan(now, "FOLHA", "SRVRH01", status="READY", limit=0)
    job = plan.add_job(
        "FOLHA010",
        "FOLHA",
        "SRVRH01",
        status="READY",
        substatus="READY_WAITING_FOR_LIMIT",
        task="/opt/rh/bin/folha010.sh",
        user="rhbatch",
        estimated=25 * MINUTE,
        scheduled=now - 70 * MINUTE,
    )
    plan.add_issue(job, "WORKSTATION_LIMIT", "O limite de jobs da estação de trabalho SRVRH01 é 0.")
    add_successor(plan, "FOLHA020", job, task="/opt/rh/bin/folha020.sh", user="rhbatch")
    return Scenario(
        number=3,
        name="limit_zero",
        title="READY que não inicia: limit 0 na estação",
        question="FOLHA010 está READY há mais de uma hora e não inicia",
        job_name="FOLHA010",
        category="job_limit_zero",
        plan=plan,
        log_cache=log_cache("FOLHA010", history=successes(now, (1, 2, 3), 24 * MINUTE)),
        metrics_text=app_metrics(hosts={"SRVRH01": (0.05, 0.33, 0.52)}),
    )


def scenario_4(now: datetime) -> Scenario:
    """HOLD on a file that has not arrived."""
    plan = new_plan(now, "VENDAS", "SRVETL01", status="HOLD")
    path = f"/dados/entrada/vendas_{now:%Y%m%d}.csv"
    check = plan.add_job(
        "PREPARA_VND",
        "VENDAS",
        "SRVETL01",
        status="SUCC",
        runs=[Run(now - 90 * MINUTE, MINUTE, "SUCC", 0)],
        task="/opt/etl/bin/prepara.sh",
    )
    job = plan.add_job(
        "CARGA_VENDAS",
        "VENDAS",
        "SRVETL01",
        status="HOLD",
        substatus="HOLD_WAITING_FOR_FILE",
        task="/opt/etl/bin/carga_vendas.sh",
        user="etl",
        scheduled=now - 80 * MINUTE,
    )
    plan.depends_on_job(job, check)
    plan.depends_on_file(job, path, "SRVETL01", qualifier="-f %p", exists=False)
    plan.add_issue(job, "FILE", f"Aguarda o arquivo {path} na estação SRVETL01.")
    return Scenario(
        number=4,
        name="missing_file",
        title="HOLD: o arquivo de entrada não chegou",
        question="Por que o job CARGA_VENDAS está em HOLD?",
        job_name="CARGA_VENDAS",
        category="waiting_file",
        plan=plan,
        log_cache=log_cache("CARGA_VENDAS", history=successes(now, (1, 2, 3, 4), 13 * MINUTE)),
        metrics_text=app_metrics(hosts={"SRVETL01": (0.1, 0.4, 0.61)}),
    )


def add_stores_without_agent(plan: Plan, jobs: int, now: datetime) -> None:
    """Jobs READY on AGT07, which has no link."""
    for number in range(1, jobs + 1):
        job = plan.add_job(
            f"LOJA{number:03d}",
            "LOJAS",
            "AGT07",
            stream_workstation="MDM",
            status="READY",
            substatus="READY_WAITING_FOR_AGENT",
            task=f"/opt/lojas/bin/fecha_loja.sh {number:03d}",
            user="lojas",
            scheduled=now - 45 * MINUTE,
        )
        plan.add_issue(job, "WORKSTATION", "A estação de trabalho AGT07 não está com link.")


def scenario_7(now: datetime) -> Scenario:
    """Twelve jobs READY on an agent that has lost its link."""
    plan = Plan(now)
    plan.add_workstation("MDM", kind="MANAGER")
    plan.add_workstation("AGT07", linked=False, limit=10)
    plan.add_workstation("AGT08")
    plan.add_stream("LOJAS", "MDM", status="READY")
    add_stores_without_agent(plan, 12, now)
    for number in range(13, 16):
        plan.add_job(
            f"LOJA{number:03d}",
            "LOJAS",
            "AGT08",
            stream_workstation="MDM",
            status="SUCC",
            runs=[Run(now - 44 * MINUTE, 5 * MINUTE, "SUCC", 0)],
            user="lojas",
        )
    errors = [
        f"{instant(now - 47 * MINUTE)} AGT07: conexão com o agente perdida, nova tentativa em 600 s",
    ]
    return Scenario(
        number=7,
        name="unlinked_agent",
        title="Doze jobs READY em um agente sem link",
        question="Doze jobs estão READY na workstation AGT07 e nenhum inicia",
        job_name=None,
        category="agent_unlinked",
        plan=plan,
        log_cache=log_cache("AGT07", errors=errors),
        metrics_text=app_metrics(tws_success=0.97, hosts={"AGT08": (0.3, 0.44, 0.4)}),
    )
