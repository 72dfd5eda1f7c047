"""Questions to the rules on hand-made facts, for the tests of the rules."""

from __future__ import annotations

from typing import Any

from orchestrator.aggregate import aggregate
from orchestrator.diagnosis.evidence import check_diagnosis
from orchestrator.diagnosis.render import render_markdown
from orchestrator.diagnosis.rules.diagnose import diagnose
from orchestrator.models import (
    AnswerMode,
    Diagnosis,
    Evidence,
    Plan,
    SourceEnvelope,
    SourceOutcome,
    TroubleshootRequest,
)
from orchestrator.payloads import (
    JobFacts,
    JobLogFacts,
    LogWindow,
    TwsPayload,
    WorkstationFacts,
)
from orchestrator.routing.pipelines import plan_run
from orchestrator.routing.router import route

PER_JOB = {"tws_status": True, "rag_search": False, "log_cache": True, "metrics": False}
S0C7 = "IEF450I BATCH001 STEP030 - ABEND=S0C7 U0000 REASON=00000000"


def job_log(*lines: str, step: str = "") -> JobLogFacts:
    """A job log of which these lines were read."""
    return JobLogFacts(windows=(LogWindow(from_line=100, to_line=99 + len(lines), lines=lines),), step=step)


def job_facts(status: str, name: str = "BATCH001", **more: Any) -> JobFacts:
    """A job of stream DIARIO on workstation SRV01."""
    return JobFacts(name=name, status=status, workstation="SRV01", job_stream="DIARIO", **more)


def tws(
    job: JobFacts | None = None,
    *,
    stations: tuple[WorkstationFacts, ...] = (),
    problems: tuple[JobFacts, ...] = (),
    asked: str | None = "BATCH001",
) -> SourceEnvelope:
    """What tws_status answers, with evidence as that source writes it."""
    evidence: list[Evidence] = []

    def add(kind: str, title: str, text: str, owner: str | None) -> None:
        number = len(evidence) + 1
        evidence.append(
            Evidence(id=f"tws_status:{number}", source="tws_status", kind=kind, title=title, text=text, job=owner)
        )

    for item in (*((job,) if job else ()), *problems):
        owner = asked or item.name
        facts = f"job {item.name}; status {item.status}; RC = {item.return_code}; condition {item.success_condition}"
        add("job" if item is job else "problem_job", f"{item.name}: {item.status}", facts, owner)
        for window in item.job_log.windows if item.job_log else ():
            add("job_log", f"Job log of {item.name}", "\n".join(window.lines), owner)
        for run in item.runs:
            add("run", f"Run of {item.name}", f"status {run.status}; RC = {run.return_code}", owner)
        for issue in item.issues:
            add("issue", f"Issue of {item.name}", issue.message, owner)
        for related in item.predecessors:
            add(
                "predecessor",
                f"{related.name}: {related.status}",
                f"{related.kind} {related.name}; RC = {related.return_code}",
                owner,
            )
    for station in stations:
        add("workstation", f"Workstation {station.name}", f"limit {station.limit}; linked {station.linked}", asked)
    payload = TwsPayload(job=job, workstations=stations, problem_jobs=problems)
    return SourceEnvelope(
        source="tws_status",
        job=asked,
        outcome=SourceOutcome.OK,
        success=True,
        data=payload.model_dump(mode="json"),
        evidence=tuple(evidence),
        latency_ms=100,
    )


def answered(source: str, payload: Any = None, *texts: str, job: str | None = None) -> SourceEnvelope:
    """Another source's answer with one evidence item per text; without a payload it had no data."""
    kind = {"rag_search": "runbook", "metrics": "metric", "log_cache": "history"}[source]
    return SourceEnvelope(
        source=source,
        job=job,
        outcome=SourceOutcome.OK if payload else SourceOutcome.NO_DATA,
        success=True,
        data=payload.model_dump(mode="json") if payload else {},
        evidence=tuple(
            Evidence(id=f"{source}:{number}", source=source, kind=kind, title=text.split(" ", 1)[0], text=text)
            for number, text in enumerate(texts, start=1)
        ),
        latency_ms=50,
    )


def failed(source: str, outcome: SourceOutcome = SourceOutcome.TIMEOUT, job: str | None = None) -> SourceEnvelope:
    """A source that did not answer."""
    return SourceEnvelope(source=source, job=job, outcome=outcome, success=False, error="boom")


def plan_for(request: TroubleshootRequest) -> Plan:
    """The plan a run would have."""
    routing = route(request.message, jobs=request.named_jobs, language=request.language)
    return plan_run(request, routing, PER_JOB)


def ask(*envelopes: SourceEnvelope, message: str = "Job BATCH001 falhou", **request: Any) -> Diagnosis:
    """Diagnose, and let the answer pass the checks that every answer has to pass."""
    question = TroubleshootRequest(message=message, **request)
    plan = plan_for(question)
    diagnosis = diagnose(question, plan, envelopes, aggregate(envelopes, plan.jobs))
    evidence = [item for envelope in envelopes for item in envelope.evidence]
    _, report = check_diagnosis(diagnosis, evidence, question_codes=plan.routing.entities.codes)
    assert report.claims_dropped == 0
    assert report.ids_removed == 0
    text = render_markdown(
        diagnosis,
        language=plan.routing.language,
        aggregated=aggregate(envelopes, plan.jobs),
        evidence=evidence,
        mode=AnswerMode.DETERMINISTIC,
    )
    assert "{" not in text
    return diagnosis
