"""Scenarios 1 and 8: batch on z/OS, with job logs as JES writes them."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from workers.lab.simulator.plan import Run, local
from workers.lab.simulator.scenarios.base import (
    DAY,
    MINUTE,
    Scenario,
    add_successor,
    app_metrics,
    history_entry,
    log_cache,
    new_plan,
)


def jes_header(job: str, number: int, started: datetime, steps: Sequence[tuple[str, str]]) -> list[str]:
    """The messages of the start and the JCL with JES2's statement numbers."""
    at = f"{started:%H.%M.%S} JOB{number:05d}"
    lines = [
        "1                     J E S 2  J O B  L O G  --  S Y S T E M  P R D 1  --  N O D E  N J E P R D 1",
        f" {at} ---- {started:%A, %d %b %Y}".upper() + " ----",
        f" {at}  IRR010I  USERID BATCHPRD IS ASSIGNED TO THIS JOB.",
        f" {at}  ICH70001I BATCHPRD LAST ACCESS AT {started:%H:%M:%S} ON {started:%A, %B %d, %Y}".upper(),
        f" {at}  $HASP373 {job:<8} STARTED - INIT 7    - CLASS P        - SYS PRD1",
        f" {at}  IEF403I {job} - STARTED - TIME={started:%H.%M.%S}",
        f"        1 //{job:<8} JOB (PRD,FAT),'FATURAMENTO',CLASS=P,MSGCLASS=X,NOTIFY=&SYSUID",
    ]
    statement = 2
    for step, program in steps:
        lines += [
            f"       {statement:>2} //{step:<8} EXEC PGM={program},REGION=0M",
            f"       {statement + 1:>2} //STEPLIB  DD DISP=SHR,DSN=PRD.FAT.LOADLIB",
            f"       {statement + 2:>2} //SYSOUT   DD SYSOUT=*",
            f"       {statement + 3:>2} //SYSUDUMP DD SYSOUT=*",
        ]
        statement += 4
    return lines


def step_ended(job: str, step: str, at: datetime, cpu: str) -> list[str]:
    """The messages of a step that ended with condition code 0."""
    return [
        f" IEF142I {job} {step} - STEP WAS EXECUTED - COND CODE 0000",
        f" IEF285I   SYS26328.T{at:%H%M%S}.RA000.{job}.R0107334       DELETED",
        f" IEF373I STEP/{step:<8}/START {at:%Y%j.%H%M}",
        f" IEF032I STEP/{step:<8}/STOP  {at:%Y%j.%H%M}",
        f"         CPU:     0 HR  00 MIN  {cpu} SEC    SRB:     0 HR  00 MIN  00.11 SEC",
    ]


def s0c7_log(started: datetime, number: int) -> list[str]:
    """STEP030 of BATCH001 stops on a packed field that is not numeric."""
    job, at = "BATCH001", started + 11 * MINUTE
    lines = jes_header(job, number, started, (("STEP010", "SORT"), ("STEP020", "PGFAT020"), ("STEP030", "PGFAT030")))
    lines += step_ended(job, "STEP010", started + MINUTE, "04.82")
    lines += [
        f" PGFAT020 - {'VALIDACAO DO CADASTRO' if not count else f'LOTE {count:04d} VALIDADO'}" for count in range(40)
    ]
    lines += step_ended(job, "STEP020", started + 4 * MINUTE, "18.40")
    lines += [" PGFAT030 - CALCULO DE FATURAS - VERSAO 07.12", " PGFAT030 - ENTRADA: PRD.FAT.MOVTO.D1 (GDG +0)"]
    lines += [f" PGFAT030 - REGISTROS LIDOS: {count * 10_000:09d}" for count in range(1, 249)]
    lines += [
        " PGFAT030 - REGISTRO 002480317 CHAVE=0004471902 VALOR-TARIFA=X'4040404040'",
        f"{at:%H.%M.%S} JOB{number:05d}  IEA995I SYMPTOM DUMP OUTPUT  704",
        "   704             SYSTEM COMPLETION CODE=0C7  REASON CODE=00000000",
        f"   704              TIME={at:%H.%M.%S}  SEQ=00417  CPU=0000  ASID=0061",
        "   704              PSW AT TIME OF ERROR  078D1000   A6C013F2  ILC 6  INTC 07",
        "   704                ACTIVE LOAD MODULE           ADDRESS=26C00F48  OFFSET=000004AA",
        "   704                NAME=PGFAT030",
        "   704                DATA AT PSW  26C013EC - FA54D0B8  D1C0960F  D0BC47F0",
        "   704                AR/GR 0: 00000000/26C01A20   1: 00000000/26C02040",
        "   704                      2: 00000000/00000010   3: 00000000/26C00F48",
        "   704              END OF SYMPTOM DUMP",
        "CEE3207S The system detected a data exception (System Completion Code=0C7).",
        "         From compile unit PGFAT030 at statement 1187 at compile unit offset +000004AA.",
        f"{at:%H.%M.%S} JOB{number:05d}  IEF450I {job} STEP030 - ABEND=S0C7 U0000 REASON=00000000  731",
        f"   731                     TIME={at:%H.%M.%S}",
        f" IEF472I {job} STEP030 - COMPLETION CODE - SYSTEM=0C7 USER=0000 REASON=00000000",
        " IEF285I   PRD.FAT.MOVTO.D1.G0412V00                    KEPT",
        " IEF285I   PRD.FAT.FATURAS.G0412V00                     CATALOGED",
        f"{at:%H.%M.%S} JOB{number:05d}  IEF404I {job} - ENDED - TIME={at:%H.%M.%S}",
        f"{at:%H.%M.%S} JOB{number:05d}  $HASP395 {job:<8} ENDED - ABEND=S0C7",
        "------ JES2 JOB STATISTICS ------",
        "            3 CARDS READ",
        "          331 SYSOUT PRINT RECORDS",
    ]
    return lines


def scenario_1(now: datetime) -> Scenario:
    """S0C7 in STEP030 of BATCH001, twice before this month in the same step."""
    plan = new_plan(now, "FATDIA", "ZOS1", kind="X-AGENT", os="ZOS", limit=50)
    started = local(now - 34 * MINUTE)
    extract = plan.add_job(
        "EXTRAI01",
        "FATDIA",
        "ZOS1",
        status="SUCC",
        runs=[Run(now - 50 * MINUTE, 9 * MINUTE, "SUCC", 0)],
        task="PRD.FAT.JCL(EXTRAI01)",
    )
    batch = plan.add_job(
        "BATCH001",
        "FATDIA",
        "ZOS1",
        status="ABEND",
        runs=[Run(started, 11 * MINUTE, "ABEND", 12, s0c7_log(started, 41873))],
        task="PRD.FAT.JCL(BATCH001)",
        user="BATCHPRD",
        estimated=18 * MINUTE,
        description="Calculo de faturas do dia",
    )
    plan.depends_on_job(batch, extract)
    for name in ("BATCH002", "RELFAT01"):
        successor = add_successor(plan, name, batch, task=f"PRD.FAT.JCL({name})")
        plan.add_issue(successor, "PREDECESSOR", "Aguarda o job ZOS1#FATDIA.BATCH001, que terminou em ABEND.")
    plan.add_job("LIMPA01", "FATDIA", "ZOS1", status="SUCC", runs=[Run(now - 55 * MINUTE, MINUTE, "SUCC", 0)])
    abends = [
        history_entry(
            now - days * DAY,
            status="ABEND",
            return_code=12,
            elapsed=11 * MINUTE,
            codes=["S0C7"],
            step="STEP030",
            message="IEF450I BATCH001 STEP030 - ABEND=S0C7 U0000 REASON=00000000; campo VALOR-TARIFA com brancos",
        )
        for days in (7, 14)
    ]
    fine = [
        history_entry(now - days * DAY, status="SUCC", return_code=0, elapsed=timedelta(minutes=17, seconds=days * 4))
        for days in (1, 2, 3, 8, 9)
    ]
    return Scenario(
        number=1,
        name="s0c7",
        title="S0C7 no STEP030, pela terceira vez no mesmo passo",
        question="Job BATCH001 falhou com ABEND S0C7",
        job_name="BATCH001",
        category="data_exception",
        plan=plan,
        log_cache=log_cache("BATCH001", errors=abends, history=[*abends, *fine]),
        metrics_text=app_metrics(hosts={"ZOS1": (0.61, 0.58, 0.47)}),
    )


def sb37_log(started: datetime, number: int) -> list[str]:
    """STEP020 of BATCH090 fills its output dataset; the input has grown by 40 %."""
    job, at = "BATCH090", started + 22 * MINUTE
    lines = jes_header(job, number, started, (("STEP010", "SORT"), ("STEP020", "PGCOB020")))
    lines += [
        " ICE143I 0 BLOCKSET     SORT  TECHNIQUE SELECTED",
        " ICE054I 0 RECORDS - IN: 5879114, OUT: 5879114",
    ]
    lines += step_ended(job, "STEP010", started + 3 * MINUTE, "22.07")
    lines += [
        " PGCOB020 - GERACAO DO ARQUIVO DE COBRANCA",
        " PGCOB020 - VOLUME DE ENTRADA: 5879114 REGISTROS (MEDIA DE 30 DIAS: 4199367, +40%)",
    ]
    lines += [f" PGCOB020 - REGISTROS GRAVADOS: {count * 100_000:09d}" for count in range(1, 48)]
    lines += [
        f"{at:%H.%M.%S} JOB{number:05d}  IEC030I B37-04,IFG0554A,{job},STEP020,SAIDA,0A3F,PRD047,PRD.COB.REMESSA.D1",
        f"{at:%H.%M.%S} JOB{number:05d}  IEA995I SYMPTOM DUMP OUTPUT  212",
        "   212             SYSTEM COMPLETION CODE=B37  REASON CODE=00000004",
        f"   212              TIME={at:%H.%M.%S}  SEQ=00188  CPU=0000  ASID=004C",
        "   212              END OF SYMPTOM DUMP",
        f"{at:%H.%M.%S} JOB{number:05d}  IEF450I {job} STEP020 - ABEND=SB37 U0000 REASON=00000004  219",
        f" IEF472I {job} STEP020 - COMPLETION CODE - SYSTEM=B37 USER=0000 REASON=00000004",
        " IEF285I   PRD.COB.REMESSA.D1                           CATALOGED",
        "           SPACE=(CYL,(300,20)),UNIT=SYSDA,VOL=SER=PRD047 - 16 EXTENTS",
        f"{at:%H.%M.%S} JOB{number:05d}  $HASP395 {job:<8} ENDED - ABEND=SB37",
    ]
    return lines


def scenario_8(now: datetime) -> Scenario:
    """SB37 on the output of STEP020; the volume is 40 % up."""
    plan = new_plan(now, "COBDIA", "ZOS1", kind="X-AGENT", os="ZOS", limit=50)
    started = local(now - 55 * MINUTE)
    batch = plan.add_job(
        "BATCH090",
        "COBDIA",
        "ZOS1",
        status="ABEND",
        runs=[Run(started, 22 * MINUTE, "ABEND", 12, sb37_log(started, 42310))],
        task="PRD.COB.JCL(BATCH090)",
        user="BATCHPRD",
        estimated=30 * MINUTE,
        description="Remessa de cobranca",
    )
    add_successor(plan, "ENVIA090", batch, task="PRD.COB.JCL(ENVIA090)")
    fine = [
        history_entry(
            now - days * DAY,
            status="SUCC",
            return_code=0,
            elapsed=(27 + days % 3) * MINUTE,
            message=f"PGCOB020 - REGISTROS GRAVADOS: {4_199_000 + days * 1_310:09d}",
        )
        for days in range(1, 7)
    ]
    return Scenario(
        number=8,
        name="sb37",
        title="SB37 no arquivo de remessa, volume 40 % acima da média",
        question="BATCH090 abendou com SB37 no STEP020, o que fazer?",
        job_name="BATCH090",
        category="dataset_space",
        plan=plan,
        log_cache=log_cache("BATCH090", history=fine),
        metrics_text=app_metrics(hosts={"ZOS1": (0.66, 0.6, 0.86)}),
    )
