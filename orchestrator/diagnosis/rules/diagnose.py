"""The deterministic diagnosis: rules over what the sources found, ranked, corroborated, capped and told.

``diagnose`` never raises for odd data: a source of another shape counts by its evidence alone. Nothing is executed;
every step is a proposal.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from orchestrator.codes.catalogue import Category, find_state
from orchestrator.diagnosis.injection import find_planted
from orchestrator.diagnosis.rules.compose import Group, more_problems, tell, tell_knowledge
from orchestrator.diagnosis.rules.corroborate import MOST_CONFIDENT, add_claim, corroborate, metric_ids, spoken
from orchestrator.diagnosis.rules.gaps import missing_evidence
from orchestrator.diagnosis.rules.history import STALE_DAYS, age_of
from orchestrator.diagnosis.rules.library import RULES
from orchestrator.diagnosis.rules.plan import why_idle
from orchestrator.diagnosis.rules.requested_changes import requested_changes
from orchestrator.diagnosis.rules.scene import (
    FAILED_STATES,
    Finding,
    Scene,
    build_scenes,
    clean_line,
    focus_on,
    qualified,
    short_name,
)
from orchestrator.diagnosis.rules.state import tell_states
from orchestrator.i18n.sentences import say, say_count
from orchestrator.models import (
    AggregatedData,
    Claim,
    Diagnosis,
    Entities,
    Intent,
    Plan,
    SourceEnvelope,
    TroubleshootRequest,
)
from orchestrator.payloads import JobFacts
from orchestrator.routing.pipelines import Reduce, reduce_of
from orchestrator.routing.router import route

REQUIRED_MISSING_CAP = 0.4
"""Most confidence that an answer may have when what TWS says is missing."""

STALE_CAP = 0.3
"""The same when, on top of that, the newest cached log is days old."""

MISSING_STEP = 0.03
"""Taken off for every other source that was asked and is missing."""

MAX_PROBLEM_JOBS = 20
MAX_QUESTION_CHARACTERS = 200

_STATION_CAUSES = (Category.AGENT_UNLINKED, Category.JOB_LIMIT_ZERO)
_NOTHING_WRONG = (Category.UNKNOWN, Category.COMPLETED, Category.RUNNING, Category.NO_PROBLEM)


def diagnose(
    request: TroubleshootRequest,
    plan: Plan | None,
    envelopes: Sequence[SourceEnvelope],
    aggregated: AggregatedData,
) -> Diagnosis:
    """The structured answer in the language of the question, from the rules alone."""
    routing = plan.routing if plan else route(request.message, jobs=request.named_jobs, language=request.language)
    language, jobs = routing.language, _jobs_of(request, plan, aggregated, routing.entities)
    reduce = reduce_of(plan.pipeline) if plan is not None else Reduce.DIAGNOSIS
    scenes = build_scenes(
        envelopes, jobs, request.message, language, routing.entities, asks_state=reduce is Reduce.STATUS
    )
    cap = confidence_cap(plan, envelopes, scenes)
    groups = [group for scene in scenes for group in _groups(scene, cap)]
    missing = missing_evidence(language, plan, envelopes, scenes)
    suspicious = find_planted([item for envelope in envelopes for item in envelope.evidence], language)
    if _asks_about_a_code_alone(routing.entities, scenes) or (
        reduce is Reduce.KNOWLEDGE and _has_no_problem(scenes, groups)
    ):
        told = tell_knowledge(scenes, routing)
        if told is not None and routing.intent is Intent.GENERAL and not told.claims:
            return told.model_copy(update={"suspicious": suspicious})
        if told is not None:
            others = more_problems(groups) if routing.entities.codes else ""
            summary = " ".join(filter(None, (told.summary, others)))
            sure = told.confidence if reduce is Reduce.KNOWLEDGE else min(told.confidence, cap)
            update = {"summary": summary, "confidence": sure, "missing_evidence": missing, "suspicious": suspicious}
            return told.model_copy(update=update)
    return tell(
        groups,
        scenes,
        missing=missing,
        suspicious=suspicious,
        # Someone who asks for an action must read first that none was taken; then, as for a status, the state.
        preface=(
            *((say(language, "nothing_executed"),) if routing.intent is Intent.ACTION else ()),
            *(tell_states(scenes) if reduce is Reduce.STATUS else ()),
        ),
        requested=requested_changes(request.message, scenes, routing.entities)
        if routing.intent is Intent.ACTION
        else (),
    )


def confidence_cap(plan: Plan | None, envelopes: Sequence[SourceEnvelope], scenes: Sequence[Scene]) -> float:
    """The most confidence that an answer may claim, given which sources are missing."""
    cap = MOST_CONFIDENT
    required = {planned.key for planned in plan.sources if planned.required} if plan else {"tws_status"}
    failed = [envelope for envelope in envelopes if not envelope.success]
    lost_required = any(envelope.key in required for envelope in failed)
    for envelope in failed:
        if envelope.key not in required:
            cap -= MISSING_STEP
    if lost_required:
        cap = min(cap, REQUIRED_MISSING_CAP)
        ages = [scene.log.newest_age_days for scene in scenes if scene.log and scene.log.newest_age_days is not None]
        if ages and min(ages) >= STALE_DAYS:
            cap = min(cap, STALE_CAP)
    return round(max(cap, 0.1), 2)


def _jobs_of(
    request: TroubleshootRequest, plan: Plan | None, aggregated: AggregatedData, entities: Entities
) -> tuple[str, ...]:
    return (plan.jobs if plan else ()) or request.named_jobs or aggregated.jobs or entities.jobs


def _has_no_problem(scenes: Sequence[Scene], groups: Sequence[Group]) -> bool:
    """Whether TWS shows nothing wrong with what was asked about, so that the question is one of knowledge."""
    if any(scene.asked for scene in scenes):
        return all(group.top.category in _NOTHING_WRONG for group in groups)
    return True


def _asks_about_a_code_alone(entities: Entities, scenes: Sequence[Scene]) -> bool:
    """Whether a code is all that is named and the plan does not show it: its problems are then no answer."""
    if not entities.codes or any(scene.asked or scene.job for scene in scenes):
        return False
    if entities.job_streams or entities.workstations:
        return False
    return not any(scene.cite("tws_status", code) for scene in scenes for code in entities.codes)


def _groups(scene: Scene, cap: float) -> list[Group]:
    """The scene's conclusions: one group for its job; without a named job, one per distinct problem of the plan."""
    if scene.asked or scene.job is not None or not (scene.tws and scene.tws.problem_jobs):
        group = Group(scene, _ranked(scene, cap), _jobs_in(scene))
        return [_with_its_blocker(group, cap)]
    problems = scene.tws.problem_jobs[:MAX_PROBLEM_JOBS]
    told: dict[tuple[Category, str], Group] = {}
    for job in problems:
        focused = focus_on(scene, job)
        ranked = _ranked(focused, cap)
        top = ranked[0]
        key = (top.category, top.facts.get("predecessor") or top.workstation or f"{job.job_stream}.{job.name}")
        if key in told:
            told[key].jobs.append(job.name)
            told[key].top.supports += [item for item in top.supports if item not in told[key].top.supports]
        else:
            told[key] = Group(focused, ranked, [job.name])
    return sorted(_without_consequences(list(told.values()), problems), key=_weight, reverse=True)


def _with_its_blocker(group: Group, cap: float) -> Group:
    """A job that waits for a failed one is explained by why that one failed."""
    scene, top = group.scene, group.top
    blocker = next(iter(scene.tws.problem_jobs), None) if scene.tws and scene.job else None
    if blocker is None or top.category is not Category.PREDECESSOR_FAILED:
        return group
    inner = Group(focus_on(scene, blocker), _ranked(focus_on(scene, blocker), cap), [blocker.name])
    top.claims += [claim for claim in inner.top.claims if claim.evidence_ids]
    return Group(scene, group.ranked, group.jobs, group.held, because=inner)


def _without_consequences(groups: list[Group], problems: Sequence[JobFacts]) -> list[Group]:
    """Jobs that only wait for a job which failed itself are its consequence, and are told with it."""
    failed = {job.name: job for job in problems if job.status in FAILED_STATES}
    causes = {job: group for group in groups for job in group.jobs if job in failed}
    kept: list[Group] = []
    for group in groups:
        cause = causes.get(short_name(group.top.facts.get("predecessor", "")))
        if group.top.category is Category.PREDECESSOR_FAILED and cause is not None and cause is not group:
            cause.held += [job for job in group.jobs if job not in cause.held]
            cause.top.supports += [item for item in group.top.supports if item not in cause.top.supports]
        else:
            kept.append(group)
    return [_as_seen_from_the_stream(group) for group in kept]


def _as_seen_from_the_stream(group: Group) -> Group:
    """Asked why a stream does not advance, the answer is the job that holds it; why that one failed comes second."""
    cause, job = group.top, group.scene.job
    if job is None or not group.held or not group.scene.entities.job_streams:
        return group
    language, code = group.scene.language, group.scene.return_code
    names = ", ".join(group.held[:5])
    claim = Claim(
        text=say_count(language, "holds_stream", len(group.held), job=job.name, names=names),
        evidence_ids=tuple(cause.supports[:3]),
    )
    seen = Finding(
        Category.PREDECESSOR_FAILED,
        round(max(cause.confidence, min(0.9, cause.confidence + 0.3)), 2),
        supports=list(cause.supports),
        facts={
            "stream": job.job_stream,
            "predecessor": job.name,
            "predecessor_job": qualified(job, job.name),
            "predecessor_rc": "" if code is None else str(code),
        },
        claims=[*cause.claims, claim],
        job=short_name(job.job_stream) or job.name,
        workstation=job.workstation,
    )
    return Group(group.scene, [seen], group.jobs, group.held, because=group)


def _weight(group: Group) -> tuple[float, int]:
    """Failures first, then what holds most jobs."""
    job = group.scene.job
    failed = job is not None and job.status in FAILED_STATES
    return (group.top.confidence + (0.5 if failed else 0.0), len(group.jobs) + len(group.held))


def _jobs_in(scene: Scene) -> list[str]:
    return [scene.name] if scene.name else []


def _ranked(scene: Scene, cap: float) -> list[Finding]:
    """The rules' conclusions on one scene: one per category, best first; never empty."""
    best: dict[Category, Finding] = {}
    for rule in RULES:
        for finding in rule(scene):
            finding.job = scene.name or None
            other = best.get(finding.category)
            best[finding.category] = finding if other is None else _merged(other, finding)
    findings = sorted(best.values(), key=lambda finding: finding.confidence, reverse=True)
    if not findings:
        return [_unknown(scene)]
    _weigh_against_each_other(findings)
    _tell_what_blocks_a_rerun(scene, findings[0])
    for finding in findings:
        corroborate(scene, finding)
        finding.confidence = round(min(finding.confidence, cap), 2)
    return sorted(findings, key=lambda finding: finding.confidence, reverse=True)


def _tell_what_blocks_a_rerun(scene: Scene, lead: Finding) -> None:
    """A job failed, and its workstation starts nothing now: mended, it would wait there."""
    job = scene.job
    if job is None or job.status not in FAILED_STATES or lead.category in _STATION_CAUSES:
        return
    idle = why_idle(scene, job.workstation)
    if idle is not None:
        text = say(scene.language, "rerun_blocked", text=idle.sentence[:1].lower() + idle.sentence[1:])
        lead.note = f"{lead.note} {text}".strip()
        lead.claims.append(idle.claim)


def _unknown(scene: Scene) -> Finding:
    """Nothing explains it: what there is to read all the same, each with what it is worth."""
    finding = Finding(Category.UNKNOWN, 0.1, job=scene.name or None)
    language = scene.language
    if "tws_status" not in scene.answered:
        finding.note = _from_the_question(scene)
    for item in (scene.log.recent_errors or scene.log.history)[:1] if scene.log else ():
        parts = [item.status, *item.codes[:2], "" if item.return_code is None else f"RC {item.return_code}"]
        ids = scene.cite("log_cache", limit=1)
        text = say(language, "last_record", what=" ".join(filter(None, parts)) or "?", age=age_of(scene, item))
        add_claim(finding, text, ids, 0.0)
    if scene.log and scene.log.newest_age_days and scene.log.newest_age_days >= STALE_DAYS:
        text = say(language, "stale", days=f"{scene.log.newest_age_days:.0f}")
        add_claim(finding, text, scene.cite("log_cache", limit=1), 0.0)
    for series in scene.metrics.series if scene.metrics else ():
        if series.concern:
            add_claim(finding, say(language, "concern", text=spoken(series)), metric_ids(scene, series), 0.0)
    return finding


def _from_the_question(scene: Scene) -> str:
    """What the user says is all that is known of the state: it is told as the user's word, with what it would mean."""
    language, words = scene.language, re.findall(r"\b[A-Z]{4,10}\b", scene.question)
    state = next((entry for word in words if (entry := find_state(word)) is not None), None)
    told = say(language, "from_question", question=clean_line(scene.question)[:MAX_QUESTION_CHARACTERS])
    if state is None:
        # Who asks for the state has not said it.
        return "" if scene.asks_state else told
    name, meaning = state.name.in_language(language), state.meaning.in_language(language)
    causes = "; ".join(cause.in_language(language) for cause in state.causes)
    explained = say(language, "explains", code=state.key, name=name, meaning=meaning)
    return f"{told} {explained} {say(language, 'usual_causes', causes=causes)}"


def _merged(one: Finding, other: Finding) -> Finding:
    """Two rules that agree: the surer one leads, and each is a little surer for the other."""
    lead, second = (one, other) if one.confidence >= other.confidence else (other, one)
    lead.supports += [item for item in second.supports if item not in lead.supports]
    lead.claims += [claim for claim in second.claims if claim.text not in {known.text for known in lead.claims}]
    lead.facts = {**{key: value for key, value in second.facts.items() if value}, **_filled(lead.facts)}
    lead.entry = lead.entry or second.entry
    lead.workstation = lead.workstation or second.workstation
    lead.note = lead.note or second.note
    lead.confidence = min(MOST_CONFIDENT, lead.confidence + 0.02)
    return lead


def _filled(facts: dict[str, str]) -> dict[str, str]:
    return {key: value for key, value in facts.items() if value}


def _weigh_against_each_other(findings: list[Finding]) -> None:
    """What proves the leading cause speaks against the others, unless they rest on it as well."""
    lead = findings[0]
    for other in findings[1:]:
        if lead.confidence - other.confidence >= 0.1:
            other.contradicts += [item for item in lead.supports if item not in other.supports]
            other.confidence = max(0.05, other.confidence - 0.15)
