"""The one-line finding of ``tws_status``, in the user's language."""

from __future__ import annotations

from collections import Counter

from orchestrator.codes.patterns import find_abends
from orchestrator.i18n.languages import Language
from orchestrator.models import SourceRequest
from orchestrator.payloads import JobFacts, RelatedFacts, TwsPayload, WorkstationFacts

_TEXTS = {
    Language.PT_BR: {
        "not_found": "{name} não está no plano corrente",
        "not_a_job": "{name} não é um job do plano corrente",
        "cause": "na origem: {what}",
        "step": "{code} em {step}",
        "waits": "espera {what}",
        "more": "mais {count}",
        "unlinked": "{name} sem link",
        "limit_zero": "{name} com limit 0",
        "fine": "{name}: {state}",
        "linked": "com link",
        "problems": "{count} job(s) com problema: {states}",
        "none": "nenhum job com falha ou parado no plano",
        "none_of": "nenhum job com problema",
        "holds": "segura {count} sucessor(es)",
        "stream": "stream {name} em {status}",
    },
    Language.EN: {
        "not_found": "{name} is not in the current plan",
        "not_a_job": "{name} is not a job of the current plan",
        "cause": "at its root: {what}",
        "step": "{code} in {step}",
        "waits": "waits for {what}",
        "more": "{count} more",
        "unlinked": "{name} not linked",
        "limit_zero": "{name} has limit 0",
        "fine": "{name}: {state}",
        "linked": "linked",
        "problems": "{count} job(s) in trouble: {states}",
        "none": "no failed or stuck job in the plan",
        "none_of": "no job in trouble",
        "holds": "holds {count} successor(s)",
        "stream": "stream {name} in {status}",
    },
    Language.ES: {
        "not_found": "{name} no está en el plan actual",
        "not_a_job": "{name} no es un job del plan actual",
        "cause": "en el origen: {what}",
        "step": "{code} en {step}",
        "waits": "espera {what}",
        "more": "{count} más",
        "unlinked": "{name} sin enlace",
        "limit_zero": "{name} con limit 0",
        "fine": "{name}: {state}",
        "linked": "con enlace",
        "problems": "{count} job(s) con problema: {states}",
        "none": "ningún job fallido o detenido en el plan",
        "none_of": "ningún job con problema",
        "holds": "retiene {count} sucesor(es)",
        "stream": "stream {name} en {status}",
    },
}


def describe(payload: TwsPayload, request: SourceRequest) -> str:
    """What was found, in one line."""
    texts = _TEXTS[request.routing.language]
    entities = request.routing.entities
    asked = request.job or next(iter(entities.jobs), None)
    if payload.job is not None:
        parts = [*_job(payload.job, texts), *_stations(payload.workstations, texts)]
        if payload.problem_jobs:
            parts.append(texts["cause"].format(what="; ".join(_job(payload.problem_jobs[0], texts))))
    elif asked is None:
        parts = _problems(payload, texts, is_named=bool(entities.workstations or entities.job_streams))
    elif payload.problems_asked:
        parts = [texts["not_a_job"].format(name=asked), *_problems(payload, texts, is_named=True)]
    else:
        parts = [texts["not_found"].format(name=asked)]
    return "; ".join(parts)


def _job(job: JobFacts, texts: dict[str, str]) -> list[str]:
    code = f" RC={job.return_code}" if job.return_code else ""
    parts = [f"{job.name} {job.status or '?'}{code}"]
    if job.substatus:
        parts[0] += f" ({job.substatus})"
    if job.job_log is not None:
        abends = find_abends(" ".join(job.job_log.codes))
        first = abends[0] if abends else next(iter(job.job_log.codes), "")
        if first and job.job_log.step:
            parts.append(texts["step"].format(code=first, step=job.job_log.step))
        elif first and (abends or job.status in ("ABEND", "FAIL")):
            parts.append(first)
    unsatisfied = [related for related in job.predecessors if related.satisfied is False]
    if unsatisfied:
        parts.append(texts["waits"].format(what=_first_of(unsatisfied, texts)))
    if job.issues and not unsatisfied:
        parts.append(job.issues[0].message[:120].removesuffix("."))
    return parts


def _first_of(related: list[RelatedFacts], texts: dict[str, str]) -> str:
    first = related[0].name + (f" ({related[0].status})" if related[0].status else "")
    return first + (f", {texts['more'].format(count=len(related) - 1)}" if len(related) > 1 else "")


def _stations(stations: tuple[WorkstationFacts, ...], texts: dict[str, str]) -> list[str]:
    found = [texts["unlinked"].format(name=station.name) for station in stations if station.linked is False]
    return found + [texts["limit_zero"].format(name=station.name) for station in stations if station.limit == 0]


def _problems(payload: TwsPayload, texts: dict[str, str], *, is_named: bool) -> list[str]:
    parts = _stations(payload.workstations, texts)
    streams = {
        job.job_stream: job.job_stream_status for job in payload.problem_jobs if job.job_stream_status == "STUCK"
    }
    parts += [texts["stream"].format(name=name, status=status) for name, status in streams.items()]
    if not payload.problem_jobs:
        return [*parts, texts["none_of"] if is_named else texts["none"]]
    states = Counter(job.status for job in payload.problem_jobs)
    listed = ", ".join(f"{count} {state}" for state, count in states.most_common(4))
    count = max(payload.problem_count or 0, len(payload.problem_jobs))
    if count > len(payload.problem_jobs):
        listed += f", +{count - len(payload.problem_jobs)}"
    parts.append(texts["problems"].format(count=count, states=listed))
    worst = payload.problem_jobs[0]
    parts += _job(worst, texts)
    if worst.status in ("ABEND", "FAIL") and worst.successors:
        parts.append(texts["holds"].format(count=len(worst.successors)))
    return parts
